//! What is not Zenith's stays as it is, whatever name it has.

use bson::{Document, RawDocumentBuf, doc, rawdoc};
use zenith_engine::{EngineError, Mode, PipelineSettings, ReloadOptions, TableOptions};

use crate::harness::Bench;
use crate::incremental::Follow;

/// Objects of a user's under a name: what makes them, and what drops them.
const OBJECTS: [(&str, &str); 4] = [
    (
        "CREATE TABLE NAME (a Int64) ENGINE = MergeTree ORDER BY a AS SELECT number AS a FROM numbers(1000)",
        "DROP TABLE",
    ),
    ("CREATE VIEW NAME AS SELECT number AS a FROM numbers(1000)", "DROP VIEW"),
    (
        "CREATE MATERIALIZED VIEW NAME ENGINE = MergeTree ORDER BY a POPULATE AS SELECT number AS a FROM rows",
        "DROP VIEW",
    ),
    (
        "CREATE DICTIONARY NAME (a UInt64, b UInt64 DEFAULT 0) PRIMARY KEY a SOURCE(CLICKHOUSE(QUERY 'SELECT number AS a, \
         number AS b FROM numbers(1000)')) LAYOUT(HASHED()) LIFETIME(0)",
        "DROP DICTIONARY",
    ),
];

async fn follow(label: &str, settings: PipelineSettings) -> Follow {
    let follow = Follow::new(label, settings).await;
    let documents = (0..20).map(|n| doc! { "_id": n, "name": format!("item {n}") });
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_many(documents).await.unwrap();
    follow
        .query("CREATE TABLE rows (number UInt64) ENGINE = MergeTree ORDER BY number AS SELECT number FROM numbers(1000)")
        .await;
    follow
}

fn mode(mode: Mode) -> PipelineSettings {
    PipelineSettings { mode, settle: std::time::Duration::ZERO, ..PipelineSettings::default() }
}

/// The names of the database, but those of inner tables.
async fn names(follow: &Follow) -> Vec<String> {
    follow.bench.tables().await.into_iter().filter(|name| !name.starts_with(".inner")).collect()
}

