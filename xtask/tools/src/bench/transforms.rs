//! `cargo xtask bench transforms`: the price of fields that are left out, renamed and masked.
//!
//! The same events, copied in turn with different options: the machine drifts, so that each is compared with the plain copy
//! of its own round.

use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};
use zenith_testkit::{Result, Shape};

use super::machine::Machine;
use super::servers::Servers;
use super::statistics::{median, median_of, ratio};
use super::table::{Table, counted, megabytes, seconds};
use super::zenith::{CopyRun, Measured, Zenith};
use crate::Outcome;

const EVENTS: &str = "events";

/// What is done to the events, with the options that do it; the first is what the others are compared with.
const VARIANTS: [(&str, &[&str]); 4] = [
    ("as they are", &[]),
    (
        "excluded, renamed, masked",
        &["--exclude", "device.version", "--rename", "kind=what", "--mask", "user=hash64"],
    ),
    (
        "half excluded",
        &["--exclude", "session", "--exclude", "user", "--exclude", "path", "--exclude", "device"],
    ),
    ("half included", &["--include", "at", "--include", "kind", "--include", "amount", "--include", "tags"]),
];

/// What to measure.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench transforms
  cargo xtask bench transforms --rows 100000 --runs 1")]
pub struct Arguments {
    /// Documents
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    rows: u64,
    #[command(flatten)]
    measured: Measured,
}

/// Everything that was measured.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    machine: Machine,
    lines: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    what: String,
    options: Vec<String>,
    runs: Vec<CopyRun>,
}

/// Measures, prints a table and keeps the numbers if asked to.
pub async fn run(arguments: Arguments) -> Outcome {
    let zenith = Zenith::get(&arguments.measured).await?;
    let servers = Servers::start().await?;
    let machine = Machine { zenith: zenith.version.clone(), ..servers.machine().await? };
    servers.load(EVENTS, Shape::Events, 0..arguments.rows).await?;
    let mut lines = VARIANTS.map(|(what, options)| Line {
        what: what.to_owned(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        runs: Vec::new(),
    });
    let runs = arguments.measured.runs;
    // The first round warms the cache of MongoDB.
    for round in 0..=runs {
        for line in &mut lines {
            let run = copy(&servers, &zenith, &line.options).await?;
            eprintln!("round {round} of {runs}, {}: {:.2} s", line.what, run.cost.seconds);
            line.runs.extend((round > 0).then_some(run));
        }
    }
    let report = Report { machine, lines: lines.into() };
    println!("{}\n\n{}", report.machine.sentence(), report.table().text());
    arguments.measured.keep(&report)?;
    Ok(ExitCode::SUCCESS)
}

async fn copy(servers: &Servers, zenith: &Zenith, options: &[String]) -> Result<CopyRun> {
    servers.settle().await?;
    let run = zenith.clone().with_options(options).copy(servers, EVENTS).await?;
    servers.drop_table(EVENTS).await?;
    Ok(run)
}

impl Report {
    /// One line a variant.
    fn table(&self) -> Table {
        let mut table =
            Table::new(&["events", "seconds", "rows/s", "of the rows/s", "Zenith's CPU s", "Arrow MB"]);
        let plain = self.lines.first().map_or(&[][..], |line| &line.runs);
        for Line { what, runs, .. } in &self.lines {
            let rounds = plain.iter().zip(runs);
            let of_plain = median(rounds.map(|(plain, run)| ratio(plain.cost.seconds, run.cost.seconds)));
            table.row([
                what.clone(),
                seconds(median_of(runs, |run| run.cost.seconds)),
                counted(median_of(runs, |run| ratio(run.rows as f64, run.cost.seconds))),
                format!("{:.0} %", of_plain * 100.0),
                seconds(median_of(runs, |run| run.cpu_seconds)),
                megabytes(median_of(runs, |run| run.arrow_bytes as f64)),
            ]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::servers::Cost;

    #[test]
    fn each_is_compared_with_the_plain_copy_of_its_round() {
        let run =
            |seconds| CopyRun { cost: Cost { seconds, ..Cost::default() }, rows: 10, ..CopyRun::default() };
        let line = |what: &str, runs| Line { what: what.to_owned(), options: Vec::new(), runs };
        let lines = vec![line("plain", vec![run(1.0), run(2.0)]), line("masked", vec![run(2.0), run(4.0)])];
        let text = Report { machine: Machine::default(), lines }.table().text();
        assert!(text.contains("100 %") && text.contains("50 %"), "{text}");
    }
}
