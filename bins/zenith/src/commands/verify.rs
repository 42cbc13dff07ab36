//! `zenith verify`: a collection and its table compared.

use std::process::ExitCode;

use zenith_engine::{EngineError, VerifyOptions};

use super::something_applied;
use crate::args::Verify;
use crate::exit::{self, Ending, Failure};
use crate::progress::say;
use crate::signals::Signals;
use crate::terminal::{print, print_json};
use zenith_control::connect;
use zenith_control::operations::verification::{Verified, text};
use zenith_control::state::Places;
use zenith_control::text::Paint;

/// The code for "different".
const DIFFERENT: u8 = 1;

pub async fn run(arguments: &Verify) -> Ending {
    let places = Places::find(&arguments.place)?;
    let store = places.look().await?;
    let config = something_applied(&store).await?.config().map_err(Failure::Input)?;
    let name = &arguments.name;
    connect::pipeline(&config, name)?;
    let signals =
        Signals::catch().map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
    let single = connect::single(&config, name, store, &connect::pool(None, &places)?).await?;
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
    Ok(if is_equal { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
}
