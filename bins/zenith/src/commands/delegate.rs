//! What takes a while, left to the `zenith run` or the server that has the state.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use zenith_engine::Phase;

use crate::display::Display;
use crate::exit::{self, Failure};
use crate::progress::say;
use crate::reach::{Reach, view};
use crate::signals::Signals;
use zenith_control::asking::LOOK_EVERY;
use zenith_control::commands::{Command, Standing};
use zenith_control::requests::{Answer, Asked, HowFar};
use zenith_server::client::Client;

/// How long a server may be away while it is asked how far it is.
const AWAY_FOR: Duration = Duration::from_secs(30);

/// Has it done, shows how far it is, and returns what it answers; or the code for "stopped".
pub async fn ask(
    reach: &Reach,
    pipeline: &str,
    asked: &Asked,
    quiet: bool,
) -> Result<Result<Answer, ExitCode>, Failure> {
    let mut signals =
        Signals::catch().map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
    let (name, wanted) = (pipeline.to_owned(), asked.clone());
    let ask = Command::Ask { name: name.clone(), asked: wanted.clone() };
    let Some(Standing::Asked(id)) = reach.perform(ask, view(false)).await?.standing else {
        return Err(other_version());
    };
    let shown = Arc::new(Mutex::new(HowFar::default().shown(pipeline, Phase::Waiting)));
    let display = (!quiet).then(|| {
        let shown = Arc::clone(&shown);
        Display::start(None, move || vec![shown.lock().unwrap_or_else(PoisonError::into_inner).clone()])
    });
    let (begun, mut cancelled, mut heard) = (Instant::now(), false, Instant::now());
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = signals.next() => {
                if cancelled {
                    return Ok(Err(ExitCode::from(exit::STOPPED)));
                }
                say("zenith: cancelling the request; press again to leave at once");
                reach.perform(Command::Cancel { id, name: name.clone() }, view(false)).await?;
                cancelled = true;
            }
        }
        let since = begun.elapsed();
        let look = Command::Look { id, name: name.clone(), asked: wanted.clone(), since };
        let standing = match reach.perform(look, view(false)).await {
            // It goes on there, whether or not it can be asked.
            Err(failure) if Client::is_away(&failure) && heard.elapsed() < AWAY_FOR => continue,
            looked => looked?.standing,
        };
        heard = Instant::now();
        let stopped = match standing {
            Some(Standing::Done(answer)) => return Ok(Ok(answer)),
            Some(Standing::Stopped(sentence)) => sentence,
            Some(Standing::Open) if cancelled => "cancelled; nothing was begun".to_owned(),
            Some(Standing::Open) => continue,
            Some(Standing::Taken(far)) => {
                *shown.lock().unwrap_or_else(PoisonError::into_inner) = far.shown(pipeline, Phase::Snapshot);
                continue;
            }
            Some(Standing::Asked(_)) | None => return Err(other_version()),
        };
        drop(display);
        say(&format!("zenith: {stopped}"));
        return Ok(Err(ExitCode::from(exit::STOPPED)));
    }
}

fn other_version() -> Failure {
    let sentence = "the server answers as another version of Zenith does: use the same version at both ends";
    Failure::known(zenith_control::failure::code::OTHER_VERSION, sentence)
}
