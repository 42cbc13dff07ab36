//! Events near and beyond 16 MB, which the server of these tests cannot send in pieces.

use bson::{RawBson, RawDocumentBuf, doc, rawdoc};
use zenith_extract::change_test_suite::{ChangeWriter, read};
use zenith_extract::{
    ChangeReader, ChangeSource, ExtractError, MemoryChange, MongoSource, ReplyBudget, StartAt, WatchOptions,
};
use zenith_memory::Pool;

use super::writer::Writer;
use super::{BOTH, watching};
use crate::servers::{self, MIB};

fn large(id: RawBson, bytes: usize) -> RawDocumentBuf {
    rawdoc! { "_id": id, "text": "x".repeat(bytes) }
}

/// An update of 10 MB has an image of 10 MB: what would be in the event twice is left out of it.
#[tokio::test]
async fn an_update_of_half_the_size_comes_with_its_image() {
    let uri = servers::uri().await;
    let writer = Writer { client: servers::client(&uri).await };
    for transport in BOTH {
        let namespace = servers::fill(&uri, vec![rawdoc! { "_id": 1 }]).await;
        writer.keep_images(&namespace).await;
        let source = MongoSource::connect(&uri).await.unwrap().with_transport(transport);
        let options = WatchOptions { images: true, ..watching(&namespace, StartAt::Now) };
        let mut reader = source.watch(options).await.unwrap();
        let update = |document| MemoryChange::Update(namespace.clone(), document);
        let id = || RawBson::Int32(1);
        writer
            .write(vec![update(large(id(), 5)), update(large(id(), 10 * MIB)), update(large(id(), 6))], false)
            .await;
        let sizes: Vec<_> = read(&mut reader, 3)
            .await
            .into_iter()
            .map(|seen| seen.document.unwrap().get_str("text").unwrap().len())
            .collect();
        assert_eq!(sizes, [5, 10 * MIB, 6]);
    }
}

/// A key that is in the event twice makes it too large in any case.
#[tokio::test]
async fn an_event_that_is_too_large_names_its_collection() {
    let uri = servers::uri().await;
    let writer = Writer { client: servers::client(&uri).await };
    for transport in BOTH {
        let id = || RawBson::String("k".repeat(700_000));
        let (namespace, other) =
            (servers::fill(&uri, Vec::new()).await, servers::fill(&uri, vec![large(id(), 8 * MIB)]).await);
        let update = |fields| MemoryChange::Update(other.clone(), fields);
        writer.keep_images(&other).await;
        // In two steps, as an insert of all of it would be too large for the oplog already.
        writer.write(vec![update(rawdoc! { "_id": id(), "more": "y".repeat(7 * MIB) })], false).await;
        let source = MongoSource::connect(&uri).await.unwrap().with_transport(transport);
        let mut options = WatchOptions { images: true, ..watching(&namespace, StartAt::Now) };
        options.namespaces.push(other.clone());
        let mut reader = source.watch(options).await.unwrap();
        let small = MemoryChange::Insert(namespace, rawdoc! { "_id": 1 });
        writer.write(vec![small, update(rawdoc! { "_id": id(), "n": 1 })], false).await;
        assert_eq!(read(&mut reader, 1).await.len(), 1);
        let error = loop {
            match reader.next().await {
                Ok(batch) => assert!(batch.is_empty(), "the event came"),
                Err(error) => break error,
            }
        };
        let ExtractError::EventTooLarge { namespace, .. } = &error else { panic!("{error}") };
        assert_eq!(namespace.as_ref(), Some(&other), "{error}");
        assert!(error.to_string().contains(&other.to_string()) && !error.is_transient());
    }
}

/// More than the memory for it is refused, and not waited for; one alone always comes.
#[tokio::test]
async fn a_look_up_larger_than_its_memory_says_so() {
    let uri = servers::uri().await;
    let documents: Vec<_> = (0..6).map(|id| large(RawBson::Int32(id), 12 * MIB)).collect();
    let namespace = servers::fill(&uri, Vec::new()).await;
    let client = servers::client(&uri).await;
    for document in &documents {
        servers::collection(&client, &namespace).insert_one(document).await.unwrap();
    }
    let ids: Vec<_> = (0..6).map(RawBson::Int32).collect();
    for transport in BOTH {
        let source = MongoSource::connect(&uri).await.unwrap().with_transport(transport);
        let small = ReplyBudget::new(Pool::new(8 * MIB).unwrap());
        let error = source.lookup(&namespace, &ids, None, &small).await.unwrap_err();
        assert!(error.is_lookup_too_large(), "{error}");
        for id in &ids {
            let found = source.lookup(&namespace, std::slice::from_ref(id), None, &small).await.unwrap();
            assert_eq!(found[0].len(), 1);
        }
        let enough = ReplyBudget::new(Pool::new(256 * MIB).unwrap());
        let found = source.lookup(&namespace, &ids, None, &enough).await.unwrap();
        assert_eq!(found.iter().map(|batch| batch.len()).sum::<usize>(), 6);
    }
    servers::collection(&client, &namespace).delete_many(doc! {}).await.unwrap();
}
