//! Extended JSON v2: BSON values as JSON text and back, without loss.
//!
//! This is the language of the extra column, of JSON columns and of mixed `_id`s. It is the canonical format
//! of the Extended JSON specification (types marked by wrapper objects such as `{"$numberInt":"1"}`), plus
//! three rules of our own that make it exact for *every* document. They are nothing an ordinary Extended
//! JSON parser trips over, except where the specification itself is ambiguous:
//!
//! ```text
//! document   = "{" [duplicates ","] pairs "}"               ; no key of the document is reserved
//!            | "{" [duplicates ","] `"$literal":` "{" pairs "}" "}"  ; keys of `pairs` are taken verbatim
//! duplicates = `"$duplicates":` "[" { "{" key ":" value "}" } "]"    ; earlier values of repeated keys,
//!                                                           ; in order, keys verbatim
//! elements   = `{"$elements":` "{" { position ":" value } "}" "}"    ; only in an overlay, see below
//! ```
//!
//! A key is *reserved* when a parser could take a document that has it for a wrapper: [`is_reserved_key`].
//! `$literal` says that the keys one level down are ordinary keys; values in it follow the grammar again.
//! Of a repeated key the last value stands in its place and is what a reader sees, as with a driver.
//!
//! The extra column holds an *overlay*: one object shaped like the document with only some of its values.
//! Its inner objects follow the same grammar; `elements` has those of an array, by position. The notes column holds
//! an overlay of words: `"missing"`, `"null"`, `"empty"`, or the type that a text was made from.
//!
//! Overlays of version 0.1 have `null` and `{"$missing":true}` for what is a note today.
//!
//! Invalid UTF-8 cannot be written as JSON and is an error; nothing is replaced.

mod json;
mod json_column;
mod mixed_id;
mod parse;
mod plain_text;
mod text;
mod write;

pub use json::{Json, JsonError};
pub use json_column::{ARRAY_LEVEL_MAX, LEVEL_MAX, split_json_column};
pub use mixed_id::{id_text, mixed_id_text, mixed_id_value};
pub use parse::{Container, parse_document, parse_value, to_bson};
pub use plain_text::{plain_text, plain_value, text_of_kind};
pub(crate) use text::write_position;
pub use text::{write_double, write_string};
pub(crate) use write::repeated_keys;
pub use write::{has_reserved_key, write_document, write_relaxed, write_value};

/// The text of an `_id` that a document does not have; in overlays of version 0.1, of any value that is not there.
pub const MISSING: &str = r#"{"$missing":true}"#;
/// The key of [`MISSING`].
pub const MISSING_KEY: &str = "$missing";
/// The key under which a document's keys are taken verbatim.
pub const LITERAL_KEY: &str = "$literal";

/// First keys of objects that stand for a value of a type that JSON lacks.
const TYPE_KEYS: [&str; 16] = [
    "$oid",
    "$symbol",
    "$numberInt",
    "$numberLong",
    "$numberDouble",
    "$numberDecimal",
    "$binary",
    "$uuid",
    "$code",
    "$timestamp",
    "$regularExpression",
    "$dbPointer",
    "$date",
    "$minKey",
    "$maxKey",
    "$undefined",
];

/// Other keys that make an Extended JSON parser, or ours, read a document as something else.
const OTHER_KEYS: [&str; 7] = [
    "$scope",
    "$regex",
    "$options",
    LITERAL_KEY,
    crate::schema::DUPLICATES_KEY,
    crate::schema::ELEMENTS_KEY,
    MISSING_KEY,
];

/// Whether an object that begins with this key stands for a value of a type that JSON lacks.
#[must_use]
pub fn is_type_key(key: &str) -> bool {
    TYPE_KEYS.contains(&key)
}

/// Whether a document with this key has to be written under `$literal`.
#[must_use]
pub fn is_reserved_key(key: &[u8]) -> bool {
    key.first() == Some(&b'$')
        && TYPE_KEYS.iter().chain(&OTHER_KEYS).any(|reserved| reserved.as_bytes() == key)
}

#[cfg(test)]
pub(crate) mod arbitrary;
#[cfg(test)]
mod tests;
