//! Applies the changes of one pipeline as they come: one batch is written while the next one is made and a third gathers.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use async_channel::Receiver;
use bson::Timestamp;
use tokio::task::JoinHandle;
use zenith_arrow::Schema;
use zenith_extract::{ChangeSource, ResumeToken, Source};
use zenith_state::StateStore;
use zenith_transport::Sink;

use super::batching::{BatchReadiness, Limits, PendingEvents};
use super::context::Context;
use super::event::{EventBatch, EventKind, Gone};
use super::flush::{Assembler, Batch, Work};
use super::pace::Pace;
use super::position::Position;
use super::progress::Phase;
use super::start::Follower;
use super::tokens::Tokens;
use super::write::commit;
use crate::layout::Layout;
use crate::progress::to_u64;
use crate::settings::OnDrop;
use crate::{EngineError, Result};

/// How far behind the source a change is no longer in time, so that few large inserts serve better than many small ones.
/// Cluster times are whole seconds.
const BEHIND: Duration = Duration::from_secs(3);
/// How long changes are gathered then, unless there are enough before.
const BEHIND_PAUSE: Duration = Duration::from_secs(1);
/// Between two checkpoints of a stream in which nothing happens to the collection.
const IDLE_SAVE: Duration = Duration::from_secs(1);

/// Gathers changes and has them written.
pub(super) struct Apply<S, K, T> {
    context: Arc<Context<S, K, T>>,
    schema: Arc<Schema>,
    /// Absent while it assembles.
    assembler: Option<Assembler<S, K, T>>,
    assembling: Option<JoinHandle<Assembled<S, K, T>>>,
    /// What did not fit into the batch before.
    rest: Option<Work>,
    /// Waits until the one before is written.
    assembled: Option<Batch>,
    writing: Option<Writing>,
    waiting: PendingEvents,
    limits: Limits,
    pace: Pace,
    taken_at: Instant,
    /// Up to where changes are on their way.
    taken: Position,
    /// Up to where everything is in the table.
    position: Position,
    /// Changes written since the pipeline was set up.
    rows: u64,
    /// The place after everything that has come, and the time of it.
    seen: Option<(ResumeToken, Option<SystemTime>)>,
    saved: Instant,
    /// An insert of an earlier run that may or may not have landed.
    repetition: Option<BatchReplay>,
    tokens: Tokens,
    /// Where a run that only catches up may end, once that is known.
    until: Arc<OnceLock<Timestamp>>,
}

type Assembled<S, K, T> = (Assembler<S, K, T>, Result<(Batch, Option<Work>)>);
type Writing = JoinHandle<Result<(Position, u64)>>;
type Joined<V> = std::result::Result<V, tokio::task::JoinError>;

