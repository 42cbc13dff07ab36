//! What people have added to a table is there after it was loaded again.

use std::time::Duration;

use bson::{DateTime, Document, doc};
use zenith_engine::transport::ddl::Additions;
use zenith_engine::{EngineError, Mode, PipelineSettings, ReloadOptions};

use crate::harness::Bench;
use crate::incremental::Follow;

const DEFINITION: &str = "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = 'items' \
                          FORMAT TSVRaw";

/// Documents of which the later half is older than ten years.
fn items(range: std::ops::Range<i32>) -> Vec<Document> {
    let now = DateTime::now().timestamp_millis();
    let old = now - 20 * 365 * 24 * 3600 * 1000;
    let at = |n: i32| DateTime::from_millis(if n % 100 < 50 { now } else { old });
    range.map(|n| doc! { "_id": n, "name": format!("item {n}"), "n": n, "at": at(n) }).collect()
}

async fn fill(bench: &Bench, range: std::ops::Range<i32>) {
    bench.databases.mongodb.collection::<Document>("items").insert_many(items(range)).await.unwrap();
}

async fn ask(bench: &Bench, sql: &str) -> String {
    bench.databases.clickhouse.query(sql).await.unwrap().trim().to_owned()
}

/// Everything that can be added to a table.
async fn add(bench: &Bench) {
    for change in [
        "MODIFY SETTING deduplicate_merge_projection_mode = 'rebuild', merge_with_ttl_timeout = 7200, \
         min_rows_for_wide_part = 7",
        "MODIFY COLUMN name COMMENT 'it''s (the, name)'",
        "MODIFY COLUMN n CODEC(Delta, ZSTD(3))",
        "MODIFY COLUMN n TTL toDateTime(ifNull(at, toDateTime64('2030-01-01 00:00:00', 3))) + INTERVAL 30 YEAR",
        "ADD COLUMN day Date MATERIALIZED toDate(ifNull(at, now()))",
        "ADD COLUMN twice Nullable(Int64) ALIAS n * 2",
        "ADD COLUMN region LowCardinality(String) DEFAULT 'eu' COMMENT 'where'",
        "ADD INDEX by_n n TYPE minmax GRANULARITY 2",
        "ADD INDEX `odd name` (n, name) TYPE bloom_filter(0.01) GRANULARITY 1",
        "ADD PROJECTION p (SELECT _id, n ORDER BY n)",
        "ADD CONSTRAINT c CHECK n > -5",
        "MODIFY COMMENT 'ask Ann'",
        "MODIFY TTL toDateTime(ifNull(at, toDateTime64('2030-01-01 00:00:00', 3))) + INTERVAL 10 YEAR",
    ] {
        ask(bench, &format!("ALTER TABLE items {change}")).await;
    }
    ask(bench, "CREATE TABLE totals (day Date, c UInt64) ENGINE = SummingMergeTree ORDER BY day").await;
    ask(bench, "CREATE MATERIALIZED VIEW m TO totals AS SELECT toDate(ifNull(at, now())) AS day, count() AS c FROM items GROUP BY day").await;
}

/// What was added, and the comment.
async fn added(bench: &Bench) -> (Additions, String) {
    let mut found = Additions::parse(&ask(bench, DEFINITION).await).unwrap();
    found.columns.sort_by(|a, b| a.0.cmp(&b.0));
    let comment = "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = 'items'";
    (found, ask(bench, comment).await)
}

