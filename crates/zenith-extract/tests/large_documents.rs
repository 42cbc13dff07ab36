//! Documents of the largest size MongoDB takes, within a pool of any size.

use bson::{RawDocumentBuf, rawdoc};
use zenith_extract::{
    DocumentReader, MongoSource, Namespace, PartitionStrategy, ReadOptions, ReplyBudget, Source, Transport,
};
use zenith_memory::Pool;

use crate::servers::{self, MIB};

/// 16 MiB is the limit for a document.
const LARGEST: usize = 16 * MIB;

async fn fill() -> (String, Namespace) {
    let uri = servers::uri().await;
    let namespace = servers::fill(&uri, Vec::new()).await;
    let client = servers::client(&uri).await;
    for i in 0..4 {
        let around = rawdoc! { "_id": i, "text": "" }.as_bytes().len();
        let document = rawdoc! { "_id": i, "text": "x".repeat(LARGEST - around) };
        assert_eq!(document.as_bytes().len(), LARGEST);
        servers::collection(&client, &namespace).insert_one(&document).await.unwrap();
        let small: Vec<_> =
            (0..20).map(|j| rawdoc! { "_id": f64::from(i) + 0.01 * f64::from(j + 1) }).collect();
        servers::collection(&client, &namespace).insert_many(small).await.unwrap();
    }
    (uri, namespace)
}

#[tokio::test]
async fn they_pass_by_either_transport_and_a_small_pool() {
    let (uri, namespace) = fill().await;
    for transport in [Transport::Driver, Transport::Direct] {
        let source = MongoSource::connect(&uri).await.unwrap().with_transport(transport);
        for budget in [MIB, 64 * MIB] {
            let pool = Pool::new(budget).unwrap();
            let options = ReadOptions::new(ReplyBudget::new(pool.clone()));
            let mut tasks = Vec::new();
            for partition in source.partitions(&namespace, 2, PartitionStrategy::IdRanges).await.unwrap() {
                let mut reader = source.open(&partition, options.clone()).await.unwrap();
                tasks.push(tokio::spawn(async move {
                    let mut sizes = Vec::new();
                    while let Some(batch) = reader.next().await.unwrap() {
                        sizes.extend(batch.documents().map(<[u8]>::len));
                    }
                    sizes
                }));
            }
            let mut sizes = Vec::new();
            for task in tasks {
                sizes.extend(task.await.unwrap());
            }
            let large = sizes.iter().filter(|&&size| size == LARGEST).count();
            assert_eq!((sizes.len(), large), (84, 4), "{transport:?} with {budget} bytes");
            assert_eq!(pool.stats().in_use, 0);
        }
    }
}

#[tokio::test]
async fn a_sample_of_them_stays_small() {
    let (uri, namespace) = fill().await;
    let source = MongoSource::connect(&uri).await.unwrap();
    let sample = source.sample(&namespace, 1000).await.unwrap();
    let bytes: usize = sample.iter().map(|document: &RawDocumentBuf| document.as_bytes().len()).sum();
    assert!(!sample.is_empty() && bytes <= 4 * LARGEST, "{} documents of {bytes} bytes", sample.len());
}

/// A few large documents at the start do not make replies small for the rest.
#[tokio::test]
async fn replies_follow_the_size_of_documents() {
    let uri = servers::uri().await;
    let large = (0..3).map(|i| rawdoc! { "_id": i, "text": "x".repeat(5 * MIB) });
    let small = (3..30_000).map(|i| rawdoc! { "_id": i, "text": "x".repeat(100) });
    let namespace = servers::fill(&uri, large.chain(small).collect()).await;
    let source = MongoSource::connect(&uri).await.unwrap();
    let partition = servers::whole(&source, &namespace).await;
    let found = servers::read(&source, &partition, 512 * 1024).await.unwrap();
    assert_eq!(found.documents.len(), 30_000);
    assert!(found.batches < 60, "{} replies", found.batches);
}
