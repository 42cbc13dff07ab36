//! Collections that are dropped, renamed over or rebuilt while their tables follow them (`on_drop = "reload"`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::{Document, doc};
use tokio::task::JoinHandle;
use zenith_engine::{EngineError, Mode, OnDrop, Outcome, PipelineSettings, StopHandle, Until};

use crate::incremental::{Follow, TestReplicator, items};

/// More than anything takes that is waited for.
const TIMEOUT: Duration = Duration::from_secs(60);

fn reloading(mode: Mode) -> PipelineSettings {
    PipelineSettings { mode, on_drop: OnDrop::Reload, ..PipelineSettings::default() }
}

/// A run that follows.
struct Run {
    replicator: Arc<TestReplicator>,
    stop: StopHandle,
    task: JoinHandle<Vec<Outcome>>,
}

impl Run {
    async fn start(follow: &Follow) -> Run {
        let replicator = Arc::new(follow.replicator().await);
        let stop = replicator.stop_handle();
        let running = Arc::clone(&replicator);
        let task = tokio::spawn(async move { running.run(Until::Stopped).await.unwrap() });
        Run { replicator, stop, task }
    }

    /// What it waits for.
    fn waiting(&self) -> String {
        let progress = self.replicator.progress();
        progress[0].waiting.as_ref().map_or_else(String::new, |waiting| waiting.reason.clone())
    }

