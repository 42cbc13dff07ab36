//! Keys and types that come only when a table is followed: in columns, or told and kept, and in a column after a reload.

use bson::{Bson, DateTime, Document, bson, doc};
use zenith_engine::state::StateStore;
use zenith_engine::{OnNewField, PipelineSettings, TableOptions};

use super::{Shown, followed, raw};
use crate::incremental::Follow;

fn order(id: i32, note: Option<&str>) -> Document {
    let line = doc! { "sku": "a", "price": 10.0, "qty": 2 };
    let mut first = line.clone();
    if let Some(note) = note {
        first.insert("gift_note", note);
    }
    doc! { "_id": id, "items": [first, line.clone(), line] }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_later_elements_takes_nothing_with_it() {
    let orders = Shown::new("orders", (0..1_000).map(|id| order(id, None)))
        .later((1_000..1_500).map(|id| order(id, Some("hi"))))
        .says("sumArray(items.price)", 45_000)
        .says("sumArray(items.qty)", 9_000)
        .says("countIf(length(items) = 3)", 1_500)
        .says("countIf(_zenith_notes != '')", 0)
        .says("countIf(items[1].gift_note = 'hi')", 500)
        .says("countIf(items[2].gift_note IS NULL)", 1_500)
        .says("countIf(_zenith_extra != '')", 0);
    followed(&[orders]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_counted() {
    let settings = PipelineSettings {
        options: TableOptions { on_new_field: OnNewField::Extra, ..TableOptions::default() },
        ..PipelineSettings::default()
    };
    let follow = Follow::new("drift", settings).await;
    follow.bench.fill("items", (0..100).map(|id| raw(&order(id, None)))).await;
    follow.catch_up_well().await;
    follow.bench.fill("items", (100..150).map(|id| raw(&order(id, Some("hi"))))).await;
    follow.catch_up_well().await;
    let counted = follow.state.mismatches("items", None).await.unwrap();
    assert_eq!(counted.values["items.gift_note"]["no column"], 50, "{counted:?}");
    follow.bench.remove().await;
}

/// A field that is `before` at first, and has a value in the later ones: expressions over its column, which it gets while it
/// is followed. A list of nulls has no column and is a value, so that it is in extra, and in the column after a reload.
fn appears(name: &str, before: Bson, value: impl Fn(i32) -> Bson, shown: &[(&str, &str)]) -> Shown {
    let with = |id: i32, value: Bson| match value {
        Bson::Undefined => doc! { "_id": id, "name": "n" },
        value => doc! { "_id": id, "name": "n", "at": value },
    };
    let is_list_of_nulls = matches!(&before, Bson::Array(items) if !items.is_empty());
    let in_extra = if is_list_of_nulls { 2_100 } else { 0 };
    let appears = Shown::new(name, (0..3_000).map(|id| with(id, before.clone())))
        .later((0..900).map(|id| with(id, value(id))))
        .says("countIf(name = 'n')", 3_000)
        .when_followed("countIf(JSONHas(_zenith_extra, 'at'))", in_extra)
        .when_followed("countIf(_zenith_extra != '')", in_extra)
        .when_loaded("countIf(_zenith_extra != '')", 0);
    shown.iter().fold(appears, |appears, (expression, answer)| {
        let appears = appears.when_loaded(expression, answer);
        if is_list_of_nulls { appears } else { appears.when_followed(expression, answer) }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_was_always_null_gets_its_column() {
    let date =
        |id: i32| Bson::DateTime(DateTime::from_millis(1_700_000_000_000 + i64::from(id) * 86_400_000));
    followed(&[
        appears(
            "dates after nulls",
            Bson::Null,
            date,
            &[
                ("count(at)", "900"),
                ("min(at)", "2023-11-14 22:13:20.000"),
                ("max(at)", "2026-05-01 22:13:20.000"),
            ],
        ),
        appears("dates after nothing", Bson::Undefined, date, &[("count(at)", "900")]),
        appears("strings after nulls", Bson::Null, |_| "x".into(), &[("countIf(at = 'x')", "900")]),
        appears(
            "elements after empty lists",
            bson!([]),
            |id| bson!([id, 1]),
            &[("sumArray(at)", "405450"), ("countIf(length(at) = 2)", "900"), ("countIf(empty(at))", "2100")],
        ),
        appears(
            "elements after nulls",
            bson!([null]),
            |id| bson!([null, { "n": id }]),
            &[("sumArray(at.n)", "404550"), ("sum(length(at))", "3900")],
        )
        .when_followed("sumArray(at.n)", 404_550),
        appears(
            "keys after empty documents",
            bson!({}),
            |id| bson!({ "n": id, "deep": [{ "s": "x" }] }),
            &[("sum(at.n)", "404550"), ("countIf(at.deep.s = ['x'])", "900")],
        ),
    ])
    .await;
}
