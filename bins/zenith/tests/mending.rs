//! `reload` and `reset`: what people do when a table is not as it should be.

use bson::rawdoc;

use crate::harness::{Bench, run};
use crate::home::{Home, stop};

#[tokio::test(flavor = "multi_thread")]
async fn reload_replaces_the_table() {
    let bench = Bench::new("reload").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    bench.ask("TRUNCATE TABLE orders").await;

    let dry = home.run(&["reload", "orders", "--dry-run"]).await.succeeded();
    assert!(dry.stdout.contains("replace the table orders in one step, and drop its 0 rows"), "{dry:?}");
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "0");
    let json = home.json(&["reload", "orders", "--dry-run"]).await;
    assert_eq!((&json["documents"], &json["table_rows"]), (&10.into(), &0.into()));

    let ended = home.run(&["reload", "orders"]).await.succeeded();
    assert!(ended.stdout.starts_with("10 rows in "), "{ended:?}");
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "10");
    bench.fill("orders", [rawdoc! { "_id": 10, "item": "tea" }]).await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "11");
    let ended = home.run(&["reload", "order"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("did you mean orders?"), "{ended:?}");
    bench.remove().await;
}

/// A pipeline that has never run begins with the changes from now on.
#[tokio::test(flavor = "multi_thread")]
async fn reset_of_a_new_pipeline_leaves_out_what_is_there() {
    let bench = Bench::new("reset_new").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    let home = Home::between(&bench);
    home.configure(&[
        ("orders", "collection = \"orders\""),
        ("log", "collection = \"orders\"\nmode = \"change-log\"\ntable = \"orders_log\""),
    ]);
    home.apply().await;
    let dry = home.run(&["reset", "orders", "--from", "now", "--dry-run"]).await.succeeded();
    assert!(
        dry.stdout.contains("has not begun; with this it begins with the changes from now on"),
        "{dry:?}"
    );
    assert!(dry.stdout.contains("The table orders is made if it is not there"), "{dry:?}");
    assert!(bench.tables().await.is_empty());
    for pipeline in ["orders", "log"] {
        home.run(&["reset", pipeline, "--from", "now", "--yes"]).await.succeeded();
    }
    bench.fill("orders", [rawdoc! { "_id": 11, "item": "tea" }]).await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask("SELECT groupArray(_id) FROM orders_current").await, "[11]");
    assert_eq!(bench.ask("SELECT groupArray(_id) FROM orders_log").await, "[11]");
    assert_eq!(home.pipeline("orders").await["state"], "done");
    bench.remove().await;
}

/// The state is lost, and the documents have got a field meanwhile; a table of a copy is taken over.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_state_begins_anew_over_tables_that_zenith_made() {
    let bench = Bench::new("state_lost").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    run(bench.copy("orders", &[])).await.succeeded();
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"")]);
    for documents in [11, 12] {
        bench
            .fill(
                "orders",
                [{
                    let mut document = rawdoc! { "_id": documents, "item": "tea" };
                    document.append(bson::raw::CString::try_from(format!("field{documents}")).unwrap(), 1);
                    document
                }],
            )
            .await;
        home.apply().await;
        let check = home.run(&["check"]).await.succeeded();
        assert!(check.stdout.contains("will be loaded again by the first run"), "{check:?}");
        home.run(&["run", "--once"]).await.succeeded();
        let count = format!("SELECT count(), sum(field{documents}) FROM orders_current");
        assert_eq!(bench.ask(&count).await, format!("{documents}\t1"));
        for file in ["state.sqlite", "state.sqlite-wal", "state.sqlite-shm"] {
            let _ = std::fs::remove_file(home.folder.path().join(file));
        }
    }
    // One that somebody else made is named, with what helps in a pipeline.
    bench.ask("DROP VIEW orders_current").await;
    bench.ask("DROP TABLE orders").await;
    bench.ask("CREATE TABLE orders (_id Int64, mine String) ENGINE = MergeTree ORDER BY _id").await;
    home.apply().await;
    let refused = home.run(&["run", "--once"]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("table = \"") && !refused.stderr.contains("--"), "{refused:?}");
    bench.remove().await;
}

