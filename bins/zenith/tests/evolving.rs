//! Fields that come up while a pipeline follows get columns.

use bson::{Document, doc, rawdoc};
use serde_json::Value;

use crate::harness::Bench;
use crate::home::{Home, stop};

const PIPELINES: [(&str, &str); 3] = [
    ("orders", "collection = \"orders\""),
    ("log", "collection = \"orders\"\nmode = \"change-log\"\ntable = \"log\""),
    ("kept", "collection = \"orders\"\ntable = \"kept\"\non_new_field = \"extra\""),
];

async fn bench(label: &str) -> (Bench, mongodb::Collection<Document>) {
    let bench = Bench::new(label).await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "item": "tea" })).await;
    let orders = bench.databases.mongodb.collection("orders");
    (bench, orders)
}

/// With the native protocol to the target.
pub(crate) async fn natively(bench: &Bench) -> Home {
    let mut home = Home::between(bench);
    home.set("CLICKHOUSE", &bench.to_natively().await);
    home
}

async fn versions(home: &Home, pipeline: &str) -> Vec<Value> {
    home.json(&["schema", pipeline]).await["versions"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_field_is_in_a_column_from_its_first_batch_on() {
    let (bench, orders) = bench("evolving").await;
    let home = Home::between(&bench);
    home.configure(&PIPELINES);
    home.apply().await;
    let child = home.start(&["--quiet"]).await;
    for (name, _) in PIPELINES {
        home.until("it follows", async || home.pipeline(name).await["lag_seconds"].is_number()).await;
    }
    // Read before there are new fields: otherwise it would be loaded again with columns for them.
    for table in ["orders_current", "kept_current"] {
        home.until("it is read", async || bench.ask(&format!("SELECT count() FROM {table}")).await == "10")
            .await;
    }
    // An integer first and a fraction behind it, a document, an array, and a value of two types.
    let changes = [
        doc! { "price": 3, "customer": { "name": "n", "age": 7 }, "tags": ["x"], "code": 7 },
        doc! { "price": 2.5, "customer": { "name": "m" }, "tags": ["y", "z"], "code": 8 },
        doc! { "price": 4, "code": "seven" },
    ];
    let mut session = bench.databases.mongodb.client().start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    for (id, change) in (0..).zip(changes) {
        let update = doc! { "$set": change };
        orders.update_one(doc! { "_id": id }, update).session(&mut session).await.unwrap();
    }
    session.commit_transaction().await.unwrap();
    for table in ["orders_current", "log"] {
        home.until("the new fields are there", async || {
            let sums =
                format!("SELECT sum(price), max(customer.age), max(length(tags)), sum(code) FROM {table}");
            bench.databases.clickhouse.query(&sums).await.is_ok_and(|sums| sums == "9.5\t7\t2\t15")
        })
        .await;
        let question = format!("SELECT groupUniqArray(_zenith_extra), max(code_text) FROM {table}");
        assert_eq!(bench.ask(&question).await, "['']\tseven");
    }
    home.until("the values are in extra", async || {
        bench.ask("SELECT countIf(JSONHas(_zenith_extra, 'price')) FROM kept_current").await == "3"
    })
    .await;
    let ended = stop(child).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");

    for (pipeline, expected) in [("orders", 2), ("log", 2), ("kept", 1)] {
        let versions = versions(&home, pipeline).await;
        assert_eq!(versions.len(), expected, "{versions:?}");
        assert_eq!(versions[0]["cause"], "the table was created");
        if let Some(second) = versions.get(1) {
            assert_eq!(second["cause"], "new fields");
            let statement = second["statement"].as_str().unwrap();
            assert!(statement.starts_with("ALTER TABLE") && statement.contains("`price`"), "{statement}");
        }
    }
    let shown = home.run(&["schema", "orders"]).await.succeeded();
    assert!(shown.stdout.contains(": new fields\n    ALTER TABLE"), "{shown:?}");
    for pipeline in ["orders", "kept"] {
        home.run(&["verify", pipeline]).await.succeeded();
    }
    // The next run goes on with these columns.
    orders.insert_one(doc! { "_id": 20, "price": 1.25, "later": true }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask("SELECT sum(price), countIf(later) FROM orders_current").await, "10.75\t1");
    assert_eq!(versions(&home, "orders").await.len(), 3);
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

/// By the native protocol, of an empty collection, and with a kill between two runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_was_empty_gets_its_columns() {
    let bench = Bench::new("evolving_empty").await;
    bench.databases.mongodb.create_collection("orders").await.unwrap();
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    let home = natively(&bench).await;
    home.configure(&PIPELINES[..1]);
    home.apply().await;
    let mut child = home.start(&["--quiet"]).await;
    home.until("it follows", async || home.pipeline("orders").await["lag_seconds"].is_number()).await;
    let wide: Document = (0..80).map(|n| (format!("field_{n}"), bson::Bson::Int32(n))).collect();
    let mut first = doc! { "_id": 1 };
    first.extend(wide);
    orders.insert_one(first).await.unwrap();
    home.until("all fields are there", async || {
        let sum = "SELECT sum(field_0 + field_79) FROM orders_current";
        bench.databases.clickhouse.query(sum).await.is_ok_and(|sum| sum == "79")
    })
    .await;
    child.kill().await.unwrap();
    child.wait().await.unwrap();
    orders.insert_one(doc! { "_id": 2, "field_0": 5, "more": "m" }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask("SELECT sum(field_0), max(more) FROM orders_current").await, "5\tm");
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_data_and_too_many_fields_get_no_column() {
    let (bench, orders) = bench("evolving_data").await;
    let home = Home::between(&bench);
    home.configure(&PIPELINES[..1]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let columns =
        "SELECT count() FROM system.columns WHERE database = currentDatabase() AND table = 'orders'";
    let before = bench.ask(columns).await;
    let data = doc! { "_id": 20, "507f1f77bcf86cd799439011": 1, "2024-05-06": 1, "12": 1, "item.name": "x" };
    orders.insert_one(data).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask(columns).await, before);
    // The first fifty get columns, and the others wait.
    let mut many = doc! { "_id": 21 };
    many.extend((0..60).map(|n| (format!("field_{n}"), bson::Bson::Int32(n))));
    orders.insert_one(many).await.unwrap();
    let ended = home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert!(ended.stderr.contains("more than 50 new fields in a minute"), "{ended:?}");
    let expected = before.parse::<u64>().unwrap() + 50;
    assert_eq!(bench.ask(columns).await, expected.to_string());
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

/// Rows from before a field had a column keep its values, and are no difference.
#[tokio::test(flavor = "multi_thread")]
async fn rows_from_before_a_column_are_counted() {
    let (bench, orders) = bench("evolving_before").await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"\non_new_field = \"extra\"")]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    orders.insert_one(doc! { "_id": 20, "price": 3, "size": { "x": 1, "tags": ["a"] } }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    home.configure(&PIPELINES[..1]);
    home.apply().await;
    orders
        .insert_one(doc! { "_id": 21, "price": 4, "size": { "x": 2, "tags": ["b", "c"], "y": 1 } })
        .await
        .unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let shown = "SELECT sum(price), sum(size.x), countIf(_zenith_extra != '') FROM orders_current";
    assert_eq!(bench.ask(shown).await, "4\t2\t1");
    let verified = home.run(&["verify", "orders"]).await.succeeded();
    assert!(
        verified.stdout.contains("equal") && verified.stdout.contains("price: 1 no column"),
        "{verified:?}"
    );
    // What the documentation names.
    home.run(&["schema", "promote", "orders", "--apply", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask(shown).await, "7\t3\t0");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_field_may_stop_the_pipeline() {
    let (bench, orders) = bench("evolving_fail").await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"\non_new_field = \"fail\"")]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    orders.insert_one(doc! { "_id": 20, "price": 3 }).await.unwrap();
    let ended = home.run(&["run", "--once", "--quiet"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("has a field price, for which orders has no column")
            && ended.stderr.contains("on_new_field = \"add\""),
        "{ended:?}"
    );
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "10");
    // What the message names.
    home.configure(&PIPELINES[..1]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count(), sum(price) FROM orders_current").await, "11\t3");
    bench.remove().await;
}

/// A column that somebody added by hand is used if it can hold the values.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_there_is_used() {
    let (bench, orders) = bench("evolving_hand").await;
    let home = Home::between(&bench);
    home.configure(&PIPELINES[..1]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    bench.ask("ALTER TABLE orders ADD COLUMN price Nullable(Int32), ADD COLUMN sent Nullable(IPv4)").await;
    orders.insert_one(doc! { "_id": 20, "price": 3_i64, "sent": "yes" }).await.unwrap();
    let ended = home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert!(!ended.stderr.contains("price"), "{ended:?}");
    let question = "SELECT price, _zenith_extra FROM orders WHERE _id = 20";
    assert_eq!(bench.ask(question).await, "3\t{\"sent\":\"yes\"}");
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

/// Keys that come up inside of documents, and of documents in arrays, become parts of their columns.
#[tokio::test(flavor = "multi_thread")]
async fn documents_gain_parts_while_a_pipeline_follows() {
    let bench = Bench::new("evolving_parts").await;
    let known = |n: i32| rawdoc! { "_id": n, "customer": { "name": "n" }, "items": [{ "sku": "a" }] };
    bench.fill("orders", (0..10).map(known)).await;
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    let home = natively(&bench).await;
    home.configure(&[PIPELINES[0], PIPELINES[1]]);
    home.apply().await;
    let mut child = home.start(&["--quiet"]).await;
    for (name, table) in [("orders", "orders_current"), ("log", "log")] {
        home.until("it follows", async || home.pipeline(name).await["lag_seconds"].is_number()).await;
        home.until("it is read", async || {
            bench.databases.clickhouse.query(&format!("SELECT count() FROM {table}")).await.is_ok()
        })
        .await;
    }
    home.until("it is read", async || bench.ask("SELECT count() FROM orders_current").await == "10").await;
    let first = doc! { "customer.vip": true, "customer.address": { "city": "c" }, "items.0.serial": 5 };
    orders.update_one(doc! { "_id": 1 }, doc! { "$set": first }).await.unwrap();
    let question = |table: &str| {
        format!(
            "SELECT countIf(customer.vip), max(customer.address.city), sum(arraySum(serial -> ifNull(serial, 0), items.serial)), \
             countIf(_zenith_extra != '') FROM {table}"
        )
    };
    for table in ["orders_current", "log"] {
        home.until("the parts are there", async || {
            bench.databases.clickhouse.query(&question(table)).await.is_ok_and(|shown| shown == "1\tc\t5\t0")
        })
        .await;
    }
    let version = versions(&home, "orders").await.pop().unwrap();
    assert_eq!(version["cause"], "new fields");
    assert!(version["statement"].as_str().unwrap().contains("MODIFY COLUMN `customer` Tuple("), "{version}");
    // Not again within a minute: a killed run and the next one have no such memory.
    orders.update_one(doc! { "_id": 2 }, doc! { "$set": { "customer.later": 1 } }).await.unwrap();
    home.until("it is there", async || {
        bench.ask("SELECT _zenith_extra FROM orders_current WHERE _id = 2").await.contains("later")
    })
    .await;
    child.kill().await.unwrap();
    child.wait().await.unwrap();
    orders.update_one(doc! { "_id": 3 }, doc! { "$set": { "customer.later": 2 } }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask("SELECT sum(customer.later) FROM orders_current").await, "2");
    // The row from before is no difference, and is counted.
    let verified = home.run(&["verify", "orders"]).await.succeeded();
    assert!(verified.stdout.contains("customer.later: 1 no column"), "{verified:?}");
    home.run(&["schema", "promote", "orders", "--apply", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask("SELECT sum(customer.later) FROM orders_current").await, "3");
    let verified = home.run(&["verify", "orders"]).await.succeeded();
    assert!(!verified.stdout.contains("no column"), "{verified:?}");
    bench.remove().await;
}

/// A column that is large is not written again without being asked.
#[tokio::test(flavor = "multi_thread")]
async fn large_columns_gain_parts_only_on_request() {
    let bench = Bench::new("evolving_large").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "customer": { "name": "n" } })).await;
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"\nmax_rewrite = \"1B\"")]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    // ClickHouse knows the size of a column only where it has a file of its own.
    bench.ask("ALTER TABLE orders MODIFY SETTING min_bytes_for_wide_part = 0").await;
    bench.ask("OPTIMIZE TABLE orders FINAL").await;
    orders.insert_one(doc! { "_id": 20, "customer": { "vip": true }, "price": 3 }).await.unwrap();
    let ended = home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert!(
        ended.stderr.contains("customer.vip go to _zenith_extra")
            && ended.stderr.contains("zenith schema promote orders --apply adds them"),
        "{ended:?}"
    );
    // A column of its own costs nothing.
    assert_eq!(bench.ask("SELECT sum(price) FROM orders_current").await, "3");
    home.run(&["schema", "promote", "orders", "--apply", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask("SELECT countIf(customer.vip) FROM orders_current").await, "1");
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

/// A table that only grows gets its columns as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_adds_columns() {
    let bench = Bench::new("evolving_cursor").await;
    bench.fill("orders", (0..10).map(|n| rawdoc! { "_id": n, "customer": { "name": "n" } })).await;
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    let home = natively(&bench).await;
    home.configure(&[(
        "orders",
        "collection = \"orders\"\nmode = \"id-cursor\"\nsettle = \"0s\"\nbatch_rows = 100",
    )]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let drifted = (10..1_000).map(
        |n| doc! { "_id": n, "price": f64::from(n) / 2.0, "customer": { "name": "m", "vip": n % 2 == 0 } },
    );
    orders.insert_many(drifted).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let question =
        "SELECT count(), sum(price), countIf(customer.vip), countIf(_zenith_extra != '') FROM orders";
    assert_eq!(bench.ask(question).await, "1000\t249727.5\t495\t0");
    let verified = home.run(&["verify", "orders"]).await.succeeded();
    assert!(!verified.stdout.contains("no column"), "{verified:?}");
    // The next run continues with these columns.
    orders.insert_one(doc! { "_id": 1_000, "price": 0.5 }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask(question).await, "1001\t249728\t495\t0");
    bench.remove().await;
}

/// Columns that somebody dropped, widened or made text are used as they are, and not made again.
#[tokio::test(flavor = "multi_thread")]
async fn columns_that_were_changed_by_hand_are_used_as_they_are() {
    let bench = Bench::new("evolving_changed").await;
    let known = |n: i32| rawdoc! { "_id": n, "item": "tea", "n": n, "size": n, "customer": { "name": "n", "age": n } };
    bench.fill("orders", (0..10).map(known)).await;
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    let home = natively(&bench).await;
    let narrow = "\nintegers = \"narrow\"";
    home.configure(&[
        ("orders", &format!("collection = \"orders\"{narrow}")),
        ("log", &format!("collection = \"orders\"\nmode = \"change-log\"\ntable = \"log\"{narrow}")),
    ]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    for table in ["orders", "log"] {
        for change in [
            "DROP COLUMN item",
            "MODIFY COLUMN n Nullable(Int64)",
            "MODIFY COLUMN size Nullable(String)",
            "MODIFY COLUMN customer Tuple(name Nullable(String), age Nullable(Float64))",
        ] {
            bench.ask(&format!("ALTER TABLE {table} {change}")).await;
        }
    }
    let drifted = doc! {
        "_id": 20, "item": "coffee", "n": 5_000_000_000_i64, "size": "large", "new": 1,
        "customer": { "name": "m", "age": 1.5 },
    };
    orders.insert_one(drifted).await.unwrap();
    let ended = home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert!(ended.stderr.contains("columns of orders were changed by hand"), "{ended:?}");
    for (table, sums) in [("orders_current", "5000000045\t46.5"), ("log", "5000000000\t1.5")] {
        let question =
            format!("SELECT sum(n), sum(customer.age), max(size), sum(new) FROM {table} FORMAT TSVRaw");
        assert_eq!(bench.ask(&question).await, format!("{sums}\tlarge\t1"));
        let extra = format!("SELECT _zenith_extra FROM {table} WHERE _id = 20 FORMAT TSVRaw");
        assert_eq!(bench.ask(&extra).await, "{\"item\":\"coffee\"}");
    }
    // Told once, and not made again by the next run.
    orders.insert_one(doc! { "_id": 21, "item": "milk" }).await.unwrap();
    let ended = home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert!(!ended.stderr.contains("by hand"), "{ended:?}");
    let columns = "SELECT count() FROM system.columns \
                   WHERE database = currentDatabase() AND table = 'orders' AND name = 'item'";
    assert_eq!(bench.ask(columns).await, "0");
    assert!(
        versions(&home, "orders")
            .await
            .iter()
            .any(|version| version["cause"] == "columns were changed by hand")
    );
    // A reload makes the table that suits the collection.
    home.run(&["reload", "orders", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask("SELECT countIf(item = 'tea') FROM orders_current").await, "10");
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}
