//! Tables kept in step whose sorting key and partitions are made of fields that change.

use std::collections::BTreeMap;

use bson::{DateTime, Document, RawDocumentBuf, cstr, doc, rawdoc};
use futures_util::TryStreamExt as _;
use mongodb::Collection;
use zenith_testkit::data::random::Random;

use crate::harness::Bench;
use crate::home::Home;
use crate::tables::ends;

const DAY: i64 = 86_400_000;
const SHAPE: &str = "order_by = [\"user\", \"toDate(at)\"]\npartition_by = \"toYYYYMM(at)\"\n";

fn day(n: i64) -> DateTime {
    DateTime::from_millis(1_700_000_000_000 + n * DAY)
}

/// Of seven users and ten months; some lack their user, some their date.
fn orders(range: std::ops::Range<i32>) -> impl Iterator<Item = RawDocumentBuf> {
    range.map(|n| {
        let mut document = rawdoc! { "_id": n, "n": n, "items": [n, 1] };
        if n % 10 != 0 {
            document.append(cstr!("user"), format!("u{}", n % 7));
        }
        if n % 11 != 0 {
            document.append(cstr!("at"), day(i64::from(n)));
        }
        document
    })
}

fn collection(bench: &Bench) -> Collection<Document> {
    bench.databases.mongodb.collection("orders")
}

fn home(bench: &Bench, to: &str, table: &str, settings: &str) -> Home {
    let mut home = Home::new();
    home.set("MONGO", bench.from());
    home.set("CLICKHOUSE", to);
    home.configure(&[("orders", &format!("collection = \"orders\"\ntable = \"{table}\"\n{settings}"))]);
    home
}

/// The table shows what the collection has, however it is asked.
async fn is_equal(bench: &Bench, table: &str, at: &str) {
    let documents: Vec<Document> =
        collection(bench).find(doc! {}).await.unwrap().try_collect().await.unwrap();
    let sum = |documents: &[&Document]| {
        documents.iter().map(|found| i64::from(found.get_i32("n").unwrap())).sum::<i64>()
    };
    let all: Vec<&Document> = documents.iter().collect();
    let mut users: BTreeMap<&str, Vec<&Document>> = BTreeMap::new();
    for document in &all {
        users.entry(document.get_str("user").unwrap_or_default()).or_default().push(document);
    }
    let question = format!("SELECT count(), sum(n), uniqExact(_id) FROM {table}_current");
    let expected = format!("{}\t{}\t{}", all.len(), sum(&all), all.len());
    assert_eq!(bench.ask(&question).await, expected, "{at}");
    // Rows of equal keys are in one partition.
    let question = format!(
        "SELECT count(), sum(n) FROM {table} FINAL WHERE _zenith_deleted = 0 SETTINGS \
         do_not_merge_across_partitions_select_final = 1"
    );
    assert_eq!(bench.ask(&question).await, format!("{}\t{}", all.len(), sum(&all)), "{at}");
    let question = format!("SELECT user, count(), sum(n) FROM {table}_current GROUP BY user ORDER BY user");
    let expected: Vec<String> =
        users.iter().map(|(user, found)| format!("{user}\t{}\t{}", found.len(), sum(found))).collect();
    assert_eq!(bench.ask(&question).await, expected.join("\n"), "{at}");
    let some = "user = 'u3' AND at >= '2023-12-01 00:00:00'";
    let found = users.get("u3").into_iter().flatten();
    let count = found.filter(|found| {
        found.get_datetime("at").is_ok_and(|at| *at >= DateTime::from_millis(1_701_388_800_000))
    });
    let question = format!("SELECT count() FROM {table}_current WHERE {some}");
    assert_eq!(bench.ask(&question).await, count.count().to_string(), "{at}");
}

