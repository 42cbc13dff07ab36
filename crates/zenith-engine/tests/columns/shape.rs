//! Shapes of documents, and what the columns of such a shape show of a document that need not have it.

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Decimal128, Document, Uuid, doc};
use proptest::prelude::*;
use serde_json::Value;

/// Levels of documents and arrays, the document itself being the first.
const DEPTH: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    Int,
    Double,
    Decimal,
    String,
    Bool,
    Date,
    ObjectId,
    Uuid,
}

const LEAVES: [Leaf; 8] = [
    Leaf::Int,
    Leaf::Double,
    Leaf::Decimal,
    Leaf::String,
    Leaf::Bool,
    Leaf::Date,
    Leaf::ObjectId,
    Leaf::Uuid,
];

#[derive(Clone, Debug)]
pub enum Shape {
    Leaf(Leaf),
    Document(Vec<(String, Shape)>),
    Array(Box<Shape>),
}

/// The fields of a document.
pub fn fields() -> impl Strategy<Value = Vec<(String, Shape)>> {
    let leaf = prop::sample::select(LEAVES.to_vec()).prop_map(Shape::Leaf);
    let shape = leaf.prop_recursive(DEPTH - 1, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|element| Shape::Array(Box::new(element))),
            prop::collection::vec(inner, 1..4).prop_map(|shapes| Shape::Document(named(shapes))),
        ]
    });
    prop::collection::vec(shape, 2..6).prop_map(named)
}

fn named(shapes: Vec<Shape>) -> Vec<(String, Shape)> {
    let names = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"];
    names.into_iter().map(str::to_owned).zip(shapes).collect()
}

/// A document of a shape.
pub fn document(shape: &[(String, Shape)]) -> BoxedStrategy<Document> {
    let values: Vec<_> = shape.iter().map(|(_, shape)| value(shape)).collect();
    let keys: Vec<String> = shape.iter().map(|(key, _)| key.clone()).collect();
    values.prop_map(move |values| keys.clone().into_iter().zip(values).collect()).boxed()
}

fn value(shape: &Shape) -> BoxedStrategy<Bson> {
    match shape {
        Shape::Leaf(leaf) => scalar(*leaf),
        Shape::Document(fields) => document(fields).prop_map(Bson::Document).boxed(),
        Shape::Array(element) => prop::collection::vec(value(element), 1..4).prop_map(Bson::Array).boxed(),
    }
}

fn scalar(leaf: Leaf) -> BoxedStrategy<Bson> {
    match leaf {
        Leaf::Int => {
            prop_oneof![any::<i32>().prop_map(Bson::Int32), any::<i64>().prop_map(Bson::Int64)].boxed()
        }
        Leaf::Double => {
            (-1_000_000_i32..1_000_000).prop_map(|n| Bson::Double((f64::from(n) + 0.5) / 8.0)).boxed()
        }
        Leaf::Decimal => (-10_000_000_i64..10_000_000)
            .prop_map(|n| Bson::Decimal128(format!("{n}E-2").parse::<Decimal128>().unwrap()))
            .boxed(),
        Leaf::String => "[a-zé '\"\\\\]{0,12}".prop_map(Bson::String).boxed(),
        Leaf::Bool => any::<bool>().prop_map(Bson::Boolean).boxed(),
        Leaf::Date => (-2_000_000_000_000_i64..4_000_000_000_000)
            .prop_map(|ms| Bson::DateTime(DateTime::from_millis(ms)))
            .boxed(),
        Leaf::ObjectId => {
            any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(ObjectId::from_bytes(bytes))).boxed()
        }
        Leaf::Uuid => any::<[u8; 16]>().prop_map(|bytes| Bson::from(Uuid::from_bytes(bytes))).boxed(),
    }
}

/// A value that may come where another is expected.
pub fn stranger() -> impl Strategy<Value = Bson> {
    prop_oneof![
        4 => prop::sample::select(LEAVES.to_vec()).prop_flat_map(scalar),
        1 => Just(Bson::Document(doc! { "odd": 1, "alpha": "x" })),
        1 => Just(Bson::Array(vec![Bson::String("odd".to_owned()), Bson::Int32(1)])),
    ]
}

/// Whether one column can hold both, so that the one would be no stranger to the other.
pub fn same_class(left: &Bson, right: &Bson) -> bool {
    let class = |value: &Bson| match value {
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) => 0,
        other => other.element_type() as i32,
    };
    class(left) == class(right)
}

/// The paths of all scalars, without positions in arrays.
pub fn leaves(fields: &[(String, Shape)]) -> Vec<(Vec<String>, Leaf)> {
    let mut all = Vec::new();
    for (key, mut shape) in fields.iter().map(|(key, shape)| (key, shape)) {
        while let Shape::Array(element) = shape {
            shape = element;
        }
        match shape {
            Shape::Document(fields) => {
                for (mut path, leaf) in leaves(fields) {
                    path.insert(0, key.clone());
                    all.push((path, leaf));
                }
            }
            Shape::Leaf(leaf) => all.push((vec![key.clone()], *leaf)),
            Shape::Array(_) => unreachable!("elements of elements are none"),
        }
    }
    all
}

