//! What each pipeline of a replicator is doing, for displays.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use zenith_state::Mismatches;

use crate::error::sentence;
use crate::mismatches::{Advice, Told};
use crate::{Progress, ProgressSnapshot};

/// What a pipeline is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Not begun.
    #[default]
    Waiting,
    /// The collection is being read whole, while its changes are followed.
    Snapshot,
    /// Changes, or new documents, are applied as they come.
    Following,
    /// Something failed that may pass; it is tried again.
    Retrying,
    /// It has reached what it was to reach, or was stopped.
    Ended,
    /// It has failed and needs the user.
    Failed,
}

impl Phase {
    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Phase::Waiting => "waiting",
            Phase::Snapshot => "snapshot",
            Phase::Following => "following",
            Phase::Retrying => "retrying",
            Phase::Ended => "ended",
            Phase::Failed => "failed",
        }
    }
}

/// A pipeline at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineProgress {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub phase: Phase,
    /// Its counters since it was started.
    pub counters: ProgressSnapshot,
    /// Changes that were read and are not in the table yet.
    pub pending: u64,
    /// The source's time up to which everything is in the table.
    pub applied_to: Option<SystemTime>,
    /// What failed last.
    pub last_error: Option<String>,
}

/// The live side of [`PipelineProgress`].
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) counters: Arc<Progress>,
    state: Mutex<LiveState>,
}

#[derive(Debug, Default)]
struct LiveState {
    phase: Phase,
    pending: u64,
    applied_to: Option<SystemTime>,
    last_error: Option<String>,
    told: Told,
}

impl Live {
    fn with<T>(&self, change: impl FnOnce(&mut LiveState) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn phase(&self, phase: Phase) {
        self.with(|state| state.phase = phase);
    }

    pub(crate) fn current(&self) -> Phase {
        self.with(|state| state.phase)
    }

    pub(crate) fn pending(&self, events: u64) {
        self.with(|state| state.pending = events);
    }

    pub(crate) fn applied_to(&self, time: Option<SystemTime>) {
        self.with(|state| state.applied_to = time.or(state.applied_to));
    }

    pub(crate) fn failed(&self, error: &dyn std::error::Error) {
        self.with(|state| state.last_error = Some(sentence(error)));
    }

    /// Notes what of documents did not fit, and says so where it is new in this run.
    pub(crate) fn mismatches(&self, mismatches: &Mismatches, pipeline: &str, advice: Advice<'_>) {
        if mismatches.is_empty() {
            return;
        }
        for line in self.with(|state| state.told.add(mismatches, pipeline, advice)) {
            tracing::warn!(pipeline, "{line}");
        }
    }

    /// Everything that did not fit in this run.
    pub(crate) fn all_mismatches(&self) -> Mismatches {
        self.with(|state| state.told.all().clone())
    }

    pub(crate) fn snapshot(&self, name: &str) -> PipelineProgress {
        self.with(|state| PipelineProgress {
            name: name.to_owned(),
            phase: state.phase,
            counters: self.counters.snapshot(),
            pending: state.pending,
            applied_to: state.applied_to,
            last_error: state.last_error.clone(),
        })
    }
}
