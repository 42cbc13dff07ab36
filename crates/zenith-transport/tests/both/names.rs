//! Names of columns, tuple elements, tables and databases that need quoting.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int32Array, StructArray};
use arrow_schema::{DataType, Field};
use zenith_testkit::services::test_servers::unique_name;
use zenith_transport::{ConnectionOptions, Sink, ddl};

use super::support::{column, load, server, sink, sink_for};

const NAMES: [&str; 20] = [
    "a`b",
    "a'b",
    "a\"b",
    "a\\b",
    "a.b",
    "a.b.c",
    "$a",
    "a b",
    " ",
    "é",
    "😀",
    "1",
    "1a",
    "a\nb",
    "a\tb",
    "a\0b",
    "select",
    "distinct",
    "a%41b",
    "a;DROP TABLE t",
];

fn sevens() -> Int32Array {
    Int32Array::from(vec![Some(7)])
}

#[tokio::test]
async fn columns_and_elements_may_have_any_name() {
    let (sink, _) = sink("names").await;
    for (index, name) in NAMES.into_iter().chain(["null"]).enumerate() {
        let table = format!("column{index}");
        load(&sink, &table, &column(Field::new(name, DataType::Int32, true), sevens())).await.unwrap();
        assert_eq!(sink.describe(&table).await.unwrap().unwrap().columns[0].name, name);
        assert_eq!(sink.read(&table).await.unwrap()[0].column(0).as_ref(), &sevens());
    }
    for (index, name) in NAMES.into_iter().enumerate() {
        let element = Arc::new(Field::new(name, DataType::Int32, true));
        let tuple = StructArray::from(vec![(element, Arc::new(sevens()) as ArrayRef)]);
        let field = Field::new("c", tuple.data_type().clone(), false);
        let batch = column(field.clone(), tuple);
        let table = format!("element{index}");
        load(&sink, &table, &batch).await.unwrap();
        let described = &sink.describe(&table).await.unwrap().unwrap().columns[0].data_type;
        let made = ddl::column_type(&field, ddl::Dialect::default()).unwrap();
        assert!(ddl::same_type(&made, described), "{made} and {described}");
        assert_eq!(sink.read(&table).await.unwrap()[0].column(0), batch.column(0));
    }
}

#[tokio::test]
async fn names_clickhouse_cannot_have_are_refused_before_anything_is_created() {
    let (sink, _) = sink("names").await;
    let error = load(&sink, "t", &column(Field::new("", DataType::Int32, true), sevens())).await.unwrap_err();
    assert!(error.to_string().contains("no columns with an empty name"), "{error}");
    for name in ["", "null"] {
        assert!(ddl::element_name_refusal(name).is_some());
        let tuple = StructArray::from(vec![(
            Arc::new(Field::new(name, DataType::Int32, true)),
            Arc::new(sevens()) as ArrayRef,
        )]);
        let batch = column(Field::new("c", tuple.data_type().clone(), false), tuple);
        let error = load(&sink, "t", &batch).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("the column c.{name} cannot")), "{error}");
    }
    assert!(sink.tables("").await.unwrap().is_empty());
}

#[tokio::test]
async fn tables_and_databases_may_have_any_name() {
    let server = server().await;
    for name in ["it's `quoted` \\ %41.x", "Größe & Co?"] {
        let database = server.create_database(&unique_name(name)).await.unwrap();
        let sink = sink_for(&database, None, ConnectionOptions::default()).await;
        load(&sink, name, &column(Field::new("c", DataType::Int32, true), sevens())).await.unwrap();
        assert_eq!(sink.count(name).await.unwrap(), 1);
        assert_eq!(sink.tables(name).await.unwrap(), [name]);
        sink.execute("DROP DATABASE IF EXISTS nothing").await.unwrap();
    }
}
