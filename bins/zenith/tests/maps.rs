//! Documents whose keys are data, in columns of maps.

use bson::{Bson, DateTime, Document, doc};

use crate::harness::{Bench, run};
use crate::home::Home;
use crate::tables::{copy_to, ends, type_of};

const COLUMNS: &str = "[pipelines.orders.columns]\nscores = \"Map(String, Int64)\"\nrates = \"Map(String, Nullable(Float64))\"\n\
                       prices = \"Map(LowCardinality(String), Decimal(9, 2)) CODEC(ZSTD(1))\"\nhosts = \"Map(String, IPv4)\"\n\
                       days = \"Map(String, Date)\"\nstates = \"Map(String, Nullable(Enum('new', 'paid')))\"\n\
                       texts = \"Map(String, String)\"\n\"device.sensors\" = \"Map(String, Int32)\"\n\
                       \"items.counts\" = \"Map(String, UInt8)\"\nlater = \"Map(String, Bool)\"\n";

/// One that fits, one of which nothing does, and one without anything.
fn documents(id: i32) -> [Document; 4] {
    let day = DateTime::from_millis(1_699_920_000_000);
    let fits = doc! {
        "_id": id, "scores": { "b": 2, "a": 1_i64, "2024-05-06": 3.0, "$oid": "12", "x.y": 4 }, "rates": { "a": 0.5, "b": Bson::Null },
        "prices": { "eur": 12.5, "usd": 13 }, "hosts": { "h": "10.0.0.1" }, "days": { "d": day },
        "states": { "s": "paid" }, "texts": { "n": 7, "d": { "x": true }, "": "t" },
        "device": { "sensors": { "t1": 20, "t2": 21 } }, "items": [{ "counts": { "c": 1 } }, { "counts": { "d": 2, "e": 3 } }],
    };
    let not = doc! {
        "_id": id + 1, "scores": { "a": 5, "b": "x", "c": 0.5, "d": Bson::Null, "e": [1], "f": { "g": 1 }, "h": 6 },
        "rates": { "a": "x" }, "prices": { "eur": 1.005, "usd": 2 }, "hosts": { "h": "10.0.0.300", "i": "10.0.0.2" },
        "days": { "d": DateTime::from_millis(1) }, "states": { "s": "sold" }, "texts": 5, "device": { "sensors": [1] },
        "items": [{ "counts": { "c": 256, "d": 4 } }], "later": { "yes": true, "no": 0 },
    };
    let empty = doc! { "_id": id + 2, "scores": {}, "rates": Bson::Null, "prices": 7, "device": { "sensors": {} }, "items": [{}] };
    [fits, not, empty, doc! { "_id": id + 3 }]
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_whose_keys_are_data_are_maps_in_every_mode() {
    let bench = Bench::new("maps").await;
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    for mode in ["full", "id-cursor", "changes", "change-log"] {
        for (protocol, to) in ends(&bench).await {
            let at = format!("{mode} {protocol}");
            orders.delete_many(doc! {}).await.unwrap();
            orders.insert_many(documents(0)).await.unwrap();
            bench.ask("DROP TABLE IF EXISTS orders").await;
            let mut home = Home::new();
            home.set("MONGO", bench.from());
            home.set("CLICKHOUSE", &to);
            let pipeline = format!(
                "collection = \"orders\"\nmode = \"{mode}\"\nsettle = \"0s\"\nkeep_nulls = true\n{COLUMNS}"
            );
            home.configure(&[("orders", &pipeline)]);
            home.run(&["check"]).await.succeeded();
            home.apply().await;
            home.run(&["run", "--once"]).await.succeeded();
            orders.insert_many(documents(4)).await.unwrap();
            // Keys that no document had are no columns.
            orders.insert_one(doc! { "_id": 8, "scores": { "new": 1, "newer": 2 } }).await.unwrap();
            home.run(&["run", "--once"]).await.succeeded();
            for (column, data_type) in [
                ("scores", "Map(String, Int64)"),
                ("rates", "Map(String, Nullable(Float64))"),
                ("prices", "Map(LowCardinality(String), Decimal(9, 2))"),
                ("states", "Map(String, Nullable(Enum8(\\'new\\' = 1, \\'paid\\' = 2)))"),
                ("device", "Tuple(sensors Map(String, Int32))"),
                ("items", "Array(Tuple(counts Map(String, UInt8)))"),
                ("later", "Map(String, Bool)"),
            ] {
                assert_eq!(type_of(&bench, "orders", column).await, data_type, "{at} {column}");
            }
            let from = if mode == "changes" { "orders_current" } else { "orders" };
            let of = |id: i32| match mode {
                "change-log" => format!("{from} WHERE _id = {} AND _zenith_operation = 'insert'", id + 4),
                _ => format!("{from} WHERE _id IN ({id}, {})", id + 4),
            };
            let question = format!(
                "SELECT DISTINCT scores['a'], mapKeys(scores), arraySum(mapValues(scores)), rates, prices['eur'], hosts, days, \
                 states, texts, device.sensors, items.counts, later, _zenith_extra, _zenith_notes FROM {} FORMAT TSVRaw",
                of(0)
            );
            let fits = "1\t['b','a','2024-05-06','$oid','x.y']\t22\t{'a':0.5,'b':NULL}\t12.5\t{'h':'10.0.0.1'}\t\
                {'d':'2023-11-14'}\t{'s':'paid'}\t{'n':'7','d':'{\"x\":true}','':'t'}\t{'t1':20,'t2':21}\t\
                [{'c':1},{'d':2,'e':3}]\t{}\t\t{\"scores\":{\"$literal\":{\"$oid\":\"string\"}},\"texts\":{\"n\":\"number\",\"d\":\"object\"}}";
            assert_eq!(bench.ask(&question).await, fits, "{at}");
            let question = format!(
                "SELECT DISTINCT scores, rates, prices, hosts, days, states, texts, device.sensors, items.counts, later, \
                 JSONExtractKeys(_zenith_extra, 'scores'), JSONExtractRaw(_zenith_notes, 'scores') FROM {} FORMAT TSVRaw",
                of(1)
            );
            let not = "{'a':5,'h':6}\t{'a':NULL}\t{'usd':2}\t{'i':'10.0.0.2'}\t{}\t{'s':NULL}\t{}\t{}\t[{'d':4}]\t\
                {'yes':true}\t['b','c','e','f']\t{\"d\":\"null\"}";
            assert_eq!(bench.ask(&question).await, not, "{at}");
            let question = format!(
                "SELECT DISTINCT length(scores), length(rates), length(prices), length(later) FROM {}",
                of(2)
            );
            assert_eq!(bench.ask(&question).await, "0\t0\t0\t0", "{at}");
            assert_eq!(
                bench.ask(&format!("SELECT scores FROM {from} WHERE _id = 8 FORMAT TSVRaw")).await,
                "{'new':1,'newer':2}"
            );
            let columns = "SELECT groupArray(name) FROM system.columns WHERE database = currentDatabase() AND table = 'orders' \
                           AND name NOT LIKE '_zenith%' FORMAT TSVRaw";
            let columns = bench.ask(columns).await;
            assert_eq!(columns.matches('\'').count() / 2, 11, "{at}: {columns}");
            if mode == "change-log" {
                continue;
            }
            let verified = home.run(&["verify", "orders", "--json"]).await.succeeded();
            assert!(!verified.stdout.contains("scores.b"), "{at}: {verified:?}");
            let promoted = home.run(&["schema", "promote", "orders", "--apply"]).await;
            assert_eq!(promoted.code, Some(if mode == "full" { 2 } else { 0 }), "{at}: {promoted:?}");
            if mode == "changes" {
                orders.delete_one(doc! { "_id": 5 }).await.unwrap();
                orders
                    .update_one(
                        doc! { "_id": 4 },
                        doc! { "$set": { "scores.z": 9 }, "$unset": { "scores.b": 1 } },
                    )
                    .await
                    .unwrap();
                home.run(&["run", "--once"]).await.succeeded();
                let question = "SELECT mapKeys(scores) FROM orders_current WHERE _id = 4 FORMAT TSVRaw";
                assert_eq!(bench.ask(question).await, "['a','2024-05-06','$oid','x.y','z']", "{at}");
                home.run(&["verify", "orders"]).await.succeeded();
                home.run(&["reload", "orders"]).await.succeeded();
            }
            home.run(&["verify", "orders"]).await.succeeded();
            home.run(&["check"]).await.succeeded();
        }
    }
    bench.remove().await;
}

/// A mark copies the last values of a document, a custom key finds its row, and values are moved out of the extra column beside
/// maps.
#[tokio::test(flavor = "multi_thread")]
async fn rows_with_maps_are_written_again_as_they_were() {
    let bench = Bench::new("maps_again").await;
    let orders = bench.databases.mongodb.collection::<Document>("orders");
    for (protocol, to) in ends(&bench).await {
        let _ = orders.drop().await;
        orders.insert_many(documents(0)).await.unwrap();
        bench.ask("DROP TABLE IF EXISTS orders").await;
        bench.ask("DROP VIEW IF EXISTS orders_current").await;
        let mut home = Home::new();
        home.set("MONGO", bench.from());
        home.set("CLICKHOUSE", &to);
        let of = |on_new_field: &str| {
            format!(
                "collection = \"orders\"\ndeletes = \"mark\"\non_new_field = \"{on_new_field}\"\norder_by = [\"tenant\"]\n{COLUMNS}\
                 tenant = \"LowCardinality(String)\"\n"
            )
        };
        home.configure(&[("orders", &of("extra"))]);
        home.apply().await;
        home.run(&["run", "--once"]).await.succeeded();
        orders.update_one(doc! { "_id": 0 }, doc! { "$set": { "tenant": "t", "fresh": 5 } }).await.unwrap();
        orders.update_one(doc! { "_id": 1 }, doc! { "$set": { "fresh": 6 } }).await.unwrap();
        home.run(&["run", "--once"]).await.succeeded();
        home.configure(&[("orders", &of("add"))]);
        home.apply().await;
        home.run(&["schema", "promote", "orders", "--apply"]).await.succeeded();
        let question = "SELECT _id, scores, rates, hosts, states, device.sensors, fresh FROM orders_current WHERE _id < 2 \
                        ORDER BY _id FORMAT TSVRaw";
        let expected = "0\t{'b':2,'a':1,'2024-05-06':3,'$oid':12,'x.y':4}\t{'a':0.5,'b':NULL}\t{'h':'10.0.0.1'}\t{'s':'paid'}\t\
                        {'t1':20,'t2':21}\t5\n1\t{'a':5,'h':6}\t{'a':NULL}\t{'i':'10.0.0.2'}\t{'s':NULL}\t{}\t6";
        assert_eq!(bench.ask(question).await, expected, "{protocol}");
        home.run(&["verify", "orders"]).await.succeeded();
        orders.delete_many(doc! { "_id": { "$lt": 2 } }).await.unwrap();
        home.run(&["run", "--once"]).await.succeeded();
        let marked = question
            .replace("orders_current", "orders FINAL")
            .replace("_id < 2", "_id < 2 AND _zenith_deleted = 1");
        assert_eq!(bench.ask(&marked).await, expected, "{protocol}");
        home.run(&["verify", "orders"]).await.succeeded();
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn maps_that_cannot_be_are_refused_in_a_sentence() {
    let bench = Bench::new("maps_refused").await;
    bench.databases.mongodb.collection::<Document>("orders").insert_many(documents(0)).await.unwrap();
    for (column, said) in [
        ("scores=Map(Int64, String)", "the keys of documents are texts"),
        ("scores=Map(String, Map(String, Int8))", "single values"),
        ("scores=Map(String, JSON)", "single values"),
        ("scores=Map(String, Float32)", "take Float64"),
        ("scores=Map(String)", "is written as Map(String, Int64)"),
        ("scores=Nullable(Map(String, Int8))", "Nullable"),
    ] {
        let refused = run(bench.copy("orders", &["--column", column])).await;
        assert!(refused.code == Some(2) && refused.stderr.contains(said), "{column}: {refused:?}");
    }
    let refused = run(copy_to(
        &bench,
        &bench.to(),
        "other",
        &["--column=scores=Map(String, Int8)", "--order-by=scores['a']"],
    ))
    .await;
    assert_eq!(refused.code, Some(0), "{refused:?}");
    assert_eq!(bench.ask("SELECT scores['a'] FROM other ORDER BY _id").await, "1\n5\n0\n0");
    bench.remove().await;
}
