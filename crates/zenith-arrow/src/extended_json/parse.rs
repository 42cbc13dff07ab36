//! Extended JSON back to BSON values: the inverse of the writer.
//!
//! Canonical wrappers are read, plain numbers and dates of the relaxed format as well. Earlier values of
//! repeated keys are not part of a value: a driver does not show them either. [`Container`] has them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bson::{Bson, Document, oid::ObjectId};

use super::json::{Json, JsonError};
use super::{LITERAL_KEY, is_reserved_key};
use crate::schema::DUPLICATES_KEY;

/// Parses one value.
///
/// # Errors
///
/// [`JsonError`] when the text is not JSON, or a wrapper in it is malformed.
pub fn parse_value(text: &str) -> Result<Bson, JsonError> {
    to_bson(&Json::parse(text)?)
}

/// Parses a document; an empty text is an empty document.
///
/// # Errors
///
/// As [`parse_value`], and [`JsonError::NotAnObject`].
pub fn parse_document(text: &str) -> Result<Document, JsonError> {
    if text.is_empty() {
        return Ok(Document::new());
    }
    match parse_value(text)? {
        Bson::Document(document) => Ok(document),
        _ => Err(JsonError::NotAnObject),
    }
}

/// The value a tree stands for. Plain integers become the narrowest type that holds them.
///
/// # Errors
///
/// [`JsonError::Wrapper`].
pub fn to_bson(json: &Json<'_>) -> Result<Bson, JsonError> {
    Ok(match json {
        Json::Null => Bson::Null,
        Json::Bool(value) => Bson::Boolean(*value),
        Json::Number(text) => number(text),
        Json::String(text) => Bson::String(text.clone().into_owned()),
        Json::Array(items) => Bson::Array(items.iter().map(to_bson).collect::<Result<_, _>>()?),
        Json::Object(pairs) => match Container::of(json)? {
            Some(container) => {
                let mut document = Document::new();
                for (key, value) in container.pairs() {
                    document.insert(key, to_bson(value)?);
                }
                Bson::Document(document)
            }
            None => wrapper(json, pairs)?,
        },
    })
}

/// The pairs of a JSON object.
type Pairs<'a> = [(Cow<'a, str>, Json<'a>)];

/// An object that stands for a document, or for a part of one, rather than for a value of another type.
#[derive(Clone, Copy, Debug)]
pub struct Container<'j, 'a> {
    pairs: &'j Pairs<'a>,
    verbatim: bool,
    duplicates: &'j [Json<'a>],
}

impl<'j, 'a> Container<'j, 'a> {
    /// Looks through `$literal` and `$duplicates`; `None` for scalars, arrays and wrappers.
    ///
    /// # Errors
    ///
    /// [`JsonError::Wrapper`] when `$literal` or `$duplicates` is malformed.
    pub fn of(json: &'j Json<'a>) -> Result<Option<Self>, JsonError> {
        let Json::Object(pairs) = json else { return Ok(None) };
        let duplicates = match json.get(DUPLICATES_KEY) {
            None => &[][..],
            Some(Json::Array(items)) => items,
            Some(_) => return Err(malformed(DUPLICATES_KEY)),
        };
        if let Some(literal) = json.get(LITERAL_KEY) {
            let alone = pairs.iter().all(|(key, _)| key == LITERAL_KEY || key == DUPLICATES_KEY);
            return match literal {
                Json::Object(pairs) if alone => Ok(Some(Self { pairs, verbatim: true, duplicates })),
                _ => Err(malformed(LITERAL_KEY)),
            };
        }
        let wrapper = pairs.iter().any(|(key, _)| key != DUPLICATES_KEY && is_reserved_key(key.as_bytes()));
        Ok((!wrapper).then_some(Self { pairs, verbatim: false, duplicates }))
    }

    /// The keys and values of the document, in order.
    pub fn pairs(self) -> impl Iterator<Item = (&'j str, &'j Json<'a>)> {
        let Self { pairs, verbatim, .. } = self;
        pairs
            .iter()
            .filter(move |(key, _)| verbatim || key != DUPLICATES_KEY)
            .map(|(key, value)| (key.as_ref(), value))
    }

    /// The earlier values of repeated keys, in order.
    pub fn duplicates(self) -> impl Iterator<Item = (&'j str, &'j Json<'a>)> {
        self.duplicates
            .iter()
            .filter_map(|entry| if let Json::Object(pairs) = entry { Some(pairs) } else { None })
            .flatten()
            .map(|(key, value)| (key.as_ref(), value))
    }
}

fn malformed(key: &str) -> JsonError {
    JsonError::Wrapper { key: key.to_owned() }
}

fn number(text: &str) -> Bson {
    // `-0` is a float's zero: no integer has a sign there.
    if text != "-0" {
        if let Ok(value) = text.parse::<i32>() {
            return Bson::Int32(value);
        }
        if let Ok(value) = text.parse::<i64>() {
            return Bson::Int64(value);
        }
    }
    // The grammar of JSON numbers is inside that of Rust's floats; out of range is infinite.
    Bson::Double(text.parse().unwrap_or(f64::NAN))
}

