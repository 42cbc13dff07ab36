//! Every BSON type as `_id`, in one collection: nothing is lost at any boundary.

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Bson, RawBson, RawDocumentBuf, Timestamp, doc, rawdoc};
use futures_util::TryStreamExt;
use zenith_extract::{MongoSource, Partition, PartitionStrategy, Source, Transport};

use crate::servers;

/// Values in BSON order, several of each type that may be an `_id` (the server refuses arrays, regular expressions and
/// undefined).
fn ids() -> Vec<Bson> {
    let binary = |subtype, bytes: &[u8]| Bson::Binary(bson::Binary { subtype, bytes: bytes.to_vec() });
    let code = |code: &str| bson::JavaScriptCodeWithScope { code: code.to_owned(), scope: doc! { "x": 1 } };
    vec![
        Bson::MinKey,
        Bson::Null,
        Bson::Double(f64::NAN),
        Bson::Double(f64::NEG_INFINITY),
        Bson::Decimal128("-1E+3000".parse().unwrap()),
        Bson::Int64(i64::MIN),
        Bson::Int32(-1),
        Bson::Double(-0.5),
        Bson::Int32(0),
        Bson::Decimal128("0.3".parse().unwrap()),
        Bson::Double(0.5),
        Bson::Int64(1),
        Bson::Double(1.5),
        Bson::Int32(2),
        Bson::Int64(i64::MAX),
        Bson::Double(f64::INFINITY),
        Bson::String(String::new()),
        Bson::String("a\0b".to_owned()),
        Bson::Symbol("aa".to_owned()),
        Bson::String("ß".to_owned()),
        Bson::Document(doc! {}),
        Bson::Document(doc! { "a": 1 }),
        Bson::Document(doc! { "a": { "b": [1, 2] } }),
        binary(BinarySubtype::Generic, b""),
        binary(BinarySubtype::Generic, b"abc"),
        binary(BinarySubtype::Uuid, &[7; 16]),
        binary(BinarySubtype::UserDefined(200), &[8; 16]),
        Bson::ObjectId(ObjectId::from_bytes([0; 12])),
        Bson::ObjectId(ObjectId::from_bytes([255; 12])),
        Bson::Boolean(false),
        Bson::Boolean(true),
        Bson::DateTime(bson::DateTime::from_millis(i64::MIN)),
        Bson::DateTime(bson::DateTime::from_millis(0)),
        Bson::DateTime(bson::DateTime::MAX),
        Bson::Timestamp(Timestamp { time: 1, increment: 1 }),
        Bson::Timestamp(Timestamp { time: u32::MAX, increment: u32::MAX }),
        Bson::JavaScriptCode("f".to_owned()),
        Bson::JavaScriptCodeWithScope(code("g")),
        Bson::MaxKey,
    ]
}

async fn mixed() -> (String, zenith_extract::Namespace, Vec<RawDocumentBuf>) {
    let documents = (0..).zip(ids()).map(|(n, id)| {
        let id = RawBson::try_from(id).unwrap();
        rawdoc! { "_id": id, "n": n }
    });
    let documents: Vec<RawDocumentBuf> = documents.collect();
    let uri = servers::uri().await;
    let mut shuffled = documents.clone();
    shuffled.sort_unstable_by_key(|document| {
        document.as_bytes().iter().map(|&byte| u64::from(byte)).sum::<u64>()
    });
    let namespace = servers::fill(&uri, shuffled).await;
    let client = servers::client(&uri).await;
    let cursor =
        servers::collection(&client, &namespace).find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
    let in_order: Vec<RawDocumentBuf> = cursor.try_collect().await.unwrap();
    assert_eq!(in_order, documents, "the order of the values above");
    (uri, namespace, documents)
}