async fn refused(follow: &Follow, parts: &[&str]) {
    let run = follow.catch_up().await.error.expect("it does not begin");
    let reload = follow.replicator().await.reload("items").await.expect_err("nor is it loaded");
    for error in [run, reload] {
        // A change log is not reloaded, whatever there is.
        if follow.settings.mode == Mode::ChangeLog && matches!(error, EngineError::Setting { .. }) {
            continue;
        }
        assert!(matches!(error, EngineError::NameTaken { .. }) && error.is_input(), "{error:?}");
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)) && text.lines().count() == 1, "{text}");
    }
    let checks = follow.replicator().await.check("items").await;
    let wrong: Vec<_> = checks.iter().filter_map(|check| check.found.as_ref().err()).collect();
    assert!(wrong.len() == 1 && parts.iter().all(|part| wrong[0].contains(part)), "{checks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_takes_nobodys_place() {
    let mut follow = follow("names_view", mode(Mode::Changes)).await;
    for (create, drop) in OBJECTS {
        follow.query(&create.replace("NAME", "items_current")).await;
        refused(&follow, &["items_current is a ", "the view of items", "view = \"NAME\""]).await;
        assert_eq!(names(&follow).await, ["items_current", "rows"], "nothing was written");
        assert_eq!(follow.query("SELECT count() FROM items_current").await, "1000");
        follow.query(&format!("{drop} items_current")).await;
    }
    follow.query(&OBJECTS[0].0.replace("NAME", "items_current")).await;
    follow.settings.view = "items now".to_owned();
    follow.catch_up_well().await;
    follow.assert_equal("items now").await;
    follow.replicator().await.reload("items").await.unwrap();
    assert_eq!(follow.query("SELECT count() FROM items_current").await, "1000");

    // The view of one table is not that of another one.
    follow
        .query("CREATE OR REPLACE VIEW `items now` AS SELECT 1 AS a COMMENT '[zenith: view of others]'")
        .await;
    refused(&follow, &["Zenith's view of the table others"]).await;
    assert_eq!(follow.query("SELECT * FROM `items now`").await, "1");
    follow.bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_go_to_no_other_table() {
    for (number, each) in [Mode::Changes, Mode::ChangeLog, Mode::IdCursor, Mode::Full].into_iter().enumerate()
    {
        let mut follow = follow(&format!("names_letters_{number}"), mode(each)).await;
        for (create, drop) in OBJECTS {
            follow.query(&create.replace("NAME", "zenith_dead_letters")).await;
            refused(&follow, &["zenith_dead_letters is a ", "dead_letters = \"NAME\""]).await;
            assert_eq!(names(&follow).await, ["rows", "zenith_dead_letters"], "nothing was written");
            assert_eq!(follow.query("SELECT count() FROM zenith_dead_letters").await, "1000");
            follow.query(&format!("{drop} zenith_dead_letters")).await;
        }
        follow.query(&OBJECTS[0].0.replace("NAME", "zenith_dead_letters")).await;
        follow.settings.options.dead_letters = "letters".to_owned();
        follow.catch_up_well().await;
        assert_eq!(follow.query("SELECT count() FROM zenith_dead_letters").await, "1000");
        follow.bench.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_have_dead_letters_of_their_own() {
    let bench = Bench::new("names_copy").await;
    let broken = rawdoc! { "_id": 2, "s": "bad" };
    let mut bytes = broken.into_bytes();
    let at = bytes.windows(3).position(|window| window == b"bad").unwrap();
    bytes[at] = 0xff;
    bench.fill("items", [rawdoc! { "_id": 1, "s": "x" }, RawDocumentBuf::from_bytes(bytes).unwrap()]).await;
    bench.databases.clickhouse.query(&OBJECTS[0].0.replace("NAME", "zenith_dead_letters")).await.unwrap();
    let error = bench.try_copy("items", ReloadOptions::default()).await.unwrap_err();
    assert!(error.is_input() && error.to_string().contains("--dead-letters NAME"), "{error}");
    assert_eq!(bench.tables().await, ["zenith_dead_letters"]);
    let options = || ReloadOptions {
        table: TableOptions { dead_letters: "letters".to_owned(), ..TableOptions::default() },
        ..ReloadOptions::default()
    };
    let (_, summary) = bench.copy("items", options()).await;
    assert_eq!((summary.rows, summary.dead_letter_table.as_deref()), (1, Some("letters")));
    // It is known by its columns, so another copy may use it.
    bench.copy("items", options()).await;
    assert_eq!((bench.count("letters").await, bench.count("zenith_dead_letters").await), (2, 1000));
    bench.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_zenith_did_not_make_are_not_replaced() {
    for (number, each) in [Mode::Full, Mode::IdCursor, Mode::Changes].into_iter().enumerate() {
        let follow = follow(&format!("names_table_{number}"), mode(each)).await;
        follow.query(&OBJECTS[0].0.replace("NAME", "items")).await;
        let error = follow.replicator().await.reload("items").await.unwrap_err();
        assert!(error.to_string().contains("table = \"NAME\""), "{error}");
        assert!(follow.catch_up().await.error.is_some());
        assert_eq!(follow.query("SELECT count() FROM items").await, "1000");
        assert_eq!(names(&follow).await, ["items", "rows"], "nothing was written");
        follow.bench.remove().await;
    }
}

/// A table with Zenith's comment is that of the collection the comment names, and of no other one.
#[tokio::test(flavor = "multi_thread")]
async fn tables_that_zenith_made_of_other_collections_are_not_replaced() {
    for (number, each) in [Mode::Full, Mode::IdCursor, Mode::Changes].into_iter().enumerate() {
        let follow = follow(&format!("names_other_{number}"), mode(each)).await;
        follow.catch_up_well().await;
        let comment = follow
            .query("SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = 'items'")
            .await;
        let own = format!("{}.items", follow.bench.databases.name);
        let other = comment.replace(&own, "elsewhere.items");
        assert_ne!(comment, other);
        follow.query(&format!("ALTER TABLE items MODIFY COMMENT '{other}'")).await;
        let error = follow.replicator().await.reload("items").await.unwrap_err();
        assert!(
            error.is_input() && matches!(error, zenith_engine::EngineError::NameTaken { .. }),
            "{error:?}"
        );
        let said = error.to_string();
        assert!(said.contains("copied from elsewhere.items") && said.contains("table = \"NAME\""), "{said}");
        assert_eq!(follow.query("SELECT count() > 0 FROM items").await, "1");
        follow.query("ALTER TABLE items MODIFY COMMENT 'ask Ann'").await;
        follow.replicator().await.reload("items").await.unwrap();
        follow.bench.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_missing_is_made_and_one_of_an_earlier_version_is_known() {
    let follow = follow("names_missing", mode(Mode::Changes)).await;
    follow.catch_up_well().await;
    let comment =
        "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = 'items_current'";
    assert_eq!(follow.query(comment).await, "[zenith: view of items]");
    let view = async || {
        let checks = follow.replicator().await.check("items").await;
        checks.into_iter().find(|check| check.what == "view").unwrap().found.unwrap()
    };
    assert_eq!(view().await, "items_current exists");
    follow.query("DROP VIEW items_current").await;
    assert!(view().await.contains("items_current is missing, and will be created again"));
    follow.catch_up_well().await;
    follow.assert_equal("items_current").await;

    // As version 0.1 made them.
    follow
        .query(
            "CREATE OR REPLACE VIEW items_current AS SELECT * EXCEPT (`_zenith_version`, `_zenith_deleted`) FROM `items` \
             FINAL WHERE `_zenith_deleted` = 0",
        )
        .await;
    assert!(view().await.contains("renewed"));
    follow.catch_up_well().await;
    assert_eq!(follow.query(comment).await, "[zenith: view of items]");

    // A column that was added to the table, and what people say of the view.
    follow.query("ALTER TABLE items ADD COLUMN region String DEFAULT 'eu'").await;
    follow.query("ALTER TABLE items_current MODIFY COMMENT 'read this [zenith: view of items]'").await;
    follow.catch_up_well().await;
    assert_eq!(follow.query("SELECT any(region) FROM items_current").await, "eu");
    follow.bench.remove().await;
}
