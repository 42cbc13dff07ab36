//! Fields that most documents do not have: nothing to tell of those, and the others as they are.

use bson::{Bson, bson, doc};

use super::{Shown, copied, followed};

/// A value in every tenth document; without it they have `rest`, or no such key.
fn sparse(name: &str, value: Bson, rest: Option<Bson>) -> Shown {
    let document = |id: i32| {
        let mut document = doc! { "_id": id, "n": 1, "in": { "n": 1 } };
        if let Some(value) = if id % 10 == 3 { Some(&value) } else { rest.as_ref() } {
            document.insert("tags", value.clone());
            document.get_document_mut("in").unwrap().insert("tags", value.clone());
        }
        document
    };
    Shown::new(name, (0..1_000).map(document))
        .later((1_000..1_200).map(document))
        .says("sum(n)", 1_200)
        .says("sum(in.n)", 1_200)
        .says("countIf(_zenith_extra != '')", 0)
        .says("countIf(_zenith_notes != '')", 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn ordinary_sparse_data_leaves_no_words() {
    let list = bson!(["a", "b"]);
    let lists = |shown: Shown| {
        shown
            .says("countIf(has(tags, 'a'))", 120)
            .says("sum(length(tags))", 240)
            .says("countIf(empty(tags))", 1_080)
            .says("sum(length(in.tags))", 240)
    };
    let all = [
        lists(sparse("lists", list.clone(), None)),
        lists(sparse("lists and nulls", list.clone(), Some(Bson::Null))),
        lists(sparse("lists and empty ones", list, Some(bson!([])))),
        sparse("documents", bson!({ "a": 1, "b": [1] }), None)
            .says("sum(tags.a)", 120)
            .says("sumArray(tags.b)", 120),
        sparse("documents and nulls", bson!({ "a": 1 }), Some(Bson::Null)).says("sum(tags.a)", 120),
        sparse("documents and empty ones", bson!({ "a": 1 }), Some(bson!({}))).says("count(tags.a)", 120),
        sparse("strings", "x".into(), None).says("countIf(tags = 'x')", 120).says("count(in.tags)", 120),
        sparse("numbers and nulls", 5.into(), Some(Bson::Null)).says("sum(tags)", 600),
        sparse("lists of documents", bson!([{ "a": 1 }, { "b": [2] }]), None)
            .says("sumArray(tags.a)", 120)
            .says("sum(length(tags))", 240)
            .says("sumArray(arrayFlatten(in.tags.b))", 240),
    ];
    copied(&all).await;
    followed(&all).await;
}

/// Of two things that look alike the rarer one is noted, and nothing is in extra.
#[tokio::test(flavor = "multi_thread")]
async fn the_rarer_blank_is_noted() {
    let document = |id: i32| match id % 100 {
        0 => doc! { "_id": id, "tags": [] },
        1..40 => doc! { "_id": id, "tags": ["a"] },
        _ => doc! { "_id": id },
    };
    let shown = Shown::new("empty ones", (0..1_000).map(document))
        .says("countIf(_zenith_extra != '')", 0)
        .says(r#"countIf(_zenith_notes = '{"tags":"empty"}')"#, 10)
        .says("countIf(_zenith_notes != '')", 10)
        .says("countIf(empty(tags))", 610);
    copied(std::slice::from_ref(&shown)).await;
    followed(&[shown]).await;
}