/// Waits until rows past their time are gone.
async fn until_rows(bench: &Bench, table: &str, rows: u64) {
    for _ in 0..100 {
        if ask(bench, &format!("SELECT count() FROM {table}")).await == rows.to_string() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{} rows", ask(bench, &format!("SELECT count() FROM {table}")).await);
}

async fn holds(bench: &Bench, before: &(Additions, String)) {
    let after = added(bench).await;
    assert_eq!(after, *before);
    assert_eq!(after.1, "ask Ann");
    // New data has them, not only the table.
    let parts =
        "FROM system.projection_parts WHERE database = currentDatabase() AND table = 'items' AND active";
    assert_ne!(ask(bench, &format!("SELECT sum(rows) {parts}")).await, "0");
    let sizes = "SELECT min(data_compressed_bytes) > 0 FROM system.data_skipping_indices WHERE database = currentDatabase()";
    assert_eq!(ask(bench, sizes).await, "1");
    assert_eq!(
        ask(bench, "SELECT DISTINCT region, day = toDate(at), twice = n * 2 FROM items").await,
        "eu\t1\t1"
    );
    let tables = bench.tables().await;
    assert!(tables.iter().all(|name| !name.contains("__zenith_")), "{tables:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_keeps_everything() {
    let bench = Bench::new("additions_copy").await;
    fill(&bench, 0..100).await;
    bench.copy("items", ReloadOptions::default()).await;
    add(&bench).await;
    until_rows(&bench, "items", 50).await;
    let before = added(&bench).await;
    assert_eq!((before.0.elements.len(), before.0.columns.len()), (4, 5));
    fill(&bench, 100..200).await;
    for replace in [false, true] {
        let (_, summary) = bench.copy("items", ReloadOptions { replace, ..ReloadOptions::default() }).await;
        assert_eq!(summary.rows, 200, "rows past their time are no rows that are missing");
        holds(&bench, &before).await;
        until_rows(&bench, "items", 100).await;
    }
    // A view of changes hangs on the name: it stands, and gets what is inserted from now on.
    assert_eq!(ask(&bench, "SELECT count() FROM totals").await, "0");
    ask(&bench, "INSERT INTO items (_id, n) VALUES (1000, 1)").await;
    assert_eq!(ask(&bench, "SELECT sum(c) FROM totals").await, "1");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_do_pipelines() {
    for (number, mode) in [Mode::Changes, Mode::Full, Mode::IdCursor].into_iter().enumerate() {
        let settings = PipelineSettings { mode, settle: Duration::ZERO, ..PipelineSettings::default() };
        let follow = Follow::new(&format!("additions_{number}"), settings).await;
        let bench = &follow.bench;
        fill(bench, 0..100).await;
        follow.catch_up_well().await;
        add(bench).await;
        let shown = if mode == Mode::Changes { "items_current" } else { "items" };
        until_rows(bench, shown, 50).await;
        let before = added(bench).await;
        fill(bench, 100..200).await;
        follow.replicator().await.reload("items").await.unwrap();
        if mode != Mode::Full {
            follow.catch_up_well().await;
        }
        holds(bench, &before).await;
        if mode != Mode::IdCursor {
            until_rows(bench, shown, 100).await;
        }
        fill(bench, 200..201).await;
        follow.catch_up_well().await;
        assert_eq!(ask(bench, &format!("SELECT count() FROM {shown} WHERE _id = 200")).await, "1");
        holds(bench, &before).await;
        follow.bench.remove().await;
    }
}

/// A table made by hand, which Zenith fills: how it is cut into partitions stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_by_hand_stays_as_it_was_made() {
    let follow = Follow::new("additions_partition", PipelineSettings::default()).await;
    let bench = &follow.bench;
    fill(bench, 0..100).await;
    follow.catch_up_well().await;
    let made = ask(bench, DEFINITION).await.replace(" ORDER BY _id", " PARTITION BY _id % 2 ORDER BY _id");
    ask(bench, "DROP TABLE items").await;
    ask(bench, &made).await;
    follow.replicator().await.reload("items").await.unwrap();
    assert_eq!(added(bench).await.0.partition_by.as_deref(), Some("_id % 2"));
    follow.assert_equal("items_current").await;
    follow.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_named_and_nothing_is_changed() {
    let follow = Follow::new("additions_lost", PipelineSettings::default()).await;
    let bench = &follow.bench;
    fill(bench, 0..100).await;
    follow.catch_up_well().await;
    ask(bench, "ALTER TABLE items ADD INDEX fine name TYPE bloom_filter GRANULARITY 1").await;
    ask(bench, "ALTER TABLE items MODIFY COLUMN n CODEC(T64, LZ4)").await;
    let collection = bench.databases.mongodb.collection::<Document>("items");
    collection.update_many(doc! {}, doc! { "$set": { "n": "text" } }).await.unwrap();
    follow.catch_up_well().await;
    let refused = async |parts: &[&str]| {
        let before = (ask(bench, DEFINITION).await, bench.count("items").await);
        let error = follow.replicator().await.reload("items").await.unwrap_err();
        assert!(matches!(error, EngineError::CannotKeep { .. }) && error.is_input(), "{error:?}");
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)) && !text.contains("fine"), "{text}");
        assert_eq!((ask(bench, DEFINITION).await, bench.count("items").await), before);
        assert_eq!(bench.tables().await, ["items", "items_current"]);
    };
    refused(&["CODEC(T64, LZ4) of the column n", "T64"]).await;

    // An engine of the user's, and a key.
    for (from, to, part) in [
        (
            "ReplacingMergeTree(_zenith_version, _zenith_deleted)",
            "AggregatingMergeTree",
            "its engine AggregatingMergeTree",
        ),
        ("ORDER BY _id", "ORDER BY (name, _id)", "its sorting key (name, _id)"),
    ] {
        let made = ask(bench, DEFINITION).await;
        ask(bench, "DROP TABLE items").await;
        ask(bench, &made.replace(from, to).replace("SETTINGS", "SETTINGS allow_nullable_key = 1,")).await;
        refused(&[part]).await;
        ask(bench, "DROP TABLE items").await;
        ask(bench, &made).await;
    }
    ask(bench, "ALTER TABLE items MODIFY COLUMN n REMOVE CODEC").await;
    follow.replicator().await.reload("items").await.unwrap();
    follow.assert_equal("items_current").await;
    assert!(ask(bench, DEFINITION).await.contains("INDEX fine name"));
    follow.bench.remove().await;
}
