//! The command under measurement: built as people install it, run as they type it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use zenith_testkit::{Error, Result};

use super::process;
use super::servers::{Cost, Servers};

/// Nothing here takes so long unless something hangs.
const TIMEOUT: Duration = Duration::from_secs(1_200);

/// The protocol towards ClickHouse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Protocol {
    /// ArrowStream over HTTP
    #[default]
    Http,
    /// The native protocol over TCP
    Native,
}

/// Which command is measured, how often, and where the results go.
#[derive(Args)]
pub(super) struct Measured {
    /// Rounds: medians are of so many
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) runs: u32,
    /// Keep everything that was measured in this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure this zenith, instead of building one: to compare with an older one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

impl Measured {
    /// Writes results to the file they are to be kept in.
    pub(super) fn keep(&self, results: &impl Serialize) -> Result<()> {
        self.json.as_deref().map_or(Ok(()), |file| super::keep(file, results))
    }
}

/// The built command and how it is called.
#[derive(Clone, Debug)]
pub(super) struct Zenith {
    program: PathBuf,
    pub(super) version: String,
    pub(super) memory: Option<String>,
    pub(super) protocol: Protocol,
    /// Further options of `zenith copy`.
    options: Vec<String>,
}

/// One copy: the whole command from its start to its end, planning included.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct CopyRun {
    #[serde(flatten)]
    pub(super) cost: Cost,
    /// Processor time of Zenith.
    pub(super) cpu_seconds: f64,
    pub(super) peak_rss_bytes: u64,
    pub(super) rows: u64,
    /// BSON that was read.
    pub(super) source_bytes: u64,
    /// What was sent.
    pub(super) arrow_bytes: u64,
    /// The part between planning and publication, as the command says itself.
    pub(super) copying_seconds: f64,
    /// What ClickHouse did afterwards, until it had nothing to merge any more.
    pub(super) settling_clickhouse_cpu_seconds: f64,
}

/// What `zenith copy --json` prints, as far as it is needed here.
#[derive(Deserialize)]
struct Summary {
    rows: u64,
    seconds: f64,
    source_bytes: u64,
    arrow_bytes: u64,
    peak_rss_bytes: u64,
    dead_letters: u64,
    extra_values: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Zenith {
    /// Takes the binary that is given, or builds the release binary.
    pub(super) async fn get(measured: &Measured) -> Result<Self> {
        let (program, remark) = match measured.binary.clone() {
            // The commit in the results is then not that of the binary.
            Some(binary) => {
                let remark = format!(" (not built here: {})", binary.display());
                (binary, remark)
            }
            None => {
                eprintln!("Building zenith …");
                let built = crate::build_zenith().await;
                (built.map_err(|error| Error::Server(format!("build: {error}")))?, String::new())
            }
        };
        let mut command = Command::new(&program);
        command.arg("--version");
        let version = process::run(command, TIMEOUT).await?.stdout.trim().to_owned() + &remark;
        Ok(Self { program, version, memory: None, protocol: Protocol::Http, options: Vec::new() })
    }

    /// The same command with this memory.
    pub(super) fn with_memory(self, memory: Option<String>) -> Self {
        Self { memory, ..self }
    }

    /// The same command over this protocol.
    pub(super) fn over(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    /// The same command with these options of `zenith copy`.
    pub(super) fn with_options(self, options: &[String]) -> Self {
        Self { options: options.to_vec(), ..self }
    }

    /// Copies a collection into a table of the same name, which must not be there, and waits until all is quiet again.
    pub(super) async fn copy(&self, servers: &Servers, collection: &str) -> Result<CopyRun> {
        let mut command = Command::new(&self.program);
        let from = servers.mongodb_uri();
        let to = self.target(servers);
        command.args(["copy", "--json", "--from", &from, "--collection", collection, "--to", &to]);
        if let Some(memory) = &self.memory {
            command.args(["--memory", memory]);
        }
        command.args(&self.options);
        let meter = servers.meter()?;
        let finished = process::run(command, TIMEOUT).await?;
        let cost = Cost { seconds: finished.wall_seconds, ..meter.read(servers)? };
        if !finished.status.success() {
            let said = finished.last_words();
            return Err(Error::Server(format!("zenith ended with {}: {said}", finished.status)));
        }
        let summary: Summary = serde_json::from_str(&finished.stdout)
            .map_err(|error| Error::Malformed(format!("zenith printed no summary: {error}")))?;
        if summary.dead_letters > 0 || !summary.extra_values.is_empty() {
            // The generated shapes are regular: this would measure another thing than is meant.
            return Err(Error::Server(format!(
                "zenith did not find a column for every value: {}",
                finished.stdout
            )));
        }
        let settling = servers.meter()?;
        servers.settle().await?;
        Ok(CopyRun {
            cost,
            cpu_seconds: finished.cpu_seconds,
            peak_rss_bytes: summary.peak_rss_bytes.max(finished.peak_rss_bytes),
            rows: summary.rows,
            source_bytes: summary.source_bytes,
            arrow_bytes: summary.arrow_bytes,
            copying_seconds: summary.seconds,
            settling_clickhouse_cpu_seconds: settling.read(servers)?.clickhouse_cpu_seconds,
        })
    }

    pub(super) fn program(&self) -> &std::path::Path {
        &self.program
    }

    pub(super) fn target(&self, servers: &Servers) -> String {
        match self.protocol {
            Protocol::Http => servers.target.url(),
            Protocol::Native => {
                format!("clickhouse://{}/{}", servers.clickhouse_native_address(), servers.target.database())
            }
        }
    }
}
