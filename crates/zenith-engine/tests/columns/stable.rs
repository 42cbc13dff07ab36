//! The same documents give the same columns, and hardly anything beside them.

use bson::{Document, bson, doc};
use zenith_engine::{ReloadOptions, TableOptions};
use zenith_testkit::{Published, Shape, load};

use super::raw;
use crate::harness::Bench;

async fn ten_copies_are_equal(bench: &Bench, collection: &str, sample: usize) {
    let describe = format!("DESCRIBE TABLE {collection} FORMAT TSV");
    let mut first = None;
    for n in 0..10 {
        bench.databases.clickhouse.query(&format!("DROP TABLE IF EXISTS {collection}")).await.unwrap();
        bench
            .copy(
                collection,
                ReloadOptions {
                    table: TableOptions { sample, ..TableOptions::default() },
                    ..ReloadOptions::default()
                },
            )
            .await;
        let columns = bench.sql(&describe).await;
        match &first {
            None => first = Some(columns),
            Some(first) => assert_eq!(*first, columns, "copy {n} of {collection}"),
        }
    }
}

fn orders() -> impl Iterator<Item = Document> {
    (0..5_000).map(|id| {
        let line = doc! { "sku": "a", "price": 10.0, "qty": 2 };
        let mut lines = vec![line.clone(), line.clone(), line];
        if id % 331 == 100 {
            lines[1].insert("serials", ["A"]);
        }
        doc! { "_id": id, "items": lines }
    })
}

/// Fields in one document of 7, 49, 343 and 2401, and of several types as often.
fn rare() -> impl Iterator<Item = Document> {
    (0..5_000).map(|id: i32| {
        let mut document = doc! { "_id": id };
        for (power, name) in (1..).zip(["often", "now and then", "seldom", "hardly ever"]) {
            if (id + 3).rem_euclid(7_i32.pow(power)) == 0 {
                let value = if id % 3 == 0 { bson!("x") } else { bson!({ "n": id, name: [id] }) };
                document.insert(name, value);
            }
        }
        document
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_copies_have_the_same_columns() {
    let bench = Bench::new("stable").await;
    bench.fill("orders", orders().map(|document| raw(&document))).await;
    bench.fill("rare", rare().map(|document| raw(&document))).await;
    Published::Countries.load(&bench.databases.mongodb).await.unwrap();
    for collection in ["orders", "rare", "countries"] {
        ten_copies_are_equal(&bench, collection, 10_000).await;
    }
    bench.remove().await;
}

/// Columns that were chosen again for what a load has met are the same ones, too, whoever was the first to meet it.
#[tokio::test(flavor = "multi_thread")]
async fn so_they_have_where_the_sample_saw_little() {
    let bench = Bench::new("stable").await;
    bench.fill("orders", orders().map(|document| raw(&document))).await;
    bench.fill("rare", rare().map(|document| raw(&document))).await;
    for collection in ["orders", "rare"] {
        ten_copies_are_equal(&bench, collection, 200).await;
    }
    bench.remove().await;
}

/// Of real and of lifelike documents hardly any has something that no column shows.
#[tokio::test(flavor = "multi_thread")]
async fn hardly_any_row_has_something_in_extra() {
    let bench = Bench::new("shares").await;
    Published::Countries.load(&bench.databases.mongodb).await.unwrap();
    Published::Movies.load(&bench.databases.mongodb).await.unwrap();
    load::generate(&bench.databases.mongodb, "events", Shape::Events, 1, 0..20_000).await.unwrap();
    let mut too_many = Vec::new();
    for collection in ["countries", "movies", "events"] {
        let (_, summary) = bench.round_trip(collection, ReloadOptions::default()).await;
        let share = async |column: &str| -> f64 {
            let sql = format!("SELECT round(100 * avg({column} != ''), 2) FROM {collection}");
            bench.sql(&sql).await.parse().unwrap()
        };
        let (extra, notes) = (share("_zenith_extra").await, share("_zenith_notes").await);
        println!("{collection}: {extra} % of the rows have something in extra, {notes} % have notes");
        if extra > 2.0 {
            too_many.push(format!("{collection}: {extra} %: {:?}", summary.extra_values));
        }
    }
    assert!(too_many.is_empty(), "{too_many:#?}");
    bench.remove().await;
}

/// The documents of the shapes at hand keep every row without words of any kind, where all look alike.
#[tokio::test(flavor = "multi_thread")]
async fn documents_that_are_alike_have_nothing_beside_their_columns() {
    let bench = Bench::new("alike").await;
    let document = |id: i32| -> Document {
        doc! { "_id": id, "a": { "b": [{ "c": [[id]] }] }, "s": "x", "n": [id, id], "d": 1.5, "t": { "u": { "v": true } } }
    };
    bench.fill("alike", (0..1_000).map(|id| raw(&document(id)))).await;
    bench
        .round_trip(
            "alike",
            ReloadOptions {
                table: TableOptions { sample: 5, ..TableOptions::default() },
                ..ReloadOptions::default()
            },
        )
        .await;
    let words = bench.sql("SELECT countIf(_zenith_extra != '' OR _zenith_notes != '') FROM alike").await;
    assert_eq!(words, "0");
    bench.remove().await;
}
