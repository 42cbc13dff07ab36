//! Real data sets: copied, read back, every document equal.

use zenith_engine::{ReloadOptions, TableOptions};
use zenith_testkit::Published;

use crate::harness::{Bench, small_batches};

#[tokio::test(flavor = "multi_thread")]
async fn published_data_comes_back_equal() {
    let bench = Bench::new("published").await;
    for data in Published::ALL {
        data.load(&bench.databases.mongodb).await.unwrap();
        let (_, summary) = bench.round_trip(data.name(), ReloadOptions::default()).await;
        assert_eq!(summary.dead_letters, 0);
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_does_in_little_batches_read_side_by_side() {
    let bench = Bench::new("published_small").await;
    for data in [Published::Movies, Published::Earthquakes, Published::Countries] {
        data.load(&bench.databases.mongodb).await.unwrap();
        let options = zenith_engine::ReloadOptions {
            table: TableOptions { readers: Some(3), inserters: 3, ..small_batches().table },
            decoders: 2,
            ..small_batches()
        };
        let (_, summary) = bench.round_trip(data.name(), options).await;
        assert!(summary.inserts > 1, "{summary:?}");
    }
    bench.remove().await;
}

/// No data set may explode into thousands of columns.
#[tokio::test(flavor = "multi_thread")]
async fn per_language_keys_stay_bounded() {
    let bench = Bench::new("countries").await;
    Published::Countries.load(&bench.databases.mongodb).await.unwrap();
    let plan = bench.pipeline("countries", ReloadOptions::default()).await.plan().await.unwrap();
    let leaves: usize = plan.schema.fields.iter().map(|field| field.kind.leaves()).sum();
    assert!(leaves < 200, "{leaves} columns: {:#?}", plan.columns);
    bench.remove().await;
}
