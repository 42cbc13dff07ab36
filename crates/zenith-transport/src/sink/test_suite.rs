//! The tests every sink runs, so that a third party can prove its own.
//!
//! ```ignore
//! zenith_transport::sink_test_suite!(my_sink, MySink::connect());
//! ```
//!
//! makes a module of `#[tokio::test]`s, one for each function here, each with a sink of its own from the
//! given future. The sink must begin without tables. The crate that uses it needs tokio with `macros` and
//! `rt`.

use std::sync::Arc;
use std::time::SystemTime;

use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};

use super::{DynSink, Insert, Merging, PreflightRequest, Published, Sink};
use crate::{DeadLetter, Durable, Result, TableDefinition};

/// Makes a test module that runs the suite against sinks made by an expression, which is awaited.
#[macro_export]
macro_rules! sink_test_suite {
    ($module:ident, $sink:expr) => {
        $crate::sink_test_suite!(@each $module, $sink,
            preflight_names_the_database,
            a_batch_lands_whole,
            a_token_counts_once,
            equal_rows_under_another_token_land,
            an_absent_table_is_an_error,
            tables_are_described,
            a_table_is_created_once,
            tables_are_listed_by_prefix,
            columns_are_added,
            a_free_name_is_taken,
            a_taken_name_is_replaced,
            a_publication_may_be_repeated,
            only_shadow_tables_are_published,
            truncating_empties,
            dropping_an_absent_table_is_no_error,
            merging_is_switched,
            writes_may_run_side_by_side,
            dead_letters_are_kept,
            the_boxed_twin_is_the_same_sink,
        );
    };
    (@each $module:ident, $sink:expr, $($test:ident,)*) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let sink = $sink.await;
                    $crate::sink::test_suite::$test(&sink).await;
                }
            )*
        }
    };
}

/// Rows `range` of two columns, `id` and `text`.
fn rows(range: std::ops::Range<i64>) -> RecordBatch {
    let schema =
        Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("text", DataType::Utf8, true)]);
    let texts: StringArray = range.clone().map(|id| (id % 3 > 0).then(|| format!("row {id}"))).collect();
    let ids = Int64Array::from_iter_values(range);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(ids), Arc::new(texts)]).expect("equal lengths")
}

fn definition(name: &str) -> TableDefinition {
    TableDefinition::new(name, rows(0..0).schema()).order_by(["id"])
}

async fn write<S: Sink + ?Sized>(sink: &S, table: &str, batch: RecordBatch, token: &str) -> Result<Durable> {
    sink.write(Insert { table: table.into(), batch, token: token.into() }).await
}

/// All ids of a table, in order.
async fn ids<S: Sink + ?Sized>(sink: &S, table: &str) -> Vec<i64> {
    let mut ids = Vec::new();
    for batch in sink.read(table).await.expect("the table is read") {
        let column = batch.column_by_name("id").expect("a column id");
        let column = column.as_any().downcast_ref::<Int64Array>().expect("64-bit integers");
        ids.extend(column.values());
    }
    ids.sort_unstable();
    ids
}

/// The check before a run succeeds and says where tables go.
pub async fn preflight_names_the_database(sink: &impl Sink) {
    let info = sink.preflight(&PreflightRequest::default()).await.expect("a usable sink");
    assert!(!info.database.is_empty() && !info.version.is_empty());
    assert!(!info.database_created);
}

/// What is written is there once the write has returned.
pub async fn a_batch_lands_whole(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    let durable = write(sink, "t", rows(0..1000), "a").await.expect("written");
    assert_eq!(durable.rows, 1000);
    // A sink may compress them.
    assert!(durable.bytes > 1000);
    assert_eq!(sink.count("t").await.expect("counted"), 1000);
    assert_eq!(ids(sink, "t").await, (0..1000).collect::<Vec<_>>());
}

/// A repeat with the same token has no effect, whatever came in between.
pub async fn a_token_counts_once(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    for token in ["a", "a", "b", "a", "b"] {
        write(sink, "t", rows(0..10), token).await.expect("written");
    }
    assert_eq!(sink.count("t").await.expect("counted"), 20);
}

