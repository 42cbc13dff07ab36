//! `zenith apply`: what `zenith.toml` says becomes what is run.

use std::path::PathBuf;
use std::process::ExitCode;

use super::confirmed;
use crate::args::Apply;
use crate::exit::Ending;
use crate::reach::{Context, Reach, finish, view};
use crate::terminal::print;
use zenith_control::commands::{self, Command, Next, Stage};
use zenith_control::config::{self, applied::Applied, file};
use zenith_control::operations::apply::{self, Absent};

pub async fn run(arguments: &Apply, context: &Context) -> Ending {
    let reach = context.reach(&arguments.place)?;
    let path = match &reach {
        Reach::Here(desk) => desk.places().file.clone(),
        Reach::There(_) => arguments.place.file.clone().unwrap_or_else(|| PathBuf::from(config::FILE)),
    };
    let toml = file::text(&path)?;
    if !arguments.keep {
        // Mistakes of the file are told without anybody being asked.
        apply::read(&toml, &path, &Applied::default(), Absent::Removed)?;
    }
    let at = |stage| {
        let (toml, file) = (toml.clone(), path.clone());
        Command::Apply(commands::Apply { toml, file, keep: arguments.keep, stage })
    };
    let stage = if arguments.dry_run { Stage::Show } else { Stage::Plan };
    let mut planned = reach.perform(at(stage), view(false)).await?;
    let next = std::mem::take(&mut planned.next);
    let code = finish(planned)?;
    let agreed = match next {
        Next::Nothing => return Ok(code),
        _ if arguments.dry_run => {
            print("nothing was changed (--dry-run)\n");
            return Ok(ExitCode::SUCCESS);
        }
        Next::Go => None,
        Next::Agree(question) => {
            if !confirmed(&question, arguments.yes)? {
                print("nothing was changed\n");
                return Ok(ExitCode::SUCCESS);
            }
            Some(question)
        }
    };
    reach.run(at(Stage::Commit(agreed)), false).await
}
