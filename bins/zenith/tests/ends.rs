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