/// What is at a path of columns: lists as long as the columns show them, and the values in them.
#[derive(Debug)]
pub enum Cell<'a> {
    List(Vec<Cell<'a>>),
    /// The value of the document, whether it fits or not; none where there is no such.
    Value(Option<&'a Bson>),
}

/// What the columns of `shape` show of `value` at the path below it.
pub fn at<'a>(shape: &Shape, value: Option<&'a Bson>, path: &[String]) -> Cell<'a> {
    match shape {
        Shape::Leaf(_) => Cell::Value(value),
        Shape::Document(fields) => {
            let (_, inner) = fields.iter().find(|(key, _)| *key == path[0]).unwrap();
            at(
                inner,
                value.and_then(Bson::as_document).and_then(|document| document.get(&path[0])),
                &path[1..],
            )
        }
        Shape::Array(element) => match value {
            Some(Bson::Array(items)) => {
                Cell::List(items.iter().map(|item| at(element, Some(item), path)).collect())
            }
            // A value alone is a list of one, if it is such as the elements.
            Some(value) if is_element(element, value) => Cell::List(vec![at(element, Some(value), path)]),
            _ => Cell::List(Vec::new()),
        },
    }
}

fn is_element(element: &Shape, value: &Bson) -> bool {
    match element {
        Shape::Leaf(leaf) => typed(*leaf, value).is_some(),
        Shape::Document(_) => matches!(value, Bson::Document(_)),
        Shape::Array(_) => false,
    }
}

/// A value as text, in a column of its own type; `None` if it is of another one.
fn typed(leaf: Leaf, value: &Bson) -> Option<String> {
    Some(match (leaf, value) {
        (Leaf::Int | Leaf::Double | Leaf::Decimal, Bson::Int32(value)) => value.to_string(),
        (Leaf::Int | Leaf::Double | Leaf::Decimal, Bson::Int64(value)) => value.to_string(),
        (Leaf::Double | Leaf::Decimal, Bson::Double(value)) => value.to_string(),
        (Leaf::Double | Leaf::Decimal, Bson::Decimal128(value)) => digits(&value.to_string()),
        (Leaf::String, Bson::String(text)) => text.clone(),
        (Leaf::Bool, Bson::Boolean(value)) => value.to_string(),
        (Leaf::Date, Bson::DateTime(value)) => value.timestamp_millis().to_string(),
        (Leaf::ObjectId, Bson::ObjectId(value)) => value.to_hex(),
        (Leaf::Uuid, Bson::Binary(value)) => value.to_uuid().ok()?.to_string(),
        _ => return None,
    })
}

/// Whether the answer is what is expected; `is_text` where the column is one of text.
pub fn shows(leaf: &Leaf, expected: &Cell<'_>, shown: &Value, is_text: bool) -> bool {
    match (expected, shown) {
        (Cell::List(expected), Value::Array(shown)) => {
            expected.len() == shown.len()
                && expected.iter().zip(shown).all(|(expected, shown)| shows(leaf, expected, shown, is_text))
        }
        (Cell::Value(None | Some(Bson::Null)), shown) => shown.is_null(),
        (Cell::Value(Some(value)), shown) => {
            let fits = typed(*leaf, value);
            if fits.is_some() && text_of(*leaf, shown) == fits {
                return true;
            }
            // A column of text may show the others, too; one made for several types shows all.
            let own = matches!(leaf, Leaf::String | Leaf::ObjectId);
            match fits {
                None if shown.is_null() => !is_text || own,
                None => is_text && shows_as_text(value, shown),
                Some(_) => is_text && !own && shows_as_text(value, shown),
            }
        }
        _ => false,
    }
}

fn shows_as_text(value: &Bson, shown: &Value) -> bool {
    LEAVES.into_iter().any(|leaf| typed(leaf, value).is_some_and(|text| text_of(leaf, shown) == Some(text)))
        || matches!(value, Bson::Document(_) | Bson::Array(_))
            && shown.as_str().is_some_and(|text| serde_json::from_str::<Value>(text).is_ok())
}

/// An answer as [`typed`] would have it.
fn text_of(leaf: Leaf, shown: &Value) -> Option<String> {
    let text = match shown {
        Value::String(text) => text.clone(),
        Value::Null => return None,
        other => other.to_string(),
    };
    match leaf {
        Leaf::Double => Some(text.parse::<f64>().ok()?.to_string()),
        Leaf::Decimal => Some(digits(&text)),
        Leaf::Date => Some(DateTime::parse_rfc3339_str(&text).ok()?.timestamp_millis().to_string()),
        _ => Some(text),
    }
}

/// A decimal without zeros at its end.
fn digits(text: &str) -> String {
    let value: f64 = text.parse().unwrap_or(f64::NAN);
    value.to_string()
}
