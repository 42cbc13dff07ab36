//! An oplog that is soon full: what lags behind is lost and says so, what is merely idle is not.

use std::time::{Duration, Instant};

use bson::doc;
use mongodb::Client;
use zenith_extract::change_test_suite::read;
use zenith_extract::{
    ChangeReader, ChangeSource, ExtractError, MongoSource, ReplyBudget, ResumeToken, StartAt, WatchOptions,
};
use zenith_memory::Pool;
use zenith_testkit::{MongoOptions, MongoServer};

use super::{BOTH, assert_numbered, numbered, watching};
use crate::servers;

const OPLOG_MIB: u32 = 4;

async fn small_oplog() -> (MongoServer, Client) {
    let options = MongoOptions {
        cache_mib: 256,
        oplog_mib: OPLOG_MIB,
        checkpoint_seconds: Some(1),
        ..Default::default()
    };
    let server = MongoServer::start(options).await.unwrap();
    let client = servers::client(&server.uri()).await;
    (server, client)
}

/// Writes elsewhere until the oplog no longer has what it has now.
async fn roll_over(client: &Client) {
    let oldest = async || {
        let oplog = client.database("local").collection::<bson::Document>("oplog.rs");
        // The look itself may be overtaken.
        let first = oplog.find_one(doc! {}).sort(doc! { "$natural": 1 }).await.ok().flatten();
        first.map(|first| first.get_timestamp("ts").unwrap())
    };
    let newest = async || {
        let hello = client.database("admin").run_command(doc! { "hello": 1 }).await.unwrap();
        hello.get_timestamp("operationTime").unwrap()
    };
    let others = client.database("elsewhere").collection::<bson::Document>("others");
    let (now, deadline) = (newest().await, Instant::now() + Duration::from_secs(120));
    while oldest().await <= Some(now) {
        assert!(Instant::now() < deadline, "the oplog does not roll over");
        let documents = (0..8).map(|_| doc! { "text": "x".repeat(1_000_000) });
        others.insert_many(documents).await.unwrap();
        others.delete_many(doc! {}).await.unwrap();
    }
}

#[tokio::test]
async fn an_idle_stream_does_not_fall_behind_the_oplog() {
    let (server, client) = small_oplog().await;
    let namespace = servers::fill(&server.uri(), Vec::new()).await;
    let source = MongoSource::connect(&server.uri()).await.unwrap();
    let window = source.change_preflight(std::slice::from_ref(&namespace)).await.unwrap().oplog_window;
    assert!(window.is_some_and(|window| window < Duration::from_secs(600)), "{window:?}");
    let options = watching(&namespace, StartAt::Now);
    let mut reader =
        source.watch(WatchOptions { idle: Duration::from_millis(200), ..options }).await.unwrap();
    let opened = reader.opened();
    roll_over(&client).await;
    let now = source.now().await.unwrap();
    // Only empty replies come, and the place of the last one is still known to the server.
    let place = loop {
        let batch = reader.next().await.unwrap();
        assert!(batch.is_empty());
        if batch.token_after().cluster_time() >= Some(now) {
            break batch.token_after().clone();
        }
    };
    drop(reader);
    servers::collection(&client, &namespace).insert_many(numbered(0..10)).await.unwrap();
    for transport in BOTH {
        let source = source.clone().with_transport(transport);
        let place = ResumeToken::decode(&place.encode()).unwrap();
        let mut reader = source.watch(watching(&namespace, StartAt::Token(place))).await.unwrap();
        assert_numbered(&read(&mut reader, 10).await, 0..10);
        for from in [StartAt::Token(opened.0.clone()), StartAt::Time(opened.1)] {
            assert_lost(&first_error(&source, watching(&namespace, from)).await);
        }
    }
}

/// Servers look whether they still have a place when they are asked for what came after it.
async fn first_error(source: &MongoSource, options: WatchOptions) -> ExtractError {
    match source.watch(options).await {
        Ok(mut reader) => reader.next().await.map(drop).unwrap_err(),
        Err(error) => error,
    }
}

fn assert_lost(error: &ExtractError) {
    assert!(error.is_history_lost() && !error.is_transient() && !error.is_input(), "{error}");
    assert!(error.to_string().contains("oplog"), "{error}");
}

/// A reader that is too slow gets an error, too, and does not just lack what came in between.
#[tokio::test]
async fn a_stream_that_lags_behind_finds_its_history_lost() {
    let (server, client) = small_oplog().await;
    let namespace = servers::fill(&server.uri(), Vec::new()).await;
    let mut readers = Vec::new();
    for transport in BOTH {
        let source = MongoSource::connect(&server.uri()).await.unwrap().with_transport(transport);
        let reply_budget = ReplyBudget::with_share(Pool::new(4 << 20).unwrap(), 64 * 1024);
        let options =
            WatchOptions { reply_budget, batch_bytes: 10_000, ..watching(&namespace, StartAt::Now) };
        readers.push((transport, source.watch(options).await.unwrap()));
    }
    servers::collection(&client, &namespace).insert_many(numbered(0..2_000)).await.unwrap();
    roll_over(&client).await;
    for (transport, mut reader) in readers {
        let mut count = 0;
        let error = loop {
            match reader.next().await {
                Ok(batch) => count += batch.len(),
                Err(error) => break error,
            }
        };
        assert_lost(&error);
        assert!(count < 2_000, "{transport:?}: everything came");
    }
}

/// The token of another deployment is lost history as well.
#[tokio::test]
async fn a_place_that_was_never_here_is_told() {
    let uri = servers::uri().await;
    let namespace = servers::fill(&uri, Vec::new()).await;
    let source = MongoSource::connect(&uri).await.unwrap();
    let client = servers::client(&uri).await;
    let mut reader = source.watch(watching(&namespace, StartAt::Now)).await.unwrap();
    servers::collection(&client, &namespace).insert_many(numbered(0..1)).await.unwrap();
    let mut data = String::from_utf8(read(&mut reader, 1).await[0].token.order().to_vec()).unwrap();
    // The same moment, of a collection that nobody has.
    let uuid = data.find("5A1004").unwrap() + 6;
    data.replace_range(uuid..uuid + 32, &"7".repeat(32));
    for data in [data.as_str(), "82"] {
        let token = ResumeToken::new(bson::rawdoc! { "_data": data }).unwrap();
        let error = first_error(&source, watching(&namespace, StartAt::Token(token))).await;
        assert!(error.is_history_lost() || !error.is_transient(), "{data}: {error}");
    }
}
