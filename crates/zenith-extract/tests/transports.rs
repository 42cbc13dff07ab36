//! Both transports give the same bytes, with and without compression, of collections of every kind.

use bson::{doc, rawdoc};
use zenith_extract::{
    CollectionKind, MongoSource, Namespace, PartitionBounds, PartitionStrategy, ReadConcern, ReadOptions,
    Source, Transport, test_suite,
};
use zenith_testkit::{Shape, load};

use crate::servers;

async fn events(count: u64) -> (String, Namespace) {
    let uri = servers::uri().await;
    let (client, namespace) = (servers::client(&uri).await, servers::namespace());
    let database = client.database(&namespace.database);
    load::generate(&database, &namespace.collection, Shape::Events, 1, 0..count).await.unwrap();
    (uri, namespace)
}

#[tokio::test]
async fn they_give_the_same_bytes() {
    let (uri, namespace) = events(30_000).await;
    let by_driver = MongoSource::connect(&uri).await.unwrap().with_transport(Transport::Driver);
    for strategy in [PartitionStrategy::Natural, PartitionStrategy::IdRanges] {
        let partition = by_driver.partitions(&namespace, 1, strategy).await.unwrap().remove(0);
        let expected = servers::read(&by_driver, &partition, 500_000).await.unwrap();
        assert_eq!((expected.documents.len(), expected.landed), (30_000, 0));
        for options in
            ["", "/?compressors=snappy", "/?compressors=zlib", "/?compressors=zstd&zlibCompressionLevel=1"]
        {
            let direct = MongoSource::connect(&format!("{uri}{options}")).await.unwrap();
            for batch_bytes in [500_000, 4 * servers::MIB] {
                let found = servers::read(&direct, &partition, batch_bytes).await.unwrap();
                assert_eq!(found.landed, found.batches, "{options}: not read into the pool");
                assert!(found.documents == expected.documents, "{options}");
            }
        }
    }
}

/// Views have no `_id` index and no natural order: one scan, without hints.
#[tokio::test]
async fn views_and_time_series_are_read_in_one_scan() {
    let uri = servers::uri().await;
    let documents = test_suite::documents(300);
    let namespace = servers::fill(&uri, documents.clone()).await;
    let client = servers::client(&uri).await;
    let view = Namespace::new(namespace.database.clone(), "a view");
    let pipeline = [doc! { "$match": { "_id": { "$gte": 100 } } }];
    servers::create(&client, &view, doc! { "viewOn": &namespace.collection, "pipeline": pipeline }).await;
    let series = servers::namespace();
    servers::create(&client, &series, doc! { "timeseries": { "timeField": "at" } }).await;
    let at = |i: i64| rawdoc! { "_id": i, "at": bson::DateTime::from_millis(i * 1000), "n": i };
    servers::collection(&client, &series).insert_many((0..100).map(at)).await.unwrap();
    for transport in [Transport::Driver, Transport::Direct] {
        let source = MongoSource::connect(&uri).await.unwrap().with_transport(transport);
        for (namespace, kind, count) in
            [(&view, CollectionKind::View, 200), (&series, CollectionKind::TimeSeries, 100)]
        {
            assert_eq!(source.preflight(namespace).await.unwrap().collection.kind, kind);
            assert_eq!(source.id_types(namespace).await.unwrap(), None);
            assert!(!source.sample(namespace, 50).await.unwrap().is_empty());
            for strategy in [PartitionStrategy::Natural, PartitionStrategy::IdRanges] {
                let partitions = source.partitions(namespace, 4, strategy).await.unwrap();
                assert_eq!(partitions.len(), 1);
                assert_eq!(partitions[0].bounds, PartitionBounds::Unordered);
                assert_eq!(
                    servers::read(&source, &partitions[0], 1000).await.unwrap().documents.len(),
                    count
                );
            }
        }
    }
}

#[tokio::test]
async fn capped_and_clustered_collections_are_read_by_id_too() {
    let uri = servers::uri().await;
    let client = servers::client(&uri).await;
    let documents = test_suite::documents(1000);
    for options in [
        doc! { "capped": true, "size": 10_000_000 },
        doc! { "clusteredIndex": { "key": { "_id": 1 }, "unique": true } },
    ] {
        let namespace = servers::namespace();
        servers::create(&client, &namespace, options.clone()).await;
        servers::collection(&client, &namespace).insert_many(&documents).await.unwrap();
        let source = MongoSource::connect(&uri).await.unwrap();
        for (desired, strategy) in [(1, PartitionStrategy::Natural), (5, PartitionStrategy::IdRanges)] {
            let mut found = Vec::new();
            for partition in source.partitions(&namespace, desired, strategy).await.unwrap() {
                found.extend(servers::read(&source, &partition, 1000).await.unwrap().documents);
            }
            assert!(found == documents, "{options} {strategy:?}");
        }
    }
}

#[tokio::test]
async fn read_concerns_reach_the_server() {
    let uri = servers::uri().await;
    let documents = test_suite::documents(500);
    let namespace = servers::fill(&uri, documents.clone()).await;
    for transport in [Transport::Driver, Transport::Direct] {
        let source = MongoSource::connect(&format!("{uri}/?readConcernLevel=local")).await.unwrap();
        let source = source.with_transport(transport);
        let time = source.preflight(&namespace).await.unwrap().cluster_time.unwrap();
        let partition = servers::whole(&source, &namespace).await;
        let extra = rawdoc! { "_id": 1_000_000_i64 };
        let client = servers::client(&uri).await;
        servers::collection(&client, &namespace).insert_one(&extra).await.unwrap();
        for (read_concern, count) in [
            (ReadConcern::Configured, 501),
            (ReadConcern::Majority, 501),
            (ReadConcern::MajorityAfter(time), 501),
            // What came later is not seen.
            (ReadConcern::SnapshotAt(time), 500),
        ] {
            let pool = zenith_memory::Pool::new(8 * servers::MIB).unwrap();
            let reply_budget = zenith_extract::ReplyBudget::new(pool);
            let options =
                ReadOptions { read_concern, ..ReadOptions::new(reply_budget).with_batch_bytes(5_000) };
            let mut reader = source.open(&partition, options).await.unwrap();
            let mut found = 0;
            while let Some(batch) = zenith_extract::DocumentReader::next(&mut reader).await.unwrap() {
                found += batch.len();
            }
            assert_eq!(found, count, "{read_concern:?} by {transport:?}");
        }
        servers::collection(&client, &namespace).delete_one(doc! { "_id": 1_000_000_i64 }).await.unwrap();
    }
}
