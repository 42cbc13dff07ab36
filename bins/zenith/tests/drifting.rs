//! Documents that drift as those of real collections do: what people ask of the tables afterwards.

use bson::{Bson, Document, doc, rawdoc};

use crate::evolving::natively;
use crate::harness::Bench;
use crate::home::Home;

/// A collection that a pipeline has read, with these settings.
async fn followed(
    bench: &Bench,
    home: &Home,
    collection: &str,
    settings: &str,
) -> mongodb::Collection<Document> {
    home.configure(&[(collection, &format!("collection = \"{collection}\"\n{settings}"))]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    bench.databases.mongodb.collection(collection)
}

/// What happened is in the table, and equal to the collection.
async fn shows(bench: &Bench, home: &Home, pipeline: &str, question: &str, expected: &str) {
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask(question).await, expected);
    let verified = home.run(&["verify", pipeline]).await.succeeded();
    assert!(verified.stdout.contains("equal"), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_outgrow_their_column() {
    let bench = Bench::new("drifting_counters").await;
    bench.fill("pages", (0..200).map(|n| rawdoc! { "_id": n, "views": n % 50 })).await;
    let home = Home::between(&bench);
    let settings = "integers = \"narrow\"\non_type_conflict = \"widen\"";
    let pages = followed(&bench, &home, "pages", settings).await;
    pages.update_one(doc! { "_id": 7 }, doc! { "$set": { "views": 2_147_483_000_i64 } }).await.unwrap();
    pages.update_one(doc! { "_id": 7 }, doc! { "$inc": { "views": 1_000_i64 } }).await.unwrap();
    let views = "SELECT max(views), sum(views), countIf(views IS NULL) FROM pages_current";
    let sum = 200 / 50 * (0..50).sum::<i64>() - 7 + 2_147_484_000;
    shows(&bench, &home, "pages", views, &format!("2147484000\t{sum}\t0")).await;
    // Half a view.
    pages.update_one(doc! { "_id": 8 }, doc! { "$inc": { "views": 0.5 } }).await.unwrap();
    shows(&bench, &home, "pages", views, &format!("2147484000\t{sum}.5\t0")).await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_were_null_at_first_get_their_column() {
    let bench = Bench::new("drifting_nulls").await;
    bench.fill("users", (0..3_000).map(|n| rawdoc! { "_id": n, "deleted_at": null })).await;
    let home = natively(&bench).await;
    let users = followed(&bench, &home, "users", "").await;
    let at = bson::DateTime::parse_rfc3339_str("2024-05-06T07:08:09Z").unwrap();
    users.update_many(doc! { "_id": { "$lt": 900 } }, doc! { "$set": { "deleted_at": at } }).await.unwrap();
    let deleted =
        "SELECT count(deleted_at), max(deleted_at), countIf(_zenith_extra != '') FROM users_current";
    shows(&bench, &home, "users", deleted, "900\t2024-05-06 07:08:09.000\t0").await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_orders_gain_keys_and_other_types() {
    let bench = Bench::new("drifting_lines").await;
    let line = |n: i32| rawdoc! { "sku": format!("s{n}"), "quantity": n };
    let order = |n: i32| rawdoc! { "_id": n, "items": [line(n), line(n + 1)] };
    bench.fill("orders", (0..1_000).map(order)).await;
    let home = Home::between(&bench);
    let orders = followed(&bench, &home, "orders", "on_type_conflict = \"widen\"").await;
    let more = (1_000..1_500).map(|n| {
        let quantity = if n % 2 == 0 { Bson::Int32(n) } else { Bson::Double(0.5) };
        doc! { "_id": n, "items": [{ "sku": "x", "quantity": quantity, "gift_note": "hi" }, { "sku": n, "quantity": 1 }] }
    });
    orders.insert_many(more).await.unwrap();
    let lines = "SELECT count(), countIf(sku = 'x'), countIf(gift_note = 'hi'), sum(quantity), max(_zenith_extra), \
                 maxIf(sku, _id = 1499 AND sku != 'x') \
                 FROM orders_current ARRAY JOIN items.sku AS sku, items.quantity AS quantity, items.gift_note AS gift_note";
    let known: i64 = (0..1_000).map(|n| 2 * n + 1).sum();
    let halves = (1_000..1_500).step_by(2).sum::<i64>() + 125 + 500;
    shows(&bench, &home, "orders", lines, &format!("3000\t500\t500\t{}\t\t1499", known + halves)).await;
    bench.remove().await;
}
