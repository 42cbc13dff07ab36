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
use zenith_bson::{Elements, RawValue, tag};

use crate::extended_json::{mixed_id_text, plain_text, split_json_column};
use crate::schema::{Blank, ID_KEY, TextType, UuidOrder};
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
    /// Nothing more has to be said of it.
    whole: bool,
    /// The column shows something.
    there: bool,
}

/// A row of a batch.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// All columns but the extra and the notes column.
    pub(super) cells: Vec<Cell>,
    pub(super) extra: String,
    pub(super) notes: String,
}

impl Row {
    pub(super) fn of(batch: &RecordBatch, row: usize) -> Row {
        let (notes, columns) = batch.columns().split_last().unwrap();
        let (extra, columns) = columns.split_last().unwrap();
        let cells = columns.iter().map(|column| cell(column, row)).collect();
        let text = |column: &arrow_array::ArrayRef| column.as_string::<i32>().value(row).to_owned();
        Row { cells, extra: text(extra), notes: text(notes) }
    }
}

/// The values of a document's row, and whether they are all of it; `None` if the key column does not hold its key.
pub(super) fn expected(schema: &Schema, document: &Document) -> Option<(Vec<Cell>, bool)> {
    let key = schema.fields.iter().find(|field| field.name == ID_KEY).unwrap();
    let id = match (&key.kind, document.get(ID_KEY)) {
        (Kind::MixedId, None) => Cell::Text(r#"{"$missing":true}"#.to_owned()),
        (Kind::MixedId, Some(id)) => Cell::Text(mixed_id(id)),
        (Kind::Double, Some(Bson::Decimal128(_))) => return None,
        (kind, id) => scalar(schema, kind, id?)?,
    };
    let at = schema.fields.iter().position(|field| field.name == ID_KEY).unwrap();
    let before: usize = schema.fields[..at].iter().map(|field| 1 + usize::from(field.twin.is_some())).sum();
    let mut others = schema.fields.clone();
    others.remove(at);
    let mut without = document.clone();
    without.remove(ID_KEY);
    let (mut cells, whole, _) = level(schema, &others, &without);
    cells.insert(before, id);
    Some((cells, whole))
}

fn level(schema: &Schema, fields: &[Field], document: &Document) -> (Vec<Cell>, bool, bool) {
    let (mut cells, mut whole, mut there) = (Vec::new(), true, false);
    for field in fields {
        let (held, twin) = self::field(schema, field, document.get(&field.name));
        cells.push(held.cell);
        cells.extend(twin);
        whole &= held.whole;
        there |= held.there;
    }
    for (key, value) in document {
        let has_column = fields.iter().any(|field| field.name == *key);
        // A null without a column is a missing field.
        whole &= has_column || (*value == Bson::Null && !schema.keep_nulls);
    }
    (cells, whole, there)
}

fn field(schema: &Schema, field: &Field, value: Option<&Bson>) -> (Held, Option<Cell>) {
    let known = |state: Blank| match (state, field.blank) {
        (Blank::Empty, blank) | (blank, Blank::Empty) => blank == Blank::Empty,
        (state, blank) => state == blank || !schema.keep_nulls,
    };
    let null = field.twin.as_ref().map(|_| Cell::Null);
    let nothing = |whole| Held { cell: blank(&field.kind), whole, there: false };
    let value = match value {
        None => return (nothing(known(Blank::Missing)), null),
        Some(Bson::Null) => return (nothing(known(Blank::Null)), null),
        Some(value) => value,
    };
    if let Some(held) = self::value(schema, &field.kind, value) {
        let whole = held.whole && (held.there || known(Blank::Empty));
        return (Held { whole, ..held }, null);
    }
    if let Kind::Array(element) = &field.kind
        && !matches!(**element, Kind::Array(_))
        && let Some(alone) = self::value(schema, element, value)
    {
        return (Held { cell: Cell::List(vec![alone.cell]), whole: false, there: true }, null);
    }
    match &field.twin {
        Some(twin) => {
            let (text_type, text) = plain(value);
            let held = Held { cell: blank(&field.kind), whole: text_type == twin.usual, there: true };
            (held, Some(Cell::Text(text)))
        }
        None => (nothing(false), None),
    }
}

/// A value that is not null; `None` if it does not fit.
fn value(schema: &Schema, kind: &Kind, value: &Bson) -> Option<Held> {
    Some(match (kind, value) {
        (Kind::Document(fields), Bson::Document(document)) => {
            let (cells, whole, there) = level(schema, fields, document);
            Held { cell: Cell::Tuple(cells), whole, there }
        }
        (Kind::Array(element), Bson::Array(items)) => {
            let items: Vec<Held> = items.iter().map(|item| self::element(schema, element, item)).collect();
            let (whole, there) = (items.iter().all(|item| item.whole), !items.is_empty());
            Held { cell: Cell::List(items.into_iter().map(|item| item.cell).collect()), whole, there }
        }
        (Kind::Map(value), Bson::Document(document)) => map(schema, value, document),
        (Kind::Map(_), _) => return None,
        (Kind::Json, Bson::Document(document)) => {
            let (text, whole) = json(document, schema.keep_nulls);
            Held { there: text != "{}", cell: Cell::Text(text), whole }
        }
        (Kind::Text { usual }, value) => {
            let (text_type, text) = plain(value);
            Held { cell: Cell::Text(text), whole: text_type == *usual, there: true }
        }
        (kind, value) => Held { cell: scalar(schema, kind, value)?, whole: true, there: true },
    })
}

/// A document in a map: what does not fit has no key there, unless values may be NULL.
fn map(schema: &Schema, field: &Field, document: &Document) -> Held {
    let (mut entries, mut whole) = (Vec::new(), true);
    for (key, item) in document {
        let held = if *item == Bson::Null { None } else { value(schema, &field.kind, item) };
        whole &= match &held {
            Some(held) => held.whole,
            None => *item == Bson::Null && (!field.required || !schema.keep_nulls),
        };
        if held.is_some() || !field.required {
            let cell = held.map_or(Cell::Null, |held| held.cell);
            entries.push(Cell::Tuple(vec![Cell::Text(key.clone()), cell]));
        }
    }
    Held { there: !entries.is_empty(), cell: Cell::List(entries), whole }
}

/// An element of an array, which keeps its place whatever it is.
fn element(schema: &Schema, kind: &Kind, item: &Bson) -> Held {
    let has_parts = kind.is_never_null();
    let nothing = |whole| Held { cell: blank(kind), whole, there: false };
    if *item == Bson::Null {
        return nothing(!has_parts);
    }
    if let Some(held) = value(schema, kind, item) {
        return held;
    }
    if let Kind::Array(inner) = kind
        && !matches!(**inner, Kind::Array(_))
        && let Some(alone) = value(schema, inner, item)
    {
        return Held { cell: Cell::List(vec![alone.cell]), whole: false, there: true };
    }
    nothing(false)
}

/// What a column shows where there is no value.
fn blank(kind: &Kind) -> Cell {
    match kind {
        Kind::Document(fields) => {
            let cells = fields.iter().flat_map(|field| {
                std::iter::once(blank(&field.kind)).chain(field.twin.as_ref().map(|_| Cell::Null))
            });
            Cell::Tuple(cells.collect())
        }
        Kind::Array(_) | Kind::Map(_) => Cell::List(Vec::new()),
        Kind::Json => Cell::Text("{}".to_owned()),
        _ => Cell::Null,
    }
}

fn scalar(schema: &Schema, kind: &Kind, value: &Bson) -> Option<Cell> {
    Some(match (kind, value) {
        (Kind::ObjectId, Bson::ObjectId(id)) => Cell::Text(id.to_hex()),
        (Kind::ObjectIdFixed, Bson::ObjectId(id)) => Cell::Bytes(id.bytes().to_vec()),
        (Kind::Bool, Bson::Boolean(value)) => Cell::Bool(*value),
        (Kind::Int32, _) => Cell::Int32(i32::try_from(integer(value)?).ok()?),
        (Kind::Int64, _) => Cell::Int64(integer(value)?),
        (Kind::Double, Bson::Double(value)) => Cell::Double(value.to_bits()),
        (Kind::Double, Bson::Int32(value)) => Cell::Double(f64::from(*value).to_bits()),
        (Kind::Double, Bson::Int64(value)) => Cell::Double(double(*value)?.to_bits()),
        (Kind::Double, Bson::Decimal128(value)) => {
            let double: f64 = value.to_string().parse().ok().filter(|double: &f64| double.is_finite())?;
            (digits(&value.to_string())? == digits(&written(double)?)?)
                .then(|| Cell::Double(unsigned(double)))?
        }
        (Kind::Decimal { scale }, Bson::Double(value)) => {
            Cell::Decimal(decimal(&written(*value)?, usize::from(*scale))?)
        }
        (Kind::Decimal { scale }, Bson::Int32(_) | Bson::Int64(_) | Bson::Decimal128(_)) => {
            Cell::Decimal(decimal(&value.to_string(), usize::from(*scale))?)
        }
        (Kind::DecimalText, Bson::Decimal128(value)) => Cell::Text(value.to_string()),
        (Kind::String | Kind::Category, Bson::String(text) | Bson::Symbol(text)) => Cell::Text(text.clone()),
        (Kind::Date, Bson::DateTime(date)) => {
            let range = schema.dates.first_ms..=schema.dates.last_ms;
            range.contains(&date.timestamp_millis()).then(|| Cell::Date(date.timestamp_millis()))?
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
        Bson::Decimal128(value) => decimal(&value.to_string(), 0)?.try_into().ok(),
        _ => None,
    }
}

/// A double in plain decimal, as long as it is no zero with a sign.
fn written(value: f64) -> Option<String> {
    let text = if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value}") };
    (value.is_finite() && text != "-0" && value.abs() < 1e38).then_some(text)
}

/// Zero without its sign, which decimals do not distinguish.
fn unsigned(value: f64) -> u64 {
    if value == 0.0 { 0 } else { value.to_bits() }
}

/// Sign, digits and exponent of a decimal text, without zeros at either end; `None` for one that is not finite.
fn digits(text: &str) -> Option<(bool, String, i64)> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let (mantissa, exponent) = text.split_once('E').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    if !all.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let exponent = exponent.parse::<i64>().ok()? - i64::try_from(fraction.len()).unwrap();
    let kept = all.trim_end_matches('0');
    if kept.is_empty() {
        return Some((false, String::new(), 0));
    }
    let exponent = exponent + i64::try_from(all.len() - kept.len()).unwrap();
    Some((negative, kept.trim_start_matches('0').to_owned(), exponent))
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

fn plain(value: &Bson) -> (TextType, String) {
    let mut holder = Document::new();
    holder.insert("", value.clone());
    let bytes = holder.to_vec().unwrap();
    let element = Elements::new(&bytes).unwrap().next().unwrap().unwrap();
    let mut text = Vec::new();
    let text_type = plain_text(element.value, &mut text).unwrap();
    (text_type, String::from_utf8(text).unwrap())
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
        DataType::Map(..) => {
            let pairs = array.as_map().value(row);
            Cell::List((0..pairs.len()).map(|index| cell(&pairs, index)).collect())
        }
        DataType::Struct(_) => {
            Cell::Tuple(array.as_struct().columns().iter().map(|column| cell(column, row)).collect())
        }
        other => panic!("no column is {other}"),
    }
}
