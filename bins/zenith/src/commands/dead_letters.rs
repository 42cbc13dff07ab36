//! `zenith dead-letters`: documents that have no row.

use crate::args::{DeadLetterCommand, DeadLetters as Arguments};
use crate::exit::Ending;
use crate::reach::Context;
use zenith_control::commands::{Command, Purge, Retry};

pub async fn run(arguments: &Arguments, context: &Context) -> Ending {
    let (place, json, command) = match &arguments.command {
        DeadLetterCommand::List(list) => {
            (&list.place, list.json, Command::Letters { name: list.name.clone(), limit: list.limit })
        }
        DeadLetterCommand::Show(show) => (&show.place, show.json, Command::Letter { id: show.id.clone() }),
        DeadLetterCommand::Retry(retry) => {
            let (name, ids, dry_run) = (retry.name.clone(), retry.ids.clone(), retry.dry_run);
            (&retry.place, retry.json, Command::Retry(Retry { name, ids, dry_run }))
        }
        DeadLetterCommand::Purge(purge) => {
            let (name, ids, before) = (purge.name.clone(), purge.ids.clone(), purge.before);
            (&purge.place, purge.json, Command::Purge(Purge { name, ids, before, yes: purge.yes }))
        }
    };
    context.reach(place)?.run(command, json).await
}
