//! A value that stands where most documents have a list of such: a list of one, found like any other.

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, bson, doc};

use super::{Shown, copied, followed};

/// Lists in nine documents of ten, and in the tenth a value alone.
fn lists(name: &str, list: Bson, lone: Bson, later: bool) -> Shown {
    let document =
        |id: i32| doc! { "_id": id, "tags": if id % 10 == 0 { lone.clone() } else { list.clone() } };
    let shown = Shown::new(name, (0..500).map(document));
    // Those that come later are alone, too.
    if later { shown.later((500..550).map(|id| doc! { "_id": id, "tags": lone.clone() })) } else { shown }
}

fn all(later: bool) -> Vec<Shown> {
    let (lone, list) = if later { (100, 450) } else { (50, 450) };
    let id = ObjectId::from_bytes([7; 12]);
    let date = DateTime::from_millis(1_700_000_000_000);
    let told = |shown: Shown, extra: &str| {
        shown
            .says("countIf(_zenith_extra != '')", lone)
            .says(&format!("countIf(_zenith_extra = '{extra}')"), lone)
            .says("countIf(_zenith_notes != '')", 0)
    };
    vec![
        told(lists("strings", bson!(["a", "b"]), "solo".into(), later), r#"{"tags":"solo"}"#)
            .says("countIf(has(tags, 'solo'))", lone)
            .says("countIf(has(tags, 'a'))", list)
            .says("countIf(empty(tags))", 0)
            .says("sum(length(tags))", lone + 2 * list),
        told(lists("numbers", bson!([1, 2]), 5.into(), later), r#"{"tags":{"$numberInt":"5"}}"#)
            .says("sumArray(tags)", 5 * lone + 3 * list),
        told(lists("fractions", bson!([1.5, 2.5]), 5.into(), later), r#"{"tags":{"$numberInt":"5"}}"#)
            .says("sumArray(tags)", 5 * lone + 4 * list),
        told(
            lists("dates", bson!([(date)]), Bson::DateTime(date), later),
            r#"{"tags":{"$date":{"$numberLong":"1700000000000"}}}"#,
        )
        .says("countIf(has(tags, toDateTime64('2023-11-14 22:13:20.000', 3, 'UTC')))", lone + list),
        told(
            lists("references", bson!([(id), (id)]), Bson::ObjectId(id), later),
            r#"{"tags":{"$oid":"070707070707070707070707"}}"#,
        )
        .says("sum(countEqual(tags, '070707070707070707070707'))", lone + 2 * list),
        told(
            lists("documents", bson!([{ "k": 1 }, { "k": 2 }]), bson!({ "k": 7 }), later),
            r#"{"tags":{"k":{"$numberInt":"7"}}}"#,
        )
        .says("sumArray(tags.k)", 7 * lone + 3 * list)
        .says("countIf(length(tags) = 1)", lone),
        told(
            lists(
                "documents with another key",
                bson!([{ "k": 1 }]),
                bson!({ "k": 7, "x": {"$x": 1} }),
                later,
            ),
            r#"{"tags":{"k":{"$numberInt":"7"},"x":{"$x":{"$numberInt":"1"}}}}"#,
        )
        .says("sumArray(tags.k)", 7 * lone + list),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_alone_is_found_like_a_list_of_one() {
    copied(&all(false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_when_it_comes_later() {
    followed(&all(true)).await;
}

/// Deeper than at the top, and where it does not go with the elements.
#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_inside_documents() {
    let documents = |odd: Bson| -> Vec<Document> {
        let place = |id: i32| if id % 10 == 0 { odd.clone() } else { bson!(["a"]) };
        (0..500).map(|id| doc! { "_id": id, "in": { "tags": place(id), "n": 1 } }).collect()
    };
    let lines = |odd: Bson| -> Vec<Document> {
        let place = |id: i32| if id % 10 == 0 { odd.clone() } else { bson!(["a"]) };
        (0..500).map(|id| doc! { "_id": id, "in": [{ "tags": place(id), "n": 1 }] }).collect()
    };
    copied(&[
        Shown::new("in a document", documents("solo".into()))
            .says("countIf(has(in.tags, 'solo'))", 50)
            .says("sum(in.n)", 500)
            .says(r#"countIf(_zenith_extra = '{"in":{"tags":"solo"}}')"#, 50)
            .says("countIf(_zenith_extra != '')", 50),
        Shown::new("in an element", lines("solo".into()))
            .says("countIf(has(in[1].tags, 'solo'))", 50)
            .says("sumArray(in.n)", 500)
            .says(r#"countIf(_zenith_extra = '{"in":{"$elements":{"0":{"tags":"solo"}}}}')"#, 50)
            .says("countIf(_zenith_extra != '')", 50),
    ])
    .await;
}
