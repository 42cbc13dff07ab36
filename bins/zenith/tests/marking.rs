//! Rows of deleted documents that stay, with their values and a mark.

use bson::{Document, doc, rawdoc};

use crate::evolving::natively;
use crate::harness::Bench;
use crate::home::{Home, stop};

const MARK: &str = "collection = \"orders\"\ndeletes = \"mark\"\n";
const KEYED: &str = "collection = \"orders\"\ndeletes = \"mark\"\ntable = \"keyed\"\n\
                     order_by = [\"total\"]\npartition_by = \"intDiv(total, 1000)\"";

async fn fill(bench: &Bench, range: std::ops::Range<i32>) {
    let document = |n: i32| {
        let mut document = rawdoc! { "_id": n, "total": n, "mail": format!("m{n}"), "tags": ["a", "b"] };
        if n % 100 == 3 {
            // What no column holds is kept as well.
            document = rawdoc! { "_id": n, "total": n, "mail": { "odd": n }, "tags": ["a", "b"] };
        }
        document
    };
    bench.fill("orders", range.map(document)).await;
}

/// Deletes some, moves others in the table and deletes some of these, and makes one again that was deleted.
async fn change(bench: &Bench, first: i32) {
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    let within = |from: i32, to: i32| doc! { "_id": { "$gte": first + from, "$lt": first + to } };
    orders.update_many(within(10, 30), doc! { "$inc": { "total": 1_000 } }).await.unwrap();
    orders.delete_many(within(0, 10)).await.unwrap();
    orders.insert_one(doc! { "_id": first + 5, "total": -5 }).await.unwrap();
    // In one batch, with and without a row from before: the last document that came with a change counts.
    let mut session = bench.databases.mongodb.client().start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    orders.insert_one(doc! { "_id": first + 50_000, "total": 7 }).session(&mut session).await.unwrap();
    orders.replace_one(within(40, 41), doc! { "total": 8 }).session(&mut session).await.unwrap();
    for id in [first + 50_000, first + 40] {
        orders.delete_one(doc! { "_id": id }).session(&mut session).await.unwrap();
    }
    session.commit_transaction().await.unwrap();
}

/// Deletes more, of which some have changed.
async fn delete_more(bench: &Bench, first: i32) {
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    orders.delete_many(doc! { "_id": { "$gte": first + 20, "$lt": first + 30 } }).await.unwrap();
}

