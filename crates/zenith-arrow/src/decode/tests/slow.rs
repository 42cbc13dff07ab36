//! The slow, obvious decoder: from a document as the `bson` crate reads it to the values its row must have.
//!
//! It follows the rules of the types one by one and shares nothing with the decoder, except the texts of
//! Extended JSON, which have tests of their own.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use bson::spec::BinarySubtype;
use bson::{Bson, Document};

use crate::extended_json::{mixed_id_text, split_json_column};
use crate::raw::{Elements, RawValue, tag};
use crate::schema::{ID_KEY, UuidOrder};
use crate::{Field, Kind, Schema};

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Bool(bool),
    Int32(i32),
    Int64(i64),
    UInt64(u64),
    /// By its bits, so that NaN is itself and zero has a sign.
    Double(u64),
    Decimal(i128),
    Date(i64),
    Bytes(Vec<u8>),
    Text(String),
    List(Vec<Cell>),
    Tuple(Vec<Cell>),
    /// Not said here.
    Any,
}

/// What the columns hold of a value.
struct Held {
    cell: Cell,
    /// All there is to know of it.
    whole: bool,
    /// A value, not a null.
    there: bool,
}

/// A row of a batch.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// All columns but the extra column.
    pub(super) cells: Vec<Cell>,
    pub(super) extra: String,
}

impl Row {
    pub(super) fn of(batch: &RecordBatch, row: usize) -> Row {
        let (extra, columns) = batch.columns().split_last().unwrap();
        let cells = columns.iter().map(|column| cell(column, row)).collect();
        Row { cells, extra: extra.as_string::<i32>().value(row).to_owned() }
    }
}

/// The values of a document's row, and whether they are all of it.
pub(super) fn expected(schema: &Schema, document: &Document) -> (Vec<Cell>, bool) {
    let (mut cells, mut whole, _) = level(&schema.fields, document, schema.keep_nulls, false);
    for (field, cell) in schema.fields.iter().zip(&mut cells) {
        // A key is never NULL: where there is none, the column shows a default and the extra column tells.
        if field.name == ID_KEY && (*cell == Cell::Null || !document.contains_key(ID_KEY)) {
            *cell = zero(&field.kind);
            whole = false;
        }
    }
    (cells, whole)
}

fn level(fields: &[Field], document: &Document, keep_nulls: bool, in_array: bool) -> (Vec<Cell>, bool, bool) {
    let (mut cells, mut whole, mut any) = (Vec::new(), true, false);
    for field in fields {
        let held = value(&field.kind, document.get(&field.name), keep_nulls, in_array);
        cells.push(held.cell);
        whole &= held.whole;
        any |= held.there;
    }
    for (key, value) in document {
        let has_column = fields.iter().any(|field| field.name == *key);
        // A null without a column is a missing field.
        whole &= has_column || (*value == Bson::Null && !keep_nulls && !in_array);
    }
    (cells, whole, any)
}

fn value(kind: &Kind, value: Option<&Bson>, keep_nulls: bool, in_array: bool) -> Held {
    let missing = match value {
        None => true,
        Some(Bson::Null) => !keep_nulls,
        Some(_) => false,
    };
    match (kind, value) {
        (Kind::Document(fields), Some(Bson::Document(document))) => {
            let (cells, whole, any) = level(fields, document, keep_nulls, in_array);
            Held { cell: Cell::Tuple(cells), whole: whole && any, there: true }
        }
        (Kind::Document(_), _) => {
            Held { cell: blank(kind), whole: missing && !kind.holds_array(), there: false }
        }
        (Kind::Array(element), Some(Bson::Array(items))) => {
            let cells: Option<Vec<Cell>> =
                items.iter().map(|item| self::element(element, item, keep_nulls)).collect();
            Held { whole: cells.is_some(), cell: Cell::List(cells.unwrap_or_default()), there: true }
        }
        (Kind::Array(_), _) => Held { cell: blank(kind), whole: false, there: false },
        (Kind::Json, Some(Bson::Document(document))) => {
            let (text, whole) = json(document, keep_nulls);
            Held { cell: Cell::Text(text), whole, there: true }
        }
        (Kind::Json, _) => Held { cell: blank(kind), whole: missing, there: false },
        (Kind::MixedId, Some(value)) => Held { cell: Cell::Text(mixed_id(value)), whole: true, there: true },
        (_, None | Some(Bson::Null)) => Held { cell: Cell::Null, whole: missing, there: false },
        (_, Some(value)) => match scalar(kind, value) {
            Some(cell) => Held { cell, whole: true, there: true },
            None => Held { cell: Cell::Null, whole: false, there: false },
        },
    }
}

