//! Keys as ClickHouse writes them in a statement.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};

use crate::layout::KEY;
use crate::{EngineError, Result};

/// The key of a row as an expression that is equal to nothing but the same key.
pub(crate) fn key(batch: &RecordBatch, row: usize) -> Result<String> {
    let column = batch.column_by_name(KEY).ok_or_else(|| unknown("nothing"))?;
    value(column, row)
}

fn value(column: &ArrayRef, row: usize) -> Result<String> {
    if column.is_null(row) {
        return Ok("NULL".to_owned());
    }
    Ok(match column.data_type() {
        DataType::Utf8 => bytes(column.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => bytes(column.as_binary::<i32>().value(row)),
        DataType::FixedSizeBinary(16) => {
            let hex = hex(column.as_fixed_size_binary().value(row));
            let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
            let text =
                format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32));
            format!("toUUID('{text}')")
        }
        DataType::FixedSizeBinary(size) => {
            format!("toFixedString({}, {size})", bytes(column.as_fixed_size_binary().value(row)))
        }
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Int32 => format!("toInt32({})", column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => format!("toInt64('{}')", column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => format!("toUInt64('{}')", column.as_primitive::<UInt64Type>().value(row)),
        DataType::Float64 => format!("toFloat64('{:e}')", column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(precision, scale) => {
            let digits = column.as_primitive::<Decimal128Type>().value_as_string(row);
            format!("CAST('{digits}', 'Decimal({precision}, {scale})')")
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            let millis = column.as_primitive::<TimestampMillisecondType>().value(row);
            format!("fromUnixTimestamp64Milli(toInt64('{millis}'), 'UTC')")
        }
        other => return Err(unknown(&other.to_string())),
    })
}

/// A condition that is true of the rows with this key.
pub(crate) fn is(key: &str) -> String {
    if key == "NULL" { format!("isNull({KEY})") } else { format!("{KEY} = {key}") }
}

fn bytes(bytes: &[u8]) -> String {
    format!("unhex('{}')", hex(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unknown(what: &str) -> EngineError {
    EngineError::Setting {
        setting: "the key column",
        value: what.to_owned(),
        reason:
            "rows of such a key cannot be named in a statement: load the table anew, with the _id as text"
                .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Decimal128Array, FixedSizeBinaryArray, Int64Array, StringArray, UInt64Array};

    use super::*;

    #[test]
    fn keys_are_written_without_losing_a_digit() {
        let of = |array: ArrayRef| value(&array, 0).unwrap();
        assert_eq!(of(Arc::new(Int64Array::from(vec![i64::MIN]))), "toInt64('-9223372036854775808')");
        assert_eq!(of(Arc::new(UInt64Array::from(vec![u64::MAX]))), "toUInt64('18446744073709551615')");
        assert_eq!(of(Arc::new(StringArray::from(vec!["a'\\"]))), "unhex('61275c')");
        let uuid: Vec<u8> = (0..16).collect();
        let uuid = FixedSizeBinaryArray::try_from_iter(std::iter::once(uuid)).unwrap();
        assert_eq!(of(Arc::new(uuid)), "toUUID('00010203-0405-0607-0809-0a0b0c0d0e0f')");
        let decimal = Decimal128Array::from(vec![-1250]).with_precision_and_scale(38, 3).unwrap();
        assert_eq!(of(Arc::new(decimal)), "CAST('-1.250', 'Decimal(38, 3)')");
        assert_eq!(of(Arc::new(Int64Array::from(vec![None]))), "NULL");
    }
}
