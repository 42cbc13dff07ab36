//! A command that leaves its work to the `zenith run` that has the state.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use zenith_engine::Phase;
use zenith_engine::state::{Outcome, Request, RequestEnd, SqliteStore, StateError, StateStore as _};

use crate::display::Display;
use crate::exit::{self, Failure};
use crate::progress::say;
use crate::signals::Signals;
use zenith_control::requests::{Answer, Asked, HowFar, Refusal, encode};
use zenith_control::state::Places;

/// Between two looks at a request.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a request may wait to be taken.
const TAKEN_WITHIN: Duration = Duration::from_secs(15);

/// The state, for something that moves data or progress.
pub enum Held {
    /// Nobody else has it: the command does its work itself.
    Alone(SqliteStore),
    /// Another process has it, which is asked to do it.
    ByRun(SqliteStore),
}

impl Held {
    pub async fn open(places: &Places) -> Result<Held, Failure> {
        match SqliteStore::open(&places.state).await {
            Err(StateError::Locked { .. }) => Ok(Held::ByRun(places.change().await?)),
            other => Ok(Held::Alone(other?)),
        }
    }
}

/// Has the run do it, shows how far it is, and returns what it answers; or the code for "stopped".
pub async fn ask(
    places: &Places,
    store: &SqliteStore,
    pipeline: &str,
    asked: &Asked,
    quiet: bool,
) -> Result<Result<Answer, ExitCode>, Failure> {
    let mut signals =
        Signals::catch().map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
    let id = store.add_request(pipeline, asked.action(), &encode(asked)).await?;
    let shown = Arc::new(Mutex::new(HowFar::default().shown(pipeline, Phase::Waiting)));
    let display = (!quiet).then(|| {
        let shown = Arc::clone(&shown);
        Display::start(None, move || vec![shown.lock().unwrap_or_else(PoisonError::into_inner).clone()])
    });
    let (begun, mut cancelled) = (Instant::now(), false);
    let end = loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = signals.next() => {
                if cancelled {
                    return Ok(Err(ExitCode::from(exit::STOPPED)));
                }
                say("zenith: cancelling the request; press again to leave at once");
                store.cancel_request(id).await?;
                cancelled = true;
            }
        }
        // In this order: a run that ends says first what became of its requests.
        let is_held = SqliteStore::is_locked(&places.state).await;
        let Some(Request { taken, progress, end, .. }) = store.request(id).await? else {
            return Err(removed(pipeline, asked));
        };
        if let Some(end) = end {
            break end;
        }
        if taken.is_none() && cancelled {
            say("zenith: cancelled; nothing was begun");
            return Ok(Err(ExitCode::from(exit::STOPPED)));
        }
        let gone = match (is_held, taken) {
            (true, None) if begun.elapsed() > TAKEN_WITHIN => Some(not_taken(places, pipeline, asked)),
            (true, _) => None,
            (false, _) => Some(format!(
                "{pipeline} was not {}: the `zenith run` that was asked has ended; the same command does it now",
                asked.done()
            )),
        };
        if let Some(sentence) = gone {
            store.cancel_request(id).await?;
            return Err(Failure::Failed(sentence));
        }
        if taken.is_some() {
            let far: HowFar = serde_json::from_str(&progress).unwrap_or_default();
            *shown.lock().unwrap_or_else(PoisonError::into_inner) = far.shown(pipeline, Phase::Snapshot);
        }
    };
    drop(display);
    answered(end)
}

fn removed(pipeline: &str, asked: &Asked) -> Failure {
    let done = asked.done();
    Failure::Failed(format!("the request that {pipeline} be {done} was removed from the state; ask again"))
}

fn not_taken(places: &Places, pipeline: &str, asked: &Asked) -> String {
    format!(
        "{pipeline} was not {}: the process that has the state {} did not take the request within {} s; try again when it \
         has ended, if it is no `zenith run`",
        asked.done(),
        places.state.display(),
        TAKEN_WITHIN.as_secs()
    )
}

fn answered(end: RequestEnd) -> Result<Result<Answer, ExitCode>, Failure> {
    let unreadable = |_| Failure::Failed("the answer of `zenith run` is that of another version".to_owned());
    match end.outcome {
        Outcome::Done => Ok(Ok(serde_json::from_str(&end.result).map_err(unreadable)?)),
        outcome => {
            let refusal: Refusal = serde_json::from_str(&end.result).map_err(unreadable)?;
            if outcome == Outcome::Failed {
                return Err(refusal.into());
            }
            say(&format!("zenith: {}", refusal.message));
            Ok(Err(ExitCode::from(exit::STOPPED)))
        }
    }
}