/// An element of an array; `None` if it does not fit, for then the whole array does not.
fn element(kind: &Kind, item: &Bson, keep_nulls: bool) -> Option<Cell> {
    match (kind, item) {
        (Kind::Document(fields), Bson::Document(document)) => {
            let (cells, whole, _) = level(fields, document, keep_nulls, true);
            whole.then_some(Cell::Tuple(cells))
        }
        (Kind::Document(_), _) => None,
        (Kind::Array(_) | Kind::Json, Bson::Array(_) | Bson::Document(_)) => {
            let held = value(kind, Some(item), keep_nulls, true);
            (held.whole && held.there).then_some(held.cell)
        }
        (Kind::Array(_) | Kind::Json, _) => None,
        (_, Bson::Null) => Some(Cell::Null),
        _ => scalar(kind, item),
    }
}

/// What a column shows where there is no value.
fn blank(kind: &Kind) -> Cell {
    match kind {
        Kind::Document(fields) => Cell::Tuple(fields.iter().map(|field| blank(&field.kind)).collect()),
        Kind::Array(_) => Cell::List(Vec::new()),
        Kind::Json => Cell::Text("{}".to_owned()),
        _ => Cell::Null,
    }
}

/// The same where it cannot be NULL.
fn zero(kind: &Kind) -> Cell {
    match kind {
        Kind::ObjectIdFixed => Cell::Bytes(vec![0; 12]),
        Kind::Uuid(_) => Cell::Bytes(vec![0; 16]),
        Kind::Binary { .. } => Cell::Bytes(Vec::new()),
        Kind::Bool => Cell::Bool(false),
        Kind::Int32 => Cell::Int32(0),
        Kind::Int64 => Cell::Int64(0),
        Kind::Double => Cell::Double(0),
        Kind::Decimal { .. } => Cell::Decimal(0),
        Kind::Date => Cell::Date(0),
        Kind::Timestamp => Cell::UInt64(0),
        Kind::ObjectId | Kind::MixedId | Kind::DecimalText | Kind::String | Kind::Category => {
            Cell::Text(String::new())
        }
        Kind::Document(_) | Kind::Array(_) | Kind::Json => blank(kind),
    }
}

fn scalar(kind: &Kind, value: &Bson) -> Option<Cell> {
    Some(match (kind, value) {
        (Kind::ObjectId, Bson::ObjectId(id)) => Cell::Text(id.to_hex()),
        (Kind::ObjectIdFixed, Bson::ObjectId(id)) => Cell::Bytes(id.bytes().to_vec()),
        (Kind::Bool, Bson::Boolean(value)) => Cell::Bool(*value),
        (Kind::Int32, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_)) => {
            Cell::Int32(i32::try_from(integer(value)?).ok()?)
        }
        (Kind::Int64, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_)) => Cell::Int64(integer(value)?),
        (Kind::Double, Bson::Double(value)) => Cell::Double(value.to_bits()),
        (Kind::Double, Bson::Int32(value)) => Cell::Double(f64::from(*value).to_bits()),
        (Kind::Double, Bson::Int64(value)) => Cell::Double(double(*value)?.to_bits()),
        (Kind::Decimal { scale }, Bson::Int32(_) | Bson::Int64(_) | Bson::Decimal128(_)) => {
            Cell::Decimal(decimal(&value.to_string(), usize::from(*scale))?)
        }
        (Kind::DecimalText, Bson::Decimal128(value)) => Cell::Text(value.to_string()),
        (Kind::String | Kind::Category, Bson::String(text) | Bson::Symbol(text)) => Cell::Text(text.clone()),
        (Kind::Date, Bson::DateTime(date)) => {
            let first = bson::DateTime::parse_rfc3339_str("1900-01-01T00:00:00Z").unwrap();
            let last = bson::DateTime::parse_rfc3339_str("2299-12-31T23:59:59.999Z").unwrap();
            (first..=last).contains(date).then(|| Cell::Date(date.timestamp_millis()))?
        }
        (Kind::Timestamp, Bson::Timestamp(bson::Timestamp { time, increment })) => {
            Cell::UInt64(u64::from(*time) << 32 | u64::from(*increment))
        }
        (Kind::Uuid(order), Bson::Binary(binary)) => Cell::Bytes(uuid(*order, binary)?),
        (Kind::Binary { subtype }, Bson::Binary(binary)) => {
            (u8::from(binary.subtype) == *subtype).then(|| Cell::Bytes(binary.bytes.clone()))?
        }
        _ => return None,
    })
}

