//! One pipeline is mended beside a `zenith run`, which continues with the others.

use std::time::Duration;

use bson::{doc, rawdoc};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;

use crate::harness::{Bench, Ended, ended};
use crate::home::{Home, stop};

/// Two pipelines, `orders` and `items`, of collections with a hundred documents each, that a run follows.
struct Beside {
    bench: Bench,
    home: Home,
    run: Option<Child>,
}

impl Beside {
    async fn begin(label: &str) -> Beside {
        let bench = Bench::new(label).await;
        for collection in ["orders", "items"] {
            bench.fill(collection, (0..100).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
        }
        let home = Home::between(&bench);
        // Not many rows go at once, so that a load may take its time.
        home.configure(&[
            ("orders", "collection = \"orders\"\nbatch_rows = 10\nreaders = 1\non_drop = \"stop\""),
            ("items", "collection = \"items\""),
        ]);
        home.apply().await;
        let run = home.start(&[]).await;
        let beside = Beside { bench, home, run: Some(run) };
        for table in ["orders", "items"] {
            beside.until_rows(table, 100).await;
        }
        beside
    }

    async fn rows(&self, table: &str) -> String {
        let question = format!("SELECT count() FROM {table}_current");
        self.bench.databases.clickhouse.query(&question).await.unwrap_or_default()
    }

    async fn until_rows(&self, table: &str, rows: i32) {
        let what = format!("{rows} rows in {table}");
        self.home.until(&what, async || self.rows(table).await == rows.to_string()).await;
    }

    async fn insert(&self, collection: &str, id: i32) {
        let collection = self.bench.databases.mongodb.collection::<bson::Document>(collection);
        collection.insert_one(doc! { "_id": id, "item": "tea" }).await.unwrap();
    }

    /// Each row of orders takes so long to be written, in a new table as well.
    async fn slow_down(&self, seconds: f64) {
        let statement =
            format!("ALTER TABLE orders ADD COLUMN slow UInt8 MATERIALIZED sleepEachRow({seconds})");
        self.bench.ask(&statement).await;
    }

    /// Begins a command, and waits until the run is at it.
    async fn reload(&self, arguments: &[&str]) -> Child {
        let child = self.home.command(&[&["reload", "orders"], arguments].concat()).spawn().unwrap();
        let loading = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name LIKE 'orders\\_\\_zenith%'";
        self.home
            .until("the new table is there", async || {
                self.bench.ask(loading).await.trim().parse::<u32>().unwrap() > 0
            })
            .await;
        child
    }

    /// How many runs of a pipeline the history has.
    async fn runs(&self, pipeline: &str) -> usize {
        self.home.json(&["history", pipeline]).await.as_array().unwrap().len()
    }

    async fn end(mut self) {
        stop(self.run.take().unwrap()).await.succeeded();
        self.bench.remove().await;
    }
}

fn interrupt(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), signal).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_table_is_reloaded_and_the_other_follows_meanwhile() {
    let beside = Beside::begin("beside").await;
    beside.bench.ask("DELETE FROM orders WHERE _id < 50").await;
    assert_eq!(beside.rows("orders").await, "50");
    beside.slow_down(0.05).await;

    let mut child = beside.reload(&["--json"]).await;
    let mut arrived = 0;
    while child.try_wait().unwrap().is_none() {
        beside.insert("items", 100 + arrived).await;
        beside.until_rows("items", 101 + arrived).await;
        assert!(["50", "100"].contains(&beside.rows("orders").await.as_str()));
        arrived += 1;
    }
    assert!(arrived >= 3, "{arrived} changes arrived meanwhile");
    let ended = ended(child).await.succeeded();
    let summary = ended.json();
    assert_eq!((&summary["rows"], &summary["table"]), (&100.into(), &"orders".into()), "{ended:?}");

    // It follows on, and neither pipeline was started over.
    beside.insert("orders", 100).await;
    beside.until_rows("orders", 101).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((beside.runs("orders").await, beside.runs("items").await), (1, 1));
    let wrong = beside.home.run(&["reload", "orders", "--max-extra", "0", "--quiet"]).await.succeeded();
    assert_eq!((wrong.stdout.as_str(), wrong.stderr.as_str()), ("", ""));
    let equal = beside.home.run(&["verify", "orders"]).await;
    assert_eq!(equal.code, Some(0), "{equal:?}");
    beside.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_is_reset_while_the_other_goes_on() {
    let beside = Beside::begin("beside_reset").await;
    beside.bench.ask("TRUNCATE TABLE orders").await;
    let ended = beside.home.run(&["reset", "orders", "--from", "beginning", "--yes"]).await.succeeded();
    assert!(ended.stdout.ends_with("reset\n"), "{ended:?}");
    beside.until_rows("orders", 100).await;

    beside.home.run(&["reset", "orders", "--from", "now", "--yes"]).await.succeeded();
    beside.insert("orders", 100).await;
    beside.until_rows("orders", 101).await;
    let refused = beside.home.run(&["reset", "orders", "--from", "82AB0000000000000000", "--yes"]).await;
    assert!(matches!(refused.code, Some(1 | 2)) && refused.stderr.starts_with("zenith: "), "{refused:?}");
    beside.insert("orders", 101).await;
    beside.until_rows("orders", 102).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((beside.runs("orders").await, beside.runs("items").await), (1, 1));
    beside.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_taken_back_by_a_signal() {
    let beside = Beside::begin("beside_cancel").await;
    beside.slow_down(0.1).await;
    let child = beside.reload(&[]).await;
    beside.insert("orders", 100).await;
    interrupt(&child, Signal::SIGINT);
    let Ended { code, stdout, stderr } = ended(child).await;
    assert_eq!((code, stdout.as_str()), (Some(130), ""), "{stderr}");
    assert!(stderr.contains("cancelling the request"), "{stderr}");
    // The table is the old one, and follows on.
    beside.until_rows("orders", 101).await;
    beside.home.until_state("orders", "following").await;
    assert_eq!(beside.runs("orders").await, 1);
    beside.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_says_so_or_leaves_it_to_the_command() {
    let mut beside = Beside::begin("beside_end").await;
    beside.slow_down(0.1).await;
    let child = beside.reload(&[]).await;
    let mut run = beside.run.take().unwrap();
    interrupt(&run, Signal::SIGKILL);
    run.wait().await.unwrap();
    let killed = ended(child).await;
    assert_eq!(killed.code, Some(1), "{killed:?}");
    assert!(killed.stderr.contains("has ended; the same command does it now"), "{killed:?}");

    beside.run = Some(beside.home.start(&[]).await);
    beside.home.until_state("orders", "following").await;
    let child = beside.home.command(&["reload", "orders"]).spawn().unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    stop(beside.run.take().unwrap()).await.succeeded();
    let stopped = ended(child).await;
    assert_eq!(stopped.code, Some(1), "{stopped:?}");
    assert!(stopped.stderr.contains("was stopped before it was done"), "{stopped:?}");
    assert_eq!(beside.rows("orders").await, "100");
    beside.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_is_paused_or_has_failed_is_reloaded_as_well() {
    let beside = Beside::begin("beside_paused").await;
    beside.home.run(&["pipeline", "pause", "orders"]).await.succeeded();
    beside.home.until_state("orders", "paused").await;
    beside.insert("orders", 100).await;
    beside.home.run(&["reload", "orders"]).await.succeeded();
    beside.until_rows("orders", 101).await;
    assert_eq!(beside.home.pipeline("orders").await["state"], "paused");
    beside.home.run(&["pipeline", "resume", "orders"]).await.succeeded();
    beside.insert("orders", 101).await;
    beside.until_rows("orders", 102).await;

    let collection = beside.bench.databases.mongodb.collection::<bson::Document>("orders");
    collection.drop().await.unwrap();
    beside.home.until_state("orders", "failed").await;
    let before = beside.runs("items").await;
    beside.bench.fill("orders", (0..7).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    beside.home.run(&["reload", "orders"]).await.succeeded();
    beside.until_rows("orders", 7).await;
    beside.insert("orders", 7).await;
    beside.until_rows("orders", 8).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(beside.runs("items").await, before);
    beside.end().await;
}