/// `status` tells of a drop that was ignored, also after a restart, until a reload.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_follows_no_more_is_told_until_a_reload() {
    let bench = Bench::new("detached").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"\non_drop = \"ignore\"")]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(home.run(&["status"]).await.code, Some(0));
    bench.databases.mongodb.collection::<bson::Document>("orders").drop().await.unwrap();
    bench.fill("orders", [rawdoc! { "_id": 1, "item": "milk" }]).await;
    for _ in 0..2 {
        home.run(&["run", "--once"]).await.succeeded();
        let pipeline = home.pipeline("orders").await;
        assert!(pipeline["detached_by"].as_str().is_some_and(|by| by.ends_with("was dropped")), "{pipeline}");
        assert!(pipeline["detached_since"].is_string(), "{pipeline}");
        let status = home.run(&["status"]).await;
        assert!(status.code == Some(1) && status.stdout.contains("zenith reload orders"), "{status:?}");
    }
    let child = home.start(&[]).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(home.pipeline("orders").await["detached_by"].is_string());
    stop(child).await;
    home.run(&["reload", "orders"]).await.succeeded();
    assert_eq!(home.run(&["status"]).await.code, Some(0));
    assert!(home.pipeline("orders").await["detached_by"].is_null());
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "1");
    assert_eq!(home.run(&["status"]).await.code, Some(0));
    bench.remove().await;
}

/// A collection that is gone for now is waited for; `status` says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_collection_is_waited_for_and_loaded_anew() {
    let bench = Bench::new("on_drop").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    bench.fill("users", (0..3).map(|n| rawdoc! { "_id": n })).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"\nmode = \"id-cursor\"\non_drop = \"reload\"")]);
    let refused = home.run(&["apply", "--yes"]).await;
    assert!(refused.code == Some(2) && refused.stderr.contains("on_drop of"), "{refused:?}");
    home.configure(&[
        ("orders", "collection = \"orders\"\non_drop = \"reload\""),
        ("users", "collection = \"users\""),
    ]);
    home.apply().await;
    let child = home.start(&[]).await;
    let shows = async |table: &str, count: &str| {
        let sql = format!("SELECT count() FROM {table}_current");
        home.until(&format!("{table} has {count}"), async || {
            bench.databases.clickhouse.query(&sql).await.is_ok_and(|shown| shown == count)
        })
        .await;
    };
    shows("orders", "10").await;
    shows("users", "3").await;
    bench.databases.mongodb.collection::<bson::Document>("orders").drop().await.unwrap();
    home.until_state("orders", "waiting").await;
    let pipeline = home.pipeline("orders").await;
    assert!(pipeline["waiting_for"].as_str().unwrap().contains("was dropped"), "{pipeline}");
    assert_eq!(home.run(&["status"]).await.code, Some(1));
    bench.fill("users", [rawdoc! { "_id": 3 }]).await;
    shows("users", "4").await;
    shows("orders", "10").await;
    bench.fill("orders", (0..4).map(|n| rawdoc! { "_id": n, "item": "milk" })).await;
    shows("orders", "4").await;
    home.until_state("orders", "following").await;
    let verified = home.run(&["verify", "orders"]).await;
    stop(child).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reset_goes_on_from_elsewhere() {
    let bench = Bench::new("reset").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();

    let ended = home.run(&["reset", "orders", "--from", "now"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("--yes"), "{ended:?}");
    let dry = home.run(&["reset", "orders", "--from", "beginning", "--dry-run"]).await.succeeded();
    assert!(dry.stdout.contains("starts over") && dry.stdout.contains("nothing was changed"), "{dry:?}");
    let wrong = home.run(&["reset", "orders", "--from", "yesterday", "--yes"]).await;
    assert!(wrong.code == Some(2) && wrong.stderr.contains("2026-01-31T12:00:00Z"), "{wrong:?}");

    // What happens before `now` is left out, what comes after it is not.
    bench.fill("orders", [rawdoc! { "_id": 10, "item": "tea" }]).await;
    home.run(&["reset", "orders", "--from", "now", "--yes"]).await.succeeded();
    bench.fill("orders", [rawdoc! { "_id": 11, "item": "tea" }]).await;
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "11");
    home.run(&["reset", "orders", "--from", "beginning", "--yes"]).await.succeeded();
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "12");
    bench.remove().await;
}
