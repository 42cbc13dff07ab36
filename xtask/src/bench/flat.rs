//! `cargo xtask bench flat`: that memory and the price of a row do not grow with the collection.
//!
//! One collection, copied when it is small and again when it has grown, then with little memory.

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

const COLLECTION: &str = "events";

/// What to measure.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench flat                                        1 and 10 million events, some minutes
  cargo xtask bench flat --rows 50000 --large-rows 500000 --runs 1")]
pub struct Arguments {
    /// Documents of the small collection
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
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
    let with = |memory: &str| zenith.clone().with_memory(Some(memory.to_owned()));
    let (rows, large_rows, runs) = (arguments.rows, arguments.large_rows, arguments.measured.runs);
    let large_rows = large_rows.max(rows + 1);
    let mut lines = Vec::new();
    servers.load(COLLECTION, Shape::Events, 0..rows).await?;
    lines.push(measure(&servers, &with("64MiB"), rows, runs).await?);
    servers.load(COLLECTION, Shape::Events, rows..large_rows).await?;
    for memory in ["64MiB", &arguments.little_memory] {
        lines.push(measure(&servers, &with(memory), large_rows, runs).await?);
    }
    let report = Report { machine, lines };
    println!("{}\n\n{}", report.machine.sentence(), report.table().text());
    arguments.measured.keep(&report)?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(servers: &Servers, zenith: &Zenith, rows: u64, runs: u32) -> Result<Line> {
    let memory = zenith.memory.clone().unwrap_or_default();
    let mut line = Line { rows, memory, runs: Vec::new() };
    // The first one warms the cache of MongoDB.
    for number in 0..=runs {
        servers.drop_table(COLLECTION).await?;
        servers.settle().await?;
        let run = zenith.copy(servers, COLLECTION).await?;
        let name = if number == 0 { "warming up".to_owned() } else { format!("run {number} of {runs}") };
        eprintln!("{rows} rows with {}, {name}: {:.2} s", line.memory, run.cost.seconds);
        if number > 0 {
            line.runs.push(run);
        }
    }
    servers.drop_table(COLLECTION).await?;
    Ok(line)
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
            let nanoseconds_a_row = |cpu_seconds: f64| counted(ratio(cpu_seconds * 1e9, *rows as f64));
            let all = |run: &CopyRun| {
                run.cpu_seconds + run.cost.mongodb_cpu_seconds + run.cost.clickhouse_cpu_seconds
            };
            table.row([
                counted(*rows as f64),
                memory.clone(),
                seconds(median_of(runs, |run| run.cost.seconds)),
                counted(median_of(runs, |run| ratio(run.rows as f64, run.cost.seconds))),
                megabytes(median_of(runs, |run| run.peak_rss_bytes as f64)),
                nanoseconds_a_row(median_of(runs, |run| run.cpu_seconds)),
                nanoseconds_a_row(median_of(runs, all)),
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
        let line = Line { rows: 1_000_000, memory: "16MiB".to_owned(), runs: vec![run] };
        let report = Report { machine: Machine::default(), lines: vec![line] };
        let text = report.table().text();
        assert!(text.contains("500,000") && text.contains(" 500 ") && text.ends_with("2,500\n"), "{text}");
    }
}
