//! Publication beyond what every sink must do: crashes between its steps, merges, large tables.

use arrow_array::Int64Array;
use arrow_schema::{DataType, Field};
use zenith_testkit::ClickHouse;
use zenith_transport::{ClickHouseSink, Insert, Merging, Published, Sink, TableDefinition, ddl};

use super::support::{column, sink};

fn definition(name: &str) -> TableDefinition {
    TableDefinition::new(
        name,
        column(Field::new("id", DataType::Int64, false), Int64Array::from(vec![0])).schema(),
    )
    .order_by(["id"])
    .comment("orders")
}

async fn filled(sink: &ClickHouseSink, definition: TableDefinition, id: i64) {
    let table = definition.name.clone();
    sink.create(&definition).await.unwrap();
    let batch = column(Field::new("id", DataType::Int64, false), Int64Array::from(vec![id]));
    sink.write(Insert { table, batch, token: "a".into() }).await.unwrap();
}

/// Whether the table has the settings of loading: both of them, or none.
async fn is_loading(database: &ClickHouse, table: &str) -> bool {
    let sql = format!(
        "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = '{table}'"
    );
    let engine = database.query(&sql).await.unwrap();
    let has = ["max_bytes_to_merge_at_max_space_in_pool = 1", "min_rows_for_wide_part = 1000000000000"]
        .map(|setting| engine.contains(setting));
    assert_eq!(has[0], has[1], "{engine}");
    has[0]
}

#[tokio::test]
async fn merges_wait_until_publication() {
    let (sink, database) = sink("merges").await;
    filled(&sink, definition("s").loading(), 0).await;
    assert!(is_loading(&database, "s").await);
    for token in 0..30 {
        let batch = column(Field::new("id", DataType::Int64, false), Int64Array::from(vec![token]));
        sink.write(Insert { table: "s".into(), batch, token: token.to_string() }).await.unwrap();
    }
    let parts = "SELECT count() FROM system.parts WHERE active AND database = currentDatabase()";
    assert_eq!(database.query(parts).await.unwrap(), "31");
    sink.set_merging("s", Merging::Running).await.unwrap();
    assert!(!is_loading(&database, "s").await);
    sink.set_merging("s", Merging::Held).await.unwrap();
    sink.publish("s", "t").await.unwrap();
    assert!(!is_loading(&database, "t").await);
    database.query("OPTIMIZE TABLE t FINAL").await.unwrap();
    assert_eq!(database.query(parts).await.unwrap(), "1");
}

/// A part of a file for each column costs more than its rows, and is rewritten by the next merge.
#[tokio::test]
async fn inserts_are_one_file_until_publication() {
    let (sink, database) = sink("files").await;
    // More than 10 MiB, from where on ClickHouse makes parts of a file for each column by itself.
    let batch = |token: &str| {
        let batch =
            column(Field::new("id", DataType::Int64, false), Int64Array::from_iter_values(0..2_000_000));
        Insert { table: "s".into(), batch, token: token.into() }
    };
    sink.create(&definition("s").loading()).await.unwrap();
    sink.write(batch("a")).await.unwrap();
    let kinds = "SELECT DISTINCT part_type FROM system.parts WHERE active AND database = currentDatabase()";
    assert_eq!(database.query(kinds).await.unwrap(), "Compact");
    sink.publish("s", "t").await.unwrap();
    database.query("OPTIMIZE TABLE t FINAL").await.unwrap();
    assert_eq!(database.query(kinds).await.unwrap(), "Wide");
}

/// The process dies after each of the steps, and the publication is run again.
#[tokio::test]
async fn an_interrupted_publication_is_completed() {
    let exchange = "EXCHANGE TABLES s AND t";
    let drop = "DROP TABLE s";
    let running =
        "ALTER TABLE t RESET SETTING max_bytes_to_merge_at_max_space_in_pool, min_rows_for_wide_part";
    for done in [&[][..], &[exchange], &[exchange, drop], &[exchange, drop, running]] {
        let (sink, database) = sink("interrupted").await;
        filled(&sink, definition("t"), 1).await;
        filled(&sink, definition("s").loading(), 2).await;
        for step in done {
            database.query(step).await.unwrap();
        }
        let expected = if done.is_empty() { Published::Replaced } else { Published::Already };
        assert_eq!(sink.publish("s", "t").await.unwrap(), expected, "{done:?}");
        assert_eq!(database.query("SELECT id FROM t").await.unwrap(), "2", "{done:?}");
        assert_eq!(sink.tables("").await.unwrap(), ["t"]);
        assert!(!is_loading(&database, "t").await);
        assert_eq!(sink.describe("t").await.unwrap().unwrap().comment, "orders");
        assert_eq!(sink.publish("s", "t").await.unwrap(), Published::Already);
    }
}

