//! What of documents did not fit, for people and for machines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use indicatif::HumanCount;
use serde::Serialize;
use utoipa::ToSchema;
use zenith_engine::state::{self, Mismatches, NO_COLUMN, StateStore};

const HOUR: Duration = Duration::from_secs(3600);
/// Fields shown to people; machines get all of them.
pub const FIELDS_SHOWN: usize = 20;

/// Numbers by reason.
pub type ByReason = BTreeMap<String, u64>;

/// What did not fit into the table of a pipeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// Since the table was loaded.
    pub all: Mismatches,
    /// In the last hour.
    pub last_hour: Mismatches,
}

/// The same for machines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct CountedJson {
    /// Values in the extra column, by field and reason.
    pub extra_values: BTreeMap<String, ByReason>,
    /// Those of the last hour.
    pub extra_values_last_hour: BTreeMap<String, ByReason>,
    /// Documents that have no row.
    pub dead_letters: u64,
    /// The same by reason.
    pub dead_letters_by_reason: ByReason,
    /// Those of the last hour.
    pub dead_letters_by_reason_last_hour: ByReason,
}

impl Counted {
    /// Reads both.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn read(store: &impl StateStore, pipeline: &str, now: SystemTime) -> state::Result<Counted> {
        let hour_ago = now.checked_sub(HOUR).unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Counted {
            all: store.mismatches(pipeline, None).await?,
            last_hour: store.mismatches(pipeline, Some(hour_ago)).await?,
        })
    }

    /// For machines.
    pub fn json(&self) -> CountedJson {
        CountedJson {
            extra_values: self.all.values.clone(),
            extra_values_last_hour: self.last_hour.values.clone(),
            dead_letters: self.all.documents_total(),
            dead_letters_by_reason: self.all.documents.clone(),
            dead_letters_by_reason_last_hour: self.last_hour.documents.clone(),
        }
    }

    /// Whether there are values of fields without a column.
    pub fn lacks_columns(&self) -> bool {
        self.all.values.values().any(|reasons| reasons.contains_key(NO_COLUMN))
    }

    /// Both numbers with those of the last hour in a line; `None` if everything fits.
    pub fn line(&self) -> Option<String> {
        let part = |all: u64, last_hour: u64, thing: &str| {
            (all > 0).then(|| format!("{} ({} in the last hour)", counted(all, thing), HumanCount(last_hour)))
        };
        let values = part(self.all.values_total(), self.last_hour.values_total(), "value");
        let documents = part(self.all.documents_total(), self.last_hour.documents_total(), "dead letter");
        let parts: Vec<String> =
            values.map(|values| format!("{values} in _zenith_extra")).into_iter().chain(documents).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// "3 values in _zenith_extra, 1 dead letter"; `None` if everything fits.
pub fn totals(values: u64, documents: u64) -> Option<String> {
    let values = (values > 0).then(|| format!("{} in _zenith_extra", counted(values, "value")));
    let documents = (documents > 0).then(|| counted(documents, "dead letter"));
    let parts: Vec<String> = values.into_iter().chain(documents).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// A line for each field, and one for each reason of a dead letter.
pub fn list(mismatches: &Mismatches) -> String {
    fields(mismatches) + &reasons(mismatches)
}

/// A line for each field, those with most values first.
pub fn fields(mismatches: &Mismatches) -> String {
    let mut text = String::new();
    let mut fields: Vec<(&String, &ByReason)> = mismatches.values.iter().collect();
    fields.sort_by_key(|(_, reasons)| std::cmp::Reverse(reasons.values().sum::<u64>()));
    for (field, reasons) in fields.iter().take(FIELDS_SHOWN) {
        let _ = writeln!(text, "  {field}: {}", by_reason(reasons));
    }
    if let Some(more) = fields.len().checked_sub(FIELDS_SHOWN).filter(|more| *more > 0) {
        let _ = writeln!(text, "  and {}", counted(u64::try_from(more).unwrap_or(u64::MAX), "more field"));
    }
    text
}

/// A line for each reason of a dead letter.
pub fn reasons(mismatches: &Mismatches) -> String {
    let mut text = String::new();
    for (reason, count) in &mismatches.documents {
        let _ = writeln!(text, "  {}: {reason}", counted(*count, "dead letter"));
    }
    text
}

/// "2 is string, 1 no column".
fn by_reason(reasons: &ByReason) -> String {
    let reasons: Vec<String> =
        reasons.iter().map(|(reason, count)| format!("{} {reason}", HumanCount(*count))).collect();
    reasons.join(", ")
}

/// "1 row", "2 rows".
pub fn counted(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", HumanCount(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mismatches(values: &[(&str, &str, u64)], documents: &[(&str, u64)]) -> Mismatches {
        let mut mismatches = Mismatches::default();
        for (field, reason, count) in values {
            mismatches.values.entry((*field).to_owned()).or_default().insert((*reason).to_owned(), *count);
        }
        mismatches.documents =
            documents.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
        mismatches
    }

    #[test]
    fn people_get_totals_and_lists() {
        let all = mismatches(
            &[("a", "no column", 1), ("b.c", "is string", 1_500), ("b.c", "out of range", 2)],
            &[("not BSON", 1)],
        );
        let counted = Counted { all: all.clone(), last_hour: mismatches(&[("a", "no column", 1)], &[]) };
        assert_eq!(
            counted.line().unwrap(),
            "1,503 values (1 in the last hour) in _zenith_extra, 1 dead letter (0 in the last hour)"
        );
        assert_eq!(
            list(&all),
            "  b.c: 1,500 is string, 2 out of range\n  a: 1 no column\n  1 dead letter: not BSON\n"
        );
        assert_eq!(totals(1, 2).unwrap(), "1 value in _zenith_extra, 2 dead letters");
        assert_eq!((Counted::default().line(), totals(0, 0)), (None, None));
    }
}
