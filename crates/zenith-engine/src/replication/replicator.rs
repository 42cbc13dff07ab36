//! All pipelines of one source deployment, run side by side.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_channel::Sender;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;
use zenith_extract::{ChangeSource, Namespace, Source};
use zenith_memory::Pool;
use zenith_state::StateStore;
use zenith_transport::Sink;

use super::backoff::{Apart, BackingOff};
use super::clock::SourceClock;
use super::context::Context;
use super::group::Group;
use super::health;
use super::hold::{Life, Ownership};
use super::memory_quota::MemoryQuota;
use super::outcome::{Outcome, Until};
use super::ownership;
use super::progress::{Live, PipelineProgress};
use super::run::PipelineRun;
use super::run_mode::RunMode;
use super::turns::{STOP_TIMEOUT, Stops, Turns};
use crate::batch_transform::{Added, BatchTransform};
use crate::retry::CATCH_UP_TIMEOUT;
use crate::settings::PipelineSettings;
use crate::table_shape::Refusal;
use crate::{EngineError, Result, StopHandle};

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
    pipelines: RwLock<Vec<Arc<Context<S, K, T>>>>,
    /// Pipelines have joined those that run.
    joined: Notify,
    /// Of a run that only catches up.
    retry_budget: Duration,
    pub(super) stop: StopHandle,
    abandon: StopHandle,
    clock: SourceClock,
    life: Arc<Life>,
    underway: Mutex<Option<Underway<S, K, T>>>,
}

