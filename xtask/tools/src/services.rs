//! `cargo xtask services`: a MongoDB and a ClickHouse that stay up after the command returns.
//!
//! What runs is written to `services.json` in the data folder. A process is signalled only if it is still the one that
//! was started, by pid and start time, so that a pid reused by somebody else is never touched.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use zenith_testkit::services::cache;
use zenith_testkit::services::process::ProcessIdentity;
use zenith_testkit::{
    ClickHouse, ClickHouseOptions, ClickHouseServer, Error, Lifetime, MongoOptions, MongoServer, Result,
};

use crate::Outcome;

/// The database made in ClickHouse, and named in the printed MongoDB address.
const DATABASE: &str = "zenith";
/// How long a server may take to write everything down before it is killed.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What to do with the servers.
#[derive(Subcommand)]
pub enum Verb {
    /// Start what does not run yet and print the addresses
    Up(Up),
    /// Stop what runs; the data stays unless --clear is given
    Down(Down),
    /// Say what runs
    Status(Common),
}

/// Which servers are meant, and how to speak of them.
#[derive(Args)]
pub struct Common {
    /// Data folder [default: services in the cache folder]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Arguments of `up`.
#[derive(Args)]
pub struct Up {
    #[command(flatten)]
    common: Common,
    /// Port of MongoDB [default: 27017, or a free one if that is taken]
    #[arg(long, value_name = "PORT")]
    mongo_port: Option<u16>,
    /// HTTP port of ClickHouse [default: 8123, or a free one if that is taken]
    #[arg(long, value_name = "PORT")]
    clickhouse_http_port: Option<u16>,
    /// Native TCP port of ClickHouse [default: 9000, or a free one if that is taken]
    #[arg(long, value_name = "PORT")]
    clickhouse_tcp_port: Option<u16>,
}

/// Arguments of `down`.
#[derive(Args)]
pub struct Down {
    #[command(flatten)]
    common: Common,
    /// Remove the data folder too
    #[arg(long)]
    clear: bool,
}

/// `services.json`: what was started.
#[derive(Default, Serialize, Deserialize)]
struct State {
    mongodb: Option<MongoState>,
    clickhouse: Option<ClickHouseState>,
}

#[derive(Clone, Serialize, Deserialize)]
struct MongoState {
    process: ProcessIdentity,
    port: u16,
}

#[derive(Clone, Serialize, Deserialize)]
struct ClickHouseState {
    process: ProcessIdentity,
    http_port: u16,
    tcp_port: u16,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    running: bool,
    data: &'a Path,
    mongodb_uri: Option<String>,
    clickhouse_url: Option<String>,
    clickhouse_native: Option<String>,
    mongodb_pid: Option<u32>,
    clickhouse_pid: Option<u32>,
}

/// Runs the verb.
pub async fn run(verb: Verb) -> Outcome {
    match verb {
        Verb::Up(up) => {
            let folder = Folder::open(up.common.data.clone())?;
            let state = folder.up(&up).await?;
            folder.report(&state, up.common.json)?;
        }
        Verb::Down(Down { common, clear }) => {
            let folder = Folder::open(common.data)?;
            folder.down().await?;
            folder.report(&State::default(), common.json)?;
            if clear {
                fs::remove_dir_all(&folder.path)?;
            }
        }
        Verb::Status(common) => {
            let folder = Folder::open(common.data)?;
            let state = folder.running()?;
            folder.report(&state, common.json)?;
            if state.mongodb.is_none() || state.clickhouse.is_none() {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The data folder, locked while a command works on it.
struct Folder {
    path: PathBuf,
    _lock: fs::File,
}

impl Folder {
    fn open(path: Option<PathBuf>) -> Result<Self> {
        let path = path.map_or_else(|| Ok(cache::directory()?.join("services")), Ok::<_, Error>)?;
        fs::create_dir_all(&path).map_err(Error::path("create", &path))?;
        let path = path.canonicalize().map_err(Error::path("resolve", &path))?;
        let lock = cache::lock(&path.join("lock"))?;
        Ok(Self { path, _lock: lock })
    }

    fn state_file(&self) -> PathBuf {
        self.path.join("services.json")
    }

    /// What the state file names and still runs.
    fn running(&self) -> Result<State> {
        let file = self.state_file();
        if !file.exists() {
            return Ok(State::default());
        }
        let text = fs::read(&file).map_err(Error::path("read", &file))?;
        let state: State = serde_json::from_slice(&text)
            .map_err(|error| Error::Malformed(format!("{} is not a state file: {error}", file.display())))?;
        Ok(State {
            mongodb: state.mongodb.filter(|server| server.process.is_alive()),
            clickhouse: state.clickhouse.filter(|server| server.process.is_alive()),
        })
    }

    fn write(&self, state: &State) -> Result<()> {
        let file = self.state_file();
        let text = serde_json::to_vec_pretty(state).map_err(|error| Error::Malformed(error.to_string()))?;
        fs::write(&file, text).map_err(Error::path("write", &file))
    }

    /// Starts what does not run, both at once. What did start is written down even if the other did not.
    async fn up(&self, up: &Up) -> Result<State> {
        let running = self.running()?;
        let mongodb = async {
            match running.mongodb {
                Some(server) => Ok(server),
                None => start_mongodb(&self.path, up.mongo_port).await,
            }
        };
        let clickhouse = async {
            match running.clickhouse {
                Some(server) => Ok(server),
                None => start_clickhouse(&self.path, up).await,
            }
        };
        let (mongodb, clickhouse) = tokio::join!(mongodb, clickhouse);
        let state =
            State { mongodb: mongodb.as_ref().ok().cloned(), clickhouse: clickhouse.as_ref().ok().cloned() };
        self.write(&state)?;
        mongodb?;
        let clickhouse = clickhouse?;
        ClickHouse::new("127.0.0.1", clickhouse.http_port).create_database(DATABASE).await?;
        Ok(state)
    }

    async fn down(&self) -> Result<()> {
        let State { mongodb, clickhouse } = self.running()?;
        let mongodb = async {
            match mongodb {
                Some(server) => server.process.stop(TIMEOUT).await,
                None => Ok(()),
            }
        };
        let clickhouse = async {
            match clickhouse {
                Some(server) => server.process.stop(TIMEOUT).await,
                None => Ok(()),
            }
        };
        tokio::try_join!(mongodb, clickhouse)?;
        self.write(&State::default())
    }

    fn report(&self, state: &State, json: bool) -> Result<()> {
        let (mongodb, clickhouse) = (state.mongodb.as_ref(), state.clickhouse.as_ref());
        let report = Report {
            running: mongodb.is_some() && clickhouse.is_some(),
            data: &self.path,
            mongodb_uri: mongodb.map(|server| format!("mongodb://127.0.0.1:{}/{DATABASE}", server.port)),
            clickhouse_url: clickhouse
                .map(|server| format!("http://127.0.0.1:{}/{DATABASE}", server.http_port)),
            clickhouse_native: clickhouse.map(|server| format!("127.0.0.1:{}", server.tcp_port)),
            mongodb_pid: mongodb.map(|server| server.process.pid),
            clickhouse_pid: clickhouse.map(|server| server.process.pid),
        };
        if json {
            let text = serde_json::to_string(&report).map_err(|error| Error::Malformed(error.to_string()))?;
            println!("{text}");
            return Ok(());
        }
        let line = |name: &str, address: Option<String>, pid: Option<u32>| match (address, pid) {
            (Some(address), Some(pid)) => println!("{name:<18} {address}  (pid {pid})"),
            _ => println!("{name:<18} does not run"),
        };
        line("MongoDB", report.mongodb_uri, report.mongodb_pid);
        line("ClickHouse HTTP", report.clickhouse_url, report.clickhouse_pid);
        line("ClickHouse native", report.clickhouse_native, report.clickhouse_pid);
        println!("{:<18} {}", "data", self.path.display());
        Ok(())
    }
}

async fn start_mongodb(data: &Path, port: Option<u16>) -> Result<MongoState> {
    let server = MongoServer::start(MongoOptions {
        port: port.or_else(|| free(27017)),
        data: Some(data.join("mongodb")),
        lifetime: Lifetime::Detached,
        ..Default::default()
    })
    .await?;
    Ok(MongoState { process: server.identity(), port: server.port() })
}

async fn start_clickhouse(data: &Path, up: &Up) -> Result<ClickHouseState> {
    let server = ClickHouseServer::start(ClickHouseOptions {
        http_port: up.clickhouse_http_port.or_else(|| free(8123)),
        tcp_port: up.clickhouse_tcp_port.or_else(|| free(9000)),
        data: Some(data.join("clickhouse")),
        lifetime: Lifetime::Detached,
        ..Default::default()
    })
    .await?;
    let (http_port, tcp_port) = (server.http_port(), server.tcp_port());
    Ok(ClickHouseState { process: server.identity(), http_port, tcp_port })
}

/// The port everybody expects, if nobody has it.
fn free(port: u16) -> Option<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok().then_some(port)
}
