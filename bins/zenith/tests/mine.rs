//! Tables that their user made: matched by name, checked by type, used as they are.

use bson::{Document, doc, rawdoc};

use crate::harness::{Bench, run};
use crate::home::Home;
use crate::tables::copy_to;

/// Columns that no field goes to, some that are never NULL, and another type than the sample would have.
const COLUMNS: &str = "_id Int64, total Float64, region LowCardinality(String), loaded DateTime DEFAULT now(), who String, \
                       tags Array(Nullable(String))";

async fn fill(bench: &Bench, range: std::ops::Range<i32>) {
    let documents = range.map(|n| {
        let mut document = rawdoc! { "_id": n, "total": n * 10, "tags": ["a"], "later": n };
        if n % 10 != 0 {
            document.append(bson::cstr!("region"), "eu");
        }
        document
    });
    bench.fill("orders", documents).await;
}

async fn create(bench: &Bench, table: &str, more: &str, engine: &str) {
    bench.ask(&format!("CREATE TABLE {table} ({COLUMNS}{more}) ENGINE = {engine}")).await;
}

/// Every value is in the table: in a column, or in the one that was added for what has none.
const VALUES: &str = "count(), sum(total), countIf(region = ''), sum(toInt64OrZero(JSONExtractString(_zenith_extra, 'later', '$numberInt'))), \
                      countIf(who = ''), min(loaded) > '2020-01-01'";

