//! Columns of the types that their user asks for.

use bson::{DateTime, doc, rawdoc};

use crate::harness::{Bench, run};
use crate::home::Home;
use crate::tables::{copy_to, ends, orders, type_of};

const COLUMNS: &str = "[pipelines.orders.columns]\nprice = \"Decimal(9, 2) CODEC(ZSTD(1))\"\nquantity = \"UInt8 NOT NULL\"\n\
                       seconds = \"DateTime('Europe/Berlin')\"\nday = \"Date\"\nnanos = \"DateTime64(9, 'UTC')\"\n\
                       key = \"UUID\"\naddress = \"IPv4\"\nsix = \"IPv6\"\nstate = \"Enum('new', 'paid' = 7)\"\n\
                       code = \"LowCardinality(String)\"\nparts = \"String\"\nany = \"JSON\"\nlater = \"Nullable(Int64)\"\n\
                       [pipelines.orders.columns.name]\nlow_cardinality = true\nnullable = false\n";

/// One that fits, and one of which nothing does.
fn typed() -> [bson::Document; 3] {
    let date = |ms| DateTime::from_millis(ms);
    let fits = doc! {
        "_id": 1, "price": 12.5, "quantity": 200, "seconds": date(1_700_000_000_000), "day": date(1_699_920_000_000),
        "nanos": date(1_700_000_000_123), "key": "0190163d-8694-739b-aea5-966c26f8ad91", "address": "10.0.0.1",
        "six": "2001:db8::1", "state": "paid", "code": 7, "parts": { "a": [1, { "b": true }] }, "any": { "x": 1 },
        "name": "n",
    };
    let not = doc! {
        "_id": 2, "price": 1.005, "quantity": 256, "seconds": date(1_700_000_000_001), "day": date(-1),
        "nanos": date(32_503_680_000_000), "key": "0190163D-8694-739B-AEA5-966C26F8AD91", "address": "10.0.0.300",
        "six": "::ffff:a00:1", "state": "sold", "code": "x", "parts": [1], "any": [1], "later": "soon", "name": 5,
    };
    [fits, not, doc! { "_id": 3, "quantity": bson::Bson::Null }]
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_have_the_types_that_are_asked_for_in_every_mode() {
    let bench = Bench::new("tables_types").await;
    let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
    orders.insert_many(typed()).await.unwrap();
    for mode in ["full", "id-cursor", "changes", "change-log"] {
        for (protocol, to) in ends(&bench).await {
            let at = format!("{mode} {protocol}");
            bench.ask("DROP TABLE IF EXISTS orders").await;
            let mut home = Home::new();
            home.set("MONGO", bench.from());
            home.set("CLICKHOUSE", &to);
            let pipeline = format!("collection = \"orders\"\nmode = \"{mode}\"\nsettle = \"0s\"\n{COLUMNS}");
            home.configure(&[("orders", &pipeline)]);
            home.run(&["check"]).await.succeeded();
            home.apply().await;
            home.run(&["run", "--once"]).await.succeeded();
            // Changes find these, too.
            orders.delete_many(doc! { "_id": { "$gt": 3 } }).await.unwrap();
            for (id, mut document) in (4..).zip(typed()) {
                document.insert("_id", id);
                orders.insert_one(document).await.unwrap();
            }
            home.run(&["run", "--once"]).await.succeeded();
            for (column, data_type) in [
                ("price", "Nullable(Decimal(9, 2))"),
                ("quantity", "UInt8"),
                ("seconds", "Nullable(DateTime(\\'Europe/Berlin\\'))"),
                ("state", "Nullable(Enum8(\\'new\\' = 1, \\'paid\\' = 7))"),
                ("code", "LowCardinality(Nullable(String))"),
                ("name", "LowCardinality(String)"),
                ("later", "Nullable(Int64)"),
                ("any", "JSON"),
            ] {
                assert_eq!(type_of(&bench, "orders", column).await, data_type, "{at} {column}");
            }
            let (rows, only) = match mode {
                "change-log" => ("_id = 4", "AND _zenith_operation = 'insert'"),
                _ => ("_id IN (1, 4)", ""),
            };
            let from = if mode == "changes" { "orders_current" } else { "orders" };
            let question = format!(
                "SELECT DISTINCT price, quantity, toUnixTimestamp(seconds), day, toString(nanos), key, address, six, state, \
                 code, parts, any.x, name, later FROM {from} WHERE {rows} {only} FORMAT TSVRaw"
            );
            assert_eq!(
                bench.ask(&question).await,
                "12.5\t200\t1700000000\t2023-11-14\t2023-11-14 22:13:20.123000000\t0190163d-8694-739b-aea5-966c26f8ad91\t\
                 10.0.0.1\t2001:db8::1\tpaid\t7\t{\"a\":[1,{\"b\":true}]}\t1\tn\t\\N",
                "{at}"
            );
            let question = format!(
                "SELECT price, quantity, seconds, day, nanos, key, address, six, state, code, later, name FROM {from} WHERE \
                 _id = 5 {only} FORMAT TSVRaw"
            );
            let nothing = "\\N\t0\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\tx\t\\N\t5";
            assert_eq!(bench.ask(&question).await, nothing, "{at}");
            let question =
                format!("SELECT quantity, _zenith_notes FROM {from} WHERE _id = 6 {only} FORMAT TSVRaw");
            let noted = bench.ask(&question).await;
            assert!(
                noted.contains("\"quantity\":\"null\"") && noted.contains("\"name\":\"missing\""),
                "{at}: {noted}"
            );
            if mode != "change-log" {
                home.run(&["verify", "orders"]).await.succeeded();
            }
            if mode == "changes" {
                orders.delete_one(doc! { "_id": 5 }).await.unwrap();
                home.run(&["run", "--once"]).await.succeeded();
                home.run(&["reload", "orders"]).await.succeeded();
                home.run(&["verify", "orders"]).await.succeeded();
            }
            home.run(&["check"]).await.succeeded();
        }
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_gives_types_and_counts_what_does_not_fit() {
    let bench = Bench::new("tables_copied_types").await;
    bench.fill("orders", (0..3_000).map(|n| rawdoc! { "_id": n, "n": n, "price": n })).await;
    for (table, to) in ends(&bench).await {
        let more = [
            "--column=n=UInt8",
            "--column=price=Decimal(18, 4) CODEC(ZSTD(1))",
            "--order-by=price",
            "--json",
        ];
        // The second keeps what the first has made.
        for _ in 0..2 {
            let copied = run(copy_to(&bench, &to, table, &more)).await.succeeded();
            assert_eq!(copied.json()["extra_values"]["n"]["out of range"], 3_000 - 256, "{copied:?}");
            assert!(!copied.stderr.contains("starts over"), "{copied:?}");
            assert_eq!(type_of(&bench, table, "n").await, "Nullable(UInt8)");
            assert_eq!(type_of(&bench, table, "price").await, "Decimal(18, 4)");
            let question =
                format!("SELECT count(n), sum(n), sum(price), countIf(_zenith_extra != '') FROM {table}");
            assert_eq!(bench.ask(&question).await, "256\t32640\t4498500\t2744");
        }
        for (column, part) in [("n=Float32", "Float64"), ("n=Array(Int8)", "Decimal"), ("_id=Int8", "_id")] {
            let refused = run(copy_to(&bench, &to, table, &["--column", column])).await;
            assert!(refused.code == Some(2) && refused.stderr.contains(part), "{refused:?}");
        }
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_yet_to_be_made_gets_the_table() {
    let bench = Bench::new("tables_database").await;
    bench.fill("orders", orders(0..20)).await;
    let database = format!("{}_made", bench.databases.clickhouse.database());
    let mut home = Home::new();
    home.set("MONGO", bench.from());
    home.set("CLICKHOUSE", &bench.to().replace(bench.databases.clickhouse.database(), &database));
    for mode in ["changes", "full", "change-log"] {
        let settings = "[pipelines.orders.columns]\ntenant = \"Enum('t0', 't1')\"\nn = \"Decimal(5)\"\nday = \"Nullable(Date) \
                        MATERIALIZED toDate(at)\"";
        home.configure(&[("orders", &format!("collection = \"orders\"\nmode = \"{mode}\"\n{settings}"))]);
        home.run(&["check"]).await.succeeded();
        home.apply().await;
        for _ in 0..2 {
            home.run(&["run", "--once"]).await.succeeded();
        }
        let question = format!(
            "SELECT count() > 0 FROM system.columns WHERE database = '{database}' AND name = 'tenant' AND type = \
             'Nullable(Enum8(\\'t0\\' = 1, \\'t1\\' = 2))'"
        );
        assert_eq!(bench.ask(&question).await, "1", "{mode}");
        if mode != "change-log" {
            home.run(&["verify", "orders"]).await.succeeded();
        }
        bench.ask(&format!("DROP DATABASE {database} SYNC")).await;
        std::fs::remove_file(home.folder.path().join("state.sqlite")).unwrap();
    }
    bench.remove().await;
}

/// Columns for new fields, and values that move into columns, leave the others as they are.
#[tokio::test(flavor = "multi_thread")]
async fn chosen_columns_stay_while_others_come() {
    let bench = Bench::new("tables_evolving").await;
    let document = |id: i32| {
        doc! { "_id": id, "n": id, "tenant": "a", "key": format!("0190163d-8694-739b-aea5-966c26f8ad{id:02}") }
    };
    let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
    let columns = "[pipelines.orders.columns]\nn = \"UInt8\"\nkey = \"UUID\"\ntenant = \"String NOT NULL\"\n";
    for (mode, more) in
        [("changes", ""), ("id-cursor", "order_by = [\"n\"]"), ("change-log", "order_by = [\"n\"]")]
    {
        bench.ask("DROP TABLE IF EXISTS orders").await;
        let _ = orders.drop().await;
        orders.insert_many((0..20).map(document)).await.unwrap();
        let home = Home::between(&bench);
        let settings =
            format!("collection = \"orders\"\nmode = \"{mode}\"\nsettle = \"0s\"\n{more}\n{columns}");
        home.configure(&[("orders", &settings)]);
        home.apply().await;
        home.run(&["run", "--once"]).await.succeeded();
        for (id, on_new_field) in [(20, "add"), (21, "extra")] {
            home.configure(&[(
                "orders",
                &settings.replace("mode", &format!("on_new_field = \"{on_new_field}\"\nmode")),
            )]);
            home.apply().await;
            let mut odd = document(id);
            odd.extend(doc! { format!("new{id}"): id, "n": id * 13 });
            orders.insert_one(odd).await.unwrap();
            home.run(&["run", "--once"]).await.succeeded();
        }
        let from = if mode == "changes" { "orders_current" } else { "orders" };
        let promoted = home.run(&["schema", "promote", "orders", "--apply"]).await;
        assert_eq!(promoted.code, Some(0), "{mode}: {promoted:?}");
        let question = format!(
            "SELECT n, tenant, toString(key), new20, new21 FROM {from} WHERE _id IN (20, 21) ORDER BY _id FORMAT TSVRaw"
        );
        let key = "0190163d-8694-739b-aea5-966c26f8ad";
        let expected = match more {
            // 273 does not fit, and a column of a key is never NULL.
            "" => format!("\\N\ta\t{key}20\t20\t\\N\n\\N\ta\t{key}21\t\\N\t21"),
            _ => format!("0\ta\t{key}20\t20\t\\N\n0\ta\t{key}21\t\\N\t21"),
        };
        assert_eq!(bench.ask(&question).await, expected, "{mode}");
        assert_eq!(type_of(&bench, "orders", "tenant").await, "String", "{mode}");
        if mode != "change-log" {
            home.run(&["verify", "orders"]).await.succeeded();
        }
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_cast_to_the_types_of_columns_and_kept_as_they_were() {
    let bench = Bench::new("tables_casts").await;
    let orders = bench.databases.mongodb.collection::<bson::Document>("orders");
    let texts = |id: i32| {
        [
            doc! { "_id": id, "n": "12", "price": "-1.5", "at": "2024-05-06T07:08:09Z", "is": "true", "c": { "n": "3" } },
            doc! { "_id": id + 1, "n": "007", "price": "1.50", "at": "2024-05-06 07:08:09", "is": "yes", "c": { "n": "+4" } },
            doc! { "_id": id + 2, "n": "300", "price": "1.001", "at": "2024-05-06T09:08:09.5+02:00", "c": { "n": "x" } },
            doc! { "_id": id + 3, "n": 5, "price": "0.10", "at": "2024-05-06", "is": false, "c": { "n": 6 } },
        ]
    };
    for mode in ["full", "id-cursor", "changes"] {
        for (protocol, to) in ends(&bench).await {
            let at = format!("{mode} {protocol}");
            orders.delete_many(doc! {}).await.unwrap();
            orders.insert_many(texts(0)).await.unwrap();
            bench.ask("DROP TABLE IF EXISTS orders").await;
            let mut home = Home::new();
            home.set("MONGO", bench.from());
            home.set("CLICKHOUSE", &to);
            let columns = "n = \"UInt8\"\nprice = \"Decimal(9, 2)\"\nat = \"DateTime('UTC')\"\nis = \"Bool\"\n\"c.n\" = \"Int8\"";
            let pipeline = format!(
                "collection = \"orders\"\nmode = \"{mode}\"\nsettle = \"0s\"\nmixed = \"majority\"\n[pipelines.orders.columns]\n{columns}"
            );
            home.configure(&[("orders", &pipeline)]);
            home.apply().await;
            home.run(&["run", "--once"]).await.succeeded();
            orders.insert_many(texts(4)).await.unwrap();
            home.run(&["run", "--once"]).await.succeeded();
            let from = if mode == "changes" { "orders_current" } else { "orders" };
            let question = format!(
                "SELECT _id % 4, n, price, at, is, c.n, _zenith_extra FROM {from} WHERE _id >= 4 OR _id < 4 AND {} ORDER BY _id \
                 LIMIT 4 FORMAT TSVRaw",
                if mode == "full" { "1" } else { "0" }
            );
            let expected = "0\t12\t-1.5\t2024-05-06 07:08:09\ttrue\t3\t\n\
                1\t7\t1.5\t2024-05-06 07:08:09\t\\N\t4\t{\"n\":\"007\",\"price\":\"1.50\",\"at\":\"2024-05-06 07:08:09\",\"is\":\"yes\",\"c\":{\"n\":\"+4\"}}\n\
                2\t\\N\t\\N\t\\N\t\\N\t\\N\t{\"n\":\"300\",\"price\":\"1.001\",\"at\":\"2024-05-06T09:08:09.5+02:00\",\"c\":{\"n\":\"x\"}}\n\
                3\t5\t0.1\t2024-05-06 00:00:00\tfalse\t6\t{\"price\":\"0.10\",\"at\":\"2024-05-06\"}";
            assert_eq!(bench.ask(&question).await, expected, "{at}");
            home.run(&["verify", "orders"]).await.succeeded();
        }
    }
    bench.remove().await;
}
