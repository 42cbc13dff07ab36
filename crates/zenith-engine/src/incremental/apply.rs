//! Applies the changes of one pipeline as they come: one batch is written while the next one gathers.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use async_channel::Receiver;
use bson::Timestamp;
use tokio::task::JoinHandle;
use zenith_extract::{ChangeSource, ResumeToken, Source};
use zenith_state::{Intent, StateStore};
use zenith_transport::Sink;

use super::batching::{Limits, Ready, Waiting};
use super::context::Context;
use super::event::{EventKind, Gone, Portion};
use super::flush::{Flusher, Work};
use super::pace::Pace;
use super::position::Position;
use super::progress::Phase;
use super::settings::OnDrop;
use crate::layout::Layout;
use crate::progress::to_u64;
use crate::{EngineError, Result};

/// Between two checkpoints of a stream in which nothing happens to the collection.
const IDLE_SAVE: Duration = Duration::from_secs(1);

/// Gathers changes and has them written.
pub(super) struct Apply<S, K, T> {
    context: Arc<Context<S, K, T>>,
    /// Absent while it writes.
    flusher: Option<Flusher<S, K, T>>,
    writing: Option<Writing<S, K, T>>,
    waiting: Waiting,
    limits: Limits,
    pace: Pace,
    written_at: Instant,
    /// Up to where everything is in the table.
    position: Position,
    rows: u64,
    /// The place after everything that has come, and the time of it.
    seen: Option<(ResumeToken, Option<SystemTime>)>,
    saved: Instant,
    /// An insert of an earlier run that may or may not have landed.
    repetition: Option<Repetition>,
    tokens: Tokens,
    /// Where a run that only catches up may end, once that is known.
    until: Arc<OnceLock<Timestamp>>,
}

type Written<S, K, T> = (Flusher<S, K, T>, Work, Result<()>);
type Writing<S, K, T> = JoinHandle<Written<S, K, T>>;

struct Repetition {
    token: String,
    to: Position,
}

/// Names of inserts. Each names one try to write certain changes, and its repetitions.
pub(super) struct Tokens {
    prefix: String,
    next: u64,
}

impl Tokens {
    /// The time is in them too: a state that was deleted counts its epochs and runs from the beginning again, and a table
    /// may still remember the names of its earlier life.
    pub(super) fn new(pipeline: &str, epoch: u64, run: i64) -> Tokens {
        Tokens { prefix: format!("{pipeline}/{epoch}/{run}/{}", crate::reload::run_name()), next: 0 }
    }