#[tokio::test]
async fn partitions_of_mixed_types_lose_nothing() {
    let (uri, namespace, expected) = mixed().await;
    for transport in [Transport::Driver, Transport::Direct] {
        let source = MongoSource::connect(&uri).await.unwrap().with_transport(transport);
        for desired in [1, 2, 3, 7, 16, 39, 100] {
            let partitions =
                source.partitions(&namespace, desired, PartitionStrategy::IdRanges).await.unwrap();
            let mut found = Vec::new();
            for partition in &partitions {
                found.extend(servers::read(&source, partition, 100).await.unwrap().documents);
            }
            let missing = difference(&expected, &found);
            assert!(found == expected, "{desired} partitions by {transport:?}: {missing}; {partitions:?}");
        }
        assert_eq!(source.sample(&namespace, 200).await.unwrap().len(), expected.len());
        assert!(!source.id_types(&namespace).await.unwrap().unwrap().one_class());
    }
}

#[tokio::test]
async fn any_value_can_be_a_bound() {
    let (uri, namespace, expected) = mixed().await;
    let source = MongoSource::connect(&uri).await.unwrap();
    let whole = servers::whole(&source, &namespace).await;
    let id = |at: usize| RawBson::from(expected[at].get("_id").unwrap().unwrap());
    for at in 0..expected.len() {
        let rest = whole.after(id(at)).unwrap();
        let rest = Partition::decode(&rest.encode()).unwrap();
        let found = servers::read(&source, &rest, 100).await.unwrap().documents;
        let missing = difference(&expected[at + 1..], &found);
        assert!(found == expected[at + 1..], "after {:?}: {missing}", id(at));
        let upto = Partition::between(namespace.clone(), None, Some(id(at)));
        assert!(
            servers::read(&source, &upto, 100).await.unwrap().documents == expected[..=at],
            "up to {:?}",
            id(at)
        );
    }
}

/// A bound that has been deleted since is only a place between others.
#[tokio::test]
async fn bounds_need_not_exist() {
    let documents: Vec<_> = (0..10).map(|i| rawdoc! { "_id": i * 2 }).collect();
    let uri = servers::uri().await;
    let namespace = servers::fill(&uri, documents.clone()).await;
    let source = MongoSource::connect(&uri).await.unwrap();
    let between = Partition::between(namespace, Some(RawBson::Int32(5)), Some(RawBson::Int32(11)));
    assert!(servers::read(&source, &between, 100).await.unwrap().documents == documents[3..6]);
}

/// The `_id` index has the collation of its collection, and so have the bounds.
#[tokio::test]
async fn a_collation_orders_partitions_too() {
    let uri = servers::uri().await;
    let (client, namespace) = (servers::client(&uri).await, servers::namespace());
    servers::create(&client, &namespace, doc! { "collation": { "locale": "de", "numericOrdering": true } })
        .await;
    let mut documents: Vec<_> = (0..500).map(|i| rawdoc! { "_id": format!("Ä{i}") }).collect();
    servers::collection(&client, &namespace).insert_many(&documents).await.unwrap();
    let source = MongoSource::connect(&uri).await.unwrap();
    for desired in [1, 5, 16] {
        let mut found = Vec::new();
        for partition in source.partitions(&namespace, desired, PartitionStrategy::IdRanges).await.unwrap() {
            found.extend(servers::read(&source, &partition, 1000).await.unwrap().documents);
        }
        assert!(found == documents, "{desired} partitions");
    }
    documents.drain(..=250);
    let rest = servers::whole(&source, &namespace).await.after(RawBson::String("Ä250".to_owned())).unwrap();
    assert!(servers::read(&source, &rest, 1000).await.unwrap().documents == documents);
}

fn difference(expected: &[RawDocumentBuf], found: &[RawDocumentBuf]) -> String {
    let of = |these: &[RawDocumentBuf], without: &[RawDocumentBuf]| -> Vec<RawDocumentBuf> {
        these.iter().filter(|document| !without.contains(document)).cloned().collect()
    };
    format!("missing {:?}, too much {:?}", of(expected, found), of(found, expected))
}
