//! Filtered sources of collections that are too large to be looked at whole, and of `_id`s of several types.

use std::collections::HashSet;

use bson::spec::ElementType;
use bson::{RawBson, RawDocumentBuf, rawdoc};
use zenith_extract::{MongoSource, Namespace, Source};

use crate::servers;

async fn filtered(namespace: &Namespace, query: RawDocumentBuf) -> MongoSource {
    let source = MongoSource::connect(&servers::uri().await).await.unwrap();
    source.preflight(namespace).await.unwrap();
    source.filtered(&query).unwrap()
}

async fn documents(source: &MongoSource, namespace: &Namespace) -> u64 {
    source.preflight(namespace).await.unwrap().collection.size.unwrap().documents
}

#[tokio::test]
async fn a_large_collection_is_sampled_and_estimated_by_what_matches() {
    const COUNT: i32 = 110_000;
    let document = |n: i32| rawdoc! { "_id": n, "k": n % 10, "late": n >= COUNT - 500 };
    let namespace = servers::fill(&servers::uri().await, (0..COUNT).map(document).collect()).await;

    // Everywhere, one in ten.
    let source = filtered(&namespace, rawdoc! { "k": 3 }).await;
    let estimate = documents(&source, &namespace).await;
    assert!((6_000..17_000).contains(&estimate), "{estimate}");
    let sample = source.sample(&namespace, 1_000).await.unwrap();
    assert!(sample == source.sample(&namespace, 1_000).await.unwrap(), "two samples differ");
    assert!(sample.iter().all(|document| document.get_i32("k").unwrap() == 3));
    let shares: HashSet<i32> =
        sample.iter().map(|document| document.get_i32("_id").unwrap() / (COUNT / 20)).collect();
    assert!(sample.len() >= 600 && shares.len() >= 18, "{} documents of {shares:?}", sample.len());
    assert_eq!(source.max_id(&namespace).await.unwrap(), Some(RawBson::Int32(COUNT - 7)));

    // Only at the end.
    let source = filtered(&namespace, rawdoc! { "late": true }).await;
    let sample = source.sample(&namespace, 1_000).await.unwrap();
    assert_eq!(sample.len(), 500);
    let estimate = documents(&source, &namespace).await;
    assert!((100..3_000).contains(&estimate), "{estimate}");

    // Nowhere, as far as can be told without reading everything.
    let source = filtered(&namespace, rawdoc! { "k": 99 }).await;
    assert_eq!(documents(&source, &namespace).await, 109);
    assert_eq!(source.sample(&namespace, 1_000).await.unwrap(), []);
    assert_eq!(source.max_id(&namespace).await.unwrap(), None);
}

#[tokio::test]
async fn ids_are_of_the_types_that_matching_documents_have() {
    let ids = [
        RawBson::Int32(1),
        RawBson::Int64(2),
        RawBson::String("a".to_owned()),
        RawBson::String("b".to_owned()),
    ];
    let all = ids.iter().map(|id| rawdoc! { "_id": id.clone(), "old": id.as_str().is_none() });
    let namespace = servers::fill(&servers::uri().await, all.collect()).await;
    let source = filtered(&namespace, rawdoc! { "old": false }).await;
    let types = source.id_types(&namespace).await.unwrap().unwrap();
    assert_eq!(types.single(), Some(ElementType::String));
    let types =
        filtered(&namespace, rawdoc! { "old": true }).await.id_types(&namespace).await.unwrap().unwrap();
    assert!(types.one_class() && types.is_numeric(), "{types:?}");
    let source = filtered(&namespace, rawdoc! { "_id": { "$exists": true } }).await;
    assert!(!source.id_types(&namespace).await.unwrap().unwrap().one_class());
}

#[tokio::test]
async fn a_query_that_the_server_refuses_is_an_error_of_the_filter() {
    let namespace = servers::fill(&servers::uri().await, vec![rawdoc! { "_id": 1 }]).await;
    for query in
        [rawdoc! { "a": { "$foo": 1 } }, rawdoc! { "$expr": { "$foo": 1 } }, rawdoc! { "a": { "$in": 1 } }]
    {
        let error = filtered(&namespace, query).await.preflight(&namespace).await.unwrap_err();
        let text = error.to_string();
        assert!(
            error.is_input() && !error.is_transient() && text.contains("the filter cannot be used"),
            "{text}"
        );
    }
}