/// Tokens tell inserts apart, not rows.
pub async fn equal_rows_under_another_token_land(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    write(sink, "t", rows(0..10), "a").await.expect("written");
    write(sink, "t", rows(0..10), "b").await.expect("written");
    write(sink, "t", rows(10..20), "a").await.expect("taken for a repeat");
    assert_eq!(ids(sink, "t").await.iter().max(), Some(&9));
    assert_eq!(sink.count("t").await.expect("counted"), 20);
}

/// Writing to, counting or publishing what is not there fails as such, and is not worth repeating.
pub async fn an_absent_table_is_an_error(sink: &impl Sink) {
    let error = write(sink, "absent", rows(0..1), "a").await.expect_err("no table");
    assert!(error.is_unknown_table() && !error.is_transient(), "{error:?}");
    assert!(sink.count("absent").await.expect_err("no table").is_unknown_table());
    assert!(sink.publish("absent", "t").await.expect_err("no table").is_unknown_table());
    assert_eq!(sink.describe("absent").await.expect("an answer"), None);
}

/// A description has columns, key, comment and count.
pub async fn tables_are_described(sink: &impl Sink) {
    sink.create(&definition("t").comment("what's `this`?")).await.expect("created");
    write(sink, "t", rows(0..7), "a").await.expect("written");
    let info = sink.describe("t").await.expect("an answer").expect("a table");
    let columns: Vec<_> = info.columns.iter().map(|c| (c.name.as_str(), c.data_type.as_str())).collect();
    assert_eq!(columns, [("id", "Int64"), ("text", "Nullable(String)")]);
    assert_eq!((info.engine.as_str(), info.sorting_key.as_str(), info.rows), ("MergeTree", "id", 7));
    assert_eq!(info.comment, "what's `this`?");
    let object = sink.object("t").await.expect("an answer").expect("the name is taken");
    assert_eq!((object.engine, object.comment, object.columns), (info.engine, info.comment, info.columns));
    assert_eq!(sink.object("u").await.expect("an answer"), None);
}

/// A name is taken once, unless the definition allows for it.
pub async fn a_table_is_created_once(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    assert!(!sink.create(&definition("t")).await.expect_err("the name is taken").is_transient());
    sink.create(&definition("t").if_not_exists()).await.expect("allowed");
}

/// Left-over tables are found by the beginning of their names, taken literally.
pub async fn tables_are_listed_by_prefix(sink: &impl Sink) {
    for name in ["t_b", "t_a", "tx", "u"] {
        sink.create(&definition(name)).await.expect("created");
    }
    assert_eq!(sink.tables("t_").await.expect("listed"), ["t_a", "t_b"]);
    assert!(sink.tables("v").await.expect("listed").is_empty());
}

/// New columns are there for the next insert; adding one that is there changes nothing.
pub async fn columns_are_added(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    let more = [
        Arc::new(Field::new("more", DataType::Int64, true)),
        Arc::new(Field::new("id", DataType::Int64, false)),
    ];
    sink.add_columns("t", &more).await.expect("added");
    sink.add_columns("t", &[]).await.expect("nothing to add");
    let info = sink.describe("t").await.expect("an answer").expect("a table");
    assert_eq!(
        info.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(),
        ["id", "text", "more"]
    );
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(vec![1])) as _),
        ("more", Arc::new(Int64Array::from(vec![2])) as _),
    ])
    .expect("a batch");
    write(sink, "t", batch, "a").await.expect("written without the column text");
    assert_eq!(sink.count("t").await.expect("counted"), 1);
}

/// A shadow table takes a free name, loses its mark, and its merges run.
pub async fn a_free_name_is_taken(sink: &impl Sink) {
    sink.create(&definition("t__zenith_1").comment("orders").loading()).await.expect("created");
    write(sink, "t__zenith_1", rows(0..5), "a").await.expect("written");
    assert_eq!(sink.publish("t__zenith_1", "t").await.expect("published"), Published::Renamed);
    assert_eq!(ids(sink, "t").await, [0, 1, 2, 3, 4]);
    assert_eq!(sink.tables("t").await.expect("listed"), ["t"]);
    assert_eq!(sink.describe("t").await.expect("an answer").expect("a table").comment, "orders");
}

