//! Documents in one column, and in columns of their parts.

use bson::{Bson, Document, doc};

use crate::harness::{Bench, run};
use crate::home::Home;
use crate::tables::ends;

/// One of each: plain, with all that `JSON` does not give back, with repeated forms of one field, and nearly empty.
fn orders(first: i32) -> Vec<Document> {
    let address = |n: i32| doc! { "city": "c", "zip": n, "geo": { "lat": 0.5, "lon": f64::from(n) } };
    (first..first + 40)
        .map(|n| match n % 20 {
            0 => doc! { "_id": n, "customer": { "name": n, "address": address(n) }, "a.b": 1, "": 2 },
            1 => doc! { "_id": n, "customer": Bson::Null, "lines": [], "when": bson::DateTime::MAX },
            2 => doc! { "_id": n, "customer": {}, "lines": [1, "x", { "sku": 5 }] },
            3 => doc! { "_id": n, "customer": "none", "price": "1.0".parse::<bson::Decimal128>().unwrap() },
            4 => doc! { "_id": n },
            _ => doc! {
                "_id": n, "customer": { "name": "n", "address": address(n) }, "price": f64::from(n) / 8.0,
                "lines": [{ "sku": "s", "count": n }, { "sku": "t" }], "when": bson::DateTime::from_millis(1_000),
            },
        })
        .collect()
}

async fn columns(bench: &Bench, table: &str) -> String {
    let question = "SELECT arrayStringConcat(groupArray(concat(name, ' ', type)), ', ') FROM system.columns WHERE database = \
                    currentDatabase() AND name NOT LIKE '\\_zenith%' AND table = ";
    bench.ask(&format!("{question}'{table}' FORMAT TSVRaw")).await
}

