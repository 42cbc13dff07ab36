//! Columns that get wider types for values that they do not hold.

use bson::{Document, doc, rawdoc};
use mongodb::Collection;
use serde_json::Value;

use crate::evolving::natively;
use crate::harness::Bench;
use crate::home::{Home, stop};

const WIDEN: &str = "\non_type_conflict = \"widen\"\nintegers = \"narrow\"";

async fn bench(label: &str) -> (Bench, Collection<Document>) {
    let bench = Bench::new(label).await;
    let known = |n: i32| {
        rawdoc! {
            "_id": n, "price": n, "total": i64::from(n), "code": n, "item": "tea", "paid": n % 2 == 0, "weight": 0.5,
            "customer": { "age": n }, "items": [{ "price": n }], "sizes": [n], "at": bson::DateTime::from_millis(0),
        }
    };
    bench.fill("orders", (0..10).map(known)).await;
    let orders = bench.databases.mongodb.collection("orders");
    (bench, orders)
}

/// Values that the columns of these documents do not hold.
fn drifted() -> Document {
    doc! {
        "price": 2.5, "total": 5_000_000_000.5, "code": "seven", "item": 5, "paid": "later", "weight": "heavy",
        "customer": { "age": 7.5 }, "items": [{ "price": 2.5 }, { "price": 3 }], "sizes": ["large", 4], "at": "soon",
    }
}

