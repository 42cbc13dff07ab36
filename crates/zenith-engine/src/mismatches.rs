//! What of documents did not fit: counted, and told when it begins.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use zenith_state::Mismatches;

use crate::Mode;

/// Fields that are named in one line; the others are a number.
const NAMED: usize = 3;
/// Lines of one run. Keys that are data would have no end.
const LINES: usize = 20;

/// Documents of one load that could not become rows, by reason.
#[derive(Debug, Default)]
pub(crate) struct DeadLetters(Mutex<BTreeMap<String, u64>>);

impl DeadLetters {
    /// Counts one.
    pub(crate) fn count(&self, reason: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(kind(reason)).or_default() += 1;
    }

    pub(crate) fn by_reason(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What kind of reason a reason is: that of ClickHouse by the name of its code and without the values of the row, and
/// that of BSON without its numbers.
pub(crate) fn kind(reason: &str) -> String {
    if reason.starts_with("ClickHouse at ")
        && let Some((_, code)) = reason.rsplit_once("(code ")
        && let Some((code, _)) = code.split_once(')')
    {
        let name = code.split_once(", ").map_or(code, |(_, name)| name);
        let name = name.split([':', ' ']).next().unwrap_or(name);
        return match name.parse::<u32>() {
            Ok(_) => format!("refused by ClickHouse: code {name}"),
            Err(_) => format!("refused by ClickHouse: {name}"),
        };
    }
    if reason.starts_with("BSON length ") {
        return "BSON length is impossible".to_owned();
    }
    reason.to_owned()
}

/// What mends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// The columns are those of the collection as it was.
    Reload,
    /// The columns have just been chosen.
    LargerSample,
    /// A change log is not made from the collection.
    Count,
}

impl Advice {
    /// For rows that came after the table was loaded, or with that load.
    pub(crate) fn of(mode: Mode, is_load: bool) -> Advice {
        match mode {
            Mode::ChangeLog => Advice::Count,
            Mode::Full => Advice::LargerSample,
            Mode::Changes | Mode::IdCursor if is_load => Advice::LargerSample,
            Mode::Changes | Mode::IdCursor => Advice::Reload,
        }
    }
}

/// What has been told of a run.
#[derive(Debug, Default)]
pub(crate) struct Told {
    all: Mismatches,
    lines: usize,
    /// Whether the notice that further mismatches are only counted was given.
    is_silent: bool,
}

impl Told {
    /// Everything of the run.
    pub(crate) fn all(&self) -> &Mismatches {
        &self.all
    }

    /// Adds to it, and gives a line for each field and reason that is new, or one for many.
    pub(crate) fn add(&mut self, mismatches: &Mismatches, pipeline: &str, advice: Advice) -> Vec<String> {
        let before = |field: &str, reason: &str| {
            self.all.values.get(field).is_some_and(|reasons| reasons.contains_key(reason))
        };
        let new_fields: Vec<(&String, &String)> = mismatches
            .values
            .iter()
            .flat_map(|(field, reasons)| reasons.keys().map(move |reason| (field, reason)))
            .filter(|(field, reason)| !before(field, reason))
            .collect();
        let mut lines: Vec<String> = match new_fields.len() {
            0 => Vec::new(),
            1..=NAMED => {
                new_fields.iter().map(|(field, reason)| one(field, reason, pipeline, advice)).collect()
            }
            _ => vec![many(&new_fields, pipeline, advice)],
        };
        self.all.add_bounded(mismatches);
        let left = LINES.saturating_sub(self.lines);
        self.lines += lines.len();
        if lines.len() > left {
            lines.truncate(left);
            if !std::mem::replace(&mut self.is_silent, true) {
                lines.push(format!("what else does not fit is only counted: zenith status {pipeline}"));
            }
        }
        lines
    }
}

fn one(field: &str, reason: &str, pipeline: &str, advice: Advice) -> String {
    let advice = match (advice, reason) {
        (Advice::Count, _) => format!("zenith status {pipeline} counts them"),
        (Advice::LargerSample, _) => "a load with a larger sample may find a column for them".to_owned(),
        (_, "no column") => format!("zenith reload {pipeline} gives it a column"),
        _ => format!("zenith reload {pipeline} chooses its column anew"),
    };
    format!("values of the field {field:?} go to _zenith_extra ({reason}): {advice}")
}

fn many(fields: &[(&String, &String)], pipeline: &str, advice: Advice) -> String {
    let named: Vec<String> =
        fields.iter().take(NAMED).map(|(field, reason)| format!("{field:?} ({reason})")).collect();
    let advice = match advice {
        Advice::Count => String::new(),
        Advice::LargerSample => ", and a load with a larger sample may find columns for them".to_owned(),
        Advice::Reload => format!(", and zenith reload {pipeline} chooses the columns anew"),
    };
    format!(
        "values of {} and {} other fields go to _zenith_extra: zenith status {pipeline} lists them{advice}",
        named.join(", "),
        fields.len() - named.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(fields: impl IntoIterator<Item = (String, &'static str)>) -> Mismatches {
        let mut mismatches = Mismatches::default();
        for (field, reason) in fields {
            mismatches.values.entry(field).or_default().insert(reason.to_owned(), 1);
        }
        mismatches
    }

    #[test]
    fn a_field_is_told_once_for_each_reason_and_many_are_told_together() {
        let mut told = Told::default();
        let gift = values([("items.gift".to_owned(), "no column")]);
        assert_eq!(
            told.add(&gift, "orders", Advice::Reload),
            [
                "values of the field \"items.gift\" go to _zenith_extra (no column): zenith reload orders gives it a column"
            ]
        );
        assert!(told.add(&gift, "orders", Advice::Reload).is_empty());
        let other = values([("items.gift".to_owned(), "is string")]);
        assert!(told.add(&other, "orders", Advice::Reload)[0].ends_with("chooses its column anew"));
        let many = values((0..50).map(|number| (format!("f{number:02}"), "no column")));
        let lines = told.add(&many, "orders", Advice::Count);
        assert_eq!(
            lines,
            [
                "values of \"f00\" (no column), \"f01\" (no column), \"f02\" (no column) and 47 other fields go to \
              _zenith_extra: zenith status orders lists them"
            ]
        );
        assert_eq!(told.all().values_total(), 53);
        let mut lines = 0;
        for number in 0..100 {
            lines += told.add(&values([(format!("g{number}"), "no column")]), "orders", Advice::Reload).len();
        }
        assert_eq!(lines, LINES - 3 + 1, "and a last one that says so");
    }

    #[test]
    fn reasons_are_of_few_kinds() {
        for (reason, expected) in [
            ("BSON text is not valid UTF-8", "BSON text is not valid UTF-8"),
            ("BSON length -17 is impossible here", "BSON length is impossible"),
            (
                "ClickHouse at h:8123 refused inserting 1 row into `d`.`t`: Constraint `c` for value (code 1) is \
                 violated (code 469, VIOLATED_CONSTRAINT)",
                "refused by ClickHouse: VIOLATED_CONSTRAINT",
            ),
            ("ClickHouse at h:9000 refused x: y (code 9999)", "refused by ClickHouse: code 9999"),
        ] {
            assert_eq!(kind(reason), expected);
        }
    }
}
