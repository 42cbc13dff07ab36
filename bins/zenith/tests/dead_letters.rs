//! `zenith dead-letters`: what has no row is listed, shown, tried again and removed.

use bson::{Document, RawDocumentBuf, doc, rawdoc};

use crate::harness::Bench;
use crate::home::Home;

/// The document with its `@` replaced by a byte that no UTF-8 has.
fn spoilt(document: RawDocumentBuf) -> RawDocumentBuf {
    let mut bytes = document.into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'@').unwrap();
    bytes[at] = 0xFF;
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

fn orders(range: std::ops::Range<i32>) -> impl Iterator<Item = RawDocumentBuf> {
    range.map(|n| rawdoc! { "_id": n, "n": n, "item": "tea" })
}

/// A table of dead letters as version 0.1 made it, with a letter in it.
async fn old_letters(bench: &Bench) {
    bench
        .ask(
            "CREATE TABLE zenith_dead_letters (at DateTime64(3, 'UTC'), pipeline String, namespace String, id String, \
             field String, reason String, document String) ENGINE = MergeTree ORDER BY at \
             SETTINGS non_replicated_deduplication_window = 10000",
        )
        .await;
    let document: String =
        rawdoc! { "_id": 999 }.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let id = r#"{"$numberInt":"999"}"#;
    let insert = format!(
        "INSERT INTO zenith_dead_letters VALUES ('2026-01-02 03:04:05', 'orders/1/1/5f_1/3', 'x.orders', '{id}', '', \
         'of old', unhex('{document}'))"
    );
    bench.ask(&insert).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_documents_as_they_are() {
    let bench = Bench::new("letters").await;
    bench.fill("orders", orders(1..21)).await;
    old_letters(&bench).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    let collection = bench.databases.mongodb.collection::<Document>("orders");
    bench.ask("ALTER TABLE orders ADD CONSTRAINT positive CHECK n > 0").await;
    for (id, n) in [(1, -1), (2, -2), (3, -3)] {
        collection.update_one(doc! { "_id": id }, doc! { "$set": { "n": n } }).await.unwrap();
    }
    let spoil = rawdoc! { "update": "orders", "updates": [{ "q": { "_id": 4 }, "u": { "$set": { "item": "t@a" } } }] };
    bench.databases.mongodb.run_raw_command(spoilt(spoil)).await.unwrap();
    let ended = home.run(&["run", "--once"]).await.succeeded();
    assert!(ended.stderr.contains("positive") || ended.stderr.contains("UTF-8"), "told at once: {ended:?}");
    assert_eq!(bench.ask("SELECT count(), countIf(_id <= 4) FROM orders_current FORMAT CSV").await, "16,0");

    let list = home.json(&["dead-letters", "list", "orders"]).await;
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 5, "{list:?}");
    let of = |id: &str| {
        let digits = format!("\"{id}\"");
        list.iter().find(|letter| letter["_id"].as_str().unwrap().contains(&digits)).unwrap()
    };
    assert_eq!(of("1")["pipeline"], "orders");
    assert!(of("1")["reason"].as_str().unwrap().contains("positive"));
    assert_eq!((of("4")["operation"].as_str(), of("999")["operation"].as_str()), (Some("update"), None));
    let text = home.run(&["dead-letters", "list", "--limit", "2"]).await.succeeded();
    assert!(text.stdout.contains("and 3 more"), "{text:?}");
    assert_eq!(home.run(&["dead-letters", "list", "order"]).await.code, Some(2));

    let name = |id: &str| of(id)["id"].as_str().unwrap().to_owned();
    let shown = home.json(&["dead-letters", "show", &name("1")]).await;
    assert_eq!(
        shown["document"]["n"]["$numberLong"].as_str().or(shown["document"]["n"]["$numberInt"].as_str()),
        Some("-1")
    );
    let shown = home.run(&["dead-letters", "show", &name("4")]).await.succeeded();
    assert!(shown.stdout.contains("t\\xffa") && shown.stdout.contains("update"), "{shown:?}");
    assert_eq!(home.run(&["dead-letters", "show", "0123"]).await.code, Some(2));

    // One is mended, one is gone, the others are as they were.
    collection.update_one(doc! { "_id": 4 }, doc! { "$set": { "item": "tea again" } }).await.unwrap();
    collection.delete_one(doc! { "_id": 3 }).await.unwrap();
    let dry = home.json(&["dead-letters", "retry", "--dry-run"]).await;
    assert_eq!(dry["pipelines"][0]["letters"], 5);
    assert_eq!(home.json(&["dead-letters", "list"]).await.as_array().unwrap().len(), 5);
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "16");
    let ended = home.run(&["dead-letters", "retry", "orders", "--json"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let done = &ended.json()["pipelines"][0];
    assert_eq!((done["written"].as_u64(), done["gone"].as_u64()), (Some(1), Some(2)), "{done}");
    assert_eq!(done["failed"].as_array().unwrap().len(), 2);
    assert_eq!(bench.ask("SELECT item FROM orders_current WHERE _id = 4").await, "tea again");

    bench.ask("ALTER TABLE orders DROP CONSTRAINT positive").await;
    let one = home.run(&["dead-letters", "retry", "--id", &name("1")]).await.succeeded();
    assert!(one.stdout.contains("of 1 dead letters 1 written"), "{one:?}");
    home.run(&["dead-letters", "retry", "orders"]).await.succeeded();
    let status = home.pipeline("orders").await;
    assert_eq!(
        (&status["dead_letters"], &status["dead_letters_by_reason"]),
        (&0.into(), &serde_json::json!({}))
    );
    let rows = "SELECT count(), groupArrayIf(n, _id <= 4) FROM (SELECT * FROM orders_current ORDER BY _id) FORMAT TSV";
    assert_eq!(bench.ask(rows).await, "19\t[-1,-2,4]");
    // The changes of all that are still to come; they are older than the rows that were written.
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask(rows).await, "19\t[-1,-2,4]");
    collection.update_one(doc! { "_id": 1 }, doc! { "$set": { "n": 100 } }).await.unwrap();
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask(rows).await, "19\t[100,-2,4]");
    assert_eq!(home.json(&["dead-letters", "list"]).await.as_array().unwrap().len(), 0);
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_log_and_of_a_cursor_are_written_once() {
    for (mode, more) in [("change-log", ""), ("id-cursor", "settle = \"0s\"")] {
        let bench = Bench::new("letters_log").await;
        bench.fill("orders", orders(1..2)).await;
        let home = Home::between(&bench);
        home.configure(&[("orders", &format!("collection = \"orders\"\nmode = \"{mode}\"\n{more}"))]);
        home.apply().await;
        home.run(&["run", "--once"]).await.succeeded();
        let held: u64 = bench.ask("SELECT count() FROM orders").await.trim().parse().unwrap();
        bench.ask("ALTER TABLE orders ADD CONSTRAINT few CHECK n < 10").await;
        bench.fill("orders", orders(2..15)).await;
        home.run(&["run", "--once"]).await.succeeded();
        let counts = "SELECT count(), uniqExact(_id) FROM orders FORMAT CSV";
        assert_eq!(bench.ask(counts).await, format!("{0},{0}", held + 8), "{mode}");
        let refused = home.run(&["dead-letters", "retry"]).await;
        assert!(refused.code == Some(1) && refused.stdout.contains("5 left"), "{refused:?}");
        bench.ask("ALTER TABLE orders DROP CONSTRAINT few").await;
        // One of them has come by another way.
        if mode == "id-cursor" {
            bench.ask("INSERT INTO orders (_id, n, item) VALUES (12, 12, 'tea')").await;
        }
        home.run(&["dead-letters", "retry"]).await.succeeded();
        assert_eq!(bench.ask(counts).await, format!("{0},{0}", held + 13), "{mode}");
        if mode == "change-log" {
            let operations = "SELECT countIf(_zenith_operation = 'insert'), uniqExact((_zenith_version, _zenith_index)) FROM orders FORMAT CSV";
            assert_eq!(bench.ask(operations).await, "13,13");
        }
        bench.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_removed_only_when_that_is_said() {
    let bench = Bench::new("letters_purge").await;
    old_letters(&bench).await;
    bench.fill("orders", orders(1..3).chain([spoilt(rawdoc! { "_id": 3, "item": "t@a" })])).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    let count = async || bench.ask("SELECT count() FROM zenith_dead_letters").await;
    assert_eq!(count().await, "2", "the older table got the columns it lacked");
    assert_eq!(home.pipeline("orders").await["dead_letters"], 1);
    assert_eq!(home.run(&["dead-letters", "purge"]).await.code, Some(2));
    let would = home.run(&["dead-letters", "purge", "orders"]).await.succeeded();
    assert!(
        would.stdout.contains("would remove 2 dead letters") && would.stdout.contains("--yes"),
        "{would:?}"
    );
    assert_eq!(count().await, "2");
    home.run(&["dead-letters", "purge", "--before", "2026-02-01T00:00:00Z", "--yes"]).await.succeeded();
    assert_eq!(count().await, "1");
    let list = home.json(&["dead-letters", "list"]).await;
    home.run(&["dead-letters", "purge", "--id", list[0]["id"].as_str().unwrap(), "--yes"]).await.succeeded();
    assert_eq!(count().await, "0");
    assert_eq!(home.pipeline("orders").await["dead_letters"], 0);
    let none = home.run(&["dead-letters", "purge", "--all", "--yes"]).await.succeeded();
    assert!(none.stdout.contains("no such dead letters"), "{none:?}");
    bench.remove().await;
}
