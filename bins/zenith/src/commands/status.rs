//! `zenith status`: how far each pipeline has come.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use crate::args::Status;
use crate::exit::{Ending, Failure};
use crate::reach::{Context, Reach, finish, view};
use crate::signals::Signals;
use crate::terminal::print;
use zenith_control::commands::{self, Command, View};

/// Between two drawings.
const REDRAW: Duration = Duration::from_secs(1);
/// The code for "not well".
const UNWELL: u8 = 1;

pub async fn run(arguments: &Status, context: &Context) -> Ending {
    let command = Command::Status(commands::Status {
        name: arguments.name.clone(),
        health: arguments.health,
        watched: arguments.watch,
        max_lag: arguments.max_lag,
        grace: arguments.grace,
        allowed: arguments.allowed,
    });
    let view = View { verbose: context.verbose, ..view(arguments.json) };
    let shown = async {
        let reach = context.reach(&arguments.place)?;
        match arguments.watch {
            true => watch(&reach, &command, view).await,
            false => finish(reach.perform(command, view).await?),
        }
    };
    match shown.await {
        // Container engines know 0 and 1 only, whatever is wrong.
        Err(failure) if arguments.health => {
            print(&format!("unhealthy: {}\n", failure.message()));
            Ok(ExitCode::from(UNWELL))
        }
        ended => ended,
    }
}

async fn watch(reach: &Reach, command: &Command, view: View) -> Ending {
    let mut signals =
        Signals::catch().map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
    let is_terminal = std::io::stdout().is_terminal();
    loop {
        let output = reach.perform(command.clone(), view).await?;
        // The screen is cleared from the top: a table that has become shorter leaves nothing behind.
        let before = if is_terminal { "\x1b[H\x1b[2J" } else { "" };
        print(&format!("{before}{}", output.text));
        tokio::select! {
            () = tokio::time::sleep(REDRAW) => {}
            () = signals.next() => return Ok(ExitCode::SUCCESS),
        }
    }
}
