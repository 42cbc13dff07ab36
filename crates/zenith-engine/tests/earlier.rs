//! What version 0.1 began goes on: tables without the notes column, saved schemas, tables of dead letters.

use std::time::Duration;

use bson::{Bson, Document, RawDocumentBuf, doc, rawdoc};
use zenith_engine::state::{SchemaChange, StateStore};
use zenith_engine::{Mode, OnNewField, PipelineSettings, ReloadOptions, Strategy, TableOptions};

use crate::harness::{Bench, small_batches};
use crate::incremental::Follow;

/// A schema as version 0.1 saved it.
const SCHEMA: &[u8] =
    br#"{"fields":[{"name":"_id","kind":"int64"},{"name":"tags","kind":{"array":"string"}}],"keep_nulls":false}"#;
/// The columns of a table, as SQL has them.
const COLUMNS: &str =
    "SELECT groupArray(name) FROM system.columns WHERE database = currentDatabase() AND table = ";
/// The table of dead letters as version 0.1 made it.
const LETTERS: &str = "CREATE TABLE zenith_dead_letters (at DateTime64(3, 'UTC'), pipeline String, namespace String, \
                       id String, field String, reason String, document String) ENGINE = MergeTree ORDER BY at SETTINGS \
                       non_replicated_deduplication_window = 10000";

fn tagged(id: i64, tags: impl Into<Bson>) -> Document {
    doc! { "_id": id, "tags": tags }
}

/// Documents with a field of its own, which 0.1 never saw, and without one.
fn later(from: i64) -> Vec<Document> {
    vec![
        tagged(from, vec!["b"]),
        doc! { "_id": from + 1 },
        tagged(from + 2, Bson::Null),
        tagged(from + 3, Vec::<Bson>::new()),
        doc! { "_id": from + 4, "tags": ["c"], "new": 1.5 },
    ]
}

