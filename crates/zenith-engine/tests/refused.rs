//! Inserts that ClickHouse refuses, over both protocols: no row twice, none lost, none that passes for newer than it is.

use bson::{Document, RawDocumentBuf, doc, rawdoc};
use zenith_engine::state::{Intent, StateStore};
use zenith_engine::{
    EngineError, Mode, Phase, PipelineSettings, ReloadOptions, Strategy, TableOptions, Until, sentence,
};

use crate::harness::Bench;
use crate::incremental::Follow;

const PROTOCOLS: [bool; 2] = [false, true];

async fn follow(label: &str, mode: Mode, native: bool) -> Follow {
    let settings = PipelineSettings {
        mode,
        settle: std::time::Duration::ZERO,
        poll_interval: std::time::Duration::from_millis(20),
        ..PipelineSettings::default()
    };
    let mut follow = Follow::new(label, settings).await;
    follow.bench.native = native;
    follow
}

fn items(range: std::ops::Range<i32>) -> Vec<Document> {
    range.map(|n| doc! { "_id": n, "n": n, "tags": ["a", "b"], "sub": { "x": 1.5 } }).collect()
}

/// A materialized view over `items` that fails for one row, and the table it fills.
async fn failing_view(bench: &Bench) {
    for statement in [
        "CREATE TABLE seen (id Int64, one UInt64) ENGINE = MergeTree ORDER BY id \
         SETTINGS non_replicated_deduplication_window = 1000",
        "CREATE MATERIALIZED VIEW seen_by TO seen AS \
         SELECT _id AS id, toUInt64(if(n = 50, 'x', '1')) AS one FROM items",
    ] {
        bench.databases.clickhouse.query(statement).await.unwrap();
    }
}

async fn mend_view(bench: &Bench) {
    for statement in [
        "DROP VIEW seen_by",
        "CREATE MATERIALIZED VIEW seen_by TO seen AS SELECT _id AS id, 1 AS one FROM items",
    ] {
        bench.databases.clickhouse.query(statement).await.unwrap();
    }
}

async fn letters(follow: &Follow) -> String {
    if follow.bench.tables().await.iter().all(|table| table != "zenith_dead_letters") {
        return String::new();
    }
    let ids = "SELECT arrayStringConcat(arraySort(groupArray(extract(id, '-?[0-9]+'))), ' ') FROM zenith_dead_letters";
    follow.query(ids).await
}

/// A command of raw bytes, which may hold strings that are not UTF-8.
async fn run_raw(bench: &Bench, command: RawDocumentBuf) {
    bench.databases.mongodb.run_raw_command(command).await.unwrap();
}

/// The document with its first `@` replaced by a byte that no UTF-8 has.
fn spoilt(document: RawDocumentBuf) -> RawDocumentBuf {
    let mut bytes = document.into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'@').unwrap();
    bytes[at] = 0xFF;
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_fails_stops_every_mode_and_no_row_comes_twice() {
    for (mode, native) in
        [Mode::Changes, Mode::ChangeLog, Mode::IdCursor].into_iter().zip([false, true, false])
    {
        for native in [native, !native] {
            let follow = follow("view", mode, native).await;
            let collection = follow.bench.databases.mongodb.collection::<Document>("items");
            collection.insert_many(items(1000..1010)).await.unwrap();
            follow.catch_up_well().await;
            let before: u64 = follow.query("SELECT count() FROM items").await.parse().unwrap();
            failing_view(&follow.bench).await;
            collection
                .insert_many(if mode == Mode::IdCursor { items(2000..2099) } else { items(0..99) })
                .await
                .unwrap();
            collection.insert_one(doc! { "_id": 3000, "n": 50 }).await.unwrap();
            for _ in 0..2 {
                let error = follow.catch_up().await.error.expect("the view fails");
                let said = sentence(&error);
                assert!(matches!(error, EngineError::ViewFailed { .. }), "{said}");
                assert!(said.contains("seen_by") && said.contains("Cannot parse"), "{said}");
                let count: u64 = follow.query("SELECT count() FROM items").await.parse().unwrap();
                assert!(count <= before + 100, "{mode:?}: {count}");
            }
            mend_view(&follow.bench).await;
            follow.catch_up_well().await;
            let counts = follow.query("SELECT count(), uniqExact(_id) FROM items FORMAT CSV").await;
            assert_eq!(counts, format!("{0},{0}", before + 100), "{mode:?}, native {native}");
            assert_eq!(
                follow.query("SELECT count(), uniqExact(id) FROM seen FORMAT CSV").await,
                "100,100",
                "{mode:?}"
            );
            assert_eq!(letters(&follow).await, "");
            follow.bench.remove().await;
        }
    }
}

