//! `zenith verify`: a collection and its table compared.

use std::process::ExitCode;

use serde_json::Value;
use zenith_engine::{EngineError, VerifyOptions};

use super::delegate;
use crate::args::Verify;
use crate::exit::{self, Ending, Failure};
use crate::progress::say;
use crate::reach::{Context, Reach};
use crate::signals::Signals;
use crate::terminal::{print, print_json};
use zenith_control::commands::Desk;
use zenith_control::connect;
use zenith_control::operations::verification::{Verified, text};
use zenith_control::requests::Asked;
use zenith_control::text::Paint;

/// The code for "different".
const DIFFERENT: u8 = 1;

pub async fn run(arguments: &Verify, context: &Context) -> Ending {
    let reach = context.reach(&arguments.place)?;
    if let Reach::Here(desk) = &reach {
        return here(arguments, desk).await;
    }
    let asked = Asked::Verify { sample: arguments.sample, ids: arguments.ids };
    let answer = match delegate::ask(&reach, &arguments.name, &asked, arguments.json).await? {
        Ok(answer) => answer,
        Err(code) => return Ok(code),
    };
    let found: Value = serde_json::from_str(&answer.json).unwrap_or_default();
    match arguments.json {
        true => print(&format!("{}\n", answer.json)),
        false => print(&answer.text),
    }
    Ok(code(found["equal"] == true))
}

fn code(is_equal: bool) -> ExitCode {
    if is_equal { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) }
}

/// It needs nothing that a run holds.
async fn here(arguments: &Verify, desk: &Desk) -> Ending {
    let config = desk.config().await?;
    let name = &arguments.name;
    connect::pipeline(&config, name)?;
    let signals =
        Signals::catch().map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
    let pool = connect::pool(None, desk.places())?;
    let single = connect::single(&config, name, desk.look().await?, &pool).await?;
    signals.stop(single.keeper.stop_handle());
    let options = VerifyOptions { sample: arguments.sample, ids_shown: arguments.ids };
    let found = match single.keeper.verify(name, options).await {
        Ok(found) => found,
        Err(EngineError::Stopped) => {
            say("zenith: stopped");
            return Ok(ExitCode::from(exit::STOPPED));
        }
        Err(error) => return Err(error.into()),
    };
    let is_equal = found.is_equal();
    let verified = Verified::of(&single, found).await;
    if arguments.json {
        print_json(&verified.json());
    } else {
        print(&text(&verified, Paint::for_stdout()));
    }
    Ok(code(is_equal))
}
