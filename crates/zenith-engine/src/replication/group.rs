//! Pipelines that follow one change stream together.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_channel::Sender;
use futures_util::{StreamExt as _, stream};
use tokio::task::{Id, JoinSet};
use tracing::Instrument as _;
use zenith_extract::{ChangeSource, ExtractError, Namespace, Source, StartAt, WatchOptions};
use zenith_state::StateStore;
use zenith_transport::Sink;

use super::backoff::Apart;
use super::clock::SourceClock;
use super::event::Wanted;
use super::fan_out::{Ended, Route, fan_out};
use super::health::silence_of_target;
use super::memory_quota::MemoryQuota;
use super::outcome::Outcome;
use super::run::PipelineRun;
use super::start::Follower;
use crate::retry::RetryBudget;
use crate::{EngineError, Result, StopHandle};

/// How long an idle stream waits for a reply: the most that its checkpoint may be late.
const IDLE: Duration = Duration::from_millis(500);
/// Pipelines set up side by side: each asks both ends a dozen questions.
const SET_UP_AT_ONCE: usize = 16;
/// Replies that may wait for a pipeline before the stream waits for it.
const REPLIES: usize = 8;

/// What a group of pipelines shares.
pub(super) struct Group<S, K, T> {
    pub(super) source: Arc<S>,
    pub(super) memory: MemoryQuota,
    pub(super) stop: StopHandle,
    pub(super) clock: SourceClock,
    /// Where pipelines go that are to go on with a stream of their own, alone or together. The receiver outlives all
    /// groups.
    pub(super) apart: Sender<Apart<S, K, T>>,
}

/// The pipelines of a group once their stream has ended.
pub(super) struct Halted<S, K, T> {
    /// How those ended that have.
    pub(super) outcomes: Vec<Outcome>,
    /// Those to be set up again.
    pub(super) again: Vec<PipelineRun<S, K, T>>,
}

impl<S, K, T> Default for Halted<S, K, T> {
    fn default() -> Halted<S, K, T> {
        Halted { outcomes: Vec::new(), again: Vec::new() }
    }
}

