//! `zenith run`: keeps the tables in step until stopped.

use std::process::ExitCode;
use std::time::Duration;

use zenith_control::alerts::{Keeper, Reports, Telling};
use zenith_control::allowed::Allowed;
use zenith_control::mismatches;
use zenith_control::notices::Notices;
use zenith_control::run::open::{self, Opened, Wanted};
use zenith_control::run::supervisor::{End, Supervisor};
use zenith_control::state::Places;
use zenith_engine::Until;
use zenith_engine::state::Mismatches;

use crate::args::Run;
use crate::display::Display;
use crate::exit::{self, Ending, Failure};
use crate::lease;
use crate::progress::say;
use crate::reach::Context;
use crate::signals::Signals;

/// Prints what the run says.
pub fn notices() -> Notices {
    Notices::new(|about, sentence| match about {
        Some(about) => say(&format!("zenith: {about}: {sentence}")),
        None => say(&format!("zenith: {sentence}")),
    })
}

/// How long a stop may take; what has not been saved by then is done again by the next run.
const STOP_WITHIN: Duration = Duration::from_secs(9);

pub async fn run(arguments: &Run, context: &Context) -> Ending {
    context.only_here("zenith run", "it runs the pipelines itself, and the server does so already")?;
    let wanted = wanted(arguments)?;
    let mut signals =
        Signals::catch().map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
    let places = Places::find(&arguments.place)?;
    let opened = tokio::select! {
        opened = open::open(&places, wanted, notices()) => opened?,
        () = signals.next() => {
            say("zenith: stopped; nothing was begun");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let Opened { mut supervisor, shared, greeting, held } = opened;
    lease::watch(&held);
    if !arguments.quiet {
        say(&format!("zenith: {greeting}"));
    }
    let display = (!arguments.quiet).then(|| {
        let views = supervisor.views();
        Display::start(Some(shared.pool.clone()), move || views.progress())
    });
    let alerts = &places.process.alerts;
    let reports = Reports::State(places.clone());
    let alerts = Telling::start(&Keeper::open(alerts, reports, shared.store.clone(), &arguments.names)?);
    let end = tokio::select! {
        end = supervisor.run() => Some(end),
        () = signals.next() => None,
    };
    let Some(end) = end else {
        say("zenith: stopping; press again to stop at once");
        signals.end_at_next();
        if tokio::join!(super::stopped(&mut supervisor, STOP_WITHIN), alerts.stop()).0 {
            lease::give_back(&held).await;
        }
        drop(display);
        if !arguments.quiet {
            summarise_mismatches(&supervisor);
        }
        return Ok(ExitCode::SUCCESS);
    };
    tokio::select! {
        () = alerts.finish() => {}
        () = signals.next() => say("zenith: stopped before all alerts were sent"),
    }
    drop(display);
    // Whoever has failed may have left pipelines running.
    if end.is_ok() || super::stopped(&mut supervisor, STOP_WITHIN).await {
        lease::give_back(&held).await;
    }
    ended(end?, &supervisor, arguments)
}

fn wanted(arguments: &Run) -> Result<Wanted, Failure> {
    let Allowed { max_extra, max_dead_letters } = arguments.allowed;
    if !arguments.once && (max_extra.is_some() || max_dead_letters.is_some()) {
        return Err(Failure::Input(
            "--max-extra and --max-dead-letters are for runs that end: add --once, or ask zenith status"
                .to_owned(),
        ));
    }
    Ok(Wanted {
        names: arguments.names.clone(),
        memory: arguments.memory,
        until: if arguments.once { Until::CaughtUp } else { Until::Stopped },
        stays: false,
    })
}

/// What a run that ended by itself has done.
fn ended(end: End, supervisor: &Supervisor, arguments: &Run) -> Ending {
    match end {
        End::Done => {
            if !arguments.quiet {
                summarise(supervisor);
            }
            Ok(exit::within(&exceeded(supervisor, &arguments.allowed)))
        }
        // Each of them has been told about.
        End::Failed { input } => {
            let failure = if input { Failure::Input(String::new()) } else { Failure::Failed(String::new()) };
            Ok(ExitCode::from(failure.exit_code()))
        }
    }
}

fn summarise(supervisor: &Supervisor) {
    for (pipeline, (rows, mismatches)) in supervisor.done_so_far() {
        let totals = mismatches::totals(mismatches.values_total(), mismatches.documents_total());
        let totals = totals.map_or_else(String::new, |totals| format!("; {totals}"));
        say(&format!("zenith: {pipeline}: {} written{totals}", mismatches::counted(*rows, "row")));
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
