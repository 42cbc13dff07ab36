//! One value of an Arrow array as the BSON value its kind stands for.
//!
//! The type of the array leads and the kind says what is meant by it, so that the same code reads what the
//! decoder made and what a database gives back.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Decimal128Type, Decimal256Type, Float32Type, Float64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, downcast_integer_array};
use arrow_schema::{DataType, TimeUnit};
use bson::{Bson, Document};
use zenith_bson::Decimal;

use super::RebuildError;
use crate::decode::convert;
use crate::extended_json::{MISSING, mixed_id_value, parse_document, plain_value};
use crate::schema::{Kind, TextType};

/// An error on its way to the top, which collects the names it passes.
pub(super) struct Fault {
    path: Vec<String>,
    expected: String,
    reason: Reason,
}

pub(super) enum Reason {
    Missing,
    Type(String),
    Value,
}

impl Fault {
    pub(super) fn new(expected: impl ToString, reason: Reason) -> Self {
        Self { path: Vec::new(), expected: expected.to_string(), reason }
    }

    pub(super) fn within(mut self, name: &str) -> Self {
        self.path.push(name.to_owned());
        self
    }

    /// The error of the column with this name.
    pub(super) fn named(self, name: &str) -> RebuildError {
        self.within(name).at_top()
    }

    /// The error, when all names have been passed.
    pub(super) fn at_top(self) -> RebuildError {
        let Self { mut path, expected, reason } = self;
        path.reverse();
        let path = path.join(".");
        match reason {
            Reason::Missing => RebuildError::MissingColumn { path },
            Reason::Type(found) => RebuildError::ColumnType { path, expected, found },
            Reason::Value => RebuildError::Value { path, expected },
        }
    }
}

/// Whether a row has a value, or anything in an array or document is there.
pub(super) fn shows(kind: &Kind, array: &ArrayRef, row: usize) -> Result<bool, Fault> {
    if array.is_null(row) || array.data_type() == &DataType::Null {
        return Ok(false);
    }
    Ok(match kind {
        Kind::Document(fields) => {
            let columns = structure(array)?;
            for field in fields {
                let twin = field.twin.as_ref().and_then(|twin| columns.column_by_name(&twin.name));
                if twin.is_some_and(|twin| !twin.is_null(row))
                    || columns
                        .column_by_name(field.column_name())
                        .is_some_and(|column| shows(&field.kind, column, row).unwrap_or(true))
                {
                    return Ok(true);
                }
            }
            false
        }
        Kind::Array(element) => !items(element, array, row)?.is_empty(),
        Kind::Map(_) => !entries(kind, array, row)?.0.is_empty(),
        Kind::Json => json(array, row)?.is_some_and(|document| !document.is_empty()),
        _ => text_is_there(array, row),
    })
}

/// Whether a dictionary's row is not NULL; other rows have been checked.
fn text_is_there(array: &ArrayRef, row: usize) -> bool {
    array.as_any_dictionary_opt().is_none_or(|dictionary| !dictionary.is_null(row))
}

/// The parts of a document's column.
pub(super) fn structure(array: &ArrayRef) -> Result<&arrow_array::StructArray, Fault> {
    array.as_struct_opt().ok_or_else(|| Fault::new("object", Reason::Type(array.data_type().to_string())))
}

/// The elements in a row of an array's column.
pub(super) fn items(element: &Kind, array: &ArrayRef, row: usize) -> Result<ArrayRef, Fault> {
    if let Some(lists) = array.as_list_opt::<i32>() {
        return Ok(lists.value(row));
    }
    if let Some(lists) = array.as_list_opt::<i64>() {
        return Ok(lists.value(row));
    }
    Err(Fault::new(format!("array of {element}"), Reason::Type(array.data_type().to_string())))
}

/// The keys and the values in a row of a map's column, which may also come as an array of pairs.
pub(super) fn entries(kind: &Kind, array: &ArrayRef, row: usize) -> Result<(ArrayRef, ArrayRef), Fault> {
    let wrong_type = || Fault::new(kind, Reason::Type(array.data_type().to_string()));
    let entries: ArrayRef = match array.as_map_opt() {
        Some(maps) => std::sync::Arc::new(maps.value(row)),
        None => items(kind, array, row)?,
    };
    match entries.as_struct_opt().map(arrow_array::StructArray::columns) {
        Some([keys, values]) => Ok((ArrayRef::clone(keys), ArrayRef::clone(values))),
        _ => Err(wrong_type()),
    }
}

