//! Gathers the changes of one pipeline, and decides which of them become a batch together, and when.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_channel::Receiver;
use bson::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use zenith_extract::{ChangeSource, ResumeToken, Source};
use zenith_state::StateStore;
use zenith_transport::Sink;

use super::context::Context;
use super::event::{Event, EventBatch, EventKind};
use super::pending::{BatchReadiness, Limits, PendingEvents};
use super::position::Position;
use super::start::Follower;
use super::steps::{Done, Milestone, Step, Work};
use super::tokens::Tokens;
use super::version::time_of_version;
use crate::progress::to_u64;
use crate::{EngineError, Result};

/// Steps under way at a time: a batch is made while another is written.
pub(super) const STEPS_MAX: usize = 2;
/// How far behind the source a change is no longer in time, so that few large inserts serve better than many small ones.
/// Cluster times are whole seconds.
const BEHIND: Duration = Duration::from_secs(3);
/// How long changes are gathered then, unless there are enough before.
const BEHIND_PAUSE: Duration = Duration::from_secs(1);
/// Between two checkpoints of a stream in which nothing happens to the collection.
const IDLE_SAVE: Duration = Duration::from_secs(1);

/// What the batcher hears from others, and what it gives them.
pub(super) struct Channels {
    /// From the stream.
    pub(super) events: Receiver<EventBatch>,
    /// Where a run that only catches up may end, once that is known.
    pub(super) goal: Option<oneshot::Receiver<Timestamp>>,
    /// To the assembler. There is room for [`STEPS_MAX`].
    pub(super) steps: mpsc::Sender<Step<Work>>,
    /// From the committer, once for each step.
    pub(super) done: mpsc::Receiver<Done>,
}

/// The state of a batcher.
pub(super) struct Batcher<S, K, T> {
    context: Arc<Context<S, K, T>>,
    waiting: PendingEvents,
    limits: Limits,
    tokens: Tokens,
    /// An insert of an earlier run that may or may not have landed.
    replay: Option<BatchReplay>,
    /// Up to where changes are on their way.
    taken: Position,
    taken_at: Instant,
    /// Steps that are not durable yet.
    under_way: usize,
    /// How long to gather changes before the next insert.
    pause: Duration,
    /// When a step was durable for the last time.
    saved: Instant,
    /// The place after everything that has come, and the time of it.
    seen: Option<(ResumeToken, Option<SystemTime>)>,
    goal: Option<Timestamp>,
}

