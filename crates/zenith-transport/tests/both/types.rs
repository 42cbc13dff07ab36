//! Every type the engine makes: created, described, written, read back by another client.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::*;
use arrow_schema::{DataType, Field, TimeUnit};
use zenith_transport::{Sink, ddl};

use super::support::{column, load, sink};

/// What is written as `batch` has the type `data_type` and reads as `values` and, by Arrow, as itself.
async fn check(batch: RecordBatch, data_type: &str, values: [&str; 2]) {
    let (sink, database) = sink("types").await;
    load(&sink, "t", &batch).await.unwrap_or_else(|error| panic!("{data_type}: {error}"));
    let info = sink.describe("t").await.unwrap().unwrap();
    assert_eq!(info.columns[0].data_type, data_type);
    let made = ddl::column_type(batch.schema_ref().field(0), ddl::Dialect::default()).unwrap();
    assert!(ddl::same_type(&made, data_type), "{made} and {data_type}");
    let read = database.query("SELECT c FROM t").await.unwrap();
    assert_eq!(read.split('\n').collect::<Vec<_>>(), values, "{data_type}");
    let binary = batch.schema_ref().field(0).data_type() == &DataType::Binary;
    let back = if binary { sink.read("t").await } else { sink.query("SELECT c FROM t").await }.unwrap();
    if !matches!(batch.schema_ref().field(0).data_type(), DataType::Dictionary(..)) {
        assert_eq!(back[0].column(0), batch.column(0), "{data_type}");
    }
}

fn nullable(data_type: DataType) -> Field {
    Field::new("c", data_type, true)
}

fn extended(data_type: DataType, nullable: bool, name: &str) -> Field {
    Field::new("c", data_type, nullable)
        .with_metadata(HashMap::from([("ARROW:extension:name".to_owned(), name.to_owned())]))
}

#[tokio::test]
async fn numbers() {
    let int32 = Int32Array::from(vec![Some(i32::MIN), None]);
    check(column(nullable(DataType::Int32), int32), "Nullable(Int32)", ["-2147483648", "\\N"]).await;
    let int64 = Int64Array::from(vec![i64::MIN, i64::MAX]);
    let field = Field::new("c", DataType::Int64, false);
    check(column(field, int64), "Int64", ["-9223372036854775808", "9223372036854775807"]).await;
    let uint64 = UInt64Array::from(vec![Some(u64::MAX), None]);
    check(column(nullable(DataType::UInt64), uint64), "Nullable(UInt64)", ["18446744073709551615", "\\N"])
        .await;
    let float64 = Float64Array::from(vec![Some(f64::NEG_INFINITY), Some(5e-324)]);
    check(column(nullable(DataType::Float64), float64), "Nullable(Float64)", ["-inf", "5e-324"]).await;
    let bools = BooleanArray::from(vec![Some(true), None]);
    check(column(nullable(DataType::Boolean), bools), "Nullable(Bool)", ["true", "\\N"]).await;
}

#[tokio::test]
async fn decimals() {
    for (scale, text) in [
        (4, "-9999999999999999999999999999999999.9999"),
        (0, "-99999999999999999999999999999999999999"),
        (38, "-0.99999999999999999999999999999999999999"),
    ] {
        let values = Decimal128Array::from(vec![Some(-(10_i128.pow(38) - 1)), None])
            .with_precision_and_scale(38, scale)
            .unwrap();
        let data_type = format!("Nullable(Decimal(38, {scale}))");
        check(column(nullable(values.data_type().clone()), values), &data_type, [text, "\\N"]).await;
    }
}

#[tokio::test]
async fn text_and_bytes() {
    let text = StringArray::from(vec![Some("é 'quoted' \\"), None]);
    check(column(nullable(DataType::Utf8), text), "Nullable(String)", ["é \\'quoted\\' \\\\", "\\N"]).await;
    let bytes = BinaryArray::from(vec![Some(&b"\0\x01"[..]), None]);
    check(column(nullable(DataType::Binary), bytes), "Nullable(String)", ["\\0\u{1}", "\\N"]).await;
    let fixed =
        FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some(*b"0123456789ab"), None].into_iter(), 12)
            .unwrap();
    let data_type = "Nullable(FixedString(12))";
    check(column(nullable(DataType::FixedSizeBinary(12)), fixed), data_type, ["0123456789ab", "\\N"]).await;
    let low: DictionaryArray<Int32Type> = vec![Some("lo"), None].into_iter().collect();
    let data_type = "LowCardinality(Nullable(String))";
    check(column(nullable(low.data_type().clone()), low), data_type, ["lo", "\\N"]).await;
}

#[tokio::test]
async fn bytes_that_are_no_text_come_back() {
    let (sink, _) = sink("types").await;
    let batch = column(nullable(DataType::Binary), BinaryArray::from(vec![&b"\xff\xfe\0"[..]]));
    load(&sink, "t", &batch).await.unwrap();
    let back = sink.read("t").await.unwrap();
    assert_eq!(back[0].column(0), batch.column(0));
}