/// A shadow table takes the place of another table, which is dropped.
pub async fn a_taken_name_is_replaced(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    write(sink, "t", rows(0..5), "a").await.expect("written");
    sink.create(&definition("t__zenith_1").loading()).await.expect("created");
    write(sink, "t__zenith_1", rows(5..7), "a").await.expect("written");
    assert_eq!(sink.publish("t__zenith_1", "t").await.expect("published"), Published::Replaced);
    assert_eq!(ids(sink, "t").await, [5, 6]);
    assert_eq!(sink.tables("t").await.expect("listed"), ["t"]);
}

/// Publishing again what has been published does not bring the old table back.
pub async fn a_publication_may_be_repeated(sink: &impl Sink) {
    a_taken_name_is_replaced(sink).await;
    assert_eq!(sink.publish("t__zenith_1", "t").await.expect("published before"), Published::Already);
    assert_eq!(ids(sink, "t").await, [5, 6]);
}

/// A table that is no shadow table is not published: the other one would be lost.
pub async fn only_shadow_tables_are_published(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    sink.create(&definition("u")).await.expect("created");
    write(sink, "t", rows(0..5), "a").await.expect("written");
    assert!(!sink.publish("u", "t").await.expect_err("no shadow table").is_transient());
    assert_eq!(sink.count("t").await.expect("counted"), 5);
    assert_eq!(sink.tables("u").await.expect("listed"), ["u"]);
}

/// Truncating leaves an empty table.
pub async fn truncating_empties(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    write(sink, "t", rows(0..5), "a").await.expect("written");
    sink.truncate("t").await.expect("truncated");
    assert_eq!(sink.count("t").await.expect("counted"), 0);
    write(sink, "t", rows(0..5), "b").await.expect("written");
    assert_eq!(sink.count("t").await.expect("counted"), 5);
}

/// Dropping is done when the table is gone.
pub async fn dropping_an_absent_table_is_no_error(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    sink.drop_table("t").await.expect("dropped");
    sink.drop_table("t").await.expect("gone already");
    assert_eq!(sink.describe("t").await.expect("an answer"), None);
}

/// Merges can be held and let go at any time.
pub async fn merging_is_switched(sink: &impl Sink) {
    sink.create(&definition("t").loading()).await.expect("created");
    for merging in [Merging::Running, Merging::Held, Merging::Held, Merging::Running, Merging::Running] {
        sink.set_merging("t", merging).await.expect("switched");
    }
}

/// Inserts do not disturb each other.
pub async fn writes_may_run_side_by_side(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    let one = |n: i64| async move { write(sink, "t", rows(n * 100..n * 100 + 100), &n.to_string()).await };
    let (a, b, c, d) = tokio::join!(one(0), one(1), one(2), one(3));
    for durable in [a, b, c, d] {
        assert_eq!(durable.expect("written").rows, 100);
    }
    assert_eq!(ids(sink, "t").await, (0..400).collect::<Vec<_>>());
}

/// Dead letters make their table, and keep bytes as they are.
pub async fn dead_letters_are_kept(sink: &impl Sink) {
    let letter = DeadLetter {
        at: SystemTime::now(),
        pipeline: "p".into(),
        run: "r".into(),
        namespace: "shop.orders".into(),
        id: "1".into(),
        field: "price".into(),
        reason: "it's bad".into(),
        document: b"\x05\x00\x00\x00\x00".to_vec(),
        version: 7,
        operation: "update".into(),
        index: 1,
    };
    for token in ["a", "a", "b"] {
        sink.write_dead_letters("dead", std::slice::from_ref(&letter), token).await.expect("kept");
    }
    assert_eq!(sink.count("dead").await.expect("counted"), 2);
}

/// The object-safe twin does what the sink does.
pub async fn the_boxed_twin_is_the_same_sink(sink: &impl Sink) {
    let boxed: Box<dyn DynSink + '_> = Box::new(sink);
    boxed.create_boxed(&definition("t")).await.expect("created");
    let insert = Insert { table: "t".into(), batch: rows(0..3), token: "a".into() };
    boxed.write_boxed(insert).await.expect("written");
    assert_eq!(ids(sink, "t").await, [0, 1, 2]);
}