fn integer(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(value) => Some(i64::from(*value)),
        Bson::Int64(value) => Some(*value),
        // Doubles up to 2^53 that are written without a fraction, and not as -0.
        Bson::Double(value) if value.abs() <= 9_007_199_254_740_992.0 => {
            let text = format!("{value:.1}");
            text.strip_suffix(".0").filter(|_| value.fract() == 0.0 && text != "-0.0")?.parse().ok()
        }
        _ => None,
    }
}

/// The double that is written as the integer is.
fn double(value: i64) -> Option<f64> {
    let double: f64 = value.to_string().parse().ok()?;
    (format!("{double:.0}") == value.to_string()).then_some(double)
}

/// Decimal text times ten to the `scale`, if that is an integer of at most 38 digits.
fn decimal(text: &str, scale: usize) -> Option<i128> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let (mantissa, exponent) = text.split_once('E').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().ok()?;
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None; // NaN and infinities.
    }
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    let shift = exponent + i64::try_from(scale).unwrap() - i64::try_from(fraction.len()).unwrap();
    let scaled = match usize::try_from(shift) {
        Ok(zeros) if zeros > 38 => return None,
        Ok(zeros) => format!("{digits}{}", "0".repeat(zeros)),
        Err(_) => {
            let cut = usize::try_from(-shift).unwrap();
            let (kept, lost) = digits.split_at_checked(digits.len().checked_sub(cut)?)?;
            lost.bytes().all(|digit| digit == b'0').then(|| kept.to_owned())?
        }
    };
    let value: i128 = if scaled.len() > 38 { return None } else { scaled.parse().ok()? };
    Some(if negative { -value } else { value })
}

fn uuid(order: UuidOrder, binary: &bson::Binary) -> Option<Vec<u8>> {
    let subtype = if order == UuidOrder::Standard { BinarySubtype::Uuid } else { BinarySubtype::UuidOld };
    let b: [u8; 16] = binary.bytes.clone().try_into().ok().filter(|_| binary.subtype == subtype)?;
    let places: [usize; 16] = match order {
        UuidOrder::Standard | UuidOrder::PythonLegacy => std::array::from_fn(|place| place),
        UuidOrder::JavaLegacy => [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8],
        UuidOrder::CSharpLegacy => [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15],
    };
    Some(places.map(|place| b[place]).to_vec())
}

fn json(document: &Document, keep_nulls: bool) -> (String, bool) {
    let (mut text, mut overlay) = (Vec::new(), Vec::new());
    let bytes = document.to_vec().unwrap();
    let rejected = split_json_column(&mut text, &mut overlay, &bytes, keep_nulls).unwrap();
    (String::from_utf8(text).unwrap(), !rejected)
}

fn mixed_id(value: &Bson) -> String {
    let mut holder = Document::new();
    holder.insert("", value.clone());
    let bytes = holder.to_vec().unwrap();
    let element = Elements::new(&bytes).unwrap().next().unwrap().unwrap();
    let mut text = Vec::new();
    mixed_id_text(RawValue { tag: element.value.tag, bytes: element.value.bytes }, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// Whether a key occurs twice in a document anywhere in `bytes`.
pub(super) fn repeats(bytes: &[u8], is_array: bool) -> bool {
    let elements: Vec<_> = Elements::new(bytes).into_iter().flatten().map_while(Result::ok).collect();
    elements.iter().enumerate().any(|(index, element)| {
        (!is_array && elements[..index].iter().any(|earlier| earlier.key == element.key))
            || (matches!(element.value.tag, tag::DOCUMENT | tag::ARRAY)
                && repeats(element.value.bytes, element.value.tag == tag::ARRAY))
    })
}

fn cell(array: &dyn Array, row: usize) -> Cell {
    if array.is_null(row) {
        return Cell::Null;
    }
    match array.data_type() {
        DataType::Boolean => Cell::Bool(array.as_boolean().value(row)),
        DataType::Int32 => Cell::Int32(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Cell::Int64(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => Cell::UInt64(array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float64 => Cell::Double(array.as_primitive::<Float64Type>().value(row).to_bits()),
        DataType::Decimal128(..) => Cell::Decimal(array.as_primitive::<Decimal128Type>().value(row)),
        DataType::Timestamp(..) => Cell::Date(array.as_primitive::<TimestampMillisecondType>().value(row)),
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => Cell::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::FixedSizeBinary(_) => Cell::Bytes(array.as_fixed_size_binary().value(row).to_vec()),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            Cell::List((0..items.len()).map(|index| cell(&items, index)).collect())
        }
        DataType::Struct(_) => {
            Cell::Tuple(array.as_struct().columns().iter().map(|column| cell(column, row)).collect())
        }
        other => panic!("no column is {other}"),
    }
}