/// Changes of keys and of other fields, deletions, documents that lose a field of the key or get one.
async fn change(bench: &Bench) {
    let orders = collection(bench);
    let all = |filter, update| orders.update_many(filter, update);
    all(doc! { "_id": { "$lt": 60 } }, doc! { "$set": { "user": "moved" } }).await.unwrap();
    all(doc! { "_id": { "$mod": [4, 1] } }, doc! { "$set": { "at": day(100) }, "$inc": { "n": 1 } })
        .await
        .unwrap();
    all(doc! { "_id": { "$mod": [5, 2] } }, doc! { "$inc": { "n": 1000 } }).await.unwrap();
    all(doc! { "_id": { "$in": [61, 62, 63] } }, doc! { "$unset": { "user": "", "at": "" } }).await.unwrap();
    all(doc! { "_id": 70 }, doc! { "$set": { "user": "found" } }).await.unwrap();
    orders.delete_many(doc! { "_id": { "$gte": 250 } }).await.unwrap();
    for user in ["a", "b", "a"] {
        all(doc! { "_id": 100 }, doc! { "$set": { "user": user } }).await.unwrap();
    }
    orders.insert_one(doc! { "_id": 900, "user": "short", "n": 1 }).await.unwrap();
    orders.delete_one(doc! { "_id": 900 }).await.unwrap();
    orders.delete_one(doc! { "_id": 101 }).await.unwrap();
    orders.insert_one(doc! { "_id": 101, "user": "again", "n": 7, "at": day(3) }).await.unwrap();
    orders.replace_one(doc! { "_id": 102 }, doc! { "user": "replaced", "n": 8 }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_sorted_by_fields_that_change_is_kept_in_step() {
    let bench = Bench::new("keys_kept").await;
    for (protocol, to) in ends(&bench).await {
        collection(&bench).drop().await.unwrap();
        bench.fill("orders", orders(0..300)).await;
        let home = home(&bench, &to, protocol, SHAPE);
        home.run(&["check"]).await.succeeded();
        home.apply().await;
        home.run(&["run", "--once"]).await.succeeded();
        let question = format!(
            "SELECT sorting_key, partition_key, engine FROM system.tables WHERE database = currentDatabase() AND name = \
             '{protocol}'"
        );
        assert_eq!(
            bench.ask(&question).await,
            "user, toDate(at), _id, at\ttoYYYYMM(at)\tReplacingMergeTree",
            "{protocol}"
        );
        is_equal(&bench, protocol, protocol).await;
        for round in 0..3 {
            let at = format!("{protocol} {round}");
            change(&bench).await;
            home.run(&["run", "--once"]).await.succeeded();
            is_equal(&bench, protocol, &at).await;
            if round == 1 {
                bench.ask(&format!("OPTIMIZE TABLE {protocol} FINAL")).await;
                is_equal(&bench, protocol, &at).await;
            }
            collection(&bench)
                .insert_many((0..50).map(|n| doc! { "_id": 250 + n, "user": "back", "n": n }))
                .await
                .unwrap();
        }
        home.run(&["run", "--once"]).await.succeeded();
        home.run(&["verify", "orders"]).await.succeeded();
        let question =
            format!("SELECT user, at, _zenith_notes FROM {protocol}_current WHERE _id = 61 FORMAT TSVRaw");
        assert_eq!(
            bench.ask(&question).await,
            "\t1970-01-01 00:00:00.000\t{\"user\":\"missing\",\"at\":\"missing\"}",
            "{protocol}"
        );
        // A new field comes with a change of the key, and another one is moved into a column later.
        collection(&bench)
            .update_many(doc! { "_id": { "$lt": 20 } }, doc! { "$set": { "user": "new", "later": 5 } })
            .await
            .unwrap();
        home.run(&["run", "--once"]).await.succeeded();
        let question = format!("SELECT sum(later), count(later) FROM {protocol}_current");
        assert_eq!(bench.ask(&question).await, "100\t20", "{protocol}");
        home.run(&["reload", "orders"]).await.succeeded();
        let begun = bench.ask("SELECT formatDateTime(now('UTC'), '%Y-%m-%dT%H:%i:%SZ', 'UTC')").await;
        change(&bench).await;
        home.run(&["run", "--once"]).await.succeeded();
        is_equal(&bench, protocol, protocol).await;
        home.run(&["verify", "orders"]).await.succeeded();
        // Old changes once more, over newer rows.
        home.run(&["reset", "orders", "--from", &begun, "--yes"]).await.succeeded();
        home.run(&["run", "--once"]).await.succeeded();
        is_equal(&bench, protocol, protocol).await;
    }
    bench.remove().await;
}

/// One insert takes documents from each of many partitions to another one.
#[tokio::test(flavor = "multi_thread")]
async fn documents_move_between_hundreds_of_partitions() {
    let bench = Bench::new("keys_partitions").await;
    bench.fill("orders", (0..600).map(|n| rawdoc! { "_id": n, "n": n, "shop": n % 300 })).await;
    let to = bench.to();
    let home = home(&bench, &to, "orders", "partition_by = \"shop\"\n");
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    let update = vec![doc! { "$set": { "shop": { "$mod": [{ "$add": ["$shop", 1] }, 300] } } }];
    for round in 1..3 {
        collection(&bench).update_many(doc! {}, update.clone()).await.unwrap();
        collection(&bench).delete_one(doc! { "_id": round }).await.unwrap();
        home.run(&["run", "--once"]).await.succeeded();
        let gone = if round == 1 { 1 } else { 3 };
        let question =
            "SELECT count(), uniqExact(_id), sum(n), countIf(shop = (n + {round}) % 300) FROM orders_current";
        let count = 600 - round;
        let sum = 599 * 300 - gone;
        let expected = format!("{count}\t{count}\t{sum}\t{count}");
        assert_eq!(bench.ask(&question.replace("{round}", &round.to_string())).await, expected);
        bench.ask("OPTIMIZE TABLE orders FINAL").await;
        assert_eq!(bench.ask(&question.replace("{round}", &round.to_string())).await, expected);
    }
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

/// Keys of every type that a column may have: the old row is found by its values.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_type_are_left() {
    let bench = Bench::new("keys_types").await;
    let value = |n: i32| {
        let decimal: bson::Decimal128 = format!("{n}.25").parse().unwrap();
        let uuid = bson::Uuid::from_bytes([u8::try_from(n).unwrap(); 16]);
        doc! {
            "i": n, "l": i64::from(n) << 40, "f": f64::from(n) / 4.0, "b": n % 2 == 0, "t": format!("t\u{e9}'{n}"), "d": day(n.into()),
            "dec": decimal, "u": uuid, "o": bson::oid::ObjectId::from_bytes([u8::try_from(n).unwrap(); 12]),
            "short": n, "e": if n % 2 == 0 { "new" } else { "paid" }, "ip": format!("10.0.0.{n}"), "s": DateTime::from_millis(i64::from(n) * 1000),
        }
    };
    let columns = "[pipelines.orders.columns]\nshort = \"Int16\"\ne = \"Enum('new', 'paid')\"\nip = \"IPv4\"\ns = \"DateTime('UTC')\"\n\
                   dec = \"Decimal(18, 4)\"\n";
    for (number, key) in
        ["i", "l", "f", "b", "t", "d", "dec", "u", "o", "short", "e", "ip", "s"].iter().enumerate()
    {
        let orders = collection(&bench);
        orders.drop().await.unwrap();
        let with_id = |id: i32| {
            let mut document = doc! { "_id": id };
            document.extend(value(id + 10));
            document
        };
        orders.insert_many((0..20).map(with_id)).await.unwrap();
        let to = ends(&bench).await[number % 2].1.clone();
        let home = home(&bench, &to, "orders", &format!("order_by = [\"{key}\"]\n{columns}"));
        home.apply().await;
        home.run(&["run", "--once"]).await.succeeded();
        for id in 0..10 {
            let mut changed = value(id + 51);
            if id == 0 {
                changed.remove(key);
            }
            orders.replace_one(doc! { "_id": id }, changed).await.unwrap();
        }
        orders.delete_many(doc! { "_id": { "$gte": 15 } }).await.unwrap();
        home.run(&["run", "--once"]).await.succeeded();
        orders.update_many(doc! { "_id": { "$lt": 3 } }, doc! { "$set": value(99) }).await.unwrap();
        home.run(&["run", "--once"]).await.succeeded();
        let question = "SELECT count(), uniqExact(_id), sum(short) FROM orders_current";
        let sum: i32 =
            3 * 99 + (3..10).map(|id| id + 51).sum::<i32>() + (10..15).map(|id| id + 10).sum::<i32>();
        assert_eq!(bench.ask(question).await, format!("15\t15\t{sum}"), "{key}");
        home.run(&["verify", "orders"]).await.succeeded();
        bench.ask("DROP TABLE orders").await;
        bench.ask("DROP TABLE IF EXISTS zenith_owners").await;
    }
    bench.remove().await;
}

/// A writer that never rests, and a command that is killed again and again, also while it loads.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_behind_by_kills() {
    let bench = Bench::new("keys_kills").await;
    let seed = std::env::var("ZENITH_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    for (protocol, to) in ends(&bench).await {
        collection(&bench).drop().await.unwrap();
        bench.fill("orders", orders(0..2_000)).await;
        let home = home(&bench, &to, protocol, &format!("flush_rows = 200\n{SHAPE}"));
        home.apply().await;
        let orders = collection(&bench);
        let writer = tokio::spawn(async move {
            let mut random = Random::of_document(seed, 0);
            loop {
                let id = i32::try_from(random.below(2_200)).unwrap();
                let user = format!("u{}", random.below(9));
                let at = day(i64::from(random.below(200)));
                match random.below(10) {
                    0 => drop(orders.delete_one(doc! { "_id": id }).await),
                    1 => drop(orders.update_one(doc! { "_id": id }, doc! { "$unset": { "user": "" } }).await),
                    2..4 => drop(orders.update_one(doc! { "_id": id }, doc! { "$inc": { "n": 1 } }).await),
                    4 => drop(orders.insert_one(doc! { "_id": id, "n": id, "user": user }).await),
                    5 => drop(
                        orders
                            .update_many(
                                doc! { "_id": { "$mod": [97, id % 97] } },
                                doc! { "$set": { "user": user } },
                            )
                            .await,
                    ),
                    _ => drop(
                        orders
                            .update_one(doc! { "_id": id }, doc! { "$set": { "user": user, "at": at } })
                            .await,
                    ),
                }
            }
        });
        let mut random = Random::of_document(seed, 1);
        home.run_and_kill(10, &bench, protocol, &mut random).await;
        writer.abort();
        let _ = writer.await;
        home.run(&["run", "--once"]).await.succeeded();
        is_equal(&bench, protocol, &format!("{protocol}, seed {seed}")).await;
        home.run(&["verify", "orders"]).await.succeeded();
        bench.ask(&format!("OPTIMIZE TABLE {protocol} FINAL")).await;
        is_equal(&bench, protocol, &format!("{protocol}, seed {seed}, merged")).await;
    }
    bench.remove().await;
}

/// A row that the table refuses takes the one before it away, wherever that stands; retried, it leaves none behind.
#[tokio::test(flavor = "multi_thread")]
async fn refused_rows_leave_nothing_behind() {
    let bench = Bench::new("keys_refused").await;
    bench.fill("orders", orders(0..100)).await;
    let to = bench.to();
    let home = home(&bench, &to, "orders", SHAPE);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    bench.ask("ALTER TABLE orders ADD CONSTRAINT small CHECK ifNull(n, 0) < 1000").await;
    let orders = collection(&bench);
    // One stays where it is, one goes elsewhere.
    orders.update_one(doc! { "_id": 21 }, doc! { "$set": { "n": 5000 } }).await.unwrap();
    orders.update_one(doc! { "_id": 22 }, doc! { "$set": { "n": 6000, "user": "far" } }).await.unwrap();
    orders.update_one(doc! { "_id": 23 }, doc! { "$set": { "user": "far" } }).await.unwrap();
    home.run(&["run", "--once"]).await;
    assert_eq!(bench.ask("SELECT count() FROM zenith_dead_letters").await, "2");
    let question = "SELECT groupArray((_id, user)) FROM (SELECT _id, user FROM orders_current WHERE _id IN (21, 22, 23))";
    assert_eq!(bench.ask(question).await, "[(23,'far')]");
    bench.ask("ALTER TABLE orders DROP CONSTRAINT small").await;
    home.run(&["dead-letters", "retry", "orders"]).await.succeeded();
    is_equal(&bench, "orders", "retried").await;
    orders.update_one(doc! { "_id": 22 }, doc! { "$set": { "user": "near" } }).await.unwrap();
    home.run(&["run", "--once"]).await.succeeded();
    is_equal(&bench, "orders", "after").await;
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

/// A row that takes another away may be refused: the row of the document is written all the same, and the other is removed.
#[tokio::test(flavor = "multi_thread")]
async fn letters_are_settled_where_only_a_deletion_is_refused() {
    let bench = Bench::new("keys_letters").await;
    bench.fill("orders", orders(0..100)).await;
    let to = bench.to();
    let home = home(&bench, &to, "orders", SHAPE);
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    bench.ask("ALTER TABLE orders ADD CONSTRAINT small CHECK ifNull(n, 0) < 1000").await;
    let orders = collection(&bench);
    orders.update_one(doc! { "_id": 21 }, doc! { "$set": { "n": 5000 } }).await.unwrap();
    home.run(&["run", "--once"]).await;
    bench.ask("ALTER TABLE orders DROP CONSTRAINT small").await;
    orders.update_one(doc! { "_id": 21 }, doc! { "$set": { "n": 1 } }).await.unwrap();
    home.run(&["run", "--once"]).await;
    let question = "SELECT groupArray((user, n)) FROM orders_current WHERE _id = 21";
    assert_eq!(bench.ask("SELECT count() FROM zenith_dead_letters").await, "1");
    bench.ask("ALTER TABLE orders ADD CONSTRAINT filled CHECK isNotNull(n)").await;
    orders.update_one(doc! { "_id": 21 }, doc! { "$set": { "user": "far" } }).await.unwrap();
    let ended = home.run(&["dead-letters", "retry", "orders"]).await.succeeded();
    assert_eq!(bench.ask("SELECT count() FROM zenith_dead_letters").await, "0", "{ended:?}");
    assert_eq!(bench.ask(question).await, "[('far',1)]");
    home.run(&["run", "--once"]).await.succeeded();
    is_equal(&bench, "orders", "after").await;
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

/// Columns of types that take no empty text have another one in the rows that take others away.
#[tokio::test(flavor = "multi_thread")]
async fn deletions_have_values_that_every_column_takes() {
    let bench = Bench::new("keys_given").await;
    for (protocol, to) in ends(&bench).await {
        collection(&bench).drop().await.unwrap();
        let address = |n: i32| format!("10.0.0.{}", n % 200);
        let order = |n: i32| {
            rawdoc! {
                "_id": n, "n": n, "user": format!("u{}", n % 7), "at": day(i64::from(n)), "ip": address(n), "other": address(n),
                "state": "paid", "id": "0b5d41a6-3b6d-4c5e-9d3c-0d9f3d2f4a11",
            }
        };
        bench.fill("orders", (0..300).map(order)).await;
        let columns = "nullable = \"auto\"\nrename = { ip = \"address\" }\n[pipelines.orders.columns]\n\
                       state = \"Enum8('new' = 1, 'paid' = 2)\"\nid = \"UUID\"\naddress = \"IPv4\"\n\
                       other = \"Nullable(IPv4)\"\n";
        let home = home(&bench, &to, protocol, &format!("{SHAPE}{columns}"));
        home.apply().await;
        home.run(&["run", "--once"]).await.succeeded();
        let orders = collection(&bench);
        orders.delete_many(doc! { "_id": { "$lt": 40 } }).await.unwrap();
        let moved = doc! { "$set": { "user": "moved", "at": day(500) } };
        orders.update_many(doc! { "_id": { "$mod": [3, 0] } }, moved).await.unwrap();
        let ended = home.run(&["-v", "run", "--once"]).await.succeeded();
        assert!(!ended.stderr.contains("does not allow") && !ended.stderr.contains("refuse"), "{ended:?}");
        is_equal(&bench, protocol, protocol).await;
        let question =
            format!("SELECT count(), uniqExact(address), any(state), count(other) FROM {protocol}_current");
        assert_eq!(bench.ask(&question).await, "260\t200\tpaid\t260");
        home.run(&["verify", "orders"]).await.succeeded();
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_move_into_columns_where_rows_stand() {
    let bench = Bench::new("keys_promoted").await;
    bench.fill("orders", orders(0..100)).await;
    let to = bench.to();
    let home = home(&bench, &to, "orders", &format!("on_new_field = \"extra\"\n{SHAPE}"));
    home.apply().await;
    home.run(&["run", "--once"]).await.succeeded();
    let moved = doc! { "$set": { "user": "moved", "later": 7 } };
    collection(&bench).update_many(doc! { "_id": { "$lt": 30 } }, moved).await.unwrap();
    home.run(&["run", "--once"]).await.succeeded();
    home.run(&["schema", "promote", "orders", "--apply"]).await.succeeded();
    let question =
        "SELECT count(later), sum(later), countIf(_zenith_extra LIKE '%later%') FROM orders_current";
    assert_eq!(bench.ask(question).await, "30\t210\t0");
    is_equal(&bench, "orders", "promoted").await;
    collection(&bench).delete_many(doc! { "_id": { "$lt": 10 } }).await.unwrap();
    home.run(&["run", "--once"]).await.succeeded();
    is_equal(&bench, "orders", "after").await;
    home.run(&["verify", "orders"]).await.succeeded();
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_found_again_are_refused() {
    let bench = Bench::new("keys_not").await;
    bench
        .fill(
            "orders",
            (0..20)
                .map(|n| rawdoc! { "_id": n, "n": n, "tags": [n], "sub": { "x": n }, "at": day(n.into()) }),
        )
        .await;
    let home = Home::between(&bench);
    for (settings, parts) in [
        ("order_by = [\"tags\"]", &["line 9", "order by", "arrays"][..]),
        ("order_by = [\"ifNull(sub.x, 0)\"]", &["line 9", "order by", "documents"]),
        (
            "[pipelines.orders.table]\npartition_by = \"day\"\n[pipelines.orders.columns]\nday = \"Date MATERIALIZED toDate(at)\"",
            &["line 10", "partition", "computed"],
        ),
        ("order_by = [\"_zenith_version\"]", &["line 9", "columns of Zenith"]),
        ("order_by = [\"nothing\"]", &["line 9", "nothing"]),
    ] {
        home.configure(&[("orders", &format!("collection = \"orders\"\n{settings}"))]);
        let checked = home.run(&["check"]).await;
        let said = format!("{}{}", checked.stdout, checked.stderr);
        assert_eq!(checked.code, Some(2), "{settings}: {said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{parts:?}: {said}");
        assert_eq!(bench.tables().await, Vec::<String>::new(), "{settings}");
    }
    bench.remove().await;
}