/// The document in a row of a JSON column.
pub(super) fn json(array: &ArrayRef, row: usize) -> Result<Option<Document>, Fault> {
    let Some(text) = text(array, row)? else { return Ok(None) };
    parse_document(text).map(Some).map_err(|_| Fault::new(Kind::Json, Reason::Value))
}

/// The value of a text of this type.
pub(super) fn plain(text_type: TextType, array: &ArrayRef, row: usize) -> Result<Option<Bson>, Fault> {
    let Some(text) = text(array, row)? else { return Ok(None) };
    plain_value(text_type, text).map(Some).ok_or_else(|| Fault::new(text_type.word(), Reason::Value))
}

/// The value in a row of a column without parts; `None` for NULL, and for a key that its document lacks.
pub(super) fn scalar_value(kind: &Kind, array: &ArrayRef, row: usize) -> Result<Option<Bson>, Fault> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        if dictionary.is_null(row) {
            return Ok(None);
        }
        let key = integer(dictionary.keys(), row).and_then(|key| usize::try_from(key).ok());
        return match key.filter(|&key| key < dictionary.values().len()) {
            Some(key) => scalar_value(kind, dictionary.values(), key),
            None => Err(Fault::new(kind, Reason::Value)),
        };
    }
    if array.is_null(row) || array.data_type() == &DataType::Null {
        return Ok(None);
    }
    if *kind == Kind::MixedId && text(array, row)? == Some(MISSING) {
        return Ok(None);
    }
    scalar(kind, array, row).map(Some)
}

/// The text in a row of a string or binary column.
pub(super) fn text(array: &ArrayRef, row: usize) -> Result<Option<&str>, Fault> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        let key = integer(dictionary.keys(), row).and_then(|key| usize::try_from(key).ok());
        return match key.filter(|&key| key < dictionary.values().len()) {
            Some(key) if !dictionary.is_null(row) => text(dictionary.values(), key),
            _ => Ok(None),
        };
    }
    if array.is_null(row) {
        return Ok(None);
    }
    let found = || Fault::new("string", Reason::Type(array.data_type().to_string()));
    let bytes = bytes(array, row).ok_or_else(found)?;
    std::str::from_utf8(bytes).map(Some).map_err(|_| Fault::new("string", Reason::Value))
}

/// A value that is not null and holds no other.
fn scalar(kind: &Kind, array: &ArrayRef, row: usize) -> Result<Bson, Fault> {
    let wrong_type = || Fault::new(kind, Reason::Type(array.data_type().to_string()));
    let wrong_value = || Fault::new(kind, Reason::Value);
    Ok(match kind {
        Kind::String | Kind::Category => Bson::String(text(array, row)?.unwrap_or_default().to_owned()),
        Kind::MixedId => mixed_id_value(text(array, row)?.unwrap_or_default()),
        Kind::DecimalText => {
            Bson::Decimal128(text(array, row)?.unwrap_or_default().parse().map_err(|_| wrong_value())?)
        }
        Kind::ObjectId | Kind::ObjectIdFixed => {
            let bytes = bytes(array, row).ok_or_else(wrong_type)?;
            Bson::ObjectId(object_id(bytes).ok_or_else(wrong_value)?)
        }
        Kind::Uuid(order) => {
            let bytes = bytes(array, row).ok_or_else(wrong_type)?;
            let bytes = order.reorder(uuid(bytes).ok_or_else(wrong_value)?).to_vec();
            Bson::Binary(bson::Binary { subtype: order.subtype().into(), bytes })
        }
        Kind::Binary { subtype } => {
            let bytes = bytes(array, row).ok_or_else(wrong_type)?.to_vec();
            Bson::Binary(bson::Binary { subtype: (*subtype).into(), bytes })
        }
        Kind::Bool => Bson::Boolean(match array.as_boolean_opt() {
            Some(array) => array.value(row),
            None => integer(array, row).ok_or_else(wrong_type)? != 0,
        }),
        Kind::Int32 => {
            let value = integer(array, row).ok_or_else(wrong_type)?;
            Bson::Int32(i32::try_from(value).map_err(|_| wrong_value())?)
        }
        Kind::Int64 => {
            let value = integer(array, row).ok_or_else(wrong_type)?;
            Bson::Int64(i64::try_from(value).map_err(|_| wrong_value())?)
        }
        Kind::Double => Bson::Double(double(array, row).ok_or_else(wrong_type)?),
        Kind::Decimal { .. } => {
            let (value, scale) = decimal(array, row).ok_or_else(wrong_type)?;
            value.and_then(|value| unscaled(value, scale)).ok_or_else(wrong_value)?
        }
        Kind::Date => {
            Bson::DateTime(bson::DateTime::from_millis(milliseconds(array, row).ok_or_else(wrong_type)?))
        }
        Kind::Timestamp => {
            let value = integer(array, row).ok_or_else(wrong_type)?;
            let value = u64::try_from(value).map_err(|_| wrong_value())?;
            let half = |value: u64| u32::try_from(value & u64::from(u32::MAX)).unwrap_or_default();
            Bson::Timestamp(bson::Timestamp { time: half(value >> 32), increment: half(value) })
        }
        Kind::Document(_) | Kind::Array(_) | Kind::Map(_) | Kind::Json | Kind::Text { .. } => {
            return Err(wrong_type());
        }
    })
}

