//! Positions belong to the source they are of: another one, or a table that was emptied, is noticed before anything is
//! written.

use bson::{doc, rawdoc};
use zenith_testkit::{ClickHouseOptions, ClickHouseServer, ClickHouseUser, MongoOptions, MongoServer, load};

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
        ("orders", "collection = \"orders\"\non_new_field = \"extra\""),
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
    assert_eq!(ask("state, rows").await, "ended\t11\nended\t10");
    // A run that catches up tells its end, too.
    orders.insert_one(doc! { "_id": 11 }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(ask("state, rows").await, "ended\t12\nended\t10");
    bench.remove().await;
}

/// What the documentation grants is enough for each mode, and `check` names what of it is missing.
#[tokio::test(flavor = "multi_thread")]
async fn the_documented_privileges_are_enough() {
    let page = include_str!("../../../docs/operations.md");
    let grants: Vec<String> = page
        .split("```sql")
        .find(|block| block.contains("GRANT SELECT, INSERT"))
        .and_then(|block| block.split("```").next())
        .into_iter()
        .flat_map(|block| block.split(';'))
        .filter_map(|statement| statement.split_once("GRANT "))
        .map(|(_, grant)| format!("GRANT {}", grant.replace("shop.*", "granted.*").replace(" TO zenith", "")))
        .collect();
    assert_eq!(grants.len(), 3, "{grants:?}");
    let all: Vec<&str> = grants.iter().map(String::as_str).collect();
    let user = |grants: &[&str]| ClickHouseUser::new("zenith", "secret").with_grants(grants);
    let options = ClickHouseOptions { users: vec![user(&all)], ..ClickHouseOptions::default() };
    let mut clickhouse = ClickHouseServer::start(options).await.unwrap();
    let asked = clickhouse.client().create_database("granted").await.unwrap();

    let bench = Bench::new("granted").await;
    let mut home = Home::between(&bench);
    home.set("CLICKHOUSE", &format!("http://zenith:secret@127.0.0.1:{}/granted", clickhouse.http_port()));
    let modes = ["full", "changes", "change-log", "id-cursor"];
    let settings = modes.map(|mode| {
        format!(
            "collection = \"orders\"\ntable = \"t_{}\"\nmode = \"{mode}\"\nsettle = \"0s\"",
            mode.replace('-', "_")
        )
    });
    let pipelines: Vec<(&str, &str)> =
        modes.iter().zip(&settings).map(|(mode, settings)| (*mode, settings.as_str())).collect();
    home.configure(&pipelines);
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "n": n })).await;
    home.run(&["check"]).await.succeeded();
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    // A change, a document that cannot become a row of its table, and a reload of each that can be.
    let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
    orders.update_one(doc! { "_id": 1 }, doc! { "$set": { "n": 100 } }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    for mode in ["full", "changes"] {
        home.run(&["reload", mode, "--quiet"]).await.succeeded();
    }
    assert_eq!(asked.query("SELECT count(), sum(n) FROM t_changes_current").await.unwrap(), "10\t144");
    assert_eq!(asked.query("SELECT count() FROM t_change_log").await.unwrap(), "1");

    clickhouse.restart_with(&[user(&["GRANT SELECT ON granted.*"])]).await.unwrap();
    let ended = home.run(&["check", "changes"]).await;
    assert!(ended.code == Some(2) && ended.stdout.contains("GRANT INSERT, CREATE TABLE"), "{ended:?}");
    bench.remove().await;
}
