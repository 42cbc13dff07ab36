//! Dates at both ends of what the server holds: alone, as the sorting key, in tuples and in arrays.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, TimestampMillisecondBuilder};
use arrow_array::{Array, ArrayRef, RecordBatch, StructArray, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use zenith_transport::{Insert, PreflightRequest, Sink, TableDefinition};

use super::support::sink;

/// 0001-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z.
const FIRST: i64 = -62_135_596_800_000;
const LAST: i64 = 253_402_300_799_999;
/// 1850-06-15T12:34:56.789Z.
const ANY: i64 = -3_772_524_303_211;

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// One date a row: `_id`, nullable, in a tuple, and in an array after another.
fn rows(dates: &[i64]) -> RecordBatch {
    let dates_of =
        || Arc::new(TimestampMillisecondArray::from(dates.to_vec()).with_timezone("UTC")) as ArrayRef;
    let inner = Arc::new(Field::new("d", utc(), true));
    let tuple = StructArray::from(vec![(Arc::clone(&inner), dates_of())]);
    let item = Arc::new(Field::new("item", utc(), true));
    let builder = TimestampMillisecondBuilder::new().with_timezone("UTC");
    let mut list = ListBuilder::new(builder).with_field(item);
    for date in dates {
        list.values().append_value(0);
        list.values().append_value(*date);
        list.append(true);
    }
    let list = list.finish();
    let fields = vec![
        Field::new("_id", utc(), false),
        Field::new("n", utc(), true),
        Field::new("t", tuple.data_type().clone(), false),
        Field::new("a", list.data_type().clone(), false),
    ];
    let columns = vec![dates_of(), dates_of(), Arc::new(tuple), Arc::new(list)];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

#[tokio::test]
async fn the_ends_of_the_range_are_held_shown_and_compared() {
    let (sink, database) = sink("dates").await;
    let (first, last) = sink.preflight(&PreflightRequest::default()).await.unwrap().date_range_ms;
    assert_eq!((first, last), (FIRST, LAST), "what ClickHouse 26.7 holds");
    let batch = rows(&[last, 0, first, ANY]);
    let definition = TableDefinition::new("t", batch.schema()).order_by(["_id"]);
    sink.create(&definition).await.unwrap();
    sink.write(Insert { table: "t".into(), batch: batch.clone(), token: "a".into() }).await.unwrap();

    let texts = [
        "0001-01-01 00:00:00.000",
        "1850-06-15 12:34:56.789",
        "1970-01-01 00:00:00.000",
        "9999-12-31 23:59:59.999",
    ];
    let shown = database.query("SELECT _id, n, t.d, a[2] FROM t ORDER BY _id").await.unwrap();
    let expected: Vec<String> = texts.iter().map(|text| [*text; 4].join("\t")).collect();
    assert_eq!(shown, expected.join("\n"));
    let exact = "SELECT groupArray(toUnixTimestamp64Milli(_id)) = groupArray(toUnixTimestamp64Milli(assumeNotNull(n))), \
                 min(toUnixTimestamp64Milli(_id)), max(toUnixTimestamp64Milli(_id)) FROM t";
    assert_eq!(database.query(exact).await.unwrap(), format!("1\t{first}\t{last}"));

    // As the sorting key and beside it.
    for column in ["_id", "n", "t.d", "a[2]"] {
        for (condition, count) in [
            ("< '1900-01-01 00:00:00'", "2"),
            ("> '2299-12-31 23:59:59.999'", "1"),
            ("= '0001-01-01 00:00:00.000'", "1"),
            ("= toDateTime64('9999-12-31 23:59:59.999', 3, 'UTC')", "1"),
            ("BETWEEN '1850-01-01 00:00:00' AND '1851-01-01 00:00:00'", "1"),
            ("> now()", "1"),
        ] {
            let counted = database.query(&format!("SELECT count() FROM t WHERE {column} {condition}")).await;
            assert_eq!(counted.unwrap(), count, "{column} {condition}");
        }
        let sql = format!("SELECT groupArray(toYear({column})) FROM (SELECT * FROM t ORDER BY _id)");
        assert_eq!(database.query(&sql).await.unwrap(), "[1,1850,1970,9999]", "{column}");
    }
    let back = sink.query("SELECT _id, n, t, a FROM t ORDER BY _id").await.unwrap();
    assert_eq!(back[0], rows(&[first, ANY, 0, last]).with_schema(back[0].schema()).unwrap());
}