type ReadyRun<S, K, T> = (PipelineRun<S, K, T>, Follower);

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Group<S, K, T> {
    /// Follows with one stream, and sets pipelines up again when it has failed, until each has ended or gone apart.
    pub(super) async fn follow(self, again: Vec<PipelineRun<S, K, T>>) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut again = self.turns(again).await;
        let Some(mut retry_budget) = again.first().map(|run| run.context.mode.retry_budget()) else {
            return outcomes;
        };
        loop {
            let mut ready = Vec::new();
            outcomes.extend(self.set_up(std::mem::take(&mut again), &mut ready).await);
            if ready.is_empty() {
                return outcomes;
            }
            let halted = self.follow_once(ready, &mut retry_budget).await;
            outcomes.extend(halted.outcomes);
            again = halted.again;
        }
    }

    /// Those whose turn it is. Where somebody has one of several, it goes apart.
    async fn turns(&self, runs: Vec<PipelineRun<S, K, T>>) -> Vec<PipelineRun<S, K, T>> {
        let is_alone = runs.len() == 1;
        let mut ready = Vec::with_capacity(runs.len());
        for mut run in runs {
            if is_alone {
                ready.push(run.turn().await);
            } else if run.try_turn() {
                ready.push(run);
            } else {
                let _ = self.apart.try_send(Apart::Now(vec![run]));
            }
        }
        ready
    }

    /// Sets pipelines up side by side. One that cannot begin at the moment keeps no other waiting: it goes apart.
    async fn set_up(
        &self,
        runs: Vec<PipelineRun<S, K, T>>,
        ready: &mut Vec<ReadyRun<S, K, T>>,
    ) -> Vec<Outcome> {
        // One that shares the memory of others waits where it holds none of it.
        let is_alone = runs.len() == 1 && runs.iter().all(|run| !run.context.mode.is_shared());
        let runs = self.without_loads(runs).await;
        let silent = &Mutex::new(HashSet::new());
        // All that is waited for is waited for in here: one that is not asked for more could hold the state, and what waits for
        // that would wait for ever.
        let mut tried = stream::iter(runs)
            .map(|run| async move {
                let follower = if is_alone { run.set_up().await } else { set_up_quickly(&run, silent).await };
                match follower {
                    Ok(follower) => Some(Ok((run, follower))),
                    Err(error) if run.rests_after(&error) => {
                        let _ = self.apart.try_send(Apart::Now(vec![run]));
                        None
                    }
                    Err(error) if !is_alone && run.context.is_worth_waiting(&error) => {
                        run.retrying(&error);
                        let _ = self.apart.try_send(Apart::after_failure(run));
                        None
                    }
                    Err(error) => Some(Err(run.finish(Err(error)).await)),
                }
            })
            .buffer_unordered(SET_UP_AT_ONCE);
        let mut outcomes = Vec::new();
        while let Some(tried) = tried.next().await {
            match tried {
                Some(Ok(begun)) => ready.push(begun),
                Some(Err(outcome)) => outcomes.push(outcome),
                None => {}
            }
        }
        outcomes
    }

    /// Those that no others would wait for while they are loaded; the others go apart.
    async fn without_loads(&self, runs: Vec<PipelineRun<S, K, T>>) -> Vec<PipelineRun<S, K, T>> {
        if runs.len() == 1 {
            return runs;
        }
        let mut ready = Vec::with_capacity(runs.len());
        for run in runs {
            // What fails here is told when the pipeline is set up.
            match run.context.begins_with_load().await {
                Ok(true) => drop(self.apart.try_send(Apart::Now(vec![run]))),
                Ok(false) | Err(_) => ready.push(run),
            }
        }
        ready
    }

    /// Opens the stream and follows it until it ends. A pipeline that cannot write goes apart.
    async fn follow_once(
        &self,
        ready: Vec<ReadyRun<S, K, T>>,
        retry_budget: &mut RetryBudget,
    ) -> Halted<S, K, T> {
        let opened = tokio::select! {
            biased;
            () = self.stop.stopped() => None,
            opened = self.open(&ready) => Some(opened),
        };
        let reader = match opened {
            Some(Ok(reader)) => reader,
            Some(Err(error @ ExtractError::Unauthorized { .. })) if ready.len() > 1 => {
                self.split(&error, ready);
                return Halted::default();
            }
            Some(Err(error)) => {
                let left = ready.into_iter().map(|(run, _)| run).collect();
                return self.after_failure(error, left, retry_budget).await;
            }
            None => {
                let mut halted = Halted::default();
                for (run, _) in ready {
                    halted.outcomes.push(run.finish(Err(EngineError::Stopped)).await);
                }
                return halted;
            }
        };
        let (mut running, routes) = Running::spawn(ready);
        let mut stream = Box::pin(fan_out(reader, routes, &self.stop, &self.clock, retry_budget));
        let mut ended = None;
        while ended.is_none() || !running.is_empty() {
            tokio::select! {
                biased;
                end = &mut stream, if ended.is_none() => ended = Some(end),
                Some((run, result)) = running.next() => self.sort(run, result, ended.as_ref(), &mut running.halted).await,
            }
        }
        drop(stream);
        let mut halted = running.halted;
        if let Some(Ended::Failed(error)) = ended {
            let again = std::mem::take(&mut halted.again);
            let after = self.after_failure(error, again, retry_budget).await;
            halted.outcomes.extend(after.outcomes);
            halted.again = after.again;
        }
        halted
    }

    /// Opens the stream at the earliest position of all.
    async fn open(
        &self,
        ready: &[ReadyRun<S, K, T>],
    ) -> std::result::Result<<S as ChangeSource>::Changes, ExtractError> {
        let positions = ready.iter().map(|(_, follower)| &follower.position.token);
        let from = positions.min_by(|a, b| a.order().cmp(b.order())).cloned();
        let namespaces: Vec<Namespace> = ready.iter().map(|(run, _)| run.context.namespace.clone()).collect();
        let found = self.source.change_preflight(&namespaces).await?;
        let mut options = WatchOptions::new(found.scope, namespaces, self.memory.stream().clone());
        options.from = from.map_or(StartAt::Now, StartAt::Token);
        options.idle = IDLE;
        options.images = ready.iter().any(|(run, _)| run.context.uses_images());
        self.source.watch(options).await
    }

    /// Lets pipelines whose common stream this user may not have go on with narrower ones: one for each database, or one
    /// for each collection. A pipeline that was added takes down none that this user may follow.
    fn split(&self, error: &ExtractError, ready: Vec<ReadyRun<S, K, T>>) {
        let databases: HashSet<&str> =
            ready.iter().map(|(run, _)| run.context.namespace.database.as_str()).collect();
        let by_database = databases.len() > 1;
        tracing::info!(
            pipelines = ready.len(),
            "{error}: they are followed by one stream for each {}",
            if by_database { "database" } else { "collection" }
        );
        let mut groups: HashMap<String, Vec<PipelineRun<S, K, T>>> = HashMap::new();
        for (run, _) in ready {
            let namespace = &run.context.namespace;
            let name = if by_database { namespace.database.clone() } else { run.context.name.clone() };
            groups.entry(name).or_default().push(run);
        }
        for group in groups.into_values() {
            let _ = self.apart.try_send(Apart::Now(group));
        }
    }

    /// Decides what becomes of a pipeline that has stopped following.
    async fn sort(
        &self,
        run: PipelineRun<S, K, T>,
        result: Result<()>,
        stream: Option<&Ended>,
        halted: &mut Halted<S, K, T>,
    ) {
        let context = &run.context;
        match result {
            // It has written what came before the stream failed.
            Ok(()) if matches!(stream, Some(Ended::Failed(_))) => halted.again.push(run),
            Err(error) if run.rests_after(&error) => {
                let _ = self.apart.try_send(Apart::Now(vec![run]));
            }
            Err(error) if context.is_loaded_anew_after(&error) => {
                context.load_anew(error);
                let _ = self.apart.try_send(Apart::Now(vec![run]));
            }
            // It finds the table as it is now, and writes the same rows to that.
            Err(EngineError::ColumnsChanged { .. }) => {
                let _ = self.apart.try_send(Apart::Now(vec![run]));
            }
            Err(error) if context.mode.is_shared() && context.is_worth_waiting(&error) => {
                run.retrying(&error);
                let _ = self.apart.try_send(Apart::after_failure(run));
            }
            result => halted.outcomes.push(run.finish(result).await),
        }
    }
}