/// A run of the pipelines, as far as others may join it.
pub(super) struct Underway<S, K, T> {
    pub(super) mode: RunMode,
    /// Where pipelines go that go on with a stream of their own.
    pub(super) apart: Sender<Apart<S, K, T>>,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Replicator<S, K, T> {
    /// A replicator without pipelines. Give the sinks the same pool, so that they can send from it without copying.
    #[must_use]
    pub fn new(source: S, state: Arc<T>, pool: Pool) -> Replicator<S, K, T> {
        let Stops { stop, abandon } = Stops::new();
        Replicator {
            source: Arc::new(source),
            state,
            memory: MemoryQuota::new(pool.clone(), pool.budget()),
            pipelines: RwLock::default(),
            joined: Notify::new(),
            retry_budget: CATCH_UP_TIMEOUT,
            stop,
            abandon,
            clock: SourceClock::default(),
            life: Arc::new(Life::begin()),
            underway: Mutex::new(None),
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
        self.add_with(pipeline, Added::default())
    }

    /// Adds a pipeline whose rows get columns of the program's own.
    ///
    /// # Errors
    /// As [`Replicator::add`].
    pub fn add_transformed(
        &mut self,
        pipeline: SyncPipeline<K>,
        transform: Arc<dyn BatchTransform>,
    ) -> Result<()> {
        self.add_with(pipeline, Added(Some(transform)))
    }

    fn add_with(&mut self, pipeline: SyncPipeline<K>, added: Added) -> Result<()> {
        let context = self.make(pipeline, added)?;
        self.pipelines.get_mut().unwrap_or_else(PoisonError::into_inner).push(context);
        Ok(())
    }

    /// A pipeline of this replicator that is not among the others yet.
    pub(super) fn make(&self, pipeline: SyncPipeline<K>, added: Added) -> Result<Arc<Context<S, K, T>>> {
        self.memory.check()?;
        let mut settings = pipeline.settings;
        let options = settings.reload_options(self.memory.snapshot_bytes());
        options.check()?;
        options.check_names(&pipeline.table)?;
        settings.check_filter()?;
        if let Some(Refusal { setting, value, reason }) = settings.contradiction() {
            return Err(EngineError::Setting { setting, value, reason });
        }
        settings.shape = options.shape;
        let source = match options.table.filtered(&*self.source)? {
            Some(filtered) => Arc::new(filtered),
            None => Arc::clone(&self.source),
        };
        Ok(Arc::new(Context {
            name: pipeline.name,
            namespace: pipeline.namespace,
            table: pipeline.table,
            settings,
            added,
            source,
            sink: pipeline.sink,
            state: Arc::clone(&self.state),
            memory: self.memory.clone(),
            live: Arc::new(Live::default()),
            clock: self.clock.clone(),
            stop: self.stop.clone(),
            mode: RunMode::Follow { shared: false },
            abandon: self.abandon.clone(),
            learned: Arc::default(),
            turns: Arc::new(Turns::new(Stops { stop: self.stop.clone(), abandon: self.abandon.clone() })),
            ownership: Arc::new(Ownership::new(&self.life)),
        }))
    }

    /// Takes pipelines among those that run.
    pub(super) fn include(&self, contexts: impl IntoIterator<Item = Arc<Context<S, K, T>>>) {
        self.pipelines.write().unwrap_or_else(PoisonError::into_inner).extend(contexts);
        self.joined.notify_one();
    }

    /// Lets pipelines go that have not begun.
    pub(super) fn exclude(&self, contexts: &[Arc<Context<S, K, T>>]) {
        let is_gone = |known: &Arc<_>| contexts.iter().any(|gone| Arc::ptr_eq(gone, known));
        let mut pipelines = self.pipelines.write().unwrap_or_else(PoisonError::into_inner);
        pipelines.retain(|known| !is_gone(known));
    }

    /// All pipelines there are at the moment.
    pub(super) fn contexts(&self) -> Vec<Arc<Context<S, K, T>>> {
        self.pipelines.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A handle that stops the run. Running inserts are finished if that takes only seconds.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// The progress of the pipelines.
    #[must_use]
    pub fn progress(&self) -> Vec<PipelineProgress> {
        let shown = |context: &Arc<Context<S, K, T>>| {
            context.turns.shown().unwrap_or_else(|| Arc::clone(&context.live)).snapshot(&context.name)
        };
        self.contexts().iter().map(shown).collect()
    }

    /// Whether there is a pipeline of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.context(name).is_ok()
    }

    /// Whether a pipeline is still the one of this name that was added: the state counts its resets and removals, and all
    /// resets so far were made here.
    #[must_use]
    pub fn knows_epoch(&self, name: &str, epoch: u64) -> bool {
        self.context(name).is_ok_and(|context| context.turns.knows_epoch(epoch))
    }

    /// Something of the run under way, if there is one.
    pub(super) fn underway<V>(&self, look: impl FnOnce(&Underway<S, K, T>) -> V) -> Option<V> {
        self.underway.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(look)
    }

    pub(crate) fn context(&self, name: &str) -> Result<Arc<Context<S, K, T>>> {
        let pipelines = self.pipelines.read().unwrap_or_else(PoisonError::into_inner);
        let found = pipelines.iter().find(|context| context.name == name);
        found.cloned().ok_or_else(|| EngineError::Setting {
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
        let mut followers = Vec::new();
        let mut alone = Vec::new();
        let mode = self.mode(until);
        for context in &self.contexts() {
            let run = PipelineRun::start(context, mode).await?;
            if context.settings.mode.follows_changes() {
                followers.push(run);
            } else {
                alone.push(vec![run]);
            }
        }
        self.remember_conditions(&self.contexts()).await?;
        let all = self.run_all(std::iter::once(followers).chain(alone), mode);
        let outcomes = tokio::select! {
            biased;
            outcomes = all => Ok(outcomes),
            () = self.watch(mode) => Err(EngineError::Worker { worker: "watch of both ends" }),
        };
        let contexts = self.contexts();
        health::tell_end(&contexts, mode).await;
        ownership::release(&contexts).await;
        guard.abort();
        outcomes
    }

    /// Watches both ends of the pipelines, from when others join of these as well; never ends.
    async fn watch(&self, mode: RunMode) {
        loop {
            let contexts = self.contexts();
            tokio::select! {
                biased;
                () = self.joined.notified() => {}
                () = health::watch(&contexts, mode) => return,
            }
        }
    }

    /// Takes over what earlier runs noted and only a reload changes.
    pub(super) async fn remember_conditions(&self, contexts: &[Arc<Context<S, K, T>>]) -> Result<()> {
        let noted: HashMap<_, _> = self.state.conditions().await?.into_iter().collect();
        for context in contexts {
            context.live.detached(noted.get(&context.name).and_then(|noted| noted.detached.clone()));
        }
        Ok(())
    }

    fn mode(&self, until: Until) -> RunMode {
        let contexts = self.contexts();
        let following = contexts.iter().filter(|context| context.settings.mode.follows_changes());
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

    /// Runs pipelines until each has ended. All that follow changes and can begin at once share one stream. A pipeline whose
    /// servers do not answer delays no other; it begins later with a stream of its own.
    async fn run_all(
        &self,
        all: impl Iterator<Item = Vec<PipelineRun<S, K, T>>>,
        mode: RunMode,
    ) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = Vec::new();
        let (apart, left_alone) = async_channel::unbounded();
        let underway = |underway| *self.underway.lock().unwrap_or_else(PoisonError::into_inner) = underway;
        let mut groups: FuturesUnordered<_> = all.map(|runs| self.keep(runs, &apart)).collect();
        let mut backing_off = BackingOff::new();
        underway(Some(Underway { mode, apart: apart.clone() }));
        loop {
            let is_any = !groups.is_empty() || !backing_off.is_empty() || !left_alone.is_empty();
            tokio::select! {
                biased;
                Ok(left) = left_alone.recv(), if is_any => match left {
                    Apart::Now(runs) => groups.push(self.keep(runs, &apart)),
                    Apart::Later(run, pause) => backing_off.add(run, pause),
                },
                Some(runs) = backing_off.next() => groups.push(self.keep(runs, &apart)),
                Some(ended) = groups.next() => for outcome in ended {
                    // One that was started again has ended once more.
                    outcomes.retain(|earlier| earlier.name != outcome.name);
                    outcomes.push(outcome);
                },
                else => {
                    // Whoever wants to start one more either has done so by now or finds nothing to join.
                    underway(None);
                    if left_alone.is_empty() {
                        return outcomes;
                    }
                    underway(Some(Underway { mode, apart: apart.clone() }));
                }
            }
        }
    }

    /// Runs pipelines by one stream, or one that needs none.
    fn keep<'r>(
        &'r self,
        mut runs: Vec<PipelineRun<S, K, T>>,
        apart: &Sender<Apart<S, K, T>>,
    ) -> BoxFuture<'r, Vec<Outcome>> {
        match runs.pop() {
            Some(run) if !run.context.settings.mode.follows_changes() => {
                let known = run.clone();
                let task = AbortOnDropHandle::new(tokio::spawn(run.alone().instrument(known.context.span())));
                async move {
                    match task.await {
                        Ok(outcome) => vec![outcome],
                        Err(_) => vec![known.finish(Err(EngineError::Worker { worker: "pipeline" })).await],
                    }
                }
                .boxed()
            }
            last => {
                runs.extend(last);
                self.group(apart).follow(runs).boxed()
            }
        }
    }

    fn group(&self, apart: &Sender<Apart<S, K, T>>) -> Group<S, K, T> {
        Group {
            source: Arc::clone(&self.source),
            memory: self.memory.clone(),
            stop: self.stop.clone(),
            clock: self.clock.clone(),
            apart: apart.clone(),
        }
    }
}
