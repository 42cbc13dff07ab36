//! What commands ask of a run: taken from the state, carried out beside the pipelines that go on, and answered there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinSet;
use zenith_engine::state::{self, Outcome, Request, RequestEnd, StateStore as _};
use zenith_engine::{EngineError, Mode, ResetTo, VerifyOptions};

use super::apart::{self, Unfinished};
use super::shared::Shared;
use crate::connect::{self, Replicator};
use crate::failure::Failure;
use crate::memory::Kind;
use crate::requests::{Answer, Asked, BEGIN_ANEW, HowFar, Refusal, VERIFY, encode};
use crate::reset::From;
use crate::summary;

/// Between two notes of how far a request is.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// Where a pipeline is.
pub enum Seat {
    /// With those of its source.
    Group(Arc<Replicator>),
    /// Its source is not connected at the moment.
    Nowhere,
    /// The run does not hold it: it is paused, or its source has ended.
    Outside,
}

/// A request that was taken.
struct Taken {
    request: Request,
    cancel: watch::Sender<bool>,
    /// Whether it is being carried out, and for a pipeline that no group holds.
    work: Option<bool>,
}

/// How a try to carry out a request ended.
struct Tried {
    id: i64,
    /// `None` if it is to be tried again.
    end: Option<(Outcome, String)>,
    /// Whether a pipeline has been started by it that had ended.
    started: bool,
}

/// What came of a request.
pub struct Answered {
    /// The pipeline.
    pub pipeline: String,
    /// Whether it has been started by it, having ended before.
    pub started: bool,
    /// Whether it was loaded, or why it could not be, if that was asked.
    pub loaded: Option<Result<(), Failure>>,
}

/// The requests of a run.
pub struct Requests {
    /// When the run began: older requests were left to another.
    since: SystemTime,
    taken: HashMap<i64, Taken>,
    tasks: JoinSet<Tried>,
}

