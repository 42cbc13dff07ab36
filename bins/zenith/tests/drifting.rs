//! Documents that drift as those of real collections do: what people ask of the tables afterwards.

use bson::oid::ObjectId;
use bson::{Bson, Document, doc, rawdoc};
use zenith_testkit::data::random::Random;

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

/// Any value: most are small integers, as those of the documents at first.
fn any(random: &mut Random, depth: u32) -> Bson {
    match random.below(24) {
        0..=9 => Bson::Int32(random.below(1_000).cast_signed()),
        10 => Bson::Int64(5_000_000_000 + i64::from(random.below(1_000))),
        11 => Bson::Int64(i64::MAX - i64::from(random.below(1_000))),
        12..=13 => Bson::Double(f64::from(random.below(1_000)) / 8.0),
        14 => Bson::Double(1e300),
        15 => Bson::Decimal128("19.99".parse().unwrap()),
        16 => Bson::String(format!("t{}", random.below(100))),
        17 => Bson::Boolean(random.below(2) == 0),
        18 => Bson::DateTime(bson::DateTime::from_millis(i64::from(random.below(1 << 31)) * 400)),
        19 => Bson::ObjectId(ObjectId::from_bytes([7; 12])),
        20 => Bson::Null,
        21 | 22 if depth < 2 => {
            Bson::Document((0..random.below(3)).map(|n| (format!("k{n}"), any(random, depth + 1))).collect())
        }
        23 if depth < 2 => (0..random.below(4)).map(|_| any(random, depth + 1)).collect::<Vec<_>>().into(),
        _ => Bson::String("other".to_owned()),
    }
}

/// One change of the collection.
async fn change(orders: &mongodb::Collection<Document>, random: &mut Random, next: &mut i64) {
    let paths = ["a", "b", "c", "d", "text", "in.x", "in.y", "list.0", "list.1", "lines.0.n", "lines.0.m"];
    let known = i64::from(random.below(u32::try_from(*next).unwrap()));
    match random.below(10) {
        0..=2 => {
            let mut document = doc! { "_id": *next, "in": { "x": 1 }, "list": [1, 2], "lines": [{ "n": 1 }] };
            for name in ["a", "b", "text"] {
                document.insert(name, any(random, 0));
            }
            *next += 1;
            orders.insert_one(document).await.unwrap();
        }
        3 => drop(orders.delete_one(doc! { "_id": known }).await.unwrap()),
        4 => {
            let name = format!("new_{}", random.below(6));
            let value = any(random, 0);
            orders.update_one(doc! { "_id": known }, doc! { "$set": { name: value } }).await.unwrap();
        }
        _ => {
            let path = paths[random.index(paths.len())];
            let value = any(random, 1);
            // It may lead through something that is no document by now.
            let _ = orders.update_one(doc! { "_id": known }, doc! { "$set": { path: value } }).await;
        }
    }
}

/// Whatever comes, with kills in between: the table is equal to the collection, and so it is once values were moved.
async fn drifts_at_random(seed: u64) {
    let bench = Bench::new(&format!("drifting_{seed}")).await;
    let known = |n: i64| {
        rawdoc! { "_id": n, "a": 1_i32, "b": n, "c": 0.5, "d": true, "text": "t", "in": { "x": 1_i32 }, "list": [1_i32, 2_i32],
        "lines": [{ "n": 1_i32 }] }
    };
    bench.fill("orders", (0..50).map(known)).await;
    let home = if seed.is_multiple_of(2) { Home::between(&bench) } else { natively(&bench).await };
    let settings = "collection = \"orders\"\non_type_conflict = \"widen\"\nintegers = \"narrow\"\nflush_interval = \"20ms\"";
    let log = format!("{settings}\nmode = \"change-log\"\ntable = \"log\"");
    home.configure(&[("orders", settings), ("log", &log)]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    let (mut random, mut next) = (Random::of_document(seed, 0), 50);
    for _ in 0..4 {
        let mut child = home.start(&["--quiet"]).await;
        for _ in 0..150 {
            change(&orders, &mut random, &mut next).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(random.below(600).into())).await;
        child.kill().await.unwrap();
        child.wait().await.unwrap();
    }
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let verify = async || {
        let verified = home.run(&["verify", "orders"]).await;
        assert_eq!(verified.code, Some(0), "seed {seed}: {verified:?}");
    };
    verify().await;
    let twice = "SELECT count() - uniqExact(_zenith_version, _zenith_index) FROM log";
    assert_eq!(bench.ask(twice).await, "0", "seed {seed}");
    for pipeline in ["orders", "log"] {
        home.run(&["schema", "promote", pipeline, "--apply", "--quiet"]).await.succeeded();
    }
    verify().await;
    change(&orders, &mut random, &mut next).await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    verify().await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_drift_at_random_are_in_the_table() {
    let seeds = std::env::var("ZENITH_TEST_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    for seed in seeds.map_or(0..2, |seed| seed..seed + 20) {
        drifts_at_random(seed).await;
    }
}
