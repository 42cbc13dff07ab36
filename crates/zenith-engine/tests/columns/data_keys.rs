//! Keys that are data: one JSON column, whatever their number, and a query by key.

use bson::oid::ObjectId;
use bson::{Document, Uuid, bson, doc};

use super::{Shown, copied, followed};

/// Twenty documents, each with three keys of its own; twelve of them at first.
fn keyed(name: &str, key: impl Fn(u32) -> String) -> Shown {
    let document = |n: u32| {
        let badges: Document =
            (0..3).map(|k| (key(3 * n + k), bson!({ "level": 2, "name": "gold" }))).collect();
        doc! { "_id": i32::try_from(n).unwrap(), "badges": badges.clone(), "in": { "badges": badges } }
    };
    let first = key(0);
    Shown::new(name, (0..12).map(document))
        .later((12..20).map(document))
        .says("toTypeName(any(badges))", "JSON")
        .says("toTypeName(any(in.badges))", "JSON")
        .says("uniqExactArray(JSONAllPaths(badges))", 120)
        .says("sum(length(JSONAllPaths(badges)))", 120)
        .says(&format!("sum(toInt64(badges.`{first}`.level))"), 2)
        .says("countIf(_zenith_extra != '')", 0)
}

fn all() -> Vec<Shown> {
    let hash = |n: u32| {
        format!("{:032x}", u128::from(n + 1).wrapping_mul(0x1234_5678_9abc_def1_2345_6789_abcd_ef13))
    };
    let id = |n: u32| {
        let mut bytes = [0x65; 12];
        bytes[8..].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes());
        ObjectId::from_bytes(bytes).to_hex()
    };
    let uuid = |n: u32| {
        Uuid::from_bytes(
            (u128::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_be_bytes(),
        )
        .to_string()
    };
    vec![
        keyed("hashes", hash),
        keyed("ObjectIds", id),
        keyed("UUIDs", uuid),
        keyed("numbers", |n| (1_000 + 17 * n).to_string()),
        keyed("dates", |n| format!("2024-{:02}-{:02}", 1 + n / 28, 1 + n % 28)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_data_are_queried_by_key() {
    copied(&all()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_of_them_need_no_column() {
    followed(&all()).await;
}

/// In three documents the form of the keys says it already.
#[tokio::test(flavor = "multi_thread")]
async fn a_few_are_enough() {
    let hash = |n: i32| {
        format!(
            "{:032x}",
            u128::from(n.unsigned_abs() + 1).wrapping_mul(0x1234_5678_9abc_def1_2345_6789_abcd_ef13)
        )
    };
    let documents = (0..3).map(|n| doc! { "_id": n, "badges": { hash(n): { "level": 2 } } });
    copied(&[Shown::new("few", documents).says("toTypeName(any(badges))", "JSON")]).await;
}

/// Names are names, however many there are.
#[tokio::test(flavor = "multi_thread")]
async fn names_are_columns() {
    let names = ["street", "house", "zip", "city", "region", "country", "lat", "lon", "floor", "door"];
    let address = |n: usize| -> Document {
        let used = names.iter().enumerate().filter(|(k, _)| !(n + k).is_multiple_of(3));
        used.map(|(k, name)| ((*name).to_owned(), bson!(i64::try_from(k).unwrap()))).collect()
    };
    let documents = (0..60).map(|n: usize| doc! { "_id": i64::try_from(n).unwrap(), "address": address(n) });
    copied(&[Shown::new("names", documents)
        .says("sum(address.door)", 9 * 40)
        .says("count(address.street)", 40)
        .says("countIf(_zenith_extra != '' OR _zenith_notes != '')", 0)])
    .await;
}
