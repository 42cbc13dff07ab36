//! Arrays that are unwound into rows: in tables that are kept in step, and in what is compared with them.

use std::time::Duration;

use bson::{Bson, Document, RawDocumentBuf, doc, rawdoc};
use futures_util::TryStreamExt;
use mongodb::Collection;
use zenith_testkit::data::random::Random;

use crate::harness::{Bench, run};
use crate::home::Home;
use crate::tables::ends;

/// Orders of up to six lines; some have none, null, nothing, or something else in their place.
pub fn orders(range: std::ops::Range<i32>) -> impl Iterator<Item = RawDocumentBuf> {
    range.map(|n| {
        let line =
            |k: i32| rawdoc! { "sku": format!("s{}", n % 5 + k), "price": f64::from(n % 7) + 0.5, "n": k };
        let mut order = rawdoc! { "_id": n, "customer": format!("c{}", n % 9), "total": n };
        let lines = match n % 50 {
            10 => Bson::Array(Vec::new()),
            20 => Bson::Null,
            30 => return order,
            40 => Bson::Double(1.25),
            _ => Bson::Array(
                (0..n % 7).map(|k| Bson::Document(Document::try_from(&line(k)).unwrap())).collect(),
            ),
        };
        order.append(bson::cstr!("items"), bson::RawBson::try_from(lines).unwrap());
        order
    })
}

fn collection(bench: &Bench) -> Collection<Document> {
    bench.databases.mongodb.collection("orders")
}

/// What MongoDB says of its documents, unwound: rows, their customers' totals, and the sums of the prices.
pub async fn unwound(bench: &Bench, path: &str) -> Vec<String> {
    let (array, price) = (format!("${path}"), format!("${path}.price"));
    let pipeline = [
        doc! { "$unwind": { "path": array, "preserveNullAndEmptyArrays": true, "includeArrayIndex": "number" } },
        doc! { "$group": {
            "_id": "$customer",
            "rows": { "$sum": 1 },
            "total": { "$sum": "$total" },
            "elements": { "$sum": { "$cond": [{ "$eq": [{ "$type": "$number" }, "long"] }, 1, 0] } },
            "numbers": { "$sum": { "$ifNull": [{ "$add": ["$number", 1] }, 0] } },
            "price": { "$sum": price },
        } },
        doc! { "$sort": { "_id": 1 } },
    ];
    let found: Vec<Document> =
        collection(bench).aggregate(pipeline).await.unwrap().try_collect().await.unwrap();
    let number = |row: &Document, name: &str| match row.get(name).unwrap() {
        Bson::Int32(number) => f64::from(*number),
        #[allow(clippy::cast_precision_loss)]
        Bson::Int64(number) => *number as f64,
        other => other.as_f64().unwrap(),
    };
    let line = |row: &Document| {
        let numbers =
            ["rows", "total", "elements", "numbers", "price"].map(|name| number(row, name).to_string());
        format!("{}\t{}", row.get_str("_id").unwrap_or("\\N"), numbers.join("\t"))
    };
    found.iter().map(line).collect()
}

/// The same of a table.
pub async fn shown(bench: &Bench, table: &str, price: &str) -> Vec<String> {
    let question = format!(
        "SELECT customer, count(), sum(total), countIf(items_index > 0), sum(items_index), sum({price}) FROM {table} GROUP BY \
         customer ORDER BY customer NULLS FIRST"
    );
    bench.ask(&question).await.lines().map(str::to_owned).collect()
}

/// The table has what the collection has, and `zenith verify` finds the same.
async fn is_in_step(bench: &Bench, home: &Home, table: &str, at: &str) {
    assert_eq!(
        shown(bench, &format!("{table}_current"), "items.price").await,
        unwound(bench, "items").await,
        "{at}"
    );
    let twice = format!("SELECT count() - uniqExact(_id, items_index) FROM {table}_current");
    assert_eq!(bench.ask(&twice).await, "0", "{at}");
    let verified = home.run(&["verify", "orders"]).await.succeeded();
    assert!(verified.stdout.contains("equal"), "{at}: {verified:?}");
}

