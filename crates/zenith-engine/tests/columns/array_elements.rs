//! An element of an array that does not fit keeps its place and all of it that fits; its neighbours keep everything.

use bson::{Bson, Document, bson, doc};
use zenith_engine::{ReloadOptions, TableOptions};

use super::{Shown, copied, followed, raw};
use crate::harness::Bench;

/// Documents of a kind; one of them is another than the sample says, and rarer than one in a thousand.
const COUNT: i32 = 1_200;
/// The `_id` of that one.
const ODD: i32 = 457;

fn order(id: i32) -> Document {
    let line = doc! { "sku": "a", "price": 10.0, "qty": 2 };
    doc! { "_id": id, "items": [line.clone(), line.clone(), line] }
}

/// An order of which the second line is changed.
fn odd_order(change: impl FnOnce(&mut Document)) -> Document {
    let mut order = order(ODD);
    let lines = order.get_array_mut("items").unwrap();
    change(lines[1].as_document_mut().unwrap());
    order
}

/// Copies of the same collection, however much of it the sample has seen.
#[tokio::test(flavor = "multi_thread")]
async fn sums_are_right_in_every_copy_whatever_the_sample_saw() {
    let bench = Bench::new("orders").await;
    let orders = (0..20_000).map(|id| {
        let mut order = order(id);
        if id % 333 == 100 {
            order.get_array_mut("items").unwrap()[1].as_document_mut().unwrap().insert("serials", ["A"]);
        }
        order
    });
    bench.fill("orders", orders.map(|order| raw(&order))).await;
    for sample in [10_000, 10_000, 3, 100, 1_000, 30_000] {
        let options = ReloadOptions {
            table: TableOptions { sample, ..TableOptions::default() },
            replace: true,
            ..ReloadOptions::default()
        };
        bench.copy("orders", options).await;
        for (expression, answer) in [
            ("sumArray(items.price)", "600000"),
            ("sumArray(items.qty)", "120000"),
            ("countIf(length(items) = 3)", "20000"),
            ("countIf(items.sku = ['a', 'a', 'a'])", "20000"),
            (r#"countIf(_zenith_extra NOT IN ('', '{"items":{"$elements":{"1":{"serials":["A"]}}}}'))"#, "0"),
            ("countIf(_zenith_notes != '')", "0"),
        ] {
            let shown = bench.sql(&format!("SELECT {expression} FROM orders")).await;
            assert_eq!(shown, answer, "{expression} with a sample of {sample}");
        }
    }
    bench.round_trip("orders", ReloadOptions::default()).await;
    bench.remove().await;
}

/// One order that is unlike the others: what its columns show, its extra text and its notes.
fn orders(name: &str, odd: Document, price: i32, skus: &str, extra: &str, notes: &str) -> Shown {
    Shown::new(name, (0..COUNT).map(order))
        .later([odd])
        .sample(5)
        .says("sumArray(items.price)", price)
        .says("sumArray(items.qty)", 6 * COUNT)
        .says("countIf(length(items) != 3)", 0)
        .says(&format!("anyIf(items.sku, _id = {ODD})"), skus)
        .says(&format!("anyIf(_zenith_extra, _id = {ODD})"), extra)
        .says(&format!("anyIf(_zenith_notes, _id = {ODD})"), notes)
        .says("countIf(_zenith_extra != '' OR _zenith_notes != '') < 2", 1)
}

fn all_orders() -> Vec<Shown> {
    let (all, skus) = (30 * COUNT, "['a','a','a']");
    let set = |key: &str, value: Bson| odd_order(|line| drop(line.insert(key, value)));
    vec![
        orders(
            "an unknown array",
            set("serials", bson!(["A"])),
            all,
            skus,
            r#"{"items":{"$elements":{"1":{"serials":["A"]}}}}"#,
            "",
        ),
        orders(
            "an unknown scalar",
            set("gift", true.into()),
            all,
            skus,
            r#"{"items":{"$elements":{"1":{"gift":true}}}}"#,
            "",
        ),
        orders(
            "an unknown document",
            set("gift", bson!({ "note": "hi" })),
            all,
            skus,
            r#"{"items":{"$elements":{"1":{"gift":{"note":"hi"}}}}}"#,
            "",
        ),
        orders("an unknown null", set("gift", Bson::Null), all, skus, "", ""),
        orders(
            "a price in words",
            set("price", "ten".into()),
            all - 10,
            skus,
            r#"{"items":{"$elements":{"1":{"price":"ten"}}}}"#,
            "",
        ),
        orders(
            "a price that is a list",
            set("price", bson!([10.0])),
            all - 10,
            skus,
            r#"{"items":{"$elements":{"1":{"price":[{"$numberDouble":"10.0"}]}}}}"#,
            "",
        ),
        orders("a price that is null", set("price", Bson::Null), all - 10, skus, "", ""),
        orders(
            "a number for a name",
            set("sku", 7.into()),
            all,
            "['a',NULL,'a']",
            r#"{"items":{"$elements":{"1":{"sku":{"$numberInt":"7"}}}}}"#,
            "",
        ),
        orders(
            "no price, and a key for it",
            odd_order(|line| {
                line.remove("price");
                line.insert("cost", 1);
            }),
            all - 10,
            skus,
            r#"{"items":{"$elements":{"1":{"cost":{"$numberInt":"1"}}}}}"#,
            "",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_an_order_is_shown() {
    copied(&all_orders().into_iter().map(Shown::columns_stay).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_after_a_change() {
    followed(&all_orders().into_iter().map(Shown::columns_stay).collect::<Vec<_>>()).await;
}

/// All documents have `value` in `m`, one has `odd`: the answers to `sum`, to `m` of that one, and its texts.
fn others(name: &str, value: Bson, odd: Bson, sum: (&str, i32), shown: &str, texts: (&str, &str)) -> Shown {
    let odd = doc! { "_id": ODD, "m": odd };
    Shown::new(name, (0..COUNT).map(|id| doc! { "_id": id, "m": value.clone() }))
        .later([odd])
        .sample(5)
        .says(sum.0, sum.1)
        .says(&format!("anyIf(m, _id = {ODD})"), shown)
        .says(&format!("anyIf(_zenith_extra, _id = {ODD})"), texts.0)
        .says(&format!("anyIf(_zenith_notes, _id = {ODD})"), texts.1)
        .says("countIf(_zenith_extra != '' OR _zenith_notes != '') < 2", 1)
}

fn all_others() -> Vec<Shown> {
    let rest = COUNT - 1;
    let lists = bson!([[1, 2], [3]]);
    let tables = bson!([[{ "a": 1 }, { "a": 2 }], [{ "a": 3 }]]);
    let parts = bson!([{ "a": 1, "tags": ["x", "y"], "sub": { "b": 5 } }, { "a": 2, "tags": ["z"], "sub": { "b": 5 } }]);
    let deep = bson!({ "x": { "list": [{ "y": { "n": [1, 2] } }] } });
    let part_sum = |a: i32| ("sumArray(m.a)", 3 * rest + a);
    vec![
        others(
            "a string among numbers",
            bson!([1, 2, 3, 4]),
            bson!([1, 2, 3, "x"]),
            ("sumArray(m)", 10 * rest + 6),
            "[1,2,3,NULL]",
            (r#"{"m":{"$elements":{"3":"x"}}}"#, ""),
        ),
        others(
            "a null among numbers",
            bson!([1, 2]),
            bson!([null, 2]),
            ("sumArray(m)", 3 * rest + 2),
            "[NULL,2]",
            ("", ""),
        ),
        others(
            "a document among strings",
            bson!(["a", "b"]),
            bson!(["a", { "b": 1 }]),
            ("countIf(has(m, 'a'))", COUNT),
            "['a',NULL]",
            (r#"{"m":{"$elements":{"1":{"b":{"$numberInt":"1"}}}}}"#, ""),
        ),
        others(
            "a list among numbers",
            bson!([1, 2]),
            bson!([[1], 2]),
            ("sumArray(m)", 3 * rest + 2),
            "[NULL,2]",
            (r#"{"m":{"$elements":{"0":[{"$numberInt":"1"}]}}}"#, ""),
        ),
        others(
            "a string in a list of lists",
            lists.clone(),
            bson!([[1, 2], ["x"]]),
            ("sumArray(arrayFlatten(m))", 6 * rest + 3),
            "[[1,2],[NULL]]",
            (r#"{"m":{"$elements":{"1":{"$elements":{"0":"x"}}}}}"#, ""),
        ),
        others(
            "a number among lists",
            lists.clone(),
            bson!([[1, 2], 3]),
            ("sumArray(arrayFlatten(m))", 6 * COUNT),
            "[[1,2],[3]]",
            (r#"{"m":{"$elements":{"1":{"$numberInt":"3"}}}}"#, ""),
        ),
        others(
            "a null among lists",
            lists.clone(),
            bson!([null, [3]]),
            ("sumArray(arrayFlatten(m))", 6 * rest + 3),
            "[[],[3]]",
            ("", r#"{"m":{"$elements":{"0":"null"}}}"#),
        ),
        others(
            "an empty list among lists",
            lists,
            bson!([[], [3]]),
            ("sumArray(arrayFlatten(m))", 6 * rest + 3),
            "[[],[3]]",
            ("", ""),
        ),
        others(
            "an unknown key in a list of lists",
            tables.clone(),
            bson!([[{ "a": 1, "b": "x" }, { "a": 2 }], [{ "a": 3 }]]),
            ("sumArray(arrayFlatten(m.a))", 6 * COUNT),
            "[[(1),(2)],[(3)]]",
            (r#"{"m":{"$elements":{"0":{"$elements":{"0":{"b":"x"}}}}}}"#, ""),
        ),
        others(
            "a null in a list of lists",
            tables,
            bson!([[{ "a": 1 }, null], [{ "a": 3 }]]),
            ("sumArray(arrayFlatten(m.a))", 6 * rest + 4),
            "[[(1),(NULL)],[(3)]]",
            ("", r#"{"m":{"$elements":{"0":{"$elements":{"1":"null"}}}}}"#),
        ),
        others(
            "a null among documents",
            parts.clone(),
            bson!([null, { "a": 2, "tags": ["z"], "sub": { "b": 5 } }]),
            part_sum(2),
            "[(NULL,[],(NULL)),(2,['z'],(5))]",
            ("", r#"{"m":{"$elements":{"0":"null"}}}"#),
        ),
        others(
            "a string among documents",
            parts.clone(),
            bson!([{ "a": 1, "tags": ["x", "y"], "sub": { "b": 5 } }, "x"]),
            part_sum(1),
            "[(1,['x','y'],(5)),(NULL,[],(NULL))]",
            (r#"{"m":{"$elements":{"1":"x"}}}"#, ""),
        ),
        others(
            "a list inside that is missing",
            parts.clone(),
            bson!([{ "a": 1, "sub": { "b": 5 } }, { "a": 2, "tags": null, "sub": { "b": 5 } }]),
            part_sum(3),
            "[(1,[],(5)),(2,[],(5))]",
            ("", ""),
        ),
        others(
            "a list inside that is empty",
            parts.clone(),
            bson!([{ "a": 1, "tags": [], "sub": {} }, { "a": 2, "tags": ["z"], "sub": { "b": 5 } }]),
            part_sum(3),
            "[(1,[],(NULL)),(2,['z'],(5))]",
            ("", r#"{"m":{"$elements":{"0":{"tags":"empty","sub":"empty"}}}}"#),
        ),
        others(
            "a string in a list inside",
            parts.clone(),
            bson!([{ "a": 1, "tags": ["x", 5], "sub": { "b": 5 } }, { "a": 2, "tags": ["z"], "sub": { "b": 5 } }]),
            part_sum(3),
            "[(1,['x',NULL],(5)),(2,['z'],(5))]",
            (r#"{"m":{"$elements":{"0":{"tags":{"$elements":{"1":{"$numberInt":"5"}}}}}}}"#, ""),
        ),
        others(
            "an unknown key in a document inside",
            parts.clone(),
            bson!([{ "a": 1, "tags": ["x"], "sub": { "b": 5, "c": "x" } }]),
            part_sum(1),
            "[(1,['x'],(5))]",
            (r#"{"m":{"$elements":{"0":{"sub":{"c":"x"}}}}}"#, ""),
        ),
        others("no elements", parts, bson!([]), part_sum(0), "[]", ("", r#"{"m":"empty"}"#)),
        others(
            "a string far inside",
            deep,
            bson!({ "x": { "list": [{ "y": { "n": [1, "two"] } }] } }),
            ("sumArray(arrayFlatten(m.x.list.y.n))", 3 * rest + 1),
            "(([(([1,NULL]))]))",
            (r#"{"m":{"x":{"list":{"$elements":{"0":{"y":{"n":{"$elements":{"1":"two"}}}}}}}}}"#, ""),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn other_elements_are_shown() {
    copied(&all_others().into_iter().map(Shown::columns_stay).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_they_are_after_a_change() {
    followed(&all_others().into_iter().map(Shown::columns_stay).collect::<Vec<_>>()).await;
}
