//! What each pipeline of a replicator is doing, for displays.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use zenith_extract::ExtractError;
use zenith_state::{Condition, Mismatches, Since};

use crate::error::sentence;
use crate::mismatches::{Advice, Told};
use crate::progress::Retried;
use crate::timings::TimingsSnapshot;
use crate::{EngineError, Progress, ProgressSnapshot, Result, StopHandle};

/// Between two warnings about a pipeline that waits.
const WARN_EVERY: Duration = Duration::from_secs(60);

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
    /// Where its time has gone since it was started.
    pub timings: TimingsSnapshot,
    /// Changes that were read and are not in the table yet.
    pub pending: u64,
    /// The source's time up to which everything is in the table.
    pub applied_to: Option<SystemTime>,
    /// What failed last.
    pub last_error: Option<String>,
    /// What it waits for, if it cannot go on at the moment.
    pub waiting: Option<Since>,
}

/// Who says that a pipeline cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// The pipeline itself, which tries something again.
    Pipeline,
    /// The source does not answer.
    Source,
    /// The target does not answer.
    Target,
}

/// The live side of [`PipelineProgress`].
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) counters: Arc<Progress>,
    state: Mutex<LiveState>,
    /// Which ends do not answer at the moment.
    away: watch::Sender<Away>,
}

/// The ends that do not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Away {
    pub(super) source: bool,
    pub(super) target: bool,
}

impl Away {
    pub(super) fn any(self) -> bool {
        self.source || self.target
    }
}

#[derive(Debug, Default)]
struct LiveState {
    phase: Phase,
    pending: u64,
    applied_to: Option<SystemTime>,
    last_error: Option<String>,
    told: Told,
    waiting: BTreeMap<Cause, Since>,
    /// Whether it has left a stream as it could not write: until it has, it does not go on.
    has_left: bool,
    detached: Option<Since>,
    oplog_from: Option<SystemTime>,
    parts: Option<u64>,
    /// When it was said last that it waits.
    warned: Option<Instant>,
}

impl LiveState {
    /// In the words of the pipeline, if it has any, since anything failed.
    fn waiting(&self) -> Option<Since> {
        let (_, first) = self.waiting.first_key_value()?;
        let since = self.waiting.values().map(|since| since.since).min()?;
        Some(Since { reason: first.reason.clone(), since })
    }

    /// The pipeline goes on by itself.
    fn goes_on(&mut self) {
        if !self.has_left {
            self.waiting.remove(&Cause::Pipeline);
        }
    }
}