fn pipelines(also: &str) -> [(&'static str, String); 2] {
    let of = |more: &str| format!("collection = \"orders\"{WIDEN}{also}{more}");
    [("orders", of("")), ("log", of("\nmode = \"change-log\"\ntable = \"log\""))]
}

async fn apply(home: &Home, pipelines: &[(&'static str, String)]) {
    let pipelines: Vec<(&str, &str)> =
        pipelines.iter().map(|(name, settings)| (*name, settings.as_str())).collect();
    home.configure(&pipelines);
    home.apply().await;
}

async fn versions(home: &Home, pipeline: &str) -> Vec<Value> {
    home.json(&["schema", pipeline]).await["versions"].as_array().unwrap().clone()
}

/// What people would ask of a table with one drifted document among the known ones.
fn question(table: &str) -> String {
    format!(
        "SELECT sum(price), sum(total), maxIf(code, _id = 20), maxIf(item, _id = 20), maxIf(paid, _id = 20), \
         maxIf(weight, _id = 20), sum(customer.age), sum(arraySum(price -> ifNull(price, 0), items.price)), \
         anyIf(sizes, _id = 20), maxIf(_zenith_extra, _id = 20) FROM {table} FORMAT TSVRaw"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_get_the_types_that_hold_their_values() {
    for is_native in [false, true] {
        let (bench, orders) = bench("widening").await;
        let home = if is_native { natively(&bench).await } else { Home::between(&bench) };
        apply(&home, &pipelines("")).await;
        home.run(&["run", "--once", "--quiet"]).await.succeeded();
        let mut first = drifted();
        first.insert("_id", 20);
        orders.insert_one(first).await.unwrap();
        let ended = home.run(&["run", "--once", "--quiet"]).await.succeeded();
        assert!(
            ended.stderr.contains("the column of price got a wider type")
                && ended.stderr.contains("values that the column of at does not hold go to _zenith_extra")
                && ended.stderr.contains("zenith schema promote orders --apply"),
            "{ended:?}"
        );
        let shown = "seven\t5\tlater\theavy";
        let after = "['large','4']\t{\"at\":\"soon\"}";
        for (table, sums, parts) in
            [("orders_current", "47.5\t5000000045.5", "52.5\t50.5"), ("log", "2.5\t5000000000.5", "7.5\t5.5")]
        {
            assert_eq!(bench.ask(&question(table)).await, format!("{sums}\t{shown}\t{parts}\t{after}"));
        }
        // What is there is text as Zenith writes it.
        let texts = "SELECT groupUniqArray(weight), max(code), groupUniqArray(paid), sizes[1] FROM orders_current \
                     WHERE _id = 9 GROUP BY sizes FORMAT TSVRaw";
        assert_eq!(bench.ask(texts).await, "['0.5']\t9\t['false']\t9");
        let causes: Vec<Value> = versions(&home, "orders").await;
        let last = causes.last().unwrap();
        assert_eq!(last["cause"], "wider types", "{causes:?}");
        let statements: String =
            causes.iter().map(|version| version["statement"].as_str().unwrap().to_owned() + ";").collect();
        assert!(statements.contains("MODIFY COLUMN `price` Nullable(Float64)"), "{statements}");
        assert!(!statements.contains("MODIFY COLUMN `item`"), "{statements}");
        let verified = home.run(&["verify", "orders"]).await.succeeded();
        assert!(verified.stdout.contains("at: 1 is string"), "{verified:?}");
        // The next run goes on with these columns, and has nothing to widen.
        orders.insert_one(doc! { "_id": 21, "price": 0.25, "code": true }).await.unwrap();
        let ended = home.run(&["run", "--once", "--quiet"]).await.succeeded();
        assert!(!ended.stderr.contains("wider"), "{ended:?}");
        let price = "SELECT sum(price), maxIf(code, _id = 21) FROM orders_current";
        assert_eq!(bench.ask(price).await, "47.75\ttrue");
        home.run(&["verify", "orders"]).await.succeeded();
        bench.remove().await;
    }
}

/// By a run that follows and is killed, with batches on their way; the columns are written again once a minute at most.
#[tokio::test(flavor = "multi_thread")]
async fn columns_are_widened_between_two_batches() {
    let (bench, orders) = bench("widening_killed").await;
    let home = natively(&bench).await;
    apply(&home, &pipelines("\nflush_interval = \"10ms\"")).await;
    let mut child = home.start(&["--quiet"]).await;
    for (name, _) in pipelines("") {
        home.until("it follows", async || home.pipeline(name).await["lag_seconds"].is_number()).await;
    }
    home.until("it is read", async || bench.ask("SELECT count() FROM orders_current").await == "10").await;
    for n in 20..400 {
        let price = if n < 200 { bson::Bson::Int32(n) } else { bson::Bson::Double(f64::from(n) + 0.5) };
        orders.insert_one(doc! { "_id": n, "price": price }).await.unwrap();
    }
    let expected = (0..10).chain(20..400).map(f64::from).sum::<f64>() + 100.0;
    for (table, expected) in [("orders_current", expected), ("log", expected - 45.0)] {
        home.until("all is there", async || {
            let sum = format!("SELECT sum(price) FROM {table} WHERE _zenith_extra = ''");
            bench.ask(&sum).await.parse::<f64>().unwrap() == expected
        })
        .await;
    }
    orders.insert_one(doc! { "_id": 500, "code": "seven" }).await.unwrap();
    home.until("it waits", async || {
        bench.ask("SELECT _zenith_extra FROM orders_current WHERE _id = 500").await.contains("seven")
    })
    .await;
    child.kill().await.unwrap();
    child.wait().await.unwrap();
    orders.insert_one(doc! { "_id": 501, "code": "eight" }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let codes = "SELECT maxIf(code, _id = 501), countIf(code IS NULL AND _id = 500), max(_zenith_extra) \
                 FROM orders_current FORMAT TSVRaw";
    assert_eq!(bench.ask(codes).await, "eight\t1\t{\"code\":\"seven\"}");
    // The row from before is no difference, and is counted as it was; what is documented moves it.
    let verified = home.run(&["verify", "orders"]).await.succeeded();
    assert!(verified.stdout.contains("code: 1 is string"), "{verified:?}");
    for pipeline in ["orders", "log"] {
        home.run(&["schema", "promote", pipeline, "--apply", "--quiet"]).await.succeeded();
    }
    for table in ["orders_current", "log"] {
        let codes = format!(
            "SELECT groupArray(code), max(_zenith_extra) FROM (SELECT * FROM {table} WHERE _id >= 500 ORDER BY _id) FORMAT TSVRaw"
        );
        assert_eq!(bench.ask(&codes).await, "['seven','eight']\t");
    }
    let verified = home.run(&["verify", "orders"]).await.succeeded();
    assert!(!verified.stdout.contains("is string"), "{verified:?}");
    let extra = &home.json(&["schema", "orders"]).await["extra_values"];
    assert!(extra.get("code").is_none(), "{extra}");
    let child = home.start(&["--quiet"]).await;
    home.until("it follows", async || home.pipeline("orders").await["lag_seconds"].is_number()).await;
    assert_eq!(stop(child).await.code, Some(0));
    bench.remove().await;
}

/// Nothing is rounded, and nothing written in another way than Zenith writes it.
#[tokio::test(flavor = "multi_thread")]
async fn columns_whose_numbers_would_change_get_decimals_or_stay() {
    let bench = Bench::new("widening_large").await;
    let known = |n: i32| {
        let large = 9_007_199_254_740_993_i64 + i64::from(n);
        rawdoc! { "_id": n, "large": large, "tiny": 1e-7, "customer": { "large": large }, "prices": [large] }
    };
    bench.fill("orders", (0..10).map(known)).await;
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    let home = Home::between(&bench);
    apply(&home, &pipelines("")[..1]).await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let drifted =
        doc! { "_id": 20, "large": 0.5, "tiny": "none", "customer": { "large": 0.5 }, "prices": [0.5] };
    orders.insert_one(drifted).await.unwrap();
    let ended = home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert!(ended.stderr.contains("the column of tiny does not hold"), "{ended:?}");
    let sums = "SELECT sum(large), sum(customer.large), sum(prices[1]), min(tiny), max(_zenith_extra) \
                FROM orders_current FORMAT TSVRaw";
    let sum = "90071992547409975.5";
    assert_eq!(bench.ask(sums).await, format!("{sum}\t{sum}\t{sum}\t1e-7\t{{\"tiny\":\"none\"}}"));
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

/// What is in a key stays, and so does what is large or has a type that somebody chose.
#[tokio::test(flavor = "multi_thread")]
async fn keys_large_columns_and_chosen_types_stay() {
    let (bench, orders) = bench("widening_kept").await;
    let home = Home::between(&bench);
    let keyed = format!(
        "collection = \"orders\"\nmode = \"change-log\"{WIDEN}\n[pipelines.log.table]\nname = \"log\"\norder_by = [\"code\", \
         \"_id\"]\n[pipelines.log.columns]\ntotal = \"Int64\""
    );
    apply(&home, &[("log", keyed)]).await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    orders.insert_one(doc! { "_id": 20, "price": 2.5, "total": 2.5, "code": "seven" }).await.unwrap();
    let ended = home.run(&["run", "--once", "--quiet"]).await.succeeded();
    for field in ["total", "code"] {
        assert!(
            ended.stderr.contains(&format!("values that the column of {field} does not hold")),
            "{ended:?}"
        );
    }
    let shown = "SELECT sum(price), max(_zenith_extra) FROM log FORMAT TSVRaw";
    let extra = r#"{"total":{"$numberDouble":"2.5"},"code":"seven"}"#;
    assert_eq!(bench.ask(shown).await, format!("2.5\t{extra}"));
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_another_type_may_stop_the_pipeline() {
    let (bench, orders) = bench("widening_fail").await;
    let home = Home::between(&bench);
    let failing = |policy: &str| {
        let fields =
            "[pipelines.orders.on_type_conflict_fields]\ncode = \"extra\"\n\"items.price\" = \"widen\"";
        [("orders", format!("collection = \"orders\"\non_type_conflict = \"{policy}\"\n{fields}"))]
    };
    apply(&home, &failing("fail")).await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    // Fields have policies of their own.
    orders.insert_one(doc! { "_id": 19, "code": "x", "items": [{ "price": 2.5 }] }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let shown = "SELECT items.price, _zenith_extra FROM orders_current WHERE _id = 19 FORMAT TSVRaw";
    assert_eq!(bench.ask(shown).await, "[2.5]\t{\"code\":\"x\"}");
    orders
        .insert_one(doc! { "_id": 20, "price": 3, "new": 1, "customer": { "age": "seven" } })
        .await
        .unwrap();
    let ended = home.run(&["run", "--once", "--quiet"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("has a value of the type string in the field customer.age of the document 20")
            && ended.stderr.contains("Tuple(`age` Nullable(Int64))")
            && ended.stderr.contains("on_type_conflict = \"extra\""),
        "{ended:?}"
    );
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "11");
    // What the message names.
    apply(&home, &failing("extra")).await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count(), sum(new) FROM orders_current").await, "12\t1");
    bench.remove().await;
}

/// A table that only grows.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_widens_columns() {
    let (bench, orders) = bench("widening_cursor").await;
    let home = natively(&bench).await;
    let cursor =
        format!("collection = \"orders\"\nmode = \"id-cursor\"\nsettle = \"0s\"\nbatch_rows = 100{WIDEN}");
    apply(&home, &[("orders", cursor)]).await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let more = (20..1_000).map(|n| doc! { "_id": n, "price": f64::from(n) / 2.0, "code": format!("c{n}") });
    orders.insert_many(more).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let question = "SELECT count(), sum(price), max(code), countIf(_zenith_extra != '') FROM orders";
    assert_eq!(bench.ask(question).await, "990\t249700\tc999\t0");
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

/// ClickHouse does not change the type of a column that rows are sorted or divided by: nothing is announced that never comes.
#[tokio::test(flavor = "multi_thread")]
async fn columns_of_keys_keep_their_types() {
    let (bench, orders) = bench("widening_keys").await;
    let home = Home::between(&bench);
    let shape = "\norder_by = [\"total\", \"code\"]\npartition_by = \"price % 2\"";
    home.configure(&[("orders", &format!("collection = \"orders\"{WIDEN}{shape}"))]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    orders
        .insert_one(doc! { "_id": 20, "total": "all", "code": "x", "price": 2.5, "weight": 1.5 })
        .await
        .unwrap();
    let ended = home.run(&["run", "--once", "--quiet"]).await.succeeded();
    for column in ["total", "code", "price"] {
        let told = |line: &str| line.contains(&format!("column of {column}")) && line.contains("sorting key");
        assert!(ended.stderr.lines().any(told), "{ended:?}");
    }
    assert_eq!(versions(&home, "orders").await.len(), 1);
    assert_eq!(bench.ask("SELECT countIf(_zenith_extra LIKE '%all%') FROM orders_current").await, "1");
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}
