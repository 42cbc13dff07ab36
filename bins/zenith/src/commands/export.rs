//! `zenith export`: what is applied, as a `zenith.toml`.

use crate::args::Export;
use crate::exit::Ending;
use crate::reach::Context;
use zenith_control::commands::Command;

pub async fn run(arguments: &Export, context: &Context) -> Ending {
    context.reach(&arguments.place)?.run(Command::Export, false).await
}
