//! `check`, `status`, `history`, `schema` and `verify`: nothing of it writes anything.

use std::collections::BTreeSet;

use bson::{doc, rawdoc};

use crate::harness::{Bench, keys};
use crate::home::{Home, stop};

/// What scripts may rely on, as the documentation has it.
const STATUS_KEYS: [&str; 31] = [
    "name",
    "from",
    "to",
    "mode",
    "state",
    "snapshot_parts_done",
    "snapshot_parts",
    "waiting_for",
    "waiting_since",
    "waiting_seconds",
    "detached_by",
    "detached_since",
    "complete_to",
    "table_parts",
    "oplog_headroom_seconds",
    "lag_seconds",
    "lag_events_estimated",
    "rows_per_second",
    "rows",
    "checkpoint_saved",
    "last_error",
    "last_error_at",
    "next_run",
    "failing_since",
    "paused",
    "template",
    "extra_values",
    "extra_values_last_hour",
    "dead_letters",
    "dead_letters_by_reason",
    "dead_letters_by_reason_last_hour",
];

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_is_there_and_what_is_missing() {
    let bench = Bench::new("check").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n })).await;
    let mut home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"")]);
    let ended = home.run(&["check"]).await.succeeded();
    assert!(ended.stdout.starts_with("orders  shop.orders -> warehouse.orders, changes\n  ✓ "), "{ended:?}");
    assert!(!ended.stdout.contains('✗') && !ended.stdout.contains('\x1b'), "{ended:?}");
    assert!(!home.has("state.sqlite") && bench.tables().await.is_empty());
    let json = home.json(&["check", "orders"]).await;
    assert_eq!((&json["ok"], &json["pipelines"][0]["name"]), (&true.into(), &"orders".into()));

    home.set("CLICKHOUSE", "http://u:s3cret@127.0.0.1:1/d");
    let ended = home.run(&["check"]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.stdout.contains("  ✓ ") && ended.stdout.contains("  ✗ "), "{ended:?}");
    assert!(!ended.stdout.contains("s3cret"), "{ended:?}");
    assert_eq!(home.json(&["check"]).await["ok"], false);
    let ended = home.run(&["check", "order"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("did you mean orders?"), "{ended:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_history_before_during_and_after_a_run() {
    let bench = Bench::new("status").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n })).await;
    let home = Home::between(&bench);
    for command in ["status", "history"] {
        let ended = home.run(&[command]).await;
        assert!(ended.code == Some(2) && ended.stderr.contains("there is no state at"), "{ended:?}");
    }
    let health = home.run(&["status", "--health"]).await;
    assert_eq!(
        (health.code, health.stdout.starts_with("unhealthy: there is no state")),
        (Some(1), true),
        "{health:?}"
    );
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    assert_eq!(keys(&home.pipeline("orders").await), BTreeSet::from(STATUS_KEYS));
    assert_eq!(home.pipeline("orders").await["state"], "new");
    assert_eq!(home.run(&["history"]).await.succeeded().stdout, "nothing has been run yet\n");

    let child = home.start(&[]).await;
    home.until_state("orders", "following").await;
    home.until("ten rows are there", async || home.pipeline("orders").await["rows"] == 10).await;
    home.until("it is not far behind", async || {
        home.pipeline("orders").await["lag_seconds"].as_f64().is_some_and(|lag| lag < 20.0)
    })
    .await;
    let health = home.run(&["status", "--health"]).await.succeeded();
    assert_eq!(health.stdout, "healthy: 1 pipeline\n");
    let ended = home.run(&["status", "--max-lag", "0s", "--grace", "0s"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let ended = home.run(&["status", "--max-lag", "1h"]).await.succeeded();
    assert!(
        ended.stdout.contains("zenith run is running\n") && ended.stdout.contains("following"),
        "{ended:?}"
    );
    let history = home.json(&["history"]).await;
    assert_eq!(
        (&history[0]["pipeline"], &history[0]["outcome"]),
        (&"orders".into(), &serde_json::Value::Null)
    );

    let mut watch = home.command(&["status", "--watch"]).spawn().unwrap();
    let mut shown = String::new();
    {
        use tokio::io::AsyncReadExt as _;
        let out = watch.stdout.as_mut().unwrap();
        while shown.matches("zenith run is running").count() < 3 {
            let mut piece = [0; 4096];
            let n = out.read(&mut piece).await.unwrap();
            shown += std::str::from_utf8(&piece[..n]).unwrap();
        }
    }
    assert_eq!(stop(watch).await.code, Some(0));
    assert_eq!(stop(child).await.code, Some(0));

    assert_eq!(home.pipeline("orders").await["state"], "stopped");
    let history = home.json(&["history", "orders", "--limit", "1"]).await;
    assert_eq!((&history[0]["outcome"], &history[0]["rows"]), (&"stopped".into(), &10.into()), "{history}");
    let text = home.run(&["history"]).await.succeeded().stdout;
    assert!(text.contains("orders") && text.contains("stopped"), "{text}");
    for command in ["status", "history"] {
        let ended = home.run(&[command, "order"]).await;
        assert!(ended.code == Some(2) && ended.stderr.contains("did you mean orders?"), "{ended:?}");
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_shows_columns_of_both_ends() {
    let bench = Bench::new("schema").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    let text = home.run(&["schema", "orders"]).await.succeeded().stdout;
    assert!(text.contains("which is not there yet") && text.contains("(none yet; would be"), "{text}");
    home.run(&["run", "--once"]).await.succeeded();
    let json = home.json(&["schema", "orders"]).await;
    assert_eq!((&json["table"], &json["table_exists"]), (&"orders".into(), &true.into()));
    let item = json["columns"].as_array().unwrap().iter().find(|column| column["name"] == "item").unwrap();
    assert_eq!((&item["bson_type"], item["present"].as_f64()), (&"string".into(), Some(1.0)), "{json}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_what_differs_also_while_a_run_is_under_way() {
    let bench = Bench::new("verify").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"\nmode = \"full\"")]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    let ended = home.run(&["verify", "orders"]).await.succeeded();
    assert!(ended.stdout.starts_with("✓ equal: "), "{ended:?}");
    let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
    orders.insert_one(doc! { "_id": 10, "item": "tea" }).await.unwrap();
    orders.update_one(doc! { "_id": 3 }, doc! { "$set": { "item": "coffee" } }).await.unwrap();
    orders.delete_one(doc! { "_id": 4 }).await.unwrap();
    let ended = home.run(&["verify", "orders"]).await;
    assert!(ended.code == Some(1) && ended.stdout.starts_with("✗ different: "), "{ended:?}");
    let json = home.json(&["verify", "orders"]).await;
    assert_eq!(json["equal"], false, "{json}");
    assert_eq!((&json["source_rows"], &json["target_rows"]), (&10.into(), &10.into()), "{json}");
    assert_eq!(
        (&json["missing_count"], &json["surplus_count"], &json["differing_count"]),
        (&1.into(), &1.into(), &1.into()),
        "{json}"
    );
    assert_eq!((&json["missing"][0], &json["surplus"][0]), (&"10".into(), &"4".into()), "{json}");
    let difference =
        serde_json::json!({ "id": "3", "path": "item", "source": "\"coffee\"", "target": "\"tea\"" });
    assert_eq!((&json["differing"][0], &json["differences"][0]), (&"3".into(), &difference), "{json}");
    assert!(
        ended.stdout.contains("    3 at item: \"coffee\" in the collection, and the table has \"tea\"\n"),
        "{ended:?}"
    );
    bench.ask("ALTER TABLE orders MODIFY TTL toDateTime(_id) WHERE _id = 5").await;
    let ended = home.run(&["verify", "orders", "--ids", "0"]).await;
    assert!(ended.stdout.contains("the table has a TTL, which removes rows: toDateTime("), "{ended:?}");
    assert!(ended.stdout.contains(" missing in the table:\n    and "), "{ended:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_tells_what_the_columns_do_not_show_and_writes_nothing() {
    let bench = Bench::new("verify_told").await;
    bench.fill("orders", (0..300).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    bench.fill("orders", (300..302).map(|n| rawdoc! { "_id": n, "item": n })).await;
    let mut bad = rawdoc! { "_id": 302, "item": "café" }.into_bytes();
    let at = bad.windows(2).position(|pair| pair == "é".as_bytes()).unwrap();
    bad[at + 1] = b'(';
    bench.fill("orders", [bson::RawDocumentBuf::from_bytes(bad).unwrap()]).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"\nmode = \"full\"")]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    let ended = home.run(&["verify", "orders"]).await.succeeded();
    assert!(ended.stdout.contains("; 2 values in _zenith_extra, 1 dead letter\n"), "{ended:?}");
    assert!(ended.stdout.contains("  item: 2 is int\n"), "{ended:?}");
    let json = home.json(&["verify", "orders"]).await;
    assert_eq!((&json["equal"], &json["dead_letters"]), (&true.into(), &1.into()), "{json}");
    assert_eq!(json["extra_values"], serde_json::json!({ "item": { "is int": 2 } }), "{json}");
    let letters = bench.databases.clickhouse.query("SELECT count() FROM zenith_dead_letters").await.unwrap();
    assert_eq!(letters.trim(), "1");
    bench.remove().await;
}
