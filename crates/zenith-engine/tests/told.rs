//! What does not fit is counted with the rows it is of, however often a process ends in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bson::{Document, doc};
use zenith_engine::state::StateStore;
use zenith_engine::{Mode, OnNewField, PipelineSettings, TableOptions, Until};

use crate::incremental::Follow;

const ROUNDS: i32 = 24;
/// Changes of a round.
const CHANGES: i32 = 40;

/// A process that is killed leaves what it was doing where it was: here its runtime goes, at some moment of each round.
/// The repeats of the next rounds count nothing twice, and nothing is forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_repeats_counts_once() {
    for mode in [Mode::Changes, Mode::ChangeLog, Mode::IdCursor] {
        let settings = PipelineSettings {
            options: TableOptions {
                batch_rows: 7,
                on_new_field: OnNewField::Extra,
                ..TableOptions::default()
            },
            mode,
            flush_interval: Duration::from_millis(10),
            poll_interval: Duration::from_millis(10),
            settle: Duration::ZERO,
            flush_rows: 7,
            ..PipelineSettings::default()
        };
        let follow = Arc::new(Follow::new("told", settings).await);
        let collection = follow.bench.databases.mongodb.collection::<Document>("items");
        collection.insert_one(doc! { "_id": 0, "n": 1 }).await.unwrap();
        follow.catch_up_well().await;
        let counted = async || follow.state.mismatches("items", None).await.unwrap();
        assert!(counted().await.is_empty());

        let mut cut_short = 0;
        for round in 0..ROUNDS {
            let odd = |n: i32| doc! { "_id": 1 + round * CHANGES + n, "n": 1, "gift": { "note": "hi" } };
            collection.insert_many((0..CHANGES).map(odd)).await.unwrap();
            let length = Duration::from_millis(u64::from(40 + 25 * round.unsigned_abs()));
            let follow = Arc::clone(&follow);
            let process = move || {
                let runtime =
                    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
                let runtime = runtime.unwrap();
                runtime.block_on(async {
                    let running = async { follow.replicator().await.run(Until::Stopped).await };
                    tokio::time::timeout(length, running).await.expect_err("it runs until it is killed");
                });
                runtime.shutdown_timeout(Duration::from_secs(5));
            };
            tokio::task::spawn_blocking(process).await.unwrap();
            let before = u64::try_from((round + 1) * CHANGES).unwrap();
            cut_short += u64::from(counted().await.values_total() < before);
        }
        assert!(cut_short > 0, "no round ended in the middle of its work");
        follow.catch_up_well().await;
        let expected = u64::try_from(ROUNDS * CHANGES).unwrap();
        assert_eq!(
            counted().await.values,
            BTreeMap::from([("gift".to_owned(), BTreeMap::from([("no column".to_owned(), expected)]))]),
            "{mode:?}"
        );
        let table = if mode == Mode::Changes { "items_current" } else { "items" };
        assert_eq!(
            follow.query(&format!("SELECT uniqExact(_id) FROM {table} WHERE _id > 0")).await,
            expected.to_string()
        );
        Arc::into_inner(follow).unwrap().bench.remove().await;
    }
}
