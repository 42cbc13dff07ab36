//! What of documents did not fit: counted, and told when it begins.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use zenith_state::{Mismatches, NO_COLUMN, is_shown};

use crate::{Mixed, Mode, PipelineSettings};

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
#[derive(Clone, Copy, Debug)]
pub(crate) enum Advice<'s> {
    /// The columns are those of the collection as it was.
    Reload(&'s PipelineSettings),
    /// The columns have just been chosen, from some of the documents.
    LargerSample(&'s PipelineSettings),
    /// The columns have just been chosen from all documents, or the table is not made from the collection again.
    Count(&'s PipelineSettings),
}

impl<'s> Advice<'s> {
    /// For rows that came after the table was loaded, or with that load; and whether its columns were chosen from all
    /// documents.
    pub(crate) fn of(settings: &'s PipelineSettings, is_load: bool, is_whole: bool) -> Advice<'s> {
        match settings.mode {
            Mode::ChangeLog => Advice::Count(settings),
            // Its table is not loaded again.
            _ if !is_load && settings.refused_load().is_some() => Advice::Count(settings),
            Mode::Changes | Mode::IdCursor if !is_load => Advice::Reload(settings),
            _ if is_whole => Advice::Count(settings),
            _ => Advice::LargerSample(settings),
        }
    }

    fn settings(self) -> &'s PipelineSettings {
        let (Advice::Reload(settings) | Advice::LargerSample(settings) | Advice::Count(settings)) = self;
        settings
    }

    /// The setting that keeps values of a field of several types out of the columns, as long as it is so.
    fn majority(self, field: &str, reason: &str) -> Option<String> {
        let settings = self.settings();
        let of_field =
            settings.options.mixed_fields.iter().find(|(name, _)| name == field).map(|(_, mixed)| mixed);
        let is_of_type = reason.starts_with("is ") || reason == "out of range";
        (is_of_type && *of_field.unwrap_or(&settings.options.mixed) == Mixed::Majority).then(
            || match of_field {
                Some(_) => format!("mixed_fields.{field:?} = \"twin\""),
                None => "mixed = \"twin\"".to_owned(),
            },
        )
    }
}

/// Whether columns of other types could show values of this reason.
fn has_cure(reason: &str) -> bool {
    !matches!(reason, "repeated key" | "not plain JSON")
}

/// Whether the column of a field, or of one around it, has the type that its user gave it.
fn is_given(settings: &PipelineSettings, field: &str) -> bool {
    let is_around =
        |path: &str| field.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    settings.shape.columns.iter().any(|(path, column)| column.data_type.is_some() && is_around(path))
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
    pub(crate) fn add(&mut self, mismatches: &Mismatches, pipeline: &str, advice: Advice<'_>) -> Vec<String> {
        let before = |field: &str, reason: &str| {
            self.all.values.get(field).is_some_and(|reasons| reasons.contains_key(reason))
        };
        let new_fields: Vec<(&String, &String)> = mismatches
            .values
            .iter()
            .flat_map(|(field, reasons)| reasons.keys().map(move |reason| (field, reason)))
            .filter(|(field, reason)| !is_shown(reason) && !before(field, reason))
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

fn one(field: &str, reason: &str, pipeline: &str, advice: Advice<'_>) -> String {
    let advice = match (advice, advice.majority(field, reason)) {
        (Advice::Reload(_), Some(setting)) => {
            format!("{setting} and zenith reload {pipeline} give them a column")
        }
        (Advice::LargerSample(_) | Advice::Count(_), Some(setting)) => {
            format!("{setting} gives them a column")
        }
        (Advice::Reload(settings) | Advice::Count(settings), None)
            if reason == NO_COLUMN
                && (matches!(advice, Advice::Reload(_)) || settings.refused_load().is_some()) =>
        {
            format!("zenith schema promote {pipeline} proposes a column for them")
        }
        (Advice::Reload(settings) | Advice::LargerSample(settings), None)
            if has_cure(reason) && is_given(settings, field) =>
        {
            "its column has the type that columns says".to_owned()
        }
        (Advice::Reload(_), None) if has_cure(reason) => {
            format!("zenith reload {pipeline} chooses its column anew")
        }
        (Advice::LargerSample(_), None) if has_cure(reason) => {
            "a load with a larger sample may find a column for them".to_owned()
        }
        _ => format!("zenith status {pipeline} counts them"),
    };
    format!("values of the field {field:?} go to _zenith_extra ({reason}): {advice}")
}

fn many(fields: &[(&String, &String)], pipeline: &str, advice: Advice<'_>) -> String {
    let named: Vec<String> =
        fields.iter().take(NAMED).map(|(field, reason)| format!("{field:?} ({reason})")).collect();
    let is_curable = |(field, reason): &(&String, &String)| {
        has_cure(reason) && advice.majority(field, reason).is_none() && !is_given(advice.settings(), field)
    };
    let advice = match advice {
        Advice::LargerSample(_) if fields.iter().any(is_curable) => {
            ", and a load with a larger sample may find columns for them".to_owned()
        }
        Advice::Reload(_) if fields.iter().any(is_curable) => {
            format!(", and zenith reload {pipeline} chooses the columns anew")
        }
        _ => String::new(),
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
        let settings = PipelineSettings::default();
        let mut told = Told::default();
        let gift = values([("items.gift".to_owned(), "no column")]);
        assert_eq!(
            told.add(&gift, "orders", Advice::Reload(&settings)),
            [
                "values of the field \"items.gift\" go to _zenith_extra (no column): zenith schema promote orders proposes a column for them"
            ]
        );
        assert!(told.add(&gift, "orders", Advice::Reload(&settings)).is_empty());
        let other = values([("items.gift".to_owned(), "is string")]);
        assert!(
            told.add(&other, "orders", Advice::Reload(&settings))[0].ends_with("chooses its column anew")
        );
        let mut of_user = PipelineSettings::default();
        let given = crate::ColumnShape { data_type: Some("UUID".to_owned()), ..Default::default() };
        of_user.shape.columns = vec![("key".to_owned(), given)];
        let key = values([("key".to_owned(), "is string")]);
        assert!(
            Told::default().add(&key, "orders", Advice::Reload(&of_user))[0]
                .ends_with("its column has the type that columns says")
        );
        let many = values((0..50).map(|number| (format!("f{number:02}"), "no column")));
        let lines = told.add(&many, "orders", Advice::Count(&settings));
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
            lines += told
                .add(&values([(format!("g{number}"), "no column")]), "orders", Advice::Reload(&settings))
                .len();
        }
        assert_eq!(lines, LINES - 3 + 1, "and a last one that says so");
    }

    #[test]
    fn advice_is_given_where_it_helps() {
        let mut settings = PipelineSettings::default();
        settings.options.mixed_fields = vec![("m".to_owned(), Mixed::Majority)];
        let told = |field: &str, reason: &'static str, is_load: bool, is_whole: bool| {
            let advice = Advice::of(&settings, is_load, is_whole);
            Told::default().add(&values([(field.to_owned(), reason)]), "orders", advice).pop()
        };
        for (field, reason, is_load, is_whole, expected) in [
            ("a", "no column", true, false, "a load with a larger sample may find a column for them"),
            ("a", "no column", true, true, "zenith status orders counts them"),
            ("a", "not plain JSON", true, false, "zenith status orders counts them"),
            ("a", "repeated key", false, false, "zenith status orders counts them"),
            ("m", "is string", true, false, "mixed_fields.\"m\" = \"twin\" gives them a column"),
            (
                "m",
                "is string",
                false,
                false,
                "mixed_fields.\"m\" = \"twin\" and zenith reload orders give them a column",
            ),
        ] {
            let line = told(field, reason, is_load, is_whole).unwrap();
            assert!(line.ends_with(&format!(": {expected}")), "{line}");
        }
        for shown in zenith_state::SHOWN_REASONS {
            assert_eq!(told("a", shown, false, false), None);
        }
        assert_eq!(values([("a".to_owned(), "is no array")]).values_total(), 0);
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
