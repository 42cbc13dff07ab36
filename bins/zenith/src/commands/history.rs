//! `zenith history`: the runs there have been.

use crate::args::History;
use crate::exit::Ending;
use crate::reach::Context;
use zenith_control::commands::Command;

pub async fn run(arguments: &History, context: &Context) -> Ending {
    let command = Command::History { name: arguments.name.clone(), limit: arguments.limit };
    context.reach(&arguments.place)?.run(command, arguments.json).await
}