impl Live {
    fn with<T>(&self, change: impl FnOnce(&mut LiveState) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut state);
        let is_away = |cause| state.waiting.contains_key(&cause);
        let now = Away { source: is_away(Cause::Source), target: is_away(Cause::Target) };
        self.away.send_if_modified(|away| std::mem::replace(away, now) != now);
        changed
    }

    pub(crate) fn phase(&self, phase: Phase) {
        self.with(|state| {
            state.phase = match phase {
                Phase::Following if state.has_left => Phase::Retrying,
                phase => phase,
            };
            match phase {
                Phase::Retrying => {}
                Phase::Ended | Phase::Failed => state.waiting.clear(),
                _ => state.goes_on(),
            }
        });
    }

    /// The pipeline has left a stream as it cannot write.
    pub(super) fn leaves(&self) {
        self.with(|state| state.has_left = true);
    }

    /// It has written, or has nothing to write.
    pub(super) fn recovers(&self) {
        self.with(|state| {
            state.has_left = false;
            if state.phase == Phase::Retrying {
                state.phase = Phase::Following;
                state.goes_on();
            }
        });
    }

    /// Notes why the pipeline cannot go on, and since when unless it is known.
    pub(crate) fn waits(&self, cause: Cause, reason: &str, since: SystemTime) {
        self.with(|state| {
            if matches!(state.phase, Phase::Ended | Phase::Failed) {
                return;
            }
            let begun = || Since { reason: String::new(), since };
            reason.clone_into(&mut state.waiting.entry(cause).or_insert_with(begun).reason);
        });
    }

    /// Notes that this does not keep it waiting any more.
    pub(crate) fn goes_on(&self, cause: Cause) {
        self.with(|state| match cause {
            Cause::Pipeline => state.goes_on(),
            cause => drop(state.waiting.remove(&cause)),
        });
    }

    /// Waits before something is tried again, or until an end that was away answers again.
    ///
    /// # Errors
    ///
    /// If the pipeline is stopped: whoever stops it need not wait for a server.
    pub(crate) async fn pause(&self, stop: &StopHandle, pause: Duration) -> Result<()> {
        tokio::select! {
            biased;
            paused = stop.pause(pause) => paused,
            () = self.returned() => Ok(()),
        }
    }

    /// Returns when an end that was away answers again.
    async fn returned(&self) {
        let mut away = self.away.subscribe();
        let mut before = *away.borrow_and_update();
        // The sender is here, so the channel is open.
        while away.changed().await.is_ok() {
            let now = *away.borrow_and_update();
            if (before.source && !now.source) || (before.target && !now.target) {
                return;
            }
            before = now;
        }
    }

    /// Returns while that is so of the ends that are away.
    pub(super) async fn when(&self, is_so: impl FnMut(&Away) -> bool) {
        let _ = self.away.subscribe().wait_for(is_so).await;
    }

    pub(crate) fn oplog_from(&self, oldest: Option<SystemTime>) {
        self.with(|state| state.oplog_from = oldest);
    }

    pub(crate) fn parts(&self, parts: Option<u64>) {
        self.with(|state| state.parts = parts);
    }

    /// The pipeline is set back: up to which time its table is complete is not known.
    pub(super) fn set_back(&self) {
        self.with(|state| state.applied_to = None);
    }

    /// Notes whether the table follows its collection.
    pub(crate) fn detached(&self, by: Option<Since>) {
        self.with(|state| state.detached = by);
    }

    /// How the pipeline stands, but for the clock of its source.
    pub(crate) fn condition(&self, noted: SystemTime) -> Condition {
        self.with(|state| Condition {
            waiting: state.waiting(),
            detached: state.detached.clone(),
            source_ahead: 0,
            oplog_from: state.oplog_from,
            parts: state.parts,
            applied_to: state.applied_to,
            noted,
        })
    }

    pub(crate) fn current(&self) -> Phase {
        self.with(|state| state.phase)
    }

    /// What is known of the silence of the target, if it is silent.
    pub(super) fn silence_of_target(&self) -> Option<String> {
        self.with(|state| state.waiting.get(&Cause::Target).map(|since| since.reason.clone()))
    }

    /// The source's time up to which everything is in the table.
    pub(super) fn reached(&self) -> Option<SystemTime> {
        self.with(|state| state.applied_to)
    }

    pub(crate) fn pending(&self, events: u64) {
        self.with(|state| state.pending = events);
    }

    pub(crate) fn applied_to(&self, time: Option<SystemTime>) {
        self.with(|state| {
            state.applied_to = time.or(state.applied_to);
            state.goes_on();
        });
    }

    pub(crate) fn failed(&self, error: &dyn std::error::Error) {
        self.with(|state| state.last_error = Some(sentence(error)));
    }

    /// Notes that something failed that may pass, and says whether that is worth a word: the first time, and now and then.
    pub(crate) fn retries(&self, error: &(dyn std::error::Error + 'static)) -> bool {
        if let Some(what) = retried(error) {
            self.counters.retried(what);
        }
        self.failed(error);
        self.waits(Cause::Pipeline, &sentence(error), SystemTime::now());
        self.with(|state| {
            let is_told = state.warned.is_some_and(|at| at.elapsed() < WARN_EVERY);
            let is_new = state.waiting.get(&Cause::Pipeline).is_some_and(|waiting| {
                let lasts = waiting.since.elapsed().unwrap_or_default();
                state.warned.is_none_or(|at| at.elapsed() > lasts)
            });
            if is_told && !is_new {
                return false;
            }
            state.warned = Some(Instant::now());
            true
        })
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
            timings: self.counters.timings(),
            pending: state.pending,
            applied_to: state.applied_to,
            last_error: state.last_error.clone(),
            waiting: state.waiting(),
        })
    }
}

/// What is tried again after an error; inserts are counted where they are repeated.
fn retried(error: &(dyn std::error::Error + 'static)) -> Option<Retried> {
    if error.is::<ExtractError>() {
        return Some(Retried::Source);
    }
    match error.downcast_ref::<EngineError>() {
        Some(EngineError::Writing(_)) => None,
        Some(EngineError::Sink(_)) => Some(Retried::Target),
        Some(EngineError::Source(_) | EngineError::Reading(_)) => Some(Retried::Source),
        Some(EngineError::Stream(_)) => Some(Retried::Stream),
        Some(EngineError::State(_)) => Some(Retried::State),
        _ => Some(Retried::Other),
    }
}
