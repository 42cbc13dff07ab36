//! Deletions that do not reach the table: an archive of all documents that there ever were.

use bson::{Document, doc, rawdoc};

use crate::harness::Bench;
use crate::home::{Home, stop};

const IGNORE: &str = "collection = \"orders\"\ndeletes = \"ignore\"\n";

async fn fill(bench: &Bench, range: std::ops::Range<i32>) {
    bench.fill("orders", range.map(|n| rawdoc! { "_id": n, "total": n, "mail": format!("m{n}") })).await;
}

/// Deletes some, changes others, and one before it deletes it; makes one again that was deleted.
async fn change(bench: &Bench, first: i32) {
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    let within = |from: i32, to: i32| doc! { "_id": { "$gte": first + from, "$lt": first + to } };
    orders.delete_many(within(0, 10)).await.unwrap();
    orders.update_many(within(10, 20), doc! { "$inc": { "total": 1_000 } }).await.unwrap();
    orders.update_one(within(20, 21), doc! { "$set": { "total": -1 } }).await.unwrap();
    orders.delete_one(within(20, 21)).await.unwrap();
    orders.insert_one(doc! { "_id": first + 5, "total": -5 }).await.unwrap();
    orders.replace_one(within(30, 31), doc! { "total": -30 }).await.unwrap();
}

async fn is_an_archive(bench: &Bench, home: &Home, first: i32) {
    let within = format!("FROM orders_current WHERE _id >= {first} AND _id < {}", first + 100);
    let sums =
        format!("SELECT count(), countIf(total >= 1000), countIf(total = -5), countIf(total = -30) {within}");
    assert_eq!(bench.ask(&sums).await, "100\t10\t1\t1");
    // What is gone has the values that it had; of a change right before its end nothing may be known any more.
    let gone = format!(
        "SELECT countIf(total = _id AND mail = concat('m', toString(_id))) {within} AND _id < {} AND _id != {}",
        first + 10,
        first + 5
    );
    assert_eq!(bench.ask(&gone).await, "9");
    let ended =
        bench.ask(&format!("SELECT total IN ({}, -1) {within} AND _id = {}", first + 20, first + 20)).await;
    assert_eq!(ended, "1");
    home.run(&["verify", "orders"]).await.succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_keeps_the_rows_of_documents_that_are_gone() {
    let bench = Bench::new("deletes_ignored").await;
    fill(&bench, 0..300).await;
    let home = Home::between(&bench);
    home.configure(&[
        ("orders", IGNORE),
        ("log", "collection = \"orders\"\ntable = \"log\"\nmode = \"change-log\"\ndeletes = \"ignore\""),
    ]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    change(&bench, 0).await;
    home.run(&["run", "--once"]).await.succeeded();
    is_an_archive(&bench, &home, 0).await;
    let mut running = home.start(&[]).await;
    change(&bench, 100).await;
    running.kill().await.unwrap();
    let running = home.start(&[]).await;
    change(&bench, 200).await;
    let changed = "SELECT countIf(total = -30) FROM orders_current";
    home.until("the changes are in the table", async || bench.ask(changed).await == "3").await;
    stop(running).await.succeeded();
    home.run(&["run", "--once"]).await.succeeded();
    for first in [0, 100, 200] {
        is_an_archive(&bench, &home, first).await;
    }
    let operations =
        "SELECT arrayStringConcat(arraySort(groupUniqArray(_zenith_operation)), ' '), count() FROM log";
    assert_eq!(bench.ask(operations).await, "insert replace update\t39");
    // It still has to have what there is.
    bench.ask("INSERT INTO orders (_id, total, _zenith_version) VALUES (250, 7, 18446744073709551615)").await;
    let ended = home.run(&["verify", "orders"]).await;
    assert!(ended.code == Some(1) && ended.stdout.contains("250"), "{ended:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_not_loaded_again() {
    let bench = Bench::new("deletes_refused").await;
    fill(&bench, 0..100).await;
    let home = Home::between(&bench);
    for (more, part) in [
        ("mode = \"full\"", "mode full"),
        ("mode = \"id-cursor\"", "id-cursor"),
        ("on_drop = \"reload\"", "on_drop"),
        ("on_drop = \"truncate\"", "on_drop"),
        ("on_history_lost = \"reload\"", "on_history_lost"),
        ("filter = '{\"total\": 1}'", "filter"),
    ] {
        home.configure(&[("orders", &format!("{IGNORE}{more}"))]);
        let ended = home.run(&["apply", "--yes"]).await;
        assert!(
            ended.code == Some(2) && ended.stderr.contains("line 9") && ended.stderr.contains(part),
            "{ended:?}"
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    home.configure(&[("orders", IGNORE)]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    change(&bench, 0).await;
    home.run(&["run", "--once"]).await.succeeded();
    let refused = async |arguments: &[&str]| {
        let ended = home.run(arguments).await;
        assert!(!matches!(ended.code, Some(0)), "{ended:?}");
        assert!(
            ended.stderr.contains("rows of documents that are gone") && ended.stderr.contains("tombstone"),
            "{ended:?}"
        );
        is_an_archive(&bench, &home, 0).await;
    };
    let beginning = &["reset", "orders", "--from", "beginning", "--yes"][..];
    for arguments in [&["reload", "orders"][..], &["reload", "orders", "--dry-run"], beginning] {
        refused(arguments).await;
    }
    let running = home.start(&[]).await;
    refused(&["reload", "orders"]).await;
    stop(running).await.succeeded();
    // Without its place it would be loaded again as well.
    let other = Home::between(&bench);
    other.configure(&[("orders", IGNORE)]);
    other.apply().await;
    for arguments in [&["check"][..], &["run", "--once"]] {
        let ended = other.run(arguments).await;
        let told = ended.stdout.clone() + &ended.stderr;
        assert!(ended.code != Some(0) && told.contains("rows of documents that are gone"), "{ended:?}");
    }
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "100");
    // They go when they are let go.
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(home.run(&["verify", "orders"]).await.code, Some(1));
    home.run(&["reload", "orders"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "90");
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}
