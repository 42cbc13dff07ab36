//! One file for each command that is not `copy`.

pub mod alerts;
pub mod apply;
pub mod check;
pub mod connector;
pub mod dead_letters;
mod delegate;
pub mod history;
pub mod init;
pub mod pipeline;
mod promote;
pub mod reload;
pub mod reset;
pub mod run;
pub mod schema;
pub mod serve;
pub mod status;
pub mod verify;

use zenith_engine::state::StateStore;

use crate::exit::Failure;
use crate::terminal;
use zenith_control::config::applied::Applied;

/// Whether to go on with something that cannot be undone: `--yes`, or a yes on the terminal.
///
/// # Errors
/// If nobody can be asked.
fn confirmed(question: &str, yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !terminal::can_ask() {
        return Err(Failure::Input(format!(
            "{question} Nobody can be asked here, and nothing was changed: say --yes"
        )));
    }
    Ok(terminal::ask(question))
}

/// What was applied, or what to do if nothing was.
async fn something_applied(store: &impl StateStore) -> Result<Applied, Failure> {
    let applied = Applied::read(store).await?;
    if applied.is_idle() {
        return Err(Failure::Input(
            "no pipelines were applied: write a zenith.toml (zenith init), then zenith apply".to_owned(),
        ));
    }
    Ok(applied)
}