#[tokio::test(flavor = "multi_thread")]
async fn copies_go_to_a_table_that_is_there() {
    let bench = Bench::new("mine_copy").await;
    fill(&bench, 0..100).await;
    for strategy in ["swap", "truncate"] {
        create(&bench, strategy, "", "MergeTree ORDER BY _id").await;
        bench.ask(&format!("INSERT INTO {strategy} (_id, who) VALUES (7, 'old')")).await;
        if strategy == "swap" {
            // Rows that Zenith did not write go only where that is said.
            let refused = run(copy_to(&bench, &bench.to(), strategy, &[])).await;
            let says = |part: &str| refused.stderr.contains(part);
            assert!(
                refused.code == Some(2) && says("a table with rows that Zenith did not write"),
                "{refused:?}"
            );
            assert!(says("--table NAME") && says("--replace"), "{refused:?}");
            assert_eq!(bench.ask("SELECT count(), any(who) FROM swap").await, "1\told");
            bench.ask("TRUNCATE TABLE swap").await;
        }
        for _ in 0..2 {
            let copied = run(copy_to(&bench, &bench.to(), strategy, &["--strategy", strategy])).await;
            assert_eq!(copied.code, Some(0), "{strategy}: {copied:?}");
            let values = bench.ask(&format!("SELECT {VALUES} FROM {strategy}")).await;
            assert_eq!(values, "100\t49500\t10\t4950\t100\t1", "{strategy}");
        }
        let types = format!(
            "SELECT groupArray((name, type)) FROM (SELECT * FROM system.columns WHERE database = currentDatabase() AND table = \
             '{strategy}' AND name IN ('total', 'who') ORDER BY name)"
        );
        assert_eq!(bench.ask(&types).await, "[('total','Float64'),('who','String')]", "{strategy}");
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_take_the_values_is_refused() {
    let bench = Bench::new("mine_refused").await;
    fill(&bench, 0..100).await;
    let home = Home::between(&bench);
    bench
        .ask("CREATE TABLE orders (_id Int64, total Date, tags String) ENGINE = MergeTree ORDER BY _id")
        .await;
    for mode in ["id-cursor", "change-log", "changes"] {
        home.configure(&[("orders", &format!("collection = \"orders\"\nmode = \"{mode}\""))]);
        home.apply().await;
        let ended = home.run(&["run", "--once"]).await;
        assert!(ended.code != Some(0) && ended.stderr.contains("total: the table has Date"), "{ended:?}");
    }
    let copied = run(copy_to(&bench, &bench.to(), "orders", &["--strategy", "truncate"])).await;
    assert!(copied.code == Some(2) && copied.stderr.contains("total: the table has Date"), "{copied:?}");
    let columns =
        "SELECT count() FROM system.columns WHERE database = currentDatabase() AND table = 'orders'";
    assert_eq!(bench.ask(columns).await, "3");
    bench.remove().await;
}

/// Columns that stay as they are take no wider numbers.
#[tokio::test(flavor = "multi_thread")]
async fn columns_that_are_too_narrow_are_told() {
    let bench = Bench::new("mine_narrow").await;
    bench
        .fill("orders", (0..100).map(|n| rawdoc! { "_id": n, "total": 5_000_000_000_i64 + i64::from(n) }))
        .await;
    let home = Home::between(&bench);
    let versions = ", _zenith_version UInt64, _zenith_deleted UInt8";
    for (mode, more, engine) in [
        ("id-cursor", "", "MergeTree"),
        ("changes", versions, "ReplacingMergeTree(_zenith_version, _zenith_deleted)"),
    ] {
        let columns = format!("_id Int64, total Nullable(Int32){more}");
        bench
            .ask(&format!("CREATE OR REPLACE TABLE orders ({columns}) ENGINE = {engine} ORDER BY _id"))
            .await;
        home.configure(&[("orders", &format!("collection = \"orders\"\nmode = \"{mode}\""))]);
        home.apply().await;
        let ended = home.run(&["run", "--once"]).await;
        let says = ended.stderr.contains("total: the table has Nullable(Int32)");
        assert!(ended.code != Some(0) && says, "{mode}: {ended:?}");
        assert_eq!(bench.ask("SELECT count() FROM orders").await, "0", "{mode}");
    }
    bench.remove().await;
}

/// Changes after the beginning, and repeated inserts, as elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn pipelines_write_to_a_table_that_is_there() {
    let bench = Bench::new("mine_pipelines").await;
    fill(&bench, 0..100).await;
    let log = ", _zenith_operation LowCardinality(String), _zenith_time DateTime64(3, 'UTC'), _zenith_version UInt64, \
               _zenith_index UInt32";
    let versions = ", _zenith_version UInt64, _zenith_deleted UInt8";
    let replacing = "ReplacingMergeTree(_zenith_version, _zenith_deleted) ORDER BY _id";
    create(&bench, "cursor", "", "MergeTree ORDER BY (region, _id)").await;
    create(&bench, "log", log, "MergeTree ORDER BY _zenith_time").await;
    create(&bench, "current", versions, replacing).await;
    let home = Home::between(&bench);
    let pipeline = |table: &str, mode: &str| {
        format!("collection = \"orders\"\ntable = \"{table}\"\nmode = \"{mode}\"\non_new_field = \"extra\"")
    };
    home.configure(&[
        ("cursor", &(pipeline("cursor", "id-cursor") + "\nsettle = \"0s\"")),
        ("log", &pipeline("log", "change-log")),
        ("current", &pipeline("current", "changes")),
    ]);
    let checked = home.run(&["check"]).await.succeeded();
    assert!(checked.stdout.contains("exists with 0 rows"), "{checked:?}");
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    fill(&bench, 100..200).await;
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    orders.update_many(doc! { "_id": { "$lt": 5 } }, doc! { "$inc": { "total": 1 } }).await.unwrap();
    orders.delete_one(doc! { "_id": 50 }).await.unwrap();
    home.run(&["run", "--once"]).await.succeeded();
    let values = async |table: &str| bench.ask(&format!("SELECT {VALUES} FROM {table}")).await;
    assert_eq!(values("cursor").await, "200\t199000\t20\t19900\t200\t1");
    assert_eq!(values("current_current").await, "199\t198505\t19\t19850\t199\t1");
    let log = "SELECT count(), countIf(_zenith_operation = 'delete'), sumIf(total, _zenith_operation = 'insert') FROM log";
    assert_eq!(bench.ask(log).await, "106\t1\t149500");
    home.run(&["verify", "current"]).await.succeeded();
    let windows = "SELECT countIf(create_table_query LIKE '%non_replicated_deduplication_window = 10000%') FROM system.tables \
                   WHERE database = currentDatabase() AND name IN ('cursor', 'log', 'current')";
    assert_eq!(bench.ask(windows).await, "3");
    // They stay their user's: they are not replaced.
    for (name, part) in [("cursor", "sorting key"), ("current", "column who")] {
        let reloaded = home.run(&["reload", name]).await;
        assert!(reloaded.code != Some(0) && reloaded.stderr.contains(part), "{name}: {reloaded:?}");
    }
    assert_eq!(values("current_current").await, "199\t198505\t19\t19850\t199\t1");
    bench.remove().await;
}
