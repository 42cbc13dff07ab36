//! One real `mongod`: a replica set of one by default, with SCRAM or TLS on request.
//!
//! Several that elect a primary are in [`super::replica_set`].

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bson::{Document, doc};
use mongodb::Client;
use mongodb::options::ClientOptions;

use super::directory::DataDirectory;
use super::process::{Lifetime, ProcessIdentity, Program, ServerProcess};
use super::{packages, ports};
use crate::error::{Error, Result};
use crate::tls::Certificate;

/// How long a start may take, recovery after SIGKILL included.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Name of every replica set made here.
pub(super) const REPLICA_SET: &str = "rs0";
/// `AlreadyInitialized` of MongoDB's error codes: the data folder has been used before.
const ALREADY_INITIALIZED: i32 = 23;

/// What a server stands alone as, or is part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Topology {
    /// A replica set of one: transactions and change streams work.
    #[default]
    SingleMember,
    /// No replica set: no change streams.
    Standalone,
    /// A member of a set that somebody else initiates.
    Member,
}

/// A user and the password, over SCRAM-SHA-256.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// How to start a [`MongoServer`].
#[derive(Clone, Debug)]
pub struct MongoOptions {
    /// The loopback port; a free one when not given.
    pub port: Option<u16>,
    /// The data folder, kept afterwards; a temporary one when not given.
    pub data: Option<PathBuf>,
    /// Alone, or in a replica set.
    pub topology: Topology,
    /// Size of WiredTiger's cache in MiB, at least 256.
    pub cache_mib: u32,
    /// Largest size of the oplog in MiB. A few are enough to have it roll over within a test; `replSetResizeOplog` would
    /// not go below 990.
    pub oplog_mib: u32,
    /// Seconds between checkpoints; mongod's 60 if not given. Changes after the last one stay in the oplog regardless
    /// of its size.
    pub checkpoint_seconds: Option<u32>,
    /// Demands a password; the user gets the role `root`.
    pub credentials: Option<Credentials>,
    /// Demands TLS and shows this certificate.
    pub certificate: Option<Certificate>,
    /// Until when the server runs.
    pub lifetime: Lifetime,
}

impl Default for MongoOptions {
    fn default() -> Self {
        Self {
            port: None,
            data: None,
            topology: Topology::default(),
            cache_mib: 1024,
            oplog_mib: 2048,
            checkpoint_seconds: None,
            credentials: None,
            certificate: None,
            lifetime: Lifetime::default(),
        }
    }
}

/// A running `mongod`. Dropping it kills it, unless its lifetime is detached.
#[derive(Debug)]
pub struct MongoServer {
    // Declared before the folder: the process must be gone when the folder is removed.
    process: ServerProcess,
    directory: DataDirectory,
    options: MongoOptions,
    port: u16,
    program: PathBuf,
}

impl MongoServer {
    /// Starts a server and waits until it takes writes (a [`Topology::Member`]: until it answers).
    pub async fn start(options: MongoOptions) -> Result<Self> {
        let program = tokio::task::spawn_blocking(packages::mongod)
            .await
            .map_err(|error| Error::Server(format!("the download of MongoDB panicked: {error}")))??;
        let mut directory = DataDirectory::open(options.data.clone(), "mongodb")?;
        // A port that was free a moment ago may be taken by the time the server binds it: then another one is tried.
        let attempts = if options.port.is_some() { 1 } else { 3 };
        let mut attempt = 1;
        loop {
            let port = options.port.map_or_else(ports::free_port, Ok)?;
            let process = launch(&program, directory.path(), port, &options)?;
            let mut server =
                Self { process, directory, options: options.clone(), port, program: program.clone() };
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

    /// Kills the server if it runs and starts it on the same port and data.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = launch(&self.program, self.directory.path(), self.port, &self.options)?;
        self.wait_until_ready().await
    }

    /// Stops the server in an orderly way.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop(Duration::from_secs(20)).await
    }

    /// The loopback port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Why the server has ended, if it did so by itself.
    pub fn ended(&mut self) -> Option<Error> {
        self.process.ended("mongod")
    }

    /// The process.
    #[must_use]
    pub fn identity(&self) -> ProcessIdentity {
        self.process.identity()
    }

