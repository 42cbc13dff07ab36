//! Comparing a table with its collection: what is the same is told to be, and what is not is found.

use std::collections::BTreeMap;

use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, RawDocumentBuf, doc};
use zenith_engine::{
    Mode, OnNewField, PipelineSettings, TableOptions, Until, UuidLegacy, ValueDifference, Verification,
    VerifyOptions,
};
use zenith_testkit::{ClickHouseOptions, ClickHouseServer};

use crate::incremental::{Follow, items};

async fn verify(follow: &Follow) -> Verification {
    follow.replicator().await.verify("items", VerifyOptions::default()).await.unwrap()
}

fn settings(mode: Mode) -> PipelineSettings {
    PipelineSettings { mode, settle: std::time::Duration::ZERO, ..PipelineSettings::default() }
}

fn extra(found: &Verification) -> Vec<(String, String, u64)> {
    let values = found.mismatches.values.iter();
    values
        .flat_map(|(field, reasons)| reasons.iter().map(|(reason, n)| (field.clone(), reason.clone(), *n)))
        .collect()
}

fn row(field: &str, reason: &str, count: u64) -> (String, String, u64) {
    (field.to_owned(), reason.to_owned(), count)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_behind_its_back_is_found() {
    let cases = [(Mode::Changes, false), (Mode::Changes, true), (Mode::Full, false), (Mode::IdCursor, true)];
    for case in cases.map(|(mode, native)| tokio::spawn(changes_are_found(mode, native))) {
        case.await.unwrap();
    }
}

async fn changes_are_found(mode: Mode, native: bool) {
    let settings = PipelineSettings {
        options: TableOptions { on_new_field: OnNewField::Extra, ..settings(mode).options },
        ..settings(mode)
    };
    let mut follow = Follow::new("verify", settings).await;
    follow.bench.native = native;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_many(items(0..500)).await.unwrap();
    collection.insert_one(doc! { "_id": 500, "n": "odd", "tags": ["a", 1] }).await.unwrap();
    follow.catch_up_well().await;
    if mode == Mode::Changes {
        collection.delete_many(doc! { "_id": { "$lt": 20 } }).await.unwrap();
        let query = doc! { "_id": { "$lt": 40 } };
        collection.update_many(query, doc! { "$unset": { "name": 1 } }).await.unwrap();
        collection.update_one(doc! { "_id": 50 }, doc! { "$set": { "sub.gift": 1 } }).await.unwrap();
        follow.catch_up_well().await;
    }
    let found = verify(&follow).await;
    assert!(found.is_equal(), "{mode:?} {found:?}");
    let rows = if mode == Mode::Changes { 481 } else { 501 };
    assert_eq!((found.source_rows, found.target_rows), (rows, rows));
    let mut expected = vec![row("n", "is string", 1), row("tags", "is int", 1)];
    if mode == Mode::Changes {
        expected.insert(1, row("sub.gift", "no column", 1));
    }
    assert_eq!(extra(&found), expected);

    for change in [
        "ALTER TABLE items DELETE WHERE _id = 77",
        "ALTER TABLE items UPDATE n = 99 WHERE _id = 88",
        // The row still gives the document back, but its column no longer shows the value.
        "ALTER TABLE items UPDATE n = NULL, _zenith_extra = '{\"n\":{\"$numberInt\":\"90\"}}' WHERE _id = 90",
        "ALTER TABLE items UPDATE tags = ['a'], _zenith_extra = '{\"tags\":[\"a\",\"b\"]}' WHERE _id = 91",
        "ALTER TABLE items UPDATE sub = tuple(NULL), _zenith_extra = '{\"sub\":{\"x\":1.5}}' WHERE _id = 92",
    ] {
        follow.query(&format!("{change} SETTINGS mutations_sync = 2")).await;
    }
    let versioned = mode == Mode::Changes;
    let columns = if versioned { ", _zenith_version, _zenith_deleted" } else { "" };
    let values = if versioned { ", 1, 0" } else { "" };
    follow.query(&format!("INSERT INTO items (_id{columns}) VALUES (9999{values})")).await;
    let before = follow.query("SELECT count() FROM items").await;
    let found = verify(&follow).await;
    assert_eq!((&found.missing, &found.surplus), (&vec!["77".to_owned()], &vec!["9999".to_owned()]));
    let difference = |id: &str, path: &str, source: &str, target: &str| ValueDifference {
        id: id.to_owned(),
        path: path.to_owned(),
        source: source.to_owned(),
        target: target.to_owned(),
    };
    let mut differing = found.differing.clone();
    differing.sort_by(|left, right| left.id.cmp(&right.id));
    assert_eq!(
        differing,
        [
            difference("88", "n", "88", "99"),
            difference("90", "n", "90", "the column shows NULL"),
            difference("91", "tags", r#"["a","b"]"#, r#"the column shows ["a"]"#),
            difference("92", "sub.x", "1.5", "the column shows NULL"),
        ]
    );
    let counts = (found.missing_count, found.surplus_count, found.differing_count);
    assert_eq!(counts, (1, 1, 4));
    let sampled = VerifyOptions { sample: Some(10_000), ids_shown: 1 };
    let found = follow.replicator().await.verify("items", sampled).await.unwrap();
    let counts = (found.missing_count, found.surplus_count, found.differing_count);
    assert_eq!((counts, found.differing.len()), ((1, 0, 4), 1));
    let after = follow.query("SELECT count() FROM items").await;
    assert_eq!(before, after);
    let mut tables = follow.bench.tables().await;
    tables.retain(|name| name != "items_current");
    assert_eq!(tables, ["items"], "nothing was written");
    follow.bench.remove().await;
}

/// The saved schema says how UUIDs were read, and the same schema would read them back: the settings know better.
#[tokio::test(flavor = "multi_thread")]
async fn another_order_of_uuids_is_a_difference() {
    let mut follow = Follow::new("verify_uuid", settings(Mode::Changes)).await;
    let uuid = |n: u8, subtype| Bson::Binary(Binary { subtype, bytes: (n..n + 16).collect() });
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    let old = BinarySubtype::UuidOld;
    let documents = (0..10).map(
        |n| doc! { "_id": uuid(n, old), "sub": { "u": [uuid(n + 20, old)] }, "new": uuid(n, BinarySubtype::Uuid) },
    );
    collection.insert_many(documents).await.unwrap();
    follow.catch_up_well().await;
    let found = verify(&follow).await;
    assert!(found.is_equal() && found.mismatches.is_empty(), "{found:?}");
    follow.settings.options.uuid_legacy = UuidLegacy::Java;
    let found = verify(&follow).await;
    assert_eq!((found.missing_count, found.surplus_count, found.differing_count), (0, 0, 10), "{found:?}");
    assert!(found.differing.iter().all(|of| of.path == "_id"), "{found:?}");
    follow.bench.remove().await;

    // The same of a field alone.
    let mut follow = Follow::new("verify_uuid", settings(Mode::Full)).await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_many((0..10).map(|n| doc! { "_id": i32::from(n), "u": uuid(n, old) })).await.unwrap();
    follow.catch_up_well().await;
    assert!(verify(&follow).await.is_equal());
    follow.settings.options.uuid_legacy = UuidLegacy::Csharp;
    let found = verify(&follow).await;
    assert_eq!(found.differing_count, 10);
    assert_eq!(found.differing[0].path, "u");
    follow.bench.remove().await;
}

fn with_bad_text(id: i32) -> RawDocumentBuf {
    let mut document = bson::rawdoc! { "_id": id, "name": "café" }.into_bytes();
    let at = document.windows(2).position(|pair| pair == "é".as_bytes()).unwrap();
    document[at + 1] = b'(';
    RawDocumentBuf::from_bytes(document).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_told_and_without_their_letter_they_are_missing() {
    for mode in [Mode::Changes, Mode::Full] {
        let follow = Follow::new("verify_letters", settings(mode)).await;
        let collection = follow.bench.databases.mongodb.collection::<Document>("items");
        collection.insert_many(items(0..50)).await.unwrap();
        follow.bench.fill("items", (100..103).map(with_bad_text)).await;
        follow.catch_up_well().await;
        let letters = follow.query("SELECT count() FROM zenith_dead_letters").await;
        let found = verify(&follow).await;
        assert!(found.is_equal(), "{found:?}");
        assert_eq!((found.source_rows, found.target_rows), (53, 50));
        let reasons = BTreeMap::from([("BSON text is not valid UTF-8".to_owned(), 3)]);
        assert_eq!(found.mismatches.documents, reasons);
        assert_eq!(letters, follow.query("SELECT count() FROM zenith_dead_letters").await);

        follow.query("DELETE FROM zenith_dead_letters WHERE id LIKE '%101%'").await;
        let found = verify(&follow).await;
        assert_eq!((found.missing, found.mismatches.documents_total()), (vec!["101".to_owned()], 2));

        // A row of a document that cannot be read is no row of it.
        let versioned = mode == Mode::Changes;
        let columns = if versioned { ", _zenith_version, _zenith_deleted" } else { "" };
        let values = if versioned { ", 18446744073709551615, 0" } else { "" };
        follow.query(&format!("INSERT INTO items (_id, name{columns}) VALUES (100, 'caf('{values})")).await;
        let found = verify(&follow).await;
        assert_eq!((found.differing_count, found.missing_count), (1, 1));
        assert!(found.differing[0].source.contains("cannot be read"), "{found:?}");
        follow.bench.remove().await;
    }
}

/// A letter of another pipeline, of a document that has changed since, or of a table that has been loaded again is no
/// reason for a row that is missing.
#[tokio::test(flavor = "multi_thread")]
async fn letters_that_no_longer_count_are_no_excuse() {
    for mode in [Mode::Changes, Mode::Full, Mode::IdCursor] {
        let follow = Follow::new("verify_old_letters", settings(mode)).await;
        let collection = follow.bench.databases.mongodb.collection::<Document>("items");
        collection.insert_many(items(0..1)).await.unwrap();
        follow.catch_up_well().await;
        follow.query("ALTER TABLE items ADD CONSTRAINT few CHECK _id < 10").await;
        collection.insert_many(items(5..14)).await.unwrap();
        if mode == Mode::Full {
            // A table that is created again keeps the constraint.
            assert_eq!(follow.replicator().await.reload("items").await.unwrap().dead_letters, 4);
        } else {
            follow.catch_up_well().await;
        }
        let found = verify(&follow).await;
        assert!(found.is_equal() && found.mismatches.documents_total() == 4, "{mode:?} {found:?}");

        // Of another pipeline whose name begins alike; of a document that is another one by now.
        follow.query("ALTER TABLE zenith_dead_letters UPDATE pipeline = 'items2' WHERE id LIKE '%\"10\"%' SETTINGS mutations_sync = 2").await;
        if mode != Mode::Changes {
            collection.update_one(doc! { "_id": 11 }, doc! { "$set": { "n": 1000 } }).await.unwrap();
        }
        let found = verify(&follow).await;
        let (missing, letters) = match mode {
            Mode::Changes => (vec!["10"], 3),
            _ => (vec!["10", "11"], 2),
        };
        assert_eq!(
            (found.missing, found.mismatches.documents_total()),
            (missing.iter().map(|id| (*id).to_owned()).collect(), letters),
            "{mode:?}"
        );

        if mode == Mode::IdCursor {
            follow.bench.remove().await;
            continue;
        }
        // The table created again has all rows; the letters are still kept.
        follow.query("ALTER TABLE items DROP CONSTRAINT few").await;
        follow.replicator().await.reload("items").await.unwrap();
        follow.catch_up_well().await;
        assert!(verify(&follow).await.is_equal(), "{mode:?}");
        follow.query("ALTER TABLE items DELETE WHERE _id >= 12 SETTINGS mutations_sync = 2").await;
        let found = verify(&follow).await;
        assert_eq!(
            (found.missing, found.mismatches.documents_total()),
            (vec!["12".to_owned(), "13".to_owned()], 0),
            "{mode:?}"
        );
        follow.bench.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_all_types_are_found() {
    let object_id = bson::oid::ObjectId::new;
    let millis = |n: i64| Bson::DateTime(bson::DateTime::from_millis(n));
    let uuid = |n: u8| Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: vec![n; 16] });
    let data =
        |n: u8| Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: vec![n, 0, 255, b'\''] });
    let decimal = |text: &str| Bson::Decimal128(text.parse().unwrap());
    let kinds: Vec<Vec<Bson>> = vec![
        vec![object_id().into(), object_id().into(), object_id().into()],
        vec!["it's".into(), "\\ \n".into(), "".into(), "日本".into()],
        vec![1.into(), (-5_i64).into(), i64::MIN.into()],
        vec![0.5.into(), (-0.0).into(), f64::NAN.into(), f64::INFINITY.into(), 1e300.into()],
        vec![decimal("1.5"), decimal("-2.25"), decimal("100")],
        vec![1.into(), 0.5.into(), decimal("2.25")],
        vec![millis(0), millis(-62_135_596_800_000), millis(1_700_000_000_001)],
        vec![true.into(), false.into()],
        vec![uuid(1), uuid(200), uuid(3)],
        vec![data(1), data(2)],
        vec![
            bson::Timestamp { time: 7, increment: 1 }.into(),
            bson::Timestamp { time: 9, increment: 0 }.into(),
        ],
        vec![
            "5".into(),
            5.into(),
            Bson::Null,
            doc! { "a": 1, "b": "x" }.into(),
            object_id().into(),
            2.5.into(),
        ],
        vec![doc! { "day": "mon", "n": 1 }.into(), doc! { "day": "tue", "n": 2_i64 }.into()],
    ];
    let fixed = vec![object_id().into(), object_id().into()];
    let cases = kinds.into_iter().map(|ids| (false, ids)).chain([(true, fixed)]);
    let cases: Vec<_> = cases.map(|(fixed, ids)| tokio::spawn(keys_are_found(fixed, ids))).collect();
    for case in cases {
        case.await.unwrap();
    }
}

async fn keys_are_found(object_id_fixed: bool, ids: Vec<Bson>) {
    let settings = PipelineSettings {
        options: TableOptions {
            object_id: if object_id_fixed {
                zenith_engine::ObjectIdAs::Fixed
            } else {
                zenith_engine::ObjectIdAs::Hex
            },
            ..TableOptions::default()
        },
        ..settings(Mode::Changes)
    };
    let follow = Follow::new("verify_keys", settings).await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_many(ids.iter().map(|id| doc! { "_id": id.clone(), "n": 1 })).await.unwrap();
    follow.catch_up_well().await;
    let found = verify(&follow).await;
    assert!(found.is_equal(), "{ids:?} {found:?}");
    let rows = u64::try_from(ids.len()).unwrap();
    assert_eq!((found.source_rows, found.target_rows), (rows, rows), "{ids:?}");
    // A row that only the table has.
    collection.delete_one(doc! { "n": 1 }).await.unwrap();
    let found = verify(&follow).await;
    assert_eq!((found.surplus_count, found.missing_count), (1, 0), "{ids:?} {found:?}");
    follow.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_whose_ids_repeat_or_are_missing_are_compared_by_number_too() {
    for (pipeline, ids_are_there) in [
        (doc! { "$project": { "_id": { "$mod": ["$_id", 10] }, "n": 1 } }, true),
        (doc! { "$project": { "_id": 0, "n": 1 } }, false),
    ] {
        let follow = Follow::new("verify_view", settings(Mode::Full)).await;
        let base = follow.bench.databases.mongodb.collection::<Document>("base");
        base.insert_many((0..1000).map(|n| doc! { "_id": n, "n": n })).await.unwrap();
        let create = doc! { "create": "items", "viewOn": "base", "pipeline": [pipeline] };
        follow.bench.databases.mongodb.run_command(create).await.unwrap();
        follow.catch_up_well().await;
        let found = verify(&follow).await;
        assert!(found.is_equal(), "{found:?}");
        assert_eq!((found.source_rows, found.target_rows), (1000, 1000));

        follow.query("INSERT INTO items SELECT * FROM items WHERE n = 7").await;
        let found = verify(&follow).await;
        assert_eq!((found.missing_count, found.surplus_count, found.differing_count), (0, 1, 0), "{found:?}");
        let expected = if ids_are_there { "7" } else { "(no _id)" };
        assert_eq!(found.surplus, [expected]);
        follow.query("ALTER TABLE items DELETE WHERE n IN (7, 8) SETTINGS mutations_sync = 2").await;
        let found = verify(&follow).await;
        assert_eq!(found.surplus_count, 0, "{found:?}");
        // Rows of the same `_id` are there: the documents differ from each of them.
        assert_eq!(found.differing_count + found.missing_count, 2, "{found:?}");
        follow.bench.remove().await;
    }
}

/// Whatever the decoder makes of values, their columns show what is expected, or the extra column is told to have it.
#[tokio::test(flavor = "multi_thread")]
async fn values_of_all_types_are_compared() {
    let values = [
        Bson::Double(-0.5),
        Bson::Double(5.0),
        "text".into(),
        doc! { "x": 1 }.into(),
        vec![Bson::Int32(1), Bson::Null, "x".into()].into(),
        Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2] }),
        Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: vec![1; 16] }),
        Bson::Binary(Binary { subtype: BinarySubtype::UuidOld, bytes: (0..16).collect() }),
        bson::oid::ObjectId::new().into(),
        true.into(),
        Bson::DateTime(bson::DateTime::from_millis(-1)),
        Bson::DateTime(bson::DateTime::MAX),
        Bson::Null,
        Bson::Symbol("sym".into()),
        Bson::Int32(i32::MIN),
        Bson::Timestamp(bson::Timestamp { time: u32::MAX, increment: 3 }),
        Bson::Int64(i64::MAX),
        Bson::Decimal128("12345.678".parse().unwrap()),
        Bson::Decimal128("NaN".parse().unwrap()),
        Bson::Decimal128("9.999E+6000".parse().unwrap()),
        Bson::MinKey,
        Bson::JavaScriptCode("f()".into()),
    ];
    let mut documents = vec![doc! { "_id": 0 }];
    for (n, value) in values.iter().enumerate() {
        let (n, name) = (i32::try_from(n).unwrap(), format!("f{n}"));
        let keys: Document = (0..70)
            .map(|key| (format!("k{n}_{key}"), value.clone()))
            .chain([("d.t".to_owned(), value.clone())])
            .collect();
        documents.extend([
            doc! { "_id": n + 1, "any": value.clone(), &name: value.clone() },
            doc! { "_id": n + 1000, "doc": { &name: value.clone(), "any": value.clone() } },
            doc! { "_id": n + 2000, &name: [value.clone(), value.clone()], "list": [value.clone()] },
            doc! { "_id": n + 3000, "docs": [{ &name: value.clone() }, { "any": value.clone() }, {}, Bson::Null] },
            doc! { "_id": n + 4000, "grid": [[value.clone()], []], "list": value.clone() },
        ]);
        if *value != Bson::Null {
            documents.push(doc! { "_id": n + 5000, "map": keys });
        }
    }
    for (mode, native, keep_nulls, text) in [
        (Mode::Full, false, false, false),
        (Mode::Changes, true, true, true),
        (Mode::Changes, false, false, true),
    ] {
        let settings = PipelineSettings {
            options: TableOptions {
                keep_nulls,
                object_id: if text {
                    zenith_engine::ObjectIdAs::Fixed
                } else {
                    zenith_engine::ObjectIdAs::Hex
                },
                decimal: if text {
                    zenith_engine::DecimalAs::Text
                } else {
                    zenith_engine::DecimalAs::Decimal
                },
                ..TableOptions::default()
            },
            ..settings(mode)
        };
        let mut follow = Follow::new("verify_types", settings).await;
        follow.bench.native = native;
        let collection = follow.bench.databases.mongodb.collection::<Document>("items");
        collection.insert_many(&documents).await.unwrap();
        follow.catch_up_well().await;
        // As many values of each field, for the same reasons, as were counted when they were written.
        let found = verify(&follow).await;
        assert!(found.is_equal(), "{:#?}", found.differing);
        let written =
            zenith_engine::state::StateStore::mismatches(&*follow.state, "items", None).await.unwrap();
        assert_eq!(found.mismatches, written);
        follow.bench.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_keys_are_values_too() {
    let follow = Follow::new("verify_repeated", settings(Mode::Changes)).await;
    let mut document = bson::rawdoc! { "_id": 1, "a": 1, "b": 2, "sub": { "x": 1, "y": 2 } }.into_bytes();
    for (from, to) in [(b"\x10b\0", b"\x10a\0"), (b"\x10y\0", b"\x10x\0")] {
        let at = document.windows(3).position(|bytes| bytes == from).unwrap();
        document[at..at + 3].copy_from_slice(to);
    }
    follow.bench.fill("items", [RawDocumentBuf::from_bytes(document).unwrap()]).await;
    follow.catch_up_well().await;
    let found = verify(&follow).await;
    assert!(found.is_equal(), "{found:?}");
    assert_eq!(extra(&found), [row("a", "repeated key", 1), row("sub.x", "repeated key", 1)]);
    let update = "ALTER TABLE items UPDATE _zenith_extra = '' WHERE 1 SETTINGS mutations_sync = 2";
    follow.query(update).await;
    let found = verify(&follow).await;
    assert_eq!((found.differing_count, found.differing[0].path.as_str()), (1, "a"), "{found:?}");
    follow.bench.remove().await;
}

/// A user who may read and nothing else will do.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written() {
    let data = std::env::temp_dir().join(format!("zenith-verify-reader-{}", std::process::id()));
    std::fs::create_dir_all(data.join("users.d")).unwrap();
    let user = "<clickhouse><users><reader><password>pw</password><networks><ip>127.0.0.1</ip></networks>\
                <profile>default</profile><quota>default</quota><grants><query>GRANT SELECT ON d.*</query></grants>\
                </reader></users></clickhouse>";
    std::fs::write(data.join("users.d/reader.xml"), user).unwrap();
    let options = ClickHouseOptions { data: Some(data.clone()), ..Default::default() };
    let server = ClickHouseServer::start(options).await.unwrap();
    server.client().create_database("d").await.unwrap();
    let client = server.client().with_database("d");

    let follow = Follow::new("verify_reader", settings(Mode::Changes)).await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_many(items(0..50)).await.unwrap();
    follow.bench.fill("items", [with_bad_text(100)]).await;
    let writer = client.url();
    let outcome = follow.replicator_to(&writer).await.run(Until::CaughtUp).await.unwrap();
    assert!(outcome[0].error.is_none(), "{outcome:?}");
    client.query("ALTER TABLE items DELETE WHERE _id = 7 SETTINGS mutations_sync = 2").await.unwrap();
    client.query("ALTER TABLE items UPDATE n = 0 WHERE _id = 8 SETTINGS mutations_sync = 2").await.unwrap();
    let reader = writer.replace("http://", "http://reader:pw@");
    let found = follow.replicator_to(&reader).await.verify("items", VerifyOptions::default()).await.unwrap();
    assert_eq!((found.missing, found.differing_count), (vec!["7".to_owned()], 1));
    assert_eq!(found.mismatches.documents_total(), 1);
    drop(server);
    std::fs::remove_dir_all(data).unwrap();
    follow.bench.remove().await;
}
