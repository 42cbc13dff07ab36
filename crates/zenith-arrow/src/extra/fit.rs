//! Whether a value fits a column: the rules, spelled out one by one.

use super::shape::{Node, Shape};
use crate::Kind;
use crate::decode::convert;
use crate::extended_json;
use crate::raw::{Elements, RawError, RawValue, tag};

/// Why a value went to the extra column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Misfit {
    /// The field has no column.
    NoColumn,
    /// The value is of another BSON type than its column; the tag is the value's.
    OtherType(u8),
    /// The value is of the right type, but the column cannot hold it exactly.
    OutOfRange,
    /// The array has an element that does not fit.
    Element,
    /// An earlier value of a key that occurs again.
    Duplicate,
    /// A JSON column would not return the value as it was.
    NotPlainJson,
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Misfit::NoColumn => f.write_str("no column"),
            Misfit::OtherType(value) => write!(f, "is {}", tag::name(*value)),
            Misfit::OutOfRange => f.write_str("out of range"),
            Misfit::Element => f.write_str("array element does not fit"),
            Misfit::Duplicate => f.write_str("repeated key"),
            Misfit::NotPlainJson => f.write_str("not plain JSON"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    No(Misfit),
}

fn exactly(fits: bool) -> Fit {
    if fits { Fit::Yes } else { Fit::No(Misfit::OutOfRange) }
}

/// Whether a value that is not null fits a column of this shape; documents are taken as elements of an
/// array, where nothing inside can be noted.
pub(super) fn fit(shape: &Shape, value: RawValue<'_>, keep_nulls: bool) -> Result<Fit, RawError> {
    let other = Fit::No(Misfit::OtherType(value.tag));
    match shape {
        Shape::Leaf(kind) => leaf(kind, value),
        Shape::Document(node) => match value.as_document_bytes() {
            Some(document) => Ok(if fits_in_array(node, document, keep_nulls)? {
                Fit::Yes
            } else {
                Fit::No(Misfit::Element)
            }),
            None => Ok(other),
        },
        Shape::Json => match value.as_document_bytes() {
            Some(document) => {
                let (mut column, mut overlay) = (Vec::new(), Vec::new());
                let rejected =
                    extended_json::split_json_column(&mut column, &mut overlay, document, keep_nulls)?;
                Ok(if rejected { Fit::No(Misfit::NotPlainJson) } else { Fit::Yes })
            }
            None => Ok(other),
        },
        Shape::Array(element) => {
            let Some(array) = value.as_array_bytes() else { return Ok(other) };
            for value in Elements::new(array)? {
                let value = value?.value;
                let fits = if value.is_null() {
                    matches!(**element, Shape::Leaf(_))
                } else {
                    fit(element, value, keep_nulls)? == Fit::Yes
                };
                if !fits {
                    return Ok(Fit::No(Misfit::Element));
                }
            }
            Ok(Fit::Yes)
        }
    }
}

/// Whether a document inside an array is held by its columns whole.
fn fits_in_array(node: &Node, document: &[u8], keep_nulls: bool) -> Result<bool, RawError> {
    let mut seen = vec![false; node.shapes.len()];
    for element in Elements::new(document)? {
        let element = element?;
        let Some(index) = node.find(element.key) else { return Ok(false) };
        if std::mem::replace(&mut seen[index], true) {
            return Ok(false);
        }
        let shape = &node.shapes[index];
        if element.value.is_null() {
            if keep_nulls || shape.holds_array() {
                return Ok(false);
            }
            continue;
        }
        if fit(shape, element.value, keep_nulls)? != Fit::Yes {
            return Ok(false);
        }
        if let (Shape::Document(inner), Some(bytes)) = (shape, element.value.as_document_bytes())
            && !has_value(inner, bytes)?
        {
            return Ok(false);
        }
    }
    Ok(node.shapes.iter().zip(seen).all(|(shape, seen)| seen || !shape.holds_array()))
}

/// Whether a document puts a value into any of its columns, so that it can be told from a missing one.
pub(super) fn has_value(node: &Node, document: &[u8]) -> Result<bool, RawError> {
    let repeated = extended_json::repeated_keys(document)?;
    for (position, element) in Elements::new(document)?.enumerate() {
        let element = element?;
        if element.value.is_null() || repeated.binary_search(&position).is_ok() {
            continue;
        }
        let Some(index) = node.find(element.key) else { continue };
        let there = match &node.shapes[index] {
            Shape::Leaf(kind) => leaf(kind, element.value)? == Fit::Yes,
            Shape::Document(_) | Shape::Json => element.value.tag == tag::DOCUMENT,
            Shape::Array(_) => element.value.tag == tag::ARRAY,
        };
        if there {
            return Ok(true);
        }
    }
    Ok(false)
}

fn leaf(kind: &Kind, value: RawValue<'_>) -> Result<Fit, RawError> {
    let double = value.as_f64().and_then(convert::integral);
    let fits = match (kind, value.tag) {
        (Kind::ObjectId | Kind::ObjectIdFixed, tag::OBJECT_ID)
        | (Kind::Bool, tag::BOOLEAN)
        | (Kind::Int32, tag::INT32)
        | (Kind::Int64, tag::INT32 | tag::INT64)
        | (Kind::Double, tag::DOUBLE | tag::INT32)
        | (Kind::DecimalText, tag::DECIMAL128)
        | (Kind::String | Kind::Category, tag::STRING | tag::SYMBOL)
        | (Kind::Timestamp, tag::TIMESTAMP) => true,
        (Kind::MixedId, _) => true,
        (Kind::Int32, tag::INT64) => value.as_i64().is_some_and(|v| i32::try_from(v).is_ok()),
        (Kind::Int32, tag::DOUBLE) => double.is_some_and(|v| i32::try_from(v).is_ok()),
        (Kind::Int64, tag::DOUBLE) => double.is_some(),
        (Kind::Double, tag::INT64) => value.as_i64().and_then(convert::exact_double).is_some(),
        (Kind::Decimal { scale }, tag::INT32 | tag::INT64) => {
            value.as_integer().and_then(|v| convert::integer_as_decimal(v, *scale)).is_some()
        }
        (Kind::Decimal { scale }, tag::DECIMAL128) => {
            value.as_decimal().and_then(|v| v.to_scaled(*scale)).is_some()
        }
        (Kind::Date, tag::DATE) => value.as_date_ms().is_some_and(convert::date_fits),
        (Kind::Uuid(order), tag::BINARY) => {
            value.as_binary().is_some_and(|(subtype, bytes)| subtype == order.subtype() && bytes.len() == 16)
        }
        (Kind::Binary { subtype: column }, tag::BINARY) => {
            value.as_binary().is_some_and(|(subtype, _)| subtype == *column)
        }
        _ => return Ok(Fit::No(Misfit::OtherType(value.tag))),
    };
    Ok(exactly(fits))
}