    /// The file with the server's log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.path().join("mongod.log")
    }

    /// Connection string without a database, with credentials and TLS options as the server demands them.
    #[must_use]
    pub fn uri(&self) -> String {
        self.address("", &[])
    }

    /// Connection string with a database to work in.
    #[must_use]
    pub fn uri_for(&self, database: &str) -> String {
        self.address(database, &[])
    }

    /// A driver's client. It belongs to the runtime it is made on: every test makes its own.
    pub async fn client(&self) -> Result<Client> {
        connect(&self.uri()).await
    }

    fn address(&self, database: &str, more: &[&str]) -> String {
        let mut parameters: Vec<String> = more.iter().map(|&parameter| parameter.to_owned()).collect();
        let mut login = String::new();
        if let Some(Credentials { user, password }) = &self.options.credentials {
            login = format!("{}:{}@", percent_encoded(user), percent_encoded(password));
            parameters.push("authSource=admin".to_owned());
        }
        if let Some(certificate) = &self.options.certificate {
            parameters.push("tls=true".to_owned());
            let file = certificate.authority_file().display().to_string();
            parameters.push(format!("tlsCAFile={}", percent_encoded(&file)));
        }
        let host = if self.options.certificate.is_some() { "localhost" } else { "127.0.0.1" };
        let mut address = format!("mongodb://{login}{host}:{}", self.port);
        if !database.is_empty() || !parameters.is_empty() {
            address.push('/');
            address.push_str(database);
        }
        if !parameters.is_empty() {
            address.push('?');
            address.push_str(&parameters.join("&"));
        }
        address
    }

    /// A client for this server alone, also in a replica set. Without credentials it may use the localhost exception.
    pub(super) async fn direct_client(&self, with_credentials: bool) -> Result<Client> {
        let address = self.address("", &["directConnection=true"]);
        let mut options =
            ClientOptions::parse(&address).await.map_err(Error::mongodb("parse its address"))?;
        if !with_credentials {
            options.credential = None;
        }
        options.server_selection_timeout = Some(Duration::from_secs(5));
        Client::with_options(options).map_err(Error::mongodb("make a client"))
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !ports::is_listened_on_by(self.port, self.process.identity().pid) {
            if self.process.exited().is_some() || Instant::now() > deadline {
                return Err(self.process.failure(&format!("mongod does not listen on port {}", self.port)));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let client = self.direct_client(self.user_marker().exists()).await?;
        if self.options.topology == Topology::SingleMember {
            // In the address clients are given, so that what they discover is what they were told.
            let host = if self.options.certificate.is_some() { "localhost" } else { "127.0.0.1" };
            let members = [doc! { "_id": 0, "host": format!("{host}:{}", self.port) }];
            initiate(&client, &members).await?;
        }
        if self.options.topology != Topology::Member {
            while !is_writable_primary(&client).await? {
                if Instant::now() > deadline {
                    return Err(self.process.failure("mongod does not become primary"));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            self.create_user(&client).await?;
        }
        // The driver would go on watching the server from its own tasks.
        client.shutdown().immediate(true).await;
        Ok(())
    }

    /// Is there once the user has been created: from then on a password is required.
    fn user_marker(&self) -> PathBuf {
        self.directory.path().join("user-created")
    }

    /// Creates the user under the localhost exception, which ends with the first user.
    async fn create_user(&self, client: &Client) -> Result<()> {
        let Some(Credentials { user, password }) = &self.options.credentials else { return Ok(()) };
        let created = self.user_marker();
        if created.exists() {
            return Ok(());
        }
        let command = doc! { "createUser": user, "pwd": password, "roles": ["root"] };
        client.database("admin").run_command(command).await.map_err(Error::mongodb("create the user"))?;
        fs::write(&created, "").map_err(Error::path("write", &created))
    }
}

/// A driver's client for a connection string.
pub async fn connect(uri: &str) -> Result<Client> {
    let mut options =
        ClientOptions::parse(uri).await.map_err(Error::mongodb("parse the connection string"))?;
    // The default of 30 seconds only makes a failing test slow.
    options.server_selection_timeout.get_or_insert(Duration::from_secs(15));
    Client::with_options(options).map_err(Error::mongodb("make a client"))
}

/// Puts a database into a connection string that may have parameters and another database.
pub fn with_database(uri: &str, database: &str) -> Result<String> {
    let malformed = || Error::Malformed(format!("{uri:?} is not a MongoDB connection string"));
    let (scheme, rest) = uri.split_once("://").ok_or_else(malformed)?;
    let (rest, parameters) =
        rest.split_once('?').map_or((rest, None), |(rest, parameters)| (rest, Some(parameters)));
    let hosts = rest.split('/').next().unwrap_or(rest);
    let parameters = parameters.map(|parameters| format!("?{parameters}")).unwrap_or_default();
    Ok(format!("{scheme}://{hosts}/{database}{parameters}"))
}

/// `replSetInitiate` with these members; nothing to do on data that has been initiated before.
pub(super) async fn initiate(client: &Client, members: &[Document]) -> Result<()> {
    let config = doc! {
        "_id": REPLICA_SET,
        "members": members,
        // Failover within seconds, as tests wait for it; the defaults are 2 s and 10 s.
        "settings": { "heartbeatIntervalMillis": 500, "electionTimeoutMillis": 2_000 },
    };
    match client.database("admin").run_command(doc! { "replSetInitiate": config }).await {
        Ok(_) => Ok(()),
        Err(error) => match *error.kind {
            mongodb::error::ErrorKind::Command(ref reply) if reply.code == ALREADY_INITIALIZED => Ok(()),
            _ => Err(Error::mongodb("initiate the replica set")(error)),
        },
    }
}

/// Whether the server takes writes now.
pub(super) async fn is_writable_primary(client: &Client) -> Result<bool> {
    let reply = client.database("admin").run_command(doc! { "hello": 1 }).await;
    let reply = reply.map_err(Error::mongodb("ask for the server's role"))?;
    Ok(reply.get_bool("isWritablePrimary").unwrap_or(false))
}

fn launch(program: &Path, data: &Path, port: u16, options: &MongoOptions) -> Result<ServerProcess> {
    let mut args: Vec<OsString> = Vec::new();
    let mut option = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
        args.push(name.into());
        args.push(value.as_ref().into());
    };
    option("--bind_ip", &"127.0.0.1");
    option("--port", &port.to_string());
    option("--dbpath", &data);
    option("--wiredTigerCacheSizeGB", &format!("{:.3}", f64::from(options.cache_mib) / 1024.0));
    // Nobody reads the metrics mongod samples every second, and they cost processor time while measuring.
    option("--setParameter", &"diagnosticDataCollectionEnabled=false");
    if options.topology != Topology::Standalone {
        option("--replSet", &REPLICA_SET);
        option("--oplogSize", &options.oplog_mib.to_string());
    }
    if let Some(seconds) = options.checkpoint_seconds {
        option("--syncdelay", &seconds.to_string());
    }
    if let Some(certificate) = &options.certificate {
        option("--tlsMode", &"requireTLS");
        option("--tlsCertificateKeyFile", &certificate.chain_and_key_file());
        option("--tlsCAFile", &certificate.authority_file());
    }
    if options.credentials.is_some() && options.topology != Topology::Standalone {
        option("--keyFile", &key_file(data)?);
    }
    if options.certificate.is_some() {
        args.push("--tlsAllowConnectionsWithoutCertificates".into());
    }
    if options.credentials.is_some() {
        args.push("--auth".into());
    }
    args.push("--nounixsocket".into());
    ServerProcess::start(&Program::Executable(program), args, &data.join("mongod.log"), options.lifetime)
}

/// The secret that members of a set share; mongod refuses one that others may read.
fn key_file(data: &Path) -> Result<PathBuf> {
    let path = data.join("keyfile");
    if !path.exists() {
        let mut file = fs::File::options()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::path("create", &path))?;
        std::io::Write::write_all(&mut file, b"emVuaXRoIHRlc3RzIG9ubHk=")
            .map_err(Error::path("write", &path))?;
    }
    Ok(path)
}

fn percent_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_goes_between_hosts_and_parameters() {
        let with = |uri| with_database(uri, "d").unwrap();
        assert_eq!(with("mongodb://h:1"), "mongodb://h:1/d");
        assert_eq!(
            with("mongodb://u:p@h:1,g:2/old?replicaSet=rs0"),
            "mongodb://u:p@h:1,g:2/d?replicaSet=rs0"
        );
        assert_eq!(with("mongodb+srv://h/?tls=true"), "mongodb+srv://h/d?tls=true");
        assert!(with_database("h:1", "d").is_err());
    }
}