fn home(bench: &Bench, to: &str, table: &str, settings: &str) -> Home {
    let mut home = Home::new();
    home.set("MONGO", bench.from());
    home.set("CLICKHOUSE", to);
    home.configure(&[("orders", &format!("collection = \"orders\"\ntable = \"{table}\"\n{settings}"))]);
    home
}

/// Arrays that grow, shrink, become something else and come back; documents that go and return.
async fn change(bench: &Bench, round: i32) {
    let orders = collection(bench);
    let all = |filter, update| orders.update_many(filter, update);
    let line = doc! { "sku": format!("new {round}"), "price": 10.0, "n": 9 };
    all(
        doc! { "_id": { "$mod": [5, 1] }, "items": { "$type": "array" } },
        doc! { "$push": { "items": line.clone() } },
    )
    .await
    .unwrap();
    all(doc! { "_id": { "$mod": [5, 2] }, "items": { "$type": "array" } }, doc! { "$pop": { "items": 1 } })
        .await
        .unwrap();
    all(doc! { "_id": { "$mod": [11, 3] } }, doc! { "$set": { "items": [line.clone(), line.clone()] } })
        .await
        .unwrap();
    all(doc! { "_id": { "$mod": [13, 4] } }, doc! { "$unset": { "items": "" }, "$inc": { "total": 1 } })
        .await
        .unwrap();
    all(doc! { "_id": { "$mod": [17, 5] } }, doc! { "$set": { "items": 0.5 } }).await.unwrap();
    all(doc! { "_id": { "$mod": [19, 6] } }, doc! { "$set": { "items": [] } }).await.unwrap();
    all(doc! { "_id": { "$mod": [23, 7] } }, doc! { "$set": { "customer": "moved" } }).await.unwrap();
    orders.delete_many(doc! { "_id": { "$mod": [29, round] } }).await.unwrap();
    for lines in [3, 1, 4] {
        let items: Vec<Document> = (0..lines).map(|_| line.clone()).collect();
        orders
            .replace_one(doc! { "_id": 100 }, doc! { "customer": "c1", "items": items, "total": lines })
            .upsert(true)
            .await
            .unwrap();
    }
    orders.delete_one(doc! { "_id": 101 }).await.unwrap();
    orders.insert_one(doc! { "_id": 101, "customer": "c2", "items": [line], "total": round }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_a_row_for_each_element_is_kept_in_step() {
    let bench = Bench::new("unwinding_kept").await;
    for (protocol, to) in ends(&bench).await {
        for (name, settings) in
            [("usual", ""), ("keyed", "order_by = [\"customer\"]\npartition_by = \"items_index % 2\"\n")]
        {
            let (table, at) = (format!("{protocol}_{name}"), format!("{protocol} {name}"));
            let _ = collection(&bench).drop().await;
            bench.fill("orders", orders(0..400)).await;
            let home = home(&bench, &to, &table, &format!("unwind = \"items\"\n{settings}"));
            home.run(&["check"]).await.succeeded();
            home.apply().await;
            home.run(&["run", "--once"]).await.succeeded();
            is_in_step(&bench, &home, &table, &at).await;
            for round in 0..3 {
                change(&bench, round).await;
                home.run(&["run", "--once"]).await.succeeded();
                is_in_step(&bench, &home, &table, &format!("{at} {round}")).await;
                bench.fill("orders", orders(1_000 + 100 * round..1_100 + 100 * round)).await;
            }
            bench.ask(&format!("OPTIMIZE TABLE {table} FINAL")).await;
            // A field that is new in elements, and one of another type than before.
            let update = doc! { "$set": { "items.$[].gift": "yes" } };
            collection(&bench)
                .update_many(doc! { "_id": { "$lt": 60 }, "items.0.sku": { "$exists": true } }, update)
                .await
                .unwrap();
            home.run(&["run", "--once"]).await.succeeded();
            is_in_step(&bench, &home, &table, &format!("{at} grown")).await;
            let gifts = format!("SELECT count() > 20 FROM {table}_current WHERE items.gift = 'yes'");
            assert_eq!(bench.ask(&gifts).await, "1", "{at}");
            home.run(&["reload", "orders"]).await.succeeded();
            is_in_step(&bench, &home, &table, &format!("{at} reloaded")).await;
        }
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_single_rows_is_found() {
    let bench = Bench::new("unwinding_wrong").await;
    bench.fill("orders", orders(0..300)).await;
    let to = bench.to();
    let home = home(&bench, &to, "orders", "unwind = \"items\"\n");
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    is_in_step(&bench, &home, "orders", "at first").await;
    let verified = async || {
        let ended = home.run(&["verify", "orders", "--json"]).await;
        let found = ended.json();
        let number = |name: &str| found[name].as_u64().unwrap_or_else(|| panic!("{name}: {found}"));
        (ended.code, number("missing_count"), number("surplus_count"), number("differing_count"))
    };
    let change = async |statement: &str| bench.ask(&format!("{statement} SETTINGS mutations_sync = 2")).await;
    // One of three rows; it comes back; one that is too much; one of another value.
    change("ALTER TABLE orders DELETE WHERE _id = 3 AND items_index = 2").await;
    assert_eq!(verified().await, (Some(1), 1, 0, 0));
    let again = "INSERT INTO orders SELECT * REPLACE (2 AS items_index) FROM orders AS o WHERE _id = 3 AND o.items_index = 1 SETTINGS \
                 prefer_column_name_to_alias = 1";
    bench.ask(again).await;
    assert_eq!(verified().await, (Some(1), 0, 0, 1));
    change("ALTER TABLE orders DELETE WHERE _id = 3 AND items_index = 2").await;
    bench.ask(&again.replace("(2 AS", "(9 AS")).await;
    assert_eq!(verified().await, (Some(1), 1, 1, 0));
    bench.remove().await;
}

/// The column with the number keeps its name until the table is loaded again.
#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_the_element_is_found_by_the_name_it_has() {
    let bench = Bench::new("unwinding_renamed").await;
    bench.fill("orders", orders(0..100)).await;
    let to = bench.to();
    let home = home(&bench, &to, "orders", "unwind = \"items\"\n");
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    let renamed = "collection = \"orders\"\ntable = \"orders\"\nunwind = \"items\"\nrename = { items_index = \"line\" }\n";
    home.configure(&[("orders", renamed)]);
    home.apply().await;
    change(&bench, 1).await;
    // Rows of an insert that is refused are told apart by it, too.
    bench.ask("ALTER TABLE orders ADD CONSTRAINT small CHECK ifNull(items.price, 0) < 1000").await;
    let line = |price: f64| doc! { "sku": "x", "price": price, "n": 1 };
    let items = vec![line(1.0), line(5_000.0), line(2.0)];
    collection(&bench).update_one(doc! { "_id": 26 }, doc! { "$set": { "items": items } }).await.unwrap();
    home.run(&["run", "--once"]).await;
    home.run(&["verify", "orders"]).await.succeeded();
    bench.ask("ALTER TABLE orders DROP CONSTRAINT small").await;
    home.run(&["dead-letters", "retry", "orders"]).await.succeeded();
    is_in_step(&bench, &home, "orders", "before the load").await;
    home.run(&["reload", "orders"]).await.succeeded();
    assert_eq!(bench.ask("SELECT max(line) > 0 FROM orders_current").await, "1");
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_grows_has_its_rows_once() {
    let bench = Bench::new("unwinding_grows").await;
    for (protocol, to) in ends(&bench).await {
        let _ = collection(&bench).drop().await;
        bench.fill("orders", orders(0..500)).await;
        let settings = "unwind = \"items\"\nmode = \"id-cursor\"\nsettle = \"0s\"\nbatch_rows = 50\n";
        let home = home(&bench, &to, protocol, settings);
        home.apply().await;
        let mut random = Random::of_document(7, 0);
        for round in 0..5 {
            let mut child = home.command(&["run"]).spawn().unwrap();
            tokio::time::sleep(Duration::from_millis(u64::from(200 + random.below(900)))).await;
            child.kill().await.unwrap();
            bench.fill("orders", orders(500 + 100 * round..600 + 100 * round)).await;
        }
        home.run(&["run", "--once"]).await.succeeded();
        assert_eq!(
            shown(&bench, protocol, "items.price").await,
            unwound(&bench, "items").await,
            "{protocol}"
        );
        home.run(&["verify", "orders"]).await.succeeded();
        bench
            .ask(&format!(
                "ALTER TABLE {protocol} DELETE WHERE _id = 3 AND items_index = 1 SETTINGS mutations_sync = 2"
            ))
            .await;
        assert_eq!(home.run(&["verify", "orders"]).await.code, Some(1), "{protocol}");
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_refused_are_letters_of_their_document() {
    let bench = Bench::new("unwinding_refused").await;
    bench.fill("orders", orders(0..100)).await;
    let to = bench.to();
    let home = home(&bench, &to, "orders", "unwind = \"items\"\n");
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    bench.ask("ALTER TABLE orders ADD CONSTRAINT small CHECK ifNull(items.price, 0) < 1000").await;
    let orders = collection(&bench);
    let line = |price: f64| doc! { "sku": "x", "price": price, "n": 1 };
    let items = vec![line(1.0), line(5_000.0), line(2.0), line(6_000.0)];
    orders.update_one(doc! { "_id": 26 }, doc! { "$set": { "items": items } }).await.unwrap();
    // One that cannot be read.
    let mut bad =
        rawdoc! { "_id": 27, "customer": "c0", "total": 27, "items": [{ "sku": "@" }, { "sku": "y" }] }
            .into_bytes();
    let at = bad.iter().position(|byte| *byte == b'@').unwrap();
    bad[at] = 0xFF;
    let bad = RawDocumentBuf::from_bytes(bad).unwrap();
    bench
        .databases
        .mongodb
        .collection::<RawDocumentBuf>("orders")
        .replace_one(doc! { "_id": 27 }, &bad)
        .await
        .unwrap();
    home.run(&["run", "--once"]).await;
    let letters = "SELECT extract(id, ':\"([0-9]+)') AS n, count(), uniqExact(document) FROM zenith_dead_letters GROUP BY n ORDER BY n";
    assert_eq!(bench.ask(letters).await, "26\t2\t1\n27\t1\t1");
    let rows = "SELECT _id, groupArray(items_index), sum(items.price) FROM (SELECT * FROM orders_current WHERE _id IN (26, 27) ORDER \
                BY items_index) GROUP BY _id ORDER BY _id";
    assert_eq!(bench.ask(rows).await, "26\t[1,3]\t3");
    let verified = home.run(&["verify", "orders"]).await.succeeded();
    assert!(verified.stdout.contains("equal"), "{verified:?}");
    bench.ask("ALTER TABLE orders DROP CONSTRAINT small").await;
    orders
        .update_one(doc! { "_id": 27 }, doc! { "$set": { "items": [line(7.0), line(8.0)] } })
        .await
        .unwrap();
    home.run(&["dead-letters", "retry", "orders"]).await.succeeded();
    home.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask(rows).await, "26\t[1,2,3,4]\t11003\n27\t[1,2]\t15");
    is_in_step(&bench, &home, "orders", "retried").await;
    assert_eq!(bench.ask("SELECT count() FROM zenith_dead_letters").await, "0");
    // A copy keeps such letters, too, and its numbers agree.
    orders.update_one(doc! { "_id": 26 }, doc! { "$set": { "items.1.price": "other" } }).await.unwrap();
    bench
        .databases
        .mongodb
        .collection::<RawDocumentBuf>("orders")
        .replace_one(doc! { "_id": 27 }, &bad)
        .await
        .unwrap();
    let ended = run(bench.copy("orders", &["--unwind", "items", "--table", "copied", "--json"])).await.json();
    assert_eq!(
        (&ended["dead_letters"], &ended["rows"].to_string()),
        (&1.into(), &bench.ask("SELECT count() FROM copied").await)
    );
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_array_begins_the_pipeline_anew() {
    let bench = Bench::new("unwinding_anew").await;
    bench.fill("orders", orders(0..200)).await;
    let to = bench.to();
    let first = home(&bench, &to, "orders", "");
    first.apply().await;
    first.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "200");
    first.configure(&[("orders", "collection = \"orders\"\ntable = \"orders\"\nunwind = \"items\"\n")]);
    let said = first.run(&["apply", "--yes"]).await.succeeded();
    assert!(said.stdout.contains("it starts over"), "{said:?}");
    first.run(&["run", "--once"]).await.succeeded();
    is_in_step(&bench, &first, "orders", "unwound").await;
    first.configure(&[("orders", "collection = \"orders\"\ntable = \"orders\"\norder_by = [\"_id\"]\n")]);
    first.run(&["apply", "--yes"]).await.succeeded();
    first.run(&["run", "--once"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM orders_current").await, "200");
    first.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

/// A writer that never rests, and a command that is killed again and again, also while it loads.
#[tokio::test(flavor = "multi_thread")]
async fn no_element_is_left_behind_by_kills() {
    let bench = Bench::new("unwinding_kills").await;
    let seed = std::env::var("ZENITH_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    for (protocol, to) in ends(&bench).await {
        let _ = collection(&bench).drop().await;
        bench.fill("orders", orders(0..1_000)).await;
        let partitions = if protocol == "native" { "partition_by = \"items_index % 3\"\n" } else { "" };
        let home =
            home(&bench, &to, protocol, &format!("flush_rows = 100\nunwind = \"items\"\n{partitions}"));
        home.apply().await;
        let orders = collection(&bench);
        let writer = tokio::spawn(async move {
            let mut random = Random::of_document(seed, 0);
            loop {
                let id = doc! { "_id": i32::try_from(random.below(1_200)).unwrap() };
                let line = |k: u32| doc! { "sku": "w", "price": f64::from(k) + 0.25, "n": i32::try_from(k).unwrap() };
                let lines: Vec<Document> = (0..random.below(6)).map(line).collect();
                match random.below(8) {
                    0 => drop(orders.delete_one(id).await),
                    1 => drop(orders.update_one(id, doc! { "$unset": { "items": "" } }).await),
                    2 => drop(orders.update_one(id, doc! { "$set": { "items": 5 } }).await),
                    3 => {
                        let whole = doc! { "customer": "c1", "items": lines, "total": 1 };
                        drop(orders.replace_one(id, whole).upsert(true).await);
                    }
                    4 => drop(
                        orders
                            .update_many(
                                doc! { "_id": { "$mod": [97, id.get_i32("_id").unwrap() % 97] } },
                                doc! { "$set": { "items": lines } },
                            )
                            .await,
                    ),
                    _ => drop(
                        orders
                            .update_one(id, doc! { "$set": { "items": lines }, "$inc": { "total": 1 } })
                            .await,
                    ),
                }
            }
        });
        let mut random = Random::of_document(seed, 1);
        home.run_and_kill(8, &bench, protocol, &mut random).await;
        writer.abort();
        let _ = writer.await;
        home.run(&["run", "--once"]).await.succeeded();
        is_in_step(&bench, &home, protocol, &format!("{protocol}, seed {seed}")).await;
        bench.ask(&format!("OPTIMIZE TABLE {protocol} FINAL")).await;
        is_in_step(&bench, &home, protocol, &format!("{protocol}, seed {seed}, merged")).await;
    }
    bench.remove().await;
}

/// A filter, fields that are left out, masked and renamed, and values that move into columns, of an array inside a document.
#[tokio::test(flavor = "multi_thread")]
async fn with_all_other_settings_a_table_is_kept_in_step() {
    let bench = Bench::new("unwinding_all").await;
    let line = |k: i32| doc! { "sku": format!("s{k}"), "price": f64::from(k), "card": format!("card {k}"), "secret": "hidden" };
    let order = |n: i32, state: &str, lines: i32| {
        let lines: Vec<Document> = (1..=lines).map(line).collect();
        doc! { "_id": n, "state": state, "cart": { "lines": lines, "at": n } }
    };
    let orders = collection(&bench);
    orders
        .insert_many((0..200).map(|n| order(n, if n % 2 == 0 { "open" } else { "draft" }, n % 4)))
        .await
        .unwrap();
    let settings = "unwind = \"cart.lines\"\nexclude = [\"cart.lines.secret\"]\nfilter = '{\"state\": \"open\"}'\non_new_field = \"extra\"\n\
                    rename = { lines_index = \"line\" }\nmask = { \"cart.lines.card\" = \"redact\" }\norder_by = [\"state\"]\n";
    for (protocol, to) in ends(&bench).await {
        let home = home(&bench, &to, protocol, settings);
        home.apply().await;
        home.run(&["run", "--once"]).await.succeeded();
        let is_right = async |at: &str| {
            let wanted = doc! { "$match": { "state": "open" } };
            let unwind = doc! { "$unwind": { "path": "$cart.lines", "preserveNullAndEmptyArrays": true } };
            let group = doc! { "$group": { "_id": null, "rows": { "$sum": 1 }, "price": { "$sum": "$cart.lines.price" }, "at": { "$sum": "$cart.at" } } };
            let mut found = orders.aggregate([wanted, unwind, group]).await.unwrap();
            assert!(found.advance().await.unwrap());
            let found = found.deserialize_current().unwrap();
            let expected = format!(
                "{}\t{}\t{}\t0",
                found.get_i32("rows").unwrap(),
                found.get_f64("price").unwrap(),
                found.get_i32("at").unwrap()
            );
            let question = format!(
                "SELECT count(), sum(cart.lines.price), sum(cart.at), countIf(toString(tuple(*)) LIKE '%hidden%' OR toString(tuple(*)) \
                 LIKE '%card _%') FROM {protocol}_current"
            );
            assert_eq!(bench.ask(&question).await, expected, "{protocol}, {at}");
            home.run(&["verify", "orders"]).await.succeeded();
        };
        is_right("at first").await;
        let all = |filter, update| orders.update_many(filter, update);
        all(doc! { "_id": { "$lt": 20 } }, doc! { "$set": { "state": "open" } }).await.unwrap();
        all(doc! { "_id": { "$gte": 20, "$lt": 60 } }, doc! { "$set": { "state": "draft" } }).await.unwrap();
        all(doc! { "_id": { "$gte": 60, "$lt": 80 } }, doc! { "$push": { "cart.lines": line(9) } })
            .await
            .unwrap();
        all(doc! { "_id": { "$gte": 80, "$lt": 90 } }, doc! { "$unset": { "cart": 1 } }).await.unwrap();
        all(doc! { "_id": { "$gte": 90, "$lt": 120 } }, doc! { "$set": { "gift": "yes" } }).await.unwrap();
        orders.delete_many(doc! { "_id": { "$gte": 180 } }).await.unwrap();
        home.run(&["run", "--once"]).await.succeeded();
        is_right("changed").await;
        let gifts = format!(
            "SELECT countIf(_zenith_extra LIKE '%gift%'), uniqExactIf(_id, _zenith_extra LIKE '%gift%') FROM {protocol}_current"
        );
        assert_eq!(bench.ask(&gifts).await.split_once('\t').unwrap().1, "15", "{protocol}");
        home.run(&["schema", "promote", "orders", "--field", "gift", "--apply"]).await.succeeded();
        let gifts = format!(
            "SELECT uniqExactIf(_id, gift = 'yes'), countIf(_zenith_extra LIKE '%gift%') FROM {protocol}_current"
        );
        assert_eq!(bench.ask(&gifts).await, "15\t0", "{protocol}");
        is_right("promoted").await;
        orders.delete_many(doc! {}).await.unwrap();
        orders
            .insert_many((0..200).map(|n| order(n, if n % 2 == 0 { "open" } else { "draft" }, n % 4)))
            .await
            .unwrap();
        home.run(&["run", "--once"]).await.succeeded();
        is_right("all anew").await;
    }
    bench.remove().await;
}
