//! Tables kept in step with collections, on the real servers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bson::{Bson, Document, doc};
use zenith_engine::arrow::{Schema, equal, rebuild};
use zenith_engine::state::{MemoryStore, PipelineRecord, Role, StateStore};
use zenith_engine::transport::Sink;
use zenith_engine::{
    BatchTransform, ClickHouseSink, ConnectionOptions, EngineError, Mode, MongoSource, Namespace, OnDrop,
    Outcome, PipelineSettings, Pool, Replicator, SyncPipeline, TableOptions, Target, Until,
};
use zenith_testkit::{ClickHouse, ClickHouseOptions, ClickHouseServer, MongoOptions, MongoServer};

use crate::harness::{Bench, key};

/// One pipeline, a state that outlives its runs, and a pair of databases.
pub struct Follow {
    pub bench: Bench,
    pub state: Arc<MemoryStore>,
    pub settings: PipelineSettings,
    pub memory: usize,
    /// What adds columns to its rows.
    pub transform: Option<Arc<dyn BatchTransform>>,
    name: String,
}

pub type TestReplicator = Replicator<MongoSource, ClickHouseSink, MemoryStore>;

impl Follow {
    pub async fn new(label: &str, settings: PipelineSettings) -> Follow {
        let state = Arc::new(MemoryStore::default());
        let bench = Bench::new(label).await;
        let name = "items".to_owned();
        let mut follow = Follow { bench, state, settings, memory: 32 << 20, transform: None, name };
        follow.forget().await;
        follow
    }

    /// Begins with a state of its own, in which the pipeline has never run.
    pub async fn forget(&mut self) {
        self.state = Arc::new(MemoryStore::default());
        for (name, role) in [("from", Role::Source), ("to", Role::Target)] {
            let connector = zenith_engine::state::Connector {
                name: name.to_owned(),
                role,
                uri: "test://".to_owned(),
                options: String::new(),
            };
            self.state.put_connector(&connector).await.unwrap();
        }
        self.put("items").await;
    }

    pub async fn replicator(&self) -> TestReplicator {
        let pool = Pool::new(self.memory).unwrap();
        let source = MongoSource::connect(&self.bench.databases.mongodb_uri).await.unwrap();
        let mut replicator = Replicator::new(source, Arc::clone(&self.state), pool.clone());
        let pipeline = self.pipeline(&self.name, self.bench.sink(Some(pool)));
        match &self.transform {
            None => replicator.add(pipeline).unwrap(),
            Some(transform) => replicator.add_transformed(pipeline, Arc::clone(transform)).unwrap(),
        }
        replicator
    }

    /// The same with a target of another address.
    pub async fn replicator_to(&self, address: &str) -> TestReplicator {
        self.replicator_within(address, Duration::from_secs(60)).await
    }

    /// The same that gives up so soon when it catches up.
    pub async fn replicator_within(&self, address: &str, retry_budget: Duration) -> TestReplicator {
        let pool = Pool::new(self.memory).unwrap();
        let source = MongoSource::connect(&self.bench.databases.mongodb_uri).await.unwrap();
        let replicator = Replicator::new(source, Arc::clone(&self.state), pool.clone());
        let mut replicator = replicator.with_retry_budget(retry_budget);
        let target = Target::parse(address).unwrap();
        let sink = ClickHouseSink::new(target, Some(pool), ConnectionOptions::default()).unwrap();
        replicator.add(self.pipeline(&self.name, sink)).unwrap();
        replicator
    }

    /// A pipeline whose collection and table have its name.
    fn pipeline(&self, name: &str, sink: ClickHouseSink) -> SyncPipeline<ClickHouseSink> {
        SyncPipeline {
            name: name.to_owned(),
            namespace: Namespace::new(&self.bench.databases.name, name),
            table: name.to_owned(),
            sink: Arc::new(sink),
            settings: self.settings.clone(),
        }
    }

    /// Notes a pipeline in the state.
    async fn put(&self, name: &str) {
        let record = PipelineRecord {
            name: name.to_owned(),
            source: "from".to_owned(),
            target: "to".to_owned(),
            settings: String::new(),
            paused: false,
        };
        self.state.put_pipeline(&record).await.unwrap();
    }

    pub async fn catch_up(&self) -> Outcome {
        let run = async { self.replicator().await.run(Until::CaughtUp).await };
        let outcomes =
            tokio::time::timeout(Duration::from_secs(60), run).await.expect("never caught up").unwrap();
        outcomes.into_iter().next().unwrap()
    }

    pub async fn catch_up_well(&self) {
        let outcome = self.catch_up().await;
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
    }

    pub async fn schema(&self) -> Schema {
        let versions = self.state.schemas(&self.name).await.unwrap();
        serde_json::from_slice(&versions.last().unwrap().change.schema).unwrap()
    }

