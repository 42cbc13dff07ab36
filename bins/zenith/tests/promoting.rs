//! Values of the extra column are moved into columns.

use bson::raw::cstr;
use bson::{Document, doc, rawdoc};
use zenith_testkit::load;

use crate::harness::Bench;
use crate::home::{Home, stop};

/// A collection of ten documents, which three pipelines follow that add no columns.
struct Promoting {
    bench: Bench,
    home: Home,
    orders: mongodb::Collection<Document>,
}

const SETTINGS: &str = "on_new_field = \"extra\"";

impl Promoting {
    async fn begin(label: &str, natively: bool) -> Promoting {
        let bench = Bench::new(label).await;
        let known = |n: i32| rawdoc! { "_id": n, "customer": { "name": "n" }, "items": [{ "sku": "a" }, { "sku": "b" }] };
        bench.fill("orders", (0..10).map(known)).await;
        let mut home = Home::between(&bench);
        if natively {
            home.set("CLICKHOUSE", &bench.to_natively().await);
        }
        home.configure(&[
            ("orders", &format!("collection = \"orders\"\n{SETTINGS}")),
            ("log", &format!("collection = \"orders\"\nmode = \"change-log\"\ntable = \"log\"\n{SETTINGS}")),
            (
                "grows",
                &format!(
                    "collection = \"orders\"\nmode = \"id-cursor\"\ntable = \"grows\"\nsettle = \"0s\"\n{SETTINGS}"
                ),
            ),
        ]);
        home.apply().await;
        home.run(&["run", "--once", "--quiet"]).await.succeeded();
        let orders = bench.databases.mongodb.collection("orders");
        Promoting { bench, home, orders }
    }

    /// Documents with fields of every level that no column is for.
    async fn drift(&self) {
        let drifted = [
            doc! { "_id": 20, "price": 3, "customer": { "name": "m", "vip": true } },
            doc! { "_id": 21, "price": 2.5, "items": [{ "sku": "c" }, { "sku": "d", "serial": "S1" }] },
            doc! { "_id": 22, "price": "none", "507f1f77bcf86cd799439011": 7, "sent": { "by": "post", "at": 5 } },
        ];
        self.orders.insert_many(drifted).await.unwrap();
        // A driver would not write the key twice.
        let mut twice = rawdoc! { "_id": 23, "price": true };
        twice.append(bson::cstr!("price"), 4);
        load::insert_documents(&self.bench.databases.mongodb, "orders", [twice]).await.unwrap();
        self.once().await;
    }

    async fn once(&self) {
        self.home.run(&["run", "--once", "--quiet"]).await.succeeded();
    }

    /// What somebody asks of the new columns.
    async fn shown(&self, table: &str) -> String {
        let question = format!(
            "SELECT count(), sum(price), countIf(customer.vip), countIf(has(items.serial, 'S1')), \
             max(sent.by), sum(sent.at) FROM {table}"
        );
        self.bench.ask(&question).await
    }

    async fn extras(&self, table: &str) -> String {
        let question = format!(
            "SELECT _id, _zenith_extra FROM {table} WHERE _zenith_extra != '' ORDER BY _id FORMAT TSVRaw"
        );
        self.bench.ask(&question).await
    }
}

/// What is left: a key that is data, a value of another type, and an earlier value of a repeated key.
const LEFT: &str =
    "22\t{\"507f1f77bcf86cd799439011\":{\"$numberInt\":\"7\"}}\n23\t{\"$duplicates\":[{\"price\":true}]}";

