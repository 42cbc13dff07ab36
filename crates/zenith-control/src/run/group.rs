//! The pipelines of one source: connected, run, and tried again while what fails concerns all of them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use zenith_engine::{EngineError, PipelineProgress, Until};

use super::build::{Built, build};
use super::desired::{Group, Member};
use super::history::{note_refusal, note_waiting};
use super::shared::{Ended, Shared};
use crate::connect::Replicator;
use crate::failure::Failure;

/// Pauses between tries of a source that cannot be used at all.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What a group is doing, while it runs.
#[derive(Clone, Default)]
pub struct View(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    built: Option<Arc<Built>>,
    /// Pipelines that could not begin with the others, as far as nobody has been told.
    not_begun: Vec<Ended>,
}

impl View {
    /// What its pipelines are doing, while they do it.
    pub fn progress(&self) -> Vec<PipelineProgress> {
        self.replicator().map_or_else(Vec::new, |keeper| keeper.progress())
    }

    /// What runs them, while it does.
    pub fn replicator(&self) -> Option<Arc<Replicator>> {
        self.built().map(|built| Arc::clone(&built.keeper))
    }

    /// Lets further pipelines join, as [`Built::join`].
    pub async fn join(&self, members: &[&Member], shared: &Shared) -> Option<Vec<Ended>> {
        let failed = self.built()?.join(members, shared).await?;
        note_not_begun(&failed, shared).await;
        Some(failed)
    }

    /// The pipelines that could not begin with the others, each once.
    pub fn take_not_begun(&self) -> Vec<Ended> {
        std::mem::take(&mut self.seen().not_begun)
    }

    fn not_begun(&self, failed: Vec<Ended>) {
        self.seen().not_begun.extend(failed);
    }

    fn built(&self) -> Option<Arc<Built>> {
        self.seen().built.clone()
    }

    fn set(&self, built: Option<Arc<Built>>) {
        self.seen().built = built;
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a group until it has ended or `stop` becomes true. Pipelines in `done` are left out.
///
/// A failure of the first try is final: it is nearly always something to be mended, and people wait for it. Later ones
/// are tried again, as servers come and go.
pub async fn keep(
    name: &str,
    group: &Group,
    done: &HashSet<String>,
    shared: &Shared,
    view: &View,
    mut stop: watch::Receiver<bool>,
) -> Vec<Ended> {
    let mut pause = PAUSE_MIN;
    let mut has_run = false;
    let mut since = None;
    loop {
        match attempt(group, done, shared, view, &mut stop, &mut has_run).await {
            Ok(ended) => return ended,
            Err(failure) if shared.until == Until::CaughtUp || !(has_run || may_pass(&failure, shared)) => {
                return all_failed(group, done, &failure, shared).await;
            }
            Err(failure) => {
                let message = failure.message();
                let sentence =
                    format!("{message}; trying again in {} s [{}]", pause.as_secs(), failure.code());
                shared.notices.tell(Some(name), &sentence);
                let since = *since.get_or_insert_with(SystemTime::now);
                // Only for the status.
                let _ = note_waiting(&shared.store, names(group, done), message, since).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stopped(&mut stop) => return Vec::new(),
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Whether a failure of the first try may be over soon, and nobody waits for it.
fn may_pass(failure: &Failure, shared: &Shared) -> bool {
    shared.stays && !failure.is_input()
}

/// Returns once somebody wants the group to stop, or nobody holds it any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn names(group: &Group, done: &HashSet<String>) -> Vec<String> {
    let members = group.members.iter().map(|member| &member.pipeline.name);
    members.filter(|name| !done.contains(*name)).cloned().collect()
}

async fn all_failed(group: &Group, done: &HashSet<String>, failure: &Failure, shared: &Shared) -> Vec<Ended> {
    let ended: Vec<Ended> =
        names(group, done).iter().map(|name| Ended::failed(name, failure.clone())).collect();
    note_not_begun(&ended, shared).await;
    ended
}

/// Notes in the history why these could not begin.
async fn note_not_begun(ended: &[Ended], shared: &Shared) {
    for ended in ended {
        if let Some(failure) = &ended.failure
            && let Err(error) = note_refusal(&shared.store, &ended.name, failure.message()).await
        {
            tracing::warn!(%error, pipeline = ended.name, "the failure cannot be noted in the history");
        }
    }
}

async fn attempt(
    group: &Group,
    done: &HashSet<String>,
    shared: &Shared,
    view: &View,
    stop: &mut watch::Receiver<bool>,
    has_run: &mut bool,
) -> Result<Vec<Ended>, Failure> {
    let built = tokio::select! {
        built = build(group, done, shared) => built?,
        () = stopped(stop) => return Ok(Vec::new()),
    };
    let (built, failed) = built;
    note_not_begun(&failed, shared).await;
    view.not_begun(failed);
    let mut ended = Vec::new();
    let keeper = Arc::clone(&built.keeper);
    view.set(Some(Arc::new(built)));
    let outcomes = {
        let mut run = std::pin::pin!(keeper.run(shared.until));
        tokio::select! {
            outcomes = &mut run => outcomes,
            () = stopped(stop) => {
                keeper.stop_handle().stop();
                run.await
            }
        }
    };
    *has_run = true;
    view.set(None);
    for outcome in outcomes? {
        let done = outcome.error.is_none();
        let failure = match outcome.error {
            None | Some(EngineError::Stopped) => None,
            Some(error) => Some(error.into()),
        };
        let (name, rows, mismatches) = (outcome.name, outcome.rows, outcome.mismatches);
        ended.push(Ended { name, rows, mismatches, failure, done });
    }
    Ok(ended)
}
