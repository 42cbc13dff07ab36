//! One value of a column as it was read from the target.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Decimal256Type, Float32Type, Float64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, downcast_integer_array};
use arrow_schema::{DataType, TimeUnit};

/// Whether the row has no value.
pub(super) fn is_null(array: &ArrayRef, row: usize) -> bool {
    array.is_null(row) || array.data_type() == &DataType::Null
}

/// Whether a row shows nothing: NULL, an empty array, a tuple of nothing.
pub(super) fn is_blank(array: &ArrayRef, row: usize) -> bool {
    if is_null(array, row) {
        return true;
    }
    if let Some(parts) = array.as_struct_opt() {
        return parts.columns().iter().all(|part| is_blank(part, row));
    }
    items(array, row).is_some_and(|items| items.is_empty())
}

/// Whether a column that is never NULL shows the default of its type.
pub(super) fn is_default(array: &ArrayRef, row: usize) -> bool {
    if is_null(array, row) {
        return false;
    }
    let is_zero = |number: Option<i128>| number == Some(0);
    bytes(array, row).is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
        || boolean(array, row) == Some(false)
        || is_zero(integer(array, row))
        || is_zero(millis(array, row).map(i128::from))
        || double(array, row) == Some(0.0)
        || decimal(array, row).is_some_and(|digits| !digits.contains(|digit| ('1'..='9').contains(&digit)))
}

/// The elements of an array, the pairs of a map.
pub(super) fn items(array: &ArrayRef, row: usize) -> Option<ArrayRef> {
    if let Some(lists) = array.as_list_opt::<i32>() {
        return Some(lists.value(row));
    }
    if let Some(maps) = array.as_map_opt() {
        return Some(Arc::new(maps.value(row)));
    }
    array.as_list_opt::<i64>().map(|lists| lists.value(row))
}

/// The bytes of a text, of data, or of data of fixed size.
pub(super) fn bytes(array: &ArrayRef, row: usize) -> Option<&[u8]> {
    Some(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).as_bytes(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).as_bytes(),
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(row),
        _ => return None,
    })
}

pub(super) fn boolean(array: &ArrayRef, row: usize) -> Option<bool> {
    match array.as_boolean_opt() {
        Some(values) => Some(values.value(row)),
        None => integer(array, row).map(|value| value != 0),
    }
}

pub(super) fn integer(array: &dyn Array, row: usize) -> Option<i128> {
    downcast_integer_array!(array => Some(array.value(row).into()), _ => None)
}

pub(super) fn double(array: &ArrayRef, row: usize) -> Option<f64> {
    Some(match array.data_type() {
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row),
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).into(),
        _ => return None,
    })
}

/// All digits of a decimal, and how many of them it may have before and after the point.
pub(super) fn decimal(array: &ArrayRef, row: usize) -> Option<String> {
    Some(match array.data_type() {
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Decimal256(..) => array.as_primitive::<Decimal256Type>().value_as_string(row),
        _ => return None,
    })
}

/// Milliseconds since 1970.
pub(super) fn millis(array: &ArrayRef, row: usize) -> Option<i64> {
    let DataType::Timestamp(unit, _) = array.data_type() else { return None };
    match unit {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(row).checked_mul(1_000),
        TimeUnit::Millisecond => Some(array.as_primitive::<TimestampMillisecondType>().value(row)),
        TimeUnit::Microsecond => {
            Some(array.as_primitive::<TimestampMicrosecondType>().value(row).div_euclid(1_000))
        }
        TimeUnit::Nanosecond => {
            Some(array.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1_000_000))
        }
    }
}

/// As people would write it.
pub(super) fn text(array: &ArrayRef, row: usize) -> String {
    if is_null(array, row) {
        return "NULL".to_owned();
    }
    if let Some(items) = items(array, row) {
        let items: Vec<String> = (0..items.len()).map(|item| text(&items, item)).collect();
        return format!("[{}]", items.join(", "));
    }
    if let Some(parts) = array.as_struct_opt() {
        let parts: Vec<String> = parts.columns().iter().map(|part| text(part, row)).collect();
        return format!("({})", parts.join(", "));
    }
    if let DataType::FixedSizeBinary(16) = array.data_type()
        && let Some(uuid) = bytes(array, row).and_then(|bytes| bytes.try_into().ok())
    {
        return bson::Uuid::from_bytes(uuid).to_string();
    }
    if let Some(bytes) = bytes(array, row) {
        return match std::str::from_utf8(bytes) {
            Ok(text) => format!("{text:?}"),
            Err(_) => bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}")),
        };
    }
    if array.data_type() == &DataType::Boolean {
        return boolean(array, row).unwrap_or_default().to_string();
    }
    if let Some(millis) = millis(array, row) {
        let date = bson::DateTime::from_millis(millis).try_to_rfc3339_string();
        return date.unwrap_or_else(|_| format!("{millis} ms"));
    }
    let number = integer(array, row).map(|value| value.to_string());
    let number = number.or_else(|| double(array, row).map(|value| value.to_string()));
    number.or_else(|| decimal(array, row)).unwrap_or_else(|| format!("a value of {}", array.data_type()))
}
