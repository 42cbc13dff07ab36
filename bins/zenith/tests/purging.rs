//! Rows of documents that have been gone for long leave the table, and never come back.

use bson::{Document, doc, rawdoc};

use crate::evolving::natively;
use crate::harness::Bench;
use crate::home::{Home, stop};

const PLAIN: &str = "collection = \"orders\"\npurge_deleted = \"1s\"";
const KEYED: &str = "collection = \"orders\"\npurge_deleted = \"1s\"\ntable = \"keyed\"\norder_by = [\"total\"]\npartition_by = \
                     \"total % 3\"";

/// Rows of any kind of documents that are gone or have moved, and rows that are shown.
async fn rows(bench: &Bench, table: &str) -> String {
    let question = format!(
        "SELECT countIf(_id < 100), countIf(_zenith_deleted = 1), (SELECT count() FROM {table}_current) FROM {table}"
    );
    bench.ask(&question).await
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_leave_when_nothing_is_left_that_they_hide() {
    let bench = Bench::new("purging").await;
    let begun = bson::DateTime::now().try_to_rfc3339_string().unwrap();
    bench.fill("orders", (0..200).map(|n| rawdoc! { "_id": n, "total": n })).await;
    let home = natively(&bench).await;
    home.configure(&[("orders", PLAIN), ("keyed", KEYED)]);
    home.apply().await;
    let child = home.start(&["--quiet"]).await;
    let tables = ["orders", "keyed"];
    for table in tables {
        home.until("it is read", async || {
            home.pipeline(table).await["lag_seconds"].is_number()
                && bench
                    .databases
                    .clickhouse
                    .query(&format!("SELECT count() FROM {table}_current"))
                    .await
                    .is_ok_and(|n| n == "200")
        })
        .await;
        bench.ask(&format!("SYSTEM STOP MERGES {table}")).await;
    }
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    let gone = || doc! { "_id": { "$lt": 100 } };
    orders.update_many(gone(), doc! { "$inc": { "total": 1_000 } }).await.unwrap();
    for table in tables {
        let moved = format!("SELECT countIf(total >= 1000) FROM {table}_current");
        home.until("they are updated", async || bench.ask(&moved).await == "100").await;
    }
    orders.delete_many(gone()).await.unwrap();
    for table in tables {
        let shown = format!("SELECT count() FROM {table}_current");
        home.until("they are deleted", async || bench.ask(&shown).await == "100").await;
    }
    // Without merges nothing leaves, however long ago it was.
    let open = |table: &str| {
        format!(
            "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND table = '{table}' AND NOT is_done"
        )
    };
    for table in tables {
        home.until("a mutation waits", async || bench.ask(&open(table)).await == "1").await;
    }
    // The change after the deletions, and a document that is made again.
    orders.update_one(doc! { "_id": 150 }, doc! { "$set": { "total": 5_000 } }).await.unwrap();
    orders.insert_one(doc! { "_id": 7, "total": 7_777 }).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(rows(&bench, "orders").await, "301\t100\t101");
    for table in tables {
        assert_eq!(bench.ask(&format!("SELECT count() FROM {table}_current WHERE _id < 100")).await, "1");
        bench.ask(&format!("SYSTEM START MERGES {table}")).await;
    }
    for table in tables {
        home.until("they are gone", async || rows(&bench, table).await == "1\t0\t101").await;
    }
    // A kill while they leave.
    let mut child = child;
    for table in tables {
        bench.ask(&format!("SYSTEM STOP MERGES {table}")).await;
    }
    orders.delete_many(doc! { "_id": { "$gte": 100, "$lt": 150 } }).await.unwrap();
    for table in tables {
        home.until("a mutation waits", async || bench.ask(&open(table)).await == "1").await;
    }
    child.kill().await.unwrap();
    child.wait().await.unwrap();
    for table in tables {
        bench.ask(&format!("SYSTEM START MERGES {table}")).await;
        home.until("the mutation is done", async || bench.ask(&open(table)).await == "0").await;
        assert_eq!(bench.ask(&format!("SELECT count() FROM {table}_current")).await, "51");
    }
    let child = home.start(&["--quiet"]).await;
    for table in tables {
        home.until("they are gone", async || rows(&bench, table).await == "1\t0\t51").await;
        bench.ask(&format!("OPTIMIZE TABLE {table} FINAL")).await;
        assert_eq!(rows(&bench, table).await, "1\t0\t51");
        home.run(&["verify", table]).await.succeeded();
    }
    stop(child).await.succeeded();
    // What is applied a second time comes with its deletion.
    home.run(&["reset", "orders", "--from", &begun, "--yes"]).await.succeeded();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "51");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_end_take_a_step_each() {
    let bench = Bench::new("purging_once").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "total": n })).await;
    let home = Home::between(&bench);
    for (more, part) in [
        ("\ndeletes = \"mark\"", "deletes keeps"),
        ("\nmode = \"change-log\"", "a ttl of the table"),
        ("\nmode = \"id-cursor\"", "no rows of documents that are gone"),
    ] {
        home.configure(&[("orders", &format!("{PLAIN}{more}"))]);
        let ended = home.run(&["apply", "--yes"]).await;
        assert!(ended.code == Some(2) && ended.stderr.contains(part), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    home.configure(&[("orders", PLAIN)]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    orders.delete_many(doc! { "_id": { "$lt": 4 } }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    home.until("they are gone", async || {
        home.run(&["run", "--once", "--quiet"]).await.succeeded();
        bench.ask("SELECT count() FROM orders").await == "6"
    })
    .await;
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

/// A mutation that fails holds up those behind it, which is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_that_fails_is_told() {
    let bench = Bench::new("purging_failing").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "total": n })).await;
    let home = natively(&bench).await;
    home.configure(&[("orders", PLAIN)]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    orders.delete_many(doc! { "_id": { "$lt": 4 } }).await.unwrap();
    bench.ask("ALTER TABLE orders UPDATE total = throwIf(1, 'broken on purpose') WHERE 1 SETTINGS mutations_sync = 0").await;
    home.until("the mutation has failed", async || {
        let failed = "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND table = 'orders' AND \
                      latest_fail_reason != ''";
        bench.ask(failed).await == "1"
    })
    .await;
    let ended = home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let told: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("purge_deleted is set")).collect();
    assert!(
        told.len() == 1
            && told[0].contains("broken on purpose")
            && told[0].contains("KILL MUTATION WHERE table = 'orders'"),
        "{ended:?}"
    );
    // Once, while it follows.
    let child = home.start(&["--quiet"]).await;
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    bench.ask("KILL MUTATION WHERE database = currentDatabase() AND table = 'orders' SYNC").await;
    home.until("they are gone", async || bench.ask("SELECT count() FROM orders").await == "6").await;
    let ended = stop(child).await.succeeded();
    assert_eq!(ended.stderr.matches("purge_deleted is set").count(), 1, "{ended:?}");
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}
