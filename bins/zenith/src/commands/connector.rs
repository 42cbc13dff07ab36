//! `zenith connector`: the databases that are read and written.

use crate::args::{ConnectorCommand, Connectors};
use crate::exit::Ending;
use crate::reach::Context;
use zenith_control::commands::Command;

pub async fn run(arguments: &Connectors, context: &Context) -> Ending {
    match &arguments.command {
        ConnectorCommand::List(list) => context.reach(&list.place)?.run(Command::Connectors, list.json).await,
        ConnectorCommand::Test(named) => {
            let command = Command::TestConnector { name: named.name.clone() };
            context.reach(&named.place)?.run(command, named.json).await
        }
    }
}