    /// The documents the table shows.
    pub async fn shown(&self, table: &str) -> BTreeMap<String, Document> {
        let schema = self.schema().await;
        let mut documents = BTreeMap::new();
        for batch in self.bench.sink(None).read(table).await.unwrap() {
            for row in 0..batch.num_rows() {
                let document = rebuild(&schema, &batch, row).unwrap();
                let id = key(document.get("_id").unwrap_or(&Bson::Undefined));
                assert!(documents.insert(id.clone(), document).is_none(), "{id} twice");
            }
        }
        documents
    }

    /// The table shows what the collection holds, every value of it.
    pub async fn assert_equal(&self, table: &str) {
        let (expected, shown) = (self.bench.documents("items").await, self.shown(table).await);
        let missing: Vec<_> = expected.keys().filter(|id| !shown.contains_key(*id)).take(5).collect();
        let surplus: Vec<_> = shown.keys().filter(|id| !expected.contains_key(*id)).take(5).collect();
        assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:?}, surplus {surplus:?}");
        for (id, document) in &expected {
            if let Err(difference) = equal(document, &shown[id], false) {
                panic!("{id} differs: {difference:?}\nMongoDB    {document}\nClickHouse {}", shown[id]);
            }
        }
    }

    /// Inserts that were begun and are not known to be done.
    pub async fn open_intents(&self) -> usize {
        self.state.open_intents(&self.name).await.unwrap().len()
    }

    pub async fn query(&self, sql: &str) -> String {
        self.bench.databases.clickhouse.query(sql).await.unwrap().trim().to_owned()
    }
}

