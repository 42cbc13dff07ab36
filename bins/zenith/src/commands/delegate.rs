//! A command that leaves its work to the `zenith run` that has the state.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use zenith_engine::Phase;
use zenith_engine::state::{SqliteStore, StateError, StateStore as _};

use crate::display::Display;
use crate::exit::{self, Failure};
use crate::progress::say;
use crate::signals::Signals;
use zenith_control::asking::{self, LOOK_EVERY, Stands};
use zenith_control::requests::{Answer, Asked, HowFar};
use zenith_control::state::Places;

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
    let id = asking::ask(store, pipeline, asked).await?;
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
        match asking::look(store, places, (id, begun), pipeline, asked).await? {
            Stands::Ended(end) => break end,
            Stands::Open if cancelled => {
                say("zenith: cancelled; nothing was begun");
                return Ok(Err(ExitCode::from(exit::STOPPED)));
            }
            Stands::Open => {}
            Stands::Taken(progress) => {
                let far: HowFar = serde_json::from_str(&progress).unwrap_or_default();
                *shown.lock().unwrap_or_else(PoisonError::into_inner) = far.shown(pipeline, Phase::Snapshot);
            }
        }
    };
    drop(display);
    Ok(asking::answered(&end)?.map_err(|message| {
        say(&format!("zenith: {message}"));
        ExitCode::from(exit::STOPPED)
    }))
}