struct BatchReplay {
    token: String,
    to: Position,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Batcher<S, K, T> {
    pub(super) fn new(
        context: Arc<Context<S, K, T>>,
        follower: &Follower,
        tokens: Tokens,
        pause: Duration,
    ) -> Result<Batcher<S, K, T>> {
        let replay = match follower.intents.first() {
            Some(intent) => {
                Some(BatchReplay { token: intent.token.clone(), to: Position::decode(&intent.to)? })
            }
            None => None,
        };
        let limits =
            Limits { rows: context.settings.flush_rows.max(1), bytes: context.memory.waiting_bytes() };
        Ok(Batcher {
            waiting: PendingEvents::new(),
            limits,
            tokens,
            replay,
            taken: follower.position.clone(),
            taken_at: Instant::now().checked_sub(pause).unwrap_or_else(Instant::now),
            under_way: 0,
            pause,
            saved: Instant::now(),
            seen: None,
            goal: None,
            context,
        })
    }

    /// Batches changes until there are no more, the goal is reached, or the pipeline is stopped. Gives back the milestone
    /// at the end of everything that has come, if all of it is durable.
    pub(super) async fn run(mut self, mut channels: Channels) -> Result<Option<Milestone>> {
        let stop = self.context.stop.clone();
        let mut open = true;
        loop {
            self.context.live.pending(to_u64(self.waiting.len()));
            let wake = self.next_step(&channels.steps).await?;
            if self.under_way == 0 && self.waiting.is_empty() {
                if !open || self.is_done() {
                    break;
                }
                self.save_idle(&channels.steps)?;
            }
            if !open && self.under_way == 0 && self.replay.is_some() {
                // The rest of what is to be repeated comes with the next stream.
                break;
            }
            // A stream that has ended says nothing more; what has come is still written.
            let wake = wake.unwrap_or_else(|| Instant::now() + IDLE_SAVE);
            tokio::select! {
                biased;
                done = channels.done.recv() => match done {
                    Some(done) => self.done(&done),
                    // A task has failed, and says why.
                    None => return Ok(None),
                },
                () = stop.stopped() => break,
                goal = reached(&mut channels.goal) => self.goal = Some(goal),
                batch = channels.events.recv(), if open => match batch {
                    Ok(batch) => self.take(batch),
                    Err(_) => open = false,
                },
                () = tokio::time::sleep_until(wake) => {}
            }
        }
        drop(channels.steps);
        while let Some(done) = channels.done.recv().await {
            self.done(&done);
        }
        let is_all = self.under_way == 0 && self.waiting.is_empty() && self.replay.is_none();
        Ok(if is_all { self.milestone() } else { None })
    }

    fn take(&mut self, batch: EventBatch) {
        let bytes = batch.events.iter().map(|event| event.bytes).sum();
        self.context.live.counters.read(batch.events.len(), bytes);
        self.context.live.counters.memory(self.context.memory.pool().stats().in_use);
        self.waiting.push(batch.events);
        self.seen = Some((batch.after, batch.source_time));
    }

    fn done(&mut self, done: &Done) {
        self.under_way = self.under_way.saturating_sub(1);
        self.pause = done.pause;
        self.saved = Instant::now();
    }

    /// Takes the next step if there are changes for one, or says when to look again.
    ///
    /// While another is being written only a full batch is made: changes that come one by one are better written together.
    async fn next_step(&mut self, steps: &mpsc::Sender<Step<Work>>) -> Result<Option<Instant>> {
        if self.under_way >= STEPS_MAX {
            return Ok(None);
        }
        if let Some(replay) = self.replay.take() {
            return self.begin_repeating(replay, steps).await;
        }
        if self.waiting.is_empty() {
            return Ok(None);
        }
        let pause = if self.is_behind() { self.pause.max(BEHIND_PAUSE) } else { self.pause };
        let due = if self.under_way > 0 { Instant::now() + IDLE_SAVE } else { self.taken_at + pause };
        match self.waiting.ready(self.limits, due) {
            BatchReadiness::At(when) => Ok(Some(when)),
            BatchReadiness::Gone => self.pass_gone(steps).map(|()| Some(Instant::now())),
            BatchReadiness::Rows(count) => {
                let token = self.tokens.next();
                self.take_changes(count, token, false, steps)?;
                Ok(None)
            }
        }
    }

    /// Whether there are more changes to come than can be in time.
    fn is_behind(&self) -> bool {
        let seen = self.seen.as_ref().and_then(|(_, time)| *time);
        seen.and_then(|time| time.elapsed().ok()).is_some_and(|lag| lag >= BEHIND)
    }

    /// Takes exactly the changes of an insert that an earlier run began, under its token.
    async fn begin_repeating(
        &mut self,
        replay: BatchReplay,
        steps: &mpsc::Sender<Step<Work>>,
    ) -> Result<Option<Instant>> {
        let (count, behind) = self.waiting.up_to(replay.to.token.order());
        let reached = self.seen.as_ref().is_some_and(|(seen, _)| seen.order() >= replay.to.token.order());
        if reached || behind {
            if count == 0 {
                self.context.state.abandon_intent(&self.context.name, &replay.token).await?;
                return Ok(Some(Instant::now()));
            }
            self.take_changes(count, replay.token, true, steps)?;
            return Ok(None);
        }
        if self.waiting.is_full(self.limits) && self.context.layout().has_versions() {
            // The memory budget is smaller than it was. Rows of equal versions replace each other, so that other bounds
            // do no harm here.
            self.context.state.abandon_intent(&self.context.name, &replay.token).await?;
            return Ok(Some(Instant::now()));
        }
        if self.waiting.is_full(self.limits) {
            return Err(super::assembler::too_little_memory(&self.context.name));
        }
        self.replay = Some(replay);
        Ok(None)
    }

    /// Takes the first changes, to be written under this token.
    fn take_changes(
        &mut self,
        count: usize,
        token: String,
        is_replay: bool,
        steps: &mpsc::Sender<Step<Work>>,
    ) -> Result<()> {
        let events = self.waiting.take(count);
        let (version, index) = self.taken.number_after(&events);
        let (token_after, source_time) = match (&self.seen, events.last()) {
            (Some((seen, time)), _) if self.waiting.is_empty() => (seen.clone(), *time),
            (_, Some(last)) => (last.token()?, Some(time_of_version(last.version))),
            (_, None) => return Ok(()),
        };
        let last = events.last().map(Event::token).transpose()?.or_else(|| self.taken.last.clone());
        let to = Position { token: token_after, version, index, last };
        let from = std::mem::replace(&mut self.taken, to.clone());
        self.taken_at = Instant::now();
        let (changes, waiting) = (events.len(), self.waiting.len());
        tracing::debug!(pipeline = self.context.name, token, changes, waiting, "making a batch");
        let events = Arc::new(events);
        let work = Work { events, from, to, source_time, token, part: 0, is_replay };
        self.pass(Step::Batch(Box::new(work)), steps)
    }

    /// The first change is that the collection is gone: it is passed on behind what came before it.
    fn pass_gone(&mut self, steps: &mpsc::Sender<Step<Work>>) -> Result<()> {
        let events = self.waiting.take(1);
        let Some(event) = events.first() else { return Ok(()) };
        let EventKind::Gone(gone) = event.kind else { return Ok(()) };
        self.taken = Position { token: event.token()?, ..self.taken.clone() };
        let (to, source_time) = (self.taken.clone(), Some(time_of_version(event.version)));
        let milestone = Milestone { gone: Some(gone), to, source_time };
        self.pass(Step::Milestone(Box::new(milestone)), steps)
    }

    /// Has the checkpoint moved over what does not concern the collection, so that it does not fall behind the oplog.
    fn save_idle(&mut self, steps: &mpsc::Sender<Step<Work>>) -> Result<()> {
        let Some((_, time)) = &self.seen else { return Ok(()) };
        self.context.live.applied_to(*time);
        if self.replay.is_some() || self.saved.elapsed() < IDLE_SAVE {
            return Ok(());
        }
        let Some(milestone) = self.milestone() else { return Ok(()) };
        self.taken = milestone.to.clone();
        self.pass(Step::Milestone(Box::new(milestone)), steps)
    }

    /// The place after everything that has come, if it is behind what was taken.
    fn milestone(&self) -> Option<Milestone> {
        let (seen, time) = self.seen.as_ref()?;
        let is_new = seen.order() > self.taken.token.order();
        is_new.then(|| Milestone {
            gone: None,
            to: Position { token: seen.clone(), ..self.taken.clone() },
            source_time: *time,
        })
    }

    fn pass(&mut self, step: Step<Work>, steps: &mpsc::Sender<Step<Work>>) -> Result<()> {
        match steps.try_send(step) {
            Ok(()) => self.under_way += 1,
            // The assembler has ended; why is said by the channel of what is done.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                return Err(EngineError::Worker { worker: "batcher of changes" });
            }
        }
        Ok(())
    }

    /// Whether a run that only catches up has come where it was to come.
    fn is_done(&self) -> bool {
        let Some(goal) = self.goal else { return false };
        let passed = |token: &ResumeToken| token.cluster_time().is_some_and(|time| time >= goal);
        self.replay.is_none() && self.seen.as_ref().is_some_and(|(seen, _)| passed(seen))
    }
}

/// The goal, once it is known; never, where there is none.
async fn reached(goal: &mut Option<oneshot::Receiver<Timestamp>>) -> Timestamp {
    if let Some(receiver) = goal {
        let sent = receiver.await;
        *goal = None;
        if let Ok(sent) = sent {
            return sent;
        }
    }
    std::future::pending().await
}
