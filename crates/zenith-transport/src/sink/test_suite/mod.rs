//! The tests every sink runs, so that a third party can prove its own.
//!
//! ```ignore
//! zenith_transport::sink_test_suite!(my_sink, MySink::connect());
//! ```
//!
//! makes a module of `#[tokio::test]`s, each with a sink of its own from the given future. The sink must begin without
//! tables. The crate that uses it needs tokio with `macros` and `rt-multi-thread`.
//!
//! These are the promises of every [`Sink`]. Where it can read a table back ([`Sink::read`]), rows are compared, else
//! they are counted. Behind the future stands what it can besides: `tables` for a sink that describes, lists and empties
//! tables and adds columns, `rows` for one whose [`TableAdmin`](super::TableAdmin) looks up and removes rows and dead
//! letters.
//!
//! ```ignore
//! zenith_transport::sink_test_suite!(my_sink, MySink::connect(), tables, rows);
//! ```

mod rows;
mod tables;

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};

use super::{Insert, PreflightRequest, Published, Sink};
use crate::{DeadLetter, Durable, Result, TableDefinition, TransportError};

pub use rows::*;
pub use tables::*;

/// Makes a test module that runs the suite against sinks made by an expression, which is awaited.
#[macro_export]
macro_rules! sink_test_suite {
    ($module:ident, $sink:expr $(, $more:ident)*) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $crate::sink_test_suite!(@each $sink,
                preflight_names_the_database,
                a_batch_lands_whole,
                a_token_counts_once,
                equal_rows_under_another_token_land,
                an_absent_table_is_an_error,
                a_table_is_created_once,
                a_free_name_is_taken,
                a_taken_name_is_replaced,
                a_publication_may_be_repeated,
                only_shadow_tables_are_published,
                dropping_an_absent_table_is_no_error,
                writes_may_run_side_by_side,
                dead_letters_are_kept,
            );
            $($crate::sink_test_suite!(@$more $sink);)*

            /// Behind the type of any sink it is the same one.
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn an_erased_sink_is_the_same_sink() {
                let sink = $crate::DynSink::new($sink.await);
                $crate::sink::test_suite::a_batch_lands_whole(&sink).await;
                $crate::sink::test_suite::dead_letters_are_kept(&sink.clone()).await;
            }
        }
    };
    (@tables $sink:expr) => {
        $crate::sink_test_suite!(@each $sink,
            tables_are_described,
            tables_are_listed_by_prefix,
            columns_are_added,
            documents_gain_parts,
            tables_are_cloned,
            truncating_empties,
            merging_is_switched,
        );
    };
    (@rows $sink:expr) => {
        $crate::sink_test_suite!(@each $sink,
            rows_are_selected,
            keys_of_every_kind_are_found,
            many_keys_are_found_together,
            rows_are_counted_by_the_hash_of_their_keys,
            of_a_key_the_current_row_counts,
            the_live_places_of_documents_are_known,
            rows_are_found_by_keys_in_their_text,
            rows_are_removed,
            dead_letters_are_found,
            dead_letters_are_removed,
        );
    };
    (@each $sink:expr, $($test:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let sink = $sink.await;
                $crate::sink::test_suite::$test(&sink).await;
            }
        )*
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
/// That a table has the rows with these ids and no others, as far as the sink can show.
async fn holds<S: Sink + ?Sized>(sink: &S, table: &str, expected: Range<i64>) {
    let counted = sink.count(table).await.expect("counted");
    assert_eq!(Ok(counted), u64::try_from(expected.end - expected.start), "rows of {table}");
    let batches = match sink.read(table).await {
        Err(TransportError::Unsupported { .. }) => return,
        batches => batches.expect("the table is read"),
    };
    assert_eq!(ids(&batches), expected.collect::<Vec<_>>(), "rows of {table}");
}

fn ids(batches: &[RecordBatch]) -> Vec<i64> {
    let columns = batches.iter().map(|batch| batch.column_by_name("id").expect("a column id"));
    let mut ids: Vec<i64> =
        columns.flat_map(|column| column.as_primitive::<Int64Type>().values().iter().copied()).collect();
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
    holds(sink, "t", 0..1000).await;
}

/// A repeat with the same token has no effect, even after other inserts.
pub async fn a_token_counts_once(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    for token in ["a", "a", "b", "a", "b"] {
        write(sink, "t", rows(0..10), token).await.expect("written");
    }
    assert_eq!(sink.count("t").await.expect("counted"), 20);
}

