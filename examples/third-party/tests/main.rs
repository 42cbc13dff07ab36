//! The suites of all traits, and copies from one end to the other.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, StringArray};
use arrow_schema::{DataType, Field, Schema};
use bson::{RawDocumentBuf, rawdoc};
use zenith_engine::arrow::extended_json::write_document;
use zenith_engine::extract::source_test_suite;
use zenith_engine::transport::{DynSink, sink_test_suite};
use zenith_engine::{
    EngineError, Namespace, Pipeline, Pool, RecordBatch, Sink, Summary, batch_transform_test_suite, sentence,
};
use zenith_third_party::{ArrowFolder, JsonLines, Lengths};

/// An empty folder of its own for each test, among those that cargo keeps for this crate.
fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("third-party-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn orders() -> Namespace {
    Namespace::new("files", "orders")
}

async fn with(documents: Vec<RawDocumentBuf>) -> (JsonLines, Namespace) {
    let (folder, mut text) = (folder(), Vec::new());
    for document in &documents {
        write_document(&mut text, document.as_bytes()).unwrap();
        text.push(b'\n');
    }
    fs::write(folder.join("orders.jsonl"), text).unwrap();
    (JsonLines::new(folder), orders())
}

async fn empty() -> ArrowFolder {
    let sink = ArrowFolder::new(folder());
    sink.preflight(&Default::default()).await.unwrap();
    sink
}

source_test_suite!(json_lines, with);
sink_test_suite!(arrow_folder, empty());
batch_transform_test_suite!(lengths, measured);

/// The lengths of names, and rows that have some.
fn measured() -> (Lengths, RecordBatch) {
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b\u{e9}")]));
    let schema = Schema::new(vec![Field::new("name", DataType::Utf8, true)]);
    (Lengths::of("name"), RecordBatch::try_new(Arc::new(schema), vec![names]).unwrap())
}

async fn copy(source: JsonLines, sink: impl Sink + 'static, replace: bool) -> Result<Summary, EngineError> {
    let options = zenith_engine::ReloadOptions { memory: 64 << 20, replace, ..Default::default() };
    Pipeline::builder()
        .source(source)
        .sink(sink)
        .pool(Pool::new(64 << 20)?)
        .namespace(orders())
        .options(options)
        .build()?
        .run()
        .await
}

fn documents(count: i32) -> Vec<RawDocumentBuf> {
    (0..count).map(|id| rawdoc! { "_id": id, "name": format!("item {id}"), "tags": ["a", "b"] }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_has_every_document_and_a_second_one_replaces_it() {
    let sink = empty().await;
    for (count, source) in [(20_000, with(documents(20_000)).await.0), (300, with(documents(300)).await.0)] {
        let summary = copy(source, sink.clone(), true).await.unwrap();
        assert_eq!((summary.rows, summary.dead_letters), (count, 0));
        assert_eq!(sink.count("orders").await.unwrap(), count);
        let batches = sink.read("orders").await.unwrap();
        assert!(batches.iter().all(|batch| batch.column_by_name("tags").is_some()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_is_chosen_at_run_time_copies() {
    let sink = empty().await;
    let summary = copy(with(documents(500)).await.0, DynSink::new(sink.clone()), true).await.unwrap();
    assert_eq!((summary.rows, sink.count("orders").await.unwrap()), (500, 500));
}

/// The rows have the column, and a transform that misses what it needs writes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_has_the_columns_of_a_transform() {
    let sink = empty().await;
    for (name, failure) in [("missing", Some("no text column missing")), ("name", None)] {
        let pipeline = Pipeline::builder()
            .source(with(documents(200)).await.0)
            .sink(sink.clone())
            .pool(Pool::new(64 << 20).unwrap())
            .namespace(orders())
            .transform(Arc::new(Lengths::of(name)))
            .build()
            .unwrap();
        match (pipeline.run().await, failure) {
            (Err(error), Some(part)) => assert!(sentence(&error).contains(part), "{error}"),
            (done, _) => assert_eq!(done.unwrap().rows, 200),
        }
    }
    let lengths = sink.read("orders").await.unwrap();
    let all = lengths
        .iter()
        .flat_map(|rows| rows.column_by_name("name_length").unwrap().as_primitive::<Int64Type>());
    // "item 0" to "item 199".
    assert_eq!(all.map(Option::unwrap).sum::<i64>(), 10 * 6 + 90 * 7 + 100 * 8);
}

/// The failure is the source's own, in its words, and the user's to correct.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_line_is_named() {
    let folder = folder();
    fs::write(folder.join("orders.jsonl"), "{\"_id\": 1}\n{\"_id\": \n").unwrap();
    let sink = empty().await;
    let error = copy(JsonLines::new(folder), sink.clone(), true).await.unwrap_err();
    let text = sentence(&error);
    assert!(error.is_input() && text.contains("line 2 of") && text.contains("orders.jsonl"), "{text}");
    assert!(sink.count("orders").await.unwrap_err().is_unknown_table(), "nothing was created");
}

/// What the sink has no method for is said in one sentence, by the engine and before anything is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_sink_cannot_do_is_said() {
    let sink = empty().await;
    let mut options = zenith_engine::ReloadOptions { memory: 64 << 20, ..Default::default() };
    options.table.strategy = zenith_engine::Strategy::Truncate;
    let pipeline = Pipeline::builder()
        .source(with(documents(5)).await.0)
        .sink(sink.clone())
        .pool(Pool::new(64 << 20).unwrap())
        .namespace(orders())
        .options(options)
        .build()
        .unwrap();
    let text = sentence(&pipeline.run().await.unwrap_err());
    assert!(text.contains("this sink cannot empty a table that it keeps"), "{text}");
    let letters = zenith_engine::DeadLetters::new(&sink, "dead_letters");
    let text = sentence(&letters.count(&Default::default()).await.unwrap_err());
    assert!(text.contains("this sink cannot count dead letters"), "{text}");
}
