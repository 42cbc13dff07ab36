//! Whose turn it is with a pipeline: that of its run, or that of somebody who changes it meanwhile.

use std::future::Future as _;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::progress::Live;
use crate::{EngineError, Result, StopHandle};

/// How long running inserts may take to end after a stop was asked for.
pub(super) const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The turns of one pipeline.
#[derive(Debug)]
pub(crate) struct Turns {
    turn: Arc<Semaphore>,
    /// Of the whole replicator.
    all: Stops,
    /// How many others wait for their turn.
    wanted: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What stops the run, if there is one.
    run: Option<Stops>,
    /// What somebody else shows of the work that is done instead.
    shown: Option<Arc<Live>>,
    /// How often the pipeline has been reset, as far as this process knows; `None` while that changes.
    epoch: Option<u64>,
}

/// What stops a run.
#[derive(Clone, Debug)]
pub(crate) struct Stops {
    pub(crate) stop: StopHandle,
    /// Asked some seconds after `stop`: what is still under way is given up.
    pub(crate) abandon: StopHandle,
}

impl Stops {
    pub(crate) fn new() -> Stops {
        Stops { stop: StopHandle::new(), abandon: StopHandle::new() }
    }

    /// For a part of what these stop.
    pub(crate) fn child(&self) -> Stops {
        Stops { stop: self.stop.child(), abandon: self.abandon.child() }
    }
}

/// Counts who waits, also when they wait no more.
struct Wanting<'t>(&'t AtomicUsize);

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Turns {
    pub(super) fn new(all: Stops) -> Turns {
        Turns {
            turn: Arc::new(Semaphore::new(1)),
            all,
            wanted: AtomicUsize::new(0),
            state: Mutex::new(State::default()),
        }
    }

    fn with<V>(&self, change: impl FnOnce(&mut State) -> V) -> V {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What stops all pipelines.
    pub(super) fn all(&self) -> &Stops {
        &self.all
    }

    /// A run begins, though its turn may not have come.
    pub(super) fn begin(&self) -> Stops {
        let stops = self.all.child();
        self.with(|state| state.run = Some(stops.clone()));
        stops
    }

    /// The run has ended.
    pub(super) fn end(&self) {
        self.with(|state| state.run = None);
    }

    pub(super) fn is_running(&self) -> bool {
        self.with(|state| state.run.is_some())
    }

    /// The turn of the run, once nobody else wants it; `None` if everything is stopped first.
    pub(super) async fn of_run(&self) -> Option<(OwnedSemaphorePermit, Stops)> {
        loop {
            let permit = tokio::select! {
                biased;
                () = self.all.stop.stopped() => return None,
                permit = Arc::clone(&self.turn).acquire_owned() => permit.ok()?,
            };
            if let Some(stops) = self.go_on() {
                return Some((permit, stops));
            }
            drop(permit);
            tokio::task::yield_now().await;
        }
    }

    /// The same, if it is there at once.
    pub(super) fn try_of_run(&self) -> Option<(OwnedSemaphorePermit, Stops)> {
        let permit = Arc::clone(&self.turn).try_acquire_owned().ok()?;
        self.go_on().map(|stops| (permit, stops))
    }

    fn go_on(&self) -> Option<Stops> {
        self.with(|state| {
            if self.wanted.load(Ordering::SeqCst) > 0 {
                return None;
            }
            let stops = self.all.child();
            state.run = Some(stops.clone());
            Some(stops)
        })
    }

    /// The turn of somebody else: the run comes to rest first, with what it is writing.
    ///
    /// # Errors
    /// [`EngineError::Stopped`] if everything is stopped first.
    pub(super) async fn of_another(&self) -> Result<OwnedSemaphorePermit> {
        self.wanted.fetch_add(1, Ordering::SeqCst);
        let _wanting = Wanting(&self.wanted);
        let mut turn = pin!(Arc::clone(&self.turn).acquire_owned());
        // In the queue before the run could be.
        let first = std::future::poll_fn(|cx| match turn.as_mut().poll(cx) {
            Poll::Ready(permit) => Poll::Ready(Some(permit)),
            Poll::Pending => Poll::Ready(None),
        });
        if let Some(permit) = first.await {
            return permit.map_err(|_| EngineError::Stopped);
        }
        let run = self.with(|state| state.run.clone());
        if let Some(run) = &run {
            run.stop.stop();
        }
        let abandon = async {
            if let Some(run) = &run {
                run.stop.stopped_for(STOP_TIMEOUT).await;
                run.abandon.stop();
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = self.all.stop.stopped() => Err(EngineError::Stopped),
            permit = turn => permit.map_err(|_| EngineError::Stopped),
            () = abandon => Err(EngineError::Stopped),
        }
    }

    /// What displays show instead of the run.
    pub(super) fn show(&self, live: Option<Arc<Live>>) {
        self.with(|state| state.shown = live);
    }

    pub(super) fn shown(&self) -> Option<Arc<Live>> {
        self.with(|state| state.shown.clone())
    }

    /// Notes how often the pipeline has been reset; `None` before this process resets it.
    pub(super) fn know_epoch(&self, epoch: Option<u64>) {
        self.with(|state| state.epoch = epoch);
    }

    /// Whether this process has reset the pipeline so often itself, or is at it.
    pub(super) fn knows_epoch(&self, epoch: u64) -> bool {
        self.with(|state| state.epoch.is_none_or(|known| known >= epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_run_makes_way_and_goes_on() {
        let turns = Arc::new(Turns::new(Stops::new()));
        turns.begin();
        let (permit, stops) = turns.of_run().await.unwrap();
        let other = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.of_another().await }
        });
        stops.stop.stopped().await;
        // What does not come to an end by itself is given up.
        stops.abandon.stopped().await;
        drop(permit);
        assert!(turns.try_of_run().is_none());
        let permit = other.await.unwrap().unwrap();
        assert!(turns.is_running() && turns.try_of_run().is_none());
        drop(permit);
        let (_permit, stops) = turns.of_run().await.unwrap();
        assert!(!stops.stop.is_stopped());
    }

    #[tokio::test]
    async fn who_waits_no_more_keeps_nobody_waiting() {
        let turns = Arc::new(Turns::new(Stops::new()));
        turns.begin();
        let (permit, stops) = turns.of_run().await.unwrap();
        let other = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.of_another().await.map(|_| ()) }
        });
        stops.stop.stopped().await;
        other.abort();
        assert!(other.await.unwrap_err().is_cancelled());
        drop(permit);
        assert!(turns.try_of_run().is_some());
        turns.all().stop.stop();
        let _turn = Arc::clone(&turns.turn).acquire_owned().await;
        assert!(turns.of_run().await.is_none() && turns.of_another().await.is_err());
    }
}
