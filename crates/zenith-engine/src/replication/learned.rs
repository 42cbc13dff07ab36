//! What runs of a pipeline have learned, for the runs after them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::memory_quota::Permit;
use crate::load::findings::{Findings, Planned};
use crate::retry::RetryBudget;

/// What runs of a pipeline have learned of its collection and its target.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    /// What loads of the table have found that their plans did not expect.
    findings: Mutex<Findings>,
    /// The sample that the columns of a table just made were chosen from, and how.
    planned: Mutex<Option<(Planned, Permit)>>,
    /// Why the table is loaded again when the pipeline is set up.
    anew: Mutex<Option<Anew>>,
    /// Whether tables that killed loads left behind have been told of.
    are_leftovers_told: AtomicBool,
    /// Whether the last plan was made from all documents there were.
    is_sampled_whole: AtomicBool,
    /// When fields of a load got columns without being asked for, and how many.
    promoted: Mutex<Option<(Instant, usize)>>,
    /// How long to wait before the pipeline goes on after it left a stream.
    backoff: Mutex<RetryBudget>,
}

/// Why a table is loaded again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anew {
    /// Its columns are not those of the collection.
    Columns,
    /// The collection that it followed is there no more; how that went.
    Gone(&'static str),
}

impl Learned {
    pub(super) fn findings(&self) -> Findings {
        of(&self.findings).clone()
    }

    pub(super) fn found(&self, findings: Findings) {
        *of(&self.findings) = findings;
    }

    pub(super) fn plan(&self, planned: Option<(Planned, Permit)>) {
        *of(&self.planned) = planned;
    }

    pub(super) fn take_planned(&self) -> Option<Planned> {
        of(&self.planned).take().map(|(planned, _)| planned)
    }

    pub(super) fn load_anew(&self, anew: Option<Anew>) {
        *of(&self.anew) = anew;
    }

    pub(super) fn anew(&self) -> Option<Anew> {
        *of(&self.anew)
    }

    /// Says once that leftovers are to be told of.
    pub(super) fn tells_leftovers(&self) -> bool {
        !self.are_leftovers_told.swap(true, Ordering::Relaxed)
    }

    pub(super) fn sampled(&self, is_whole: bool) {
        self.is_sampled_whole.store(is_whole, Ordering::Relaxed);
    }

    pub(super) fn is_sampled_whole(&self) -> bool {
        self.is_sampled_whole.load(Ordering::Relaxed)
    }

    /// Notes that so many fields of a load got columns.
    pub(super) fn promoted(&self, fields: usize) {
        *of(&self.promoted) = Some((Instant::now(), fields));
    }

    /// How many did within this time.
    pub(super) fn promoted_within(&self, time: Duration) -> usize {
        of(&self.promoted).filter(|(at, _)| at.elapsed() <= time).map_or(0, |(_, fields)| fields)
    }

    /// The pause after one more failure.
    pub(super) fn next_backoff(&self) -> Duration {
        // There is always one where there is no limit.
        of(&self.backoff).next().unwrap_or_default()
    }

    /// Short pauses again: something has succeeded.
    pub(super) fn recovered(&self) {
        of(&self.backoff).renew();
    }
}

fn of<V>(value: &Mutex<V>) -> MutexGuard<'_, V> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
