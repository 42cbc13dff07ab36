//! What the preflight of a deployment reports, and the sentence for everything that the user can correct.

use std::time::{Duration, Instant};

use bson::{doc, rawdoc};
use zenith_extract::{CollectionKind, ExtractError, MongoSource, Namespace, Source, Topology};
use zenith_testkit::{MongoOptions, MongoServer};

use crate::servers;

async fn look(uri: &str, namespace: &Namespace) -> Result<zenith_extract::SourceInfo, ExtractError> {
    MongoSource::connect(uri).await?.preflight(namespace).await
}

#[tokio::test]
async fn a_replica_set_and_its_collection_are_described() {
    let uri = servers::uri().await;
    let namespace = servers::fill(&uri, vec![rawdoc! { "_id": 1 }, rawdoc! { "_id": 2 }]).await;
    let found = look(&uri, &namespace).await.unwrap();
    assert!(found.server_version.split('.').count() >= 3, "{}", found.server_version);
    assert!(matches!(found.topology, Topology::ReplicaSet(_)));
    assert!(found.cluster_time.is_some());
    assert_eq!(found.collection.kind, CollectionKind::Collection);
    let size = found.collection.size.unwrap();
    assert_eq!((size.documents, size.bytes, size.document_bytes_average()), (2, 28, Some(14)));
    let (client, images) = (servers::client(&uri).await, servers::namespace());
    let options = doc! { "capped": true, "size": 4096, "changeStreamPreAndPostImages": { "enabled": true } };
    servers::create(&client, &images, options).await;
    let found = look(&uri, &images).await.unwrap().collection;
    assert_eq!((found.kind, found.pre_and_post_images), (CollectionKind::Capped, true));
}

#[tokio::test]
async fn a_standalone_server_is_told_from_a_replica_set() {
    let options = MongoOptions { topology: zenith_testkit::Topology::Standalone, ..MongoOptions::default() };
    let server = MongoServer::start(options).await.unwrap();
    let namespace = servers::fill(&server.uri(), vec![rawdoc! { "_id": 1 }]).await;
    let source = MongoSource::connect(&server.uri()).await.unwrap();
    let found = source.preflight(&namespace).await.unwrap();
    assert_eq!((found.topology, found.cluster_time), (Topology::Standalone, None));
    let partition = servers::whole(&source, &namespace).await;
    let found = servers::read(&source, &partition, 1000).await.unwrap();
    assert_eq!((found.documents.len(), found.landed), (1, 1));
}

#[tokio::test]
async fn a_host_that_is_down_is_told_quickly() {
    let begun = Instant::now();
    let error = look("mongodb://someone:secret@127.0.0.1:1/", &Namespace::new("d", "c")).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let text = error.to_string();
    assert!(matches!(error, ExtractError::Unreachable { .. }) && error.is_input(), "{text}");
    assert!(text.contains("127.0.0.1:1") && text.contains("refused") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn missing_databases_and_collections_are_named_with_those_that_are_there() {
    let uri = servers::uri().await;
    let namespace = servers::fill(&uri, vec![rawdoc! { "_id": 1 }]).await;
    let missing = Namespace::new(namespace.database.clone(), "ordres");
    let error = look(&uri, &missing).await.unwrap_err();
    assert!(matches!(error, ExtractError::NoSuchCollection { .. }), "{error}");
    let error = look(&uri, &Namespace::new("shpo", "orders")).await.unwrap_err();
    assert!(matches!(error, ExtractError::NoSuchDatabase { .. }), "{error}");
    assert!(error.to_string().contains(&namespace.database), "{error}");
}
