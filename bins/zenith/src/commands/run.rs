//! `zenith run`: keeps the tables in step until stopped.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::HumanCount;
use zenith_engine::Until;
use zenith_engine::state::{DynStateStore, Mismatches, PipelineRecord};

use crate::args::{Allowed, Run};
use crate::config::applied::Applied;
use crate::connect::{self, no_pipeline};
use crate::exit::{self, Ending, Failure};
use crate::mismatches;
use crate::progress::say;
use crate::run::desired::is_named;
use crate::run::discovery::Discovery;
use crate::run::display::Display;
use crate::run::environment::{self, Environment};
use crate::run::group::Shared;
use crate::run::supervisor::{End, Supervisor};
use crate::signals::Signals;
use crate::state::Places;

/// How long a stop may take; what has not been saved by then is done again by the next run.
const STOP_WITHIN: Duration = Duration::from_secs(9);

pub async fn run(arguments: &Run) -> Ending {
    let mut signals =
        Signals::catch().map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
    let prepared = tokio::select! {
        prepared = prepare(arguments) => prepared?,
        () = signals.next() => {
            say("zenith: stopped; nothing was begun");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let (mut supervisor, shared, greeting) = prepared;
    if !arguments.quiet {
        say(&format!("zenith: {greeting}"));
    }
    let display = (!arguments.quiet).then(|| {
        let views = supervisor.views();
        Display::start(Some(shared.pool.clone()), move || views.progress())
    });
    let end = tokio::select! {
        end = supervisor.run() => Some(end),
        () = signals.next() => None,
    };
    let Some(end) = end else {
        say("zenith: stopping; press again to stop at once");
        signals.end_at_next();
        if tokio::time::timeout(STOP_WITHIN, supervisor.stop()).await.is_err() {
            say("zenith: stopped before everything was saved; the next run does the rest again");
        }
        drop(display);
        if !arguments.quiet {
            summarise_mismatches(&supervisor);
        }
        return Ok(ExitCode::SUCCESS);
    };
    drop(display);
    match end? {
        End::Done => {
            if !arguments.quiet {
                summarise(&supervisor);
            }
            Ok(exit::within(&exceeded(&supervisor, &arguments.allowed)))
        }
        // Each of them has been told about.
        End::Failed { input } => {
            let failure = if input { Failure::Input(String::new()) } else { Failure::Failed(String::new()) };
            Ok(exit::code::<()>(&Err(failure)))
        }
    }
}

/// Opens the state and finds out what there is to run. Nothing is created where nothing was applied.
async fn prepare(arguments: &Run) -> Result<(Supervisor, Shared, String), Failure> {
    let Allowed { max_extra, max_dead_letters } = arguments.allowed;
    if !arguments.once && (max_extra.is_some() || max_dead_letters.is_some()) {
        return Err(Failure::Input(
            "--max-extra and --max-dead-letters are for runs that end: add --once, or ask zenith status"
                .to_owned(),
        ));
    }
    let places = Places::find(&arguments.place)?;
    let applied = match places.look().await {
        Ok(store) => Applied::read(&store).await?,
        Err(_) if !places.state.exists() => Applied::default(),
        // One to be brought up to date can be read once it has been opened for writing.
        Err(_) => Applied::read(&places.own().await?).await?,
    };
    let by_environment = !places.has_file() && environment::decides(&applied);
    if applied.is_idle() && !by_environment {
        return Err(Failure::Input(nothing_to_run(&places)));
    }
    let is_known = |name: &&String| applied.names().any(|known| known == *name) || by_environment;
    if let Some(name) = arguments.names.iter().find(|name| !is_known(name)) {
        return Err(no_pipeline(name, applied.names()));
    }
    let targets = if by_environment { BTreeMap::from([environment::target()]) } else { applied.targets() };
    let pool = connect::loading_pool(arguments.memory, &places, &targets).await?;
    let store = DynStateStore::new(places.own().await?);
    let mut discovery = Discovery::new(match by_environment {
        true => Some(Environment::open(&store).await?),
        false => None,
    });
    discovery.look(&store).await?;
    let until = if arguments.once { Until::CaughtUp } else { Until::Stopped };
    let names = &arguments.names;
    let is_meant = |record: &&PipelineRecord| names.is_empty() || is_named(names, record);
    let pipelines = Applied::read(&store).await?.pipelines.iter().filter(is_meant).count();
    let greeting = format!(
        "running {pipelines} {}; the state is {}",
        if pipelines == 1 { "pipeline" } else { "pipelines" },
        places.state.display()
    );
    let greeting = match (pipelines, discovery.may_find()) {
        (0, true) => format!("{greeting}; waiting for the first collection"),
        _ => greeting,
    };
    let shared = Shared { store, pool, until };
    let supervisor = Supervisor::new(shared.clone(), names.clone(), discovery);
    Ok((supervisor, shared, greeting))
}

fn nothing_to_run(places: &Places) -> String {
    let state = places.state.display();
    if places.has_file() {
        return format!(
            "no pipelines were applied to the state {state}: {} is here, so apply it with `zenith apply`",
            places.file.display()
        );
    }
    format!(
        "no pipelines were applied to the state {state}: write a configuration with `zenith init` and apply it, or set \
         ZENITH_SOURCE and ZENITH_TARGET to keep a whole database in step"
    )
}

fn summarise(supervisor: &Supervisor) {
    for (pipeline, (rows, mismatches)) in supervisor.done_so_far() {
        let totals = mismatches::totals(mismatches.values_total(), mismatches.documents_total());
        let totals = totals.map_or_else(String::new, |totals| format!("; {totals}"));
        say(&format!("zenith: {pipeline}: {} rows written{totals}", HumanCount(*rows)));
        mismatches::list(mismatches).lines().for_each(say);
    }
}

/// What did not fit in a run that was stopped; its rows have been shown.
fn summarise_mismatches(supervisor: &Supervisor) {
    for (pipeline, (_, mismatches)) in supervisor.done_so_far() {
        let Some(totals) = mismatches::totals(mismatches.values_total(), mismatches.documents_total()) else {
            continue;
        };
        say(&format!("zenith: {pipeline}: {totals} in this run"));
        mismatches::list(mismatches).lines().for_each(say);
    }
}

fn exceeded(supervisor: &Supervisor, allowed: &Allowed) -> Vec<String> {
    let of = |(pipeline, (_, mismatches)): (&String, &(u64, Mismatches))| {
        allowed.exceeded(pipeline, mismatches.values_total(), mismatches.documents_total())
    };
    supervisor.done_so_far().iter().flat_map(of).collect()
}
