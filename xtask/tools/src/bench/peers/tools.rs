//! The other tools: what they are, how they are prepared, and the command that makes one copy.
//!
//! Each is used in the fast way its own documentation describes. What they are not asked to do counts for them: none
//! infers the columns, except those that cannot do without.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;
use zenith_testkit::{Error, Result};

use super::packages::{PYTHON, installed};
use crate::bench::process::{self, Finished};
use crate::bench::servers::{DATABASE, Servers};
use crate::scratch::Scratch;

/// Collection of the events.
pub(super) const COLLECTION: &str = "events";
/// A tool that takes longer is given up.
const TIMEOUT: Duration = Duration::from_secs(1_200);
/// The most documents dlt is given: it takes minutes for a million.
const DLT_ROWS_MAX: u64 = 100_000;

/// The columns of the events in ClickHouse, for tools that do not make a table themselves.
const COLUMNS: &str = "session Int64, at DateTime64(3, 'UTC'), kind String, country String, user String, path String, \
                       amount Float64, status Int32, mobile Bool";

/// A tool other than Zenith.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    /// The table function of ClickHouse itself.
    Function,
    PyMongoArrow,
    Sling,
    Dlt,
}

/// What a copy took by the tool's own account, or by ours where it has none.
pub(super) struct Copied {
    pub(super) seconds: f64,
    /// Processor time and peak memory of a client; ClickHouse's function has none.
    pub(super) client: Option<(f64, u64)>,
}

/// What the Python programs print.
#[derive(Deserialize)]
struct Said {
    seconds: f64,
}

impl Tool {
    pub(super) const ALL: [Self; 4] = [Self::Function, Self::PyMongoArrow, Self::Sling, Self::Dlt];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Function => "ClickHouse mongodb()",
            Self::PyMongoArrow => "pymongoarrow",
            Self::Sling => "sling",
            Self::Dlt => "dlt",
        }
    }

    /// How it is used, in a few words.
    pub(super) fn how(self) -> &'static str {
        match self {
            Self::Function => "INSERT … SELECT, documents as JSON text",
            Self::PyMongoArrow => "find_arrow_all, insert_arrow",
            Self::Sling => "sling run, one JSON column",
            Self::Dlt => "lists of documents, no child tables",
        }
    }

    /// The packages, pinned. ClickHouse's function comes with the server.
    pub(super) fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Function => &[],
            Self::PyMongoArrow => {
                &["pymongoarrow==1.15.0", "clickhouse-connect==1.12.0", "pymongo==4.20.0", "pyarrow==25.0.1"]
            }
            Self::Sling => &["sling-linux-amd64==1.4.11"],
            Self::Dlt => &["dlt[clickhouse]==1.31.0", "pymongo==4.20.0"],
        }
    }

    /// How many documents it is given.
    pub(super) fn rows(self, rows: u64) -> u64 {
        if self == Self::Dlt { rows.min(DLT_ROWS_MAX) } else { rows }
    }

    /// The table it fills.
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Function => "by_function",
            Self::PyMongoArrow => "by_pymongoarrow",
            Self::Sling => "by_sling",
            Self::Dlt => "dlt___events",
        }
    }

    /// Fetches the tool if it is not there yet, and makes the table where it expects one.
    pub(super) async fn prepare(self, servers: &Servers) -> Result<()> {
        self.site().await?;
        let columns = match self {
            Self::Function => format!("_id String, {COLUMNS}, device String, tags String"),
            Self::PyMongoArrow => format!(
                "_id FixedString(12), {COLUMNS}, device Tuple(os String, browser String, version Int32), \
                 tags Array(String)"
            ),
            Self::Sling => return Ok(()),
            Self::Dlt => return drop_tables_of_dlt(servers).await,
        };
        let sql = format!("CREATE TABLE {} ({columns}) ENGINE = MergeTree ORDER BY _id", self.table());
        servers.target.query(&sql).await.map(drop)
    }

    /// Makes the copy.
    pub(super) async fn copy(self, servers: &Servers, rows: u64) -> Result<Copied> {
        let site = self.site().await?;
        let folder = Scratch::new()?;
        match self {
            Self::Function => copy_by_function(servers).await,
            Self::PyMongoArrow => {
                let (host, port) = (servers.target.host().to_owned(), servers.target.port().to_string());
                let more = [host, port, DATABASE.to_owned(), self.table().to_owned()];
                run_python("pymongoarrow_copy.py", &site, servers, &more).await
            }
            Self::Sling => copy_by_sling(servers, &site, self.table(), &folder).await,
            Self::Dlt => {
                let more = [
                    rows.to_string(),
                    servers.target.host().to_owned(),
                    servers.target.port().to_string(),
                    servers.clickhouse_native_port().to_string(),
                    DATABASE.to_owned(),
                    folder.path().display().to_string(),
                ];
                run_python("dlt_pipeline.py", &site, servers, &more).await
            }
        }
    }

    /// The folder with its packages, fetched on first use.
    async fn site(self) -> Result<PathBuf> {
        let packages = self.packages();
        if packages.is_empty() {
            return Ok(PathBuf::new());
        }
        // `==` and brackets are no trouble in the name of a folder, but the reader's eye stumbles over them.
        let name = packages[0].replace("==", "-").replace('[', "-").replace(']', "");
        let fetched = tokio::task::spawn_blocking(move || installed(&name, packages)).await;
        fetched.map_err(|error| Error::Server(format!("pip's thread panicked: {error}")))?
    }
}

