//! One pair of servers for all tests of a process.
//!
//! Servers named in the environment are used as they are; otherwise a pair is started by the first test that asks and
//! ends with the process. A test is never skipped because a server is missing: it fails and says what to do.

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use mongodb::{Client, Database};
use tokio::sync::OnceCell;

use super::clickhouse::{ClickHouseOptions, ClickHouseServer};
use super::mongod::{self, MongoOptions, MongoServer};
use crate::clickhouse_client::ClickHouse;
use crate::error::{Error, Result};

/// Names a MongoDB for the tests: a connection string.
pub const MONGODB_URI_VARIABLE: &str = "ZENITH_TEST_MONGODB_URI";
/// Names a ClickHouse for the tests: `http://[USER[:PASSWORD]@]HOST[:PORT]`.
pub const CLICKHOUSE_URL_VARIABLE: &str = "ZENITH_TEST_CLICKHOUSE_URL";
/// The native-protocol address of that ClickHouse, `HOST:PORT`; when not given, port 9000 of the same host.
pub const CLICKHOUSE_NATIVE_VARIABLE: &str = "ZENITH_TEST_CLICKHOUSE_NATIVE";

/// A MongoDB and a ClickHouse.
#[derive(Debug)]
pub struct TestServers {
    mongodb_uri: String,
    clickhouse: ClickHouse,
    clickhouse_native: String,
    own_mongodb: Option<MongoServer>,
    own_clickhouse: Option<ClickHouseServer>,
}

impl TestServers {
    /// The pair all tests of this process share.
    ///
    /// # Panics
    ///
    /// If a server can neither be found nor started, with a sentence that says what is missing and what to do.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<TestServers> = OnceCell::const_new();
        match SHARED.get_or_try_init(Self::from_environment).await {
            Ok(servers) => servers,
            Err(error) => panic!("no servers to test with: {}", with_causes(&error)),
        }
    }

    /// Takes the servers the environment names and starts those it does not name.
    pub async fn from_environment() -> Result<Self> {
        let (mongodb, clickhouse) = tokio::try_join!(find_mongodb(), find_clickhouse())?;
        let ((mongodb_uri, mongodb), (clickhouse_client, clickhouse_native, clickhouse)) =
            (mongodb, clickhouse);
        Ok(Self {
            mongodb_uri,
            clickhouse: clickhouse_client,
            clickhouse_native,
            own_mongodb: mongodb,
            own_clickhouse: clickhouse,
        })
    }

    /// Connection string of the MongoDB, without a database if the kit started it.
    #[must_use]
    pub fn mongodb_uri(&self) -> &str {
        &self.mongodb_uri
    }

    /// A driver's client. It belongs to the runtime it is made on: every test makes its own.
    pub async fn mongodb(&self) -> Result<Client> {
        mongod::connect(&self.mongodb_uri).await
    }

    /// Asks the ClickHouse questions, in the database `default` if the kit started it.
    #[must_use]
    pub fn clickhouse(&self) -> &ClickHouse {
        &self.clickhouse
    }

    /// `HOST:PORT` of ClickHouse's native protocol.
    #[must_use]
    pub fn clickhouse_native(&self) -> &str {
        &self.clickhouse_native
    }

    /// What child processes need in their environment to use these servers: names and values.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [
            (MONGODB_URI_VARIABLE, self.mongodb_uri.clone()),
            (CLICKHOUSE_URL_VARIABLE, self.clickhouse.url()),
            (CLICKHOUSE_NATIVE_VARIABLE, self.clickhouse_native.clone()),
        ]
    }

    /// Why servers that were started here have ended by themselves, which fails every later test.
    pub fn ended(&mut self) -> Vec<Error> {
        let mongodb = self.own_mongodb.as_mut().and_then(MongoServer::ended);
        let clickhouse = self.own_clickhouse.as_mut().and_then(ClickHouseServer::ended);
        mongodb.into_iter().chain(clickhouse).collect()
    }

    /// A new database on either server, both of one name that no other test has; it begins with `label`.
    pub async fn databases(&self, label: &str) -> Result<TestDatabases> {
        let name = unique_name(label);
        let mongodb = self.mongodb().await?.database(&name);
        let clickhouse = self.clickhouse.create_database(&name).await?;
        let mongodb_uri = mongod::with_database(&self.mongodb_uri, &name)?;
        Ok(TestDatabases { name, mongodb, mongodb_uri, clickhouse })
    }
}

/// A database of a test on either server.
#[derive(Clone, Debug)]
pub struct TestDatabases {
    /// The name of both.
    pub name: String,
    /// The one of MongoDB; it comes into being with its first document.
    pub mongodb: Database,
    /// Connection string that names the database.
    pub mongodb_uri: String,
    /// The one of ClickHouse, of the engine Atomic; [`ClickHouse::url`] names it too.
    pub clickhouse: ClickHouse,
}

impl TestDatabases {
    /// Drops both databases. A test that fails leaves them for inspection.
    pub async fn remove(self) -> Result<()> {
        self.clickhouse.drop_database(&self.name).await?;
        self.mongodb.drop().await.map_err(Error::mongodb("drop the test's database"))
    }
}

/// A name no other test of any process uses: a label, the time, the process and a number.
#[must_use]
pub fn unique_name(label: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    format!("{label}_{seconds}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An error with all its causes on one line.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

async fn find_mongodb() -> Result<(String, Option<MongoServer>)> {
    if let Some(uri) = variable(MONGODB_URI_VARIABLE) {
        return Ok((uri, None));
    }
    let server = MongoServer::start(MongoOptions::default()).await?;
    Ok((server.uri(), Some(server)))
}

async fn find_clickhouse() -> Result<(ClickHouse, String, Option<ClickHouseServer>)> {
    if let Some(url) = variable(CLICKHOUSE_URL_VARIABLE) {
        let client = ClickHouse::from_url(&url)?;
        let native =
            variable(CLICKHOUSE_NATIVE_VARIABLE).unwrap_or_else(|| format!("{}:9000", client.host()));
        return Ok((client, native, None));
    }
    let server = ClickHouseServer::start(ClickHouseOptions::default()).await?;
    Ok((server.client(), server.native_address(), Some(server)))
}