/// A pipeline as version 0.1 left it: the table without notes, the old view, the schema in the state.
async fn begun(label: &str, mode: Mode, native: bool) -> Follow {
    let options = TableOptions { on_new_field: OnNewField::Extra, ..TableOptions::default() };
    let settings = PipelineSettings { mode, settle: Duration::ZERO, options, ..PipelineSettings::default() };
    let mut follow = Follow::new(label, settings).await;
    follow.bench.native = native;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    let documents = (0..50_i64).map(|n| tagged(n, vec!["a", "b"]));
    if mode == Mode::ChangeLog {
        collection.insert_one(tagged(-1, vec!["before"])).await.unwrap();
        follow.catch_up_well().await;
        collection.insert_many(documents).await.unwrap();
    } else {
        collection.insert_many(documents.chain([doc! { "_id": 50_i64 }])).await.unwrap();
    }
    follow.catch_up_well().await;
    follow.query("ALTER TABLE items DROP COLUMN _zenith_notes").await;
    // What an array had that was not there.
    follow
        .query("ALTER TABLE items UPDATE _zenith_extra = '{\"tags\":null}' WHERE _id = 50 SETTINGS mutations_sync = 1")
        .await;
    if mode == Mode::Changes {
        follow.query("DROP VIEW items_current").await;
        follow
            .query(
                "CREATE VIEW items_current AS SELECT * EXCEPT (`_zenith_version`, `_zenith_deleted`) FROM `items` FINAL \
                 WHERE `_zenith_deleted` = 0",
            )
            .await;
    }
    let change = SchemaChange { schema: SCHEMA.to_vec(), ..SchemaChange::default() };
    follow.state.add_schema("items", &change).await.unwrap();
    follow
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_goes_on_and_its_table_gets_the_notes() {
    for (number, (mode, native)) in
        [(Mode::Changes, false), (Mode::Changes, true), (Mode::ChangeLog, false), (Mode::IdCursor, true)]
            .into_iter()
            .enumerate()
    {
        let follow = begun(&format!("earlier_{number}"), mode, native).await;
        let collection = follow.bench.databases.mongodb.collection::<Document>("items");
        let identity = "SELECT uuid FROM system.tables WHERE database = currentDatabase() AND name = 'items'";
        let table = follow.query(identity).await;
        let checks = follow.replicator().await.check("items").await;
        assert!(checks.iter().all(|check| check.found.is_ok()), "{mode:?}: {checks:?}");
        let columns = follow.query(&format!("{COLUMNS}'items'")).await;
        assert!(!columns.contains("_zenith_notes"), "a check writes nothing: {columns}");

        collection.insert_many(later(51)).await.unwrap();
        follow.catch_up_well().await;
        assert_eq!(follow.query(identity).await, table, "{mode:?}: it is the same table");
        let notes = "SELECT groupArray((_id, _zenith_notes)) FROM (SELECT * FROM items WHERE _zenith_notes != '' \
                     ORDER BY _id)";
        let notes = follow.query(notes).await;
        assert!(notes.contains("(52,") && notes.contains("(53,"), "{mode:?}: missing and null: {notes}");
        assert!(!notes.contains("(51,") && !notes.contains("(54,") && !notes.contains("(50,"), "{notes}");
        if mode == Mode::ChangeLog {
            assert_eq!(follow.query("SELECT count() FROM items").await, "55");
        } else {
            let shown = if mode == Mode::Changes { "items_current" } else { "items" };
            let columns = follow.query(&format!("{COLUMNS}'{shown}'")).await;
            assert!(columns.contains("_zenith_notes"), "{mode:?}: {columns}");
            follow.assert_equal(shown).await;
        }

        // Once is enough, and then it is a table like others.
        let columns = follow.query(&format!("{COLUMNS}'items'")).await;
        collection.insert_many(later(60)).await.unwrap();
        follow.catch_up_well().await;
        assert_eq!(follow.query(&format!("{COLUMNS}'items'")).await, columns);
        assert_eq!(follow.query("SELECT count() FROM items WHERE _id >= 60").await, "5");
        assert_eq!(follow.state.schemas("items").await.unwrap().last().unwrap().change.schema, SCHEMA);
        follow.bench.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_somebody_elses_gets_no_column() {
    let follow = begun("earlier_other", Mode::IdCursor, false).await;
    follow.query("ALTER TABLE items DROP COLUMN _zenith_extra").await;
    let columns = follow.query(&format!("{COLUMNS}'items'")).await;
    let error = follow.catch_up().await.error.expect("the table is another one");
    assert!(error.to_string().contains("items"), "{error}");
    assert_eq!(follow.query(&format!("{COLUMNS}'items'")).await, columns);
    follow.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_go_into_the_table_and_in_its_place() {
    let mut bench = Bench::new("earlier_copy").await;
    for native in [false, true] {
        bench.native = native;
        let name = if native { "native" } else { "http" };
        bench.fill(name, (0..300).map(|n| rawdoc! { "_id": n, "n": n })).await;
        bench.copy(name, small_batches()).await;
        let ask = async |question: &str| bench.databases.clickhouse.query(question).await.unwrap();
        let identity =
            format!("SELECT uuid FROM system.tables WHERE database = currentDatabase() AND name = '{name}'");
        for strategy in [Strategy::Truncate, Strategy::Swap] {
            ask(&format!("ALTER TABLE {name} DROP COLUMN _zenith_notes")).await;
            let before = ask(&identity).await;
            let id = if strategy == Strategy::Truncate { 1000 } else { 1001 };
            bench.fill(name, [rawdoc! { "_id": id, "n": { "odd": true } }]).await;
            bench
                .copy(
                    name,
                    ReloadOptions {
                        table: TableOptions { strategy, ..small_batches().table },
                        ..small_batches()
                    },
                )
                .await;
            assert_eq!(ask(&identity).await == before, strategy == Strategy::Truncate);
            let columns = ask(&format!("{COLUMNS}'{name}'")).await;
            assert!(columns.contains("_zenith_notes"), "{columns}");
            let documents = bench.documents(name).await;
            assert_eq!(bench.count(name).await, u64::try_from(documents.len()).unwrap());
        }
    }
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_dead_letters_gets_its_columns_with_the_first_letter() {
    let columns = format!("{COLUMNS}'zenith_dead_letters'");
    let spoilt = |id: i32| {
        let mut bytes = rawdoc! { "_id": id, "s": "@" }.into_bytes();
        let at = bytes.iter().position(|byte| *byte == b'@').unwrap();
        bytes[at] = 0xFF;
        RawDocumentBuf::from_bytes(bytes).unwrap()
    };
    for native in [false, true] {
        let mut bench = Bench::new(&format!("earlier_letters_{native}")).await;
        bench.native = native;
        bench.fill("t", [rawdoc! { "_id": 1, "s": "x" }]).await;
        bench.databases.clickhouse.query(LETTERS).await.unwrap();
        bench.copy("t", ReloadOptions::default()).await;
        let before = bench.databases.clickhouse.query(&columns).await.unwrap();
        assert!(!before.contains("'run'"), "nothing to write yet: {before}");
        bench.fill("t", [spoilt(2)]).await;
        let (_, summary) = bench.copy("t", ReloadOptions::default()).await;
        assert_eq!((summary.rows, summary.dead_letters), (1, 1));
        let after = bench.databases.clickhouse.query(&columns).await.unwrap();
        for column in ["run", "version", "operation", "index"] {
            assert!(after.contains(&format!("'{column}'")), "{column}: {after}");
        }
        assert_eq!(bench.count("zenith_dead_letters").await, 1);
        bench.remove().await;
    }

    // The same in a pipeline, whose check knows the table.
    let follow = Follow::new("earlier_letters_follow", PipelineSettings::default()).await;
    follow.query(LETTERS).await;
    follow.bench.fill("items", [rawdoc! { "_id": 1, "s": "x" }, spoilt(2)]).await;
    let checks = follow.replicator().await.check("items").await;
    let letters = checks.iter().find(|check| check.what == "dead letters").unwrap();
    assert_eq!(letters.found.as_deref(), Ok("zenith_dead_letters exists"));
    follow.catch_up_well().await;
    let told = "SELECT pipeline, namespace LIKE '%.items', count() FROM zenith_dead_letters GROUP BY ALL";
    assert_eq!(follow.query(told).await, "items\t1\t1");
    follow.bench.remove().await;
}
