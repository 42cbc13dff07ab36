//! Samples of MongoDB collections: the same each time, from everywhere, of any kind of `_id`.

use std::collections::HashSet;

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, RawBson, RawDocumentBuf, Timestamp, doc, rawdoc};
use zenith_extract::{MongoSource, Namespace, Source};

use crate::servers::{self, MIB};

/// `count` numbers without order, of 64 bits.
fn scattered(count: u64) -> impl Iterator<Item = u64> {
    // The multiplier of Knuth's MMIX; odd, so that no number comes twice.
    (1..=count).map(|number| number.wrapping_mul(6_364_136_223_846_793_005))
}

fn with_ids(ids: impl IntoIterator<Item = Bson>) -> Vec<RawDocumentBuf> {
    ids.into_iter().map(|id| rawdoc! { "_id": RawBson::try_from(id).unwrap(), "n": 1 }).collect()
}

async fn filled(documents: Vec<RawDocumentBuf>) -> (MongoSource, Namespace) {
    let uri = servers::uri().await;
    let namespace = servers::fill(&uri, documents).await;
    (MongoSource::connect(&uri).await.unwrap(), namespace)
}

/// A sample that is the same when taken again, by any client.
async fn sample(source: &MongoSource, namespace: &Namespace, documents: usize) -> Vec<RawDocumentBuf> {
    let sample = source.sample(namespace, documents).await.unwrap();
    let another = MongoSource::connect(&servers::uri().await).await.unwrap();
    assert!(sample == another.sample(namespace, documents).await.unwrap(), "two samples differ");
    let distinct: HashSet<&[u8]> = sample.iter().map(|document| document.as_bytes()).collect();
    assert_eq!(distinct.len(), sample.len(), "a document twice");
    assert!(sample.len() <= documents);
    sample
}

/// How many of 20 equal shares of the documents, which are in order, the sample has something of.
fn shares(documents: &[RawDocumentBuf], sample: &[RawDocumentBuf]) -> usize {
    let sample: HashSet<&[u8]> = sample.iter().map(|document| document.as_bytes()).collect();
    let share = documents.len().div_ceil(20);
    let reached = |share: &&[RawDocumentBuf]| share.iter().any(|one| sample.contains(one.as_bytes()));
    documents.chunks(share).filter(reached).count()
}

/// Checks that a sample of these documents, which are in order, is of nearly the size asked for and has something of
/// nearly everywhere.
async fn reaches_everywhere(name: &str, documents: Vec<RawDocumentBuf>) {
    let (source, namespace) = filled(documents.clone()).await;
    for wanted in [1_000, 200] {
        let sample = sample(&source, &namespace, wanted).await;
        let reached = shares(&documents, &sample);
        assert!(sample.len() * 10 >= wanted * 6, "{name}: {} documents of {wanted}", sample.len());
        assert!(reached >= 18, "{name}: {reached} of 20 shares by {wanted} documents");
        let ends = [&documents[0], documents.last().unwrap()];
        assert!(ends.iter().all(|end| sample.contains(end)), "{name}: an end is missing");
    }
}

fn oid(bytes: [u8; 12]) -> Bson {
    Bson::ObjectId(ObjectId::from_bytes(bytes))
}

/// As drivers make them: a second, five random bytes of the process, a counter.
fn object_id(second: u32, process: u8, counter: u32) -> Bson {
    let [s0, s1, s2, s3] = second.to_be_bytes();
    let [_, c0, c1, c2] = counter.to_be_bytes();
    oid([s0, s1, s2, s3, process, 1, 2, 3, 4, c0, c1, c2])
}

fn binary(subtype: BinarySubtype, bytes: Vec<u8>) -> Bson {
    Bson::Binary(Binary { subtype, bytes })
}

fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn every_type_of_id_is_sampled_from_everywhere() {
    let count = 6_000_u32;
    let numbers = || (0..count).map(i64::from);
    let big = || sorted(scattered(count.into()).collect());
    let cases: Vec<(&str, Vec<Bson>)> = vec![
        ("ObjectIds", (0..count).map(|n| object_id(1_700_000_000 + n * 60, 7, n)).collect()),
        ("ObjectIds of one second", (0..count).map(|n| object_id(1_700_000_000, 7, n)).collect()),
        ("int32", (0..count).map(|n| Bson::Int32(n.cast_signed() - 3_000)).collect()),
        ("int64", numbers().map(|n| Bson::Int64(n * 1_000_000_007_000)).collect()),
        ("doubles", numbers().map(|n| Bson::Double(n as f64 / 7.0 - 300.0)).collect()),
        ("decimals", numbers().map(|n| Bson::Decimal128(format!("{n}.25").parse().unwrap())).collect()),
        ("strings of digits", numbers().map(|n| Bson::String(format!("order-2024-{n:08}"))).collect()),
        ("strings of hexadecimal digits", big().iter().map(|n| Bson::String(format!("{n:016x}"))).collect()),
        ("paths", numbers().map(|n| Bson::String(format!("/a/{:04}/{:02}.html", n / 50, n % 50))).collect()),
        ("Cyrillic", numbers().map(|n| Bson::String(cyrillic(n))).collect()),
        ("dates", numbers().map(|n| Bson::DateTime(DateTime::from_millis(n * 3_600_000))).collect()),
        ("timestamps", (0..count).map(|n| Bson::Timestamp(Timestamp { time: n, increment: 1 })).collect()),
        ("UUIDs", big().iter().map(|n| binary(BinarySubtype::Uuid, [n.to_be_bytes(); 2].concat())).collect()),
        ("compound", numbers().map(|n| Bson::Document(doc! { "of": "x", "day": n, "p": n % 3 })).collect()),
    ];
    for (name, ids) in cases {
        reaches_everywhere(name, with_ids(ids)).await;
    }
}

/// Four letters, in the order of the numbers.
fn cyrillic(number: i64) -> String {
    let letters: Vec<char> = ('а'..='я').collect();
    let digit = |place: u32| letters[usize::try_from(number / 32_i64.pow(place) % 32).unwrap()];
    (0..4).rev().map(digit).collect()
}

/// A few `_id`s far away from all the others, in every direction.
#[tokio::test]
async fn outliers_and_clusters_do_not_hide_the_rest() {
    let many = |from: i64| (from..from + 6_000).map(Bson::Int64);
    let far = |end: i64| [Bson::Int64(end)].into_iter();
    let text = |text: &str| [Bson::String(text.to_owned())].into_iter();
    let orders = || (0..6_000).map(|n| Bson::String(format!("order-2024-{n:08}")));
    let infinite = |value| [Bson::Double(value)].into_iter();
    let bytes = |len| binary(BinarySubtype::Generic, vec![7; len]);
    let uuids = |subtype| {
        sorted(scattered(3_000).collect())
            .into_iter()
            .map(move |n| binary(subtype, [n.to_be_bytes(); 2].concat()))
    };
    let cases: Vec<(&str, Vec<Bson>)> = vec![
        ("one above", many(1).chain(far(1 << 60)).collect()),
        ("one below", far(-(1 << 60)).chain(many(1)).collect()),
        ("both", far(-(1 << 60)).chain(many(1)).chain(far(1 << 60)).collect()),
        ("two clusters", many(0).chain(many(1 << 50)).collect()),
        ("strings", text("a").chain(orders()).chain(text("zz")).collect()),
        ("infinity", infinite(f64::NEG_INFINITY).chain(many(1)).chain(infinite(f64::INFINITY)).collect()),
        ("not a number", infinite(f64::NAN).chain(many(1)).collect()),
        (
            "an early ObjectId",
            [oid([0; 12])].into_iter().chain((0..6_000).map(|n| object_id(1_700_000_000, 9, n))).collect(),
        ),
        (
            "processes",
            (0..3_u8)
                .flat_map(|process| (0..2_000).map(move |n| object_id(1_700_000_000, process * 80, n)))
                .collect(),
        ),
        ("two subtypes", uuids(BinarySubtype::UuidOld).chain(uuids(BinarySubtype::Uuid)).collect()),
        ("lengths", [bytes(1)].into_iter().chain(uuids(BinarySubtype::Uuid)).chain([bytes(40)]).collect()),
    ];
    for (name, ids) in cases {
        reaches_everywhere(name, with_ids(ids)).await;
    }
}

