//! What did not fit in the last hour, by field and reason, in slots of time.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use utoipa::ToSchema;
use zenith_engine::state::{self, Mismatches, SLOT, StateStore};

use crate::time;

/// Seconds that are told of, and slots of them.
const HOUR: u64 = 3600;
const SLOTS: usize = 12;

/// What did not fit in the last hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CourseJson {
    /// Seconds of a slot.
    pub slot_seconds: u64,
    /// When each slot begins, oldest first; the last one is under way.
    pub slots: Vec<String>,
    /// Values in the extra column.
    pub extra_values: Vec<CountsJson>,
    /// Documents that have no row; `field` is empty.
    pub dead_letters: Vec<CountsJson>,
}

/// Counts of one field and reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CountsJson {
    /// The field.
    pub field: String,
    /// The reason.
    pub reason: String,
    /// A count for each slot.
    pub counts: Vec<u64>,
}

/// The course of a pipeline until a moment.
///
/// # Errors
/// If the state cannot be read.
pub async fn read(store: &impl StateStore, pipeline: &str, now: SystemTime) -> state::Result<CourseJson> {
    Ok(of(&store.mismatch_slots(pipeline).await?, now))
}

fn of(found: &[(SystemTime, Mismatches)], now: SystemTime) -> CourseJson {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let first = (seconds(now) / SLOT * SLOT + SLOT).saturating_sub(HOUR);
    let mut values = Counts::default();
    let mut documents = Counts::default();
    for (begins, mismatches) in found {
        let Some(passed) = seconds(*begins).checked_sub(first) else { continue };
        let slot = usize::try_from(passed / SLOT).unwrap_or(usize::MAX);
        for (field, reasons) in &mismatches.values {
            reasons.iter().for_each(|(reason, count)| values.add(slot, field, reason, *count));
        }
        mismatches.documents.iter().for_each(|(reason, count)| documents.add(slot, "", reason, *count));
    }
    let begins = |slot| time::rfc3339(UNIX_EPOCH + Duration::from_secs(first + slot * SLOT));
    CourseJson {
        slot_seconds: SLOT,
        slots: (0..HOUR / SLOT).map(begins).collect(),
        extra_values: values.json(),
        dead_letters: documents.json(),
    }
}

/// Counts by field, reason and slot.
#[derive(Default)]
struct Counts(BTreeMap<(String, String), [u64; SLOTS]>);

impl Counts {
    fn add(&mut self, slot: usize, field: &str, reason: &str, count: u64) {
        let counts = self.0.entry((field.to_owned(), reason.to_owned())).or_default();
        if let Some(of_slot) = counts.get_mut(slot) {
            *of_slot += count;
        }
    }

    fn json(self) -> Vec<CountsJson> {
        let counts = self.0.into_iter();
        counts
            .map(|((field, reason), counts)| CountsJson { field, reason, counts: counts.to_vec() })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stand_in_the_slot_of_their_time() {
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(1_700_000_100 + seconds);
        let one = |count| Mismatches {
            values: [("zip".to_owned(), [("is string".to_owned(), count)].into())].into(),
            documents: [("not BSON".to_owned(), 1)].into(),
        };
        let course = of(&[(at(0), one(9)), (at(300), one(3)), (at(3600), one(4))], at(3700));
        assert_eq!((course.slots.len(), course.slots[0].as_str()), (12, "2023-11-14T22:20:00Z"));
        let [zip] = course.extra_values.as_slice() else { panic!("{course:?}") };
        assert_eq!((zip.field.as_str(), zip.counts[0], zip.counts[11]), ("zip", 3, 4));
        assert_eq!(zip.counts.iter().sum::<u64>(), 7, "what is older is left out");
        assert_eq!(course.dead_letters[0].counts.iter().sum::<u64>(), 2);
        assert_eq!(of(&[], at(0)).dead_letters, []);
    }
}
