//! Pipelines of every mode over one database, and what has to be true of their tables in the end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bson::{Document, Timestamp};
use futures_util::StreamExt as _;
use mongodb::Database;
use mongodb::change_stream::event::{OperationType, ResumeToken};
use serde_json::Value;
use tokio::process::Child;
use zenith_engine::state::{SqliteStore, StateStore as _};
use zenith_testkit::ClickHouse;
use zenith_testkit::data::random::Random;

use crate::harness::{Ended, ended, zenith};
use crate::writer::item;

/// More than catching up takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Databases to follow, and a state to follow them with.
pub struct Fixture {
    pub mongodb: Database,
    pub clickhouse: ClickHouse,
    folder: tempfile::TempDir,
    began: Option<ResumeToken>,
}

impl Fixture {
    /// Fills the source and applies the pipelines. `target` is what Zenith is told, which may lead through a proxy.
    pub async fn new(
        mongodb: Database,
        source: &str,
        clickhouse: ClickHouse,
        target: &str,
        documents: i64,
    ) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let state = format!("path = {:?}", folder.path().join("state.sqlite"));
        Fixture::on((folder, &state), (mongodb, source), (clickhouse, target), documents).await
    }

    /// The same with the state at a place: a line of `zenith.toml`, and the folder that this is in.
    pub async fn on(
        (folder, state): (tempfile::TempDir, &str),
        (mongodb, source): (Database, &str),
        (clickhouse, target): (ClickHouse, &str),
        documents: i64,
    ) -> Fixture {
        let mut random = Random::of_document(1, 1);
        let items: Vec<Document> = (0..documents).map(|id| item(id, &mut random)).collect();
        for part in items.chunks(10_000) {
            mongodb.collection::<Document>("items").insert_many(part).await.unwrap();
        }
        mongodb
            .collection::<Document>("appends")
            .insert_one(bson::doc! { "n": 0, "text": "first" })
            .await
            .unwrap();
        let fixture = Fixture { mongodb, clickhouse, folder, began: None };
        let text = format!(
            r#"
[state]
{state}

[sources.from]
uri = {source:?}

[targets.to]
uri = {target:?}

[pipelines.current]
source = "from"
target = "to"
collection = "items"
table = "current"

[pipelines.log]
source = "from"
target = "to"
collection = "items"
table = "log"
mode = "change-log"

[pipelines.cursor]
source = "from"
target = "to"
collection = "appends"
table = "appended"
mode = "id-cursor"
settle = "0s"
poll_interval = "50ms"
"#
        );
        std::fs::write(fixture.file(), text).unwrap();
        fixture.command(&["apply", "--yes"]).await.succeeded();
        fixture
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("zenith.toml")
    }

    /// Adds to the configuration, and applies it.
    pub async fn configure(&self, more: &str) {
        let mut text = std::fs::read_to_string(self.file()).unwrap();
        text.push_str(more);
        std::fs::write(self.file(), text).unwrap();
        self.command(&["apply", "--yes"]).await.succeeded();
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        let file = self.file();
        let all = [arguments, &["-f", file.to_str().unwrap()]].concat();
        zenith(&all).spawn().unwrap()
    }

    pub async fn command(&self, arguments: &[&str]) -> Ended {
        ended(self.spawn(arguments)).await
    }

    /// What `zenith status` says.
    pub async fn status(&self) -> Value {
        serde_json::from_str(&self.command(&["status", "--json"]).await.stdout).unwrap()
    }

    /// Waits until that is so of the status.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + TIMEOUT;
        while !is_so(&self.status().await) {
            assert!(Instant::now() < deadline, "never: {what}: {}", self.status().await);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Has every pipeline begin, so that the change log begins at a known place.
    pub async fn begin(&mut self) {
        // The log begins no earlier than this, and nothing is written in between.
        let stream = self.mongodb.collection::<Document>("items").watch().await.unwrap();
        self.began = stream.resume_token();
        self.command(&["run", "log", "--once"]).await.succeeded();
    }

    /// Inserts that were begun and not acknowledged, of all pipelines.
    pub async fn open_intents(&self) -> usize {
        let store = SqliteStore::open_read_only(&self.folder.path().join("state.sqlite")).await.unwrap();
        let mut open = 0;
        for pipeline in ["current", "log", "cursor"] {
            open += store.open_intents(pipeline).await.unwrap().len();
        }
        open
    }

    /// Catches up, and compares everything.
    pub async fn assert_nothing_lost(&self) {
        let caught_up = self.command(&["run", "--once"]).await;
        assert_eq!(caught_up.code, Some(0), "{caught_up:?}");
        for pipeline in ["current", "cursor"] {
            let verified = self.command(&["verify", pipeline]).await;
            assert_eq!(verified.code, Some(0), "{pipeline}: {verified:?}");
        }
        let (wanted, logged) = (self.changes().await, self.logged().await);
        for (number, (wanted, logged)) in wanted.iter().zip(&logged).enumerate() {
            assert_eq!(wanted, logged, "change {number} of {}", self.mongodb.name());
        }
        assert_eq!(wanted.len(), logged.len());
        assert!(wanted.len() > 10, "only {} changes", wanted.len());
    }

    /// Every change since the beginning, by MongoDB's own driver.
    async fn changes(&self) -> Vec<String> {
        let items = self.mongodb.collection::<Document>("items");
        let mut stream = items.watch().start_after(self.began.clone().unwrap()).await.unwrap();
        // A last change to read up to.
        let last = bson::oid::ObjectId::new();
        let marker = self.mongodb.collection::<Document>("items");
        marker.insert_one(bson::doc! { "_id": i64::MAX, "marker": last }).await.unwrap();
        marker.delete_one(bson::doc! { "_id": i64::MAX }).await.unwrap();
        let mut changes = Vec::new();
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < TIMEOUT, "the source does not say what changed");
            let event = stream.next().await.unwrap().unwrap();
            let id = event.document_key.as_ref().and_then(|key| key.get_i64("_id").ok()).unwrap();
            if id == i64::MAX {
                return changes;
            }
            let operation = match event.operation_type {
                OperationType::Insert => "insert",
                OperationType::Update => "update",
                OperationType::Replace => "replace",
                OperationType::Delete => "delete",
                other => panic!("{other:?}"),
            };
            let Timestamp { time, increment } = event.cluster_time.unwrap();
            changes.push(format!("{operation}\t{id}\t{}", (u64::from(time) << 32) | u64::from(increment)));
        }
    }

    /// The rows of the change log, in their order.
    async fn logged(&self) -> Vec<String> {
        let text = self
            .clickhouse
            .query("SELECT _zenith_operation, _id, _zenith_version FROM log ORDER BY _zenith_version, _zenith_index FORMAT TSV")
            .await
            .unwrap();
        text.lines().map(str::to_owned).collect()
    }
}