struct BatchReplay {
    token: String,
    to: Position,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Apply<S, K, T> {
    pub(super) fn new(
        context: Arc<Context<S, K, T>>,
        follower: &Follower,
        tokens: Tokens,
        until: Arc<OnceLock<Timestamp>>,
    ) -> Result<Apply<S, K, T>> {
        let repetition = match follower.intents.first() {
            Some(intent) => {
                Some(BatchReplay { token: intent.token.clone(), to: Position::decode(&intent.to)? })
            }
            None => None,
        };
        let pace = Pace::new(context.settings.flush_interval);
        let limits =
            Limits { rows: context.settings.flush_rows.max(1), bytes: context.memory.waiting_bytes() };
        Ok(Apply {
            schema: Arc::new(follower.schema.clone()),
            assembler: Some(Assembler::new(Arc::clone(&context), &follower.schema)),
            assembling: None,
            rest: None,
            assembled: None,
            writing: None,
            waiting: PendingEvents::new(),
            limits,
            taken_at: Instant::now().checked_sub(pace.pause()).unwrap_or_else(Instant::now),
            pace,
            taken: follower.position.clone(),
            position: follower.position.clone(),
            rows: follower.rows,
            seen: None,
            saved: Instant::now(),
            repetition,
            tokens,
            until,
            context,
        })
    }

    /// Applies changes until there are no more, the goal is reached, or the pipeline is stopped.
    pub(super) async fn run(mut self, portions: Receiver<EventBatch>) -> Result<()> {
        let stop = self.context.stop.clone();
        let mut open = true;
        loop {
            self.context.live.pending(to_u64(self.waiting.len()));
            self.write_assembled();
            let wake = self.begin_assembling().await?;
            if !self.is_busy() && self.waiting.is_empty() {
                self.save_idle(false).await?;
                if !open || self.is_done() {
                    break;
                }
            }
            if !open && !self.is_busy() && self.repetition.is_some() {
                // The rest of what is to be repeated comes with the next stream.
                return Ok(());
            }
            // A stream that has ended says nothing more; what has come is still written.
            let wake = wake.unwrap_or_else(|| Instant::now() + IDLE_SAVE);
            tokio::select! {
                biased;
                ended = ended(&mut self.writing) => self.written(ended).await?,
                ended = ended(&mut self.assembling) => self.assembled(ended).await?,
                () = stop.stopped() => break,
                portion = portions.recv(), if open => match portion {
                    Ok(portion) => self.take(portion),
                    Err(_) => open = false,
                },
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
        if let Some(writing) = self.writing.take() {
            let ended = writing.await;
            self.written(ended).await?;
        }
        if self.waiting.is_empty() && self.taken == self.position && self.repetition.is_none() {
            self.save_idle(true).await?;
        }
        if stop.is_stopped() { Err(EngineError::Stopped) } else { Ok(()) }
    }

    /// Whether changes are on their way to the table.
    fn is_busy(&self) -> bool {
        self.assembling.is_some() || self.rest.is_some() || self.assembled.is_some() || self.writing.is_some()
    }

    fn take(&mut self, portion: EventBatch) {
        let bytes = portion.events.iter().map(|event| event.bytes).sum();
        self.context.live.counters.read(portion.events.len(), bytes);
        self.context.live.counters.memory(self.context.memory.pool().stats().in_use);
        self.waiting.push(portion.events);
        self.seen = Some((portion.after, portion.source_time));
    }

    /// Has the next batch made if there are changes for one, or says when to look again.
    ///
    /// While another is being written only a full one is made: changes that come one by one are better written together.
    async fn begin_assembling(&mut self) -> Result<Option<Instant>> {
        if self.assembling.is_some() || self.assembled.is_some() {
            return Ok(None);
        }
        if let Some(rest) = self.rest.take() {
            self.assemble(rest)?;
            return Ok(None);
        }
        if let Some(repetition) = self.repetition.take() {
            return self.begin_repeating(repetition).await;
        }
        if self.waiting.is_empty() {
            return Ok(None);
        }
        let pause = self.pace.pause();
        let pause = if self.is_behind() { pause.max(BEHIND_PAUSE) } else { pause };
        let is_writing = self.writing.is_some();
        let due = if is_writing { Instant::now() + IDLE_SAVE } else { self.taken_at + pause };
        match self.waiting.ready(self.limits, due) {
            BatchReadiness::At(when) => Ok(Some(when)),
            // First what came before it is written.
            BatchReadiness::Gone if is_writing => Ok(None),
            BatchReadiness::Gone => {
                self.gone().await?;
                Ok(Some(Instant::now()))
            }
            BatchReadiness::Rows(count) => {
                let token = self.tokens.next();
                self.take_changes(count, token, false)?;
                Ok(None)
            }
        }
    }

    /// Whether there are more changes to come than can be in time.
    fn is_behind(&self) -> bool {
        let seen = self.seen.as_ref().and_then(|(_, time)| *time);
        seen.and_then(|time| time.elapsed().ok()).is_some_and(|lag| lag >= BEHIND)
    }

    /// Writes exactly the changes of an insert that an earlier run began, under its name.
    async fn begin_repeating(&mut self, repetition: BatchReplay) -> Result<Option<Instant>> {
        let (count, behind) = self.waiting.up_to(repetition.to.token.order());
        let reached = self.seen.as_ref().is_some_and(|(seen, _)| seen.order() >= repetition.to.token.order());
        if reached || behind {
            if count == 0 {
                self.context.state.abandon_intent(&self.context.name, &repetition.token).await?;
                return Ok(Some(Instant::now()));
            }
            self.take_changes(count, repetition.token, true)?;
            return Ok(None);
        }
        if self.waiting.is_full(self.limits) && self.context.layout() == Layout::Current {
            // The memory budget is smaller than it was. Rows of equal versions replace each other, so that other bounds
            // do no harm here.
            self.context.state.abandon_intent(&self.context.name, &repetition.token).await?;
            return Ok(Some(Instant::now()));
        }
        if self.waiting.is_full(self.limits) {
            return Err(super::flush::too_little_memory(&self.context.name));
        }
        self.repetition = Some(repetition);
        Ok(None)
    }

    /// Takes the first changes, to be written under this name.
    fn take_changes(&mut self, count: usize, token: String, is_repetition: bool) -> Result<()> {
        let events = self.waiting.take(count);
        let (version, index) = self.taken.number_after(&events);
        let (token_after, source_time) = match (&self.seen, events.last()) {
            (Some((seen, time)), _) if self.waiting.is_empty() => (seen.clone(), *time),
            (_, Some(last)) => (last.token()?, Some(super::version::time_of_version(last.version))),
            (_, None) => return Ok(()),
        };
        let to = Position { token: token_after, version, index };
        let from = std::mem::replace(&mut self.taken, to.clone());
        self.taken_at = Instant::now();
        let (changes, waiting) = (events.len(), self.waiting.len());
        tracing::debug!(pipeline = self.context.name, token, changes, waiting, "making a batch");
        let events = Arc::new(events);
        self.assemble(Work { events, from, to, source_time, token, part: 0, is_repetition })
    }

    fn assemble(&mut self, work: Work) -> Result<()> {
        let Some(mut assembler) = self.assembler.take() else {
            return Err(EngineError::Worker { worker: "assembler of changes" });
        };
        self.assembling = Some(tokio::spawn(async move {
            let result = assembler.assemble(work).await;
            (assembler, result)
        }));
        Ok(())
    }

    async fn assembled(&mut self, ended: Joined<Assembled<S, K, T>>) -> Result<()> {
        self.assembling = None;
        let (assembler, result) =
            ended.map_err(|_| EngineError::Worker { worker: "assembler of changes" })?;
        self.assembler = Some(assembler);
        if result.is_err()
            && let Some(writing) = self.writing.take()
        {
            let ended = writing.await;
            self.written(ended).await?;
        }
        let (batch, rest) = result?;
        (self.assembled, self.rest) = (Some(batch), rest);
        Ok(())
    }

    /// Has the batch that is ready written, unless another one is.
    fn write_assembled(&mut self) {
        if self.writing.is_some() {
            return;
        }
        let Some(batch) = self.assembled.take() else { return };
        let (context, schema) = (Arc::clone(&self.context), Arc::clone(&self.schema));
        tracing::debug!(
            pipeline = self.context.name,
            token = batch.token,
            changes = batch.changes,
            "writing"
        );
        self.rows += to_u64(batch.changes);
        let rows = self.rows;
        self.writing = Some(tokio::spawn(async move { commit(&context, &schema, batch, rows).await }));
    }

    async fn written(&mut self, ended: Joined<Result<(Position, u64)>>) -> Result<()> {
        self.writing = None;
        let (position, dead) = ended.map_err(|_| EngineError::Worker { worker: "writer of changes" })??;
        self.position = position;
        self.rows = self.rows.saturating_sub(dead);
        self.saved = Instant::now();
        tracing::debug!(pipeline = self.context.name, waiting = self.waiting.len(), "written");
        if self.context.live.current() == Phase::Retrying {
            self.context.live.phase(Phase::Following);
        }
        self.pace.adapt(&*self.context.sink, &self.context.table).await;
        Ok(())
    }

    /// Moves the checkpoint over what does not concern the collection, so that it does not fall behind the oplog.
    async fn save_idle(&mut self, now: bool) -> Result<()> {
        let Some((seen, time)) = &self.seen else { return Ok(()) };
        self.context.live.applied_to(*time);
        if seen.order() <= self.position.token.order() || self.repetition.is_some() {
            return Ok(());
        }
        if now || self.saved.elapsed() >= IDLE_SAVE {
            let position = Position { token: seen.clone(), ..self.position.clone() };
            let checkpoint = position.checkpoint(self.rows, *time)?;
            self.context.state.advance(&self.context.name, &checkpoint).await?;
            self.move_to(position);
            self.saved = Instant::now();
        }
        Ok(())
    }

    /// The first change is that the collection is gone.
    async fn gone(&mut self) -> Result<()> {
        let events = self.waiting.take(1);
        let Some(event) = events.first() else { return Ok(()) };
        let EventKind::Gone(gone) = event.kind else { return Ok(()) };
        let context = &self.context;
        match context.settings.on_drop {
            OnDrop::Ignore => {}
            OnDrop::Truncate if gone != Gone::Replaced && !self.is_being_read().await? => {
                if context.layout() == Layout::Current {
                    tracing::warn!(
                        pipeline = context.name,
                        "{} {}: its table is emptied",
                        context.namespace,
                        gone.words()
                    );
                    context.retrying(|| context.sink.truncate(&context.table)).await?;
                }
            }
            OnDrop::Stop | OnDrop::Truncate => {
                return Err(EngineError::SourceGone {
                    pipeline: context.name.clone(),
                    namespace: context.namespace.to_string(),
                    what: gone.words(),
                    table: context.table.clone(),
                });
            }
        }
        let position = Position { token: event.token()?, ..self.position.clone() };
        let time = Some(super::version::time_of_version(event.version));
        context.state.advance(&context.name, &position.checkpoint(self.rows, time)?).await?;
        self.move_to(position);
        Ok(())
    }

    fn move_to(&mut self, position: Position) {
        self.taken = position.clone();
        self.position = position;
    }

    /// Whether the first load is under way: rows of it might still arrive after the table was emptied.
    async fn is_being_read(&self) -> Result<bool> {
        let snapshot = self.context.state.snapshot(&self.context.name).await?;
        Ok(snapshot.is_some_and(|snapshot| snapshot.consistent_after.is_none()))
    }

    /// Whether a run that only catches up has come where it was to come.
    fn is_done(&self) -> bool {
        let Some(until) = self.until.get() else { return false };
        let passed = |token: &ResumeToken| token.cluster_time().is_some_and(|time| time >= *until);
        self.repetition.is_none() && self.seen.as_ref().is_some_and(|(seen, _)| passed(seen))
    }
}

impl<S, K, T> Drop for Apply<S, K, T> {
    /// What is only being made has not begun to be written, and comes again.
    fn drop(&mut self) {
        if let Some(assembling) = &self.assembling {
            assembling.abort();
        }
    }
}

/// The end of what is under way; never, if nothing is.
async fn ended<V>(task: &mut Option<JoinHandle<V>>) -> Joined<V> {
    match task {
        Some(handle) => handle.await,
        None => std::future::pending().await,
    }
}
