//! `cargo xtask bench cdc`: how soon a change is a row, and how many changes a second become rows.
//!
//! | part | what it measures |
//! | --- | --- |
//! | [`latency`] | from the commit in MongoDB to the row in ClickHouse, at a steady rate of changes |
//! | [`throughput`] | a backlog of mixed changes, beside a reader that only drains the same change stream |
//! | [`keys`] | a backlog into a table sorted by fields that change, and into one sorted by `_id` |
//! | [`follower`] | the command that follows |

mod follower;
mod keys;
mod latency;
mod throughput;

use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};

use self::keys::Keys;
use self::latency::Latency;
use self::throughput::Throughput;
use super::machine::Machine;
use super::servers::Servers;
use super::statistics::{median_of, ratio};
use super::table::{Table, counted, megabytes, seconds};
use super::zenith::{Measured, Zenith};
use crate::Outcome;

/// What to measure.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench cdc                                    a minute or two
  cargo xtask bench cdc --seconds 5 --changes 50000 --runs 1")]
pub struct Arguments {
    /// Changes a second while latency is measured
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    rate: u64,
    /// How long latency is measured
    #[arg(long, value_name = "N", default_value_t = 20)]
    seconds: u64,
    /// Changes of the backlog
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    changes: u64,
    /// Documents of the tables with different sorting keys; 0 leaves them out
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    key_documents: u64,
    /// Mixed changes of these documents
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    key_changes: u64,
    #[command(flatten)]
    measured: Measured,
}

/// Everything that was measured; what is kept in `docs/benchmarks/cdc.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    latency: Latency,
    backlog: Vec<Throughput>,
    #[serde(default)]
    keys: Option<Keys>,
}

/// Measures, prints and keeps the numbers if asked to.
pub async fn run(arguments: Arguments) -> Outcome {
    let zenith = Zenith::get(&arguments.measured).await?;
    let servers = Servers::start().await?;
    let machine = Machine { zenith: zenith.version.clone(), ..servers.machine().await? };
    let follower = follower::prepare(&servers, &zenith).await?;
    let latency = latency::measure(&servers, &follower, arguments.rate, arguments.seconds).await?;
    let mut backlog = Vec::new();
    for run in 1..=arguments.measured.runs {
        let measured = throughput::measure(&servers, &follower, arguments.changes, u64::from(run)).await?;
        eprintln!(
            "backlog, run {run} of {}: {:.2} s, bare reader {:.2} s",
            arguments.measured.runs, measured.followed.cost.seconds, measured.drained.seconds
        );
        backlog.push(measured);
    }
    let keys = match arguments.key_documents {
        0 => None,
        documents => Some(keys::measure(&servers, &zenith, documents, arguments.key_changes).await?),
    };
    let report = Report { machine, latency, backlog, keys };
    println!("{}\n\n{}\n{}", report.machine.sentence(), report.table().text(), report.histogram());
    arguments.measured.keep(&report)?;
    Ok(ExitCode::SUCCESS)
}

impl Report {
    /// Changes by latency, as bars of text.
    pub(super) fn histogram(&self) -> String {
        self.latency.histogram()
    }

    /// One line a figure.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(&["what", "figure"]);
        let mut line = |what: &str, figure: String| table.row([what.to_owned(), figure]);
        let latency = &self.latency;
        line("changes/s while latency was measured", counted(latency.rate));
        for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
            line(&format!("commit to row, {name} ms"), format!("{:.0}", latency.percentile(share)));
        }
        line("first change a row after a restart, s", seconds(latency.restart_seconds));
        let of = |number: fn(&Throughput) -> f64| median_of(&self.backlog, number);
        line("backlog, changes/s", counted(of(Throughput::rate)));
        line("bare reader, changes/s", counted(of(Throughput::drain_rate)));
        line("share of the bare reader", format!("{:.2}", of(|run| ratio(run.rate(), run.drain_rate()))));
        line("peak MB", megabytes(of(|run| run.followed.peak_rss_bytes as f64)));
        let mut each = |what: &str, seconds: fn(&Throughput) -> f64| {
            let microseconds = median_of(&self.backlog, |run| ratio(seconds(run) * 1e6, run.changes as f64));
            line(what, format!("{microseconds:.1}"));
        };
        each("Zenith's CPU µs/change", |run| run.followed.cpu_seconds);
        each("MongoDB's", |run| run.followed.cost.mongodb_cpu_seconds);
        each("MongoDB's for the bare reader", |run| run.drained.mongodb_cpu_seconds);
        each("ClickHouse's", |run| run.followed.cost.clickhouse_cpu_seconds);
        if let Some(keys) = &self.keys {
            let mut line = |what: &str, figure: String| table.row([what.to_owned(), figure]);
            line("mixed backlog, ORDER BY _id, changes/s", counted(keys.by_id_rate()));
            line("the same, ORDER BY user_id, ts, _id", counted(keys.by_fields_rate()));
            let share = ratio(keys.by_fields_rate(), keys.by_id_rate());
            line("its share of that by _id", format!("{share:.2}"));
        }
        table
    }
}
