//! Positions belong to the source they are of: another one, or a table that was emptied, is noticed before anything is
//! written.

use bson::{doc, rawdoc};
use zenith_testkit::{MongoOptions, MongoServer, load};

use crate::harness::Bench;
use crate::home::Home;

const ORDERS: &str = "collection = \"orders\"";

async fn rows(bench: &Bench) -> String {
    bench.ask("SELECT count(), sum(_id) FROM orders_current").await
}

/// Another replica set of the same address, whose time is behind and then ahead.
#[tokio::test(flavor = "multi_thread")]
async fn another_deployment_is_noticed() {
    let bench = Bench::new("deployment").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n })).await;
    let mut home = Home::between(&bench);
    home.configure(&[("orders", ORDERS)]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let before = rows(&bench).await;

    let other = MongoServer::start(MongoOptions::default()).await.unwrap();
    let database = other.client().await.unwrap().database(&bench.databases.name);
    load::insert_documents(&database, "orders", (100..110).map(|n| rawdoc! { "_id": n })).await.unwrap();
    home.set("MONGO", &other.uri_for(&bench.databases.name));
    let ended = home.run(&["run", "--once", "--quiet"]).await;
    assert_ne!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("is not the one it has followed"), "{ended:?}");
    assert!(ended.stderr.contains("zenith reload orders"), "{ended:?}");
    assert_eq!(rows(&bench).await, before);

    // What the message names.
    home.run(&["reload", "orders", "--quiet"]).await.succeeded();
    database.collection::<bson::Document>("orders").insert_one(doc! { "_id": 110 }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(rows(&bench).await, "11\t1155");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_emptied_is_noticed() {
    let bench = Bench::new("emptied").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n })).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", ORDERS)]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
    orders.update_one(doc! { "_id": 1 }, doc! { "$set": { "n": 1 } }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    bench.ask("TRUNCATE TABLE orders").await;
    let ended = home.run(&["run", "--once", "--quiet"]).await;
    assert!(ended.code != Some(0) && ended.stderr.contains("the table orders is empty"), "{ended:?}");
    assert_eq!(rows(&bench).await, "0\t0");
    home.run(&["reload", "orders", "--quiet"]).await.succeeded();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(rows(&bench).await, "10\t45");
    bench.remove().await;
}

/// Whoever reads the tables sees as of when they are.
#[tokio::test(flavor = "multi_thread")]
async fn the_target_shows_how_its_pipelines_stand() {
    let bench = Bench::new("freshness").await;
    for collection in ["orders", "users", "hidden"] {
        bench.fill(collection, (0..10).map(|n| rawdoc! { "_id": n })).await;
    }
    let home = Home::between(&bench);
    home.configure(&[
        ("orders", ORDERS),
        ("users", "collection = \"users\"\nmode = \"id-cursor\"\nsettle = \"1s\""),
        ("hidden", "collection = \"hidden\"\nstatus_table = \"\""),
    ]);
    home.apply().await;
    let child = home.start(&["--quiet"]).await;
    let ask = async |what: &str| {
        let question = format!("SELECT {what} FROM zenith_status ORDER BY pipeline");
        bench.databases.clickhouse.query(&question).await.unwrap_or_default()
    };
    home.until("both are shown", async || {
        ask("pipeline, table, state").await == "orders\torders\tfollowing\nusers\tusers\tfollowing"
    })
    .await;
    home.until("they are complete up to now", async || {
        ask("complete_to > now() - 20 AND lag_seconds < 20, waiting_for").await == "1\t\n1\t"
    })
    .await;
    let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
    orders.insert_one(doc! { "_id": 10, "new": 1 }).await.unwrap();
    home.until("the value in extra is counted", async || ask("extra_values").await == "1\n0").await;
    let ended = crate::home::stop(child).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    bench.remove().await;
}
