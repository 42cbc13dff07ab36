//! All pipelines of one source deployment, run side by side.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use tokio::task::JoinSet;
use zenith_extract::{ChangeSource, Namespace, Source, StartAt, WatchOptions};
use zenith_memory::Pool;
use zenith_state::StateStore;
use zenith_transport::Sink;

use super::context::Context;
use super::memory_quota::MemoryQuota;
use super::outcome::{Outcome, Until};
use super::progress::{Live, Phase, PipelineProgress};
use super::run::{alone, finish, follow_pipeline, start};
use super::start::Follower;
use super::stream::{Ended, Route, hand_out};
use crate::retry::{CATCH_UP_TIMEOUT, RetryBudget};
use crate::settings::{Mode, PipelineSettings};
use crate::{EngineError, Result, StopHandle, Summary};

/// How long running inserts may take to end after a stop was asked for.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle stream waits for a reply: the most that its checkpoint may be late.
const IDLE: Duration = Duration::from_millis(500);
/// Replies that may wait for a pipeline before the stream waits for it.
const PORTIONS: usize = 8;

/// One pipeline to be run.
#[derive(Debug)]
pub struct SyncPipeline<K> {
    /// Its name in the state.
    pub name: String,
    /// The collection.
    pub namespace: Namespace,
    /// The table.
    pub table: String,
    /// The sink that has the table.
    pub sink: Arc<K>,
    /// The settings.
    pub settings: PipelineSettings,
}