/// Sets a pipeline up, unless its target has been found not to answer: it is asked by one of its pipelines, so that the
/// others of the group do not wait for all of these.
async fn set_up_quickly<S: Source + ChangeSource, K: Sink + 'static, T: StateStore>(
    run: &PipelineRun<S, K, T>,
    silent: &Mutex<HashSet<usize>>,
) -> Result<Follower> {
    let target = Arc::as_ptr(&run.context.sink).addr();
    let known = || silent.lock().unwrap_or_else(PoisonError::into_inner);
    if known().contains(&target) {
        return Err(silence_of_target().into());
    }
    let follower = run.set_up_quickly().await;
    if matches!(&follower, Err(EngineError::Sink(error)) if error.is_transient()) {
        known().insert(target);
    }
    follower
}

/// Pipelines that follow at the moment.
struct Running<S, K, T> {
    tasks: JoinSet<Result<()>>,
    runs: HashMap<Id, PipelineRun<S, K, T>>,
    halted: Halted<S, K, T>,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Running<S, K, T> {
    /// Lets all begin, and says where their events go.
    fn spawn(ready: Vec<ReadyRun<S, K, T>>) -> (Running<S, K, T>, Vec<Route>) {
        let mut running = Running { tasks: JoinSet::new(), runs: HashMap::new(), halted: Halted::default() };
        let mut routes = Vec::new();
        for (run, follower) in ready {
            let (sender, events) = async_channel::bounded(REPLIES);
            routes.push(Route {
                namespace: run.context.namespace.clone(),
                order: follower.position.token.order().to_vec(),
                wanted: Wanted::of(&run.context.settings),
                events: sender,
            });
            let known = run.clone();
            let following = async move {
                let ending = events.clone();
                let result = run.follow(follower, events).await;
                // What is left in the channel would hold memory that the stream needs for the others.
                ending.close();
                while ending.try_recv().is_ok() {}
                result
            };
            let task = running.tasks.spawn(following.instrument(known.context.span()));
            running.runs.insert(task.id(), known);
        }
        (running, routes)
    }

    fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The next pipeline that ends; `None` if none is left.
    async fn next(&mut self) -> Option<(PipelineRun<S, K, T>, Result<()>)> {
        let (id, result) = match self.tasks.join_next_with_id().await? {
            Ok((id, result)) => (id, result),
            Err(error) => (error.id(), Err(EngineError::Worker { worker: "pipeline" })),
        };
        self.runs.remove(&id).map(|run| (run, result))
    }
}
