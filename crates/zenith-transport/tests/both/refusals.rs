//! What is in the table after an insert has failed, and after it was repeated.

use arrow_array::RecordBatch;
use zenith_memory::Pool;
use zenith_testkit::ClickHouse;
use zenith_transport::{ClickHouseSink, Engine, Insert, Result, Sink, TableDefinition};

use super::support::{pooled_rows, sink};

const ROWS: i32 = 100;

fn rows() -> RecordBatch {
    pooled_rows(&Pool::new(1024 * 1024).unwrap(), ROWS)
}

async fn write(sink: &ClickHouseSink, batch: RecordBatch, token: &str) -> Result<()> {
    sink.write(Insert { table: "t".into(), batch, token: token.into() }).await.map(|_| ())
}

/// Rows of the table, different ones of them, and rows of the view.
async fn counts(database: &ClickHouse) -> String {
    let counts = "SELECT (SELECT count() FROM t), (SELECT uniqExact(id) FROM t), (SELECT count() FROM seen)";
    database.query(counts).await.unwrap().trim().replace('\t', " ")
}

/// A view that fails for one row of a hundred leaves all of them in the table and none in the view. The repetition brings
/// nothing twice, and once the view is repaired it brings the view what it lacks.
#[tokio::test]
async fn a_view_that_fails_leaves_the_rows_and_a_repetition_completes_them() {
    let replacing = Engine::ReplacingMergeTree { version: "id".into(), deleted: None };
    for (label, engine) in [("view", Engine::MergeTree), ("view_replacing", replacing)] {
        let (sink, database) = sink(label).await;
        let definition = TableDefinition::new("t", rows().schema()).order_by(["id"]).engine(engine);
        sink.create(&definition).await.unwrap();
        let seen = "CREATE TABLE seen (id Int64, n UInt64) ENGINE = MergeTree ORDER BY id \
                    SETTINGS non_replicated_deduplication_window = 100";
        database.query(seen).await.unwrap();
        let view =
            "CREATE MATERIALIZED VIEW v TO seen AS SELECT id, toUInt64(if(id = 50, 'x', '1')) AS n FROM t";
        database.query(view).await.unwrap();
        for _ in 0..2 {
            let error = write(&sink, rows(), "a").await.unwrap_err();
            assert!(error.view().is_some_and(|view| view.ends_with(".v")), "{error:?}");
            assert!(!error.is_transient() && !error.is_constraint_violated(), "{error:?}");
            assert_eq!(counts(&database).await, "100 100 0", "{label}");
        }
        database.query("DROP VIEW v").await.unwrap();
        database.query("CREATE MATERIALIZED VIEW v TO seen AS SELECT id, 1 AS n FROM t").await.unwrap();
        for _ in 0..2 {
            write(&sink, rows(), "a").await.unwrap();
            assert_eq!(counts(&database).await, "100 100 100", "{label}");
        }
    }
}

/// A constraint is checked before a row is written, also where it is one of a table that a view fills.
#[tokio::test]
async fn a_constraint_leaves_nothing_in_its_table() {
    let (sink, database) = sink("constraint").await;
    sink.create(&TableDefinition::new("t", rows().schema()).order_by(["id"])).await.unwrap();
    database
        .query("CREATE TABLE seen (id Int64, CONSTRAINT c CHECK id != 60) ENGINE = MergeTree ORDER BY id")
        .await
        .unwrap();
    database.query("ALTER TABLE t ADD CONSTRAINT own CHECK id != 50").await.unwrap();
    for _ in 0..2 {
        let error = write(&sink, rows(), "a").await.unwrap_err();
        assert!(error.is_constraint_violated() && error.is_data_rejected(), "{error:?}");
        assert_eq!(error.view(), None);
        assert_eq!(counts(&database).await, "0 0 0");
    }
    database.query("CREATE MATERIALIZED VIEW v TO seen AS SELECT id FROM t").await.unwrap();
    let error = write(&sink, rows().slice(51, 49), "b").await.unwrap_err();
    assert!(error.view().is_some(), "{error:?}");
    assert_eq!(counts(&database).await, "49 49 0");
}
