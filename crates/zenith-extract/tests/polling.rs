//! Following a collection that only grows by its `_id`, on a server without change streams: the range after the last
//! `_id` is read again and again.

use std::time::{Duration, Instant};

use bson::{RawBson, RawDocumentBuf, doc, rawdoc};
use zenith_extract::{MongoSource, Namespace, Partition, Source, Transport};
use zenith_testkit::{MongoOptions, MongoServer, Topology};

use crate::servers;

async fn standalone() -> MongoServer {
    let options = MongoOptions { topology: Topology::Standalone, cache_mib: 256, ..Default::default() };
    MongoServer::start(options).await.unwrap()
}

fn documents(ids: std::ops::Range<i32>) -> Vec<RawDocumentBuf> {
    ids.map(|id| rawdoc! { "_id": id, "text": "x".repeat(100) }).collect()
}

async fn after(source: &MongoSource, namespace: &Namespace, id: Option<RawBson>) -> Vec<RawDocumentBuf> {
    let partition = Partition::between(namespace.clone(), id, None);
    servers::read(source, &partition, 50_000).await.unwrap().documents
}

#[tokio::test]
async fn what_is_new_is_read_in_order_and_nothing_comes_quickly() {
    let server = standalone().await;
    let client = servers::client(&server.uri()).await;
    for transport in [Transport::Direct, Transport::Driver] {
        let source = MongoSource::connect(&server.uri()).await.unwrap().with_transport(transport);
        for options in [doc! {}, doc! { "capped": true, "size": 10_000_000 }] {
            let namespace = servers::namespace();
            servers::create(&client, &namespace, options.clone()).await;
            assert_eq!(source.max_id(&namespace).await.unwrap(), None);
            assert!(after(&source, &namespace, None).await.is_empty());
            let collection = servers::collection(&client, &namespace);
            let mut last = None;
            for round in 0..20 {
                let ids = round * 100..(round + 1) * 100;
                // Capped collections keep the order of insertion; the order read is that of `_id` all the same.
                let new = documents(ids.clone());
                collection.insert_many(new.iter().rev()).await.unwrap();
                assert!(after(&source, &namespace, last).await == new, "{options} by {transport:?}");
                last = source.max_id(&namespace).await.unwrap();
                assert_eq!(last, Some(RawBson::Int32(ids.end - 1)));
            }
            let begun = Instant::now();
            for _ in 0..50 {
                assert!(after(&source, &namespace, last.clone()).await.is_empty());
            }
            // A millisecond or two each; the bound is for machines that do other things as well.
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
            // Other types come after numbers.
            let object = rawdoc! { "_id": bson::oid::ObjectId::new() };
            collection.insert_one(&object).await.unwrap();
            assert!(after(&source, &namespace, last).await == [object]);
        }
    }
}
