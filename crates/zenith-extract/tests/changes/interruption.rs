//! Connections that are cut, cursors that are taken away, a server that is killed: the stream continues exactly.

use std::time::Duration;

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use mongodb::Client;
use zenith_extract::change_test_suite::read;
use zenith_extract::{
    ChangeReader, ChangeSource, MongoSource, ReplyBudget, Scope, StartAt, Transport, WatchOptions,
};
use zenith_memory::Pool;
use zenith_testkit::{Direction, Fault, FaultProxy, MongoOptions, MongoServer, Plan};

use super::{BOTH, assert_numbered, numbered, watching};
use crate::servers::{self, MIB};

#[tokio::test]
async fn a_stream_goes_on_where_its_connection_was_cut() {
    let uri = servers::uri().await;
    let client = servers::client(&uri).await;
    let upstream = uri.trim_start_matches("mongodb://").split('/').next().unwrap().to_owned();
    for transport in BOTH {
        let namespace = servers::fill(&uri, Vec::new()).await;
        let proxy = FaultProxy::start(upstream.clone()).await.unwrap();
        let behind = format!("mongodb://{}/?directConnection=true", proxy.address());
        let source = MongoSource::connect(&behind).await.unwrap().with_transport(transport);
        let options = WatchOptions { batch_bytes: 20_000, ..watching(&namespace, StartAt::Now) };
        let mut reader = source.watch(options).await.unwrap();
        // In the midst of replies, and of the openings that follow.
        let cut = Fault::CutAfter { direction: Direction::ToClient, bytes: 33_333 };
        proxy.plan(Plan::new(cut).times(12));
        servers::collection(&client, &namespace).insert_many(numbered(0..3_000)).await.unwrap();
        assert_numbered(&read(&mut reader, 3_000).await, 0..3_000);
        assert!(proxy.faults() >= 6, "{transport:?}: {} cuts", proxy.faults());
        proxy.heal();
        // While it is idle.
        proxy.cut_all();
        servers::collection(&client, &namespace).insert_many(numbered(3_000..3_010)).await.unwrap();
        assert_numbered(&read(&mut reader, 10).await, 3_000..3_010);
        let ids = [7, 8].map(bson::RawBson::Int32);
        let reply_budget = ReplyBudget::new(Pool::new(4 * MIB).unwrap());
        let now = source.now().await.unwrap();
        for _ in 0..3 {
            let found = source.lookup(&namespace, &ids, Some(now), &reply_budget).await;
            assert_eq!(found.unwrap().iter().map(|batch| batch.len()).sum::<usize>(), 2);
            // What was kept open is of no use now.
            proxy.cut_all();
        }
    }
}