/// A pipeline that follows waits, says why, and continues by itself once the view is mended.
#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_waits_for_a_view_to_be_mended() {
    let follow = follow("view_waits", Mode::Changes, false).await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_many(items(0..10)).await.unwrap();
    follow.catch_up_well().await;
    failing_view(&follow.bench).await;
    let replicator = std::sync::Arc::new(follow.replicator().await);
    let (running, stop) = (std::sync::Arc::clone(&replicator), replicator.stop_handle());
    let running = tokio::spawn(async move { running.run(Until::Stopped).await.unwrap() });
    collection.insert_many(items(40..60)).await.unwrap();
    let waits = async || {
        let progress = replicator.progress().remove(0);
        progress.phase == Phase::Retrying
            && progress.last_error.is_some_and(|error| error.contains("seen_by"))
    };
    for _ in 0..200 {
        if waits().await {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(waits().await, "{:?}", replicator.progress());
    mend_view(&follow.bench).await;
    for _ in 0..200 {
        if follow.query("SELECT count() FROM seen").await == "20" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(follow.query("SELECT count(), uniqExact(id) FROM seen FORMAT CSV").await, "20,20");
    follow.assert_equal("items_current").await;
    stop.stop();
    assert!(running.await.unwrap().remove(0).error.is_none());
    follow.bench.remove().await;
}

/// What a table refuses in place of an older row takes that row with it; a deletion is never a dead letter.
#[tokio::test(flavor = "multi_thread")]
async fn a_constraint_leaves_no_older_row_as_if_it_were_the_newest() {
    // The first refuses rows that mark a deletion as well, the last has a table that lightweight deletes are not for.
    let constraints = [("n > 0", false, false), ("isNull(n) OR n > 0", false, true), ("n > 0", true, false)];
    for (constraint, projection, native) in constraints {
        let follow = follow("constraint", Mode::Changes, native).await;
        let collection = follow.bench.databases.mongodb.collection::<Document>("items");
        collection.insert_many(items(1..60)).await.unwrap();
        follow.catch_up_well().await;
        if projection {
            follow
                .query("ALTER TABLE items MODIFY SETTING deduplicate_merge_projection_mode = 'rebuild'")
                .await;
            follow.query("ALTER TABLE items ADD PROJECTION p (SELECT n, count() GROUP BY n)").await;
            follow.query("ALTER TABLE items MATERIALIZE PROJECTION p SETTINGS mutations_sync = 2").await;
        }
        follow.query(&format!("ALTER TABLE items ADD CONSTRAINT positive CHECK {constraint}")).await;
        collection.update_one(doc! { "_id": 1 }, doc! { "$set": { "n": -1 } }).await.unwrap();
        collection.insert_one(doc! { "_id": 100, "n": -5 }).await.unwrap();
        collection.delete_one(doc! { "_id": 2 }).await.unwrap();
        collection
            .update_many(doc! { "_id": { "$gt": 2, "$lt": 50 } }, doc! { "$set": { "n": 7 } })
            .await
            .unwrap();
        follow.catch_up_well().await;
        let shown =
            "SELECT count(), countIf(_id IN (1, 2, 100)), countIf(n = 7) FROM items_current FORMAT CSV";
        assert_eq!(follow.query(shown).await, "57,0,47", "{constraint}");
        let merged = "SELECT count() FROM items FINAL WHERE _id IN (1, 2, 100) AND _zenith_deleted = 0";
        assert_eq!(follow.query(merged).await, "0", "{constraint}");
        assert_eq!(letters(&follow).await, "1 100", "{constraint}");
        let told = "SELECT uniqExact(pipeline), any(pipeline), countIf(version > 0), countIf(reason LIKE '%positive%') \
                    FROM zenith_dead_letters FORMAT CSV";
        assert_eq!(follow.query(told).await, "1,\"items\",2,2");
        // Of 49 changes two have no row; one of the updates changes nothing.
        assert_eq!(follow.state.checkpoint("items").await.unwrap().unwrap().rows, 47);

        collection.update_one(doc! { "_id": 1 }, doc! { "$set": { "n": 9 } }).await.unwrap();
        collection.replace_one(doc! { "_id": 100 }, doc! { "n": 10 }).await.unwrap();
        collection.insert_one(doc! { "_id": 2, "n": 11 }).await.unwrap();
        follow.catch_up_well().await;
        follow.assert_equal("items_current").await;
        follow.query("OPTIMIZE TABLE items FINAL").await;
        follow.assert_equal("items_current").await;
        follow.bench.remove().await;
    }
}

/// Keys of every type name their rows in the statements that remove them.
#[tokio::test(flavor = "multi_thread")]
async fn documents_with_keys_of_every_type_are_removed() {
    use bson::{Bson, oid::ObjectId};

    let uuid = |byte| Bson::from(bson::Uuid::from_bytes([byte; 16]));
    let decimal = |text: &str| Bson::Decimal128(text.parse().unwrap());
    let keys = [
        ("object ids", vec![ObjectId::new().into(), ObjectId::new().into(), ObjectId::new().into()]),
        (
            "object ids of 12 bytes",
            vec![ObjectId::new().into(), ObjectId::new().into(), ObjectId::new().into()],
        ),
        ("text", vec![Bson::from("a'\\\"`é\n"), "".into(), "{k:String}".into()]),
        ("long", vec![i64::MAX.into(), i64::MIN.into(), Bson::Int64(0)]),
        ("double", vec![Bson::Double(0.1), Bson::Double(-1e300), Bson::Double(5e-324)]),
        ("decimal", vec![decimal("1.25"), decimal("-0.5"), decimal("100")]),
        (
            "date",
            vec![
                bson::DateTime::from_millis(-1).into(),
                bson::DateTime::from_millis(1_700_000_000_123).into(),
                bson::DateTime::from_millis(0).into(),
            ],
        ),
        ("uuid", vec![uuid(0x1f), uuid(0xf1), uuid(0)]),
        ("document", vec![doc! { "a": 1, "b": "x" }.into(), doc! { "a": 2 }.into(), doc! {}.into()]),
        ("mixed", vec![Bson::from("x"), ObjectId::new().into(), Bson::Boolean(true)]),
    ];
    for (label, keys) in keys {
        let mut follow = follow("keys", Mode::Changes, false).await;
        if label.contains("12 bytes") {
            follow.settings.options.object_id = zenith_engine::ObjectIdAs::Fixed;
        }
        let collection = follow.bench.databases.mongodb.collection::<Document>("items");
        let documents = keys.iter().map(|key| doc! { "_id": key.clone(), "n": 1 });
        collection.insert_many(documents).await.unwrap();
        follow.catch_up_well().await;
        follow.query("ALTER TABLE items ADD CONSTRAINT positive CHECK n > 0").await;
        collection.delete_one(doc! { "_id": keys[0].clone() }).await.unwrap();
        collection.update_one(doc! { "_id": keys[1].clone() }, doc! { "$set": { "n": -1 } }).await.unwrap();
        follow.catch_up_well().await;
        let left = follow.shown("items_current").await;
        assert_eq!(
            left.values().map(|document| document["_id"].clone()).collect::<Vec<_>>(),
            keys[2..],
            "{label}"
        );
        assert_eq!(follow.query("SELECT count() FROM zenith_dead_letters").await, "1", "{label}");
        let replay = follow.replicator().await.retry_letters("items", None, false).await.unwrap();
        assert_eq!((replay.letters, replay.failed.len()), (1, 1), "{label}: {replay:?}");
        follow.query("ALTER TABLE items DROP CONSTRAINT positive").await;
        let replay = follow.replicator().await.retry_letters("items", None, false).await.unwrap();
        assert_eq!((replay.letters, replay.written), (1, 1), "{label}: {replay:?}");
        follow.assert_equal("items_current").await;
        follow.bench.remove().await;
    }
}

/// The same changes again, as after a crash between the insert and the checkpoint.
async fn repeat_last(follow: &Follow, before: &zenith_engine::state::Checkpoint) {
    let after = follow.state.checkpoint("items").await.unwrap().unwrap();
    follow.state.reset("items", Some(before)).await.unwrap();
    let intent = Intent {
        pipeline: "items".to_owned(),
        token: "a name of its own".to_owned(),
        from: before.position.clone(),
        to: after.position,
        rows: 0,
        created: std::time::SystemTime::now(),
    };
    follow.state.begin_intent(&intent).await.unwrap();
}

/// What was refused is told, everything else is there once, also when the insert is repeated after a crash.
#[tokio::test(flavor = "multi_thread")]
async fn a_constraint_refuses_single_rows_of_a_log_and_of_a_cursor() {
    for (mode, native) in [(Mode::ChangeLog, false), (Mode::ChangeLog, true), (Mode::IdCursor, true)] {
        let follow = follow("constraint_log", mode, native).await;
        let collection = follow.bench.databases.mongodb.collection::<Document>("items");
        collection.insert_many(items(1..11)).await.unwrap();
        follow.catch_up_well().await;
        let held: u64 = follow.query("SELECT count() FROM items").await.parse().unwrap();
        follow.query("ALTER TABLE items ADD CONSTRAINT positive CHECK n > 0").await;
        let before = follow.state.checkpoint("items").await.unwrap().unwrap();
        let mut more = items(20..90);
        more[30].insert("n", -30);
        more[31].insert("n", -31);
        collection.insert_many(more).await.unwrap();
        if mode == Mode::ChangeLog {
            collection.update_one(doc! { "_id": 1 }, doc! { "$set": { "n": -1 } }).await.unwrap();
            collection.delete_one(doc! { "_id": 2 }).await.unwrap();
        }
        follow.catch_up_well().await;
        let expected = if mode == Mode::ChangeLog { "1 2 50 51" } else { "50 51" };
        assert_eq!(letters(&follow).await, expected, "{mode:?}");
        let rows = "SELECT count(), uniqExact(_id) FROM items FORMAT CSV";
        assert_eq!(follow.query(rows).await, format!("{0},{0}", held + 68), "{mode:?}");
        assert_eq!(follow.state.checkpoint("items").await.unwrap().unwrap().rows, held + 68, "{mode:?}");
        // A part of them may be lacking, too.
        follow.query("DELETE FROM items WHERE _id IN (20, 60, 61, 89)").await;
        repeat_last(&follow, &before).await;
        follow.catch_up_well().await;
        assert_eq!(follow.query(rows).await, format!("{0},{0}", held + 68), "{mode:?}, repeated");
        follow.bench.remove().await;
    }
}

/// A document that an update makes unreadable is a dead letter, and its older row goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_turns_bad_leaves_no_older_row() {
    for (mode, native) in [(Mode::Changes, false), (Mode::Changes, true), (Mode::ChangeLog, false)] {
        let follow = follow("turns_bad", mode, native).await;
        let collection = follow.bench.databases.mongodb.collection::<Document>("items");
        let documents = (1..=5).map(|n| doc! { "_id": n, "s": "good" });
        collection.insert_many(documents).await.unwrap();
        follow.catch_up_well().await;
        let set = rawdoc! { "update": "items", "updates": [{ "q": { "_id": 1 }, "u": { "$set": { "s": "b@d" } } }] };
        run_raw(&follow.bench, spoilt(set)).await;
        let replace = rawdoc! { "update": "items", "updates": [{ "q": { "_id": 2 }, "u": { "s": "b@d" } }] };
        run_raw(&follow.bench, spoilt(replace)).await;
        let insert = rawdoc! { "insert": "items", "documents": [{ "_id": 6, "s": "b@d" }] };
        run_raw(&follow.bench, spoilt(insert)).await;
        collection.update_one(doc! { "_id": 3 }, doc! { "$set": { "s": "better" } }).await.unwrap();
        follow.catch_up_well().await;
        assert_eq!(letters(&follow).await, "1 2 6", "{mode:?}");
        if mode == Mode::ChangeLog {
            assert_eq!(follow.query("SELECT groupArray(_id) FROM items").await, "[3]");
            follow.bench.remove().await;
            continue;
        }
        let shown = "SELECT arraySort(groupArray((_id, s))) FROM items_current";
        assert_eq!(follow.query(shown).await, "[(3,'better'),(4,'good'),(5,'good')]");
        collection.update_one(doc! { "_id": 1 }, doc! { "$set": { "s": "mended" } }).await.unwrap();
        follow.catch_up_well().await;
        assert_eq!(follow.query(shown).await, "[(1,'mended'),(3,'better'),(4,'good'),(5,'good')]");
        follow.bench.remove().await;
    }
}

/// Where the key cannot be read either, no row marks anything, and all rows count.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_with_a_bad_key_takes_no_row_from_the_count() {
    let follow = follow("bad_key", Mode::Changes, false).await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_one(doc! { "_id": "a", "s": "good" }).await.unwrap();
    follow.catch_up_well().await;
    let insert = rawdoc! { "insert": "items", "documents": [{ "_id": "b@d", "s": "x" }] };
    run_raw(&follow.bench, spoilt(insert)).await;
    let set =
        rawdoc! { "update": "items", "updates": [{ "q": { "_id": "a" }, "u": { "$set": { "s": "b@d" } } }] };
    run_raw(&follow.bench, spoilt(set)).await;
    collection.insert_many(["c", "d", "e"].map(|id| doc! { "_id": id, "s": "good" })).await.unwrap();
    let outcome = follow.catch_up().await;
    assert!(outcome.error.is_none(), "{outcome:?}");
    assert_eq!((outcome.rows, outcome.mismatches.documents_total()), (3, 2), "{outcome:?}");
    follow.bench.remove().await;
}

