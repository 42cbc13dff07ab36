//! The server of these tests, and collections in it.

use std::sync::atomic::{AtomicU32, Ordering};

use bson::{Document, RawDocumentBuf, doc};
use mongodb::{Client, Collection};
use tokio::sync::OnceCell;
use zenith_extract::Namespace;
use zenith_testkit::{MongoOptions, MongoServer};

/// The connection string of a replica set of one that all tests share.
pub async fn uri() -> String {
    static SERVER: OnceCell<Option<MongoServer>> = OnceCell::const_new();
    let given = std::env::var("ZENITH_TEST_MONGODB_URI").ok().filter(|uri| !uri.is_empty());
    if let Some(uri) = given {
        return uri;
    }
    let server = SERVER
        .get_or_init(|| async { Some(MongoServer::start(MongoOptions::default()).await.expect("mongod")) })
        .await;
    server.as_ref().expect("mongod").uri()
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
