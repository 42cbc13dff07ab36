//! The oplog holds only so much: an idle stream must not fall behind it, and one that did is told and mended.

use std::time::{Duration, Instant};

use bson::{Document, doc};
use mongodb::{Client, Database};
use serde_json::Value;
use zenith_testkit::{ClickHouseOptions, ClickHouseServer, MongoOptions, MongoServer};

use crate::fixture::Fixture;

/// The smallest oplog rolls over within seconds.
async fn small_oplog() -> MongoServer {
    MongoServer::start(MongoOptions { oplog_mib: 1, ..MongoOptions::default() }).await.unwrap()
}

/// Writes to a collection nobody follows until nothing of the oplog is left that was there before.
async fn roll_over(client: &Client) {
    let oplog: mongodb::Collection<Document> = client.database("local").collection("oplog.rs");
    let newest = oplog.find_one(doc! {}).sort(doc! { "$natural": -1 }).await.unwrap().unwrap();
    let newest = newest.get_timestamp("ts").unwrap();
    let other = client.database("elsewhere").collection::<Document>("noise");
    let deadline = Instant::now() + Duration::from_secs(120);
    while Instant::now() < deadline {
        let noise = (0..8).map(|_| doc! { "noise": "x".repeat(1_000_000) });
        other.insert_many(noise).await.unwrap();
        other.delete_many(doc! {}).await.unwrap();
        // Nothing newer than the last checkpoint of the storage is let go.
        client.database("admin").run_command(doc! { "fsync": 1 }).await.unwrap();
        let oldest = oplog.find_one(doc! {}).sort(doc! { "$natural": 1 }).await.unwrap().unwrap();
        if oldest.get_timestamp("ts").unwrap() > newest {
            return;
        }
    }
    panic!("the oplog does not roll over");
}

async fn fixture(mongodb: &MongoServer, clickhouse: &ClickHouseServer) -> (Fixture, Database) {
    let asked = clickhouse.client().create_database("oplog").await.unwrap();
    let database = mongodb.client().await.unwrap().database("oplog");
    let target = format!("{}/oplog", clickhouse.url().trim_end_matches('/'));
    let fixture = Fixture::new(database.clone(), &mongodb.uri_for("oplog"), asked, &target, 100).await;
    (fixture, database)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_stream_outlives_the_oplog() {
    let mongodb = small_oplog().await;
    let clickhouse = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let (fixture, database) = fixture(&mongodb, &clickhouse).await;
    fixture.command(&["run", "--once"]).await.succeeded();
    let mut child = fixture.spawn(&["run", "--quiet"]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    roll_over(database.client()).await;
    // A checkpoint is saved every second of idleness.
    tokio::time::sleep(Duration::from_secs(3)).await;
    child.kill().await.unwrap();
    database.collection::<Document>("items").insert_one(doc! { "_id": 5_000_i64, "n": 1 }).await.unwrap();
    fixture.command(&["run", "--once"]).await.succeeded();
    fixture.command(&["verify", "current"]).await.succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_stood_still_too_long_says_so_and_a_reload_mends_it() {
    let mongodb = small_oplog().await;
    let clickhouse = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let (fixture, database) = fixture(&mongodb, &clickhouse).await;
    fixture.command(&["run", "current", "--once"]).await.succeeded();
    let items = database.collection::<Document>("items");
    items.delete_many(doc! { "_id": { "$lt": 50 } }).await.unwrap();
    roll_over(database.client()).await;
    let lost = fixture.command(&["run", "current", "--once"]).await;
    assert_eq!(lost.code, Some(1), "{lost:?}");
    assert!(lost.stderr.contains("oplog") && lost.stderr.contains("zenith reload current"), "{lost:?}");
    fixture.command(&["reload", "current"]).await.succeeded();
    items.insert_one(doc! { "_id": 6_000_i64, "n": 2 }).await.unwrap();
    fixture.command(&["run", "current", "--once"]).await.succeeded();
    fixture.command(&["verify", "current"]).await.succeeded();

    // Or by itself, where that is wished.
    fixture
        .configure("\n[pipelines.alone]\nsource = \"from\"\ntarget = \"to\"\ncollection = \"items\"\ntable = \"alone\"\non_history_lost = \"reload\"\n")
        .await;
    fixture.command(&["run", "alone", "--once"]).await.succeeded();
    items.delete_many(doc! { "_id": { "$lt": 70 } }).await.unwrap();
    roll_over(database.client()).await;
    fixture.command(&["run", "alone", "--once"]).await.succeeded();
    fixture.command(&["verify", "alone"]).await.succeeded();
}

/// How long changes are kept is shown before any is lost, and that some are lost before anybody resumes.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_oplog_forgets_is_shown_in_time() {
    let mongodb = small_oplog().await;
    let clickhouse = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let (fixture, database) = fixture(&mongodb, &clickhouse).await;
    fixture.command(&["run", "--once", "--quiet"]).await.succeeded();
    fixture.command(&["pipeline", "pause", "current"]).await.succeeded();
    let mut child = fixture.spawn(&["run", "--quiet"]);
    // All that ever happened is in a young oplog.
    fixture
        .until("the log follows", |status: &Value| status["pipelines"].to_string().contains("\"following\""))
        .await;
    let status = fixture.status().await;
    let headroom = |status: &Value, name: &str| {
        let pipelines = status["pipelines"].as_array().unwrap();
        let of_it = pipelines.iter().find(|pipeline| pipeline["name"] == name).unwrap();
        of_it["oplog_headroom_seconds"].as_f64()
    };
    assert_eq!((headroom(&status, "current"), headroom(&status, "log")), (None, None), "{status}");
    assert!(!status["complaints"].to_string().contains("forg"), "{status}");

    roll_over(database.client()).await;
    fixture
        .until("the loss is shown", |status: &Value| {
            status["complaints"].to_string().contains("current: MongoDB has forgotten the changes")
        })
        .await;
    let status = fixture.status().await;
    assert_eq!(headroom(&status, "current"), Some(0.0), "{status}");
    let left = headroom(&status, "log").unwrap();
    assert!(left > 0.0 && left < 6.0 * 3600.0, "{status}");
    assert!(status["complaints"].to_string().contains("log: MongoDB forgets the changes"), "{status}");
    let health = fixture.command(&["status", "--health"]).await;
    assert!(health.code == Some(1) && health.stdout.contains("current: MongoDB has forgotten"), "{health:?}");
    let check = fixture.command(&["check"]).await;
    assert!(check.code == Some(2) && check.stdout.contains("zenith reload current"), "{check:?}");

    // What is advised.
    fixture.command(&["reload", "current", "--quiet"]).await.succeeded();
    fixture.command(&["pipeline", "resume", "current"]).await.succeeded();
    fixture
        .until("nothing is lost any more", |status: &Value| {
            headroom(status, "current").is_some_and(|left| left > 0.0)
        })
        .await;
    child.kill().await.unwrap();
    child.wait().await.unwrap();
    fixture.command(&["run", "--once", "--quiet"]).await.succeeded();
    fixture.command(&["verify", "current"]).await.succeeded();
}
