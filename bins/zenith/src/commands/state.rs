//! `zenith state`: the state as a whole.

use std::process::ExitCode;

use zenith_control::failure::Failure;
use zenith_control::mismatches::counted;
use zenith_control::state::state_place;
use zenith_engine::state::StatePlace;

use crate::args::{MigrateState, StateCommand, States};
use crate::exit::Ending;
use crate::reach::Context;
use crate::terminal::print;

pub async fn run(arguments: &States, context: &Context) -> Ending {
    context.only_here("zenith state", "both states are named by where they are")?;
    match &arguments.command {
        StateCommand::Migrate(arguments) => migrate(arguments).await,
    }
}

async fn migrate(arguments: &MigrateState) -> Ending {
    let (from, to) = (state_place(&arguments.from)?, state_place(&arguments.to)?);
    let looked = from.open_read_only().await?;
    if arguments.dry_run {
        let records = counted(looked.records().await?, "record");
        let held = match from.is_held().await? {
            true => ", once what runs on it has been stopped",
            false => "",
        };
        print(&format!(
            "{records} of {from} would be copied to {to}{held}\nnothing was changed (--dry-run)\n"
        ));
        return expect_empty(&to).await.map(|()| ExitCode::SUCCESS);
    }
    drop(looked);
    expect_empty(&to).await?;
    // Held, so that nobody begins to run on either of them meanwhile.
    let source = from.open().await?;
    let target = to.open().await?;
    let copied = source.copy_to(&target).await;
    target.close().await?;
    source.close().await?;
    let records = counted(copied?, "record");
    print(&format!(
        "copied {records} of {from} to {to}: name that one from now on, and run nothing on {from} any more\n"
    ));
    Ok(ExitCode::SUCCESS)
}

/// Nothing may be there, or only a state that has nothing.
async fn expect_empty(to: &StatePlace) -> Result<(), Failure> {
    if to.is_absent().await {
        return Ok(());
    }
    match to.open_read_only().await?.records().await? {
        0 => Ok(()),
        _ => Err(Failure::Input(format!(
            "the state {to} is not empty: name another one, so that nothing in it is lost"
        ))),
    }
}
