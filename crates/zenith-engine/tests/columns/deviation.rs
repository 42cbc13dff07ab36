//! Documents of an arbitrary shape, alike but for one deviation at an arbitrary place of a few: whatever fits is in the
//! columns, by what SQL answers. The seed is printed; set `ZENITH_TEST_SEED` to run one again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use zenith_engine::{PipelineSettings, ReloadOptions, TableOptions};

use super::raw;
use super::shape::{self, Shape};
use crate::harness::Bench;
use crate::incremental::Follow;

/// How long new documents are made for.
const LENGTH: Duration = Duration::from_secs(30);

/// A collection: its shape, its documents as they would be without deviations, and those that are to come in the place
/// of some.
#[derive(Debug)]
struct Collection {
    shape: Vec<(String, Shape)>,
    documents: Vec<Document>,
    deviants: Vec<Document>,
    what: String,
}

/// What becomes of a value.
#[derive(Clone, Copy, Debug)]
enum Deviation {
    OtherType,
    Missing,
    Null,
    ExtraKey,
    Deeper,
    Empty,
}

const DEVIATIONS: [Deviation; 6] = [
    Deviation::OtherType,
    Deviation::Missing,
    Deviation::Null,
    Deviation::ExtraKey,
    Deviation::Deeper,
    Deviation::Empty,
];

fn collection() -> impl Strategy<Value = Collection> {
    (shape::fields(), 50_usize..200)
        .prop_flat_map(|(shape, count)| {
            let documents = prop::collection::vec(shape::document(&shape), count);
            let place = prop::collection::vec(any::<prop::sample::Index>(), 12);
            let deviation = (prop::sample::select(DEVIATIONS.to_vec()), shape::stranger());
            let who = prop::collection::btree_set(0..count, 1..4);
            (Just(shape), documents, place, deviation, who)
        })
        .prop_map(|(shape, mut documents, place, (deviation, stranger), who)| {
            for (document, id) in documents.iter_mut().zip(0_i32..) {
                document.insert("_id", id);
            }
            let mut what = String::new();
            let mut deviants = Vec::new();
            for n in who {
                let mut document = documents[n].clone();
                what = format!("{deviation:?} at {}", deviate(&mut document, &place, deviation, &stranger));
                deviants.push(document);
            }
            Collection { shape, documents, deviants, what }
        })
}

/// Goes down by `place`, and stops where it ends or nothing is below. Returns where that was.
fn deviate(
    document: &mut Document,
    place: &[prop::sample::Index],
    deviation: Deviation,
    stranger: &Bson,
) -> String {
    let keys: Vec<String> = document.keys().filter(|key| *key != "_id").cloned().collect();
    let key = place[0].get(&keys).clone();
    let value = document.get_mut(&key).unwrap();
    let (gone, inside) = deviate_value(value, &place[1..], deviation, stranger);
    if gone {
        document.remove(&key);
    }
    format!("{key}{inside}")
}

/// The same for a value; whether it is to be taken out.
fn deviate_value(
    value: &mut Bson,
    place: &[prop::sample::Index],
    deviation: Deviation,
    stranger: &Bson,
) -> (bool, String) {
    // Three times of four it goes on, if there is anything below.
    let goes_on = place.len() > 1 && place[0].index(4) > 0;
    match value {
        Bson::Document(inside) if goes_on && !inside.is_empty() => {
            return (false, format!(".{}", deviate(inside, &place[1..], deviation, stranger)));
        }
        Bson::Array(items) if goes_on && !items.is_empty() => {
            let index = place[1].index(items.len());
            let (gone, inside) = deviate_value(&mut items[index], &place[2..], deviation, stranger);
            if gone {
                items.remove(index);
            }
            return (false, format!("[{index}]{inside}"));
        }
        _ => {}
    }
    *value = match (deviation, &mut *value) {
        (Deviation::Missing, _) => return (true, String::new()),
        (Deviation::Null, _) => Bson::Null,
        (Deviation::ExtraKey, Bson::Document(document)) => {
            let mut document = document.clone();
            document.insert("surplus", stranger.clone());
            Bson::Document(document)
        }
        (Deviation::Deeper, Bson::Array(items)) => Bson::Array(vec![Bson::Array(items.clone())]),
        (Deviation::Deeper, value) => Bson::Document(doc! { "within": value.clone() }),
        (Deviation::Empty, Bson::Array(_)) => Bson::Array(Vec::new()),
        (Deviation::Empty, _) => Bson::Document(Document::new()),
        // An extra key has no place in a scalar or an array: that is another type, then.
        (Deviation::OtherType | Deviation::ExtraKey, value) => {
            if shape::same_class(value, stranger) {
                Bson::Boolean(!matches!(value, Bson::Boolean(true)))
            } else {
                stranger.clone()
            }
        }
    };
    (false, String::new())
}

