//! All pipelines of one source deployment, run side by side.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_channel::Sender;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::task::JoinSet;
use zenith_extract::{ChangeSource, Namespace, Source};
use zenith_memory::Pool;
use zenith_state::StateStore;
use zenith_transport::Sink;

use super::clock::SourceClock;
use super::context::Context;
use super::group::Group;
use super::health;
use super::memory_quota::MemoryQuota;
use super::outcome::{Outcome, Until};
use super::progress::{Live, PipelineProgress};
use super::run::PipelineRun;
use super::run_mode::RunMode;
use crate::retry::CATCH_UP_TIMEOUT;
use crate::settings::{Mode, PipelineSettings};
use crate::{EngineError, Result, StopHandle, Summary};

/// How long running inserts may take to end after a stop was asked for.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
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
    clock: SourceClock,
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
            clock: SourceClock::default(),
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
        if let Some((setting, value, reason)) = pipeline.settings.contradiction() {
            let (value, reason) = (value.to_owned(), reason.to_owned());
            return Err(EngineError::Setting { setting, value, reason });
        }
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
            clock: self.clock.clone(),
            stop: self.stop.clone(),
            mode: RunMode::Follow { shared: false },
            abandon: self.abandon.clone(),
            learned: Arc::default(),
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
        let mode = self.mode(until);
        for context in &self.pipelines {
            let run = PipelineRun::start(context, mode).await?;
            if context.settings.mode.follows_changes() {
                followers.push(run);
            } else {
                running.spawn(async move {
                    let result = run.without_stream().await;
                    run.finish(result).await
                });
            }
        }
        self.remember_conditions().await?;
        let all = async {
            let mut outcomes = self.follow(followers).await;
            while let Some(ended) = running.join_next().await {
                outcomes.push(ended.map_err(|_| EngineError::Worker { worker: "pipeline" })?);
            }
            Ok(outcomes)
        };
        let outcomes = tokio::select! {
            outcomes = all => outcomes,
            () = health::watch(&self.pipelines, mode) => Err(EngineError::Worker { worker: "watch of both ends" }),
        };
        guard.abort();
        outcomes
    }

    /// Takes over what earlier runs noted and only a reload changes.
    async fn remember_conditions(&self) -> Result<()> {
        let noted: HashMap<_, _> = self.state.conditions().await?.into_iter().collect();
        for context in &self.pipelines {
            context.live.detached(noted.get(&context.name).and_then(|noted| noted.detached.clone()));
        }
        Ok(())
    }

    fn mode(&self, until: Until) -> RunMode {
        let following = self.pipelines.iter().filter(|context| context.settings.mode.follows_changes());
        match until {
            // Also those that come to have a stream of their own share the memory.
            Until::Stopped => RunMode::Follow { shared: following.count() > 1 },
            Until::CaughtUp => self.catch_up(),
        }
    }

    /// The mode of a run that ends by itself.
    pub(super) fn catch_up(&self) -> RunMode {
        RunMode::CatchUp { timeout: self.retry_budget }
    }

    /// Runs the pipelines that follow changes until each has ended. All that can begin at once share one stream. A
    /// pipeline whose servers do not answer delays no other; it begins later with a stream of its own.
    async fn follow(&self, all: Vec<PipelineRun<S, K, T>>) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let (apart, left_alone) = async_channel::unbounded();
        let group = |runs| self.group(&apart).follow(runs).boxed();
        let mut groups: FuturesUnordered<_> = std::iter::once(group(all)).collect();
        while !groups.is_empty() || !left_alone.is_empty() {
            tokio::select! {
                biased;
                Ok(runs) = left_alone.recv() => groups.push(group(runs)),
                Some(ended) = groups.next() => outcomes.extend(ended),
            }
        }
        outcomes
    }

    fn group(&self, apart: &Sender<Vec<PipelineRun<S, K, T>>>) -> Group<S, K, T> {
        Group {
            source: Arc::clone(&self.source),
            memory: self.memory.clone(),
            stop: self.stop.clone(),
            clock: self.clock.clone(),
            apart: apart.clone(),
        }
    }

    /// Reloads the table of one pipeline; following continues from there without a gap.
    ///
    /// # Errors
    /// As a reload; the table is then as it was.
    pub async fn reload(&self, name: &str) -> Result<Summary> {
        let context = self.context(name)?;
        let run = PipelineRun::start(context, context.mode).await?;
        let result = match context.settings.mode {
            Mode::IdCursor => super::id_cursor::empty(&run.context).await,
            _ => run.context.reload_now().await,
        };
        let (summary, result) = match result {
            Ok(summary) => (Some(summary), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let outcome = run.finish(result).await;
        match (summary, outcome.error) {
            (Some(summary), None) => Ok(summary),
            (_, Some(error)) => Err(error),
            (None, None) => Err(EngineError::Stopped),
        }
    }
}