async fn promote_each(natively: bool) {
    let label = if natively { "promoting_natively" } else { "promoting" };
    let promoting = Promoting::begin(label, natively).await;
    promoting.drift().await;
    let home = &promoting.home;
    for (pipeline, table, shown) in
        [("orders", "orders_current", "orders_current"), ("log", "log", "log"), ("grows", "grows", "grows")]
    {
        let before = promoting.extras(table).await;
        let rows =
            promoting.bench.ask(&format!("SELECT * EXCEPT (_zenith_extra) FROM {table} ORDER BY ALL")).await;
        assert!(before.lines().count() == 4, "{before}");
        let counted = home.pipeline(pipeline).await["extra_values"].clone();
        assert!(counted["customer.vip"]["no column"] == 1 && counted["sent"]["no column"] == 1, "{counted}");
        let status = home.run(&["status", pipeline]).await;
        assert!(status.stdout.contains(&format!("zenith schema promote {pipeline} proposes")), "{status:?}");
        let proposed = home.run(&["schema", "promote", pipeline]).await.succeeded();
        for part in [
            "Nullable(Float64), others in price_text",
            "customer.vip  Nullable(Bool)",
            "items.serial  Nullable(String)",
            "4 rows of",
            "left in _zenith_extra: 507f1f77bcf86cd799439011 (1 value)",
            "nothing was changed (--apply does it)",
        ] {
            assert!(proposed.stdout.contains(part), "{part}: {proposed:?}");
        }
        assert_eq!(promoting.extras(table).await, before);

        let applied = home.run(&["schema", "promote", pipeline, "--apply", "--quiet"]).await.succeeded();
        assert!(
            applied.stdout.contains("ADD COLUMN") && applied.stdout.contains("MODIFY COLUMN"),
            "{applied:?}"
        );
        let count = if pipeline == "log" { 4 } else { 14 };
        assert_eq!(promoting.shown(shown).await, format!("{count}\t9.5\t1\t1\tpost\t5"), "{pipeline}");
        assert_eq!(promoting.extras(table).await, LEFT, "{pipeline}");
        let now = format!(
            "SELECT * EXCEPT (_zenith_extra, price, price_text, sent) REPLACE (tuple(customer.name) AS customer, \
             arrayMap(i -> tuple(i), items.sku) AS items) FROM {table} ORDER BY ALL"
        );
        assert_eq!(
            promoting.bench.ask(&now).await,
            rows,
            "{pipeline}: what was shown before is shown as before"
        );
        let twin = format!("SELECT price_text FROM {table} WHERE _id = 22");
        assert_eq!(promoting.bench.ask(&twin).await, "none");
        let again =
            home.run(&["schema", "promote", pipeline, "--apply", "--json", "--quiet"]).await.succeeded();
        assert_eq!(again.json()["rows"], 0, "{again:?}");
        // As if merges had taken place.
        promoting.bench.ask(&format!("OPTIMIZE TABLE {} FINAL", table.trim_end_matches("_current"))).await;
        assert_eq!(promoting.shown(shown).await, format!("{count}\t9.5\t1\t1\tpost\t5"), "{pipeline}");
        let version =
            home.json(&["schema", pipeline]).await["versions"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(version["cause"], "values in the extra column were moved into columns");
        if pipeline != "log" {
            let verified = home.run(&["verify", pipeline]).await.succeeded();
            assert!(verified.stdout.contains("equal"), "{verified:?}");
        }
        let counted = home.pipeline(pipeline).await["extra_values"].clone();
        assert!(counted["customer.vip"].is_null() && counted["sent"].is_null(), "{counted}");
    }
    let later = doc! { "_id": 30, "price": 1, "customer": { "vip": true }, "items": [{ "serial": "S1" }] };
    promoting.orders.insert_one(later).await.unwrap();
    promoting.once().await;
    assert_eq!(promoting.shown("orders_current").await, "15\t10.5\t2\t2\tpost\t5");
    assert_eq!(promoting.shown("log").await, "5\t10.5\t2\t2\tpost\t5");
    assert_eq!(promoting.shown("grows").await, "15\t10.5\t2\t2\tpost\t5");
    promoting.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_moved_into_columns_in_every_mode() {
    promote_each(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_moved_into_columns_by_the_native_protocol() {
    promote_each(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_moved_beside_a_run_that_goes_on() {
    let promoting = Promoting::begin("promoting_beside", false).await;
    promoting.drift().await;
    let home = &promoting.home;
    let child = home.start(&["--quiet"]).await;
    for pipeline in ["orders", "log"] {
        home.until("it follows", async || home.pipeline(pipeline).await["lag_seconds"].is_number()).await;
        let applied =
            home.run(&["schema", "promote", pipeline, "--apply", "--json", "--quiet"]).await.succeeded();
        assert_eq!((&applied.json()["rows"], &applied.json()["applied"]), (&4.into(), &true.into()));
    }
    let later = doc! { "_id": 30, "price": 1, "customer": { "vip": true }, "items": [{ "serial": "S1" }] };
    promoting.orders.insert_one(later).await.unwrap();
    for (table, count) in [("orders_current", 15), ("log", 5)] {
        let expected = format!("{count}\t10.5\t2\t2\tpost\t5");
        home.until(&expected, async || promoting.shown(table).await == expected).await;
    }
    assert!(!home.pipeline("orders").await["extra_values"].to_string().contains("vip"));
    stop(child).await.succeeded();
    home.run(&["verify", "orders"]).await.succeeded();
    promoting.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_named_fields_are_moved_and_what_cannot_be_is_told() {
    let promoting = Promoting::begin("promoting_named", false).await;
    promoting.drift().await;
    let home = &promoting.home;
    let path = "507f1f77bcf86cd799439011";
    let named = ["schema", "promote", "orders", "--field", path, "--apply", "--quiet"];
    home.run(&named).await.succeeded();
    let question = format!("SELECT `{path}` FROM orders_current WHERE _id = 22");
    assert_eq!(promoting.bench.ask(&question).await, "7");
    assert!(promoting.extras("orders_current").await.contains("\"vip\":true"));

    let absent = home.run(&["schema", "promote", "orders", "--field", "colour"]).await;
    assert_eq!(absent.code, Some(2), "{absent:?}");
    assert!(
        absent.stderr.contains("colour can get no column: _zenith_extra has values of customer.vip,"),
        "{absent:?}"
    );
    // A column of somebody else's, for values that are not of its type; and one whose values nobody else knows.
    promoting.bench.ask("ALTER TABLE orders ADD COLUMN price Nullable(IPv4)").await;
    let taken = home.run(&["schema", "promote", "orders", "--field", "price", "--apply", "--quiet"]).await;
    assert!(taken.stderr.contains("cannot hold the values: drop or rename it"), "{taken:?}");
    promoting.bench.ask("ALTER TABLE log ADD COLUMN note String").await;
    let lost = home.run(&["schema", "promote", "log", "--apply", "--quiet"]).await;
    assert!(lost.stderr.contains("log has a column note that Zenith does not know"), "{lost:?}");
    // Either goes on as before.
    promoting.orders.insert_one(doc! { "_id": 40, "price": 8 }).await.unwrap();
    promoting.once().await;
    for table in ["orders_current", "log"] {
        assert!(promoting.extras(table).await.contains("40\t{\"price\":"), "{table}");
    }
    promoting.bench.ask("ALTER TABLE orders DROP COLUMN price").await;
    home.run(&["schema", "promote", "orders", "--apply", "--quiet"]).await.succeeded();
    assert_eq!(promoting.bench.ask("SELECT sum(price) FROM orders_current").await, "17.5");
    home.run(&["verify", "orders"]).await.succeeded();
    promoting.bench.remove().await;
}

/// Columns that came up while the table was followed get the values of earlier rows.
#[tokio::test(flavor = "multi_thread")]
async fn columns_that_came_late_get_the_values_of_earlier_rows() {
    let promoting = Promoting::begin("promoting_late", false).await;
    promoting.drift().await;
    let home = &promoting.home;
    home.configure(&[("orders", "collection = \"orders\"")]);
    home.apply().await;
    promoting.orders.insert_one(doc! { "_id": 30, "price": 1 }).await.unwrap();
    promoting.once().await;
    assert_eq!(promoting.bench.ask("SELECT sum(price) FROM orders_current").await, "1");
    let proposed = home.run(&["schema", "promote", "orders"]).await.succeeded();
    assert!(
        proposed.stdout.contains("columns that came later than values in _zenith_extra: price"),
        "{proposed:?}"
    );
    let applied = home.run(&["schema", "promote", "orders", "--apply", "--quiet"]).await.succeeded();
    // An integer is all that its column holds.
    assert!(applied.stdout.contains("price"), "{applied:?}");
    assert_eq!(promoting.bench.ask("SELECT sum(price), sum(sent.at) FROM orders_current").await, "8\t5");
    assert!(promoting.extras("orders_current").await.contains("21\t{\"price\":{\"$numberDouble\":\"2.5\"}}"));
    home.run(&["verify", "orders"]).await.succeeded();
    promoting.bench.remove().await;
}

/// Fields that were too rare for the sample of a reload, and for another plan, have their columns when it is done.
#[tokio::test(flavor = "multi_thread")]
async fn rare_fields_of_a_reload_have_columns() {
    let bench = Bench::new("promoting_rare").await;
    let known = |n: i32| {
        let mut document = rawdoc! { "_id": n, "n": n };
        let mut customer = rawdoc! { "name": "n" };
        if n % 3_000 == 1_234 {
            document.append(cstr!("price"), f64::from(n) / 2.0);
            document.append(cstr!("2024-05-06"), n);
            customer.append(cstr!("vip"), true);
        }
        document.append(cstr!("customer"), customer);
        document
    };
    bench.fill("orders", (0..9_000).map(known)).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"\nsample = 50")]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask("SELECT countIf(_zenith_extra != '') FROM orders_current").await, "3");
    let reloaded = home.run(&["reload", "orders", "--quiet"]).await.succeeded();
    assert!(!reloaded.stdout.contains("price"), "{reloaded:?}");
    let shown = "SELECT count(), sum(price), countIf(customer.vip), max(_zenith_extra) FROM orders_current FORMAT TSVRaw";
    let extra = r#"{"2024-05-06":{"$numberInt":"7234"}}"#;
    assert_eq!(bench.ask(shown).await, format!("9000\t6351\t3\t{extra}"));
    let verified = home.run(&["verify", "orders"]).await.succeeded();
    assert!(verified.stdout.contains("2024-05-06: 3 no column"), "{verified:?}");
    assert!(!verified.stdout.contains("price"), "{verified:?}");
    // Changes go on with these columns.
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    orders.insert_one(doc! { "_id": 9_000, "price": 1, "customer": { "vip": false } }).await.unwrap();
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count(), sum(price) FROM orders_current").await, "9001\t6352");
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

/// A load gives no more fields their columns by itself than changes do.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_adds_columns_for_fifty_rare_fields_at_most() {
    let bench = Bench::new("promoting_burst").await;
    let known = |n: i32| {
        let mut document = rawdoc! { "_id": n, "n": n };
        if n % 150 == 77 {
            document.append(bson::raw::CString::try_from(format!("rare_{n}")).unwrap(), n);
        }
        document
    };
    bench.fill("orders", (0..9_000).map(known)).await;
    let home = Home::between(&bench);
    home.configure(&[("orders", "collection = \"orders\"\nsample = 20")]);
    home.apply().await;
    home.run(&["run", "--once", "--quiet"]).await.succeeded();
    let columns = "SELECT count() FROM system.columns WHERE database = currentDatabase() AND table = 'orders' AND name LIKE \
                   'rare_%'";
    let reloaded = home.run(&["reload", "orders"]).await.succeeded();
    // Those that happen to be in the sample have theirs in any case.
    let added: u32 = bench.ask(columns).await.parse().unwrap();
    assert!((50..57).contains(&added), "{added}");
    assert!(reloaded.stderr.contains("more than 50 fields of orders"), "{reloaded:?}");
    home.run(&["verify", "orders"]).await.succeeded();
    // What the message names.
    home.run(&["schema", "promote", "orders", "--apply", "--quiet"]).await.succeeded();
    assert_eq!(bench.ask(columns).await, "60");
    bench.remove().await;
}