/// Every mode by both protocols: what is there is as it is to be after a load, and after changes.
async fn in_every_mode(label: &str, settings: &str, question: &str) {
    let bench = Bench::new(label).await;
    let there = bench.databases.mongodb.collection::<Document>("orders");
    for mode in ["full", "id-cursor", "changes", "change-log"] {
        for (protocol, to) in ends(&bench).await {
            let at = format!("{mode} {protocol}");
            there.delete_many(doc! {}).await.unwrap();
            there.insert_many(orders(0)).await.unwrap();
            bench.ask("DROP TABLE IF EXISTS orders").await;
            let mut home = Home::new();
            home.set("MONGO", bench.from());
            home.set("CLICKHOUSE", &to);
            let pipeline = format!("collection = \"orders\"\nmode = \"{mode}\"\nsettle = \"0s\"\n{settings}");
            home.configure(&[("orders", &pipeline)]);
            home.run(&["check"]).await.succeeded();
            home.apply().await;
            home.run(&["run", "--once"]).await.succeeded();
            there.insert_many(orders(40)).await.unwrap();
            if mode != "id-cursor" {
                there
                    .update_many(
                        doc! { "_id": { "$gt": 70 } },
                        doc! { "$set": { "customer.address.new": "n", "more": { "in": 1 } } },
                    )
                    .await
                    .unwrap();
                there.delete_many(doc! { "_id": { "$in": [10, 50] } }).await.unwrap();
            }
            home.run(&["run", "--once"]).await.succeeded();
            let from = if mode == "changes" { "orders_current" } else { "orders" };
            let rows = bench.ask(&format!("{question} FROM {from} FORMAT TSVRaw")).await;
            let expected = match mode {
                "full" | "changes" => "78\t62\t9",
                "id-cursor" => "80\t64\t0",
                // The first load is not in it: 40 inserts, 9 updates and 2 deletions are.
                _ => "51\t41\t9",
            };
            assert_eq!(rows, expected, "{at}");
            if mode != "change-log" {
                home.run(&["verify", "orders"]).await.succeeded();
            }
            if mode == "changes" {
                home.run(&["reload", "orders"]).await.succeeded();
                home.run(&["verify", "orders"]).await.succeeded();
                assert_eq!(
                    bench.ask(&format!("{question} FROM {from} FORMAT TSVRaw")).await,
                    expected,
                    "{at}"
                );
            }
        }
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_documents_are_one_column_in_every_mode() {
    let question = "SELECT count(), countIf(doc.customer.address.city.:String = 'c'), countIf(doc.customer.address.new.:String = 'n')";
    in_every_mode("shapes_document", "shape = \"document\"", question).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_documents_are_columns_in_every_mode() {
    let question =
        "SELECT count(), countIf(customer_address_city = 'c'), countIf(customer_address_new = 'n')";
    // A column comes when the first of its values does; a cursor meets none.
    let settings =
        "shape = \"flat\"\n[pipelines.orders.columns]\ncustomer_address_new = \"LowCardinality(String)\"";
    let settings = settings.replace("customer_address_new", "\"customer.address.new\"");
    in_every_mode("shapes_flat", &settings, question).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_the_shape_that_is_asked_for() {
    let bench = Bench::new("shapes_copy").await;
    bench.databases.mongodb.collection::<Document>("orders").insert_many(orders(0)).await.unwrap();
    for (number, (protocol, to)) in ends(&bench).await.into_iter().enumerate() {
        let copy = async |table: String, more: &[&str]| {
            let table = format!("{table}{number}");
            let arguments =
                ["copy", "--from", bench.from(), "--to", &to, "--collection", "orders", "--table", &table];
            let ended = run(crate::harness::zenith(&[&arguments[..], more].concat())).await;
            (table, ended)
        };
        let (table, ended) = copy("whole".to_owned(), &["--shape", "document"]).await;
        ended.succeeded();
        assert_eq!(columns(&bench, &table).await, "_id Int64, doc JSON", "{protocol}");
        let question = format!("SELECT countIf(doc._id.:Int64 = _id), sum(doc.price.:Float64) FROM {table}");
        assert_eq!(bench.ask(&question).await, "40\t82.5", "{protocol}");

        let (table, ended) = copy("flat".to_owned(), &["--shape", "flat"]).await;
        ended.succeeded();
        let expected = "_id Int64, customer_name Nullable(String), customer_name_text Nullable(String), customer_address_city \
                        Nullable(String), customer_address_zip Nullable(Int64), customer_address_geo_lat Nullable(Float64), \
                        customer_address_geo_lon Nullable(Float64), customer_text Nullable(String), a.b Nullable(Int64), lines \
                        Array(Tuple(sku Nullable(String), sku_text Nullable(String), count Nullable(Int64))), when \
                        Nullable(DateTime64(3, 'UTC')), when_text Nullable(String), price Nullable(Decimal(38, 9))";
        assert_eq!(columns(&bench, &table).await, expected, "{protocol}");
        let more =
            ["--shape=flat", "--flat-separator=.", "--flat-arrays=json", "--rename=customer.address.zip=zip"];
        let (table, ended) = copy("dotted".to_owned(), &more).await;
        ended.succeeded();
        let question = format!(
            "SELECT sum(`customer.address.geo.lon`), sum(zip), countIf(lines = '[]'), anyIf(lines, _id = 5) FROM {table}"
        );
        let lines = r#"[{"sku":"s","count":5},{"sku":"t"}]"#;
        assert_eq!(bench.ask(&format!("{question} FORMAT TSVRaw")).await, format!("680\t680\t2\t{lines}"));
        let more =
            ["--shape=flat", "--flat-depth=1", "--order-by=customer_name", "--columns=customer.name=String"];
        let (table, ended) = copy("shallow".to_owned(), &more).await;
        ended.succeeded();
        let question =
            format!("SELECT sum(customer_address.geo.lon), countIf(customer_name = '') FROM {table}");
        assert_eq!(bench.ask(&question).await, "680\t8", "{protocol}");
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shapes_that_cannot_be_are_told() {
    let bench = Bench::new("shapes_refused").await;
    bench
        .databases
        .mongodb
        .collection("o")
        .insert_one(doc! { "_id": 1, "a": { "b": 1 }, "a_b": 2 })
        .await
        .unwrap();
    for (more, told) in [
        (&["--shape=flat"][..], "a.b and a_b would both have the column a_b"),
        (&["--shape=flat", "--flat-separator=."], "a dot in them"),
        (&["--shape=flat", "--flat-depth=0"], "too small"),
        (&["--shape=document", "--rename=a=b"], "none has a column of its own"),
        (&["--shape=document", "--columns=a=Int64"], "compute another one"),
        (&["--shape=columns", "--rename=a.b=c"], "unless shape = \"flat\""),
    ] {
        let ended = run(bench.copy("o", more)).await;
        assert!(ended.code == Some(2) && ended.stderr.contains(told), "{more:?} {ended:?}");
    }
    let free = ["--shape=flat", "--rename=a.b=b"];
    run(bench.copy("o", &free)).await.succeeded();
    assert_eq!(bench.ask("SELECT b, a_b FROM o").await, "1\t2");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_come_up_later_are_columns_of_flat_documents() {
    let bench = Bench::new("shapes_evolving").await;
    let there = bench.databases.mongodb.collection::<Document>("orders");
    there
        .insert_many((0..20).map(|n| doc! { "_id": n, "c": { "n": n, "in": { "x": n } }, "c_taken": 1 }))
        .await
        .unwrap();
    for (protocol, to) in ends(&bench).await {
        bench.ask("DROP TABLE IF EXISTS orders").await;
        there.delete_many(doc! { "_id": { "$gte": 20 } }).await.unwrap();
        let mut home = Home::new();
        home.set("MONGO", bench.from());
        home.set("CLICKHOUSE", &to);
        home.configure(&[(
            "orders",
            "collection = \"orders\"\nshape = \"flat\"\non_type_conflict = \"widen\"",
        )]);
        home.apply().await;
        home.run(&["run", "--once"]).await.succeeded();
        let new = |n: i32| {
            let inside = doc! { "x": n, "y": "y" };
            doc! { "_id": n, "c": { "n": 0.5, "in": inside, "z": [n] }, "d": { "e": { "f": n } } }
        };
        there.insert_many((20..30).map(new)).await.unwrap();
        home.run(&["run", "--once"]).await.succeeded();
        let ended = home.run(&["schema", "orders"]).await.succeeded();
        assert!(ended.stdout.contains("ADD COLUMN") && ended.stdout.contains("c_in_y"), "{ended:?}");
        // Of two fields of one name the second one has no column.
        let taken = (30..40).map(|n| {
            let mut document = new(n);
            document.get_document_mut("c").unwrap().insert("taken", 2);
            document
        });
        there.insert_many(taken).await.unwrap();
        home.run(&["run", "--once"]).await.succeeded();
        let names = columns(&bench, "orders").await;
        for column in [
            "c_n Nullable(Float64)",
            "c_in_y Nullable(String)",
            "c_z Array(Nullable(Int64))",
            "d_e_f Nullable(Int64)",
        ] {
            assert!(names.contains(column), "{protocol} {column}: {names}");
        }
        let question = "SELECT sum(c_n), sum(c_in_x), countIf(c_in_y = 'y'), sum(c_taken), sum(length(c_z)), sum(d_e_f), \
                        countIf(JSONExtractInt(_zenith_extra, 'c', 'taken', '$numberInt') = 2 AND _zenith_extra != '') FROM orders_current";
        assert_eq!(bench.ask(question).await, "200\t780\t20\t20\t20\t590\t10", "{protocol}");
        home.run(&["verify", "orders"]).await.succeeded();
        // Both cannot have the column.
        let ended = home.run(&["reload", "orders"]).await;
        assert!(ended.code != Some(0) && ended.stderr.contains("c.taken and c_taken"), "{ended:?}");
        home.run(&["verify", "orders"]).await.succeeded();
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_shape_comes_with_a_reload() {
    let bench = Bench::new("shapes_change").await;
    let there = bench.databases.mongodb.collection::<Document>("orders");
    there.insert_many(orders(0)).await.unwrap();
    let home = Home::between(&bench);
    for (shape, before) in
        [("columns", ""), ("document", "columns"), ("flat", "document"), ("columns", "flat")]
    {
        home.configure(&[("orders", &format!("collection = \"orders\"\nshape = \"{shape}\""))]);
        let applied = home.apply().await;
        assert!(before.is_empty() || applied.stdout.contains("zenith reload orders"), "{applied:?}");
        let names = columns(&bench, "orders").await;
        there
            .update_many(doc! { "_id": { "$gt": 30 } }, doc! { "$inc": { "customer.address.zip": 1 } })
            .await
            .unwrap();
        home.run(&["run", "--once"]).await.succeeded();
        if !before.is_empty() {
            assert_eq!(
                columns(&bench, "orders").await,
                names,
                "the table keeps its columns: {before} {shape}"
            );
        }
        home.run(&["verify", "orders"]).await.succeeded();
        home.run(&["reload", "orders"]).await.succeeded();
        home.run(&["verify", "orders"]).await.succeeded();
        let expected = match shape {
            "columns" => "customer Tuple(",
            "document" => "doc JSON",
            _ => "customer_address_geo_lon ",
        };
        assert!(columns(&bench, "orders").await.contains(expected), "{shape}");
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_documents_have_the_types_that_are_asked_for() {
    let types = "[pipelines.orders.columns]\n\"c.n\" = \"Int16\"\n\"c.in.key\" = \"UUID\"\n\"c.in.day\" = \"Date\"\n\
                 \"c.code\" = \"LowCardinality(String)\"\n\"lines.state\" = \"Enum('new', 'paid')\"\n\"lines.price\" = \
                 \"Decimal(9, 2)\"\n\"c.address\" = \"IPv4\"\n\"c.late.at\" = \"DateTime\"\n";
    let fits = |id: i32| {
        let day = bson::DateTime::from_millis(1_699_920_000_000);
        doc! {
            "_id": id, "c": { "n": 5, "code": "x", "address": "10.0.0.1",
                "in": { "key": "0190163d-8694-739b-aea5-966c26f8ad91", "day": day } },
            "lines": [{ "state": "paid", "price": 1.25 }, { "state": "new", "price": 2 }],
        }
    };
    let not = |id: i32| {
        doc! {
            "_id": id, "c": { "n": 70_000, "code": [1], "address": "10.0.0.300", "in": { "key": "no", "day": 5 } },
            "lines": [{ "state": "sold", "price": 0.001 }, 7, { "price": "x" }],
        }
    };
    let bench = Bench::new("shapes_types").await;
    let there = bench.databases.mongodb.collection::<Document>("orders");
    for (mode, shape) in [
        ("full", "columns"),
        ("id-cursor", "columns"),
        ("changes", "columns"),
        ("changes", "flat"),
        ("change-log", "columns"),
    ] {
        for (protocol, to) in ends(&bench).await {
            let at = format!("{mode} {shape} {protocol}");
            there.delete_many(doc! {}).await.unwrap();
            there.insert_many([fits(1), not(2), doc! { "_id": 3 }, fits(4)]).await.unwrap();
            bench.ask("DROP TABLE IF EXISTS orders").await;
            let mut home = Home::new();
            home.set("MONGO", bench.from());
            home.set("CLICKHOUSE", &to);
            let pipeline = format!(
                "collection = \"orders\"\nmode = \"{mode}\"\nshape = \"{shape}\"\nsettle = \"0s\"\n{types}"
            );
            home.configure(&[("orders", &pipeline)]);
            home.run(&["check"]).await.succeeded();
            home.apply().await;
            home.run(&["run", "--once"]).await.succeeded();
            there.insert_many([fits(11), not(12), doc! { "_id": 13 }]).await.unwrap();
            if mode != "id-cursor" {
                there.delete_one(doc! { "_id": 4 }).await.unwrap();
            }
            home.run(&["run", "--once"]).await.succeeded();
            let of = columns(&bench, "orders").await;
            if shape == "flat" {
                assert!(
                    of.contains("c_n Nullable(Int16)") && of.contains("c_late_at Nullable(DateTime)"),
                    "{at} {of}"
                );
            } else {
                let part = "day Nullable(Date)";
                let in_array = "state Nullable(Enum8('new' = 1, 'paid' = 2)), price Nullable(Decimal(9, 2))";
                let late = "late Tuple(at Nullable(DateTime))";
                assert!(of.contains(part) && of.contains(in_array) && of.contains(late), "{at} {of}");
            }
            let from = if mode == "changes" { "orders_current" } else { "orders" };
            let c = if shape == "flat" {
                "c_n, c_in_key, c_in_day, c_code, c_address"
            } else {
                "c.n, c.in.key, c.in.day, c.code, c.address"
            };
            let question = |id: i32| {
                format!(
                    "SELECT DISTINCT {c}, toString(lines.state), toString(lines.price) FROM {from} WHERE _id = {id} FORMAT TSVRaw"
                )
            };
            let expected =
                "5\t0190163d-8694-739b-aea5-966c26f8ad91\t2023-11-14\tx\t10.0.0.1\t['paid','new']\t[1.25,2]";
            assert_eq!(bench.ask(&question(11)).await, expected, "{at}");
            let expected = "\\N\t\\N\t\\N\t[1]\t\\N\t[NULL,NULL,NULL]\t[NULL,NULL,NULL]";
            assert_eq!(bench.ask(&question(12)).await, expected, "{at}");
            if mode != "change-log" {
                home.run(&["verify", "orders"]).await.succeeded();
            }
            if mode == "changes" {
                home.run(&["reload", "orders"]).await.succeeded();
                home.run(&["verify", "orders"]).await.succeeded();
            }
        }
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_say_where_they_come_from() {
    let bench = Bench::new("shapes_constant").await;
    let there = bench.databases.mongodb.collection::<Document>("orders");
    there
        .insert_many((0..10).map(|n| doc! { "_id": bson::oid::ObjectId::from_bytes([n; 12]), "n": 1 }))
        .await
        .unwrap();
    let column = "created_at = \"DateTime('UTC') DEFAULT toDateTime(reinterpretAsUInt32(reverse(unhex(substring(_id, 1, 8)))))\"\n\
                  ingested_at = \"DateTime DEFAULT now()\"";
    for mode in ["full", "id-cursor", "changes", "change-log"] {
        for (protocol, to) in ends(&bench).await {
            let at = format!("{mode} {protocol}");
            bench.ask("DROP TABLE IF EXISTS t_orders").await;
            there.delete_one(doc! { "n": 2 }).await.unwrap();
            let mut home = Home::new();
            home.set("MONGO", bench.from());
            home.set("CLICKHOUSE", &to);
            let pipeline = format!(
                "collections = [\"orders\"]\ntable = \"t_{{collection}}\"\nmode = \"{mode}\"\nsettle = \"0s\"\n\
                 [pipelines.o.constant]\ntenant = \"it's eu\"\norigin = \"{{db}}.{{collection}}\"\n[pipelines.o.columns]\n{column}"
            );
            home.configure(&[("o", &pipeline)]);
            home.apply().await;
            home.run(&["run", "--once"]).await.succeeded();
            let last = bson::oid::ObjectId::from_bytes([200; 12]);
            there.insert_one(doc! { "_id": last, "n": 2 }).await.unwrap();
            home.run(&["run", "--once"]).await.succeeded();
            let from = if mode == "changes" { "t_orders_current" } else { "t_orders" };
            let question = format!(
                "SELECT count(), any(tenant), uniq(tenant), any(origin) = concat('{}', '.orders'), max(created_at), \
                 countIf(ingested_at > now() - 3600) = count() FROM {from} FORMAT TSVRaw",
                bench.databases.mongodb.name()
            );
            let rows = if mode == "change-log" { 1 } else { 11 };
            assert_eq!(
                bench.ask(&question).await,
                format!("{rows}\tit's eu\t1\t1\t2076-09-29 10:43:20\t1"),
                "{at}"
            );
            if mode != "change-log" {
                home.run(&["verify", "o.orders"]).await.succeeded();
            }
            if mode == "changes" {
                home.run(&["reload", "o.orders"]).await.succeeded();
                home.run(&["verify", "o.orders"]).await.succeeded();
                assert_eq!(
                    bench.ask(&format!("SELECT count() FROM {from} WHERE tenant = 'it\\'s eu'")).await,
                    "11"
                );
            }
        }
    }
    let ended = run(bench.copy("orders", &["--constant", "n=x"])).await;
    assert!(
        ended.code == Some(2) && ended.stderr.contains("documents have a field of that name"),
        "{ended:?}"
    );
    let ended = run(bench.copy("orders", &["--constant", "_id=x"])).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("constant cannot be"), "{ended:?}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_moved_into_columns_of_flat_documents() {
    let bench = Bench::new("shapes_promote").await;
    let there = bench.databases.mongodb.collection::<Document>("o");
    there.insert_many((0..20).map(|n| doc! { "_id": n, "c": { "n": n, "in": { "x": n } } })).await.unwrap();
    let home = Home::between(&bench);
    // The key is a part of a document, and a document that lacks it shows the default there.
    let settings = "collection = \"o\"\nshape = \"flat\"\non_new_field = \"extra\"\nnullable = \"auto\"\n\
                    [pipelines.o.table]\norder_by = [\"c_n\"]";
    home.configure(&[("o", settings)]);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    let new = |n: i32| {
        let inside = doc! { "x": n, "y": "y", "z": { "w": n } };
        doc! { "_id": n, "c": { "n": n, "in": inside }, "d": { "e": { "f": n }, "g": 1 } }
    };
    there.insert_many((20..40).map(new)).await.unwrap();
    there.update_many(doc! { "_id": { "$lt": 5 } }, doc! { "$set": { "c": Bson::Null } }).await.unwrap();
    there.update_one(doc! { "_id": 6 }, doc! { "$set": { "c": {} } }).await.unwrap();
    there.update_one(doc! { "_id": 7 }, doc! { "$unset": { "c": 1 } }).await.unwrap();
    there.delete_one(doc! { "_id": 8 }).await.unwrap();
    home.run(&["run", "--once"]).await.succeeded();
    home.run(&["verify", "o"]).await.succeeded();
    let ended = home.run(&["schema", "promote", "o", "--apply"]).await.succeeded();
    assert!(ended.stdout.contains("d_e_f Nullable(Int64), d_g Nullable(Int64)"), "{ended:?}");
    home.run(&["verify", "o"]).await.succeeded();
    let question = "SELECT count(), sum(c_n), countIf(c_in_y = 'y'), sum(c_in_z_w), sum(d_e_f), sum(d_g), countIf(_zenith_extra != '') \
                    FROM o_current FORMAT TSVRaw";
    // Without those of 0 to 4, and of 6 to 8.
    assert_eq!(bench.ask(question).await, "39\t749\t20\t590\t590\t20\t0");
    bench.remove().await;
}
