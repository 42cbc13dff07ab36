//! The run of one pipeline: its beginning and end in the history, and what it does in between.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_channel::Receiver;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::Instrument as _;
use zenith_extract::{ChangeSource, Source};
use zenith_state::{Figures, RunEnd, RunStart, StateStore};
use zenith_transport::Sink;

use super::apply::apply;
use super::context::Context;
use super::event::EventBatch;
use super::health::answers;
use super::id_cursor::IdCursor;
use super::outcome::Outcome;
use super::progress::Phase;
use super::run_mode::RunMode;
use super::snapshot;
use super::start::Follower;
use super::tokens::Tokens;
use super::turns::Stops;
use crate::error::sentence;
use crate::policies::Mode;
use crate::{EngineError, ProgressSnapshot, Result};

/// Between two notes of the figures of a run.
const TOUCH_EVERY: Duration = Duration::from_secs(2);

/// One run of one pipeline, as the history has it.
pub(super) struct PipelineRun<S, K, T> {
    pub(super) context: Arc<Context<S, K, T>>,
    /// Its number in the history.
    id: i64,
    /// While it is its turn.
    turn: Option<Arc<OwnedSemaphorePermit>>,
}

impl<S, K, T> Clone for PipelineRun<S, K, T> {
    fn clone(&self) -> PipelineRun<S, K, T> {
        PipelineRun { context: Arc::clone(&self.context), id: self.id, turn: self.turn.clone() }
    }
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> PipelineRun<S, K, T> {
    /// A run that begins now; it goes on when its turn comes.
    pub(super) async fn start(context: &Context<S, K, T>, mode: RunMode) -> Result<PipelineRun<S, K, T>> {
        let mode = if context.settings.mode.follows_changes() { mode } else { mode.alone() };
        let context = context.in_mode(mode).stopped_by(context.turns.begin());
        match Self::aside(&context).await {
            Ok(run) => Ok(run),
            Err(error) => {
                context.turns.end();
                Err(error)
            }
        }
    }

    /// A run in the history for something that is done beside that of the pipeline, or instead of it.
    pub(super) async fn aside(context: &Arc<Context<S, K, T>>) -> Result<PipelineRun<S, K, T>> {
        let start = RunStart {
            pipeline: context.name.clone(),
            mode: context.settings.mode.name().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: SystemTime::now(),
        };
        let id = context.state.start_run(&start).await?;
        context.turns.know_epoch(Some(context.state.epoch(&context.name).await?));
        Ok(PipelineRun { context: Arc::clone(context), id, turn: None })
    }

    /// Waits for its turn: somebody else may have the pipeline meanwhile.
    pub(super) async fn turn(mut self) -> PipelineRun<S, K, T> {
        if self.turn.is_none() || self.is_to_rest() {
            self.turn = None;
            let turn = self.context.turns.of_run().await;
            self.go_on(turn);
        }
        self
    }

    /// Takes its turn, if that is there at once; says whether it has it.
    pub(super) fn try_turn(&mut self) -> bool {
        if self.turn.is_none() {
            let turn = self.context.turns.try_of_run();
            self.go_on(turn);
        }
        self.turn.is_some()
    }

    fn go_on(&mut self, turn: Option<(OwnedSemaphorePermit, Stops)>) {
        if let Some((permit, stops)) = turn {
            self.turn = Some(Arc::new(permit));
            self.context = self.context.stopped_by(stops);
        }
    }

    /// Whether it is to make way for somebody else.
    pub(super) fn is_to_rest(&self) -> bool {
        self.context.stop.is_stopped() && !self.context.turns.all().stop.is_stopped()
    }

    /// Whether it has ended with this to make way.
    pub(super) fn rests_after(&self, error: &EngineError) -> bool {
        matches!(error, EngineError::Stopped | EngineError::StoppedLeaving { .. }) && self.is_to_rest()
    }

    async fn try_set_up(&self) -> Result<Follower> {
        let context = &self.context;
        // A future this deep is not for the stack.
        let (schema, position) = Box::pin(context.set_up()).await?;
        let rows = context.state.checkpoint(&context.name).await?.map_or(0, |saved| saved.rows);
        let intents = context.state.open_intents(&context.name).await?;
        let epoch = context.state.epoch(&context.name).await?;
        context.turns.know_epoch(Some(epoch));
        let places = context.places().await?;
        if intents.is_empty() {
            // What failed was not an insert, which is still to be seen to succeed.
            context.recovered();
        }
        Ok(Follower { schema, position, rows, intents, epoch, places })
    }

    /// Sets the pipeline up, unless it is stopped first.
    pub(super) async fn set_up_once(&self) -> Result<Follower> {
        self.context.unless_stopped(self.try_set_up().instrument(self.context.span())).await?
    }

    /// The same where others wait for it: not at all, if its target does not answer.
    pub(super) async fn set_up_quickly(&self) -> Result<Follower> {
        self.context.unless_stopped(answers(&*self.context.sink)).await??;
        self.set_up_once().await
    }

    /// Sets the pipeline up, again and again while the source or the target is away.
    pub(super) async fn set_up(&self) -> Result<Follower> {
        let context = &self.context;
        let mut retry_budget = context.mode.retry_budget();
        loop {
            match self.set_up_once().await {
                Ok(follower) => return Ok(follower),
                Err(error) => {
                    context.live.phase(Phase::Retrying);
                    context.wait_after(error, &mut retry_budget).await?;
                }
            }
        }
    }

    /// Reads the collection if it has not been read yet, and applies its changes meanwhile and afterwards.
    pub(super) async fn follow(self, follower: Follower, events: Receiver<EventBatch>) -> Result<()> {
        let context = &self.context;
        context.live.phase(Phase::Following);
        let tokens = Tokens::new(&context.name, follower.epoch, self.id);
        let (ending, schema) = (events.clone(), follower.schema.clone());
        let places = follower.places.clone();
        let (reached, goal) = oneshot::channel();
        let goal = context.mode.ends().then_some(goal);
        let mut apply = Box::pin(apply(Arc::clone(context), follower, tokens, goal, events));
        // Gone once it is read: of many pipelines most only follow.
        let mut snapshot = Some(Box::pin(self.snapshot(&schema, reached)));
        let mut touch = std::pin::pin!(self.touch());
        let mut purge = std::pin::pin!(context.purge(places.as_ref()));
        let mut is_purging = context.settings.purge_deleted.is_some() && !context.mode.ends();
        loop {
            tokio::select! {
                biased;
                // Without a stream nothing is read either: the parts that are done are noted, and the oplog must not run
                // out while the rest is read.
                applied = &mut apply => {
                    if applied.is_ok() && context.mode.ends() {
                        context.purge_at_end(places.as_ref()).await;
                    }
                    return applied;
                }
                read = async { Some(snapshot.as_mut()?.await) }, if snapshot.is_some() => match read.unwrap_or(Ok(())) {
                    Ok(()) => snapshot = None,
                    Err(error) => {
                        // What is being written comes to its end first.
                        ending.close();
                        self.tell_unwritten(apply.await);
                        return Err(error);
                    }
                },
                () = &mut purge, if is_purging => is_purging = false,
                () = &mut touch => {}
            }
        }
    }

    /// Reads what is left of the snapshot, and says where a run that only catches up may end.
    async fn snapshot(
        &self,
        schema: &zenith_arrow::Schema,
        reached: oneshot::Sender<bson::Timestamp>,
    ) -> Result<()> {
        let context = &self.context;
        if context.settings.mode == Mode::Changes {
            context.live.phase(Phase::Snapshot);
            snapshot::snapshot(context, schema).await?;
            context.live.phase(Phase::Following);
        }
        if context.mode.ends() {
            let now = context.unless_stopped(context.source.now()).await?.map_err(EngineError::Reading)?;
            // Nobody listens where the run has ended.
            let _ = reached.send(now);
        }
        Ok(())
    }

    /// Notes the figures of the run now and then; never ends.
    async fn touch(&self) {
        let mut every = tokio::time::interval(TOUCH_EVERY);
        every.tick().await;
        loop {
            every.tick().await;
            // Only figures for the history.
            let figures = figures(self.context.live.counters.snapshot());
            let _ = self.context.state.touch_run(self.id, figures).await;
        }
    }

    fn tell_unwritten(&self, applied: Result<()>) {
        if let Err(other) = applied
            && !matches!(other, EngineError::Stopped)
        {
            tracing::warn!(
                pipeline = self.context.name,
                "the changes that were being written meanwhile are not all in the table: {}",
                sentence(&other)
            );
        }
    }

    /// Runs a pipeline that needs no stream, and lets it rest when somebody wants that.
    pub(super) async fn alone(self) -> Outcome {
        let mut run = self.turn().await;
        loop {
            match run.without_stream().await {
                Err(error) if run.rests_after(&error) => run = run.turn().await,
                result => return run.finish(result).await,
            }
        }
    }

    async fn without_stream(&self) -> Result<()> {
        let context = &self.context;
        context.guard_names().await?;
        context.guard_target().await?;
        context.meet_owners_in_time().await?;
        if context.settings.mode == Mode::Full {
            context.live.phase(Phase::Snapshot);
            let _turn = context.unless_stopped(context.memory.snapshot()).await?;
            return context.load_whole(true).await.map(|_| ());
        }
        // What has followed its collection for long has rows that the collection may not have any more.
        let has_begun = context.state.checkpoint(&context.name).await?.is_some();
        loop {
            context.schema_to_write().await?;
            match IdCursor::set_up(Arc::clone(context), self.id).await?.run().await {
                Err(error @ EngineError::Key { .. }) if has_begun => return Err(context.key_mismatch(error)),
                Err(error @ EngineError::Key { .. }) => {
                    let Some(schema) = context.schema().await? else { return Err(error) };
                    let mut findings = context.findings();
                    findings.take(error, &schema, &context.table)?;
                    context.found(findings);
                    context.live.counters.restart();
                    super::id_cursor::empty(context).await?;
                }
                // It finds the table as it is now, and writes the same rows to that.
                Err(EngineError::ColumnsChanged { .. }) => {}
                ended => return ended,
            }
        }
    }

    /// The run of the pipeline has ended.
    pub(super) async fn finish(&self, result: Result<()>) -> Outcome {
        self.context.turns.end();
        self.context.ownership.end();
        self.note_end(result).await
    }

    /// Notes how the run ended.
    pub(super) async fn note_end(&self, result: Result<()>) -> Outcome {
        let context = &self.context;
        let done = context.live.counters.snapshot();
        let (outcome, error) = match result {
            Ok(()) => (zenith_state::Outcome::Done, None),
            Err(EngineError::Stopped) => (zenith_state::Outcome::Stopped, None),
            Err(error) => (zenith_state::Outcome::Failed, Some(error)),
        };
        context.live.phase(if error.is_some() { Phase::Failed } else { Phase::Ended });
        if let Some(error) = &error {
            context.live.failed(error);
            tracing::debug!(pipeline = context.name, "the pipeline has failed: {}", sentence(error));
        }
        let end = RunEnd {
            ended: SystemTime::now(),
            outcome,
            figures: figures(done),
            error: error.as_ref().map(|error| sentence(error)),
        };
        let noted = context.state.finish_run(self.id, &end).await;
        Outcome {
            name: context.name.clone(),
            rows: done.rows_written,
            mismatches: context.live.all_mismatches(),
            error: error.or(noted.err().map(EngineError::from)),
        }
    }

    /// Notes that something failed that may pass.
    pub(super) fn retrying(&self, error: &(dyn std::error::Error + 'static)) {
        self.context.live.phase(Phase::Retrying);
        if self.context.live.retries(error) {
            tracing::warn!(pipeline = self.context.name, "{}; trying again", sentence(error));
        }
    }
}

fn figures(done: ProgressSnapshot) -> Figures {
    Figures {
        rows: done.rows_written,
        bytes: done.arrow_bytes,
        extra_values: done.extra_values,
        dead_letters: done.dead_letters,
    }
}