/// The value of an object whose key names its type.
fn wrapper(json: &Json<'_>, pairs: &Pairs<'_>) -> Result<Bson, JsonError> {
    let key = pairs
        .iter()
        .map(|(key, _)| key.as_ref())
        .find(|key| is_reserved_key(key.as_bytes()) && *key != "$scope" && *key != "$options")
        .unwrap_or_default();
    let others = usize::from(key == "$code" && json.get("$scope").is_some());
    let value = if pairs.len() == 1 + others { json.get(key) } else { None };
    value.and_then(|value| typed(key, value, json)).ok_or_else(|| malformed(key))
}

/// `value` as the type that `key` names; `None` when it is not of that type.
fn typed(key: &str, value: &Json<'_>, json: &Json<'_>) -> Option<Bson> {
    Some(match key {
        "$oid" => Bson::ObjectId(ObjectId::parse_str(value.as_str()?).ok()?),
        "$symbol" => Bson::Symbol(value.as_str()?.to_owned()),
        "$numberInt" => Bson::Int32(value.as_str()?.parse().ok()?),
        "$numberLong" => Bson::Int64(value.as_str()?.parse().ok()?),
        "$numberDouble" => Bson::Double(double(value.as_str()?)?),
        "$numberDecimal" => Bson::Decimal128(value.as_str()?.parse().ok()?),
        "$binary" => binary(value)?,
        "$uuid" => Bson::Binary(bson::Uuid::parse_str(value.as_str()?).ok()?.into()),
        "$timestamp" => Bson::Timestamp(bson::Timestamp {
            time: word(value.get("t")?)?,
            increment: word(value.get("i")?)?,
        }),
        "$regularExpression" => Bson::RegularExpression(bson::Regex {
            pattern: value.get("pattern")?.as_str()?.to_owned().try_into().ok()?,
            options: value.get("options")?.as_str()?.to_owned().try_into().ok()?,
        }),
        "$date" => Bson::DateTime(date(value)?),
        "$minKey" => Bson::MinKey,
        "$maxKey" => Bson::MaxKey,
        "$undefined" => Bson::Undefined,
        "$dbPointer" => db_pointer(value)?,
        "$code" => code(value, json.get("$scope"))?,
        _ => return None,
    })
}

fn double(text: &str) -> Option<f64> {
    match text {
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        _ => text.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

fn binary(value: &Json<'_>) -> Option<Bson> {
    let subtype = u8::from_str_radix(value.get("subType")?.as_str()?, 16).ok()?;
    let bytes = STANDARD.decode(value.get("base64")?.as_str()?).ok()?;
    Some(Bson::Binary(bson::Binary { subtype: subtype.into(), bytes }))
}

fn date(value: &Json<'_>) -> Option<bson::DateTime> {
    match value {
        Json::String(text) => bson::DateTime::parse_rfc3339_str(text).ok(),
        Json::Number(text) => Some(bson::DateTime::from_millis(text.parse().ok()?)),
        _ => Some(bson::DateTime::from_millis(value.get("$numberLong")?.as_str()?.parse().ok()?)),
    }
}

/// Half of a timestamp; a server may have put it in quotes.
fn word(value: &Json<'_>) -> Option<u32> {
    match value {
        Json::Number(text) => text.parse().ok(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn code(code: &Json<'_>, scope: Option<&Json<'_>>) -> Option<Bson> {
    let code = code.as_str()?.to_owned();
    let Some(scope) = scope else { return Some(Bson::JavaScriptCode(code)) };
    match to_bson(scope).ok()? {
        Bson::Document(scope) => {
            Some(Bson::JavaScriptCodeWithScope(bson::JavaScriptCodeWithScope { code, scope }))
        }
        _ => None,
    }
}

/// The bson crate has no constructor of DBPointers, but reads one from bytes.
fn db_pointer(value: &Json<'_>) -> Option<Bson> {
    let namespace = value.get("$ref")?.as_str()?;
    let id = ObjectId::parse_str(value.get("$id")?.get("$oid")?.as_str()?).ok()?;
    let length = |size: usize| i32::try_from(size).ok().map(i32::to_le_bytes);
    let mut document = Vec::with_capacity(namespace.len() + 24);
    document.extend_from_slice(&length(4 + 2 + 4 + namespace.len() + 1 + 12 + 1)?);
    document.extend_from_slice(&[zenith_bson::tag::DB_POINTER, 0]);
    document.extend_from_slice(&length(namespace.len() + 1)?);
    document.extend_from_slice(namespace.as_bytes());
    document.push(0);
    document.extend_from_slice(&id.bytes());
    document.push(0);
    Document::from_reader(document.as_slice()).ok()?.remove("")
}
