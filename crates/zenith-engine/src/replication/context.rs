//! What every part of one pipeline knows.

use std::sync::Arc;
use std::time::Duration;

use tracing::Span;
use zenith_arrow::{Decoder, DecoderOptions, Schema};
use zenith_extract::{ChangeSource, CollectionKind, Namespace, Source};
use zenith_state::{Mismatches, StateStore};
use zenith_transport::Sink;

use super::clock::SourceClock;
use super::hold::Ownership;
use super::learned::{Anew, Learned};
use super::memory_quota::MemoryQuota;
use super::progress::{Cause, Live};
use super::run_mode::RunMode;
use super::turns::{Stops, Turns};
use crate::batch_transform::Added;
use crate::error::sentence;
use crate::layout::Layout;
use crate::load::context::{LoadContext, Repeats};
use crate::load::findings::{Findings, Planned};
use crate::mismatches::{Advice, DeadLetters};
use crate::policies::{Deletes, Mode, OnDrop};
use crate::reload::ReloadPlan;
use crate::retry::RetryBudget;
use crate::settings::PipelineSettings;
use crate::{EngineError, Pipeline, Result, StopHandle, Summary};

/// One pipeline of a replicator.
pub(crate) struct Context<S, K, T> {
    pub(crate) name: String,
    pub(crate) namespace: Namespace,
    pub(crate) table: String,
    pub(crate) settings: PipelineSettings,
    /// Columns that a program adds to rows.
    pub(crate) added: Added,
    pub(crate) source: Arc<S>,
    pub(crate) sink: Arc<K>,
    pub(crate) state: Arc<T>,
    pub(crate) memory: MemoryQuota,
    pub(crate) live: Arc<Live>,
    pub(crate) clock: SourceClock,
    pub(crate) mode: RunMode,
    pub(crate) stop: StopHandle,
    /// Asked some seconds after `stop`: what is still under way is given up.
    pub(crate) abandon: StopHandle,
    pub(crate) learned: Arc<Learned>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) ownership: Arc<Ownership>,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    pub(crate) fn layout(&self) -> Layout {
        match self.settings.mode {
            Mode::Full | Mode::IdCursor => Layout::Rows,
            Mode::Changes if self.settings.deletes == Deletes::Mark => {
                Layout::Marked { moves: self.settings.shape.has_places(Layout::Current.rows()) }
            }
            Mode::Changes => Layout::Current,
            Mode::ChangeLog => Layout::Log,
        }
    }

    /// Whether updates are to come with the document, where the collection keeps images.
    pub(crate) fn uses_images(&self) -> bool {
        self.settings.post_images.unwrap_or(self.settings.mode == Mode::ChangeLog)
    }

    /// A decoder of documents as they are in the source.
    pub(super) fn decoder(&self, schema: &Schema, options: DecoderOptions) -> Result<Decoder> {
        self.settings.options.decoder(schema, self.memory.pool(), options)
    }

    /// A reload of this pipeline's collection into its table.
    pub(crate) fn reload(&self, replace: bool) -> Pipeline<S, K> {
        let mut options = self.settings.reload_options(self.memory.snapshot_bytes());
        options.replace = replace;
        // What is loaded again on request is to have the columns that suit it best.
        options.keep_types = !replace;
        options.shape = options.shape.with_constants(&self.namespace.database, &self.namespace.collection);
        Pipeline {
            source: Arc::clone(&self.source),
            sink: Arc::clone(&self.sink),
            namespace: self.namespace.clone(),
            table: self.table.clone(),
            pool: self.memory.pool().clone(),
            options,
            name: Some(self.name.clone()),
            owner: self.ownership.owner().map(str::to_owned),
            layout: self.layout(),
            read_concern: zenith_extract::ReadConcern::Configured,
            added: self.added.clone(),
            note: None,
            guarded: true,
            progress: Arc::clone(&self.live.counters),
            stop: self.stop.clone(),
        }
    }

    /// The same, of which only the plan is asked for.
    pub(crate) fn looking(&self) -> Pipeline<S, K> {
        let mut pipeline = self.reload(true);
        pipeline.options.try_table = false;
        pipeline
    }

    /// Tables that loads of the table which were killed seem to have left behind; none where that cannot be asked.
    pub(crate) async fn leftovers(&self) -> Vec<String> {
        let found = self.sink.tables(&crate::reload::shadow_prefix(&self.table)).await;
        found.unwrap_or_default()
    }

    /// Tells of them, once. Another load may be under way, so none is dropped.
    pub(crate) async fn tell_leftovers(&self) {
        if self.learned.tells_leftovers() {
            for leftover in self.leftovers().await {
                tracing::warn!(pipeline = self.name, "{}", left_behind(&leftover));
            }
        }
    }

    /// What a load would do.
    pub(crate) async fn plan(&self, pipeline: &Pipeline<S, K>) -> Result<ReloadPlan> {
        let findings = self.findings();
        let plan = self.unless_stopped(crate::reload::plan(pipeline, &findings)).await?;
        let plan = plan.map_err(|error| error.of_pipeline(&self.name, &self.settings))?;
        let documents = plan.source.collection.size.map(|size| size.documents);
        let is_whole = documents.is_some_and(|documents| crate::progress::to_u64(plan.sampled) >= documents);
        self.learned.sampled(is_whole);
        Ok(plan)
    }

    /// What the rest of a first snapshot is held against, after the sample that the table was made of is gone: a sample of
    /// now, and the columns of the table.
    pub(crate) async fn plan_rest(&self) -> Result<Option<Planned>> {
        if !self.findings().may_surprise() {
            return Ok(None);
        }
        match self.plan(&self.looking()).await {
            Ok(plan) => Ok(Some(Planned { is_of_table: false, ..plan.held_against() })),
            Err(EngineError::Stopped) => Err(EngineError::Stopped),
            Err(error) => {
                tracing::warn!(
                    pipeline = self.name,
                    "the rest of the collection is read without looking for kinds of values that have no column, as no \
                     sample could be had: {}",
                    sentence(&error)
                );
                Ok(None)
            }
        }
    }

    /// Loads the whole collection in the place of what the table has; its columns may keep their types.
    pub(crate) async fn load_whole(&self, keep_types: bool) -> Result<Summary> {
        let mut pipeline = self.reload(true);
        pipeline.options.keep_types = keep_types;
        let plan = self.plan(&pipeline).await?;
        self.claim().await?;
        let summary = Box::pin(pipeline.execute(&plan)).await?;
        self.claim().await?;
        self.replaced(&summary).await?;
        if self.settings.mode == Mode::Full {
            self.note_loaded_columns(&summary.schema).await?;
        }
        Ok(summary)
    }

    /// Refuses what has no index of `_id` and no changes of its own, where the mode needs them.
    pub(crate) fn check_kind(&self, kind: CollectionKind) -> Result<()> {
        let what = match kind {
            _ if self.settings.mode == Mode::Full => return Ok(()),
            CollectionKind::Collection | CollectionKind::Capped => return Ok(()),
            CollectionKind::TimeSeries => "a time series",
            CollectionKind::View => "a view",
        };
        Err(EngineError::Setting {
            setting: "the mode",
            value: self.settings.mode.name().to_owned(),
            reason: format!(
                "{} is {what}, which has neither an index of _id nor changes: mode = \"full\" loads it whole each time it runs",
                self.namespace
            ),
        })
    }

    /// Notes that the table has been replaced by a new one, and what of it did not fit.
    pub(crate) async fn replaced(&self, summary: &Summary) -> Result<()> {
        let mismatches = summary.mismatches();
        self.state.set_mismatches(&self.name, &mismatches).await?;
        self.live.mismatches(&mismatches, &self.name, self.advice(true));
        Ok(())
    }

    /// Does something with the sink until it succeeds, fails for good or for too long, or the pipeline is stopped.
    pub(crate) async fn retrying<V, F>(&self, action: impl FnMut() -> F) -> Result<V>
    where
        F: Future<Output = std::result::Result<V, zenith_transport::TransportError>>,
    {
        self.trying(self.mode.retry_budget_of_target(), action, EngineError::Sink).await
    }

    /// Asks the source until it answers, fails for good, or the pipeline is stopped.
    pub(crate) async fn asking<V, F>(&self, question: impl FnMut() -> F) -> Result<V>
    where
        F: Future<Output = zenith_extract::Result<V>>,
    {
        self.trying(self.mode.retry_budget(), question, EngineError::Reading).await
    }

    async fn trying<V, E, F>(
        &self,
        mut retry_budget: RetryBudget,
        mut action: impl FnMut() -> F,
        error: fn(E) -> EngineError,
    ) -> Result<V>
    where
        F: Future<Output = std::result::Result<V, E>>,
    {
        loop {
            match self.unless_stopped(action()).await? {
                Ok(value) => {
                    self.live.goes_on(Cause::Pipeline);
                    return Ok(value);
                }
                Err(failure) => self.wait_after(error(failure), &mut retry_budget).await?,
            }
        }
    }

    /// The outcome of `future`, unless the pipeline is stopped first.
    pub(crate) async fn unless_stopped<V>(&self, future: impl Future<Output = V>) -> Result<V> {
        tokio::select! {
            biased;
            () = self.stop.stopped() => Err(EngineError::Stopped),
            output = future => Ok(output),
        }
    }
}

