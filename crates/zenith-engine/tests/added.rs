//! Columns that a program adds to rows, on the real servers.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use bson::{Document, doc};
use zenith_engine::{
    BatchTransform, Mode, Pipeline, PipelineSettings, ReloadOptions, TableShape, TransformError,
    VerifyOptions, batch_transform_test_suite,
};

use crate::incremental::{Follow, items};

/// Adds the length of the text `name`, null where there is none.
#[derive(Debug)]
struct Lengths;

impl BatchTransform for Lengths {
    fn fields(&self, rows: &Schema) -> Result<Vec<FieldRef>, TransformError> {
        rows.field_with_name("name")?;
        Ok(vec![Arc::new(Field::new("length", DataType::Int64, true))])
    }

    fn columns(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, TransformError> {
        let names = rows.column_by_name("name").and_then(|names| names.as_string_opt::<i32>());
        let names = names.ok_or("name is no text")?;
        let length = |name: Option<&str>| i64::try_from(name?.chars().count()).ok();
        Ok(vec![Arc::new(Int64Array::from_iter(names.iter().map(length)))])
    }
}

fn rows() -> (Lengths, RecordBatch) {
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b\u{e9}")]));
    let schema = Schema::new(vec![Field::new("name", DataType::Utf8, true)]);
    (Lengths, RecordBatch::try_new(Arc::new(schema), vec![names]).unwrap())
}

batch_transform_test_suite!(lengths, rows);

/// Every row has the length of its name, and the table is equal to the collection.
async fn is_right(follow: &Follow, table: &str, rows: u64) {
    let question = format!(
        "SELECT count(), countIf(ifNull(length, -1) != ifNull(toInt64(lengthUTF8(name)), -1)) FROM {table}"
    );
    assert_eq!(follow.query(&question).await.trim(), format!("{rows}\t0"), "{table}");
    if follow.settings.mode != Mode::ChangeLog {
        let found = follow.replicator().await.verify("items", VerifyOptions::default()).await.unwrap();
        assert!(found.is_equal(), "{table}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_loads_and_of_changes_have_them() {
    let sorted = TableShape { order_by: vec!["n".to_owned()], ..TableShape::default() };
    for (mode, shape, native) in [
        (Mode::Changes, TableShape::default(), false),
        (Mode::Changes, sorted, true),
        (Mode::IdCursor, TableShape::default(), true),
        (Mode::ChangeLog, TableShape::default(), false),
        (Mode::Full, TableShape::default(), false),
    ] {
        let settings = PipelineSettings {
            mode,
            shape,
            settle: std::time::Duration::ZERO,
            ..PipelineSettings::default()
        };
        let mut follow = Follow::new("added", settings).await;
        follow.bench.native = native;
        follow.transform = Some(Arc::new(Lengths));
        let table = if mode == Mode::Changes { "items_current" } else { "items" };
        let collection = follow.bench.databases.mongodb.collection::<Document>("items");
        collection.insert_many(items(0..300)).await.unwrap();
        follow.catch_up_well().await;
        is_right(&follow, table, if mode == Mode::ChangeLog { 0 } else { 300 }).await;
        // With a field that is new.
        let more = (300..400).map(|n| doc! { "_id": n, "name": format!("{n}"), "n": n, "later": 5 });
        collection.insert_many(more).await.unwrap();
        if mode == Mode::IdCursor {
            follow.catch_up_well().await;
            is_right(&follow, table, 400).await;
            assert_eq!(follow.query("SELECT sum(later) FROM items").await.trim(), "500");
            continue;
        }
        let update = doc! { "$set": { "name": "another name", "n": -1 } };
        collection.update_many(doc! { "_id": { "$lt": 50 } }, update).await.unwrap();
        collection
            .update_many(doc! { "_id": { "$gt": 380 } }, doc! { "$unset": { "name": 1 } })
            .await
            .unwrap();
        collection.delete_many(doc! { "_id": { "$gte": 100, "$lt": 120 } }).await.unwrap();
        follow.catch_up_well().await;
        is_right(&follow, table, if mode == Mode::ChangeLog { 100 + 50 + 19 + 20 } else { 380 }).await;
        if mode != Mode::ChangeLog {
            follow.replicator().await.reload("items").await.unwrap();
            is_right(&follow, table, 380).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_them_and_a_table_without_them_is_told() {
    let mut follow = Follow::new("added_copy", PipelineSettings::default()).await;
    let collection = follow.bench.databases.mongodb.collection::<Document>("items");
    collection.insert_many(items(0..300)).await.unwrap();
    let options = ReloadOptions { memory: 32 << 20, ..ReloadOptions::default() };
    let bench = &follow.bench;
    let copy = Pipeline::builder()
        .source(zenith_engine::MongoSource::connect(&bench.databases.mongodb_uri).await.unwrap())
        .sink(bench.sink(None))
        .namespace(zenith_engine::Namespace::new(&bench.databases.name, "items"))
        .table("copied")
        .transform(Arc::new(Lengths))
        .options(options)
        .build()
        .unwrap();
    assert_eq!(copy.run().await.unwrap().rows, 300);
    let question =
        "SELECT count(), countIf(ifNull(length, -1) != ifNull(toInt64(lengthUTF8(name)), -1)) FROM copied";
    assert_eq!(follow.query(question).await.trim(), "300\t0");
    // A pipeline that had none gets one.
    follow.catch_up_well().await;
    follow.transform = Some(Arc::new(Lengths));
    let error = follow.catch_up().await.error.unwrap().to_string();
    assert!(error.contains("has no column length"), "{error}");
    follow.replicator().await.reload("items").await.unwrap();
    collection.insert_many(items(300..310)).await.unwrap();
    follow.catch_up_well().await;
    is_right(&follow, "items_current", 310).await;
}
