//! Numbers that are larger, finer or of another kind than those that came before.

use bson::{Bson, Decimal128, Document, bson, doc};

use super::{Shown, copied, followed};

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse::<Decimal128>().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_may_pass_what_32_bits_hold() {
    let document = |id: i32, views: Bson| doc! { "_id": id, "views": views.clone(), "by": { "day": [views.clone()], "total": views } };
    let first = || (0..200).map(move |id| document(id, (id % 7).into()));
    let counters = |name: &str, last: Bson| {
        Shown::new(name, first()).later([document(77, last)]).says("countIf(_zenith_extra != '')", 0)
    };
    let next = 2_147_484_000_i64;
    followed(&[
        counters("views", next.into())
            .says("max(views)", next)
            .says("sum(views)", next + 594)
            .says("max(by.total)", next)
            .says("max(by.day[1])", next)
            .says("count(views)", 200),
        counters("the largest", i64::MAX.into()).says("max(views)", i64::MAX),
        counters("the smallest", i64::MIN.into())
            .says("min(views)", i64::MIN)
            .says("min(by.total)", i64::MIN),
        counters("a whole double", 3e15.into()).says("max(views)", 3_000_000_000_000_000_i64),
        counters("a whole decimal", decimal("3E+15")).says("max(views)", 3_000_000_000_000_000_i64),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_increment_in_the_server_is_followed() {
    let follow = crate::incremental::Follow::new("counter", zenith_engine::PipelineSettings::default()).await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_many((0..200).map(|id| doc! { "_id": id, "views": id })).await.unwrap();
    follow.catch_up_well().await;
    let change = async |change: Document| {
        collection.update_one(doc! { "_id": 7 }, change).await.unwrap();
        follow.catch_up_well().await;
    };
    change(doc! { "$set": { "views": 2_147_483_000 } }).await;
    change(doc! { "$inc": { "views": 1_000 } }).await;
    let shown = follow.query("SELECT max(views), countIf(_zenith_extra != '') FROM items_current").await;
    assert_eq!(shown, "2147484000\t0");
    follow.assert_equal("items_current").await;
    follow.bench.remove().await;
}

/// The odd ones are where no sample of this size looks, and too few for another plan.
fn late(name: &str, small: impl Fn(i32) -> Bson, large: Bson) -> Shown {
    let value = |id: i32| if id % 4_000 == 1_237 { large.clone() } else { small(id) };
    Shown::new(name, (0..20_000).map(|id| doc! { "_id": id, "v": value(id), "in": [{ "v": value(id) }] }))
        .sample(30)
        .when_loaded("count(v)", 20_000)
        .when_loaded("countIf(_zenith_extra != '')", 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_have_the_large_ones_that_no_sample_saw() {
    let large = 5_000_000_000_i64;
    copied(&[
        late("integers", |_| 1.into(), large.into())
            .when_loaded("sum(v)", 5 * large + 19_995)
            .when_loaded("sumArray(in.v)", 5 * large + 19_995),
        late("integers and whole doubles", |_| 1.into(), 5e9.into())
            .when_loaded("sum(v)", 5 * large + 19_995),
        late("fractions", |_| 0.5.into(), large.into()).when_loaded("sum(v)", "25000009997.5"),
        late(
            "money",
            |id| decimal(if id % 2 == 0 { "1.25" } else { "0.75" }),
            decimal("1234567890123.123456"),
        )
        .when_loaded("max(v)", "1234567890123.123456")
        .when_loaded("sumArray(in.v) = sum(v)", 1),
    ])
    .await;
}

/// Numbers of several kinds beside each other are one column of numbers.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_among_each_other_are_numbers() {
    let each = |name: &str, values: Vec<Bson>| {
        let count = i32::try_from(values.len()).unwrap();
        let documents = (0..100 * count).map(move |id| {
            let value = values[usize::try_from(id % count).unwrap()].clone();
            doc! { "_id": id, "v": value.clone(), "in": { "v": [value] } }
        });
        Shown::new(name, documents)
            .says("countIf(v IS NULL)", 0)
            .says("countIf(_zenith_extra != '' OR _zenith_notes != '')", 0)
            .says("sum(v) = sumArray(in.v)", 1)
    };
    copied(&[
        each("integers", vec![1.into(), 2_i64.into()]).says("sum(v)", 300),
        each("integers and fractions", vec![1.into(), 0.5.into()]).says("sum(v)", 150),
        each("integers and decimals", vec![1.into(), decimal("0.25")]).says("sum(v)", 125),
        each("decimals and doubles", vec![decimal("19.99"), 0.01.into()]).says("sum(v)", 2000),
        each("decimals of several scales", vec![decimal("1.5"), decimal("0.000001"), decimal("100")])
            .says("sum(v)", "10150.0001"),
        each("large integers and fractions", vec![9_007_199_254_740_993_i64.into(), 0.5.into()])
            .says("max(v)", "9007199254740993"),
        each("all", vec![1.into(), 1_i64.into(), 0.25.into(), decimal("0.125")]).says("sum(v)", "237.5"),
    ])
    .await;
}

/// What is no number keeps its place, and numbers are summed as if it were not there.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_number_is_in_extra() {
    let price = |id: i32| match id {
        7 => bson!("on request"),
        500 => decimal("NaN"),
        _ => decimal("2.50"),
    };
    let prices = Shown::new("prices", (0..1_000).map(|id| doc! { "_id": id, "price": price(id) }))
        .says("sum(price)", 2_495)
        .says("count(price)", 998)
        .says("anyIf(_zenith_extra, _id = 7)", r#"{"price":"on request"}"#)
        .says("anyIf(_zenith_extra, _id = 500)", r#"{"price":{"$numberDecimal":"NaN"}}"#)
        .says("countIf(_zenith_extra != '')", 2);
    copied(&[prices]).await;
}
