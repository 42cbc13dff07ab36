//! One real ClickHouse, run out of `libchdb.so` by the server host.
//!
//! It has what the tests need of a server: HTTP and native TCP, users with passwords, data that outlives a SIGKILL. It
//! listens on the loopback address only, and has neither Keeper nor listeners with TLS.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::directory::DataDirectory;
use super::process::{Lifetime, ProcessIdentity, Program, ServerProcess};
use super::{packages, ports};
use crate::clickhouse_client::ClickHouse;
use crate::error::{Error, Result};

/// How long a start may take: the engine is a library of 560 MB that may have to come from the disk.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Opens the ports, then keeps the process busy with sleeping: clickhouse-local ends with its last query.
const SERVE_FOREVER: &str = "SYSTEM START LISTEN QUERIES ALL; \
    SELECT sleepEachRow(3) FROM numbers(1000000000) \
    SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0 FORMAT Null";

/// A user beside `default`, which has no password.
#[derive(Clone, Debug)]
pub struct ClickHouseUser {
    /// The name. Naming `default` gives that one a password.
    pub name: String,
    /// The password in plain text.
    pub password: String,
    /// The only statements it is granted, as in `GRANT SELECT ON shop.*`; everything if there are none.
    pub grants: Vec<String>,
    /// How many bytes it may insert within an hour.
    pub written_bytes: Option<u64>,
    /// How many bytes of memory one of its statements may use.
    pub memory: Option<u64>,
}

impl ClickHouseUser {
    /// A user that may do everything.
    #[must_use]
    pub fn new(name: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            password: password.to_owned(),
            grants: Vec::new(),
            written_bytes: None,
            memory: None,
        }
    }

    /// One that may do these things only.
    #[must_use]
    pub fn with_grants(self, grants: &[&str]) -> Self {
        Self { grants: grants.iter().map(|&grant| grant.to_owned()).collect(), ..self }
    }
}

impl ClickHouseUser {
    /// One that may insert so many bytes within an hour.
    #[must_use]
    pub fn with_quota(self, written_bytes: u64) -> Self {
        Self { written_bytes: Some(written_bytes), ..self }
    }

    /// One whose statements may use so many bytes of memory each.
    #[must_use]
    pub fn with_memory(self, memory: u64) -> Self {
        Self { memory: Some(memory), ..self }
    }
}

/// How to start a [`ClickHouseServer`].
#[derive(Clone, Debug, Default)]
pub struct ClickHouseOptions {
    /// The loopback port for HTTP; a free one when not given.
    pub http_port: Option<u16>,
    /// The loopback port for the native protocol; a free one when not given.
    pub tcp_port: Option<u16>,
    /// The data folder, kept afterwards; a temporary one when not given.
    pub data: Option<PathBuf>,
    /// Users with passwords.
    pub users: Vec<ClickHouseUser>,
    /// Until when the server runs.
    pub lifetime: Lifetime,
}

/// A running ClickHouse. Dropping it kills it, unless its lifetime is detached.
#[derive(Debug)]
pub struct ClickHouseServer {
    // Declared before the folder: the process must be gone when the folder is removed.
    process: ServerProcess,
    directory: DataDirectory,
    lifetime: Lifetime,
    login: Option<ClickHouseUser>,
    http_port: u16,
    tcp_port: u16,
    library: PathBuf,
}

impl ClickHouseServer {
    /// Starts a server and waits until it answers.
    pub async fn start(options: ClickHouseOptions) -> Result<Self> {
        let library = tokio::task::spawn_blocking(packages::libchdb)
            .await
            .map_err(|error| Error::Server(format!("the download of ClickHouse panicked: {error}")))??;
        let mut directory = DataDirectory::open(options.data.clone(), "clickhouse")?;
        write_configuration(directory.path(), &options.users)?;
        let login = options.users.iter().find(|user| user.name == "default").cloned();
        // A port that was free a moment ago may be taken by the time the server binds it: then another one is tried.
        let attempts = if options.http_port.is_some() && options.tcp_port.is_some() { 1 } else { 3 };
        let mut attempt = 1;
        loop {
            let http_port = options.http_port.map_or_else(ports::free_port, Ok)?;
            let tcp_port = options.tcp_port.map_or_else(ports::free_port, Ok)?;
            let process = launch(&library, directory.path(), (http_port, tcp_port), options.lifetime)?;
            let mut server = Self {
                process,
                directory,
                lifetime: options.lifetime,
                login: login.clone(),
                http_port,
                tcp_port,
                library: library.clone(),
            };
            match server.wait_until_ready().await {
                Ok(()) => return Ok(server),
                Err(_) if attempt < attempts && server.process.exited().is_some() => attempt += 1,
                Err(error) => {
                    // Also a detached one: nobody has been told of it.
                    let _ = server.process.kill();
                    return Err(error);
                }
            }
            directory = server.directory;
        }
    }