impl Collection {
    /// The documents with the deviants in their places.
    fn all(&self) -> BTreeMap<i64, &Document> {
        let each = self.documents.iter().chain(&self.deviants);
        each.map(|document| (i64::from(document.get_i32("_id").unwrap()), document)).collect()
    }

    /// Every leaf of every row is what the document has there, if the column can hold it.
    async fn check(&self, bench: &Bench, table: &str) {
        for (path, kind) in shape::leaves(&self.shape) {
            let name = path.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(".");
            let type_name = bench.sql(&format!("SELECT any(toTypeName({name})) FROM {table}")).await;
            let is_text = type_name.contains("String");
            let sql = format!(
                "SELECT toInt64(_id), {name} FROM {table} ORDER BY _id SETTINGS date_time_output_format = 'iso', \
                 output_format_json_quote_64bit_integers = 1, output_format_json_quote_decimals = 1 \
                 FORMAT JSONCompactEachRow"
            );
            let answer = bench.sql(&sql).await;
            let all = self.all();
            assert_eq!(answer.lines().count(), all.len(), "{name}");
            for line in answer.lines() {
                let row: (Value, Value) = serde_json::from_str(line).unwrap();
                let id: i64 = row.0.as_str().unwrap().parse().unwrap();
                let document = all[&id];
                let (_, top) = self.shape.iter().find(|(key, _)| *key == path[0]).unwrap();
                let expected = shape::at(top, document.get(&path[0]), &path[1..]);
                assert!(
                    shape::shows(&kind, &expected, &row.1, is_text),
                    "{}: {name} ({type_name}) of {id} is {} and not {expected:?}\n{document}",
                    self.what,
                    row.1
                );
            }
        }
    }

    async fn copy(&self, n: usize) {
        let mut bench = Bench::new("deviation").await;
        bench.native = n % 4 == 1;
        bench.fill("shown", self.all().into_values().map(raw)).await;
        // Every other time most of the deviants are not seen before.
        let sample = if n.is_multiple_of(2) { 1_000 } else { 30 };
        bench
            .round_trip(
                "shown",
                ReloadOptions {
                    table: TableOptions { sample, ..TableOptions::default() },
                    memory: 16 << 20,
                    ..ReloadOptions::default()
                },
            )
            .await;
        self.check(&bench, "shown").await;
        bench.remove().await;
    }

    async fn follow(&self) {
        let follow = Follow::new("deviation", PipelineSettings::default()).await;
        follow.bench.fill("items", self.documents.iter().map(raw)).await;
        follow.catch_up_well().await;
        follow.bench.put("items", &self.deviants).await;
        follow.catch_up_well().await;
        follow.assert_equal("items_current").await;
        self.check(&follow.bench, "items_current").await;
        follow.bench.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_fits_is_shown() {
    let seed = crate::properties::seed();
    println!("ZENITH_TEST_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < LENGTH {
        let collection = collection().new_tree(&mut runner).unwrap().current();
        println!("{count}: {} documents, {}", collection.documents.len(), collection.what);
        if count % 3 == 2 {
            collection.follow().await
        } else {
            collection.copy(count).await
        }
        count += 1;
    }
    assert!(count >= 10, "only {count} collections in {LENGTH:?}");
}
