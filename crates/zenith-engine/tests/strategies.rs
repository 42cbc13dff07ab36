//! Swap and truncate, what readers see meanwhile, and stopping.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bson::rawdoc;
use zenith_engine::{EngineError, ReloadOptions, Strategy, TableOptions};
use zenith_testkit::{Shape, load};

use crate::harness::{Bench, small_batches};

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_the_old_count_or_the_new_one() {
    let bench = Bench::new("swap").await;
    load::generate(&bench.databases.mongodb, "events", Shape::Events, 1, 0..20_000).await.unwrap();
    bench.copy("events", ReloadOptions::default()).await;
    load::generate(&bench.databases.mongodb, "events", Shape::Events, 1, 20_000..60_000).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let poller = tokio::spawn({
        let (clickhouse, done) = (bench.databases.clickhouse.clone(), Arc::clone(&done));
        async move {
            let mut seen = Vec::new();
            loop {
                let last = done.load(Ordering::Relaxed);
                let text = clickhouse.query("SELECT count() FROM events").await.unwrap();
                seen.push(text.trim().parse::<u64>().unwrap());
                if last {
                    return seen;
                }
            }
        }
    });
    bench
        .copy(
            "events",
            ReloadOptions {
                table: TableOptions { batch_rows: 2_000, ..TableOptions::default() },
                ..ReloadOptions::default()
            },
        )
        .await;
    done.store(true, Ordering::Relaxed);
    let seen = poller.await.unwrap();
    assert!(seen.iter().all(|count| [20_000, 60_000].contains(count)), "{seen:?}");
    assert!(seen.is_sorted() && seen[0] == 20_000 && seen.last() == Some(&60_000), "{seen:?}");
    assert!(seen.len() > 10, "the poller looked only {} times", seen.len());
    assert_eq!(bench.tables().await, ["events"], "no shadow table stays");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merges_run_again_after_publication() {
    let bench = Bench::new("merges").await;
    bench.fill("t", (0..1000).map(|n| rawdoc! { "_id": n })).await;
    bench.copy("t", small_batches()).await;
    let sql = bench.databases.clickhouse.query("SHOW CREATE TABLE t FORMAT TSVRaw").await.unwrap();
    assert!(
        !sql.contains("max_bytes_to_merge_at_max_space_in_pool")
            && !sql.contains("wide_part")
            && !sql.contains("being loaded"),
        "{sql}"
    );
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_and_the_last_inserts_are_smaller() {
    let bench = Bench::new("sizes").await;
    bench.fill("t", (0..1000).map(|n| rawdoc! { "_id": n })).await;
    let (_, summary) = bench
        .copy(
            "t",
            ReloadOptions {
                table: TableOptions { batch_rows: 400, inserters: 2, ..small_batches().table },
                decoders: 1,
                ..small_batches()
            },
        )
        .await;
    assert_eq!((summary.rows, summary.inserts), (1000, 6), "100, 400, 250, 125, 100 and 25 rows");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn truncate_loads_in_place() {
    let bench = Bench::new("truncate").await;
    let options = || ReloadOptions {
        table: TableOptions { strategy: Strategy::Truncate, ..small_batches().table },
        ..small_batches()
    };
    bench.fill("t", (0..1000).map(|n| rawdoc! { "_id": n, "v": n })).await;
    bench.round_trip("t", options()).await;
    bench.collection("t").delete_many(bson::doc! { "_id": { "$lt": 500 } }).await.unwrap();
    bench
        .databases
        .clickhouse
        .query("ALTER TABLE t ADD COLUMN double Int64 MATERIALIZED v * 2")
        .await
        .unwrap();
    let before = bench
        .databases
        .clickhouse
        .query("SELECT uuid FROM system.tables WHERE name = 't' AND database = currentDatabase()");
    let before = before.await.unwrap();
    bench.copy("t", options()).await;
    assert_eq!(bench.count("t").await, 500);
    let after = bench
        .databases
        .clickhouse
        .query("SELECT uuid FROM system.tables WHERE name = 't' AND database = currentDatabase()");
    assert_eq!(after.await.unwrap(), before, "the table stays the same one");
    bench.remove().await;
}

/// A reload of equal data is a new one: none of its inserts may be taken for a repeat.
#[tokio::test(flavor = "multi_thread")]
async fn reloading_equal_data_loads_it_again() {
    let bench = Bench::new("again").await;
    bench.fill("t", (0..1000).map(|n| rawdoc! { "_id": n })).await;
    for strategy in [Strategy::Swap, Strategy::Swap, Strategy::Truncate, Strategy::Truncate] {
        bench
            .round_trip(
                "t",
                ReloadOptions {
                    table: TableOptions { strategy, ..small_batches().table },
                    ..small_batches()
                },
            )
            .await;
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_leaves_the_old_table_and_no_shadow() {
    let bench = Bench::new("stop").await;
    load::generate(&bench.databases.mongodb, "events", Shape::Events, 1, 0..1_000).await.unwrap();
    bench.copy("events", ReloadOptions::default()).await;
    load::generate(&bench.databases.mongodb, "events", Shape::Events, 1, 1_000..100_000).await.unwrap();
    let pipeline = bench.pipeline("events", small_batches()).await;
    let (stop, progress) = (pipeline.stop_handle(), pipeline.progress());
    let stopper = tokio::spawn(async move {
        while progress.snapshot().rows_written == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.stop();
        Instant::now()
    });
    let outcome = pipeline.run().await;
    let waited = stopper.await.unwrap().elapsed();
    assert!(matches!(outcome, Err(EngineError::Stopped)), "{outcome:?}");
    assert!(waited < Duration::from_secs(10), "{waited:?}");
    assert_eq!(bench.tables().await, ["events"]);
    assert_eq!(bench.count("events").await, 1_000);
    bench.remove().await;
}
