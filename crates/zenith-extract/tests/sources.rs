//! The suite every source has to pass, for each of ours.

use bson::RawDocumentBuf;
use zenith_extract::{MemorySource, MongoSource, Namespace, Transport, source_test_suite};

use crate::servers;

async fn memory(documents: Vec<RawDocumentBuf>) -> (MemorySource, Namespace) {
    let namespace = Namespace::new("d", "c");
    (MemorySource::new().with_collection(namespace.clone(), documents), namespace)
}

async fn by_driver(documents: Vec<RawDocumentBuf>) -> (MongoSource, Namespace) {
    let uri = servers::uri().await;
    let namespace = servers::fill(&uri, documents).await;
    (MongoSource::connect(&uri).await.unwrap().with_transport(Transport::Driver), namespace)
}

async fn direct(documents: Vec<RawDocumentBuf>) -> (MongoSource, Namespace) {
    let uri = servers::uri().await;
    let namespace = servers::fill(&uri, documents).await;
    (MongoSource::connect(&uri).await.unwrap(), namespace)
}

source_test_suite!(memory_source, memory, ranges);
source_test_suite!(mongodb_by_driver, by_driver, ranges);
source_test_suite!(mongodb_direct, direct, ranges);
