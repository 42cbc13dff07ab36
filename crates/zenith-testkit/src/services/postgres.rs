//! One real PostgreSQL, for states that several processes share.
//!
//! PostgreSQL does not run as root. Where the tests do, it has a user namespace of its own, in which root is somebody else
//! and its files stay where those of the other servers are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use super::directory::DataDirectory;
use super::process::{Lifetime, Program, ServerProcess};
use super::test_servers::unique_name;
use super::{host, packages, ports};
use crate::error::{Error, Result};

/// Names a PostgreSQL for the tests: `postgres://USER:PASSWORD@HOST:PORT`, of a user who may create databases.
pub const POSTGRES_URL_VARIABLE: &str = "ZENITH_TEST_POSTGRES_URL";
const START_TIMEOUT: Duration = Duration::from_secs(60);
const USER: &str = "zenith";

/// How to start a [`PostgresServer`].
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Demands it, over SCRAM-SHA-256.
    pub password: Option<String>,
}

/// A running PostgreSQL. Dropping it kills it.
#[derive(Debug)]
pub struct PostgresServer {
    // Declared before the folder: the process must be gone when the folder is removed.
    process: ServerProcess,
    directory: DataDirectory,
    options: PostgresOptions,
    port: u16,
    programs: PathBuf,
}

impl PostgresServer {
    /// Starts a server and waits until it answers.
    pub async fn start(options: PostgresOptions) -> Result<PostgresServer> {
        let directory = DataDirectory::open(None, "postgres")?;
        let data = directory.path().join("data");
        let of = options.clone();
        let programs = tokio::task::spawn_blocking(move || {
            let programs = packages::postgres()?;
            initialize(&programs, &data, &of).map(|()| programs)
        });
        let programs = programs
            .await
            .map_err(|error| Error::Server(format!("the start of PostgreSQL panicked: {error}")))??;
        let port = ports::free_port()?;
        let process = launch(&programs, directory.path(), port)?;
        let mut server = PostgresServer { process, directory, options, port, programs };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// Kills the server with SIGKILL, as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Kills the server if it runs and starts it on the same port and data.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        // What it has started notices that a moment later, and a new one is refused until then.
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            self.process = launch(&self.programs, self.directory.path(), self.port)?;
            match self.wait_until_ready().await {
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                Ok(()) => return Ok(()),
            }
        }
    }

    /// The loopback port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a database, with the password if there is one.
    #[must_use]
    pub fn uri(&self, database: &str) -> String {
        let password =
            self.options.password.as_ref().map(|password| format!(":{password}")).unwrap_or_default();
        format!("postgres://{USER}{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs a statement and returns what `psql` prints, without headers.
    pub fn sql(&self, database: &str, statement: &str) -> Result<String> {
        sql(&self.programs, &self.uri(database), statement)
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while self.sql("postgres", "SELECT 1").is_err() {
            if self.process.exited().is_some() || Instant::now() > deadline {
                let what = format!("PostgreSQL does not answer on port {}", self.port);
                return Err(self.process.failure(&what));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

/// The address of a new database that no other test has, on the server that the environment names or on one that all tests of
/// this process share.
///
/// # Panics
///
/// If there is no server and none can be started, with a sentence that says what is missing and what to do.
pub async fn database(label: &str) -> String {
    static SHARED: OnceCell<PostgresServer> = OnceCell::const_new();
    let name = unique_name(label);
    let create = format!("CREATE DATABASE {name}");
    let made = match std::env::var(POSTGRES_URL_VARIABLE).ok().filter(|url| !url.is_empty()) {
        Some(url) => packages::postgres().and_then(|programs| {
            sql(&programs, &format!("{url}/postgres"), &create)?;
            Ok(format!("{url}/{name}"))
        }),
        None => match SHARED.get_or_try_init(|| PostgresServer::start(PostgresOptions::default())).await {
            Ok(server) => server.sql("postgres", &create).map(|_| server.uri(&name)),
            Err(error) => Err(error),
        },
    };
    match made {
        Ok(uri) => uri,
        Err(error) => panic!("no PostgreSQL to test with: {}", super::test_servers::with_causes(&error)),
    }
}

/// Runs a statement by an address and returns what `psql` prints, without headers.
pub fn ask(uri: &str, statement: &str) -> Result<String> {
    sql(&packages::postgres()?, uri, statement)
}

fn sql(programs: &Path, uri: &str, statement: &str) -> Result<String> {
    let mut psql = Command::new(programs.join("psql"));
    psql.args([
        "--no-psqlrc",
        "--tuples-only",
        "--no-align",
        "--quiet",
        "--command",
        statement,
        "--dbname",
        uri,
    ]);
    output(psql.env("PGCONNECT_TIMEOUT", "5"), "ask PostgreSQL")
}

fn output(command: &mut Command, what: &str) -> Result<String> {
    let output = command.output().map_err(Error::io(what))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(Error::Server(format!("cannot {what}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// What makes a program run as somebody else than root.
fn as_somebody() -> &'static [&'static str] {
    let is_root =
        std::fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0);
    if is_root { &["unshare", "--user", "--map-user=65534", "--map-group=65534"] } else { &[] }
}

fn initialize(programs: &Path, data: &Path, options: &PostgresOptions) -> Result<()> {
    let mut words = as_somebody().iter().map(OsString::from).collect::<Vec<_>>();
    words.push(programs.join("initdb").into());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(["--no-sync", "--encoding=UTF8", "--locale=C", "--username", USER]);
    command.arg("--pgdata").arg(data);
    match &options.password {
        Some(password) => {
            let file = data.with_file_name("password");
            std::fs::write(&file, password).map_err(Error::path("write", &file))?;
            command.arg("--auth=scram-sha-256").arg("--pwfile").arg(file);
        }
        None => drop(command.arg("--auth=trust")),
    }
    output(&mut command, "initialize PostgreSQL").map(drop)
}

fn launch(programs: &Path, directory: &Path, port: u16) -> Result<ServerProcess> {
    let settings = [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        "shared_buffers=32MB".to_owned(),
        "max_connections=200".to_owned(),
    ];
    // The kernel forgets whose end a process dies with when its user changes, so the host has to ask for it again.
    let mut args: Vec<OsString> = as_somebody().iter().map(OsString::from).collect();
    if !args.is_empty() {
        args.push(host::program()?.into());
        args.extend(["--die-with".into(), std::process::id().to_string().into(), "exec".into()]);
    }
    args.push(programs.join("postgres").into());
    args.extend(["-D".into(), directory.join("data").into()]);
    args.extend(settings.iter().flat_map(|setting| ["-c".into(), setting.into()]));
    let program = PathBuf::from(args.remove(0));
    let log = directory.join("postgres.log");
    ServerProcess::start(&Program::Executable(&program), args, &log, Lifetime::WithThisProcess)
}
