//! The suite every source of changes has to pass, for each of ours.

use std::sync::atomic::{AtomicU32, Ordering};

use bson::doc;
use zenith_extract::change_test_suite::ChangeWriter;
use zenith_extract::{
    MemoryChange, MemorySource, MongoSource, Namespace, Transport, change_source_test_suite,
};

use super::writer::Writer;
use crate::servers;

struct MemoryWriter(MemorySource);

impl ChangeWriter for MemoryWriter {
    async fn write(&self, changes: Vec<MemoryChange>, together: bool) {
        if together {
            self.0.push_transaction(changes);
        } else {
            changes.into_iter().for_each(|change| {
                self.0.push(change);
            });
        }
    }

    async fn keep_images(&self, namespace: &Namespace) {
        let _ = self.0.clone().with_images(namespace.clone());
    }
}

async fn memory() -> (MemorySource, MemoryWriter, Namespace) {
    let namespace = Namespace::new("d", "c");
    let source = MemorySource::new().with_collection(namespace.clone(), Vec::new());
    (source.clone(), MemoryWriter(source), namespace)
}

async fn mongodb(transport: Transport) -> (MongoSource, Writer, Namespace) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let uri = servers::uri().await;
    let client = servers::client(&uri).await;
    // Databases are dropped here, so each test has its own.
    let database = format!("watched_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let namespace = Namespace::new(database, "watched");
    servers::create(&client, &namespace, doc! {}).await;
    let source = MongoSource::connect(&uri).await.unwrap().with_transport(transport);
    (source, Writer { client }, namespace)
}

async fn direct() -> (MongoSource, Writer, Namespace) {
    mongodb(Transport::Direct).await
}

async fn by_driver() -> (MongoSource, Writer, Namespace) {
    mongodb(Transport::Driver).await
}

change_source_test_suite!(memory_source, memory);
change_source_test_suite!(mongodb_direct, direct);
change_source_test_suite!(mongodb_by_driver, by_driver);