#[tokio::test]
async fn dates() {
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let first_and_last =
        TimestampMillisecondArray::from(vec![-2_208_988_800_000, 10_413_791_999_999]).with_timezone("UTC");
    let values = ["1900-01-01 00:00:00.000", "2299-12-31 23:59:59.999"];
    check(column(nullable(utc), first_and_last), "Nullable(DateTime64(3, 'UTC'))", values).await;
}

/// The first byte of the Arrow value is the first pair of digits.
#[tokio::test]
async fn uuids_keep_their_byte_order() {
    let bytes: [u8; 16] = std::array::from_fn(|index| u8::try_from(index * 17).unwrap());
    let values =
        FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some(bytes), None].into_iter(), 16).unwrap();
    let batch = column(extended(DataType::FixedSizeBinary(16), true, "arrow.uuid"), values);
    check(batch, "Nullable(UUID)", ["00112233-4455-6677-8899-aabbccddeeff", "\\N"]).await;
}

#[tokio::test]
async fn tuples_and_arrays() {
    let pairs = StructArray::from(vec![
        (
            Arc::new(nullable(DataType::Int32).with_name("n")),
            Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef,
        ),
        (
            Arc::new(nullable(DataType::Utf8).with_name("b c")),
            Arc::new(StringArray::from(vec![None, Some("x")])) as ArrayRef,
        ),
    ]);
    let field = Field::new("c", pairs.data_type().clone(), false);
    check(
        column(field, pairs),
        "Tuple(n Nullable(Int32), `b c` Nullable(String))",
        ["(1,NULL)", "(NULL,'x')"],
    )
    .await;
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.values().append_value("p");
    lists.values().append_null();
    lists.append(true);
    lists.append(true);
    let lists = lists.finish();
    let field = Field::new("c", lists.data_type().clone(), false);
    check(column(field, lists), "Array(Nullable(String))", ["['p',NULL]", "[]"]).await;
    let empty = StructArray::new_empty_fields(2, None);
    check(column(Field::new("c", empty.data_type().clone(), false), empty), "Tuple()", ["()", "()"]).await;
}

#[tokio::test]
async fn json() {
    let texts = StringArray::from(vec![r#"{"a":{"b":[1,null]},"c":"x"}"#, "{}"]);
    let batch = column(extended(DataType::Utf8, false, "arrow.json"), texts);
    check(batch, "JSON", [r#"{"a":{"b":[1,null]},"c":"x"}"#, "{}"]).await;
}

/// Structs and lists as deep as ClickHouse reads them, and one deeper.
#[tokio::test]
async fn nesting() {
    let nested = |depth: usize| {
        let mut field = nullable(DataType::Int32);
        let mut array: ArrayRef = Arc::new(Int32Array::from(vec![Some(7)]));
        for level in 0..depth {
            array = if level % 2 == 0 {
                Arc::new(StructArray::from(vec![(Arc::new(field), array)]))
            } else {
                let offsets = arrow_buffer::OffsetBuffer::new(vec![0, 1].into());
                Arc::new(ListArray::new(Arc::new(field.with_name("item")), offsets, array, None))
            };
            field = Field::new("c", array.data_type().clone(), false);
        }
        RecordBatch::try_new(Arc::new(arrow_schema::Schema::new(vec![field])), vec![array]).unwrap()
    };
    let (sink, _) = sink("types").await;
    for depth in [16, 32, ddl::NESTING_DEPTH_MAX] {
        let (table, batch) = (format!("t{depth}"), nested(depth));
        load(&sink, &table, &batch).await.unwrap();
        assert_eq!(sink.read(&table).await.unwrap()[0].column(0), batch.column(0), "depth {depth}");
    }
    let error = load(&sink, "deeper", &nested(ddl::NESTING_DEPTH_MAX + 1)).await.unwrap_err();
    assert!(error.is_schema_mismatch() && error.to_string().contains("deeper than 60 levels"), "{error}");
}

#[tokio::test]
async fn two_thousand_columns_and_elements() {
    let one = || Arc::new(Int32Array::from(vec![Some(7)])) as ArrayRef;
    let fields: Vec<_> =
        (0..2000).map(|n| (Arc::new(nullable(DataType::Int32).with_name(format!("f{n}"))), one())).collect();
    let tuple = StructArray::from(fields.clone());
    let (sink, _) = sink("types").await;
    load(&sink, "elements", &column(Field::new("c", tuple.data_type().clone(), false), tuple)).await.unwrap();
    let batch =
        RecordBatch::try_from_iter(fields.into_iter().map(|(field, array)| (field.name().clone(), array)))
            .unwrap();
    load(&sink, "columns", &batch).await.unwrap();
    assert_eq!(sink.describe("columns").await.unwrap().unwrap().columns.len(), 2000);
}
