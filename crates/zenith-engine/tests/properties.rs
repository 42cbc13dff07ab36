//! Arbitrary documents through the real servers: what comes back is equal. The seed is printed; set
//! `ZENITH_TEST_SEED` to run one again.

use std::time::{SystemTime, UNIX_EPOCH};

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Decimal128, Document, RawDocumentBuf, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use zenith_engine::{ReloadOptions, TableOptions};

use crate::harness::{Bench, small_batches};

/// Collections a run, each of its own kind of documents.
const COLLECTIONS: u32 = 12;

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "c", "d", "name", "value", "list", "when"]).prop_map(str::to_owned),
        1 => "[a-z$.\"`' ]{0,4}",
        1 => "\\PC{0,3}".prop_map(|text| text.replace('\0', "")),
    ]
}

fn scalar() -> BoxedStrategy<Bson> {
    prop_oneof![
        4 => any::<i32>().prop_map(Bson::Int32),
        3 => any::<i64>().prop_map(Bson::Int64),
        3 => any::<f64>().prop_map(Bson::Double),
        2 => (-50_i32..50).prop_map(|n| Bson::Double(f64::from(n))),
        5 => "\\PC{0,40}".prop_map(Bson::String),
        1 => prop::sample::select(vec!["2024-01-01", "12", "true", "null", "1.5", "{}", "[]", "2020-02-02 02:02:02"])
            .prop_map(|text| Bson::String(text.to_owned())),
        2 => any::<bool>().prop_map(Bson::Boolean),
        2 => any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(ObjectId::from_bytes(bytes))),
        2 => (-3_000_000_000_000_i64..12_000_000_000_000).prop_map(|ms| Bson::DateTime(DateTime::from_millis(ms))),
        1 => any::<i64>().prop_map(|ms| Bson::DateTime(DateTime::from_millis(ms))),
        1 => (any::<u32>(), any::<u32>()).prop_map(|(time, increment)| Bson::Timestamp(Timestamp { time, increment })),
        2 => (any::<i64>(), -20_i32..10).prop_map(|(n, exponent)| Bson::Decimal128(format!("{n}E{exponent}").parse::<Decimal128>().unwrap())),
        1 => prop::sample::select(vec!["NaN", "Infinity", "-0", "0.00"]).prop_map(|text| Bson::Decimal128(text.parse().unwrap())),
        1 => any::<[u8; 16]>().prop_map(|b| Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: b.to_vec() })),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes })),
        2 => Just(Bson::Null),
        1 => prop::sample::select(vec![Bson::MinKey, Bson::MaxKey, Bson::Undefined, Bson::JavaScriptCode("f".into()), Bson::Symbol("s".into())]),
    ]
    .boxed()
}

fn value() -> impl Strategy<Value = Bson> {
    scalar().prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Bson::Array),
            prop::collection::vec((key(), inner), 0..5)
                .prop_map(|entries| Bson::Document(entries.into_iter().collect::<Document>())),
        ]
    })
}

/// Documents that look alike: each key keeps its kind of value most of the time, as in real collections.
fn collection() -> impl Strategy<Value = Vec<Document>> {
    let shape = prop::collection::vec((key(), value()), 1..8);
    (
        shape,
        prop::collection::vec(
            prop::collection::vec((any::<prop::sample::Index>(), value(), any::<u8>()), 0..8),
            1..40,
        ),
    )
        .prop_map(|(shape, rows)| {
            rows.into_iter()
                .enumerate()
                .map(|(n, changes)| {
                    let mut document = bson::doc! { "_id": i32::try_from(n).unwrap() };
                    for (key, value) in &shape {
                        document.insert(key.clone(), value.clone());
                    }
                    for (index, value, dice) in changes {
                        let (key, _) = index.get(&shape);
                        match dice % 8 {
                            0..3 => drop(document.insert(key.clone(), value)),
                            3 => drop(document.remove(key)),
                            4 => drop(document.insert("rare", value)),
                            _ => {}
                        }
                    }
                    document.insert("_id", i32::try_from(n).unwrap());
                    document
                })
                .collect()
        })
}

/// That of `ZENITH_TEST_SEED`, or a new one.
pub fn seed() -> u64 {
    match std::env::var("ZENITH_TEST_SEED") {
        Ok(text) => text.parse().expect("ZENITH_TEST_SEED is a number"),
        Err(_) => u64::try_from(
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() & u128::from(u64::MAX),
        )
        .unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn arbitrary_documents_come_back_equal() {
    let seed = seed();
    println!("ZENITH_TEST_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let bench = Bench::new("properties").await;
    for n in 0..COLLECTIONS {
        let documents = collection().new_tree(&mut runner).unwrap().current();
        let name = format!("c{n}");
        bench.fill(&name, documents.iter().map(|document| RawDocumentBuf::try_from(document).unwrap())).await;
        // Every other time from a sample that has seen little, so that much comes unexpected.
        let sample = if n % 2 == 0 { 1000 } else { 3 };
        let options = ReloadOptions {
            table: TableOptions { sample, keep_nulls: n % 3 == 0, batch_rows: 7, ..small_batches().table },
            ..small_batches()
        };
        let (_, summary) = bench.round_trip(&name, options).await;
        assert_eq!(summary.dead_letters, 0, "{name}");
    }
    bench.remove().await;
}