/// A table that is being loaded under its final name is not taken for one that was published from `u`.
#[tokio::test]
async fn another_table_of_the_shadows_name_is_not_dropped() {
    let (sink, database) = sink("other").await;
    filled(&sink, definition("t"), 1).await;
    filled(&sink, definition("u"), 2).await;
    let error = sink.publish("u", "t").await.unwrap_err();
    assert!(error.to_string().contains("not created as a shadow table"), "{error}");
    assert_eq!(database.query("SELECT id FROM u").await.unwrap(), "2");
}

#[tokio::test]
async fn definitions_become_what_they_say() {
    let (sink, database) = sink("definition").await;
    let mut wanted = definition("t").fsync(true).comment("it's \\ `this`");
    wanted.engine = ddl::Engine::ReplacingMergeTree { version: "id".into(), deleted: None };
    wanted.schema =
        column(Field::new("id", DataType::UInt64, true), arrow_array::UInt64Array::from(vec![0])).schema();
    wanted.column_comments.insert("id".into(), "the 'key'".into());
    wanted.settings.insert("index_granularity".into(), "1024".into());
    // A nullable version column is refused by ClickHouse, a nullable key is not.
    assert!(sink.create(&wanted).await.is_err());
    wanted.engine = ddl::Engine::MergeTree;
    sink.create(&wanted).await.unwrap();
    let text = database.query("SHOW CREATE TABLE t FORMAT TSVRaw").await.unwrap();
    for part in [
        "COMMENT 'the \\'key\\''",
        "COMMENT 'it\\'s \\\\ `this`'",
        "allow_nullable_key = 1",
        "fsync_after_insert = 1",
        "index_granularity = 1024",
        "non_replicated_deduplication_window = 10000",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

/// What is read of one table is what makes another one of the same kind.
#[tokio::test]
async fn additions_are_read_and_given_on() {
    let (sink, database) = sink("additions").await;
    sink.create(&definition("t")).await.unwrap();
    for change in [
        "ADD COLUMN at DateTime DEFAULT '2030-01-01 00:00:00' COMMENT 'it''s (when)' CODEC(DoubleDelta, LZ4)",
        "ADD COLUMN `odd, name` String MATERIALIZED concat('TTL ', toString(id)) TTL at + INTERVAL 1 YEAR",
        "ADD INDEX `by, id` id TYPE minmax GRANULARITY 3",
        "ADD PROJECTION p (SELECT at, count() GROUP BY at)",
        "ADD CONSTRAINT c CHECK id != -1",
        "MODIFY SETTING merge_with_ttl_timeout = 7200, storage_policy = 'default'",
        "MODIFY TTL at + INTERVAL 2 YEAR, at + INTERVAL 1 MONTH RECOMPRESS CODEC(ZSTD(9))",
    ] {
        database.query(&format!("ALTER TABLE t {change}")).await.unwrap();
    }
    let there = sink.describe("t").await.unwrap().unwrap().additions.unwrap();
    assert_eq!((there.columns.len(), there.elements.len()), (2, 3));
    let mut other = definition("u").loading();
    other.additions = there.clone();
    sink.create(&other).await.unwrap();
    sink.execute(&format!("ALTER TABLE u {}", there.without_ttl().unwrap())).await.unwrap();
    let text = database.query("SHOW CREATE TABLE u FORMAT TSVRaw").await.unwrap();
    assert!(!text.contains("TTL at") && text.contains("DoubleDelta"), "{text}");
    sink.execute(&format!("ALTER TABLE u {}", there.with_ttl().unwrap())).await.unwrap();
    assert_eq!(sink.publish("u", "t").await.unwrap(), Published::Replaced);
    assert_eq!(sink.describe("t").await.unwrap().unwrap().additions.unwrap(), there);

    // Each of them can be made without those that follow.
    for (name, additions) in there.steps() {
        let step = TableDefinition { additions, ..definition("step") };
        sink.create(&step).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        sink.drop_table("step").await.unwrap();
    }
    assert_eq!(sink.describe("t").await.unwrap().unwrap().rows, 0);
    let view = "CREATE VIEW v AS SELECT throwIf(id < 0) FROM t COMMENT 'mine'";
    database.query(view).await.unwrap();
    let object = sink.object("v").await.unwrap().unwrap();
    assert_eq!((object.engine.as_str(), object.comment.as_str()), ("View", "mine"));
    assert!(object.query.starts_with("SELECT throwIf(id < 0) FROM "), "{object:?}");
}
