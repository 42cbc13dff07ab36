//! Parts of the order of storage: together they hold every document once, no matter what has been deleted, and when.

use std::time::Duration;

use bson::{RawDocumentBuf, doc, rawdoc};
use tokio::time::timeout;
use zenith_extract::{
    DocumentReader, ExtractError, MongoSource, Namespace, Partition, PartitionBounds, PartitionStrategy,
    ReadOptions, RecordRange, ReplyBudget, Source, Transport, test_suite,
};
use zenith_memory::Pool;

use crate::proxy::Proxy;
use crate::servers;

const DOCUMENTS: i64 = 20_000;

async fn parts(source: &MongoSource, namespace: &Namespace, desired: usize) -> Vec<Partition> {
    source.partitions(namespace, desired, PartitionStrategy::Natural).await.unwrap()
}

fn range(partition: &Partition) -> &RecordRange {
    match &partition.bounds {
        PartitionBounds::Records(range) => range,
        other => panic!("not a range of records: {other:?}"),
    }
}

async fn read_all(source: &MongoSource, parts: &[Partition], batch_bytes: usize) -> Vec<RawDocumentBuf> {
    let mut found = Vec::new();
    for part in parts {
        let read = servers::read(source, part, batch_bytes).await.map_err(|(_, error)| error).unwrap();
        assert_eq!(read.landed, read.batches, "not read into the pool");
        found.extend(read.documents);
    }
    found
}

/// Twenty thousand documents, `_id`s and records from 1, without those of `deleted`.
async fn without(uri: &str, deleted: impl Fn(i64) -> bool) -> (Namespace, Vec<RawDocumentBuf>) {
    let text = "x".repeat(50);
    let all: Vec<_> = (1..=DOCUMENTS).map(|n| rawdoc! { "_id": n, "text": text.as_str() }).collect();
    let namespace = servers::fill(uri, all.clone()).await;
    let gone: Vec<i64> = (1..=DOCUMENTS).filter(|&n| deleted(n)).collect();
    let collection = servers::collection(&servers::client(uri).await, &namespace);
    collection.delete_many(doc! { "_id": { "$in": gone } }).await.unwrap();
    let left = (1..).zip(all).filter(|(n, _)| !deleted(*n)).map(|(_, document)| document);
    (namespace, left.collect())
}

#[tokio::test]
async fn they_hold_every_document_once_whatever_is_missing() {
    let uri = servers::uri().await;
    let source = MongoSource::connect(&uri).await.unwrap();
    let patterns: [fn(i64) -> bool; 6] = [
        |_| false,
        |n| n % 3 != 0,
        |n| n % 16 != 5,
        // The end of the first half, and nearly all before it.
        |n| (9_000..10_000).contains(&n),
        |n| n < 9_990,
        |n| (7_000..14_000).contains(&n),
    ];
    for (number, pattern) in patterns.into_iter().enumerate() {
        let (namespace, expected) = without(&uri, pattern).await;
        for (desired, batch_bytes) in [(2, 100_000), (2, 3_000), (5, 20_000)] {
            let parts = parts(&source, &namespace, desired).await;
            assert!(parts.len() == desired || number == 5, "{} parts, pattern {number}", parts.len());
            let found = read_all(&source, &parts, batch_bytes).await;
            assert!(found == expected, "{} of {}, pattern {number}", found.len(), expected.len());
        }
    }
}

/// Between looking at the collection and reading it, the documents around the end of the first part go.
#[tokio::test]
async fn an_end_may_be_deleted_before_it_is_read() {
    let uri = servers::uri().await;
    let source = MongoSource::connect(&uri).await.unwrap();
    for around in [0..=0, -3..=0, 0..=3, -40..=40] {
        let (namespace, expected) = without(&uri, |_| false).await;
        let parts = parts(&source, &namespace, 2).await;
        let end = range(&parts[0]).until.unwrap();
        assert_eq!(range(&parts[1]).after, Some(end));
        let gone = (end + around.start())..=(end + around.end());
        let collection = servers::collection(&servers::client(&uri).await, &namespace);
        collection.delete_many(doc! { "_id": { "$gte": gone.start(), "$lte": gone.end() } }).await.unwrap();
        let left: Vec<_> = (1..).zip(expected).filter(|(n, _)| !gone.contains(n)).collect();
        for batch_bytes in [2_000, 200_000] {
            let found = read_all(&source, &parts, batch_bytes).await;
            assert!(
                found.iter().eq(left.iter().map(|(_, document)| document)),
                "{around:?}: {}",
                found.len()
            );
        }
    }
}

