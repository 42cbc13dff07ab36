//! Pipelines without progress: states that were lost or are new, over tables that are there; and views that were dropped.

use std::time::{Duration, Instant};

use bson::{Document, doc};
use zenith_engine::{Mode, OnDrop, PipelineSettings, ResetTo, Until};

use crate::incremental::{Follow, items};

fn settings(mode: Mode) -> PipelineSettings {
    PipelineSettings { mode, ..PipelineSettings::default() }
}

async fn insert(follow: &Follow, documents: Vec<Document>) {
    follow.bench.databases.mongodb.collection::<Document>("items").insert_many(documents).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_begins_anew_with_the_columns_of_now() {
    let mut follow = Follow::new("state_lost", settings(Mode::Changes)).await;
    insert(&follow, items(0..100)).await;
    follow.catch_up_well().await;
    follow.query("ALTER TABLE items ADD INDEX fine name TYPE bloom_filter GRANULARITY 1").await;
    follow.query("ALTER TABLE items ADD COLUMN region String DEFAULT 'eu'").await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.update_many(doc! {}, doc! { "$set": { "field": "new", "sub.y": true } }).await.unwrap();
    collection.update_many(doc! {}, doc! { "$unset": { "tags": 1 } }).await.unwrap();
    collection.delete_one(doc! { "_id": 7 }).await.unwrap();
    follow.forget().await;
    follow.catch_up_well().await;
    follow.assert_equal("items_current").await;
    let shown =
        "SELECT count(), countIf(field = 'new'), countIf(sub.y), countIf(region = 'eu') FROM items_current";
    assert_eq!(follow.query(shown).await, "99\t99\t99\t99");
    let made = follow.query(
        "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = 'items'",
    );
    assert!(made.await.contains("INDEX fine"));

    // And over an empty one of other columns.
    follow.query("TRUNCATE TABLE items").await;
    collection.update_many(doc! {}, doc! { "$set": { "later": 1 } }).await.unwrap();
    follow.forget().await;
    let checks = follow.replicator().await.check("items").await;
    assert!(checks.iter().all(|check| check.found.is_ok()), "{checks:?}");
    let table = checks.iter().find(|check| check.what == "target table").unwrap();
    assert!(table.found.as_ref().unwrap().contains("will be loaded again"), "{table:?}");
    follow.catch_up_well().await;
    assert_eq!(follow.query("SELECT count(), sum(later) FROM items_current").await, "99\t99");
    follow.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_log_keeps_its_rows_and_goes_on_from_now() {
    let mut follow = Follow::new("state_lost_log", settings(Mode::ChangeLog)).await;
    insert(&follow, items(0..1)).await;
    follow.catch_up_well().await;
    insert(&follow, items(1..4)).await;
    follow.catch_up_well().await;
    follow.query("ALTER TABLE items ADD COLUMN region String DEFAULT 'eu'").await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    let change = doc! { "$set": { "field": "new", "sub": { "x": 2.5, "y": "z" } }, "$unset": { "tags": 1 } };
    collection.update_many(doc! {}, change).await.unwrap();
    follow.forget().await;
    let checks = follow.replicator().await.check("items").await;
    assert!(checks.iter().all(|check| check.found.is_ok()), "{checks:?}");
    follow.catch_up_well().await;
    assert_eq!(follow.query("SELECT arraySort(groupArray(_id)) FROM items").await, "[1,2,3]");
    insert(
        &follow,
        vec![doc! { "_id": 9, "name": "n", "n": 9, "field": "new", "sub": { "x": 2.5, "y": "z" } }],
    )
    .await;
    follow.catch_up_well().await;
    let shown = "SELECT arraySort(groupArray(_id)), countIf(region = 'eu') FROM items";
    assert_eq!(follow.query(shown).await, "[1,2,3,9]\t4");
    // The field has got a column, and the key of a document a part of one.
    let of_nine =
        "SELECT name, n, sub.x, sub.y, field, length(tags), _zenith_extra = '' FROM items WHERE _id = 9";
    assert_eq!(follow.query(of_nine).await, "n\t9\t2.5\tz\tnew\t0\t1");
    follow.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_somebody_elses_is_left_alone() {
    for mode in [Mode::Changes, Mode::ChangeLog] {
        let follow = Follow::new("state_foreign", settings(mode)).await;
        insert(&follow, items(0..3)).await;
        follow.query("CREATE TABLE items (_id Int64, name String) ENGINE = MergeTree ORDER BY _id").await;
        follow.query("INSERT INTO items VALUES (1, 'mine')").await;
        let error = follow.catch_up().await.error.unwrap();
        assert!(error.is_input() && !error.to_string().contains("--"), "{error}");
        let reset = follow.replicator().await.reset("items", ResetTo::Now).await.unwrap_err();
        assert!(reset.is_input() && !reset.to_string().contains("--"), "{reset}");
        assert_eq!(follow.query("SELECT count(), any(name) FROM items").await, "1\tmine");
        follow.bench.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_pipeline_may_begin_with_the_changes_of_now() {
    for (mode, shown, expected) in
        [(Mode::Changes, "items_current", "[1,7]"), (Mode::ChangeLog, "items", "[1,2,7]")]
    {
        let follow = Follow::new("only_changes", settings(mode)).await;
        let collection = follow.bench.databases.mongodb.collection::<Document>("items");
        insert(&follow, items(0..5)).await;
        follow.replicator().await.reset("items", ResetTo::Now).await.unwrap();
        assert_eq!(follow.query(&format!("SELECT count() FROM {shown}")).await, "0");
        collection.update_one(doc! { "_id": 1 }, doc! { "$set": { "n": -1 } }).await.unwrap();
        collection.delete_one(doc! { "_id": 2 }).await.unwrap();
        insert(&follow, items(7..8)).await;
        follow.catch_up_well().await;
        follow.catch_up_well().await;
        let ids = format!("SELECT arraySort(groupArray(_id)), min(n) FROM {shown}");
        assert_eq!(follow.query(&ids).await, format!("{expected}\t-1"));
        // A second time it has begun, and nothing is made.
        insert(&follow, items(8..9)).await;
        follow.replicator().await.reset("items", ResetTo::Now).await.unwrap();
        follow.catch_up_well().await;
        assert_eq!(follow.query(&ids).await, format!("{expected}\t-1"));
        follow.bench.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_was_dropped_is_made_anew() {
    let follow = Follow::new("view_dropped", settings(Mode::Changes)).await;
    insert(&follow, items(0..10)).await;
    follow.catch_up_well().await;
    follow.query("DROP VIEW items_current").await;
    let checks = follow.replicator().await.check("items").await;
    let view = checks.iter().find(|check| check.what == "view").unwrap();
    assert!(view.found.as_ref().unwrap().contains("will be created again by the next run"), "{view:?}");
    follow.catch_up_well().await;
    assert_eq!(follow.query("SELECT count() FROM items_current").await, "10");

    let replicator = follow.replicator().await;
    let stop = replicator.stop_handle();
    let running = tokio::spawn(async move { replicator.run(Until::Stopped).await.unwrap() });
    let until_shown = async |expected: &str| {
        let begun = Instant::now();
        let count = || follow.bench.databases.clickhouse.query("SELECT count() FROM items_current");
        while count().await.unwrap_or_default().trim() != expected {
            assert!(begun.elapsed() < Duration::from_secs(30), "the view never shows {expected}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    insert(&follow, items(10..11)).await;
    until_shown("11").await;
    follow.query("DROP VIEW items_current").await;
    until_shown("11").await;
    // What has taken its name meanwhile stays.
    follow.query("DROP VIEW items_current").await;
    follow.query("CREATE VIEW items_current AS SELECT 77 AS mine").await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(follow.query("SELECT mine FROM items_current").await, "77");
    stop.stop();
    assert!(running.await.unwrap().iter().all(|outcome| outcome.error.is_none()));
    follow.bench.remove().await;
}

/// A run that ends at once notes it, and so does a reload.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_follows_no_more_is_told_until_a_reload() {
    use zenith_engine::state::StateStore as _;
    let ignoring = PipelineSettings { on_drop: OnDrop::Ignore, ..settings(Mode::Changes) };
    let follow = Follow::new("detached", ignoring).await;
    insert(&follow, items(0..10)).await;
    follow.catch_up_well().await;
    follow.bench.databases.mongodb.collection::<Document>("items").drop().await.unwrap();
    insert(&follow, items(0..3)).await;
    follow.catch_up_well().await;
    let detached = async || {
        let conditions = follow.state.conditions().await.unwrap();
        conditions.into_iter().find_map(|(_, condition)| condition.detached).map(|by| by.reason)
    };
    assert!(detached().await.is_some_and(|reason| reason.ends_with("was dropped")));
    follow.catch_up_well().await;
    assert!(detached().await.is_some());
    follow.replicator().await.reload("items").await.unwrap();
    assert_eq!(detached().await, None);
    follow.catch_up_well().await;
    assert_eq!(detached().await, None);
    follow.assert_equal("items_current").await;

    follow.bench.remove().await;
}
