//! `zenith reset`: a pipeline continues from somewhere else.

use std::process::ExitCode;
use std::sync::Arc;

use zenith_engine::ResetTo;

use super::{confirmed, delegate};
use crate::args::Reset;
use crate::exit::Ending;
use crate::lease;
use crate::reach::{Context, Reach, finish, view};
use crate::terminal::print;
use zenith_control::commands::{Command, Next};
use zenith_control::connect;
use zenith_control::requests::Asked;

pub async fn run(arguments: &Reset, context: &Context) -> Ending {
    let reach = context.reach(&arguments.place)?;
    let (name, from) = (&arguments.name, arguments.from.to_string());
    let plan = Command::ResetPlan { name: name.clone(), from: from.clone() };
    let mut planned = reach.perform(plan, view(false)).await?;
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
    match (reach.alone().await?, &reach) {
        (Some((store, places)), Reach::Here(desk)) => {
            let config = desk.config().await?;
            let pool = connect::pool(None, places)?;
            let single = connect::single(&config, name, Arc::clone(&store), &pool).await?;
            let done = single.keeper.reset(name, ResetTo::from(&arguments.from)).await;
            lease::give_back(&store).await;
            done?;
        }
        _ => {
            if let Err(code) = delegate::ask(&reach, name, &Asked::Reset { from }, true).await? {
                return Ok(code);
            }
        }
    }
    print("reset\n");
    Ok(ExitCode::SUCCESS)
}
