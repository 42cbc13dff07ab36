//! Collections that are legal and unusual: nothing is lost, nothing refused.

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{
    Binary, Bson, DateTime, Decimal128, Document, RawBson, RawDocumentBuf, Regex, Timestamp, cstr, doc,
    rawdoc,
};
use zenith_engine::transport::Sink;
use zenith_engine::{ReloadOptions, TableOptions};

use crate::harness::{Bench, small_batches};

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

/// BSON put together by hand, for what no builder makes.
fn document(elements: &[&[u8]]) -> RawDocumentBuf {
    let body: usize = elements.iter().map(|element| element.len()).sum();
    let mut bytes = i32::try_from(body + 5).unwrap().to_le_bytes().to_vec();
    elements.iter().for_each(|element| bytes.extend_from_slice(element));
    bytes.push(0);
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

fn int(key: &str, value: i32) -> Vec<u8> {
    let mut element = vec![0x10];
    element.extend_from_slice(key.as_bytes());
    element.push(0);
    element.extend_from_slice(&value.to_le_bytes());
    element
}

fn string(key: &str, value: &[u8]) -> Vec<u8> {
    let mut element = vec![0x02];
    element.extend_from_slice(key.as_bytes());
    element.push(0);
    element.extend_from_slice(&i32::try_from(value.len() + 1).unwrap().to_le_bytes());
    element.extend_from_slice(value);
    element.push(0);
    element
}

#[tokio::test(flavor = "multi_thread")]
async fn mixed_ids() {
    let bench = Bench::new("mixed_ids").await;
    let ids = [
        Bson::Int32(123),
        Bson::String("123".into()),
        Bson::Int64(1 << 40),
        Bson::Double(1.5),
        Bson::ObjectId(ObjectId::parse_str("507f1f77bcf86cd799439011").unwrap()),
        Bson::String("507f1f77bcf86cd799439011".into()),
        Bson::String(r#"{"$numberInt":"123"}"#.into()),
        Bson::String(String::new()),
        Bson::Boolean(true),
        Bson::DateTime(DateTime::from_millis(1_600_000_000_000)),
        Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 255, 1] }),
        Bson::Document(doc! { "a": 1, "b": "x" }),
        Bson::Null,
        Bson::MinKey,
        Bson::MaxKey,
        Bson::Timestamp(Timestamp { time: 7, increment: 9 }),
        Bson::Decimal128("2.50".parse::<Decimal128>().unwrap()),
    ];
    let documents =
        ids.into_iter().enumerate().map(|(n, id)| raw(&doc! { "_id": id, "n": i32::try_from(n).unwrap() }));
    bench.fill("ids", documents).await;
    for readers in [1, 4] {
        let (_, summary) = bench
            .round_trip(
                "ids",
                ReloadOptions {
                    table: TableOptions { readers: Some(readers), ..TableOptions::default() },
                    ..ReloadOptions::default()
                },
            )
            .await;
        assert_eq!(summary.rows, 17);
    }
    let distinct = bench.databases.clickhouse.query("SELECT uniqExact(_id) FROM ids").await.unwrap();
    assert_eq!(distinct.trim(), "17", "123 and \"123\" stay two keys");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_several_types_as_ids() {
    let bench = Bench::new("number_ids").await;
    let ids =
        [Bson::Int32(1), Bson::Int64(1 << 60), Bson::Double(2.5), Bson::Decimal128("3.25".parse().unwrap())];
    bench.fill("ids", ids.into_iter().map(|id| raw(&doc! { "_id": id }))).await;
    bench.round_trip("ids", ReloadOptions::default()).await;
    let distinct = bench.databases.clickhouse.query("SELECT uniqExact(_id) FROM ids").await.unwrap();
    assert_eq!(distinct.trim(), "4");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_documents() {
    let bench = Bench::new("empty").await;
    bench.databases.mongodb.create_collection("nothing").await.unwrap();
    let (_, summary) = bench.round_trip("nothing", ReloadOptions::default()).await;
    assert_eq!(summary.rows, 0);
    assert_eq!(bench.tables().await, ["nothing"]);
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_document_of_16_mb() {
    let bench = Bench::new("huge").await;
    let most = 16 * 1024 * 1024 - 200;
    let cases: [(&str, RawDocumentBuf); 4] = [
        ("string", rawdoc! { "_id": 1, "text": "x".repeat(most) }),
        ("binary", {
            let bytes: Vec<u8> = (0..most).map(|i| u8::try_from(i % 251).unwrap()).collect();
            rawdoc! { "_id": 1, "bytes": Binary { subtype: BinarySubtype::Generic, bytes } }
        }),
        // Every value goes to the extra column, where it takes seven times its size.
        ("undefined", {
            let mut elements = Vec::new();
            let mut n = 0;
            while elements.len() < most {
                elements.push(0x06);
                elements.extend_from_slice(n.to_string().as_bytes());
                elements.push(0);
                n += 1;
            }
            let mut array = b"\x04list\0".to_vec();
            array.extend_from_slice(&i32::try_from(elements.len() + 5).unwrap().to_le_bytes());
            array.extend_from_slice(&elements);
            array.push(0);
            document(&[&int("_id", 1), &array])
        }),
        ("integers", {
            let mut list = bson::RawArrayBuf::new();
            for n in 0..1_250_000 {
                list.push(n);
            }
            rawdoc! { "_id": 1, "list": list }
        }),
    ];
    for (name, document) in cases {
        bench.fill(name, [document]).await;
        let (_, summary) =
            bench.round_trip(name, ReloadOptions { memory: 16 << 20, ..ReloadOptions::default() }).await;
        assert_eq!((summary.rows, summary.dead_letters), (1, 0), "{name}");
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_fields() {
    let bench = Bench::new("wide").await;
    let wide = |n: i32| {
        let mut document = doc! { "_id": n };
        for field in 0..2000 {
            match field % 4 {
                0 => document.insert(format!("f{field}"), n * field),
                1 => document.insert(format!("f{field}"), format!("{n} {field}")),
                2 => document.insert(format!("f{field}"), f64::from(n) / 3.0),
                _ => document.insert(format!("f{field}"), n % 2 == 0),
            };
        }
        raw(&document)
    };
    bench.fill("many", (0..3000).map(wide)).await;
    // Reading many parts of so many columns back takes ClickHouse gigabytes, so these are only counted.
    let (_, summary) = bench.copy("many", ReloadOptions::default()).await;
    assert_eq!((summary.rows, bench.count("many").await), (3000, 3000));
    assert!(summary.inserts < 30, "batches of a few rows: {summary:?}");
    bench.fill("wide", (0..50).map(wide)).await;
    for memory in [16 << 20, 64 << 20] {
        bench.round_trip("wide", ReloadOptions { memory, ..ReloadOptions::default() }).await;
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_levels() {
    let bench = Bench::new("deep").await;
    let mut nested = doc! { "leaf": "bottom", "n": 1 };
    let mut listed = Bson::Array(vec![Bson::Int32(1)]);
    for level in 0..97 {
        nested = doc! { "level": level, "inner": nested };
        listed = Bson::Array(vec![listed]);
    }
    bench
        .fill("deep", [raw(&doc! { "_id": 1, "doc": nested }), raw(&doc! { "_id": 2, "list": listed })])
        .await;
    bench.round_trip("deep", ReloadOptions::default()).await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicate_keys() {
    let bench = Bench::new("duplicates").await;
    let inner = document(&[&int("x", 1), &int("x", 2), &string("y", b"z")]);
    let mut embedded = b"\x03d\0".to_vec();
    embedded.extend_from_slice(inner.as_bytes());
    bench
        .fill(
            "dup",
            [
                document(&[&int("_id", 1), &int("a", 1), &string("a", b"two"), &int("a", 3)]),
                document(&[&int("_id", 2), &embedded]),
                document(&[&int("_id", 3), &int("a", 7), &int("unknown", 1), &int("unknown", 2)]),
                document(&[&int("_id", 4), &int("a", 7)]),
            ],
        )
        .await;
    bench.round_trip("dup", TableOptions { sample: 1, ..TableOptions::default() }.into()).await;
    bench.round_trip("dup", ReloadOptions { replace: true, ..ReloadOptions::default() }).await;
    let extra =
        bench.databases.clickhouse.query("SELECT _zenith_extra FROM dup WHERE _id = 1").await.unwrap();
    assert!(extra.contains("$duplicates") && extra.contains("two"), "{extra}");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_kind() {
    let bench = Bench::new("keys").await;
    let keys = [
        "",
        "a.b",
        "a.c",
        ".",
        "$set",
        "$oid",
        "`",
        "``",
        "\"",
        "'",
        "\\",
        "a`b",
        "a'b; DROP TABLE keys; --",
        "é",
        "空",
        "new\nline",
        "tab\t",
        " ",
        "_zenith_extra",
        "_zenith_version",
        "select",
        "NULL",
        "%",
        "{x}",
        "a b",
    ];
    let mut all = doc! { "_id": 1 };
    for (n, key) in keys.iter().enumerate() {
        all.insert(*key, i32::try_from(n).unwrap());
    }
    let mut inside = Document::new();
    let mut lists = Document::new();
    for key in keys {
        inside.insert(key, "text");
        lists.insert(key, vec![1, 2]);
    }
    bench
        .fill("keys", [
            raw(&all),
            raw(&doc! { "_id": 2, "inside": inside.clone() }),
            raw(&doc! { "_id": 3, "inside": [inside.clone(), inside] }),
            raw(&doc! { "_id": 4, "lists": lists.clone() }),
            raw(&{
                let mut top = doc! { "_id": 5 };
                top.extend(lists.into_iter().filter(|(key, _)| key.starts_with('a')).collect::<Document>());
                top
            }),
            raw(&doc! { "_id": 6, "wrapped": { "$oid": "no object id" }, "literal": { "$literal": { "$date": 1 } } }),
        ])
        .await;
    bench.round_trip("keys", ReloadOptions::default()).await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_everywhere() {
    let bench = Bench::new("types").await;
    let id = ObjectId::parse_str("64b7f1f77bcf86cd79943901").unwrap();
    let uuid = |subtype| Bson::Binary(Binary { subtype, bytes: (1..=16).collect() });
    let values: Vec<(&str, Bson)> = vec![
        ("double", Bson::Double(-1.25)),
        ("nan", Bson::Double(f64::NAN)),
        ("infinity", Bson::Double(f64::NEG_INFINITY)),
        ("string", "text".into()),
        ("document", Bson::Document(doc! { "k": 1 })),
        ("empty_document", Bson::Document(doc! {})),
        ("array", Bson::Array(vec![Bson::Int32(1), Bson::Int32(2)])),
        ("empty_array", Bson::Array(vec![])),
        ("binary", Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 1, 254, 255] })),
        ("user_binary", Bson::Binary(Binary { subtype: BinarySubtype::UserDefined(0x80), bytes: vec![9] })),
        ("uuid", uuid(BinarySubtype::Uuid)),
        ("uuid_old", uuid(BinarySubtype::UuidOld)),
        ("undefined", Bson::Undefined),
        ("object_id", Bson::ObjectId(id)),
        ("bool", Bson::Boolean(true)),
        ("date", Bson::DateTime(DateTime::from_millis(1_700_000_000_123))),
        ("date_early", Bson::DateTime(DateTime::from_millis(-10_000_000_000_000))),
        ("date_first", Bson::DateTime(DateTime::from_millis(-2_208_988_800_000))),
        ("date_last", Bson::DateTime(DateTime::from_millis(10_413_791_999_999))),
        ("date_late", Bson::DateTime(DateTime::from_millis(10_413_792_000_000))),
        ("null", Bson::Null),
        ("regex", Bson::RegularExpression(Regex { pattern: cstr!("^a").into(), options: cstr!("i").into() })),
        ("code", Bson::JavaScriptCode("f()".into())),
        ("symbol", Bson::Symbol("sym".into())),
        ("int", Bson::Int32(i32::MIN)),
        ("timestamp", Bson::Timestamp(Timestamp { time: u32::MAX, increment: 3 })),
        ("long", Bson::Int64(i64::MAX)),
        ("decimal", Bson::Decimal128("12345.678".parse().unwrap())),
        ("decimal_nan", Bson::Decimal128("NaN".parse().unwrap())),
        ("decimal_large", Bson::Decimal128("9.999E+6000".parse().unwrap())),
        ("min", Bson::MinKey),
        ("max", Bson::MaxKey),
    ];
    let mut documents = Vec::new();
    let mut flat = doc! { "_id": 0 };
    for (n, (name, value)) in values.iter().enumerate() {
        let n = i32::try_from(n).unwrap() + 1;
        flat.insert(*name, value.clone());
        documents.push(doc! { "_id": n, "any": value.clone(), *name: value.clone() });
        documents.push(doc! { "_id": n + 1000, "doc": { *name: value.clone(), "any": value.clone() } });
        documents
            .push(doc! { "_id": n + 2000, *name: [value.clone(), value.clone()], "list": [value.clone()] });
        documents
            .push(doc! { "_id": n + 3000, "docs": [{ *name: value.clone() }, { "any": value.clone() }, {}] });
        documents.push(doc! { "_id": n + 4000, "grid": [[value.clone()], []] });
    }
    documents.push(flat);
    bench.fill("types", documents.iter().map(raw)).await;
    for keep_nulls in [false, true] {
        let options = ReloadOptions {
            table: TableOptions { keep_nulls, ..TableOptions::default() },
            replace: true,
            ..ReloadOptions::default()
        };
        bench.round_trip("types", options).await;
    }
    let options = ReloadOptions {
        table: TableOptions {
            object_id: zenith_engine::ObjectIdAs::Fixed,
            decimal: zenith_engine::DecimalAs::Text,
            ..TableOptions::default()
        },
        replace: true,
        ..ReloadOptions::default()
    };
    bench.round_trip("types", options).await;
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_utf8_becomes_a_dead_letter() {
    let bench = Bench::new("utf8").await;
    let bad = document(&[&int("_id", 500), &string("s", b"ab\xFFcd"), &int("n", 1)]);
    // A character that begins in one string and ends in the next: valid only as a whole.
    let halves = [
        document(&[&int("_id", 501), &string("s", b"x\xC3")]),
        document(&[&int("_id", 502), &string("s", b"\xA9y")]),
    ];
    let good = (0..500).map(|n| raw(&doc! { "_id": n, "s": format!("naïve {n}"), "n": n }));
    bench.fill("texts", good).await;
    bench.fill("texts", [bad.clone()]).await;
    bench.fill("texts", halves.clone()).await;
    bench.fill("texts", [raw(&doc! { "_id": 503, "s": "after" })]).await;
    let (plan, summary) =
        bench.copy("texts", TableOptions { batch_rows: 501, ..TableOptions::default() }.into()).await;
    assert_eq!((summary.rows, summary.dead_letters), (501, 3));
    assert_eq!(bench.rebuilt("texts", &plan).await.len(), 501);
    let letters = bench
        .databases
        .clickhouse
        .query("SELECT id, hex(document), reason FROM zenith_dead_letters ORDER BY id FORMAT TSV")
        .await
        .unwrap();
    let hex: String = bad.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(letters.contains(&hex) && letters.contains("500") && letters.contains("UTF-8"), "{letters}");
    assert_eq!(letters.lines().count(), 3);
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_changes_after_the_sample() {
    let bench = Bench::new("changes").await;
    let value = |n: i32| match n {
        0..3000 => Bson::Int32(n),
        3000..4000 => Bson::String(format!("now text {n}")),
        4000..4500 => Bson::Double(f64::from(n) + 0.5),
        4500..4600 => Bson::Int64(i64::from(n) << 40),
        4600..4700 => Bson::Document(doc! { "n": n }),
        4700..4800 => Bson::Array(vec![Bson::Int32(n)]),
        _ => Bson::Int32(n),
    };
    let documents = (0..6000).map(|n| {
        let mut document =
            doc! { "_id": n, "v": value(n), "in": { "v": value(n) }, "list": [value(n), value(n)] };
        if n == 3500 {
            document.insert("late", "a field no sample has seen");
        }
        raw(&document)
    });
    bench.fill("changes", documents).await;
    let (_, summary) = bench
        .round_trip(
            "changes",
            ReloadOptions { table: TableOptions { sample: 30, ..small_batches().table }, ..small_batches() },
        )
        .await;
    // The load was started over, with a column of numbers and a twin for the others.
    assert!(!summary.extra_values.contains_key("v"), "{:?}", summary.extra_values);
    let shown =
        bench.databases.clickhouse.query("SELECT count(v), count(v_text) FROM changes").await.unwrap();
    assert_eq!(shown.trim(), "4800\t1200");
    assert_eq!(summary.columns_added, ["late"]);
    let late = bench.databases.clickhouse.query("SELECT any(late) FROM changes").await.unwrap();
    assert_eq!(late.trim(), "a field no sample has seen");
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_and_capped_collections() {
    let bench = Bench::new("kinds").await;
    bench.fill("base", (0..1000).map(|n| rawdoc! { "_id": n, "even": n % 2 == 0 })).await;
    bench
        .databases
        .mongodb
        .run_command(
            doc! { "create": "view", "viewOn": "base", "pipeline": [{ "$match": { "even": true } }] },
        )
        .await
        .unwrap();
    bench
        .databases
        .mongodb
        .run_command(doc! { "create": "capped", "capped": true, "size": 1_000_000 })
        .await
        .unwrap();
    bench.fill("capped", (0..100).map(|n| rawdoc! { "_id": n })).await;
    for readers in [1, 3] {
        let options = ReloadOptions {
            table: TableOptions { readers: Some(readers), ..TableOptions::default() },
            ..ReloadOptions::default()
        };
        assert_eq!(bench.round_trip("view", options.clone()).await.1.rows, 500);
        assert_eq!(bench.round_trip("capped", options).await.1.rows, 100);
    }
    bench.remove().await;
}

/// A view may have no `_id` at all.
#[tokio::test(flavor = "multi_thread")]
async fn documents_without_an_id() {
    let bench = Bench::new("no_id").await;
    bench.fill("base", (0..10).map(|n| rawdoc! { "_id": n, "n": n })).await;
    bench
        .databases
        .mongodb
        .run_command(doc! { "create": "view", "viewOn": "base", "pipeline": [{ "$project": { "_id": 0 } }] })
        .await
        .unwrap();
    let (plan, summary) = bench.copy("view", ReloadOptions::default()).await;
    assert_eq!(summary.rows, 10);
    let batches = bench.sink(None).read("view").await.unwrap();
    let rows: usize = batches.iter().map(arrow_rows).sum();
    assert_eq!((rows, plan.schema.fields[0].name.as_str()), (10, "_id"));
    bench.remove().await;
}

fn arrow_rows(batch: &zenith_engine::RecordBatch) -> usize {
    batch.num_rows()
}

#[test]
fn hand_made_documents_are_bson() {
    let made = document(&[&int("_id", 1), &string("s", b"x")]);
    assert_eq!(made.get("s").unwrap(), Some(RawBson::String("x".into()).as_raw_bson_ref()));
}

/// Large documents that are no BSON, with several decoders: none may keep the memory it waited for.
#[tokio::test(flavor = "multi_thread")]
async fn large_bad_documents_hold_no_memory() {
    let bench = Bench::new("large_bad").await;
    for n in 0..4 {
        let mut text = vec![b'x'; 9 << 20];
        text[1000] = 0xFF;
        bench.fill("bad", [document(&[&int("_id", n), &string("s", &text)])]).await;
    }
    bench.fill("bad", [rawdoc! { "_id": 9, "s": "good" }]).await;
    let options = ReloadOptions {
        table: TableOptions { readers: Some(2), ..TableOptions::default() },
        memory: 8 << 20,
        decoders: 2,
        ..ReloadOptions::default()
    };
    let copy = tokio::time::timeout(std::time::Duration::from_secs(60), bench.copy("bad", options));
    let (_, summary) = copy.await.expect("the copy does not hang");
    assert_eq!((summary.rows, summary.dead_letters), (1, 4));
    bench.remove().await;
}
