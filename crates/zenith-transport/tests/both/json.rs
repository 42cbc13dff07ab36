//! JSON columns: what text comes back the same, and what does not.

use std::collections::HashMap;

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BinaryArray, Int32Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field, Schema};
use serde_json::Value;
use zenith_transport::{Insert, Sink, TableDefinition};

use super::support::{column, load, sink};

fn json_field(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
        .with_metadata(HashMap::from([("ARROW:extension:name".to_owned(), "arrow.json".to_owned())]))
}

/// Writes the texts as one batch and reads them back in order.
async fn round_trip(texts: &[&str]) -> Vec<String> {
    let (sink, _) = sink("json").await;
    let numbers: Int32Array = (0..i32::try_from(texts.len()).unwrap()).collect();
    let texts = StringArray::from(texts.to_vec());
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, false), json_field("j")]));
    let batch = RecordBatch::try_new(schema, vec![Arc::new(numbers), Arc::new(texts)]).unwrap();
    sink.create(&TableDefinition::new("t", batch.schema()).order_by(["n"])).await.unwrap();
    sink.write(Insert { table: "t".into(), batch, token: "a".into() }).await.unwrap();
    let back = sink.read("t").await.unwrap();
    let back = back[0].column(1).as_any().downcast_ref::<BinaryArray>().unwrap().clone();
    back.iter().map(|text| String::from_utf8(text.unwrap().to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn equal_texts_come_back() {
    let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    let texts = [
        r#"{"a":"2024-01-02"}"#,
        r#"{"a":"2024-02-31"}"#,
        r#"{"a":"2024-01-02 24:00:00"}"#,
        r#"{"a":"2024-01-02T03:04:05.120Z"}"#,
        r#"{"a":["2024-01-02","2024-01-02 03:04:05"]}"#,
        r#"{"a":"123","b":"1.50","c":"true","d":"null"}"#,
        r#"{"a":9223372036854775807,"b":-9223372036854775808,"c":18446744073709551615}"#,
        r#"{"a":0.1,"b":1e300,"c":5e-324,"d":1.7976931348623157e308,"e":1e22}"#,
        "{}",
        r#"{"a":[]}"#,
        r#"{"a":[null,1]}"#,
        r#"{"a":[null,{"b":1}],"c":[[1],[null]],"d":[null]}"#,
        r#"{"a":[true,1,"x",null,{"b":1},[1]]}"#,
        r#"{"a":[{"b":1},{"c":"x"},{}]}"#,
        r#"{"a":[[1],[2,3],[]]}"#,
        r#"{"a.b":1,"a":{"c":2}}"#,
        r#"{"a.b":1,"a":{"b":2}}"#,
        r#"{"a":[{"b.c":1}]}"#,
        r#"{"":1,"a":{"":2}}"#,
        r#"{"$a":1,"a`b":2,"a b":3,"a'b":4,"A":5,"a":6}"#,
        r#"{"a":"\u0000é\n\"\\/😀"}"#,
        &deep,
    ];
    for (text, back) in texts.iter().zip(round_trip(&texts).await) {
        let (value, back): (Value, Value) =
            (serde_json::from_str(text).unwrap(), serde_json::from_str(&back).unwrap());
        assert_eq!(back, value);
    }
}

/// What a schema must not entrust to a JSON column, or must note elsewhere.
#[tokio::test]
async fn some_texts_come_back_otherwise() {
    let texts = [
        (r#"{"a":null,"b":1}"#, r#"{"b":1}"#),
        (r#"{"a":{},"b":1}"#, r#"{"b":1}"#),
        (r#"{"a":{"b":null}}"#, "{}"),
        (r#"{"a":[{"b":null}]}"#, r#"{"a":[{}]}"#),
        (r#"{"a":1.0}"#, r#"{"a":1}"#),
        (r#"{"a":[9007199254740993,0.5]}"#, r#"{"a":[9007199254740992,0.5]}"#),
        (r#"{"a%2Eb":1}"#, r#"{"a.b":1}"#),
    ];
    let back = round_trip(&texts.map(|(text, _)| text)).await;
    for ((text, otherwise), back) in texts.into_iter().zip(back) {
        assert_eq!(back, otherwise, "{text}");
    }
}

#[tokio::test]
async fn some_texts_are_refused() {
    for text in [r#"{"a":18446744073709551616}"#, r#"{"a":[null,[1]]}"#, r#"{"a":1,"a":2}"#, "[1]", "1", ""] {
        let (sink, _) = sink("json").await;
        let error =
            load(&sink, "t", &column(json_field("c"), StringArray::from(vec![text]))).await.unwrap_err();
        assert!(error.is_data_rejected() && !error.is_transient(), "{text}: {error}");
        assert_eq!(sink.count("t").await.unwrap(), 0);
    }
}

/// JSON inside a tuple, beside a plain column with a name that needs quoting; repeated, by token.
#[tokio::test]
async fn json_inside_other_columns() {
    let (sink, database) = sink("json").await;
    let texts = StringArray::from(vec![r#"{"d":"2024-02-31"}"#]);
    let tuple = StructArray::from(vec![(Arc::new(json_field("j's `j`")), Arc::new(texts) as ArrayRef)]);
    let plain = Field::new("it's \\`", DataType::Int32, true);
    let schema = Schema::new(vec![plain, Field::new("t.u", tuple.data_type().clone(), false)]);
    let batch =
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int32Array::from(vec![None])), Arc::new(tuple)])
            .unwrap();
    let first = load(&sink, "t", &batch).await.unwrap();
    let again = sink.write(Insert { table: "t".into(), batch, token: "first".into() }).await.unwrap();
    assert_eq!((first.rows, again.rows), (1, 1));
    let rows = database.query("SELECT * FROM t FORMAT JSONCompactEachRow").await.unwrap();
    assert_eq!(rows, r#"[null, {"j's `j`":{"d":"2024-02-31"}}]"#);
}

/// A table made by someone else may keep such a column as text.
#[tokio::test]
async fn text_columns_take_json_as_it_is() {
    let (sink, database) = sink("json").await;
    database.query("CREATE TABLE t (c String) ENGINE = MergeTree ORDER BY ()").await.unwrap();
    let batch = column(json_field("c"), StringArray::from(vec![r#"{ "b": null }"#]));
    sink.write(Insert { table: "t".into(), batch, token: "a".into() }).await.unwrap();
    assert_eq!(database.query("SELECT c FROM t").await.unwrap(), r#"{ "b": null }"#);
}

#[tokio::test]
async fn a_large_batch_with_json_is_one_block() {
    let (sink, database) = sink("json").await;
    let texts: StringArray = (0..300_000).map(|n| Some(format!("{{\"n\":{n}}}"))).collect();
    load(&sink, "t", &column(json_field("c"), texts)).await.unwrap();
    let parts = "SELECT count(), sum(rows) FROM system.parts \
                 WHERE active AND table = 't' AND database = currentDatabase()";
    assert_eq!(database.query(parts).await.unwrap(), "1\t300000");
}
