//! One file for each command that is not `copy`.

pub mod alerts;
pub mod apply;
pub mod check;
pub mod connector;
pub mod dead_letters;
mod delegate;
pub mod explain;
pub mod export;
pub mod history;
pub mod init;
pub mod pipeline;
mod promote;
pub mod reload;
pub mod reset;
pub mod run;
pub mod schema;
pub mod serve;
pub mod state;
pub mod status;
pub mod verify;

use std::time::Duration;

use crate::exit::Failure;
use crate::progress::say;
use crate::terminal;
use zenith_control::failure::code;
use zenith_control::run::supervisor::Supervisor;

/// Whether to go on with something that cannot be undone: `--yes`, or a yes on the terminal.
///
/// # Errors
/// If nobody can be asked.
fn confirmed(question: &str, yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !terminal::can_ask() {
        let sentence = format!("{question} Nobody can be asked here, and nothing was changed: say --yes");
        return Err(Failure::known(code::NOT_AGREED, sentence));
    }
    Ok(terminal::ask(question))
}

/// Stops the pipelines, and says whether nothing runs any more.
async fn stopped(supervisor: &mut Supervisor, within: Duration) -> bool {
    let is_stopped = tokio::time::timeout(within, supervisor.stop()).await.is_ok();
    if !is_stopped {
        say("zenith: stopped before everything was saved; the next run does the rest again");
    }
    is_stopped
}