impl<S, K, T> Context<S, K, T> {
    /// The same pipeline, run in this mode.
    pub(crate) fn in_mode(&self, mode: RunMode) -> Arc<Context<S, K, T>> {
        let stops = Stops { stop: self.stop.clone(), abandon: self.abandon.clone() };
        self.with(mode, Arc::clone(&self.live), stops)
    }

    /// The same pipeline, for what is done beside its run.
    pub(super) fn aside(&self, live: Arc<Live>, stops: Stops) -> Arc<Context<S, K, T>> {
        self.with(self.mode, live, stops)
    }

    /// The same pipeline, stopped by these.
    pub(super) fn stopped_by(&self, stops: Stops) -> Arc<Context<S, K, T>> {
        self.with(self.mode, Arc::clone(&self.live), stops)
    }

    fn with(&self, mode: RunMode, live: Arc<Live>, stops: Stops) -> Arc<Context<S, K, T>> {
        Arc::new(Context {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            table: self.table.clone(),
            settings: self.settings.clone(),
            added: self.added.clone(),
            source: Arc::clone(&self.source),
            sink: Arc::clone(&self.sink),
            state: Arc::clone(&self.state),
            memory: self.memory.clone(),
            live,
            clock: self.clock.clone(),
            mode,
            stop: stops.stop,
            abandon: stops.abandon,
            learned: Arc::clone(&self.learned),
            turns: Arc::clone(&self.turns),
            ownership: Arc::clone(&self.ownership),
        })
    }