pub fn items(range: std::ops::Range<i32>) -> Vec<Document> {
    range.map(|n| doc! { "_id": n, "name": format!("item {n}"), "n": n, "tags": ["a", "b"], "sub": { "x": 1.5 } }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_and_all_kinds_of_changes() {
    let follow = Follow::new("changes", PipelineSettings::default()).await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_many(items(0..1000)).await.unwrap();
    follow.catch_up_well().await;
    follow.assert_equal("items_current").await;

    collection.insert_many(items(1000..1500)).await.unwrap();
    collection
        .update_many(doc! { "_id": { "$lt": 300 } }, doc! { "$set": { "n": -1, "new": "field" } })
        .await
        .unwrap();
    collection
        .update_many(
            doc! { "_id": { "$lt": 100 } },
            doc! { "$set": { "n": "a string" }, "$unset": { "tags": 1 } },
        )
        .await
        .unwrap();
    collection.replace_one(doc! { "_id": 400 }, doc! { "other": true }).await.unwrap();
    collection.delete_many(doc! { "_id": { "$gte": 500, "$lt": 600 } }).await.unwrap();
    collection.insert_many(items(500..510)).await.unwrap();
    collection.update_one(doc! { "_id": 700 }, doc! { "$set": { "n": 1 } }).await.unwrap();
    collection.delete_one(doc! { "_id": 700 }).await.unwrap();
    follow.catch_up_well().await;
    follow.assert_equal("items_current").await;
    let runs = follow.state.runs(Some("items"), 10).await.unwrap();
    assert_eq!(runs.len(), 2);
    follow.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_come_while_it_runs_are_seen_at_once() {
    let follow = Follow::new("live", PipelineSettings::default()).await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_many(items(0..10)).await.unwrap();
    let replicator = follow.replicator().await;
    let stop = replicator.stop_handle();
    let running = tokio::spawn(async move { replicator.run(Until::Stopped).await.unwrap() });
    for n in 10..40 {
        collection.insert_one(items(n..n + 1).remove(0)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut session = follow.bench.databases.mongodb.client().start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    for n in 0..20 {
        collection
            .update_one(doc! { "_id": n }, doc! { "$inc": { "n": 1000 } })
            .session(&mut session)
            .await
            .unwrap();
        collection
            .update_one(doc! { "_id": n }, doc! { "$set": { "twice": true } })
            .session(&mut session)
            .await
            .unwrap();
    }
    session.commit_transaction().await.unwrap();
    for _ in 0..100 {
        if follow.query("SELECT count() FROM items_current WHERE n >= 1000").await == "20" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    follow.assert_equal("items_current").await;
    stop.stop();
    let outcomes = running.await.unwrap();
    assert!(outcomes[0].error.is_none(), "{outcomes:?}");
    follow.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_log_has_every_change_once_and_in_order() {
    let settings = PipelineSettings { mode: Mode::ChangeLog, flush_rows: 7, ..PipelineSettings::default() };
    let follow = Follow::new("log", settings).await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_one(items(0..1).remove(0)).await.unwrap();
    follow.catch_up_well().await;
    assert_eq!(follow.query("SELECT count() FROM items").await, "0", "what was there before is no change");
    collection.insert_many(items(1..50)).await.unwrap();
    collection.update_many(doc! {}, doc! { "$set": { "n": -7 } }).await.unwrap();
    collection.delete_many(doc! { "_id": { "$lt": 10 } }).await.unwrap();
    follow.catch_up_well().await;
    let counts =
        follow.query("SELECT _zenith_operation, count() FROM items GROUP BY 1 ORDER BY 1 FORMAT CSV").await;
    assert_eq!(counts, "\"delete\",10\n\"insert\",49\n\"update\",50");
    let order = follow
        .query("SELECT groupArray(op) FROM (SELECT _zenith_operation AS op FROM items WHERE _id = 5 ORDER BY _zenith_version, _zenith_index) FORMAT TSV")
        .await;
    assert_eq!(order, "['insert','update','delete']");
    follow.bench.remove().await;
}

/// Three updates in a row, read together: with images each row is of its own time, else all are as the document is by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_log_takes_the_images_that_a_collection_keeps() {
    for (post_images, expected) in [(None, "[1,2,3]"), (Some(false), "[3,3,3]")] {
        let settings = PipelineSettings { mode: Mode::ChangeLog, post_images, ..PipelineSettings::default() };
        let follow = Follow::new("images", settings).await;
        let database = &follow.bench.databases.mongodb;
        let collection = database.collection::<Document>("items");
        collection.insert_one(doc! { "_id": 1, "n": 0 }).await.unwrap();
        let keep = doc! { "collMod": "items", "changeStreamPreAndPostImages": { "enabled": true } };
        database.run_command(keep).await.unwrap();
        follow.catch_up_well().await;
        for _ in 0..3 {
            collection.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }).await.unwrap();
        }
        follow.catch_up_well().await;
        let rows = "SELECT groupArray(n) FROM (SELECT n FROM items ORDER BY _zenith_version, _zenith_index) FORMAT TSV";
        assert_eq!(follow.query(rows).await, expected, "{post_images:?}");
        follow.bench.remove().await;
    }
}

/// The place and the table are there already, so that the stream is what cannot be opened.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_only_catches_up_does_not_wait_for_ever_for_the_source() {
    let follow = Follow::new("source_away", PipelineSettings::default()).await;
    let mut server = MongoServer::start(MongoOptions::default()).await.unwrap();
    let name = &follow.bench.databases.name;
    let collection = server.client().await.unwrap().database(name).collection::<Document>("items");
    collection.insert_many(items(0..10)).await.unwrap();
    let uri = format!("{}&serverSelectionTimeoutMS=500", server.uri_for(name));
    let run = async || {
        let source = MongoSource::connect(&uri).await.unwrap();
        let pool = Pool::new(follow.memory).unwrap();
        let replicator = Replicator::new(source, Arc::clone(&follow.state), pool.clone());
        let mut replicator = replicator.with_retry_budget(Duration::from_secs(2));
        replicator.add(follow.pipeline("items", follow.bench.sink(Some(pool)))).unwrap();
        let run = tokio::time::timeout(Duration::from_secs(40), replicator.run(Until::CaughtUp));
        run.await.expect("it waits for ever").unwrap().remove(0).error
    };
    assert!(run().await.is_none());
    server.kill().unwrap();
    let error = run().await.expect("the source is away");
    assert!(matches!(error, EngineError::Stream(_) | EngineError::Reading(_)), "{error:?}");
    server.restart().await.unwrap();
    assert!(run().await.is_none());
    assert_eq!(follow.query("SELECT count() FROM items_current").await, "10");
    follow.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_appends_what_is_new() {
    let settings = PipelineSettings {
        options: TableOptions { batch_rows: 100, ..TableOptions::default() },
        mode: Mode::IdCursor,
        settle: Duration::ZERO,
        poll_interval: Duration::from_millis(50),
        ..PipelineSettings::default()
    };
    let follow = Follow::new("cursor", settings).await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_many(items(0..1000)).await.unwrap();
    follow.catch_up_well().await;
    follow.assert_equal("items").await;
    follow.catch_up_well().await;
    collection.insert_many(items(1000..1234)).await.unwrap();
    follow.catch_up_well().await;
    follow.assert_equal("items").await;
    follow.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_goes_stops_the_pipeline_or_empties_the_table() {
    let mut follow = Follow::new("drop", PipelineSettings::default()).await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_many(items(0..10)).await.unwrap();
    follow.catch_up_well().await;
    collection.drop().await.unwrap();
    collection.insert_many(items(5..8)).await.unwrap();
    let outcome = follow.catch_up().await;
    assert!(matches!(outcome.error, Some(EngineError::SourceGone { .. })), "{:?}", outcome.error);
    assert_eq!(follow.query("SELECT count() FROM items_current").await, "10");
    follow.settings.on_drop = OnDrop::Truncate;
    follow.catch_up_well().await;
    follow.assert_equal("items_current").await;
    follow.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_another_type_stops_the_pipeline_and_a_reload_mends_it() {
    let follow = Follow::new("key_mismatch", PipelineSettings::default()).await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_many(items(0..10)).await.unwrap();
    follow.catch_up_well().await;
    collection.insert_one(doc! { "_id": "text", "n": 1 }).await.unwrap();
    let outcome = follow.catch_up().await;
    assert!(matches!(outcome.error, Some(EngineError::KeyMismatch { .. })), "{:?}", outcome.error);
    follow.replicator().await.reload("items").await.unwrap();
    collection.insert_one(doc! { "_id": "another", "n": 2 }).await.unwrap();
    follow.catch_up_well().await;
    follow.assert_equal("items_current").await;
    follow.bench.remove().await;
}

/// Columns of one backlog are many times the memory, and some documents alone are more than a batch.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_larger_than_the_memory_is_written_in_parts() {
    for mode in [Mode::Changes, Mode::ChangeLog] {
        let settings = PipelineSettings { mode, ..PipelineSettings::default() };
        let mut follow = Follow::new("large_backlog", settings).await;
        follow.memory = 16 << 20;
        let collection = follow.bench.databases.mongodb.collection::<Document>("items");
        collection.insert_many(items(0..3000)).await.unwrap();
        follow.catch_up_well().await;
        let text = "x".repeat(6000);
        collection.update_many(doc! {}, doc! { "$set": { "name": &text } }).await.unwrap();
        for n in 0..6 {
            collection.insert_one(doc! { "_id": 9000 + n, "name": "y".repeat(3 << 20) }).await.unwrap();
        }
        collection.update_many(doc! { "_id": { "$gte": 9000 } }, doc! { "$set": { "n": 1 } }).await.unwrap();
        follow.catch_up_well().await;
        if mode == Mode::Changes {
            follow.assert_equal("items_current").await;
        } else {
            assert_eq!(follow.query("SELECT count() FROM items").await, "3012");
            assert_eq!(follow.query("SELECT countIf(length(name) = 6000) FROM items").await, "3000");
        }
        follow.bench.remove().await;
    }
}

/// One of two targets is away for so long that the changes of its pipeline fill the memory of the stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_away_does_not_hold_up_the_others() {
    let follow = Follow::new("apart", PipelineSettings::default()).await;
    follow.put("far").await;
    let mut server = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let database = server.client().create_database("away").await.unwrap();
    let (near, far) = (follow.bench.collection("items"), follow.bench.collection("far"));
    let document = |n: i32, text: &str| bson::rawdoc! { "_id": n, "text": text };
    near.insert_one(document(0, "")).await.unwrap();
    far.insert_one(document(0, "")).await.unwrap();

    let pool = Pool::new(follow.memory).unwrap();
    let source = MongoSource::connect(&follow.bench.databases.mongodb_uri).await.unwrap();
    let mut replicator = Replicator::new(source, Arc::clone(&follow.state), pool.clone());
    replicator.add(follow.pipeline("items", follow.bench.sink(Some(pool.clone())))).unwrap();
    let target = Target::parse(&database.url()).unwrap();
    let sink = ClickHouseSink::new(target, Some(pool), ConnectionOptions::default()).unwrap();
    replicator.add(follow.pipeline("far", sink)).unwrap();
    let stop = replicator.stop_handle();
    let running = tokio::spawn(async move { replicator.run(Until::Stopped).await.unwrap() });

    let count = async |database: &ClickHouse, table: &str, expected: usize| {
        for _ in 0..600 {
            let sql = format!("SELECT count() FROM {table}");
            if database.query(&sql).await.is_ok_and(|count| count.trim() == expected.to_string()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{table} never has {expected} rows");
    };
    let here = &follow.bench.databases.clickhouse;
    count(here, "items_current", 1).await;
    count(&database, "far_current", 1).await;
    server.kill().unwrap();
    let text = "x".repeat(10_000);
    for batch in 0..20 {
        let documents = (1..=200).map(|n| document(batch * 200 + n, &text));
        far.insert_many(documents).await.unwrap();
    }
    near.insert_one(document(1, "")).await.unwrap();
    count(here, "items_current", 2).await;
    server.restart().await.unwrap();
    count(&database, "far_current", 4001).await;
    near.insert_one(document(2, "")).await.unwrap();
    count(here, "items_current", 3).await;
    stop.stop();
    let outcomes = running.await.unwrap();
    assert!(outcomes.len() == 2 && outcomes.iter().all(|outcome| outcome.error.is_none()), "{outcomes:?}");
    follow.bench.remove().await;
}
