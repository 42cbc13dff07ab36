//! Settings that somebody has misspelled, or that do not mean what they were to: one sentence, and nothing changed.

use bson::{Document, doc, rawdoc};

use crate::harness::{Bench, run};
use crate::home::Home;
use crate::tables::{copy_to, type_of};

async fn orders(bench: &Bench) {
    let orders = (0..50).map(|n| {
        rawdoc! { "_id": n, "total": n, "tenant": "t", "customer": { "name": "n" }, "cart": { "items": [{ "sku": n }] } }
    });
    bench.fill("orders", orders).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_columns_that_are_not_there_are_told_with_what_was_meant() {
    let bench = Bench::new("slips").await;
    orders(&bench).await;
    let home = Home::between(&bench);
    for (settings, line, said) in [
        ("order_by = [\"totl\"]", 10, "the table has no column totl; did you mean total?"),
        ("order_by = [\"tenant\", \"toDate(totl)\"]", 10, "no column totl; did you mean total?"),
        ("partition_by = \"tennant\"", 10, "no column tennant; did you mean tenant?"),
        ("[pipelines.orders.constant]\norigin = \"{db}.{colection}\"", 10, "did you mean {collection}?"),
        ("unwind = \"customer\"", 10, "no document of the sample has an array there"),
        ("unwind = \"cart.item\"", 0, ""),
    ] {
        home.configure(&[("orders", &format!("collection = \"orders\"\nmode = \"full\"\n{settings}"))]);
        let checked = home.run(&["check"]).await;
        let told = format!("{}{}", checked.stdout, checked.stderr);
        if said.is_empty() {
            assert!(told.contains("at cart.item"), "{settings}: {checked:?}");
            continue;
        }
        assert!(checked.code != Some(0) && told.contains(said), "{settings}: {checked:?}");
        assert!(
            told.contains(&format!("line {line}")) || told.contains(&format!(":{line}")),
            "{settings}: {checked:?}"
        );
        assert!(!told.contains("DB::Exception"), "{settings}: {checked:?}");
    }
    for (option, said) in [
        ("--order-by=totl", "did you mean total?"),
        ("--constant=origin={colection}", "did you mean {collection}?"),
        ("--unwind=customer", "cart.items"),
    ] {
        let refused = run(bench.copy("orders", &[option])).await;
        assert!(refused.code == Some(2) && refused.stderr.contains(said), "{option}: {refused:?}");
    }
    assert!(bench.tables().await.is_empty());
    // A text with braces that are no names is a text.
    run(bench.copy("orders", &["--constant=origin={\"a\": 1} {0}"])).await.succeeded();
    assert_eq!(bench.ask("SELECT any(origin) FROM orders FORMAT TSVRaw").await, "{\"a\": 1} {0}");
    bench.remove().await;
}

/// An address is in the column if ClickHouse gives back the text that it was.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_in_their_column_however_short_they_are() {
    let bench = Bench::new("slips_addresses").await;
    let held = [
        "::",
        "::1",
        "::2",
        "::ffff",
        "::1.0.0.2",
        "::10.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0.0.0.1",
        "::1:0:0:2",
        "1::",
        "fe80::1",
        "2001:db8::1",
        "2001:db8:0:1:1:1:1:1",
        "64:ff9b::a00:1",
        "::ffff:0:a00:1",
        "1:0:0:2::3",
    ];
    let others =
        ["::0.0.0.2", "::ffff:a00:1", "::a00:1", "2001:DB8::1", "2001:db8:0:0:0:0:0:1", "10.0.0.1", "x"];
    let documents = held.iter().chain(&others).zip(0..).map(|(text, id)| rawdoc! { "_id": id, "a": *text });
    bench.fill("orders", documents).await;
    let copied =
        run(copy_to(&bench, &bench.to(), "orders", &["--column=a=IPv6", "--json"])).await.succeeded();
    let shown = bench.ask("SELECT arrayStringConcat(groupArray(toString(a)), ' ') FROM (SELECT a FROM orders WHERE a IS NOT NULL ORDER BY _id)").await;
    assert_eq!(shown, held.join(" "), "{copied:?}");
    assert_eq!(
        bench.ask("SELECT countIf(a IS NULL AND _zenith_extra != '') FROM orders").await,
        others.len().to_string()
    );
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_elements_goes_with_the_setting() {
    let bench = Bench::new("slips_unwound").await;
    orders(&bench).await;
    let home = Home::between(&bench);
    let configure = |more: &str| {
        home.configure(&[("orders", &format!("collection = \"orders\"\nmode = \"changes\"\n{more}"))]);
    };
    configure("unwind = \"cart.items\"");
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(type_of(&bench, "orders", "items_index").await, "Int64");
    configure("order_by = [\"_id\"]");
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    home.run(&["verify", "orders"]).await.succeeded();
    assert_eq!(type_of(&bench, "orders", "items_index").await, "");
    assert_eq!(bench.ask("SELECT count(), sum(length(cart.items)) FROM orders_current").await, "50\t50");
    bench.remove().await;
}

/// Columns of a table of one's own that the sample has no values for take those that come.
#[tokio::test(flavor = "multi_thread")]
async fn columns_of_a_table_that_is_there_take_values_that_come_later() {
    let bench = Bench::new("slips_own").await;
    orders(&bench).await;
    let columns = "_id Int64, total Int64, later Nullable(Int16), day Nullable(Date), scores Map(String, Int64), must String, \
                   note Nullable(String)";
    let items = bench.databases.mongodb.collection::<Document>("orders");
    for (mode, more, engine) in [
        (
            "changes",
            ", _zenith_version UInt64, _zenith_deleted UInt8",
            "ReplacingMergeTree(_zenith_version, _zenith_deleted)",
        ),
        ("id-cursor", "", "MergeTree"),
    ] {
        bench
            .ask(&format!("CREATE OR REPLACE TABLE orders ({columns}{more}) ENGINE = {engine} ORDER BY _id"))
            .await;
        items.delete_many(doc! { "_id": { "$gte": 50 } }).await.unwrap();
        let home = Home::between(&bench);
        let settings =
            format!("collection = \"orders\"\nmode = \"{mode}\"\non_new_field = \"extra\"\nsettle = \"0s\"");
        home.configure(&[("orders", &settings)]);
        home.apply().await;
        home.run(&["run", "--once"]).await.succeeded();
        let day = bson::DateTime::from_millis(1_699_920_000_000);
        let with = doc! { "_id": 50, "later": 7, "day": day, "scores": { "a": 1 }, "must": "m", "note": 5 };
        items.insert_many([with, doc! { "_id": 51, "later": 70_000, "scores": { "a": "x" } }]).await.unwrap();
        home.run(&["run", "--once"]).await.succeeded();
        let from = if mode == "changes" { "orders_current" } else { "orders" };
        let question = format!(
            "SELECT later, day, scores, must, note, _zenith_extra FROM {from} WHERE _id >= 50 ORDER BY _id FORMAT TSVRaw"
        );
        let expected = "7\t2023-11-14\t{'a':1}\t\t5\t{\"must\":\"m\"}\n\\N\t\\N\t{}\t\t\\N\t{\"later\":{\"$numberInt\":\"70000\"},\"scores\":{\"a\":\"x\"}}";
        assert_eq!(bench.ask(&question).await, expected, "{mode}");
        let noted = format!("SELECT countIf(_zenith_notes != '') FROM {from} WHERE _id < 50");
        assert_eq!(bench.ask(&noted).await, "0", "{mode}");
        home.run(&["verify", "orders"]).await.succeeded();
    }
    bench.remove().await;
}

/// A table of one's own is filled as it is or not at all: what would have to make it anew says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_there_is_not_replaced_for_a_setting() {
    let bench = Bench::new("slips_mine").await;
    orders(&bench).await;
    let home = Home::between(&bench);
    let versions = ", _zenith_version UInt64, _zenith_deleted UInt8";
    let log = ", _zenith_operation LowCardinality(String), _zenith_time DateTime64(3, 'UTC'), _zenith_version UInt64, \
               _zenith_index UInt32";
    let replacing = "ReplacingMergeTree(_zenith_version, _zenith_deleted)";
    for (mode, settings, more, engine) in [
        ("changes", "order_by = [\"tenant\"]", versions, format!("{replacing} ORDER BY (tenant, _id)")),
        ("changes", "unwind = \"cart.items\"", versions, format!("{replacing} ORDER BY (_id, items_index)")),
        (
            "changes",
            "deletes = \"mark\"",
            versions,
            "ReplacingMergeTree(_zenith_version) ORDER BY _id".to_owned(),
        ),
        ("change-log", "snapshot = true", log, "MergeTree ORDER BY _id".to_owned()),
    ] {
        let index = if settings.contains("unwind") { ", items_index Int64" } else { "" };
        let columns = format!("_id Int64, total Int64, tenant String{index}{more}");
        bench.ask(&format!("CREATE OR REPLACE TABLE orders ({columns}) ENGINE = {engine}")).await;
        let made = "SELECT uuid FROM system.tables WHERE database = currentDatabase() AND name = 'orders'";
        let before = bench.ask(made).await;
        home.configure(&[(
            "orders",
            &format!("collection = \"orders\"\nmode = \"{mode}\"\non_new_field = \"extra\"\n{settings}"),
        )]);
        home.apply().await;
        let checked = home.run(&["check"]).await;
        let ended = home.run(&["run", "--once"]).await;
        assert_eq!(bench.ask(made).await, before, "{settings}: {ended:?}");
        let rows = bench.ask("SELECT count() FROM orders").await;
        assert!(
            ended.code == Some(0) && rows == "50" || ended.code != Some(0) && rows == "0",
            "{settings}: {rows} {ended:?}"
        );
        assert_eq!(checked.code == Some(0), ended.code == Some(0), "{settings}: {checked:?} {ended:?}");
    }
    bench.remove().await;
}
