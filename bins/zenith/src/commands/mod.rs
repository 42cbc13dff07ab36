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

use crate::exit::Failure;
use crate::terminal;
use zenith_control::failure::code;

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
