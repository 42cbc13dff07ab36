//! `cargo xtask bench e2e`: whole copies, shape by shape, beside the floor that the two databases set.
//!
//! Each round takes all three measurements, one after another: the bare drain of MongoDB, the copy, the bare insert into
//! ClickHouse. The speed of a machine drifts over minutes; ratios are therefore formed within a round, and then their
//! median is taken.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde::{Deserialize, Serialize};
use zenith_testkit::services::cache;
use zenith_testkit::services::test_servers::with_causes;
use zenith_testkit::{Error, Result, Shape};

use super::floor::{self, DrainRun, InsertRun};
use super::machine::Machine;
use super::servers::Servers;
use super::statistics::{median_of, ratio};
use super::table::{Table, counted, megabytes, seconds};
use super::zenith::{CopyRun, Measured, Protocol, Zenith};
use crate::Outcome;

/// What to measure.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench e2e                                    all shapes, as in docs/benchmarks
  cargo xtask bench e2e --shape events --rows 100000       a quick look
  cargo xtask bench e2e --shape wide --shape deep --to native --json /tmp/native.json")]
pub struct Arguments {
    /// Documents of each shape [default: as many as take some seconds, different for each shape]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rows: Option<u64>,
    /// A shape of document, several times for several [default: all]
    #[arg(long, value_name = "SHAPE", value_parser = PossibleValuesParser::new(Shape::ALL.map(Shape::name)))]
    shape: Vec<String>,
    /// Memory for data on its way [default: that of zenith]
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// Protocol towards ClickHouse
    #[arg(long, value_enum, default_value_t)]
    to: Protocol,
    #[command(flatten)]
    measured: Measured,
}

/// Everything that was measured; what is kept in `docs/benchmarks/e2e.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    /// Cache of WiredTiger.
    mongodb_cache_mib: u32,
    to: Protocol,
    memory: Option<String>,
    shapes: Vec<ShapeReport>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct ShapeReport {
    shape: String,
    rows: u64,
    /// Of all documents.
    bson_bytes: u64,
    medians: Medians,
    rounds: Vec<Round>,
    /// Why there are not as many rounds as asked for.
    failed: Option<String>,
}

/// What was measured in one round.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Round {
    drain: DrainRun,
    copy: CopyRun,
    insert: InsertRun,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Medians {
    seconds: f64,
    rows_per_second: f64,
    bson_bytes_per_second: f64,
    zenith_cpu_seconds: f64,
    mongodb_cpu_seconds: f64,
    clickhouse_cpu_seconds: f64,
    settling_clickhouse_cpu_seconds: f64,
    peak_rss_bytes: f64,
    drain_seconds: f64,
    drain_mongodb_cpu_seconds: f64,
    insert_seconds: f64,
    insert_clickhouse_cpu_seconds: f64,
    /// Processor time of Zenith by that of both databases at the floor.
    overhead: f64,
    /// Time of the copy by the least that this many cores could take for the floor.
    distance: f64,
}