/// Types and orders that no place can be computed for: both ends, and more of them.
#[tokio::test]
async fn where_no_place_can_be_computed_both_ends_are_read() {
    let code = |n: i32| Bson::JavaScriptCode(format!("f({n:05})"));
    let documents = with_ids((0..6_000).map(code));
    let (source, namespace) = filled(documents.clone()).await;
    let sample = sample(&source, &namespace, 1_000).await;
    assert!(sample.len() >= 900, "{} documents", sample.len());
    assert!(sample.contains(&documents[400]) && sample.contains(&documents[5_600]));
}

/// Each class of types is seen, however few documents have it, and the many are seen from everywhere.
#[tokio::test]
async fn ids_of_several_types_are_all_seen() {
    let few = |count: i64| (0..count).map(Bson::Int64);
    let ids: Vec<Bson> = [Bson::Null]
        .into_iter()
        .chain(few(3))
        .chain((0..6_000).map(|n| Bson::String(format!("order-2024-{n:08}"))))
        .chain([Bson::Document(doc! { "a": 1 }), binary(BinarySubtype::Generic, vec![1, 2])])
        .chain((0..6_000).map(|n| object_id(1_700_000_000 + n, 7, n)))
        .chain([Bson::Boolean(true), Bson::DateTime(DateTime::from_millis(5)), Bson::MaxKey])
        .collect();
    reaches_everywhere("types", with_ids(ids.clone())).await;
    let documents = with_ids(ids);
    let (source, namespace) = filled(documents.clone()).await;
    let sample = sample(&source, &namespace, 1_000).await;
    let rare = documents[..4].iter().chain(&documents[6_004..6_006]).chain(&documents[12_006..]);
    assert!(rare.into_iter().all(|document| sample.contains(document)));
}

/// A field that only documents of one place have: the start, the end, or anywhere between.
#[tokio::test]
async fn a_rare_field_is_found_by_the_part_it_lies_in() {
    for place in [0..40, 7_000..7_400, 19_960..20_000] {
        let document = |n: i32| {
            let mut document = rawdoc! { "_id": n, "a": 1 };
            if place.contains(&n) {
                document.append(bson::raw::cstr!("rare"), true);
            }
            document
        };
        let (source, namespace) = filled((0..20_000).map(document).collect()).await;
        let sample = sample(&source, &namespace, 2_000).await;
        let rare = sample.iter().filter(|document| document.get("rare").unwrap().is_some()).count();
        assert!(rare >= 25, "{rare} documents of {place:?}");
    }
}

#[tokio::test]
async fn small_collections_are_sampled_whole() {
    for count in [0, 1, 2, 3, 70, 1_000] {
        let documents: Vec<_> = (0..count).map(|n| rawdoc! { "_id": n }).collect();
        let (source, namespace) = filled(documents.clone()).await;
        assert!(sample(&source, &namespace, 1_000).await == documents, "{count} documents");
        assert_eq!(sample(&source, &namespace, 0).await.len(), 0);
        assert_eq!(sample(&source, &namespace, 2).await.len(), documents.len().min(2));
    }
}