/// A copy in place: a view that fails fails it, a constraint makes dead letters.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_place_into_a_table_that_refuses() {
    for native in PROTOCOLS {
        let mut bench = Bench::new("in_place").await;
        bench.native = native;
        let options = ReloadOptions {
            table: TableOptions { strategy: Strategy::Truncate, batch_rows: 100, ..TableOptions::default() },
            ..ReloadOptions::default()
        };
        let raw = |document: Document| RawDocumentBuf::try_from(&document).unwrap();
        bench.fill("items", items(1..1001).into_iter().map(raw)).await;
        bench.copy("items", options.clone()).await;
        let ask = async |sql: &str| bench.databases.clickhouse.query(sql).await.unwrap().trim().to_owned();
        ask("ALTER TABLE items ADD CONSTRAINT odd CHECK n NOT IN (7, 300, 301, 999)").await;
        let (_, summary) = bench.copy("items", options.clone()).await;
        assert_eq!((summary.rows, summary.dead_letters), (996, 4));
        assert_eq!(ask("SELECT count(), uniqExact(_id) FROM items FORMAT CSV").await, "996,996");
        assert_eq!(ask("SELECT count() FROM zenith_dead_letters").await, "4");

        ask("ALTER TABLE items DROP CONSTRAINT odd").await;
        failing_view(&bench).await;
        let error = bench.try_copy("items", options.clone()).await.unwrap_err();
        assert!(
            matches!(&error, EngineError::ViewFailed { view, .. } if view.ends_with("seen_by")),
            "{error:?}"
        );
        assert_eq!(ask("SELECT count() = uniqExact(_id) FROM items").await, "1");
        // What a view fails to take and what the table refuses are told apart.
        ask("DROP VIEW seen_by").await;
        ask("CREATE MATERIALIZED VIEW seen_by TO seen AS SELECT _id AS id, 1 AS one FROM items").await;
        ask("ALTER TABLE items ADD CONSTRAINT odd CHECK n != 7").await;
        let error = bench.try_copy("items", options).await.unwrap_err();
        assert!(
            matches!(&error, EngineError::RefusedWhole { why, .. } if why.contains("seen_by")),
            "{error:?}"
        );
        assert_eq!(ask("SELECT count() = uniqExact(_id) FROM items").await, "1");
        bench.remove().await;
    }
}