    /// What loads of the table have found.
    pub(crate) fn findings(&self) -> Findings {
        self.learned.findings()
    }

    /// Keeps what loads have found for the next plan.
    pub(crate) fn found(&self, findings: Findings) {
        self.learned.found(findings);
    }

    /// The error of a change whose `_id` the key column does not hold, where the table is not created again for it.
    pub(crate) fn key_mismatch(&self, error: EngineError) -> EngineError {
        let EngineError::Key { id, found, .. } = error else { return error };
        EngineError::KeyMismatch {
            namespace: self.namespace.to_string(),
            table: self.table.clone(),
            id,
            found,
            remedy: match self.settings.mode {
                mode if mode == Mode::ChangeLog || self.settings.refused_load().is_some() => {
                    format!("give the pipeline {} another table (table = \"…\")", self.name)
                }
                _ => format!("zenith reload {} makes a table that can", self.name),
            },
        }
    }

    /// Keeps the sample of a plan for the first snapshot to be held against, unless a load has found more already, or those of
    /// others take the room.
    pub(crate) fn keep_planned(&self, plan: &ReloadPlan) {
        let kept = self.findings().may_surprise().then(|| plan.held_against());
        self.learned.plan(kept.and_then(|planned| {
            let room = self.memory.sample(planned.sample.size())?;
            Some((planned, room))
        }));
    }

    /// Whether a table that follows stops with this only to be loaded again: for other columns, or as its collection is
    /// there no more.
    pub(super) fn is_loaded_anew_after(&self, error: &EngineError) -> bool {
        let by_itself = self.settings.on_drop == OnDrop::Reload;
        self.settings.mode == Mode::Changes
            && match error {
                EngineError::Key { .. } | EngineError::Surprise { .. } => true,
                EngineError::SourceGone { .. } => by_itself,
                error => by_itself && error.is_of_lost_collection(),
            }
    }

