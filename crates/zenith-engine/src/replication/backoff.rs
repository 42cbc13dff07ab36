//! A pipeline that cannot write keeps no other waiting: it leaves their stream with all that it holds of their memory, waits
//! for a while, and goes on from its checkpoint by another stream.
//!
//! Where its target is away, it waits until that answers again. All that waited for the same end go on together, so that
//! there are no more streams after an outage than there are pipelines in different places.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::{FailureKind, Sink, TransportError};

use super::context::Context;
use super::health::silence_of_target;
use super::progress::Away;
use super::run::PipelineRun;
use crate::retry::{CONTENDED_PAUSE, RetryBudget};
use crate::{EngineError, Result};

/// How far apart the places of pipelines may be that go on together: a stream begins at the first of them.
const NEAR: Duration = Duration::from_secs(60);

/// Pipelines that have left a stream, or never had one.
pub(super) enum Apart<S, K, T> {
    /// They go on at once.
    Now(Vec<PipelineRun<S, K, T>>),
    /// It waits so long first, or until an end that is away answers again.
    Later(PipelineRun<S, K, T>, Duration),
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Apart<S, K, T> {
    /// A pipeline that has failed and may succeed later.
    pub(super) fn after_failure(run: PipelineRun<S, K, T>) -> Apart<S, K, T> {
        // One that catches up waits as long as its mode says, by itself.
        if !run.context.mode.is_shared() {
            return Apart::Now(vec![run]);
        }
        run.context.live.leaves();
        let pause = run.context.learned.next_backoff();
        Apart::Later(run, pause)
    }
}

/// A pipeline that has waited, and whether an end that was away answers again.
type Waited<S, K, T> = (PipelineRun<S, K, T>, bool);

/// Pipelines that wait until they may go on.
pub(super) struct BackingOff<S, K, T> {
    waiting: FuturesUnordered<BoxFuture<'static, Waited<S, K, T>>>,
    ready: VecDeque<Vec<PipelineRun<S, K, T>>>,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> BackingOff<S, K, T> {
    pub(super) fn new() -> BackingOff<S, K, T> {
        BackingOff { waiting: FuturesUnordered::new(), ready: VecDeque::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.ready.is_empty()
    }

    pub(super) fn add(&mut self, run: PipelineRun<S, K, T>, pause: Duration) {
        let wait = async move {
            let is_back = run.context.back_off(pause).await;
            (run, is_back)
        };
        self.waiting.push(wait.boxed());
    }

    /// The next that go on, by one stream; `None` if none waits. Nothing is lost if this is dropped.
    pub(super) async fn next(&mut self) -> Option<Vec<PipelineRun<S, K, T>>> {
        if let Some(runs) = self.ready.pop_front() {
            return Some(runs);
        }
        let mut together = Vec::new();
        let mut next = Some(self.waiting.next().await?);
        while let Some((run, is_back)) = next {
            // One that is loaded again would keep the others waiting.
            if is_back && run.context.anew().is_none() {
                together.push(run);
            } else {
                self.ready.push_back(vec![run]);
            }
            // An end that answers again is told to all at the same moment.
            next = self.waiting.next().now_or_never().flatten();
        }
        let place = |run: &PipelineRun<S, K, T>| run.context.live.reached();
        let newest = together.iter().filter_map(place).max();
        let (near, far): (Vec<_>, Vec<_>) = together.into_iter().partition(|run| is_near(place(run), newest));
        self.ready.extend(far.into_iter().map(|run| vec![run]));
        self.ready.extend((!near.is_empty()).then_some(near));
        self.ready.pop_front()
    }
}

fn is_near(place: Option<SystemTime>, newest: Option<SystemTime>) -> bool {
    match (place, newest) {
        (Some(place), Some(newest)) => newest.duration_since(place).unwrap_or_default() <= NEAR,
        (place, newest) => place == newest,
    }
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// The outcome of something that is done with the target, unless that is known to be away while other pipelines wait
    /// for what this one holds.
    pub(super) async fn unless_in_the_way<V>(&self, action: impl Future<Output = Result<V>>) -> Result<V> {
        if !self.mode.is_shared() {
            return action.await;
        }
        let in_the_way = async {
            loop {
                self.live.when(|away| away.target).await;
                tokio::select! {
                    biased;
                    () = self.live.when(|away| !away.target) => {}
                    () = self.memory.contended() => return,
                }
            }
        };
        tokio::select! {
            biased;
            outcome = action => outcome,
            () = in_the_way => Err(self.silence().into()),
        }
    }

    /// The error of a target that is known to be away.
    fn silence(&self) -> TransportError {
        match self.live.silence_of_target() {
            Some(reason) => TransportError::other(FailureKind::Transient, reason),
            None => silence_of_target(),
        }
    }

    /// Waits before something that failed at the target is tried again, though not for long if other pipelines wait for what
    /// this one holds, and only once.
    ///
    /// # Errors
    /// As [`Context::wait_after`]; and the error, if others wait and it has been tried again before.
    pub(super) async fn wait_for_target(
        &self,
        error: EngineError,
        retry_budget: &mut RetryBudget,
    ) -> Result<()> {
        if !self.mode.is_shared() {
            return self.wait_after(error, retry_budget).await;
        }
        let is_worth_waiting = self.is_worth_waiting(&error);
        let Some(pause) = is_worth_waiting.then(|| retry_budget.next()).flatten() else { return Err(error) };
        self.failing(&error, pause);
        tokio::select! {
            biased;
            paused = self.live.pause(&self.stop, pause) => paused,
            () = self.memory.contended() => if retry_budget.is_first() {
                self.stop.pause(CONTENDED_PAUSE).await
            } else {
                Err(error)
            },
        }
    }

    /// Something has been written.
    pub(super) fn recovered(&self) {
        self.live.recovers();
        self.learned.recovered();
    }

    /// Waits for a while or, if an end is away, until it answers again; says whether it does. A stop ends what comes next.
    async fn back_off(&self, pause: Duration) -> bool {
        let pause = async {
            tokio::select! {
                biased;
                () = self.live.when(|away| away.any()) => {}
                _ = self.stop.pause(pause) => return false,
            }
            self.live.when(|away| *away == Away::default()).await;
            true
        };
        tokio::select! {
            biased;
            () = self.stop.stopped() => false,
            is_back = pause => is_back,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_near_within_a_minute() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert!(is_near(at(100), at(100)) && is_near(at(40), at(100)));
        assert!(!is_near(at(39), at(100)) && !is_near(None, at(100)));
        assert!(is_near(None, None));
    }
}