/// Many letters, some of them large, are tried page by page: ClickHouse, which may use little memory here, sends few of
/// them at a time.
#[tokio::test(flavor = "multi_thread")]
async fn letters_are_tried_again_page_by_page() {
    const LARGE: usize = 900_000;
    let follow = follow("letter_pages", Mode::Changes, false).await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_many(items(0..10)).await.unwrap();
    follow.catch_up_well().await;
    follow
        .query(
            "CREATE TABLE zenith_dead_letters (at DateTime64(3, 'UTC'), pipeline String, namespace String, id String, \
             field String, reason String, document String) ENGINE = MergeTree ORDER BY at \
             SETTINGS index_granularity = 8",
        )
        .await;
    // `{ _id: N, p: "…" }`, the first ones with long texts; several of one time.
    let insert = format!(
        "INSERT INTO zenith_dead_letters SELECT toDateTime64('2026-01-01 00:00:00', 3, 'UTC') + intDiv(number, 7), \
         'items', 'd.items', toString(1000 + number), '', 'refused', concat(reinterpretAsFixedString(toInt32(22 + size)), \
         unhex('105f696400'), reinterpretAsFixedString(toInt32(1000 + number)), unhex('027000'), \
         reinterpretAsFixedString(toInt32(size + 1)), repeat('x', size), unhex('0000')) \
         FROM (SELECT number, if(number < 80, {LARGE}, 1) AS size FROM numbers(2300)) SETTINGS max_block_size = 10"
    );
    follow.query(&insert).await;
    collection.insert_many(items(1000..3290)).await.unwrap();

    let address = format!("{}?max_memory_usage=150000000", follow.bench.databases.clickhouse.url());
    let retry = async |dry_run: bool| {
        let replicator = follow.replicator_to(&address).await;
        replicator.retry_letters("items", None, dry_run).await.unwrap()
    };
    let would = retry(true).await;
    assert_eq!((would.letters, would.written, would.gone, would.left), (2300, 2290, 10, 0));
    follow.query("ALTER TABLE items ADD CONSTRAINT few CHECK _id NOT IN (1001, 3200)").await;
    let replay = retry(false).await;
    assert_eq!((replay.letters, replay.written, replay.gone, replay.left), (2300, 2288, 10, 2));
    assert!(replay.failed.iter().all(|(letter, _)| letter.document.is_empty()), "{replay:?}");
    assert_eq!(letters(&follow).await, "1001 3200");
    follow.query("ALTER TABLE items DROP CONSTRAINT few").await;
    assert_eq!(retry(false).await.written, 2);
    assert_eq!(
        follow.query("SELECT count(), uniqExact(_id) FROM items_current FORMAT CSV").await,
        "2300,2300"
    );
    assert_eq!(letters(&follow).await, "");
    follow.bench.remove().await;
}
