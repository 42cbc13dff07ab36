//! `zenith schema`: the columns of a table, and the fields they come from.

use crate::args::{Schema, SchemaCommand, ShowSchema};
use crate::exit::Ending;
use crate::reach::Context;
use zenith_control::commands::Command;

pub async fn run(arguments: &Schema, context: &Context) -> Ending {
    match &arguments.command {
        None => show(&arguments.show, context).await,
        Some(SchemaCommand::Promote(arguments)) => super::promote::run(arguments, context).await,
    }
}

async fn show(arguments: &ShowSchema, context: &Context) -> Ending {
    // Without a subcommand there is one.
    let name = arguments.name.clone().unwrap_or_default();
    context.reach(&arguments.place)?.run(Command::Schema { name }, arguments.json).await
}