/// A reply that goes beyond the end, and those that were asked for behind it, are as large as the memory for replies.
#[tokio::test]
async fn what_is_thrown_away_makes_room_for_what_is_under_way() {
    let uri = servers::uri().await;
    let source = MongoSource::connect(&uri).await.unwrap();
    let (namespace, expected) = without(&uri, |n| n % 10 != 0 && n < 9_000).await;
    let parts = parts(&source, &namespace, 2).await;
    let mut found = 0;
    for part in &parts {
        let reply_budget = ReplyBudget::with_share(Pool::new(servers::MIB).unwrap(), 64 * 1024);
        let options = ReadOptions::new(reply_budget).with_batch_bytes(60_000);
        let mut reader = source.open(part, options).await.unwrap();
        loop {
            let next = timeout(Duration::from_secs(20), reader.next()).await.expect("it hangs");
            let Some(batch) = next.unwrap() else { break };
            found += batch.len();
        }
    }
    assert_eq!(found, expected.len());
}

/// So many are deleted before a part that its beginning can no longer be found.
#[tokio::test]
async fn a_part_whose_beginning_is_gone_says_so() {
    let uri = servers::uri().await;
    let source = MongoSource::connect(&uri).await.unwrap();
    let (namespace, _) = without(&uri, |_| false).await;
    let parts = parts(&source, &namespace, 2).await;
    let end = range(&parts[1]).after.unwrap();
    let collection = servers::collection(&servers::client(&uri).await, &namespace);
    collection.delete_many(doc! { "_id": { "$gt": end - 1_002, "$lte": end } }).await.unwrap();
    let (_, error) = servers::read(&source, &parts[1], 100_000).await.unwrap_err();
    assert!(matches!(error, ExtractError::Interrupted { documents: 0, .. }), "{error:?}");
    let before = usize::try_from(end - 1_002).unwrap();
    assert_eq!(servers::read(&source, &parts[0], 100_000).await.unwrap().documents.len(), before);
}

#[tokio::test]
async fn they_go_on_where_their_connection_was_cut() {
    let uri = servers::uri().await;
    let expected = test_suite::documents(20_000);
    let namespace = servers::fill(&uri, expected.clone()).await;
    let proxy = Proxy::start(&uri).await;
    let source = MongoSource::connect(&proxy.uri()).await.unwrap();
    let parts = parts(&source, &namespace, 2).await;
    assert_eq!(parts.len(), 2);
    for limit in [250_000, 400_001] {
        proxy.cut_after(limit);
        let before = proxy.cuts();
        let found = read_all(&source, &parts, 100_000).await;
        assert!(proxy.cuts() >= before + 3, "the proxy did not cut");
        assert!(found == expected, "{} documents", found.len());
    }
}

#[tokio::test]
async fn another_server_is_not_asked_for_them() {
    let uri = servers::uri().await;
    let source = MongoSource::connect(&uri).await.unwrap();
    let (namespace, _) = without(&uri, |_| false).await;
    let mut part = parts(&source, &namespace, 2).await.remove(1);
    let there = RecordRange { server: "elsewhere:27017".to_owned(), ..range(&part).clone() };
    part.bounds = PartitionBounds::Records(there);
    let (found, error) = servers::read(&source, &part, 100_000).await.unwrap_err();
    assert!(found.documents.is_empty());
    assert!(matches!(error, ExtractError::Interrupted { documents: 0, .. }), "{error:?}");
    // Nor does the driver know how.
    let by_driver = source.with_transport(Transport::Driver);
    let (_, error) = servers::read(&by_driver, &part, 100_000).await.unwrap_err();
    assert!(matches!(error, ExtractError::InvalidPartition { .. }), "{error:?}");
}

/// Where records are not numbered, where there are few, and where it is not known who answers.
#[tokio::test]
async fn what_cannot_be_divided_is_read_in_one_scan() {
    let uri = servers::uri().await;
    let (client, documents) = (servers::client(&uri).await, test_suite::documents(5_000));
    let source = MongoSource::connect(&uri).await.unwrap();
    let one = async |source: &MongoSource, namespace: &Namespace, expected: &[RawDocumentBuf]| {
        let parts = parts(source, namespace, 2).await;
        assert_eq!((parts.len(), &parts[0].bounds), (1, &PartitionBounds::Natural), "{namespace}");
        let found = servers::read(source, &parts[0], 100_000).await.unwrap();
        assert!(found.documents == expected);
    };
    for options in [
        doc! { "capped": true, "size": 10_000_000 },
        doc! { "clusteredIndex": { "key": { "_id": 1 }, "unique": true } },
    ] {
        let namespace = servers::namespace();
        servers::create(&client, &namespace, options).await;
        servers::collection(&client, &namespace).insert_many(&documents).await.unwrap();
        one(&source, &namespace, &documents).await;
    }
    let few = servers::fill(&uri, documents[..1_000].to_vec()).await;
    one(&source, &few, &documents[..1_000]).await;
    let many = servers::fill(&uri, documents.clone()).await;
    assert_eq!(parts(&source, &many, 2).await.len(), 2);
    one(&source.clone().with_transport(Transport::Driver), &many, &documents).await;
    let nearest = MongoSource::connect(&format!("{uri}/?readPreference=nearest")).await.unwrap();
    one(&nearest, &many, &documents).await;
}