    pub(super) fn next(&mut self) -> String {
        self.next += 1;
        format!("{}/{}", self.prefix, self.next)
    }
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Apply<S, K, T> {
    pub(super) fn new(
        context: Arc<Context<S, K, T>>,
        flusher: Flusher<S, K, T>,
        position: Position,
        intents: &[Intent],
        tokens: Tokens,
        until: Arc<OnceLock<Timestamp>>,
    ) -> Result<Apply<S, K, T>> {
        let repetition = match intents.first() {
            Some(intent) => {
                Some(Repetition { token: intent.token.clone(), to: Position::decode(&intent.to)? })
            }
            None => None,
        };
        let pace = Pace::new(context.settings.flush_interval);
        let limits =
            Limits { rows: context.settings.flush_rows.max(1), bytes: context.shares.waiting_bytes() };
        Ok(Apply {
            rows: flusher.rows,
            flusher: Some(flusher),
            writing: None,
            waiting: Waiting::new(),
            limits,
            written_at: Instant::now().checked_sub(pace.pause()).unwrap_or_else(Instant::now),
            pace,
            position,
            seen: None,
            saved: Instant::now(),
            repetition,
            tokens,
            until,
            context,
        })
    }

    /// Applies changes until there are no more, the goal is reached, or the pipeline is stopped.
    pub(super) async fn run(mut self, portions: Receiver<Portion>) -> Result<()> {
        let stop = self.context.stop.clone();
        let mut open = true;
        loop {
            self.context.live.pending(to_u64(self.waiting.len()));
            let wake = if self.writing.is_none() { self.begin_writing().await? } else { None };
            if self.writing.is_none() && self.waiting.is_empty() {
                self.save_idle(false).await?;
                if !open || self.is_done() {
                    break;
                }
            }
            if !open && self.writing.is_none() && self.repetition.is_some() {
                // The rest of what is to be repeated comes with the next stream.
                return Ok(());
            }
            // A stream that has ended says nothing more; what has come is still written.
            let wake = wake.unwrap_or_else(|| Instant::now() + IDLE_SAVE);
            tokio::select! {
                biased;
                ended = ended(&mut self.writing) => self.written(ended).await?,
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
        if self.waiting.is_empty() && self.repetition.is_none() {
            self.save_idle(true).await?;
        }
        if stop.is_stopped() { Err(EngineError::Stopped) } else { Ok(()) }
    }

    fn take(&mut self, portion: Portion) {
        let bytes = portion.events.iter().map(|event| event.bytes).sum();
        self.context.live.counters.read(portion.events.len(), bytes);
        self.context.live.counters.memory(self.context.shares.pool().stats().in_use);
        self.waiting.push(portion.events);
        self.seen = Some((portion.after, portion.source_time));
    }

    /// Has the next batch written if there is one, or says when to look again.
    async fn begin_writing(&mut self) -> Result<Option<Instant>> {
        if let Some(repetition) = self.repetition.take() {
            return self.begin_repeating(repetition).await;
        }
        if self.waiting.is_empty() {
            return Ok(None);
        }
        match self.waiting.ready(self.limits, self.written_at + self.pace.pause()) {
            Ready::At(when) => Ok(Some(when)),
            Ready::Gone => {
                self.gone().await?;
                Ok(Some(Instant::now()))
            }
            Ready::Rows(count) => {
                let token = self.tokens.next();
                self.write(count, token, false)?;
                Ok(None)
            }
        }
    }

    /// Writes exactly the changes of an insert that an earlier run began, under its name.
    async fn begin_repeating(&mut self, repetition: Repetition) -> Result<Option<Instant>> {
        let (count, behind) = self.waiting.up_to(repetition.to.token.order());
        let reached = self.seen.as_ref().is_some_and(|(seen, _)| seen.order() >= repetition.to.token.order());
        if reached || behind {
            if count == 0 {
                self.context.state.abandon_intent(&self.context.name, &repetition.token).await?;
                return Ok(Some(Instant::now()));
            }
            self.write(count, repetition.token, true)?;
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

    fn write(&mut self, count: usize, token: String, is_repetition: bool) -> Result<()> {
        let Some(mut flusher) = self.flusher.take() else {
            return Err(EngineError::Worker { worker: "writer of changes" });
        };
        let events = self.waiting.take(count);
        let (version, index) = self.position.number_after(&events);
        let (token_after, source_time) = match (&self.seen, events.last()) {
            (Some((seen, time)), _) if self.waiting.is_empty() => (seen.clone(), *time),
            (_, Some(last)) => (last.token()?, Some(super::position::time_of_version(last.version))),
            (_, None) => return Ok(()),
        };
        let work = Work {
            events,
            from: self.position.clone(),
            to: Position { token: token_after, version, index },
            source_time,
            token,
            is_repetition,
        };
        self.written_at = Instant::now();
        self.writing = Some(tokio::spawn(async move {
            let result = flusher.flush(&work).await;
            (flusher, work, result)
        }));
        Ok(())
    }

    async fn written(
        &mut self,
        ended: std::result::Result<Written<S, K, T>, tokio::task::JoinError>,
    ) -> Result<()> {
        self.writing = None;
        let (flusher, work, result) =
            ended.map_err(|_| EngineError::Worker { worker: "writer of changes" })?;
        self.rows = flusher.rows;
        self.flusher = Some(flusher);
        result?;
        self.position = work.to;
        self.saved = Instant::now();
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
            self.position = position;
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
        let time = Some(super::position::time_of_version(event.version));
        context.state.advance(&context.name, &position.checkpoint(self.rows, time)?).await?;
        self.position = position;
        Ok(())
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

/// The end of the write under way; never, if there is none.
async fn ended<V>(writing: &mut Option<JoinHandle<V>>) -> std::result::Result<V, tokio::task::JoinError> {
    match writing {
        Some(handle) => handle.await,
        None => std::future::pending().await,
    }
}
