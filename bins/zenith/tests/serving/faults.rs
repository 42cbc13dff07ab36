//! Faults that pass: what failed together comes back together, and a server that is away at the start is waited for.

use std::time::{Duration, Instant};

use bson::rawdoc;
use serde_json::json;
use zenith_testkit::{MongoOptions, MongoServer, load};

use super::http::Serving;
use super::{until, until_state};
use crate::harness::Bench;
use crate::home::Home;
use crate::sharing::streams;

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_together_comes_back_by_one_stream_beside_the_others() {
    let bench = Bench::new("serve_together").await;
    let mongodb = MongoServer::start(MongoOptions::default()).await.unwrap();
    let client = mongodb.client().await.unwrap();
    let names: Vec<String> = (0..6).map(|n| format!("c{n}")).collect();
    for name in &names {
        load::insert_documents(&client.database("together"), name, [rawdoc! { "_id": 0 }]).await.unwrap();
    }
    let mut home = Home::new();
    home.set("MONGO", &mongodb.uri_for("together"));
    home.set("CLICKHOUSE", &bench.to());
    let settings: Vec<String> = names.iter().map(|name| format!("collection = \"{name}\"")).collect();
    let pipelines: Vec<_> =
        names.iter().map(String::as_str).zip(settings.iter().map(String::as_str)).collect();
    home.configure(&pipelines);
    home.apply_unasked().await;
    let failing = &names[2..];
    for name in failing {
        bench.ask(&format!("CREATE TABLE {name}_current (x UInt8) ENGINE = Memory")).await;
    }
    let serving = Serving::start(&home, &[]).await;
    for (n, name) in names.iter().enumerate() {
        until_state(&home, &serving, name, if n < 2 { "following" } else { "failed" }).await;
    }
    assert_eq!(streams(&client).await, 1);
    let begun = |runs: serde_json::Value| runs.as_array().unwrap().len();
    let before = begun(serving.get("/api/v1/pipelines/c0/runs").await.json());
    for name in failing {
        bench.ask(&format!("DROP TABLE {name}_current")).await;
    }
    for name in failing {
        until_state(&home, &serving, name, "following").await;
        home.until("its row", async || {
            bench.ask(&format!("SELECT count() FROM {name}_current")).await == "1"
        })
        .await;
    }
    assert_eq!(streams(&client).await, 2, "that of those that ran, and one for those that came back");
    let after = begun(serving.get("/api/v1/pipelines/c0/runs").await.json());
    assert_eq!(before, after, "the others have gone on");
    serving.stop().await;
    bench.remove().await;
}

/// One whose time has come leaves the others of a source, of which none runs, to theirs.
#[tokio::test(flavor = "multi_thread")]
async fn each_waits_for_its_own_time_where_all_have_failed() {
    let bench = Bench::new("serve_times").await;
    for name in ["one", "two"] {
        bench.fill(name, [rawdoc! { "_id": 0 }]).await;
        bench.ask(&format!("CREATE TABLE {name}_current (x UInt8) ENGINE = Memory")).await;
    }
    let home = Home::between(&bench);
    home.configure(&[("one", "collection = \"one\"")]);
    home.apply_unasked().await;
    let serving = Serving::start(&home, &[]).await;
    until_state(&home, &serving, "one", "failed").await;
    // By the third run there are twenty seconds until the next.
    let runs = async |name: &str| {
        serving.get(&format!("/api/v1/pipelines/{name}/runs")).await.json().as_array().unwrap().len()
    };
    home.until("three runs", async || runs("one").await >= 3).await;
    home.configure(&[("one", "collection = \"one\""), ("two", "collection = \"two\"")]);
    home.apply_unasked().await;
    home.until("two runs of the other", async || runs("two").await >= 2).await;
    assert_eq!(runs("one").await, 3, "its time has not come");
    bench.ask("DROP TABLE two_current").await;
    until_state(&home, &serving, "two", "following").await;
    serving.stop().await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_configuration_is_waited_for() {
    let bench = Bench::new("serve_early").await;
    let mut mongodb = MongoServer::start(MongoOptions::default()).await.unwrap();
    let orders = (0..7).map(|n| rawdoc! { "_id": n });
    load::insert_documents(&mongodb.client().await.unwrap().database("early"), "orders", orders)
        .await
        .unwrap();
    mongodb.stop().await.unwrap();
    let mut home = Home::new();
    home.set("ZENITH_SOURCE", &format!("{}?serverSelectionTimeoutMS=2000", mongodb.uri_for("early")));
    home.set("ZENITH_TARGET", &bench.to());
    let begun = Instant::now();
    let serving = Serving::start(&home, &[]).await;
    assert_eq!(serving.get("/healthz").await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(5), "it waits for nobody: {:?}", begun.elapsed());
    assert_eq!(serving.get("/api/v1/pipelines").await.json()["pipelines"], json!([]));
    until(&home, &serving, "/api/v1/log", |log| log.to_string().contains("cannot be looked for")).await;
    mongodb.restart().await.unwrap();
    until(&home, &serving, "/api/v1/pipelines", |all| all["counts"]["running"] == 1).await;
    home.until("its rows", async || bench.ask("SELECT count() FROM orders_current").await == "7").await;
    let later = mongodb.client().await.unwrap().database("early");
    load::insert_documents(&later, "later", [rawdoc! { "_id": 1 }]).await.unwrap();
    until(&home, &serving, "/api/v1/pipelines", |all| all["counts"]["running"] == 2).await;
    serving.stop().await;
    bench.remove().await;
}
