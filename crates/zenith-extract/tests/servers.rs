//! The server of these tests, collections in it, and reading them whole.

use std::sync::atomic::{AtomicU32, Ordering};

use bson::{Document, RawDocumentBuf, doc};
use mongodb::{Client, Collection};
use tokio::sync::OnceCell;
use zenith_extract::{
    DocumentReader, ExtractError, Namespace, Partition, PartitionStrategy, ReadOptions, ReplyBudget, Source,
};
use zenith_memory::Pool;
use zenith_testkit::{MongoOptions, MongoServer};

pub const MIB: usize = 1024 * 1024;

/// The connection string of a replica set of one that all tests share.
pub async fn uri() -> String {
    static SERVER: OnceCell<MongoServer> = OnceCell::const_new();
    if let Some(uri) = std::env::var("ZENITH_TEST_MONGODB_URI").ok().filter(|uri| !uri.is_empty()) {
        return uri;
    }
    SERVER.get_or_init(|| async { MongoServer::start(MongoOptions::default()).await.unwrap() }).await.uri()
}

pub async fn client(uri: &str) -> Client {
    Client::with_uri_str(uri).await.unwrap()
}

/// A namespace no other test uses.
pub fn namespace() -> Namespace {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let database = format!("extract_{}", std::process::id());
    Namespace::new(database, format!("c{}", NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// The collection, by way of the driver.
pub fn collection(client: &Client, namespace: &Namespace) -> Collection<RawDocumentBuf> {
    client.database(&namespace.database).collection(&namespace.collection)
}

/// A new collection with these documents.
pub async fn fill(uri: &str, documents: Vec<RawDocumentBuf>) -> Namespace {
    let (client, namespace) = (client(uri).await, namespace());
    create(&client, &namespace, doc! {}).await;
    if !documents.is_empty() {
        collection(&client, &namespace).insert_many(documents).await.unwrap();
    }
    client.shutdown().immediate(true).await;
    namespace
}

/// Creates a collection with options.
pub async fn create(client: &Client, namespace: &Namespace, options: Document) {
    let mut command = doc! { "create": &namespace.collection };
    command.extend(options);
    client.database(&namespace.database).run_command(command).await.unwrap();
}

/// What a reader gave.
#[derive(Debug, Default)]
pub struct Found {
    pub documents: Vec<RawDocumentBuf>,
    /// Batches that lay in memory of the pool: those of the direct reader.
    pub landed: usize,
    pub batches: usize,
}

/// Reads to the end, in batches of about `batch_bytes`.
pub async fn read(
    source: &impl Source,
    partition: &Partition,
    batch_bytes: usize,
) -> Result<Found, (Found, ExtractError)> {
    let pool = Pool::new(64 * MIB).unwrap();
    let options = ReadOptions::new(ReplyBudget::new(pool.clone())).with_batch_bytes(batch_bytes);
    let mut reader = source.open(partition, options).await.map_err(|error| (Found::default(), error))?;
    let mut found = Found::default();
    loop {
        match reader.next().await {
            Ok(Some(batch)) => {
                found.batches += 1;
                found.landed += usize::from(pool.locate(batch.documents_bytes()).is_some());
                let whole = |bytes: &[u8]| RawDocumentBuf::from_bytes(bytes.to_vec()).unwrap();
                found.documents.extend(batch.documents().map(whole));
            }
            Ok(None) => return Ok(found),
            Err(error) => return Err((found, error)),
        }
    }
}

/// The collection as one range of `_id`.
pub async fn whole(source: &impl Source, namespace: &Namespace) -> Partition {
    source.partitions(namespace, 1, PartitionStrategy::IdRanges).await.unwrap().remove(0)
}