/// Measures, prints a table and keeps the numbers if asked to.
pub async fn run(arguments: Arguments) -> Outcome {
    let zenith = Zenith::get(&arguments.measured).await?.with_memory(arguments.memory).over(arguments.to);
    let servers = Servers::start().await?;
    let machine = Machine { zenith: zenith.version.clone(), ..servers.machine().await? };
    let mut shapes = Vec::new();
    for shape in chosen(&arguments.shape) {
        let rows = arguments.rows.unwrap_or_else(|| rows_by_default(shape));
        let mut report = ShapeReport::of(shape, rows);
        // One shape that fails does not take the minutes of the others with it.
        if let Err(error) = measure(&servers, &zenith, shape, arguments.measured.runs, &mut report).await {
            let reason = with_causes(&error);
            eprintln!("{} failed: {reason}", shape.name());
            report.failed = Some(reason);
        }
        report.medians = medians(&report.rounds, report.bson_bytes, machine.cores);
        shapes.push(report);
    }
    let report = Report {
        machine,
        mongodb_cache_mib: servers.cache_mib,
        to: zenith.protocol,
        memory: zenith.memory,
        shapes,
    };
    println!(
        "{}\n\n{}\n{}{}",
        report.sentence(),
        report.copies().text(),
        report.floor().text(),
        report.failures()
    );
    arguments.measured.keep(&report)?;
    let failed = report.shapes.iter().any(|shape| shape.failed.is_some());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn chosen(names: &[String]) -> Vec<Shape> {
    let named: Vec<Shape> = names.iter().filter_map(|name| Shape::from_name(name)).collect();
    if named.is_empty() { Shape::ALL.to_vec() } else { named }
}

/// As many as take some seconds, and fit the cache of WiredTiger.
fn rows_by_default(shape: Shape) -> u64 {
    match shape {
        Shape::Events => 1_000_000,
        Shape::Wide => 200_000,
        Shape::Tiny => 5_000_000,
        Shape::Deep => 1_000_000,
        Shape::Strings => 200_000,
        Shape::Large => 1_000,
    }
}

impl ShapeReport {
    fn of(shape: Shape, rows: u64) -> Self {
        Self { shape: shape.name().to_owned(), rows, ..Self::default() }
    }
}

/// Adds the rounds to the report, in which rows and shape stand.
async fn measure(
    servers: &Servers,
    zenith: &Zenith,
    shape: Shape,
    rounds: u32,
    report: &mut ShapeReport,
) -> Result<()> {
    let name = shape.name();
    let rows = report.rows;
    let bytes = servers.load(name, shape, 0..rows).await?.bytes;
    report.bson_bytes = bytes;
    let stream = Stream::of(name)?;
    eprintln!("Warming up …");
    floor::drain(servers, name, rows, bytes).await?;
    servers.drop_table(name).await?;
    zenith.copy(servers, name).await?;
    floor::fetch(servers, name, &stream.file).await?;
    for number in 1..=rounds {
        servers.settle().await?;
        let drain = floor::drain(servers, name, rows, bytes).await?;
        servers.drop_table(name).await?;
        servers.settle().await?;
        let copy = zenith.copy(servers, name).await?;
        if copy.rows != rows {
            return Err(Error::Server(format!("zenith copied {} of {rows} rows", copy.rows)));
        }
        let insert = floor::insert(servers, name, rows, &stream.file).await?;
        eprintln!(
            "{name}, round {number} of {rounds}: drain {:.2} s, copy {:.2} s, insert {:.2} s",
            drain.cost.seconds, copy.cost.seconds, insert.cost.seconds
        );
        report.rounds.push(Round { drain, copy, insert });
    }
    servers.drop_table(name).await?;
    servers.drop_collection(name).await
}

/// The file with a table as an Arrow stream; gone when this is dropped.
struct Stream {
    file: PathBuf,
}

impl Stream {
    fn of(name: &str) -> Result<Self> {
        let file = cache::directory()?.join(format!("bench-{name}-{}.arrows", std::process::id()));
        Ok(Self { file })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

fn medians(rounds: &[Round], bson_bytes: u64, cores: usize) -> Medians {
    let of = |number: fn(&Round) -> f64| median_of(rounds, number);
    let floor =
        |round: &Round| round.drain.cost.mongodb_cpu_seconds + round.insert.cost.clickhouse_cpu_seconds;
    let wall = |round: &Round| round.copy.cost.seconds;
    Medians {
        seconds: median_of(rounds, wall),
        rows_per_second: of(|round| ratio(round.copy.rows as f64, round.copy.cost.seconds)),
        bson_bytes_per_second: median_of(rounds, |round| ratio(bson_bytes as f64, wall(round))),
        zenith_cpu_seconds: of(|round| round.copy.cpu_seconds),
        mongodb_cpu_seconds: of(|round| round.copy.cost.mongodb_cpu_seconds),
        clickhouse_cpu_seconds: of(|round| round.copy.cost.clickhouse_cpu_seconds),
        settling_clickhouse_cpu_seconds: of(|round| round.copy.settling_clickhouse_cpu_seconds),
        peak_rss_bytes: of(|round| round.copy.peak_rss_bytes as f64),
        drain_seconds: of(|round| round.drain.cost.seconds),
        drain_mongodb_cpu_seconds: of(|round| round.drain.cost.mongodb_cpu_seconds),
        insert_seconds: of(|round| round.insert.cost.seconds),
        insert_clickhouse_cpu_seconds: of(|round| round.insert.cost.clickhouse_cpu_seconds),
        overhead: median_of(rounds, |round| ratio(round.copy.cpu_seconds, floor(round))),
        distance: median_of(rounds, |round| ratio(wall(round), ratio(floor(round), cores as f64))),
    }
}

impl Report {
    /// What was measured with.
    pub(super) fn sentence(&self) -> String {
        let memory = self.memory.as_deref().unwrap_or("64MiB");
        let to = match self.to {
            Protocol::Http => "over HTTP",
            Protocol::Native => "over the native protocol",
        };
        let rounds = self.shapes.iter().map(|shape| shape.rounds.len()).max().unwrap_or_default();
        format!(
            "{}. Zenith with {memory}, {to}; WiredTiger's cache {} MiB; medians of {rounds}.",
            self.machine.sentence(),
            self.mongodb_cache_mib
        )
    }

    /// Why shapes are missing, or have fewer rounds.
    pub(super) fn failures(&self) -> String {
        let failed = self.shapes.iter().filter_map(|shape| Some((&shape.shape, shape.failed.as_ref()?)));
        failed.map(|(shape, reason)| format!("\n- {shape} failed: {reason}")).collect()
    }

    /// What people notice.
    pub(super) fn copies(&self) -> Table {
        let mut table = Table::new(&[
            "shape",
            "rows",
            "bytes/row",
            "seconds",
            "rows/s",
            "BSON MB/s",
            "peak MB",
            "overhead",
            "distance",
        ]);
        for shape in &self.shapes {
            if shape.rounds.is_empty() {
                table.row([shape.shape.clone(), counted(shape.rows as f64), "failed".to_owned()]);
                continue;
            }
            let medians = &shape.medians;
            table.row([
                shape.shape.clone(),
                counted(shape.rows as f64),
                counted(ratio(shape.bson_bytes as f64, shape.rows as f64)),
                seconds(medians.seconds),
                counted(medians.rows_per_second),
                megabytes(medians.bson_bytes_per_second),
                megabytes(medians.peak_rss_bytes),
                format!("{:.2}", medians.overhead),
                format!("{:.2}", medians.distance),
            ]);
        }
        table
    }

    /// Where the processor time went.
    pub(super) fn floor(&self) -> Table {
        let mut table = Table::new(&[
            "CPU seconds",
            "Zenith",
            "MongoDB",
            "its floor",
            "ClickHouse",
            "its floor",
            "merges after",
            "drain wall s",
            "insert wall s",
        ]);
        for shape in self.shapes.iter().filter(|shape| !shape.rounds.is_empty()) {
            let medians = &shape.medians;
            let numbers = [
                medians.zenith_cpu_seconds,
                medians.mongodb_cpu_seconds,
                medians.drain_mongodb_cpu_seconds,
                medians.clickhouse_cpu_seconds,
                medians.insert_clickhouse_cpu_seconds,
                medians.settling_clickhouse_cpu_seconds,
                medians.drain_seconds,
                medians.insert_seconds,
            ];
            table.row(std::iter::once(shape.shape.clone()).chain(numbers.map(seconds)));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::servers::Cost;

    fn round(speed: f64) -> Round {
        let cost = |mongodb_cpu_seconds: f64, clickhouse_cpu_seconds: f64, seconds: f64| Cost {
            seconds: seconds * speed,
            mongodb_cpu_seconds: mongodb_cpu_seconds * speed,
            clickhouse_cpu_seconds: clickhouse_cpu_seconds * speed,
        };
        Round {
            drain: DrainRun { cost: cost(1.0, 0.0, 1.0), ..DrainRun::default() },
            copy: CopyRun {
                cost: cost(1.2, 1.1, 2.0),
                cpu_seconds: 0.5 * speed,
                rows: 100,
                ..CopyRun::default()
            },
            insert: InsertRun { cost: cost(0.0, 1.0, 1.0), ..InsertRun::default() },
        }
    }

    #[test]
    fn drift_of_the_machine_does_not_change_ratios() {
        let medians = medians(&[round(1.0), round(2.0), round(3.0)], 1_000, 2);
        assert_eq!((medians.overhead, medians.distance), (0.25, 2.0));
        assert_eq!(
            (medians.seconds, medians.rows_per_second, medians.bson_bytes_per_second),
            (4.0, 25.0, 250.0)
        );
    }

    #[test]
    fn shapes_are_all_or_those_named() {
        assert_eq!(chosen(&[]), Shape::ALL);
        assert_eq!(chosen(&["deep".to_owned()]), [Shape::Deep]);
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let shape = ShapeReport {
            bson_bytes: 1_000,
            medians: medians(&[round(1.0)], 1_000, 2),
            rounds: vec![round(1.0)],
            ..ShapeReport::of(Shape::Events, 100)
        };
        let failed = ShapeReport { failed: Some("why".to_owned()), ..ShapeReport::of(Shape::Deep, 100) };
        let report = Report {
            machine: Machine::default(),
            mongodb_cache_mib: 512,
            to: Protocol::Http,
            memory: None,
            shapes: vec![shape, failed],
        };
        let read: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        assert_eq!(read.copies().markdown(), report.copies().markdown());
        assert!(read.copies().text().contains("failed"), "{}", read.copies().text());
        assert!(read.floor().text().contains("0.50"), "{}", read.floor().text());
    }
}