async fn copy_by_function(servers: &Servers) -> Result<Copied> {
    let port = servers.mongodb_port();
    let structure = format!("_id String, {COLUMNS}, device String, tags String").replace('\'', "\\'");
    let sql = format!(
        "INSERT INTO {} SELECT * FROM mongodb('127.0.0.1:{port}', '{DATABASE}', '{COLLECTION}', '', '', '{structure}') \
         SETTINGS async_insert = 0",
        Tool::Function.table()
    );
    let meter = servers.meter()?;
    servers.target.query(&sql).await?;
    Ok(Copied { seconds: meter.read(servers)?.seconds, client: None })
}

async fn copy_by_sling(servers: &Servers, site: &Path, table: &str, folder: &Scratch) -> Result<Copied> {
    let program = site.join("sling_linux_amd64/bin/sling-linux-amd64");
    // pip does not keep the run bit of a file that is no script.
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))
        .map_err(Error::path("make executable", &program))?;
    let http = servers.target.url();
    let http = http.replacen("http://", "http://default:@", 1);
    let native = servers.clickhouse_native_address();
    let mut command = Command::new(program);
    command
        .env("SLING_DISABLE_TELEMETRY", "true")
        .env("SLING_HOME_DIR", folder.path())
        .env("FROM", servers.mongodb_uri())
        .env("TO", format!("clickhouse://default:@{native}/{DATABASE}?http_url={http}"))
        .args(["run", "--src-conn", "FROM", "--tgt-conn", "TO", "--mode", "full-refresh"])
        .args(["--src-stream", &format!("{DATABASE}.{COLLECTION}")])
        .args(["--tgt-object", &format!("{DATABASE}.{table}")])
        .current_dir(folder.path());
    let finished = succeeded("sling", process::run(command, TIMEOUT).await?)?;
    Ok(Copied {
        seconds: finished.wall_seconds,
        client: Some((finished.cpu_seconds, finished.peak_rss_bytes)),
    })
}

/// Runs one of the programs beside this file, which say themselves how long they took: starting Python and importing
/// half of it is not held against them.
async fn run_python(program: &str, site: &Path, servers: &Servers, more: &[String]) -> Result<Copied> {
    let mut command = Command::new(PYTHON);
    command
        .arg(crate::workspace_root().join("xtask/tools/src/bench/peers").join(program))
        .args([&servers.mongodb_uri(), COLLECTION])
        .args(more)
        .env("PYTHONPATH", site)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONWARNINGS", "ignore");
    let finished = succeeded(program, process::run(command, TIMEOUT).await?)?;
    let said: Said = finished
        .stdout
        .lines()
        .rev()
        .find_map(|line| serde_json::from_str(line).ok())
        .ok_or_else(|| Error::Malformed(format!("{program} printed no result: {}", finished.stdout)))?;
    Ok(Copied { seconds: said.seconds, client: Some((finished.cpu_seconds, finished.peak_rss_bytes)) })
}

fn succeeded(program: &str, finished: Finished) -> Result<Finished> {
    if finished.status.success() {
        return Ok(finished);
    }
    Err(Error::Server(format!("{program} ended with {}: {}", finished.status, finished.last_words())))
}

/// dlt keeps tables of its own beside its data, and goes by them.
async fn drop_tables_of_dlt(servers: &Servers) -> Result<()> {
    let sql = "SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE 'dlt\\_%'";
    for table in servers.target.query(sql).await?.lines() {
        servers.drop_table(table).await?;
    }
    Ok(())
}