impl Requests {
    /// Requests of a run that begins now.
    pub fn begun_now() -> Requests {
        Requests { since: SystemTime::now(), taken: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Whether nothing is asked at the moment.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// Whether something is asked of a pipeline.
    pub fn has(&self, pipeline: &str) -> bool {
        self.taken.values().any(|taken| taken.request.pipeline == pipeline)
    }

    /// Whether a pipeline is worked at that no group holds.
    pub fn is_outside(&self, pipeline: &str) -> bool {
        self.taken.values().any(|taken| taken.work == Some(true) && taken.request.pipeline == pipeline)
    }

    /// Pipelines that have to stand still for what is asked of them.
    pub fn held_back(&self) -> Vec<&str> {
        let held_back = self.taken.values().filter(|taken| taken.request.action == BEGIN_ANEW);
        held_back.map(|taken| taken.request.pipeline.as_str()).collect()
    }

    /// Takes what is asked, ends what is done, and says what came of that.
    pub async fn look(
        &mut self,
        shared: &Shared,
        seat: impl Fn(&str) -> Seat,
    ) -> state::Result<Vec<Answered>> {
        let store = &shared.store;
        let mut answered = Vec::new();
        while let Some(tried) = self.tasks.try_join_next() {
            // One that panicked has told so.
            let Ok(tried) = tried else { continue };
            answered.extend(self.tried(tried, shared).await?);
        }
        for request in store.open_requests().await? {
            if let Some(taken) = self.taken.get(&request.id) {
                if request.cancelled {
                    taken.cancel.send_replace(true);
                }
            } else if request.taken.is_some() || request.requested < self.since {
                let ended = "the `zenith run` that was asked has ended; ask again";
                end(shared, request.id, Outcome::Failed, &refusal(ended)).await?;
            } else if store.take_request(request.id).await? {
                tracing::info!(pipeline = request.pipeline, action = request.action, "taking a request");
                let taken = Taken { cancel: watch::Sender::new(false), work: None, request };
                self.taken.insert(taken.request.id, taken);
            } else {
                end(shared, request.id, Outcome::Stopped, &refusal("cancelled; nothing was begun")).await?;
            }
        }
        for taken in self.taken.values_mut().filter(|taken| taken.work.is_none()) {
            let seat = seat(&taken.request.pipeline);
            let is_outside = matches!(seat, Seat::Outside);
            let may_begin = match taken.request.action.as_str() {
                VERIFY => true,
                BEGIN_ANEW => is_outside,
                _ => !matches!(seat, Seat::Nowhere),
            };
            if !may_begin && !*taken.cancel.borrow() {
                continue;
            }
            taken.work = Some(is_outside && taken.request.action != VERIFY);
            let (request, cancel) = (taken.request.clone(), taken.cancel.subscribe());
            self.tasks.spawn(carry_out(request, cancel, seat, shared.clone()));
        }
        Ok(answered)
    }

    async fn tried(&mut self, tried: Tried, shared: &Shared) -> state::Result<Option<Answered>> {
        let Some((outcome, result)) = tried.end else {
            if let Some(taken) = self.taken.get_mut(&tried.id) {
                taken.work = None;
            }
            return Ok(None);
        };
        let taken = self.taken.remove(&tried.id);
        end(shared, tried.id, outcome, &result).await?;
        let answered = |Taken { request, .. }: Taken| {
            let refused = || serde_json::from_str::<Refusal>(&result).map(Failure::from);
            let loaded = match (request.action == Asked::Reload.action(), outcome) {
                (true, Outcome::Done) => Some(Ok(())),
                (true, Outcome::Failed) => refused().ok().map(Err),
                _ => None,
            };
            Answered { pipeline: request.pipeline, started: tried.started, loaded }
        };
        Ok(taken.map(answered))
    }

    /// Gives up what is being done, and answers everything that is asked; the groups have been asked to stop.
    pub async fn stop(&mut self, shared: &Shared) -> state::Result<()> {
        for taken in self.taken.values() {
            taken.cancel.send_replace(true);
        }
        while let Some(tried) = self.tasks.join_next().await {
            // What came to its end all the same is answered so; what did not, below.
            let Ok(Tried { id, end: Some((outcome, result)), .. }) = tried else { continue };
            if outcome != Outcome::Stopped {
                end(shared, id, outcome, &result).await?;
            }
        }
        self.taken.clear();
        for request in shared.store.open_requests().await? {
            let stopped = "`zenith run` was stopped before it was done, and nothing has changed; ask again";
            let outcome = if request.cancelled { Outcome::Stopped } else { Outcome::Failed };
            end(shared, request.id, outcome, &refusal(stopped)).await?;
        }
        Ok(())
    }
}

fn refusal(message: &str) -> String {
    encode(&Refusal { message: message.to_owned(), input: false, code: None })
}

async fn end(shared: &Shared, id: i64, outcome: Outcome, result: &str) -> state::Result<()> {
    let end = RequestEnd { ended: SystemTime::now(), outcome, result: result.to_owned() };
    shared.store.end_request(id, &end).await
}

async fn carry_out(request: Request, cancel: watch::Receiver<bool>, seat: Seat, shared: Shared) -> Tried {
    let id = request.id;
    match try_to(&request, cancel.clone(), seat, &shared).await {
        Ok((answer, started)) => {
            tracing::info!(pipeline = request.pipeline, action = request.action, "the request is done");
            Tried { id, end: Some((Outcome::Done, encode(&answer))), started }
        }
        Err(Unfinished::Failure(failure)) => {
            let refusal = Refusal::from(failure);
            tracing::warn!(pipeline = request.pipeline, action = request.action, "{}", refusal.message);
            Tried { id, end: Some((Outcome::Failed, encode(&refusal))), started: false }
        }
        // It starts over with the pipelines of its source.
        Err(Unfinished::Stopped(_)) if !*cancel.borrow() => Tried { id, end: None, started: false },
        Err(Unfinished::Stopped(message)) => {
            Tried { id, end: Some((Outcome::Stopped, refusal(&message))), started: false }
        }
    }
}

async fn try_to(
    request: &Request,
    mut cancel: watch::Receiver<bool>,
    seat: Seat,
    shared: &Shared,
) -> Result<(Answer, bool), Unfinished> {
    let name = &request.pipeline;
    let asked: Asked = serde_json::from_str(&request.arguments)
        .map_err(|_| Failure::Input("this version of `zenith run` does not know what is asked".to_owned()))?;
    match (&asked, &seat) {
        (Asked::BeginAnew { record }, Seat::Outside) => {
            return Ok((apart::begin_anew(name, record.clone(), shared).await?, true));
        }
        (Asked::BeginAnew { .. }, _) => return Err(EngineError::Stopped.into()),
        (Asked::Verify { sample, ids }, _) => {
            let options = VerifyOptions { sample: *sample, ids_shown: *ids };
            return Ok((apart::verify(name, options, &mut cancel, shared).await?, false));
        }
        _ => {}
    }
    // What it has of the memory is held until all is done.
    let (replicator, outside) = match seat {
        Seat::Group(replicator) => (replicator, None),
        Seat::Nowhere => return Err(EngineError::Stopped.into()),
        Seat::Outside => {
            let single = tokio::select! {
                single = apart::single(name, Kind::Loading, shared) => single?,
                () = cancelled(&mut cancel) => return Err(EngineError::Stopped.into()),
            };
            (Arc::new(single.keeper), Some(single.memory))
        }
    };
    at_rest(request, &asked, &mut cancel, (replicator, outside.is_some()), shared).await
}

/// Does what is asked with the pipeline at rest, and starts it again if it had ended.
async fn at_rest(
    request: &Request,
    asked: &Asked,
    cancel: &mut watch::Receiver<bool>,
    (replicator, is_outside): (Arc<Replicator>, bool),
    shared: &Shared,
) -> Result<(Answer, bool), Unfinished> {
    let name = &request.pipeline;
    let rest = tokio::select! {
        rest = replicator.rest(name) => rest?,
        () = cancelled(cancel) => return Err(EngineError::Stopped.into()),
    };
    let answer = {
        let mut work = std::pin::pin!(work(asked, &rest));
        // Beside the work, which may be writing to the state at the moment.
        let mut noting = std::pin::pin!(note(request.id, &rest, shared));
        let mut is_cancelled = false;
        loop {
            tokio::select! {
                done = &mut work => break done?,
                () = cancelled(cancel), if !is_cancelled => {
                    is_cancelled = true;
                    rest.stop_handle().stop();
                }
                () = &mut noting => {}
            }
        }
    };
    let is_to_start = !is_outside && !rest.was_running() && rest.mode() != Mode::Full;
    drop(rest);
    let started = match is_to_start {
        true => replicator.start_again(name).await,
        false => Ok(false),
    };
    if let Err(error) = &started {
        tracing::warn!(pipeline = name, "the pipeline cannot be started again: {error}");
    }
    Ok((answer, started.unwrap_or(false)))
}

/// Notes how far a request is; never ends.
async fn note(id: i64, rest: &connect::Rest, shared: &Shared) {
    loop {
        // Only for who looks.
        let far = encode(&HowFar::from(&rest.progress()));
        let _ = shared.store.note_request(id, &far).await;
        tokio::time::sleep(NOTE_EVERY).await;
    }
}

async fn cancelled(cancel: &mut watch::Receiver<bool>) {
    let _ = cancel.wait_for(|cancelled| *cancelled).await;
}

async fn work(asked: &Asked, rest: &connect::Rest) -> Result<Answer, Unfinished> {
    match asked {
        Asked::Reload => {
            let summary = rest.reload().await?;
            let sent = rest.sink().send_report();
            let (text, json) = (summary::summary_text(&summary, sent), summary::summary_json(&summary, sent));
            Ok(Answer::of(&summary, text, json))
        }
        Asked::Reset { from } => {
            let from: From = from.parse().map_err(Failure::Input)?;
            rest.reset(ResetTo::from(&from)).await?;
            Ok(Answer::default())
        }
        Asked::Promote { fields } => Ok(Answer::of_promotion(&rest.promote(fields).await?, rest.table())),
        // They need no pipeline at rest.
        Asked::BeginAnew { .. } | Asked::Verify { .. } => Err(EngineError::Stopped.into()),
    }
}
