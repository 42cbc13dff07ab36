//! Runs the command and looks at what it printed and what it left behind.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use bson::RawDocumentBuf;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use zenith_testkit::{FaultProxy, Shape, TestDatabases, TestServers, load};

/// More than any of these copies takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A pair of databases of its own, and the command between them.
pub struct Bench {
    pub databases: TestDatabases,
    native: OnceCell<FaultProxy>,
}

impl Bench {
    pub async fn new(label: &str) -> Bench {
        let databases = TestServers::shared().await.databases(&format!("cli_{label}")).await.unwrap();
        Bench { databases, native: OnceCell::new() }
    }

    pub fn from(&self) -> &str {
        &self.databases.mongodb_uri
    }

    pub fn to(&self) -> String {
        self.databases.clickhouse.url()
    }

    /// The same by the native protocol. What is killed resets its connections, which ends this build of ClickHouse now and
    /// then, and with it all other tests: the proxy closes them instead.
    pub async fn to_natively(&self) -> String {
        let start =
            async || FaultProxy::start(TestServers::shared().await.clickhouse_native()).await.unwrap();
        let proxy = self.native.get_or_init(start).await;
        format!("clickhouse://{}/{}", proxy.address(), self.databases.clickhouse.database())
    }

    pub async fn events(&self, collection: &str, documents: u64) {
        load::generate(&self.databases.mongodb, collection, Shape::Events, 7, 0..documents).await.unwrap();
    }

    pub async fn fill(&self, collection: &str, documents: impl IntoIterator<Item = RawDocumentBuf>) {
        load::insert_documents(&self.databases.mongodb, collection, documents).await.unwrap();
    }

    /// `zenith copy` of a collection to the table of its name.
    pub fn copy(&self, collection: &str, more: &[&str]) -> Command {
        let to = self.to();
        let mut arguments = vec!["copy", "--from", self.from(), "--collection", collection, "--to", &to];
        arguments.extend(more);
        zenith(&arguments)
    }

    pub async fn ask(&self, question: &str) -> String {
        self.databases.clickhouse.query(question).await.unwrap()
    }

    pub async fn tables(&self) -> Vec<String> {
        self.ask("SHOW TABLES").await.lines().map(str::to_owned).collect()
    }

    pub async fn remove(self) {
        self.databases.remove().await.unwrap();
    }
}

/// The command, without what the environment of the tests says to it.
pub fn zenith(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zenith"));
    for variable in [
        "ZENITH_SOURCE",
        "ZENITH_TARGET",
        "ZENITH_LOG",
        "ZENITH_STATE",
        "ZENITH_MEMORY",
        "ZENITH_SERVER",
        "ZENITH_TOKEN",
    ] {
        command.env_remove(variable);
    }
    command
        // As a terminal would show it.
        .env("ZENITH_LOG_FORMAT", "text")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// The one JSON object on standard output.
    pub fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub fn succeeded(self) -> Ended {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// Runs the command to its end.
pub async fn run(mut command: Command) -> Ended {
    ended(command.spawn().unwrap()).await
}

/// Waits for the end of a command that runs.
pub async fn ended(child: Child) -> Ended {
    let output =
        tokio::time::timeout(TIMEOUT, child.wait_with_output()).await.expect("the command ends").unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The keys of a JSON object.
pub fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}
