//! Columns that somebody changes by hand while a pipeline writes their table.

use bson::{Document, doc, rawdoc};

use crate::evolving::natively;
use crate::harness::Bench;
use crate::home::{Home, stop};

async fn bench(label: &str) -> (Bench, mongodb::Collection<Document>) {
    let bench = Bench::new(label).await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea", "note": "n", "n": n })).await;
    let orders = bench.databases.mongodb.collection("orders");
    (bench, orders)
}

async fn ask(bench: &Bench, question: String) -> String {
    bench.databases.clickhouse.query(&question).await.unwrap_or_default()
}

/// One that is gone, and one that is of another type now.
#[tokio::test(flavor = "multi_thread")]
async fn columns_are_used_as_they_are_from_the_first_refused_insert_on() {
    for is_native in [false, true] {
        let (bench, orders) = bench("by_hand").await;
        let home = if is_native { natively(&bench).await } else { Home::between(&bench) };
        home.configure(&[
            ("orders", "collection = \"orders\""),
            ("log", "collection = \"orders\"\nmode = \"change-log\"\ntable = \"log\""),
        ]);
        home.apply().await;
        let child = home.start(&["--quiet"]).await;
        for name in ["orders", "log"] {
            home.until("it follows", async || home.pipeline(name).await["lag_seconds"].is_number()).await;
        }
        home.until("it is read", async || bench.ask("SELECT count() FROM orders_current").await == "10")
            .await;
        for table in ["orders", "log"] {
            bench.ask(&format!("ALTER TABLE {table} DROP COLUMN item")).await;
            bench.ask(&format!("ALTER TABLE {table} DROP COLUMN note, ADD COLUMN mine Int8 DEFAULT 7")).await;
            bench.ask(&format!("ALTER TABLE {table} ADD COLUMN note Nullable(Int64)")).await;
        }
        orders.insert_one(doc! { "_id": 20, "item": "coffee", "note": "x", "n": 20 }).await.unwrap();
        orders.insert_one(doc! { "_id": 21, "item": "milk", "note": 5, "n": 21 }).await.unwrap();
        let expected = "20:{\"item\":\"coffee\",\"note\":\"x\"} 21:{\"item\":\"milk\"}\t5\t41";
        for table in ["orders", "log"] {
            home.until("they are there", async || {
                let question = format!(
                    "SELECT arrayStringConcat(groupArray(key || ':' || _zenith_extra), ' '), max(note), sum(n) FROM \
                     (SELECT toString(_id) AS key, _zenith_extra, note, n FROM {table} WHERE _id >= 20 ORDER BY _id) \
                     FORMAT TSVRaw"
                );
                ask(&bench, question).await == expected
            })
            .await;
        }
        // It goes on following.
        orders.insert_one(doc! { "_id": 22, "n": 22, "new": true }).await.unwrap();
        home.until("it is there", async || {
            ask(&bench, "SELECT sum(n), countIf(new) FROM orders WHERE _id >= 20".to_owned()).await == "63\t1"
        })
        .await;
        let ended = stop(child).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stderr.contains("columns of orders were changed by hand"), "{ended:?}");
        let versions = home.json(&["schema", "orders"]).await["versions"].as_array().unwrap().clone();
        let is_by_hand = |version: &&serde_json::Value| version["cause"] == "columns were changed by hand";
        assert_eq!(versions.iter().filter(is_by_hand).count(), 1, "{versions:?}");
        assert_eq!(bench.ask("SELECT uniqExact(_id), count() FROM log").await, "3\t3");
        bench.remove().await;
    }
}

/// A table that only grows; the rows of a batch are there once.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_meets_columns_that_were_changed() {
    let (bench, orders) = bench("by_hand_cursor").await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"\nmode = \"id-cursor\"\nsettle = \"0s\"")]);
    home.apply().await;
    let child = home.start(&["--quiet"]).await;
    home.until("it is read", async || ask(&bench, "SELECT count() FROM orders".to_owned()).await == "10")
        .await;
    bench.ask("ALTER TABLE orders DROP COLUMN item").await;
    orders.insert_one(doc! { "_id": 20, "item": "coffee", "n": 20 }).await.unwrap();
    home.until("it is there", async || {
        let question = "SELECT n, _zenith_extra FROM orders WHERE _id = 20 FORMAT TSVRaw";
        ask(&bench, question.to_owned()).await == "20\t{\"item\":\"coffee\"}"
    })
    .await;
    assert_eq!(bench.ask("SELECT count() FROM orders").await, "11");
    let ended = stop(child).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    bench.remove().await;
}
