//! `zenith apply`: what `zenith.toml` says becomes what is run.

use std::process::ExitCode;

use zenith_engine::state::SqliteStore;

use super::confirmed;
use super::delegate::Held;
use crate::args::Apply;
use crate::exit::{Ending, Failure};
use crate::progress::say;
use crate::terminal::print;
use zenith_control::config::applied::Applied;
use zenith_control::config::file;
use zenith_control::operations::apply::{self, Absent, Planned};
use zenith_control::state::Places;
use zenith_control::text::Paint;

pub async fn run(arguments: &Apply) -> Ending {
    let places = Places::find(&arguments.place)?;
    let text = file::text(&places.file)?;
    // Mistakes of the file are told before a state is made.
    let config = apply::read(&text, &places.file, &Applied::default(), Absent::Removed)?;
    let now = match places.look().await {
        Ok(store) => Applied::read(&store).await?,
        // A dry run creates nothing, and there may be nothing yet.
        Err(_) if arguments.dry_run && !places.state.exists() => Applied::default(),
        Err(_) => Applied::read(&places.change().await?).await?,
    };
    let config = match arguments.keep {
        true => apply::read(&text, &places.file, &now, Absent::Kept)?,
        false => config,
    };
    let planned = apply::plan(config, &now, &text, &places.file).await?;
    warn(&planned.warnings);
    let difference = &planned.difference;
    if difference.is_empty() {
        print("nothing changes\n");
        return Ok(ExitCode::SUCCESS);
    }
    print(&difference.text(Paint::for_stdout()));
    print(&format!("{}\n", difference.counts()));
    warn(&apply::look_at_names(&planned.config, &places).await?);
    if arguments.dry_run {
        print("nothing was changed (--dry-run)\n");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(question) = apply::question(difference)
        && !confirmed(&question, arguments.yes)?
    {
        print("nothing was changed\n");
        return Ok(ExitCode::SUCCESS);
    }
    commit(&planned, &places).await?;
    let next = if SqliteStore::is_locked(&places.state).await {
        "applied; the running `zenith run` continues with it"
    } else {
        "applied; start it with `zenith run`"
    };
    print(&format!("{next}\n"));
    Ok(ExitCode::SUCCESS)
}

fn warn(warnings: &[String]) {
    warnings.iter().for_each(|sentence| say(&format!("zenith: {sentence}")));
}

/// Nobody may begin to run a pipeline that starts over, so the state is held meanwhile, or the run that holds it asked.
async fn commit(planned: &Planned, places: &Places) -> Result<(), Failure> {
    let held = match planned.difference.anew().is_empty() {
        true => Held::ByRun(places.change().await?),
        false => Held::open(places).await?,
    };
    let (store, running) = match held {
        Held::Alone(store) => (store, false),
        Held::ByRun(store) => (store, true),
    };
    apply::commit(&store, planned, places, running).await?;
    Ok(store.close().await?)
}
