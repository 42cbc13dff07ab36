//! Writes that a pipeline repeats: dead letters wait for their target as rows do, and a token that the target knows is no
//! proof of the rows.

use std::time::Duration;

use bson::{Document, RawDocumentBuf, doc, rawdoc};
use zenith_engine::{Mode, PipelineSettings, Until};
use zenith_testkit::{Fault, FaultProxy, Plan};

use crate::incremental::{Follow, TestReplicator, items};

/// The target's database behind a proxy.
async fn proxied(follow: &Follow, retry_budget: Duration) -> (FaultProxy, TestReplicator) {
    let clickhouse = &follow.bench.databases.clickhouse;
    let proxy = FaultProxy::start(format!("{}:{}", clickhouse.host(), clickhouse.port())).await.unwrap();
    let address = format!("http://{}/{}", proxy.address(), follow.bench.databases.name);
    let replicator = follow.replicator_within(&address, retry_budget).await;
    (proxy, replicator)
}

async fn eventually(follow: &Follow, sql: &str, expected: &str) {
    for _ in 0..1_200 {
        if follow.query(sql).await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{sql} is {} and not {expected}", follow.query(sql).await);
}

/// A document whose text is not UTF-8.
fn damaged(id: i32) -> RawDocumentBuf {
    let mut bytes = rawdoc! { "_id": id, "name": "ab" }.into_bytes();
    let at = bytes.windows(2).position(|two| two == b"ab").unwrap();
    bytes[at] = 0xFF;
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_wait_for_their_target_as_rows_do() {
    let follow = Follow::new("letters_wait", PipelineSettings::default()).await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_many(items(0..10)).await.unwrap();
    follow.catch_up_well().await;
    let (proxy, replicator) = proxied(&follow, Duration::from_secs(60)).await;
    let stop = replicator.stop_handle();
    let running = tokio::spawn(async move { replicator.run(Until::Stopped).await.unwrap() });
    collection.insert_many(items(10..20)).await.unwrap();
    eventually(&follow, "SELECT count() FROM items_current", "20").await;
    // More failures in a row than an insert of a load is tried for, and for longer.
    proxy.plan(Plan::new(Fault::Refuse).times(9).when_client_sends("zenith_dead_letters"));
    let raw = follow.bench.databases.mongodb.collection::<RawDocumentBuf>("items");
    raw.insert_one(damaged(100)).await.unwrap();
    // The table is made with its first letter.
    let letters = "SELECT sum(total_rows) FROM system.tables WHERE database = currentDatabase() AND name = 'zenith_dead_letters'";
    eventually(&follow, letters, "1").await;
    assert_eq!(proxy.faults(), 9);
    stop.stop();
    let outcomes = running.await.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.error.is_none()), "{outcomes:?}");
    follow.bench.remove().await;
}

/// A server that is killed between noting a token and keeping the rows takes the repeat for done. Rows that are
/// removed behind its back leave it in the same state.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_known_token_has_not_left_are_inserted_anew() {
    for (label, mode) in
        [("known_row", Mode::Changes), ("known_log", Mode::ChangeLog), ("known_id", Mode::IdCursor)]
    {
        let settings = PipelineSettings { mode, ..PipelineSettings::default() };
        let follow = Follow::new(label, settings).await;
        let collection = follow.bench.databases.mongodb.collection::<Document>("items");
        collection.insert_many(items(0..10)).await.unwrap();
        follow.catch_up_well().await;
        let before = follow.query("SELECT count() FROM items").await;
        collection.insert_many(items(10..20)).await.unwrap();
        let (proxy, replicator) = proxied(&follow, Duration::from_secs(2)).await;
        proxy.plan(
            Plan::new(Fault::lose_answer()).times(1_000).when_client_sends("insert_deduplication_token"),
        );
        let outcomes = replicator.run(Until::CaughtUp).await.unwrap();
        assert!(outcomes[0].error.is_some(), "{label}: no answer was lost");
        assert_eq!(follow.open_intents().await, 1, "{label}: the insert is not known to be done");
        let landed = "SELECT count() FROM items WHERE _id >= 10";
        assert_eq!(follow.query(landed).await, "10", "{label}: the rows have landed");
        follow.query("DELETE FROM items WHERE _id >= 10").await;
        assert_eq!(follow.query(landed).await, "0", "{label}");
        follow.catch_up_well().await;
        assert_eq!(follow.query(landed).await, "10", "{label}: and are there again");
        assert_eq!(follow.query("SELECT count() FROM items WHERE _id < 10").await, before, "{label}");
        assert_eq!(follow.open_intents().await, 0, "{label}");
        follow.bench.remove().await;
    }
}

/// A replay finds one letter in the table, does not find another one, and meets a document that has become bad since.
#[tokio::test(flavor = "multi_thread")]
async fn letters_are_written_once_each_though_their_insert_is_repeated_with_others() {
    for (label, mode) in
        [("once_row", Mode::Changes), ("once_log", Mode::ChangeLog), ("once_id", Mode::IdCursor)]
    {
        let settings = PipelineSettings { mode, ..PipelineSettings::default() };
        let follow = Follow::new(label, settings).await;
        let collection = follow.bench.databases.mongodb.collection::<Document>("items");
        let raw = follow.bench.databases.mongodb.collection::<RawDocumentBuf>("items");
        collection.insert_many(items(0..10)).await.unwrap();
        follow.catch_up_well().await;
        collection.update_one(doc! { "_id": 5 }, doc! { "$set": { "a": 7 } }).await.unwrap();
        raw.insert_many([damaged(100), damaged(101)]).await.unwrap();
        let (proxy, replicator) = proxied(&follow, Duration::from_secs(2)).await;
        proxy.plan(Plan::new(Fault::lose_answer()).when_client_sends("-dead-"));
        let running = tokio::spawn(async move { replicator.run(Until::CaughtUp).await.unwrap() });
        while proxy.faults() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // Otherwise the run would look the letters up and find them.
        proxy.plan(Plan::new(Fault::Refuse).times(1_000).when_client_sends("zenith_dead_letters"));
        let outcomes = running.await.unwrap();
        assert!(outcomes[0].error.is_some(), "{label}: no answer was lost");
        assert_eq!(follow.open_intents().await, 1, "{label}: the insert is not known to be done");
        let letters = "SELECT groupArray(JSONExtractString(id, '$numberInt')) FROM (SELECT id FROM zenith_dead_letters \
             ORDER BY version, index, id)";
        assert_eq!(follow.query(letters).await, "['100','101']", "{label}: the letters have landed");
        follow.query("DELETE FROM zenith_dead_letters WHERE id LIKE '%101%'").await;
        raw.replace_one(doc! { "_id": 5 }, damaged(5)).await.unwrap();
        follow.catch_up_well().await;
        // One of the update, whose document is the damaged one by now, and one of the replacement.
        let expected = match mode {
            Mode::IdCursor => "['100','101']",
            _ => "['5','100','101','5']",
        };
        assert_eq!(follow.query(letters).await, expected, "{label}");
        assert_eq!(follow.open_intents().await, 0, "{label}");
        follow.bench.remove().await;
    }
}