    async fn until_waiting(&self, words: &str) {
        let begun = Instant::now();
        while !self.waiting().contains(words) {
            assert!(begun.elapsed() < TIMEOUT, "it waits for {:?}, not for {words:?}", self.waiting());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn stop(self) {
        self.stop.stop();
        let outcomes = self.task.await.unwrap();
        assert!(outcomes.iter().all(|outcome| outcome.error.is_none()), "{outcomes:?}");
    }
}

async fn until(follow: &Follow, sql: &str, expected: &str) {
    let begun = Instant::now();
    loop {
        let shown = follow.bench.databases.clickhouse.query(sql).await.unwrap_or_default();
        if shown.trim() == expected {
            return;
        }
        assert!(begun.elapsed() < TIMEOUT, "{sql} gives {shown}, never {expected}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn of_version(range: std::ops::Range<i32>, v: i32) -> Vec<Document> {
    range.map(|n| doc! { "_id": n, "v": v, "name": format!("item {n}") }).collect()
}

impl Follow {
    async fn insert(&self, collection: &str, documents: Vec<Document>) {
        let collection = self.bench.databases.mongodb.collection::<Document>(collection);
        collection.insert_many(documents).await.unwrap();
    }

    async fn drop_collection(&self, collection: &str) {
        self.bench.databases.mongodb.collection::<Document>(collection).drop().await.unwrap();
    }

    async fn rename(&self, from: &str, to: &str, drop_target: bool) {
        let database = &self.bench.databases.name;
        let command = doc! {
            "renameCollection": format!("{database}.{from}"), "to": format!("{database}.{to}"),
            "dropTarget": drop_target,
        };
        let mongodb = self.bench.databases.mongodb.client().database("admin");
        mongodb.run_command(command).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_only_whole_versions_of_what_out_makes_every_night() {
    const DOCUMENTS: i32 = 100_000;
    const NIGHTS: i32 = 10;
    let follow = Follow::new("nightly", reloading(Mode::Changes)).await;
    follow.insert("stage", of_version(0..DOCUMENTS, 0)).await;
    let stage = follow.bench.databases.mongodb.collection::<Document>("stage");
    let rebuild = async |night: i32| {
        let stages = [doc! { "$set": { "v": night } }, doc! { "$out": "items" }];
        stage.aggregate(stages).await.unwrap();
    };
    rebuild(0).await;
    let run = Run::start(&follow).await;
    until(&follow, "SELECT count() FROM items_current", &DOCUMENTS.to_string()).await;
    for night in 1..=NIGHTS {
        rebuild(night).await;
        let begun = Instant::now();
        loop {
            let shown = follow.query("SELECT count(), min(v), max(v) FROM items_current").await;
            let shown: Vec<i32> = shown.split('\t').map(|number| number.parse().unwrap()).collect();
            assert!(shown[0] == DOCUMENTS && shown[1] == shown[2], "night {night}: {shown:?}");
            if shown[1] == night {
                break;
            }
            assert!(shown[1] == night - 1 && begun.elapsed() < TIMEOUT, "night {night}: {shown:?}");
        }
    }
    // Two in a row, and changes right after.
    rebuild(NIGHTS + 1).await;
    rebuild(NIGHTS + 2).await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.update_one(doc! { "_id": 3 }, doc! { "$set": { "v": NIGHTS + 3 } }).await.unwrap();
    collection.delete_one(doc! { "_id": 4 }).await.unwrap();
    until(&follow, "SELECT count(), min(v), max(v), sum(v) FROM items_current", "99999\t12\t13\t1199989")
        .await;
    run.stop().await;
    follow.catch_up_well().await;
    follow.assert_equal("items_current").await;
    follow.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_takes_the_name_is_followed_and_the_old_rows_are_shown_until_then() {
    let follow = Follow::new("rebuilt", reloading(Mode::Changes)).await;
    let versions = "SELECT count(), min(v), max(v) FROM items_current";
    follow.insert("items", of_version(0..10, 0)).await;
    let run = Run::start(&follow).await;
    until(&follow, versions, "10\t0\t0").await;

    // Dropped, and made again some time later.
    follow.drop_collection("items").await;
    run.until_waiting("was dropped, and no whole collection of that name is there yet").await;
    assert_eq!(follow.query(versions).await, "10\t0\t0");
    follow.insert("items", of_version(5..9, 1)).await;
    until(&follow, versions, "4\t1\t1").await;
    assert_eq!(run.waiting(), "");

    // Renamed over.
    follow.insert("items_new", of_version(0..7, 2)).await;
    follow.rename("items_new", "items", true).await;
    until(&follow, versions, "7\t2\t2").await;

    // Exchanged in two steps.
    follow.insert("items_new", of_version(3..6, 3)).await;
    follow.rename("items", "items_old", false).await;
    run.until_waiting("was renamed").await;
    assert_eq!(follow.query(versions).await, "7\t2\t2");
    follow.rename("items_new", "items", false).await;
    until(&follow, versions, "3\t3\t3").await;

    // As mongorestore --drop does it.
    follow.drop_collection("items").await;
    follow.bench.databases.mongodb.create_collection("items").await.unwrap();
    for n in 0..20 {
        follow.insert("items", of_version(n * 50..(n + 1) * 50, 4)).await;
    }
    until(&follow, versions, "1000\t4\t4").await;

    // With its whole database.
    follow.bench.databases.mongodb.drop().await.unwrap();
    run.until_waiting("was dropped").await;
    assert_eq!(follow.query(versions).await, "1000\t4\t4");
    follow.insert("items", of_version(0..5, 5)).await;
    until(&follow, versions, "5\t5\t5").await;
    follow.insert("items", of_version(5..6, 5)).await;
    until(&follow, versions, "6\t5\t5").await;
    follow.assert_equal("items_current").await;
    run.stop().await;
    follow.bench.remove().await;
}

/// The checkpoint does not pass the drop without the reload.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_before_the_reload_leaves_it_to_the_next() {
    let follow = Follow::new("rebuilt_later", reloading(Mode::Changes)).await;
    follow.insert("items", of_version(0..10, 0)).await;
    follow.catch_up_well().await;
    let run = Run::start(&follow).await;
    follow.drop_collection("items").await;
    run.until_waiting("was dropped").await;
    run.stop().await;
    // One that ends by itself waits for as long as it waits for servers.
    let address = follow.bench.databases.clickhouse.url();
    let soon = follow.replicator_within(&address, Duration::from_secs(1)).await;
    let outcomes = soon.run(Until::CaughtUp).await.unwrap();
    let error = outcomes[0].error.as_ref();
    assert!(matches!(error, Some(EngineError::SourceAwaited { .. })), "{error:?}");
    assert_eq!(follow.query("SELECT count() FROM items_current").await, "10");
    follow.insert("items", of_version(20..23, 1)).await;
    follow.catch_up_well().await;
    assert_eq!(follow.query("SELECT count(), min(v) FROM items_current").await, "3\t1");
    follow.assert_equal("items_current").await;
    follow.bench.remove().await;
}

/// The drop comes while the collection is read for the first time.
#[tokio::test(flavor = "multi_thread")]
async fn a_collection_replaced_while_it_is_read_leaves_no_rows() {
    let follow = Follow::new("rebuilt_early", reloading(Mode::Changes)).await;
    follow.insert("items", of_version(0..100_000, 0)).await;
    let run = Run::start(&follow).await;
    let begun = Instant::now();
    while run.replicator.progress()[0].counters.documents_read < 1000 {
        assert!(begun.elapsed() < TIMEOUT, "{:?}", run.replicator.progress());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    follow.drop_collection("items").await;
    follow.insert("items", of_version(50_000..50_010, 1)).await;
    until(&follow, "SELECT count(), min(v) FROM items_current", "10\t1").await;
    run.stop().await;
    follow.catch_up_well().await;
    follow.assert_equal("items_current").await;
    follow.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_log_goes_on() {
    let follow = Follow::new("rebuilt_log", reloading(Mode::ChangeLog)).await;
    follow.insert("items", items(0..1)).await;
    follow.catch_up_well().await;
    follow.insert("items", items(1..4)).await;
    follow.drop_collection("items").await;
    follow.insert("items", items(7..9)).await;
    follow.catch_up_well().await;
    assert_eq!(follow.query("SELECT arraySort(groupArray(_id)) FROM items").await, "[1,2,3,7,8]");
    follow.insert("other", items(0..1)).await;
    follow.rename("other", "items", true).await;
    follow.insert("items", items(9..10)).await;
    follow.catch_up_well().await;
    assert_eq!(follow.query("SELECT arraySort(groupArray(_id)) FROM items").await, "[1,2,3,7,8,9]");
    follow.bench.remove().await;
}
