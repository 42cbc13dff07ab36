//! What of documents the columns of a table do not show, counted.
//!
//! Counts are kept since the table was loaded, and for the last hour in slots of five minutes. Neither grows without
//! bound: collections may have any number of keys, and servers any number of sentences.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The most fields of a pipeline that are counted separately.
pub const FIELDS_MAX: usize = 1000;
/// The most reasons of dead letters of a pipeline that are counted separately.
pub const REASONS_MAX: usize = 100;
/// The name under which further fields are counted together.
pub const OTHER_FIELDS: &str = "(other fields)";
/// The name under which further reasons are counted together.
pub const OTHER_REASONS: &str = "(other reasons)";

/// The reason of values of fields that have no column.
pub const NO_COLUMN: &str = "no column";

/// Reasons of values that are in the extra column although the columns lack nothing: those shown as a list of one, documents
/// and arrays of nothing but nulls, and texts whose column shows what they say. They are counted apart.
pub const SHOWN_REASONS: [&str; 3] = ["is no array", "only nulls", "another form"];

/// The slot of everything since the table was loaded.
pub(crate) const ALL: i64 = 0;
/// Seconds of a slot of time in which what did not fit is counted.
pub const SLOT: u64 = 300;
/// How long slots are kept; reports cover at most the last hour.
const KEPT: Duration = Duration::from_secs(3600 + SLOT);

/// Values that went to the extra column, and documents that went to the dead letter table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatches {
    /// Values, by field and reason.
    pub values: BTreeMap<String, BTreeMap<String, u64>>,
    /// Documents, by reason.
    pub documents: BTreeMap<String, u64>,
}

impl Mismatches {
    /// Whether everything fits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.documents.is_empty()
    }

    /// Number of values that no column shows: without those of [`SHOWN_REASONS`].
    #[must_use]
    pub fn values_total(&self) -> u64 {
        let reasons = self.values.values().flatten();
        reasons.filter(|(reason, _)| !is_shown(reason)).map(|(_, count)| count).sum()
    }

    /// Number of documents.
    #[must_use]
    pub fn documents_total(&self) -> u64 {
        self.documents.values().sum()
    }

    /// Adds others to these.
    pub fn add(&mut self, others: &Mismatches) {
        for (field, reasons) in &others.values {
            let of_field = self.values.entry(field.clone()).or_default();
            for (reason, count) in reasons {
                *of_field.entry(reason.clone()).or_default() += count;
            }
        }
        for (reason, count) in &others.documents {
            *self.documents.entry(reason.clone()).or_default() += count;
        }
    }

    /// Adds others to these, and returns them under the names they were added by: further fields and reasons than
    /// [`FIELDS_MAX`] and [`REASONS_MAX`] share one.
    pub fn add_bounded(&mut self, others: &Mismatches) -> Mismatches {
        let (fields, reasons) = (self.values.keys().cloned(), self.documents.keys().cloned());
        let others = others.bounded(fields.collect(), reasons.collect());
        self.add(&others);
        others
    }

    /// These, under the names that a store has already, and under new ones as far as there is room.
    pub(crate) fn bounded(&self, mut fields: BTreeSet<String>, mut reasons: BTreeSet<String>) -> Mismatches {
        let name = |known: &mut BTreeSet<String>, name: &str, most: usize, others: &str| {
            if !known.contains(name) && known.len() >= most {
                return others.to_owned();
            }
            known.insert(name.to_owned());
            name.to_owned()
        };
        let mut bounded = Mismatches::default();
        for (field, of_field) in &self.values {
            let field = name(&mut fields, field, FIELDS_MAX, OTHER_FIELDS);
            let sum = bounded.values.entry(field).or_default();
            for (reason, count) in of_field {
                *sum.entry(reason.clone()).or_default() += count;
            }
        }
        for (reason, count) in &self.documents {
            let reason = name(&mut reasons, reason, REASONS_MAX, OTHER_REASONS);
            *bounded.documents.entry(reason).or_default() += count;
        }
        bounded
    }
}

/// What is left of dead letters counted in slots, the newest first, when so many are settled: those of the slot of
/// everything, and of the last hour the newest.
pub(crate) fn left(counted: Vec<(i64, u64)>, settled: u64) -> Vec<(i64, u64)> {
    let mut of_hour = settled;
    let left = |(slot, amount): (i64, u64)| {
        let taken = amount.min(if slot == ALL { settled } else { of_hour });
        if slot != ALL {
            of_hour -= taken;
        }
        (slot, amount - taken)
    };
    counted.into_iter().map(left).collect()
}

/// Whether values of this reason are no loss to the columns.
#[must_use]
pub fn is_shown(reason: &str) -> bool {
    SHOWN_REASONS.contains(&reason)
}

/// The slot that a moment is in.
pub(crate) fn slot(at: SystemTime) -> i64 {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // Never the slot of everything.
    i64::try_from(seconds - seconds % SLOT).unwrap_or(i64::MAX).max(1)
}

/// When a slot begins.
pub(crate) fn moment(slot: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(slot.unsigned_abs())
}

/// The first slot that is kept at a moment.
pub(crate) fn first_kept(at: SystemTime) -> i64 {
    slot(at.checked_sub(KEPT).unwrap_or(UNIX_EPOCH))
}
