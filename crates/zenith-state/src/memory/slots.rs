//! What did not fit, by slots of time.

use std::ops::RangeInclusive;
use std::time::SystemTime;

use super::MemoryStore;
use crate::{Mismatches, mismatches};

impl MemoryStore {
    /// What did not fit in these slots, oldest first; nothing of a pipeline that is not there.
    pub(super) fn slots(&self, pipeline: &str, slots: RangeInclusive<i64>) -> Vec<(SystemTime, Mismatches)> {
        let state = self.state();
        let Some(found) = state.pipelines.get(pipeline) else { return Vec::new() };
        let slots = found.mismatches.range(slots);
        slots.map(|(slot, counted)| (mismatches::moment(*slot), counted.clone())).collect()
    }
}
