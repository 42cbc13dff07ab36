//! `zenith copy` of several collections: each to its own table, the smallest first, some of them side by side.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`plan`] | which collections become which tables, in which order; what is refused before anything is written |
//! | [`one`] | one of them: planned, copied, and how that ended |
//! | [`report`] | all of them, for people and for machines |
//!
//! All share one pool: each of those under way may use an equal part of it. One that fails stops no other.

mod one;
mod plan;
mod report;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;
use zenith_engine::EngineError;

use crate::args::Copy;
use crate::exit::{self, Failure};
use crate::progress::{self, Display, say};
use crate::signals::Signals;
use crate::terminal::print;
use zenith_control::collections::listing::Catalogue;
use zenith_control::collections::patterns;
use zenith_control::mismatches::counted;

use one::{Copied, End, Job, Shared};
use plan::Plan;
use report::Report;

/// Whether the arguments mean several collections, or may do so.
pub fn are_meant(arguments: &Copy) -> bool {
    let names = &arguments.collection;
    names.len() > 1 || names.iter().any(|name| patterns::is_pattern(name))
}

/// Copies from a source that is being opened.
pub async fn copy<S: Catalogue>(
    arguments: &Copy,
    source: impl Future<Output = Result<S, EngineError>>,
    to: &str,
) -> Result<ExitCode, EngineError> {
    let mut signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => return Ok(exit::failed(&format!("cannot catch signals: {error}"))),
    };
    let prepared = tokio::select! {
        prepared = plan::prepare(arguments, source, to) => prepared?,
        () = signals.next() => {
            progress::say("zenith: stopped; nothing was written");
            return Ok(ExitCode::from(exit::STOPPED));
        }
    };
    let (plan, shared) = match prepared {
        Ok(prepared) => prepared,
        Err(message) => return Ok(exit::input(&message)),
    };
    if !arguments.quiet {
        plan.left_out.iter().for_each(|(name, reason)| say(&format!("zenith: {name} is left out: {reason}")));
    }
    let stop = watch::Sender::new(false);
    stop_at_signal(signals, stop.clone());
    let mut report = run(plan, Arc::new(shared), &stop, arguments.quiet || arguments.dry_run).await;
    report.is_dry = arguments.dry_run;
    if arguments.json {
        print(&format!("{}\n", report.json()));
    } else if !arguments.quiet {
        print(&report.text());
    }
    Ok(code(&report, arguments))
}

/// The first signal stops all copies, the second one ends the process.
fn stop_at_signal(mut signals: Signals, stop: watch::Sender<bool>) {
    tokio::spawn(async move {
        signals.next().await;
        say("zenith: stopping; press again to stop at once");
        stop.send_replace(true);
        signals.end_at_next();
    });
}

/// Carries a plan out.
async fn run<S: Catalogue>(
    plan: Plan,
    shared: Arc<Shared<S>>,
    stop: &watch::Sender<bool>,
    quiet: bool,
) -> Report {
    let mut report = Report::begin(plan.left_out);
    let all = plan.jobs.len();
    let ended = Arc::new(Mutex::new(Totals::default()));
    let display = (!quiet).then(|| {
        let (shared, ended) = (Arc::clone(&shared), Arc::clone(&ended));
        Display::saying(move || ended.lock().unwrap_or_else(PoisonError::into_inner).line(all, &shared))
    });
    let mut jobs = plan.jobs.into_iter();
    let mut running = JoinSet::new();
    let mut under_way: HashMap<_, Job> = HashMap::new();
    loop {
        while running.len() < plan.parallel && !*stop.borrow() {
            let Some(job) = jobs.next() else { break };
            let (shared, stopped) = (Arc::clone(&shared), stop.subscribe());
            let known = job.clone();
            let task = running.spawn(async move { one::copy(job, &shared, stopped).await });
            under_way.insert(task.id(), known);
        }
        let copied = match running.join_next_with_id().await {
            Some(Ok((id, copied))) => {
                under_way.remove(&id);
                copied
            }
            Some(Err(error)) => {
                let Some(job) = under_way.remove(&error.id()) else { continue };
                let message = format!("its copy ended unexpectedly ({error}); please report this");
                Copied { job, end: End::Failed(Failure::Failed(message)) }
            }
            None => break,
        };
        if let Some(message) = copied.failure().map(Failure::message) {
            say(&format!("zenith: {}: {message}", copied.job.namespace));
        }
        ended.lock().unwrap_or_else(PoisonError::into_inner).add(&copied);
        report.copies.push(copied);
    }
    drop(display);
    report.not_begun = jobs.map(|job| job.namespace).collect();
    report.end(shared.sink.send_report());
    report
}

/// What has been copied so far, for the display.
#[derive(Default)]
struct Totals {
    ended: usize,
    failed: usize,
    rows: u64,
}

impl Totals {
    fn add(&mut self, copied: &Copied) {
        self.ended += 1;
        self.failed += usize::from(copied.failure().is_some());
        self.rows += copied.rows();
    }

    fn line<S>(&self, all: usize, shared: &Shared<S>) -> String {
        use indicatif::{HumanBytes, HumanCount};
        let count = |n: usize| HumanCount(u64::try_from(n).unwrap_or(u64::MAX));
        let failed = if self.failed > 0 { format!(", {} failed", count(self.failed)) } else { String::new() };
        let rows = self.rows + shared.rows_under_way();
        let memory = u64::try_from(shared.pool.stats().in_use).unwrap_or(u64::MAX);
        format!(
            "{} of {}{failed}, {}, memory {}",
            count(self.ended),
            counted(u64::try_from(all).unwrap_or(u64::MAX), "collection"),
            counted(rows, "row"),
            HumanBytes(memory)
        )
    }
}

/// Stopped, failed, more mismatches than allowed, or done.
fn code(report: &Report, arguments: &Copy) -> ExitCode {
    if report.was_stopped() {
        let left = report.not_begun.len();
        if left > 0 {
            say(&format!(
                "zenith: stopped; not begun: {}, and what tables there were are as they were",
                counted(u64::try_from(left).unwrap_or(u64::MAX), "collection")
            ));
        }
        return ExitCode::from(exit::STOPPED);
    }
    if let Some(failure) = report.failure() {
        return ExitCode::from(failure.exit_code());
    }
    let exceeded = report.copies.iter().flat_map(|copied| copied.exceeded(&arguments.allowed));
    exit::within(&exceeded.collect::<Vec<_>>())
}
