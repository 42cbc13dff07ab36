//! `cargo xtask bench peers`: the same events copied by what people would use instead.
//!
//! All tools take turns on the same servers, in rounds. A tool that fails is reported as failed, with its reason; one that
//! brings another number of rows than there are documents is reported with that number.

mod packages;
mod tools;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};
use zenith_testkit::{Error, Result, Shape};

use self::tools::{COLLECTION, Tool};
use super::machine::Machine;
use super::servers::{Cost, Servers};
use super::statistics::{median_of, ratio};
use super::svg::{self, Bar};
use super::table::{Table, counted, megabytes, seconds};
use super::zenith::{Measured, Zenith};
use crate::Outcome;

const OURS: &str = "Zenith";

/// What to measure.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench peers                            a million events, about ten minutes
  cargo xtask bench peers --rows 50000 --runs 1 --folder /tmp")]
pub struct Arguments {
    /// Documents to copy; dlt is given 100,000 of them at most
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    rows: u64,
    /// Folder for peers.json and peers.svg [default: docs/benchmarks]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    measured: Measured,
}

/// Everything that was measured; what is kept in `docs/benchmarks/peers.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    rows: u64,
    tools: Vec<ToolReport>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct ToolReport {
    name: String,
    how: String,
    /// The pinned packages, or the version of the program.
    versions: Vec<String>,
    /// Documents it was given.
    rows: u64,
    runs: Vec<PeerRun>,
    /// Why there are no runs, or no more.
    failed: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct PeerRun {
    #[serde(flatten)]
    cost: Cost,
    /// Rows in the table afterwards.
    rows_arrived: u64,
    client_cpu_seconds: Option<f64>,
    client_peak_rss_bytes: Option<u64>,
}

/// Copies by Zenith a round. One takes a second, and a second says more of the machine's mood than the ten to fifty that
/// the others take.
const OURS_A_ROUND: usize = 5;

/// Measures, prints a table and keeps numbers and chart.
pub async fn run(arguments: Arguments) -> Outcome {
    let zenith = Zenith::get(&arguments.measured).await?;
    let servers = Servers::start().await?;
    let machine = Machine { zenith: zenith.version.clone(), ..servers.machine().await? };
    servers.load(COLLECTION, Shape::Events, 0..arguments.rows).await?;
    let mut report = Report { machine, rows: arguments.rows, tools: begin(&zenith, arguments.rows) };
    eprintln!("Warming up …");
    copy_by_zenith(&zenith, &servers).await?;
    for round in 1..=arguments.measured.runs {
        for (index, tool) in std::iter::once(None).chain(Tool::ALL.map(Some)).enumerate() {
            let entry = &mut report.tools[index];
            if entry.failed.is_some() {
                continue;
            }
            let times = if tool.is_none() { OURS_A_ROUND } else { 1 };
            for _ in 0..times {
                let run = match tool {
                    None => copy_by_zenith(&zenith, &servers).await,
                    Some(tool) => copy_by_tool(tool, &servers, entry.rows).await,
                };
                match run {
                    Ok(run) => {
                        let (name, runs, took) = (&entry.name, arguments.measured.runs, run.cost.seconds);
                        eprintln!("{name}, round {round} of {runs}: {took:.2} s for {} rows", entry.rows);
                        entry.runs.push(run);
                    }
                    Err(error) => {
                        let reason = zenith_testkit::services::test_servers::with_causes(&error);
                        eprintln!("{} failed: {reason}", entry.name);
                        entry.failed = Some(reason);
                        break;
                    }
                }
            }
        }
    }
    println!("{}\n\n{}", report.machine.sentence(), report.text());
    let folder = arguments.folder.unwrap_or_else(super::results);
    super::keep(&folder.join("peers.json"), &report)?;
    let chart = folder.join("peers.svg");
    std::fs::write(&chart, report.chart()).map_err(Error::path("write", &chart))?;
    eprintln!("Drawn in {}", chart.display());
    arguments.measured.keep(&report)?;
    Ok(ExitCode::SUCCESS)
}

/// An entry for each, ours first.
fn begin(zenith: &Zenith, rows: u64) -> Vec<ToolReport> {
    let ours = ToolReport {
        name: OURS.to_owned(),
        how: "zenith copy".to_owned(),
        versions: vec![zenith.version.clone()],
        rows,
        ..ToolReport::default()
    };
    let theirs = Tool::ALL.map(|tool| ToolReport {
        name: tool.name().to_owned(),
        how: tool.how().to_owned(),
        versions: tool.packages().iter().map(|&package| package.to_owned()).collect(),
        rows: tool.rows(rows),
        ..ToolReport::default()
    });
    std::iter::once(ours).chain(theirs).collect()
}

async fn copy_by_zenith(zenith: &Zenith, servers: &Servers) -> Result<PeerRun> {
    servers.drop_table(COLLECTION).await?;
    servers.settle().await?;
    let run = zenith.copy(servers, COLLECTION).await?;
    let rows_arrived = servers.rows_of(COLLECTION).await?;
    servers.drop_table(COLLECTION).await?;
    Ok(PeerRun {
        cost: run.cost,
        rows_arrived,
        client_cpu_seconds: Some(run.cpu_seconds),
        client_peak_rss_bytes: Some(run.peak_rss_bytes),
    })
}

async fn copy_by_tool(tool: Tool, servers: &Servers, rows: u64) -> Result<PeerRun> {
    servers.drop_table(tool.table()).await?;
    tool.prepare(servers).await?;
    servers.settle().await?;
    let meter = servers.meter()?;
    let copied = tool.copy(servers, rows).await?;
    let cost = Cost { seconds: copied.seconds, ..meter.read(servers)? };
    let rows_arrived = servers.rows_of(tool.table()).await?;
    servers.drop_table(tool.table()).await?;
    Ok(PeerRun {
        cost,
        rows_arrived,
        client_cpu_seconds: copied.client.map(|(cpu_seconds, _)| cpu_seconds),
        client_peak_rss_bytes: copied.client.map(|(_, bytes)| bytes),
    })
}

impl ToolReport {
    fn rows_per_second(&self) -> f64 {
        median_of(&self.runs, |run| ratio(self.rows as f64, run.cost.seconds))
    }

    /// What has to be said beside the numbers.
    fn remarks(&self, rows: u64) -> Vec<String> {
        let name = &self.name;
        let mut remarks = Vec::new();
        if let Some(reason) = &self.failed {
            remarks.push(format!("{name} failed: {reason}"));
        }
        let arrived: Vec<u64> = self.runs.iter().map(|run| run.rows_arrived).collect();
        if let Some(other) = arrived.iter().find(|&&arrived| arrived != self.rows) {
            let (other, rows) = (counted(*other as f64), counted(self.rows as f64));
            remarks.push(format!("{name} left {other} rows in the table for {rows} documents"));
        }
        if self.rows < rows {
            let given = counted(self.rows as f64);
            remarks
                .push(format!("{name} was given {given} documents; its seconds are scaled to all of them"));
        }
        remarks
    }
}

impl Report {
    fn table(&self) -> Table {
        let mut table = Table::new(&[
            "tool",
            "seconds",
            "rows/s",
            "Zenith is faster by",
            "its CPU s",
            "MongoDB's",
            "ClickHouse's",
            "peak MB",
        ]);
        let ours = self.tools.first().map_or(0.0, ToolReport::rows_per_second);
        for tool in &self.tools {
            let name = format!("{} ({})", tool.name, tool.how);
            if tool.runs.is_empty() {
                table.row([name, "failed".to_owned()]);
                continue;
            }
            let scale = ratio(self.rows as f64, tool.rows as f64);
            let of = |number: fn(&PeerRun) -> f64| seconds(scale * median_of(&tool.runs, number));
            let has_client = tool.runs.iter().all(|run| run.client_cpu_seconds.is_some());
            let client = |text: String| if has_client { text } else { "–".to_owned() };
            table.row([
                name,
                of(|run| run.cost.seconds),
                counted(tool.rows_per_second()),
                format!("{:.1}×", ratio(ours, tool.rows_per_second())),
                client(of(|run| run.client_cpu_seconds.unwrap_or_default())),
                of(|run| run.cost.mongodb_cpu_seconds),
                of(|run| run.cost.clickhouse_cpu_seconds),
                client(megabytes(median_of(&tool.runs, |run| {
                    run.client_peak_rss_bytes.unwrap_or_default() as f64
                }))),
            ]);
        }
        table
    }

    fn remarks(&self) -> Vec<String> {
        self.tools.iter().flat_map(|tool| tool.remarks(self.rows)).collect()
    }

    fn text(&self) -> String {
        self.remarks().iter().fold(self.table().text(), |text, remark| format!("{text}{remark}.\n"))
    }

    /// Chart, table and remarks.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("![Rows a second by tool](peers.svg)\n\n{}", self.table().markdown());
        let remarks = self.remarks();
        if !remarks.is_empty() {
            text.push('\n');
        }
        for remark in remarks {
            let _ = writeln!(text, "- {remark}.");
        }
        let versions = self.tools.iter().filter(|tool| !tool.versions.is_empty());
        let versions: Vec<String> = versions.map(|tool| tool.versions.join(", ")).collect();
        let _ = writeln!(text, "\nVersions: {}.", versions.join("; "));
        text
    }

    fn chart(&self) -> String {
        let bars: Vec<Bar> = self
            .tools
            .iter()
            .map(|tool| Bar {
                name: tool.name.clone(),
                about: tool.how.clone(),
                value: tool.rows_per_second(),
                label: match tool.runs.is_empty() {
                    true => "failed".to_owned(),
                    false => format!("{} rows/s", counted(tool.rows_per_second())),
                },
                ours: tool.name == OURS,
            })
            .collect();
        let rows = counted(self.rows as f64);
        let subtitle = format!(
            "{rows} events, MongoDB {} and ClickHouse {} on one machine with {} cores; longer is faster",
            self.machine.mongodb, self.machine.clickhouse, self.machine.cores
        );
        svg::bars("From MongoDB to ClickHouse: rows a second", &subtitle, &bars)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let tool = |name: &str, rows: u64, seconds: f64, rows_arrived: u64| ToolReport {
            name: name.to_owned(),
            rows,
            runs: vec![PeerRun {
                cost: Cost { seconds, ..Cost::default() },
                rows_arrived,
                ..PeerRun::default()
            }],
            ..ToolReport::default()
        };
        let broken =
            ToolReport { name: "c".to_owned(), failed: Some("why".to_owned()), ..tool("c", 1_000, 0.0, 0) };
        let tools = vec![
            tool(OURS, 1_000, 1.0, 1_000),
            tool("a", 1_000, 8.0, 1_015),
            tool("b", 100, 5.0, 100),
            ToolReport { runs: Vec::new(), ..broken },
        ];
        Report { machine: Machine::default(), rows: 1_000, tools }
    }

    #[test]
    fn nothing_is_dropped_in_silence() {
        let text = report().text();
        for expected in [
            "50.00",
            "50.0×",
            "c () failed",
            "c failed: why.",
            "a left 1,015 rows in the table for 1,000 documents.",
            "b was given 100 documents; its seconds are scaled to all of them.",
        ] {
            let dense = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(dense.contains(expected), "{expected:?} is not in\n{text}");
        }
    }

    #[test]
    fn the_chart_shows_all() {
        let chart = report().chart();
        assert_eq!(chart.matches("<rect").count(), 4);
        assert!(chart.contains("1,000 rows/s") && chart.contains(">failed<"), "{chart}");
    }
}
