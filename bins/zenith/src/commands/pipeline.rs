//! `zenith pipeline`: what was applied, and letting it stand still, go on, or go away.

use std::process::ExitCode;

use super::confirmed;
use crate::args::{Named, PipelineCommand, Pipelines, Remove};
use crate::exit::Ending;
use crate::reach::{Context, finish, view};
use crate::terminal::print;
use zenith_control::commands::{Command, Next};

pub async fn run(arguments: &Pipelines, context: &Context) -> Ending {
    match &arguments.command {
        PipelineCommand::List(list) => context.reach(&list.place)?.run(Command::Pipelines, list.json).await,
        PipelineCommand::Show(named) => {
            let command = Command::Pipeline { name: named.name.clone() };
            context.reach(&named.place)?.run(command, named.json).await
        }
        PipelineCommand::Pause(named) => set_paused(named, true, context).await,
        PipelineCommand::Resume(named) => set_paused(named, false, context).await,
        PipelineCommand::Remove(arguments) => remove(arguments, context).await,
    }
}

async fn set_paused(named: &Named, paused: bool, context: &Context) -> Ending {
    let command = Command::Pause { name: named.name.clone(), paused };
    context.reach(&named.place)?.run(command, named.json).await
}

async fn remove(arguments: &Remove, context: &Context) -> Ending {
    let reach = context.reach(&arguments.place)?;
    let remove = |dry_run| Command::Remove { name: arguments.name.clone(), dry_run };
    let mut planned = reach.perform(remove(true), view(false)).await?;
    let next = std::mem::take(&mut planned.next);
    finish(planned)?;
    if arguments.dry_run {
        print("nothing was changed (--dry-run)\n");
        return Ok(ExitCode::SUCCESS);
    }
    if let Next::Agree(question) = next
        && !confirmed(&question, arguments.yes)?
    {
        print("nothing was changed\n");
        return Ok(ExitCode::SUCCESS);
    }
    reach.run(remove(false), false).await
}