    /// Kills the server with SIGKILL, as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Kills the server if it runs and starts it on the same ports and data.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        let ports = (self.http_port, self.tcp_port);
        self.process = launch(&self.library, self.directory.path(), ports, self.lifetime)?;
        self.wait_until_ready().await
    }

    /// Gives the server these users beside `default`, with which it starts again.
    pub async fn restart_with(&mut self, users: &[ClickHouseUser]) -> Result<()> {
        write_configuration(self.directory.path(), users)?;
        self.restart().await
    }

    /// The loopback port for HTTP.
    #[must_use]
    pub fn http_port(&self) -> u16 {
        self.http_port
    }

    /// The loopback port for the native protocol.
    #[must_use]
    pub fn tcp_port(&self) -> u16 {
        self.tcp_port
    }

    /// The process.
    #[must_use]
    pub fn identity(&self) -> ProcessIdentity {
        self.process.identity()
    }

    /// Why the server has ended, if it did so by itself: what it wrote last, and the end of its log of errors.
    pub fn ended(&mut self) -> Option<Error> {
        let error = self.process.ended("ClickHouse")?;
        let log = fs::read(self.directory.path().join("clickhouse.err.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(60)..].join("\n");
        Some(Error::Server(format!("{error}\nIts log of errors ends:\n{last}")))
    }

    /// The file with the server's log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.path().join("clickhouse.log")
    }

    /// `http://127.0.0.1:PORT`, without user and database.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// `127.0.0.1:PORT` of the native protocol.
    #[must_use]
    pub fn native_address(&self) -> String {
        format!("127.0.0.1:{}", self.tcp_port)
    }

    /// Asks questions as the user `default`.
    #[must_use]
    pub fn client(&self) -> ClickHouse {
        let client = ClickHouse::new("127.0.0.1", self.http_port);
        match &self.login {
            Some(user) => client.with_user(&user.name, &user.password),
            None => client,
        }
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let client = self.client();
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let pid = self.process.identity().pid;
            let ours =
                [self.http_port, self.tcp_port].iter().all(|&port| ports::is_listened_on_by(port, pid));
            let ready = ours && client.ping().await.is_ok();
            if self.process.exited().is_some() || Instant::now() > deadline {
                return Err(self
                    .process
                    .failure(&format!("ClickHouse does not answer on port {}", self.http_port)));
            }
            if ready {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn launch(library: &Path, data: &Path, ports: (u16, u16), lifetime: Lifetime) -> Result<ServerProcess> {
    let args = [
        format!("--config-file={}", data.join("config.xml").display()),
        format!("--path={}", data.join("store").display()),
        "--listen_host=127.0.0.1".to_owned(),
        format!("--http_port={}", ports.0),
        format!("--tcp_port={}", ports.1),
        "--log-level=information".to_owned(),
        format!("--query={SERVE_FOREVER}"),
    ];
    ServerProcess::start(&Program::ClickHouse(library), args, &data.join("output.log"), lifetime)
}

fn write_configuration(data: &Path, users: &[ClickHouseUser]) -> Result<()> {
    super::cache::create(&data.join("store"))?;
    let path = |name: &str| escaped(&data.join(name).display().to_string());
    let config = format!(
        "<clickhouse>\n\
         <logger><log>{}</log><errorlog>{}</errorlog><size>50M</size><count>1</count></logger>\n\
         <users_config>{}</users_config>\n\
         </clickhouse>\n",
        path("clickhouse.log"),
        path("clickhouse.err.log"),
        path("users.xml")
    );
    let (mut entries, mut profiles, mut quotas) = (String::new(), String::new(), String::new());
    let default = ClickHouseUser::new("default", "");
    let default = (!users.iter().any(|user| user.name == default.name)).then_some(&default);
    for user in users.iter().chain(default) {
        let grants: String =
            user.grants.iter().map(|grant| format!("<query>{}</query>", escaped(grant))).collect();
        let rights = match grants.is_empty() {
            true => "<access_management>1</access_management>".to_owned(),
            false => format!("<grants>{grants}</grants>"),
        };
        let name = &user.name;
        let limit = user.memory.map(|bytes| {
            // Otherwise a thread may use four MiB before they are counted.
            format!(
                "<max_memory_usage>{bytes}</max_memory_usage><max_untracked_memory>1</max_untracked_memory>"
            )
        });
        profiles += &format!("<of_{name}>{}</of_{name}>\n", limit.unwrap_or_default());
        let limit = user.written_bytes.map(|bytes| {
            format!("<interval><duration>3600</duration><written_bytes>{bytes}</written_bytes></interval>")
        });
        quotas += &format!("<of_{name}>{}</of_{name}>\n", limit.unwrap_or_default());
        entries += &format!(
            "<{name}><password>{}</password><networks><ip>127.0.0.1</ip><ip>::1</ip></networks><profile>of_{name}</profile>\
             <quota>of_{name}</quota>{rights}</{name}>\n",
            escaped(&user.password),
        );
    }
    let users = format!(
        "<clickhouse>\n<profiles><default/>{profiles}</profiles>\n<quotas><default/>{quotas}</quotas>\n\
         <users>\n{entries}</users>\n</clickhouse>\n"
    );
    for (name, text) in [("config.xml", config), ("users.xml", users)] {
        let file = data.join(name);
        fs::write(&file, text).map_err(Error::path("write", &file))?;
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
