//! What a sink promises that describes, lists and empties its tables, and adds columns to them.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, Schema};

use super::{definition, rows, write};
use crate::TableDefinition;
use crate::sink::{Merging, Published, Sink};

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
    sink.admin().add_columns("t", &more, None).await.expect("added");
    sink.admin().add_columns("t", &[], None).await.expect("nothing to add");
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

/// A part that a document gains shows nothing in rows from before, and values in later ones.
pub async fn documents_gain_parts(sink: &impl Sink) {
    let document = |parts: &[&str]| {
        let parts: Vec<_> = parts.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect();
        Field::new("d", DataType::Struct(parts.into()), false)
    };
    let id = Field::new("id", DataType::Int64, false);
    let schema = Schema::new(vec![id.clone(), document(&["a"])]);
    let mut table = TableDefinition::new("t", Arc::new(schema)).order_by(["id"]);
    // ClickHouse knows the size of columns that have a file of their own.
    table.settings.insert("min_bytes_for_wide_part".to_owned(), "0".to_owned());
    sink.create(&table).await.expect("created");
    let batch = |number: i64, parts: &[&str]| {
        let value = || Arc::new(Int64Array::from(vec![number])) as ArrayRef;
        let parts: Vec<_> =
            parts.iter().map(|name| (Arc::new(Field::new(*name, DataType::Int64, true)), value())).collect();
        let names: Vec<&str> = parts.iter().map(|(field, _)| field.name().as_str()).collect();
        let schema = Arc::new(Schema::new(vec![id.clone(), document(&names)]));
        RecordBatch::try_new(schema, vec![value(), Arc::new(StructArray::from(parts))]).expect("a batch")
    };
    write(sink, "t", batch(1, &["a"]), "a").await.expect("written");
    sink.admin().modify_columns("t", &[Arc::new(document(&["a", "b"]))]).await.expect("modified");
    sink.admin().modify_columns("t", &[]).await.expect("nothing to modify");
    write(sink, "t", batch(2, &["a", "b"]), "b").await.expect("written");
    let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let bytes = sink.admin().column_bytes("t", &of(&["d", "absent"])).await.expect("an answer");
    assert!((1..1 << 20).contains(&bytes), "{bytes}");
    assert_eq!(sink.admin().column_bytes("t", &of(&[])).await.expect("an answer"), 0);
    let info = sink.describe("t").await.expect("an answer").expect("a table");
    let parts = info.columns.last().map(|column| column.data_type.matches("Nullable(Int64)").count());
    assert_eq!(parts, Some(2), "{info:?}");
    assert_eq!(sink.count("t").await.expect("counted"), 2);
}

/// A cloned table has the columns, key and rows of the other one, goes its own way from there, and is published like a loaded
/// one.
pub async fn tables_are_cloned(sink: &impl Sink) {
    sink.create(&definition("t").comment("mine")).await.expect("created");
    write(sink, "t", rows(0..7), "a").await.expect("written");
    write(sink, "t", rows(7..9), "b").await.expect("written");
    sink.admin().clone_table("t", "shadow").await.expect("cloned");
    write(sink, "shadow", rows(9..12), "a").await.expect("a token of another table");
    assert_eq!(sink.count("t").await.expect("counted"), 9);
    assert_eq!(sink.publish("shadow", "t").await.expect("published"), Published::Replaced);
    let info = sink.describe("t").await.expect("an answer").expect("a table");
    assert_eq!((info.rows, info.sorting_key.as_str(), info.comment.as_str()), (12, "id", "mine"));
    assert_eq!(sink.describe("shadow").await.expect("an answer"), None);
    sink.admin().clone_table("absent", "shadow").await.expect_err("there is no such table");
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

/// Merges can be held and let go at any time.
pub async fn merging_is_switched(sink: &impl Sink) {
    sink.create(&definition("t").loading()).await.expect("created");
    for merging in [Merging::Running, Merging::Held, Merging::Held, Merging::Running, Merging::Running] {
        sink.set_merging("t", merging).await.expect("switched");
    }
}