/// Tokens distinguish inserts, not rows.
pub async fn equal_rows_under_another_token_land(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    write(sink, "t", rows(0..10), "a").await.expect("written");
    write(sink, "t", rows(0..10), "b").await.expect("written");
    write(sink, "t", rows(10..20), "a").await.expect("taken for a repeat");
    if let Ok(batches) = sink.read("t").await {
        assert_eq!(ids(&batches).last(), Some(&9));
    }
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

/// A name is taken once, unless the definition allows for it.
pub async fn a_table_is_created_once(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    assert!(!sink.create(&definition("t")).await.expect_err("the name is taken").is_transient());
    sink.create(&definition("t").if_not_exists()).await.expect("allowed");
}

/// A shadow table takes a free name, loses its mark, and its merges run.
pub async fn a_free_name_is_taken(sink: &impl Sink) {
    sink.create(&definition("t__zenith_1").comment("orders").loading()).await.expect("created");
    write(sink, "t__zenith_1", rows(0..5), "a").await.expect("written");
    assert_eq!(sink.publish("t__zenith_1", "t").await.expect("published"), Published::Renamed);
    holds(sink, "t", 0..5).await;
    assert!(sink.count("t__zenith_1").await.expect_err("it has the other name").is_unknown_table());
    if let Some(table) = sink.describe("t").await.expect("an answer") {
        assert_eq!(table.comment, "orders");
    }
}

/// A shadow table takes the place of another table, which is dropped.
pub async fn a_taken_name_is_replaced(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    write(sink, "t", rows(0..5), "a").await.expect("written");
    sink.create(&definition("t__zenith_1").loading()).await.expect("created");
    write(sink, "t__zenith_1", rows(5..7), "a").await.expect("written");
    assert_eq!(sink.publish("t__zenith_1", "t").await.expect("published"), Published::Replaced);
    holds(sink, "t", 5..7).await;
    assert!(sink.count("t__zenith_1").await.expect_err("it is dropped").is_unknown_table());
}

/// Publishing again what has been published does not bring the old table back.
pub async fn a_publication_may_be_repeated(sink: &impl Sink) {
    a_taken_name_is_replaced(sink).await;
    assert_eq!(sink.publish("t__zenith_1", "t").await.expect("published before"), Published::Already);
    holds(sink, "t", 5..7).await;
}

/// A table that is no shadow table is not published: the other one would be lost.
pub async fn only_shadow_tables_are_published(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    sink.create(&definition("u")).await.expect("created");
    write(sink, "t", rows(0..5), "a").await.expect("written");
    assert!(!sink.publish("u", "t").await.expect_err("no shadow table").is_transient());
    assert_eq!(sink.count("t").await.expect("counted"), 5);
    assert_eq!(sink.count("u").await.expect("it is still there"), 0);
}

/// A drop returns when the table no longer exists.
pub async fn dropping_an_absent_table_is_no_error(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    sink.drop_table("t").await.expect("dropped");
    sink.drop_table("t").await.expect("gone already");
    assert!(sink.count("t").await.expect_err("no table").is_unknown_table());
    assert_eq!(sink.describe("t").await.expect("an answer"), None);
}

/// Inserts do not disturb each other.
pub async fn writes_may_run_side_by_side(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    let one = |n: i64| async move { write(sink, "t", rows(n * 100..n * 100 + 100), &n.to_string()).await };
    let (a, b, c, d) = tokio::join!(one(0), one(1), one(2), one(3));
    for durable in [a, b, c, d] {
        assert_eq!(durable.expect("written").rows, 100);
    }
    holds(sink, "t", 0..400).await;
}

/// Writing dead letters creates their table and keeps bytes as they are.
pub async fn dead_letters_are_kept(sink: &impl Sink) {
    let letter = letter("1");
    for token in ["a", "a", "b"] {
        sink.write_dead_letters("dead", std::slice::from_ref(&letter), token).await.expect("kept");
    }
    assert_eq!(sink.count("dead").await.expect("counted"), 2);
}

fn letter(id: &str) -> DeadLetter {
    DeadLetter {
        at: SystemTime::now(),
        pipeline: "p".into(),
        run: "r".into(),
        namespace: "shop.orders".into(),
        id: id.into(),
        field: "price".into(),
        reason: "it's bad".into(),
        document: b"\x05\x00\x00\x00\x00".to_vec(),
        version: 7,
        operation: "update".into(),
        index: 1,
    }
}