#[tokio::test]
async fn a_stream_goes_on_after_its_cursor_was_killed() {
    let uri = servers::uri().await;
    let client = servers::client(&uri).await;
    for transport in BOTH {
        let namespace = servers::fill(&uri, Vec::new()).await;
        let source = MongoSource::connect(&uri).await.unwrap().with_transport(transport);
        let reply_budget = ReplyBudget::new(Pool::new(8 * MIB).unwrap());
        // Of the collection, so that no other test's cursor is killed.
        let scope = Scope::Collection(namespace.clone());
        let options = WatchOptions::new(scope, vec![namespace.clone()], reply_budget);
        let mut reader = source.watch(options).await.unwrap();
        for round in 0..3 {
            let ids = round * 100..(round + 1) * 100;
            servers::collection(&client, &namespace).insert_many(numbered(ids.clone())).await.unwrap();
            assert_numbered(&read(&mut reader, 100).await, ids);
            let mut killed = 0;
            while killed == 0 {
                let cursors = cursors(&client, &namespace.to_string()).await;
                let command = doc! { "killCursors": &namespace.collection, "cursors": cursors };
                let reply = client.database(&namespace.database).run_command(command).await;
                killed = reply.map_or(0, |reply| reply.get_array("cursorsKilled").unwrap().len());
            }
        }
        drop(reader);
        for attempt in 0.. {
            if cursors(&client, &namespace.to_string()).await.is_empty() {
                break;
            }
            assert!(attempt < 100, "{transport:?}: an abandoned stream leaves a cursor open");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Open cursors on a collection, whether or not they work at the moment.
async fn cursors(client: &Client, namespace: &str) -> Vec<i64> {
    let pipeline = [
        doc! { "$currentOp": { "idleCursors": true, "allUsers": true } },
        doc! { "$match": { "ns": namespace, "cursor.cursorId": { "$exists": true } } },
    ];
    let found: Vec<Document> =
        client.database("admin").aggregate(pipeline).await.unwrap().try_collect().await.unwrap();
    found
        .iter()
        .filter_map(|op| op.get_document("cursor").ok()?.get("cursorId").and_then(Bson::as_i64))
        .collect()
}

#[tokio::test]
async fn a_stream_outlives_the_server() {
    let mut server = MongoServer::start(MongoOptions { cache_mib: 256, ..Default::default() }).await.unwrap();
    let uri = server.uri();
    let client = servers::client(&uri).await;
    let namespace = servers::fill(&uri, Vec::new()).await;
    let mut readers = Vec::new();
    for transport in BOTH {
        let source = MongoSource::connect(&uri).await.unwrap().with_transport(transport);
        let options = WatchOptions { batch_bytes: 5_000, ..watching(&namespace, StartAt::Now) };
        readers.push(source.watch(options).await.unwrap());
    }
    let concern = mongodb::options::WriteConcern::majority();
    let insert = async |ids| {
        let collection = servers::collection(&client, &namespace);
        collection.insert_many(numbered(ids)).write_concern(concern.clone()).await.unwrap();
    };
    insert(0..500).await;
    // Some is read before, some is under way, some comes after.
    let mut seen = Vec::new();
    for reader in &mut readers {
        seen.push(read(reader, 100).await);
    }
    server.restart().await.unwrap();
    insert(500..600).await;
    for (reader, mut seen) in readers.into_iter().zip(seen) {
        let (mut reader, missing) = (reader, 600 - seen.len());
        seen.extend(read(&mut reader, missing).await);
        assert_numbered(&seen, 0..600);
    }
}

/// A server that cannot be reached is reported at once when a stream is opened; it may come back.
#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let uri = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200";
    let source = MongoSource::connect(uri).await.unwrap();
    let namespace = servers::namespace();
    let error = source.watch(watching(&namespace, StartAt::Now)).await.map(drop).unwrap_err();
    assert!(error.is_transient() && error.is_input(), "{error}");
    assert!(source.now().await.unwrap_err().is_input());
    assert!(source.change_preflight(&[namespace]).await.unwrap_err().is_input());
}

/// Replies stop while nobody takes them, and continue when somebody does.
#[tokio::test]
async fn a_slow_consumer_holds_the_stream_up() {
    let uri = servers::uri().await;
    let client = servers::client(&uri).await;
    for transport in [Transport::Direct, Transport::Driver] {
        let namespace = servers::fill(&uri, Vec::new()).await;
        let pool = Pool::new(MIB).unwrap();
        let reply_budget = ReplyBudget::with_share(pool.clone(), 64 * 1024);
        let options =
            WatchOptions { reply_budget, batch_bytes: 10_000, ..watching(&namespace, StartAt::Now) };
        let source = MongoSource::connect(&uri).await.unwrap().with_transport(transport);
        let mut reader = source.watch(options).await.unwrap();
        servers::collection(&client, &namespace).insert_many(numbered(0..2_000)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(pool.stats().in_use <= 64 * 1024);
        let mut count = 0;
        while count < 2_000 {
            let batch = reader.next().await.unwrap();
            count += batch.len();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(pool.stats().in_use_max <= 64 * 1024, "{:?}", pool.stats());
    }
}
