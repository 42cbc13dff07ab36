//! What a small sample had not seen, and is no rarity: in the columns all the same.

use bson::{Bson, DateTime, Document, bson, doc};
use zenith_engine::state::{Snapshot, StateStore};
use zenith_engine::{PipelineSettings, ReloadOptions, TableOptions};

use super::{Shown, copied, followed, raw};
use crate::harness::Bench;
use crate::incremental::Follow;

/// Documents looked at.
const SAMPLE: usize = 3;

/// Whether this document of a thousand is one of those that lie together where the sample does not look.
fn is_odd(id: i32, in_a_thousand: i32) -> bool {
    (337_000..337_000 + 1_000 * in_a_thousand).contains(&(id * 10))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_documents_of_which_the_sample_saw_three() {
    let bench = Bench::new("unseen").await;
    let documents = (0..100_000).map(|id| {
        let odd = is_odd(id, 20);
        let mut document = doc! {
            "_id": id,
            "fraction": if odd { Bson::Double(0.5) } else { Bson::Int32(1) },
            "word": if odd { Bson::from("five") } else { Bson::Int32(5) },
            "date": if odd { Bson::DateTime(DateTime::from_millis(1_700_000_000_000)) } else { Bson::Null },
        };
        if odd {
            document.insert("key", 7);
        }
        raw(&document)
    });
    bench.fill("items", documents).await;
    let (_, summary) = bench
        .copy(
            "items",
            ReloadOptions {
                table: TableOptions { sample: SAMPLE, ..TableOptions::default() },
                ..ReloadOptions::default()
            },
        )
        .await;
    assert_eq!(summary.rows, 100_000);
    for (expression, answer) in [
        ("count()", "100000"),
        ("sum(fraction)", "99000"),
        ("sum(word)", "490000"),
        ("countIf(word_text = 'five')", "2000"),
        ("sum(key)", "14000"),
        ("countIf(toYear(date) = 2023)", "2000"),
        ("countIf(_zenith_extra != '')", "0"),
    ] {
        let shown = bench.databases.clickhouse.query(&format!("SELECT {expression} FROM items")).await;
        let shown = shown.unwrap_or_else(|error| error.to_string());
        assert_eq!(shown, answer, "{expression}");
    }
    bench.remove().await;
}

/// 20,000 documents of which 400 are another in their field `v`.
fn unseen(name: &str, usual: Option<Bson>, odd: Bson) -> Shown {
    let document = |id: i32| {
        let mut document: Document = doc! { "_id": id };
        // A fifth of the documents, so the place is found in a fifth of the numbers.
        if is_odd(id * 5, 20) {
            document.insert("v", odd.clone());
        } else if let Some(usual) = &usual {
            document.insert("v", usual.clone());
        }
        document
    };
    Shown::new(name, (0..20_000).map(document)).sample(SAMPLE).when_loaded("countIf(_zenith_extra != '')", 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn elements_and_parts_that_the_sample_had_not() {
    copied(&[
        unseen("a key of an element", Some(bson!([{ "a": 1 }])), bson!([{ "a": 1, "b": 2 }, { "a": 1 }]))
            .when_loaded("sumArray(v.a)", 20_400)
            .when_loaded("sumArray(v.b)", 800),
        unseen("a list", None, bson!(["x", "y"]))
            .when_loaded("countIf(has(v, 'y'))", 400)
            .when_loaded("sum(length(v))", 800),
        unseen("a document", Some(Bson::Null), bson!({ "a": { "b": [1] } }))
            .when_loaded("sumArray(v.a.b)", 400),
        unseen("fractions in a list", Some(bson!([1])), bson!([0.5])).when_loaded("sumArray(v)", 19_800),
        unseen("a list beside words", Some("x".into()), bson!(["y"]))
            .when_loaded("countIf(v = 'x')", 19_600)
            .when_loaded("countIf(position(v_text, 'y') > 0)", 400),
    ])
    .await;
}

/// Each kind comes when the one before it is long through.
#[tokio::test(flavor = "multi_thread")]
async fn one_kind_after_the_other() {
    let document = |id: i32| {
        let mut document = doc! { "_id": id, "n": 1 };
        match id {
            1_000..1_200 => drop(document.insert("first", 1)),
            8_000..8_200 => drop(document.insert("second", "x")),
            14_000..14_200 => drop(document.insert("n", 0.5)),
            19_000..19_200 => drop(document.insert("last", ["x"])),
            _ => {}
        }
        document
    };
    let shown = Shown::new("kinds", (0..20_000).map(document))
        .sample(SAMPLE)
        .when_loaded("sum(first)", 200)
        .when_loaded("countIf(second = 'x')", 200)
        .when_loaded("sum(n)", 19_900)
        .when_loaded("sum(length(last))", 200)
        .when_loaded("countIf(_zenith_extra != '')", 0);
    copied(&[shown]).await;
}

/// Lists that are all empty say nothing of elements.
#[tokio::test(flavor = "multi_thread")]
async fn elements_of_lists_that_were_empty() {
    copied(&[
        unseen("elements", Some(bson!([])), bson!([1, 2])).when_loaded("sumArray(v)", 1_200),
        unseen("parts", Some(bson!({})), bson!({ "n": 1 })).when_loaded("sum(v.n)", 400),
    ])
    .await;
}

/// Ten fields, each with words among its numbers in a fifth of the documents, which begin and end anywhere in the
/// replies of the server: how many there are is not to be judged by the first of them.
#[tokio::test(flavor = "multi_thread")]
async fn words_that_begin_in_the_middle_of_a_reply() {
    let text = "x".repeat(500);
    let document = |id: i32| {
        let mut document = doc! { "_id": id, "text": &text };
        for field in 0..10 {
            let start = 1_000 + 411 * field;
            let word = (start..start + 4_000).contains(&id);
            document.insert(format!("v{field}"), if word { Bson::from("five") } else { Bson::Int32(5) });
        }
        document
    };
    let mut shown = Shown::new("words", (0..20_000).map(document)).sample(SAMPLE);
    for field in 0..10 {
        shown = shown
            .when_loaded(&format!("sum(v{field})"), 80_000)
            .when_loaded(&format!("countIf(v{field}_text = 'five')"), 4_000);
    }
    copied(&[shown.when_loaded("countIf(_zenith_extra != '')", 0)]).await;
}

/// A kind of value that is hardly worth a column at first, and then is in every other document.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_rare_at_first_may_become_usual() {
    let text = "x".repeat(500);
    let document = |id: i32| {
        let word = if id < 15_000 { id % 200 == 77 } else { matches!(id % 4, 1 | 2) };
        doc! { "_id": id, "text": &text, "v": if word { Bson::from("five") } else { Bson::Int32(5) } }
    };
    copied(&[Shown::new("words", (0..20_000).map(document))
        .sample(SAMPLE)
        .when_loaded("sum(v)", 5 * (20_000 - 2_575))
        .when_loaded("countIf(v_text = 'five')", 2_575)
        .when_loaded("countIf(_zenith_extra != '')", 0)])
    .await;
}

/// Tables that are followed begin with a load, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_snapshot_has_them_as_well() {
    followed(&[
        unseen("a key of an element", Some(bson!([{ "a": 1 }])), bson!([{ "a": 1, "b": 2 }, { "a": 1 }]))
            .says("sumArray(v.b)", 800)
            .when_followed("countIf(_zenith_extra != '')", 0),
        unseen("fractions", Some(1.into()), 0.5.into())
            .says("sum(v)", 19_800)
            .when_followed("countIf(_zenith_extra != '')", 0),
    ])
    .await;
}

/// A process that continues with a snapshot has another sample than the one that began it.
#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_first_snapshot_has_them_as_well() {
    let settings = PipelineSettings {
        options: TableOptions { sample: SAMPLE, ..TableOptions::default() },
        ..PipelineSettings::default()
    };
    let follow = Follow::new("unseen_rest", settings).await;
    let usual = |id: i32| doc! { "_id": id, "n": 1 };
    follow.bench.fill("items", (0..10_000).map(|id| raw(&usual(id * 2)))).await;
    follow.catch_up_well().await;
    // As if nothing of it had been read before a crash.
    let snapshot = follow.state.snapshot("items").await.unwrap().unwrap();
    let mut partitions = snapshot.partitions.clone();
    assert!(!partitions.is_empty());
    partitions.iter_mut().for_each(|partition| partition.done = false);
    let begun = Snapshot { partitions, consistent_after: None, ..snapshot };
    follow.state.begin_snapshot("items", &begun).await.unwrap();
    let odd = |id: i32| doc! { "_id": id * 2 + 1, "n": 0.5, "key": "x" };
    follow.bench.fill("items", (3_300..3_500).map(|id| raw(&odd(id)))).await;
    follow.catch_up_well().await;
    let shown = "SELECT count(), sum(n), countIf(key = 'x'), countIf(_zenith_extra != '') FROM items_current FORMAT CSV";
    assert_eq!(follow.query(shown).await, "10200,10100,200,0");
    follow.assert_equal("items_current").await;
    follow.bench.remove().await;
}