/// Keeps tables in step with collections of one deployment.
pub struct Replicator<S, K, T> {
    pub(super) source: Arc<S>,
    state: Arc<T>,
    pub(super) memory: MemoryQuota,
    pub(super) pipelines: Vec<Arc<Context<S, K, T>>>,
    /// Of a run that only catches up.
    retry_budget: Duration,
    pub(super) stop: StopHandle,
    abandon: StopHandle,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Replicator<S, K, T> {
    /// A replicator without pipelines. Give the sinks the same pool, so that they can send from it without copying.
    #[must_use]
    pub fn new(source: S, state: Arc<T>, pool: Pool) -> Replicator<S, K, T> {
        Replicator {
            source: Arc::new(source),
            state,
            memory: MemoryQuota::new(pool.clone(), pool.budget()),
            pipelines: Vec::new(),
            retry_budget: CATCH_UP_TIMEOUT,
            stop: StopHandle::new(),
            abandon: StopHandle::new(),
        }
    }

    /// Limits the replicator to these bytes of the pool. Call it before you add pipelines.
    #[must_use]
    pub fn with_memory(self, bytes: usize) -> Replicator<S, K, T> {
        let memory = MemoryQuota::new(self.memory.pool().clone(), bytes);
        Replicator { memory, ..self }
    }

    /// How long a run that catches up waits for a server that does not answer; a minute by default. Call it before
    /// you add pipelines.
    #[must_use]
    pub fn with_retry_budget(self, retry_budget: Duration) -> Replicator<S, K, T> {
        Replicator { retry_budget, ..self }
    }

    /// Adds a pipeline, which must be in the state already.
    ///
    /// # Errors
    /// [`EngineError::Setting`] for settings that cannot work.
    pub fn add(&mut self, pipeline: SyncPipeline<K>) -> Result<()> {
        self.memory.check()?;
        let options = pipeline.settings.reload_options(self.memory.snapshot_bytes());
        options.check()?;
        options.check_names(&pipeline.table)?;
        self.pipelines.push(Arc::new(Context {
            name: pipeline.name,
            namespace: pipeline.namespace,
            table: pipeline.table,
            settings: pipeline.settings,
            source: Arc::clone(&self.source),
            sink: pipeline.sink,
            state: Arc::clone(&self.state),
            memory: self.memory.clone(),
            live: Arc::new(Live::default()),
            stop: self.stop.clone(),
            once: AtomicBool::new(false),
            retry_budget: self.retry_budget,
            shares_stream: AtomicBool::new(false),
            abandon: self.abandon.clone(),
            findings: Mutex::default(),
            planned: Mutex::default(),
            anew: AtomicBool::new(false),
            are_leftovers_told: AtomicBool::new(false),
            is_sampled_whole: AtomicBool::new(false),
        }));
        Ok(())
    }

    /// A handle that stops the run. Running inserts are finished if that takes only seconds.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// The progress of the pipelines.
    #[must_use]
    pub fn progress(&self) -> Vec<PipelineProgress> {
        self.pipelines.iter().map(|context| context.live.snapshot(&context.name)).collect()
    }

    pub(crate) fn context(&self, name: &str) -> Result<&Arc<Context<S, K, T>>> {
        self.pipelines.iter().find(|context| context.name == name).ok_or_else(|| EngineError::Setting {
            setting: "the pipeline",
            value: name.to_owned(),
            reason: "there is none of that name".to_owned(),
        })
    }

    /// Runs all pipelines. A pipeline that fails does not stop the others.
    ///
    /// # Errors
    /// Only failures that concern all pipelines.
    pub async fn run(&self, until: Until) -> Result<Vec<Outcome>> {
        let guard = {
            let (stop, abandon) = (self.stop.clone(), self.abandon.clone());
            tokio::spawn(async move {
                stop.stopped_for(STOP_TIMEOUT).await;
                abandon.stop();
            })
        };
        let mut running = JoinSet::new();
        let mut followers = Vec::new();
        for context in &self.pipelines {
            context.once.store(until == Until::CaughtUp, Ordering::Relaxed);
            let run = start(context).await?;
            if context.settings.mode.follows_changes() {
                followers.push((Arc::clone(context), run));
            } else {
                let context = Arc::clone(context);
                running.spawn(async move {
                    let result = alone(&context, run, until).await;
                    finish(&context, run, result).await
                });
            }
        }
        let follow = self.follow(followers, until);
        let mut outcomes = follow.await;
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok(outcome) => outcomes.push(outcome),
                Err(_) => return Err(EngineError::Worker { worker: "pipeline" }),
            }
        }
        guard.abort();
        Ok(outcomes)
    }

    /// Runs the pipelines that follow changes until each has ended. All that can begin at once share one stream. A
    /// pipeline whose servers do not answer delays no other; it begins later with a stream of its own.
    async fn follow(&self, all: Vec<WaitingPipeline<S, K, T>>, until: Until) -> Vec<Outcome> {
        let tried = join_all(all.into_iter().map(|(context, run)| async move {
            let follower = self.try_set_up(&context).await;
            (context, run, follower)
        }));
        let (mut ready, mut late, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
        for (context, run, follower) in tried.await {
            match follower {
                Ok(follower) => ready.push((context, run, follower)),
                Err(error) if error.is_passing() => {
                    context.live.phase(Phase::Retrying);
                    context.live.failed(&error);
                    late.push((context, run));
                }
                Err(error) => outcomes.push(finish(&context, run, Err(error)).await),
            }
        }
        let (apart, left_alone) = async_channel::unbounded();
        let alone = |one| self.follow_group(Vec::new(), vec![one], until, &apart);
        let mut groups: FuturesUnordered<_> = late.into_iter().map(alone).collect();
        groups.push(self.follow_group(ready, Vec::new(), until, &apart));
        while !groups.is_empty() || !left_alone.is_empty() {
            tokio::select! {
                biased;
                Ok(one) = left_alone.recv() => groups.push(alone(one)),
                Some(ended) = groups.next() => outcomes.extend(ended),
            }
        }
        outcomes
    }

    /// Follows with one stream, and sets pipelines up again when it has failed.
    async fn follow_group(
        &self,
        mut ready: Vec<ReadyPipeline<S, K, T>>,
        mut left: Vec<WaitingPipeline<S, K, T>>,
        until: Until,
        apart: &Apart<S, K, T>,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut retry_budget = RetryBudget::new((until == Until::CaughtUp).then_some(self.retry_budget));
        loop {
            for (context, run) in std::mem::take(&mut left) {
                match self.set_up(&context).await {
                    Ok(follower) => ready.push((context, run, follower)),
                    Err(error) => outcomes.push(finish(&context, run, Err(error)).await),
                }
            }
            if ready.is_empty() {
                return outcomes;
            }
            let (ended, again) =
                self.follow_once(std::mem::take(&mut ready), until, apart, &mut retry_budget).await;
            outcomes.extend(ended);
            left = again;
        }
    }

    async fn try_set_up(&self, context: &Arc<Context<S, K, T>>) -> Result<Follower> {
        let (schema, position) = context.set_up().await?;
        let rows = context.state.checkpoint(&context.name).await?.map_or(0, |saved| saved.rows);
        let intents = context.state.open_intents(&context.name).await?;
        let epoch = context.state.epoch(&context.name).await?;
        Ok(Follower { schema, position, rows, intents, epoch })
    }

    /// Sets a pipeline up, again and again while the source or the target is away.
    async fn set_up(&self, context: &Arc<Context<S, K, T>>) -> Result<Follower> {
        let mut retry_budget = context.retry_budget();
        loop {
            let error = match context.unless_stopped(self.try_set_up(context)).await? {
                Ok(follower) => return Ok(follower),
                Err(error) => error,
            };
            let pause = if error.is_passing() { retry_budget.next() } else { None };
            let Some(pause) = pause else { return Err(error) };
            context.failing(&error, pause);
            context.live.phase(Phase::Retrying);
            context.stop.pause(pause).await?;
        }
    }

    /// Opens the stream and follows it. Gives back what has ended, and what has to be set up again. A pipeline whose
    /// target is away for longer goes on `apart`.
    async fn follow_once(
        &self,
        ready: Vec<ReadyPipeline<S, K, T>>,
        until: Until,
        apart: &Apart<S, K, T>,
        retry_budget: &mut RetryBudget,
    ) -> Halted<S, K, T> {
        let mut outcomes = Vec::new();
        // Also those with a stream of their own share the memory.
        let following = self.pipelines.iter().filter(|context| context.settings.mode.follows_changes());
        let shared = following.count() > 1 && until == Until::Stopped;
        let from = ready
            .iter()
            .map(|(_, _, follower)| &follower.position.token)
            .min_by(|a, b| a.order().cmp(b.order()))
            .cloned();
        let namespaces: Vec<Namespace> =
            ready.iter().map(|(context, _, _)| context.namespace.clone()).collect();
        let opened = async {
            let found = self.source.change_preflight(&namespaces).await?;
            let mut options = WatchOptions::new(found.scope, namespaces, self.memory.stream().clone());
            options.from = from.map_or(StartAt::Now, StartAt::Token);
            options.idle = IDLE;
            options.images = ready.iter().any(|(context, _, _)| context.uses_images());
            self.source.watch(options).await
        };
        let reader = tokio::select! {
            biased;
            () = self.stop.stopped() => {
                for (context, run, _) in ready {
                    outcomes.push(finish(&context, run, Err(EngineError::Stopped)).await);
                }
                return (outcomes, Vec::new());
            }
            reader = opened => reader,
        };
        let reader = match reader {
            Ok(reader) => reader,
            Err(error) => {
                let left = ready.into_iter().map(|(context, run, _)| (context, run)).collect();
                return self.after_failure(error, left, retry_budget).await;
            }
        };
        let mut routes = Vec::new();
        let mut tasks = JoinSet::new();
        let mut running = HashMap::new();
        let mut left = Vec::new();
        for (context, run, follower) in ready {
            context.shares_stream.store(shared, Ordering::Relaxed);
            let (sender, portions) = async_channel::bounded(PORTIONS);
            routes.push(Route {
                namespace: context.namespace.clone(),
                order: follower.position.token.order().to_vec(),
                portions: sender,
            });
            let known = (Arc::clone(&context), run);
            let task = tasks.spawn(async move {
                let ending = portions.clone();
                let result = follow_pipeline(&context, run, follower, portions, until).await;
                // What is left in the channel would hold memory that the stream needs for the others.
                ending.close();
                while ending.try_recv().is_ok() {}
                result
            });
            running.insert(task.id(), known);
        }
        let mut handing_out = Box::pin(hand_out(reader, routes, &self.stop, retry_budget));
        let mut halted = None;
        while halted.is_none() || !running.is_empty() {
            let task = tokio::select! {
                ended = &mut handing_out, if halted.is_none() => {
                    halted = Some(ended);
                    continue;
                }
                Some(task) = tasks.join_next_with_id() => task,
            };
            let (id, result) = match task {
                Ok((id, result)) => (id, result),
                Err(error) => (error.id(), Err(EngineError::Worker { worker: "pipeline" })),
            };
            let Some((context, run)) = running.remove(&id) else { continue };
            match (&halted, result) {
                // It has written what came before the stream failed.
                (Some(Ended::Failed(_)), Ok(())) => left.push((context, run)),
                // What has been read of the collection shows that it needs other columns: the table is loaded anew.
                (_, Err(error @ (EngineError::Key { .. } | EngineError::Surprise { .. })))
                    if context.settings.mode == Mode::Changes =>
                {
                    context.load_anew(error);
                    match apart.try_send((context, run)) {
                        Ok(()) => {}
                        // The receiver outlives all groups.
                        Err(unsent) => left.push(unsent.into_inner()),
                    }
                }
                (_, Err(error)) if shared && error.is_passing() => {
                    tracing::warn!(pipeline = context.name, "{error}: the others go on without it");
                    context.live.failed(&error);
                    context.live.phase(Phase::Retrying);
                    // The receiver outlives all groups.
                    let _ = apart.try_send((context, run));
                }
                (_, result) => outcomes.push(finish(&context, run, result).await),
            }
        }
        drop(handing_out);
        let halted = halted.unwrap_or(Ended::Quietly);
        match halted {
            Ended::Quietly => (outcomes, left),
            Ended::Failed(error) => {
                let (failed, again) = self.after_failure(error, left, retry_budget).await;
                outcomes.extend(failed);
                (outcomes, again)
            }
        }
    }

    /// Reloads the table of one pipeline; following continues from there without a gap.
    ///
    /// # Errors
    /// As a reload; the table is then as it was.
    pub async fn reload(&self, name: &str) -> Result<Summary> {
        let context = self.context(name)?;
        let run = start(context).await?;
        let result = match context.settings.mode {
            Mode::IdCursor => super::cursor::empty(context).await,
            _ => context.reload_now().await,
        };
        let (summary, result) = match result {
            Ok(summary) => (Some(summary), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let outcome = finish(context, run, result).await;
        match (summary, outcome.error) {
            (Some(summary), None) => Ok(summary),
            (_, Some(error)) => Err(error),
            (None, None) => Err(EngineError::Stopped),
        }
    }
}

type ReadyPipeline<S, K, T> = (Arc<Context<S, K, T>>, i64, Follower);
pub(super) type WaitingPipeline<S, K, T> = (Arc<Context<S, K, T>>, i64);
/// Where pipelines go that are to go on by themselves.
type Apart<S, K, T> = async_channel::Sender<WaitingPipeline<S, K, T>>;
/// Pipelines that have ended, and those to be set up again.
pub(super) type Halted<S, K, T> = (Vec<Outcome>, Vec<WaitingPipeline<S, K, T>>);