async fn is_marked(bench: &Bench, table: &str, first: i32) {
    let within = format!("_id >= {first} AND _id < {}", first + 100);
    let there = format!(
        "SELECT count(), countIf(total >= 1000), countIf(total = -5) FROM {table}_current WHERE {within}"
    );
    assert_eq!(bench.ask(&there).await, "80\t10\t1", "{table} {first}");
    let gone = format!(
        "SELECT count(), countIf(total >= 1000), countIf(mail = 'm' || toString(_id)), countIf(tags = ['a', 'b']), \
         countIf(_zenith_extra LIKE '%odd%') FROM {table} FINAL WHERE {within} AND _zenith_deleted = 1"
    );
    assert_eq!(bench.ask(&gone).await, "20\t10\t18\t19\t1", "{table} {first}");
    let short = format!(
        "SELECT groupArray((_id - {first}, total, _zenith_deleted)) FROM (SELECT * FROM {table} FINAL WHERE _id IN \
         ({}, {}) ORDER BY _id)",
        first + 40,
        first + 50_000
    );
    assert_eq!(bench.ask(&short).await, "[(40,8,1),(50000,7,1)]", "{table} {first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_stays_with_its_values_when_its_document_is_deleted() {
    let bench = Bench::new("marking").await;
    fill(&bench, 0..400).await;
    let home = natively(&bench).await;
    home.configure(&[("orders", MARK), ("keyed", KEYED)]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let engines = "SELECT groupArray(startsWith(engine_full, 'ReplacingMergeTree(_zenith_version)')) FROM system.tables \
                   WHERE database = currentDatabase() AND name = 'orders'";
    assert_eq!(bench.ask(engines).await, "[1]");
    change(&bench, 0).await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    delete_more(&bench, 0).await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    // While it runs, with kills in between.
    for first in [100, 200, 300] {
        let mut running = home.start(&["--quiet"]).await;
        change(&bench, first).await;
        for table in ["orders", "keyed"] {
            let moved = format!("SELECT countIf(total >= 1000) FROM {table}_current WHERE _id >= {first}");
            home.until("the changes are there", async || bench.ask(&moved).await == "20").await;
        }
        delete_more(&bench, first).await;
        running.kill().await.unwrap();
        running.wait().await.unwrap();
    }
    let running = home.start(&["--quiet"]).await;
    for table in ["orders", "keyed"] {
        let gone = format!("SELECT count() FROM {table} FINAL WHERE _zenith_deleted = 1 AND _id < 400");
        home.until("the deletions are there", async || bench.ask(&gone).await == "80").await;
    }
    stop(running).await.succeeded();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    for round in 0..2 {
        for table in ["orders", "keyed"] {
            for first in [0, 100, 200, 300] {
                is_marked(&bench, table, first).await;
            }
            home.run(&["verify", table]).await.succeeded();
            if round == 0 {
                bench.ask(&format!("OPTIMIZE TABLE {table} FINAL")).await;
            }
        }
    }
    // A row of a document that is there still counts, and one that is not there is too many.
    bench.ask("INSERT INTO orders (_id, total, _zenith_version) VALUES (7, 7, 18446744073709551615)").await;
    let ended = home.run(&["verify", "orders"]).await;
    assert!(ended.code == Some(1) && ended.stdout.contains('7'), "{ended:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_marked_rows_is_not_loaded_again() {
    let bench = Bench::new("marking_refused").await;
    fill(&bench, 0..100).await;
    let home = Home::between(&bench);
    for (more, part) in [
        ("mode = \"full\"", "mode full"),
        ("mode = \"id-cursor\"", "id-cursor"),
        ("mode = \"change-log\"", "a row for each deletion"),
        ("on_drop = \"reload\"", "on_drop"),
        ("on_drop = \"truncate\"", "on_drop"),
        ("on_history_lost = \"reload\"", "on_history_lost"),
        ("filter = '{\"total\": 1}'", "filter"),
    ] {
        home.configure(&[("orders", &format!("{MARK}{more}"))]);
        let ended = home.run(&["apply", "--yes"]).await;
        assert!(
            ended.code == Some(2) && ended.stderr.contains("line 9") && ended.stderr.contains(part),
            "{ended:?}"
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    // A table whose engine hides such rows is made anew, once somebody says so.
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    home.configure(&[("orders", MARK)]);
    home.apply().await;
    let ended = home.run(&["run", "--once", "--quiet"]).await;
    assert!(ended.code != Some(0) && ended.stderr.contains("zenith reload orders"), "{ended:?}");
    home.run(&["reload", "orders", "--dry-run"]).await.succeeded();
    home.run(&["reload", "orders", "--quiet"]).await.succeeded();
    bench.databases.mongodb.collection::<Document>("orders").delete_many(doc! {}).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let rows = "SELECT countIf(_zenith_deleted = 1 AND total = _id), count() FROM orders FINAL";
    assert_eq!(bench.ask(rows).await, "100\t100");
    let beginning = &["reset", "orders", "--from", "beginning", "--yes"][..];
    for arguments in [&["reload", "orders"][..], &["reload", "orders", "--dry-run"], beginning] {
        let ended = home.run(arguments).await;
        assert!(ended.code != Some(0), "{ended:?}");
        assert!(
            ended.stderr.contains("rows of documents that are gone") && ended.stderr.contains("tombstone"),
            "{ended:?}"
        );
    }
    assert_eq!(bench.ask(rows).await, "100\t100");
    // They go when they are let go.
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    home.run(&["reload", "orders", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM orders FINAL").await, "0");
    bench.remove().await;
}

/// Values that gathered in the extra column move for documents that are gone as well.
#[tokio::test(flavor = "multi_thread")]
async fn values_of_marked_rows_are_moved_into_columns() {
    let bench = Bench::new("marking_promoted").await;
    fill(&bench, 0..20).await;
    let home = natively(&bench).await;
    let extra = "\non_new_field = \"extra\"";
    home.configure(&[("orders", &format!("{MARK}{extra}")), ("keyed", &format!("{KEYED}{extra}"))]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    orders.update_many(doc! { "_id": { "$lt": 6 } }, doc! { "$set": { "late": 7 } }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    orders.delete_many(doc! { "_id": { "$lt": 4 } }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    for table in ["orders", "keyed"] {
        let promoted = home.run(&["schema", "promote", table, "--apply", "--json"]).await.succeeded().json();
        assert_eq!(promoted["rows"], 6, "{promoted}");
        let shown = format!(
            "SELECT countIf(late = 7 AND _zenith_deleted = 1), countIf(late = 7 AND _zenith_deleted = 0), \
             countIf(_zenith_extra LIKE '%late%'), count() FROM {table} FINAL"
        );
        assert_eq!(bench.ask(&shown).await, "4\t2\t0\t20", "{table}");
        home.run(&["verify", table]).await.succeeded();
    }
    bench.remove().await;
}

/// A document that would stand elsewhere, where its row is refused, is gone from its place with the values it had.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_leaves_the_values_of_before() {
    let bench = Bench::new("marking_moved").await;
    fill(&bench, 0..40).await;
    let home = natively(&bench).await;
    let whole = "collection = \"orders\"\ndeletes = \"mark\"\ntable = \"whole\"\norder_by = [\"total\"]";
    home.configure(&[("orders", MARK), ("keyed", KEYED), ("whole", whole)]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let tables = ["orders", "keyed", "whole"];
    for table in tables {
        bench.ask(&format!("ALTER TABLE {table} ADD CONSTRAINT small CHECK ifNull(total, 0) < 5000")).await;
    }
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    let mut session = bench.databases.mongodb.client().start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    for (id, total) in [(10, 7_000), (11, 1_500), (12, 8_000), (13, 2_500)] {
        let update = doc! { "$set": { "total": total, "mail": "new" } };
        orders.update_one(doc! { "_id": id }, update).session(&mut session).await.unwrap();
    }
    session.commit_transaction().await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await;
    let rows = |table: &str| {
        format!(
            "SELECT groupArray((_id, total, mail, _zenith_deleted)) FROM (SELECT * FROM {table} FINAL WHERE _id IN (10, 11, \
             12, 13) ORDER BY _id)"
        )
    };
    let expected = "[(10,10,'m10',1),(11,1500,'new',0),(12,12,'m12',1),(13,2500,'new',0)]";
    for round in 0..2 {
        for table in tables {
            assert_eq!(bench.ask(&rows(table)).await, expected, "{table}");
            let letters = format!("SELECT count() FROM zenith_dead_letters WHERE pipeline = '{table}'");
            assert_eq!(bench.ask(&letters).await, "2", "{table}");
            home.run(&["verify", table]).await.succeeded();
            if round == 0 {
                bench.ask(&format!("OPTIMIZE TABLE {table} FINAL")).await;
            }
        }
    }
    for table in tables {
        bench.ask(&format!("ALTER TABLE {table} DROP CONSTRAINT small")).await;
        home.run(&["dead-letters", "retry", table]).await.succeeded();
        let expected = "[(10,7000,'new',0),(11,1500,'new',0),(12,8000,'new',0),(13,2500,'new',0)]";
        assert_eq!(bench.ask(&rows(table)).await, expected, "{table}");
        home.run(&["verify", table]).await.succeeded();
    }
    bench.remove().await;
}

/// Another sorting key than the table has: what is said works.
#[tokio::test(flavor = "multi_thread")]
async fn another_key_asks_for_another_table() {
    let bench = Bench::new("marking_keys").await;
    fill(&bench, 0..40).await;
    let home = Home::between(&bench);
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    let begin = async |settings: &str| {
        home.configure(&[("orders", settings)]);
        home.apply().await;
        home.run(&["run", "--once", "--quiet"]).await
    };
    let named = |table: &str, key: &str| format!("{MARK}table = \"{table}\"\n{key}");
    let (plain, by_total) = ("", "order_by = [\"total\"]");
    for (number, (before, after)) in (0..).zip([(by_total, plain), (plain, by_total)]) {
        let table = format!("orders_{number}");
        begin(&named(&table, before)).await.succeeded();
        orders.delete_one(doc! { "_id": 30 + number }).await.unwrap();
        home.run(&["run", "--once", "--quiet"]).await.succeeded();
        let refused = begin(&named(&table, after)).await;
        assert!(
            refused.code != Some(0)
                && refused.stderr.contains("let another table (table = \"…\") be made")
                && !refused.stderr.contains("zenith reload"),
            "{refused:?}"
        );
        // One way, and the other.
        begin(&named(&table, before)).await.succeeded();
        let gone = format!("SELECT count() FROM {table} FINAL WHERE _zenith_deleted = 1");
        assert_eq!(bench.ask(&gone).await, "1");
        begin(&named(&format!("{table}_anew"), after)).await.succeeded();
        home.run(&["verify", "orders"]).await.succeeded();
        assert_eq!(bench.ask(&gone).await, "1");
    }
    // A key that is another one of the same kind goes on as it is.
    home.configure(&[("orders", &named("orders_1_anew", "order_by = [\"mail\"]"))]);
    let said = home.run(&["apply", "--yes"]).await.succeeded();
    assert!(said.stdout.contains("table = \"…\"") && !said.stdout.contains("zenith reload"), "{said:?}");
    let checked = home.run(&["check"]).await.succeeded();
    assert!(checked.stdout.contains("is not loaded again: name another table"), "{checked:?}");
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    bench.remove().await;
}