    /// Has the table loaded again when the pipeline is set up the next time, for what was found of the collection.
    pub(crate) fn load_anew(&self, error: EngineError) {
        let anew = match error {
            EngineError::Surprise { .. } => {
                let mut findings = self.findings();
                // It takes what is a reason to load anew, and says so.
                let _ = findings.take(error, &Schema::default(), &self.table);
                self.found(findings);
                Anew::Columns
            }
            EngineError::Key { .. } => {
                // The load meets the same key, takes a wider one, and warns of it.
                tracing::info!(pipeline = self.name, "the table is loaded again with other columns: {error}");
                Anew::Columns
            }
            EngineError::SourceGone { what, .. } => Anew::Gone(what),
            _ => Anew::Gone("was dropped or replaced while it was read"),
        };
        if let Anew::Gone(what) = anew {
            let (collection, table) = (&self.namespace, &self.table);
            tracing::info!(pipeline = self.name, "{collection} {what}: {table} is loaded again");
        }
        self.live.counters.restart();
        self.set_anew(Some(anew));
    }

    pub(super) fn set_anew(&self, anew: Option<Anew>) {
        self.learned.load_anew(anew);
    }

    pub(super) fn anew(&self) -> Option<Anew> {
        self.learned.anew()
    }

    /// The sample that the columns of a table just made were chosen from, unless other columns have been chosen before.
    pub(crate) fn take_planned(&self) -> Option<Planned> {
        self.learned.take_planned()
    }

    /// Notes what of rows that are in the table now did not fit; the state knows it already.
    pub(crate) fn counted(&self, mismatches: &Mismatches, is_load: bool) {
        self.live.counters.extra(mismatches.values_total());
        self.live.mismatches(mismatches, &self.name, self.advice(is_load));
    }

    fn advice(&self, is_load: bool) -> Advice<'_> {
        Advice::of(&self.settings, is_load, self.learned.is_sampled_whole())
    }

    /// Whether what failed may succeed later in this run. One that follows waits for people as well.
    pub(crate) fn is_worth_waiting(&self, error: &EngineError) -> bool {
        error.is_passing() || (!self.mode.ends() && error.is_mendable())
    }

    /// Waits before something that failed is tried again.
    ///
    /// # Errors
    /// The error, if it will not pass or the time for it is up; [`EngineError::Stopped`] once the pipeline is stopped.
    pub(crate) async fn wait_after(&self, error: EngineError, retry_budget: &mut RetryBudget) -> Result<()> {
        let pause = if self.is_worth_waiting(&error) { retry_budget.next() } else { None };
        let Some(pause) = pause else { return Err(error) };
        self.failing(&error, pause);
        self.live.pause(&self.stop, pause).await
    }

    /// Names the pipeline on every line of the log that is written inside.
    pub(super) fn span(&self) -> Span {
        // Of the highest level, so that no filter of lines takes the names from those that it lets pass.
        tracing::error_span!("pipeline", pipeline = self.name, namespace = %self.namespace)
    }

    /// The same for one insert.
    pub(super) fn insert_span(&self, token: &str) -> Span {
        tracing::error_span!("insert", pipeline = self.name, namespace = %self.namespace, token)
    }

    /// Says that something failed and will be tried again.
    pub(crate) fn failing(&self, error: &(dyn std::error::Error + 'static), pause: Duration) {
        if self.live.retries(error) {
            tracing::warn!(pipeline = self.name, "{}; trying again in {pause:?}", sentence(error));
        }
    }

    /// A load of rows of this pipeline, under this name. What changes write may end after the pipeline was stopped.
    pub(crate) fn load(&self, run: String, repeats: Repeats) -> LoadContext {
        let stop = match repeats {
            Repeats::ByLoad | Repeats::Uncounted => &self.stop,
            Repeats::ByPipeline => &self.abandon,
        };
        LoadContext {
            run,
            pipeline: self.name.clone(),
            dead_letters: self.settings.options.dead_letters.clone(),
            namespace: self.namespace.clone(),
            pool: self.memory.pool().clone(),
            progress: Arc::clone(&self.live.counters),
            on_bad_document: self.settings.options.on_bad_document,
            hides: self.settings.options.changes_documents(),
            index: self.settings.options.index_field(),
            added: self.added.clone(),
            dead: DeadLetters::default(),
            repeats,
            stop: stop.clone(),
            abort: stop.child(),
        }
    }

    /// The outcome of `future`, unless it takes too long after the pipeline was stopped.
    pub(crate) async fn unless_abandoned<V>(&self, future: impl Future<Output = V>) -> Result<V> {
        tokio::select! {
            biased;
            () = self.abandon.stopped() => Err(EngineError::Stopped),
            output = future => Ok(output),
        }
    }
}

/// What is to be done about a table that a killed load left behind.
pub(crate) fn left_behind(table: &str) -> String {
    format!("the table {table} was left behind by an earlier load; drop it if none is running")
}
