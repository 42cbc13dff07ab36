//! Pipelines that share a stream: one that cannot write keeps no other waiting, and an outage leaves no stream for each.

use std::time::{Duration, Instant};

use bson::{Document, doc, rawdoc};
use mongodb::Client;
use zenith_testkit::{ClickHouseOptions, ClickHouseServer, MongoOptions, MongoServer, load};

use crate::harness::Bench;
use crate::home::{Home, stop};

/// Less than a pipeline tries to write where nobody waits for it.
const WITHIN: Duration = Duration::from_secs(15);

/// More that fail at once than batches of changes are under way at a time.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_write_keeps_no_other_waiting() {
    let bench = Bench::new("sharing").await;
    let (failing, others) = (["a", "b", "c", "d"], ["e", "f"]);
    let settings = |name: &str| format!("collection = \"{name}\"");
    let all: Vec<_> = failing.iter().chain(&others).map(|name| (*name, settings(name))).collect();
    for (name, _) in &all {
        bench.fill(name, (0..3).map(|n| rawdoc! { "_id": n })).await;
    }
    let home = Home::between(&bench);
    home.configure(&all.iter().map(|(name, settings)| (*name, settings.as_str())).collect::<Vec<_>>());
    home.apply().await;
    let child = home.start(&["--quiet"]).await;
    for (name, _) in &all {
        home.until("the documents are there", async || {
            let count = format!("SELECT count() FROM {name}_current");
            bench.databases.clickhouse.query(&count).await.is_ok_and(|count| count == "3")
        })
        .await;
    }
    for name in failing {
        bench
            .ask(&format!(
                "CREATE MATERIALIZED VIEW {name}_log ENGINE = MergeTree ORDER BY tuple() AS \
                 SELECT throwIf(_id > 2, 'no') AS refused FROM {name}"
            ))
            .await;
    }
    for round in 3..6 {
        for (name, _) in &all {
            bench.fill(name, [rawdoc! { "_id": round }]).await;
        }
        let begun = Instant::now();
        for name in others {
            let expected = (round + 1).to_string();
            home.until("the others go on", async || {
                bench.ask(&format!("SELECT count() FROM {name}_current")).await == expected
            })
            .await;
        }
        assert!(begun.elapsed() < WITHIN, "{:?}", begun.elapsed());
    }
    for name in failing {
        home.until_state(name, "waiting").await;
        let pipeline = home.pipeline(name).await;
        assert!(pipeline["waiting_for"].as_str().unwrap().contains(&format!("{name}_log")), "{pipeline}");
        bench.ask(&format!("DROP VIEW {name}_log")).await;
    }
    for (name, _) in &all {
        home.until("what was mended goes on", async || {
            bench.ask(&format!("SELECT count(), sum(_id) FROM {name}_current")).await == "6\t15"
        })
        .await;
    }
    let ended = stop(child).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    bench.remove().await;
}

/// Change streams that are open at a server.
pub async fn streams(client: &Client) -> usize {
    let pipeline = [doc! { "$currentOp": { "allUsers": true, "idleCursors": true } }];
    let mut found = client.database("admin").aggregate(pipeline).await.unwrap();
    let mut cursors = std::collections::HashSet::new();
    while found.advance().await.unwrap() {
        let operation = Document::try_from(found.current()).unwrap();
        if let Ok(cursor) = operation.get_document("cursor")
            && cursor.to_string().contains("$changeStream")
        {
            cursors.insert(cursor.get_i64("cursorId").unwrap());
        }
    }
    cursors.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_their_target_leaves_no_stream_for_each() {
    let mongodb = MongoServer::start(MongoOptions::default()).await.unwrap();
    let mut clickhouse = ClickHouseServer::start(ClickHouseOptions::default()).await.unwrap();
    let asked = clickhouse.client().create_database("outage").await.unwrap();
    let client = mongodb.client().await.unwrap();
    let database = client.database("outage");
    let names: Vec<String> = (0..8).map(|n| format!("c{n}")).collect();
    for name in &names {
        load::insert_documents(&database, name, [rawdoc! { "_id": 0 }]).await.unwrap();
    }
    let mut home = Home::new();
    home.set("MONGO", &mongodb.uri_for("outage"));
    home.set("CLICKHOUSE", &format!("http://127.0.0.1:{}/outage", clickhouse.http_port()));
    let settings: Vec<String> = names.iter().map(|name| format!("collection = \"{name}\"")).collect();
    let pipelines: Vec<_> =
        names.iter().map(String::as_str).zip(settings.iter().map(String::as_str)).collect();
    home.configure(&pipelines);
    home.apply().await;
    let child = home.start(&["--quiet"]).await;
    for name in &names {
        home.until("it follows", async || home.pipeline(name).await["lag_seconds"].is_number()).await;
    }
    assert_eq!(streams(&client).await, 1);
    for outage in 1..=2 {
        clickhouse.kill().unwrap();
        for name in &names {
            load::insert_documents(&database, name, [rawdoc! { "_id": outage }]).await.unwrap();
        }
        for name in &names {
            home.until_state(name, "waiting").await;
        }
        // Longer than a pipeline tries again by itself.
        tokio::time::sleep(Duration::from_secs(4)).await;
        clickhouse.restart().await.unwrap();
        for name in &names {
            let question = format!("SELECT count() FROM {name}_current");
            home.until("all rows are there", async || {
                asked.query(&question).await.is_ok_and(|rows| rows == (outage + 1).to_string())
            })
            .await;
            home.until_state(name, "following").await;
        }
    }
    // Those that had to leave their stream have one together after each outage; the others stay with theirs.
    let streams = streams(&client).await;
    assert!(streams <= 3, "{streams}");
    let ended = stop(child).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
