//! `cargo xtask bench flat`: that memory and the price of a row do not grow with the collection.
//!
//! A small collection and a large one, the large one also with little memory, copied in turn: the machine drifts. The small
//! one is copied as often as makes the same number of rows, so that what a large copy leaves behind, in the caches and in
//! ClickHouse's hands, is not a part of the price of few rows.

use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};
use zenith_testkit::{Result, Shape};

use super::machine::Machine;
use super::servers::Servers;
use super::statistics::{median_of, ratio};
use super::table::{Table, counted, megabytes, seconds};
use super::zenith::{CopyRun, Measured, Zenith};
use crate::Outcome;

const SMALL: &str = "events";
const LARGE: &str = "more_events";

/// What to measure.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench flat                                        1 and 10 million events, ten minutes
  cargo xtask bench flat --rows 50000 --large-rows 500000 --runs 1")]
pub struct Arguments {
    /// Documents of the small collection
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    rows: u64,
    /// Documents of the large collection
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    large_rows: u64,
    /// Memory of the last line
    #[arg(long, value_name = "SIZE", default_value = "16MiB")]
    little_memory: String,
    #[command(flatten)]
    measured: Measured,
}

/// Everything that was measured; what is kept in `docs/benchmarks/flat.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    lines: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    rows: u64,
    /// As given to `--memory`.
    memory: String,
    runs: Vec<CopyRun>,
}

/// Measures, prints a table and keeps the numbers if asked to.
pub async fn run(arguments: Arguments) -> Outcome {
    let zenith = Zenith::get(&arguments.measured).await?;
    let servers = Servers::start().await?;
    let machine = Machine { zenith: zenith.version.clone(), ..servers.machine().await? };
    let large_rows = arguments.large_rows.max(arguments.rows + 1);
    servers.load(SMALL, Shape::Events, 0..arguments.rows).await?;
    servers.load(LARGE, Shape::Events, 0..large_rows).await?;
    let little = arguments.little_memory.as_str();
    let line = |collection, rows, memory: &str| {
        (collection, Line { rows, memory: memory.to_owned(), runs: Vec::new() })
    };
    let mut lines = [
        line(SMALL, arguments.rows, "64MiB"),
        line(LARGE, large_rows, "64MiB"),
        line(LARGE, large_rows, little),
    ];
    let runs = arguments.measured.runs;
    // The first round warms the cache of MongoDB.
    for round in 0..=runs {
        let name = if round == 0 { "warming up".to_owned() } else { format!("round {round} of {runs}") };
        for (collection, line) in &mut lines {
            let times = if round == 0 { 1 } else { large_rows / line.rows };
            for time in 1..=times {
                let run = copy(&servers, &zenith, collection, &line.memory).await?;
                let of = if times == 1 { String::new() } else { format!(", {time} of {times}") };
                eprintln!("{name}{of}, {} rows with {}: {:.2} s", line.rows, line.memory, run.cost.seconds);
                line.runs.extend((round > 0).then_some(run));
            }
        }
    }
    let report = Report { machine, lines: lines.map(|(_, line)| line).into() };
    println!("{}\n\n{}", report.machine.sentence(), report.table().text());
    arguments.measured.keep(&report)?;
    Ok(ExitCode::SUCCESS)
}

async fn copy(servers: &Servers, zenith: &Zenith, collection: &str, memory: &str) -> Result<CopyRun> {
    servers.settle().await?;
    let run = zenith.clone().with_memory(Some(memory.to_owned())).copy(servers, collection).await?;
    servers.drop_table(collection).await?;
    Ok(run)
}

impl Report {
    /// One line a size.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(&[
            "rows",
            "--memory",
            "seconds",
            "rows/s",
            "peak MB",
            "Zenith's CPU ns/row",
            "all CPU ns/row",
        ]);
        for Line { rows, memory, runs } in &self.lines {
            // Of all runs together: a long run has the machine's fast and slow moments in it, several short ones have, too.
            let nanoseconds_a_row = |cpu_seconds: fn(&CopyRun) -> f64| {
                let all: f64 = runs.iter().map(cpu_seconds).sum();
                counted(ratio(all * 1e9, (*rows * runs.len() as u64) as f64))
            };
            table.row([
                counted(*rows as f64),
                memory.clone(),
                seconds(median_of(runs, |run| run.cost.seconds)),
                counted(median_of(runs, |run| ratio(run.rows as f64, run.cost.seconds))),
                megabytes(median_of(runs, |run| run.peak_rss_bytes as f64)),
                nanoseconds_a_row(|run| run.cpu_seconds),
                nanoseconds_a_row(|run| {
                    run.cpu_seconds + run.cost.mongodb_cpu_seconds + run.cost.clickhouse_cpu_seconds
                }),
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
    fn the_price_of_a_row() {
        let cost = Cost { seconds: 2.0, mongodb_cpu_seconds: 1.0, clickhouse_cpu_seconds: 1.0 };
        let run = CopyRun { cost, cpu_seconds: 0.5, rows: 1_000_000, ..CopyRun::default() };
        let costly = CopyRun { cpu_seconds: 2.0, ..run.clone() };
        let runs = vec![run.clone(), run, costly];
        let line = Line { rows: 1_000_000, memory: "16MiB".to_owned(), runs };
        let report = Report { machine: Machine::default(), lines: vec![line] };
        let text = report.table().text();
        assert!(text.contains("500,000") && text.contains(" 1,000 ") && text.ends_with("3,000\n"), "{text}");
    }
}