/// The bytes of a value of text, data, or data of fixed size.
fn bytes(array: &ArrayRef, row: usize) -> Option<&[u8]> {
    Some(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).as_bytes(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).as_bytes(),
        DataType::Utf8View => array.as_string_view().value(row).as_bytes(),
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::BinaryView => array.as_binary_view().value(row),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(row),
        _ => return None,
    })
}

/// From 12 bytes or 24 hex digits.
fn object_id(bytes: &[u8]) -> Option<bson::oid::ObjectId> {
    if let Ok(bytes) = bytes.try_into() {
        return Some(bson::oid::ObjectId::from_bytes(bytes));
    }
    bson::oid::ObjectId::parse_str(std::str::from_utf8(bytes).ok()?).ok()
}

/// In standard order, from 16 bytes or the usual text.
fn uuid(bytes: &[u8]) -> Option<[u8; 16]> {
    if let Ok(bytes) = bytes.try_into() {
        return Some(bytes);
    }
    Some(bson::Uuid::parse_str(std::str::from_utf8(bytes).ok()?).ok()?.bytes())
}

fn integer(array: &dyn Array, row: usize) -> Option<i128> {
    downcast_integer_array!(array => Some(array.value(row).into()), _ => None)
}

fn double(array: &ArrayRef, row: usize) -> Option<f64> {
    Some(match array.data_type() {
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row),
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).into(),
        _ => return None,
    })
}

/// The unscaled value, `None` where it has more than 38 digits, and the digits after the point.
fn decimal(array: &ArrayRef, row: usize) -> Option<(Option<i128>, i8)> {
    Some(match array.data_type() {
        DataType::Decimal128(_, scale) => (Some(array.as_primitive::<Decimal128Type>().value(row)), *scale),
        DataType::Decimal256(_, scale) => {
            (array.as_primitive::<Decimal256Type>().value(row).to_i128(), *scale)
        }
        _ => return None,
    })
}

/// The number `value × 10^-scale`: a Decimal128, or the double that is written so where its digits are more than the
/// 34 of one. Zeros at the end say nothing.
fn unscaled(value: i128, scale: i8) -> Option<Bson> {
    let (negative, coefficient, exponent) = (value < 0, value.unsigned_abs(), -i32::from(scale));
    let mut decimal = Decimal::Finite { negative, coefficient, exponent };
    if coefficient >= 10_u128.pow(34) {
        decimal = decimal.lowest_terms();
    }
    match decimal.to_bytes() {
        Some(bytes) => Some(Bson::Decimal128(bson::Decimal128::from_bytes(bytes))),
        None => convert::decimal_as_double(decimal).map(Bson::Double),
    }
}

fn milliseconds(array: &ArrayRef, row: usize) -> Option<i64> {
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
