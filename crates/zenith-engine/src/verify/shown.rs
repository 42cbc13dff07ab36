//! What a cell shows: a value, nothing, or the default of a column that is never NULL.

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use bson::Bson;
use zenith_arrow::fit::is_within;
use zenith_arrow::schema::Field;
use zenith_arrow::{Kind, Limit};
use zenith_bson::Elements;

use super::cell;
use super::expect::{Digits, Value};

/// Whether a value is within the limit of a column.
pub(super) fn holds(field: &Field, value: &Bson) -> bool {
    let Some(limit) = field.limit() else { return true };
    let mut alone = bson::RawDocumentBuf::new();
    let Ok(value) = bson::RawBson::try_from(value.clone()) else { return false };
    alone.append(bson::cstr!("v"), value);
    let mut elements = Elements::new(alone.as_bytes()).into_iter().flatten().map_while(Result::ok);
    elements.next().is_some_and(|element| is_within(limit, element.value))
}

/// Whether a column without parts shows nothing: NULL or, where it is never NULL, the default of its type.
pub(super) fn shows_nothing(field: &Field, array: &ArrayRef, row: usize) -> bool {
    if !field.required {
        return cell::is_null(array, row);
    }
    let blank = field.limit().map(Limit::blank).filter(|blank| !blank.is_empty());
    match blank {
        Some(blank) => cell::bytes(array, row) == Some(blank.as_bytes()),
        None => cell::is_default(array, row),
    }
}

/// Whether a column shows nothing of a document or array, or no value.
pub(super) fn is_blank(kind: &Kind, array: &ArrayRef, row: usize) -> bool {
    match kind {
        Kind::Json => cell::is_null(array, row) || matches!(cell::bytes(array, row), Some(b"" | b"{}")),
        _ if cell::is_blank(array, row) => true,
        // The tuple of an element may have parts of JSON, which are never NULL.
        Kind::Document(fields) => array.as_struct_opt().is_some_and(|parts| {
            fields.iter().all(|field| {
                let twin = field.twin.as_ref().and_then(|twin| parts.column_by_name(&twin.name));
                twin.is_none_or(|twin| cell::is_null(twin, row))
                    && parts.column_by_name(field.column_name()).is_some_and(|part| match field.required {
                        true => shows_nothing(field, part, row),
                        false => is_blank(&field.kind, part, row),
                    })
            })
        }),
        _ => false,
    }
}

/// Whether a cell that is not NULL shows a value.
pub(super) fn shows(value: &Value<'_>, array: &ArrayRef, row: usize) -> bool {
    match value {
        Value::Bool(value) => cell::boolean(array, row) == Some(*value),
        Value::Integer(value) => cell::integer(array, row) == Some(i128::from(*value)),
        Value::Unsigned(value) => cell::integer(array, row) == Some(i128::from(*value)),
        Value::Double(value) => cell::double(array, row)
            .is_some_and(|there| there.to_bits() == value.to_bits() || there.is_nan() && value.is_nan()),
        Value::Decimal(value) => {
            cell::decimal(array, row).and_then(|text| Digits::parse(&text)).as_ref() == Some(value)
        }
        Value::Millis(value) => cell::millis(array, row) == Some(*value),
        Value::Bytes(value) => cell::bytes(array, row) == Some(&**value),
    }
}