/// The size that was found before does not matter.
#[tokio::test]
async fn a_collection_that_has_grown_is_sampled_as_it_is() {
    let (source, namespace) = filled(vec![rawdoc! { "_id": 0 }]).await;
    source.preflight(&namespace).await.unwrap();
    let client = servers::client(&servers::uri().await).await;
    servers::collection(&client, &namespace)
        .insert_many((1..5_000).map(|n| rawdoc! { "_id": n }))
        .await
        .unwrap();
    let sample = source.sample(&namespace, 500).await.unwrap();
    assert!(sample.contains(&rawdoc! { "_id": 4_999 }) && sample.len() >= 450, "{}", sample.len());
}

/// Documents of 40 KB: a sample is of fewer, and still from everywhere.
#[tokio::test]
async fn large_documents_make_parts_smaller_and_not_fewer() {
    let documents: Vec<_> = (0..600).map(|n| rawdoc! { "_id": n, "text": "x".repeat(40_000) }).collect();
    let (source, namespace) = filled(documents.clone()).await;
    let found = sample(&source, &namespace, 10_000).await;
    let bytes: usize = found.iter().map(|document| document.as_bytes().len()).sum();
    assert!((4 * MIB..=8 * MIB + 40_100).contains(&bytes), "{bytes} bytes");
    assert_eq!(shares(&documents, &found), 20);

    // The average says nothing of these: the large ones lie together.
    let size = |n: i32| if n < 100 { 400_000 } else { 10 };
    let documents: Vec<_> = (0..20_000).map(|n| rawdoc! { "_id": n, "text": "x".repeat(size(n)) }).collect();
    let (source, namespace) = filled(documents.clone()).await;
    let found = sample(&source, &namespace, 10_000).await;
    let bytes: usize = found.iter().map(|document| document.as_bytes().len()).sum();
    assert!(bytes <= 8 * MIB + 400_100, "{bytes} bytes");
    assert_eq!(shares(&documents, &found), 20);
}

#[tokio::test]
async fn views_are_sampled_from_their_beginning() {
    let documents: Vec<_> = (0..3_000).map(|n| rawdoc! { "_id": n }).collect();
    let (source, namespace) = filled(documents.clone()).await;
    let client = servers::client(&servers::uri().await).await;
    let view = Namespace::new(namespace.database.clone(), format!("view of {}", namespace.collection));
    let pipeline = [doc! { "$match": { "_id": { "$gte": 100 } } }];
    servers::create(&client, &view, doc! { "viewOn": &namespace.collection, "pipeline": pipeline }).await;
    assert!(sample(&source, &view, 500).await == documents[100..600]);
    assert!(sample(&source, &view, 10_000).await == documents[100..]);
    let series = Namespace::new(namespace.database.clone(), format!("series of {}", namespace.collection));
    servers::create(&client, &series, doc! { "timeseries": { "timeField": "at" } }).await;
    let at = |n: i64| rawdoc! { "at": DateTime::from_millis(n * 1000), "_id": n };
    servers::collection(&client, &series).insert_many((0..3_000).map(at)).await.unwrap();
    assert_eq!(sample(&source, &series, 500).await.len(), 500);
}

#[tokio::test]
async fn capped_and_clustered_collections_are_sampled_from_everywhere() {
    let client = servers::client(&servers::uri().await).await;
    let documents: Vec<_> = (0..6_000).map(|n| rawdoc! { "_id": n }).collect();
    for options in [
        doc! { "capped": true, "size": 10_000_000 },
        doc! { "clusteredIndex": { "key": { "_id": 1 }, "unique": true } },
        doc! { "collation": { "locale": "de", "numericOrdering": true } },
    ] {
        let namespace = servers::namespace();
        servers::create(&client, &namespace, options.clone()).await;
        servers::collection(&client, &namespace).insert_many(&documents).await.unwrap();
        let source = MongoSource::connect(&servers::uri().await).await.unwrap();
        assert_eq!(shares(&documents, &sample(&source, &namespace, 1_000).await), 20, "{options}");
    }
}
