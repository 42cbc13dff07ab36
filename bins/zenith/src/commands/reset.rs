//! `zenith reset`: a pipeline continues from somewhere else.

use std::process::ExitCode;
use std::time::SystemTime;

use zenith_engine::ResetTo;
use zenith_engine::state::StateStore as _;

use super::delegate::{self, Held};
use super::{confirmed, something_applied};
use crate::args::Reset;
use crate::exit::{Ending, Failure};
use crate::terminal::print;
use zenith_control::mismatches::counted;
use zenith_control::requests::Asked;
use zenith_control::reset::From;
use zenith_control::state::Places;
use zenith_control::{connect, time};

pub async fn run(arguments: &Reset) -> Ending {
    let places = Places::find(&arguments.place)?;
    let look = places.look().await?;
    let config = something_applied(&look).await?.config().map_err(Failure::Input)?;
    let name = &arguments.name;
    let pipeline = connect::pipeline(&config, name)?;
    let now = SystemTime::now();
    let checkpoint = look.checkpoint(name).await?;
    let is_new = checkpoint.is_none();
    let is_at = match checkpoint {
        None => "has not begun".to_owned(),
        Some(checkpoint) => match checkpoint.source_time {
            Some(at) => {
                format!("is at {} (UTC), {} back", time::shown(at), time::duration(time::ago(at, now)))
            }
            None => format!("has {} behind it", counted(checkpoint.rows, "row")),
        },
    };
    let then = match &arguments.from {
        From::Now if is_new => "begins with the changes from now on: no document is read before".to_owned(),
        From::Now => "continues from now: changes up to now are skipped".to_owned(),
        From::Beginning if pipeline.settings.mode.follows_changes() => {
            "starts over: the collection is read from its beginning".to_owned()
        }
        From::Beginning => "begins at the first document again".to_owned(),
        From::Time(at) => format!("continues with the changes from {} (UTC) on", time::shown(*at)),
        From::Token(_) => "continues after that resume token".to_owned(),
    };
    let table = if is_new { "is made if it is not there" } else { "stays as it is" };
    print(&format!("{name} {is_at}; with this it {then}. The table {} {table}.\n", pipeline.table()));
    if arguments.dry_run {
        print("nothing was changed (--dry-run)\n");
        return Ok(ExitCode::SUCCESS);
    }
    if !is_new && !confirmed("Its progress so far is forgotten. Go on?", arguments.yes)? {
        print("nothing was changed\n");
        return Ok(ExitCode::SUCCESS);
    }
    match Held::open(&places).await? {
        Held::Alone(store) => {
            let single = connect::single(&config, name, store, &connect::pool(None, &places)?).await?;
            single.keeper.reset(name, ResetTo::from(&arguments.from)).await?;
        }
        Held::ByRun(store) => {
            let asked = Asked::Reset { from: arguments.from.to_string() };
            if let Err(code) = delegate::ask(&places, &store, name, &asked, true).await? {
                return Ok(code);
            }
        }
    }
    print("reset\n");
    Ok(ExitCode::SUCCESS)
}
