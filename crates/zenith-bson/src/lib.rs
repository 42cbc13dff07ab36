//! Raw BSON: type tags, and one checked walk over the elements of a document that yields values and their ranges.
//!
//! | item | role |
//! | --- | --- |
//! | [`Elements`] | the walk over one level of a document |
//! | [`Element`] | one key, its value, and where both lie |
//! | [`RawValue`] | a tag and encoded bytes, and what they are as a Rust type |
//! | [`tag`] | the type tags of BSON 1.1 |
//! | [`validate`] | the walk over all levels, UTF-8 included |
//! | [`document_len`], [`cstring_len`] | the frame of a document, the end of a name |
//! | [`Decimal`] | Decimal128 taken apart |
//!
//! ```text
//!  1B 00 00 00 | 10 _id 00 05 00 00 00 | 02 name 00 02 00 00 00 x 00 | 00
//!              ╰─────── range ─────────╯           ╰─ value_range ───╯
//! ```
//!
//! Every length, terminator and type tag is checked before it is used, so that any input gives values or a
//! [`RawError`]. A walk checks the frame of an embedded document (length and last byte) and leaves its inside to the walk
//! over it. Text is handed out as bytes: those who need text check whether it is UTF-8.
//!
//! This crate allocates only where it makes a document ([`RawValue::in_document`]), and imports no other crate of Zenith.
//! The decoder of `zenith-arrow` has a scanner of its own for its fast path, with the tags of this crate.

mod decimal;
mod elements;
mod frame;
pub mod tag;
mod value;

pub use decimal::Decimal;
pub use elements::{Element, Elements};
pub use frame::{cstring_len, document_len};
pub use value::RawValue;

/// How deep documents and arrays may be nested before a document is refused.
///
/// MongoDB stores at most 200 levels (250 by a server parameter). The bound is what makes recursion over
/// foreign bytes safe.
pub const DEPTH_MAX: usize = 256;

/// What is wrong with the bytes of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RawError {
    /// A value reaches past the end of its document.
    #[error("BSON ends in the middle of a value")]
    Truncated,
    /// A length prefix is negative, too small for what it counts, or disagrees with the bytes there are.
    #[error("BSON length {0} is impossible here")]
    Length(i32),
    /// A document, string or key does not end in a zero byte, or one ends before its length says.
    #[error("BSON terminator is missing or in the wrong place")]
    Terminator,
    /// No BSON type has this tag.
    #[error("unknown BSON type tag {0:#04x}")]
    UnknownTag(u8),
    /// A boolean that is neither 0 nor 1.
    #[error("BSON boolean has the value {0}")]
    Boolean(u8),
    /// A key or string is not UTF-8.
    #[error("BSON text is not valid UTF-8")]
    InvalidUtf8,
    /// Documents are nested more than [`DEPTH_MAX`] levels deep.
    #[error("BSON is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
}

/// Checks a whole document: structure and UTF-8 at every level.
///
/// # Errors
///
/// The first [`RawError`] in the order of the bytes.
pub fn validate(document: &[u8]) -> Result<(), RawError> {
    validate_level(document, 1)
}

fn validate_level(document: &[u8], depth: usize) -> Result<(), RawError> {
    if depth > DEPTH_MAX {
        return Err(RawError::TooDeep);
    }
    for element in Elements::new(document)? {
        let element = element?;
        utf8(element.key)?;
        validate_inside(element.value, depth)?;
    }
    Ok(())
}

/// Checks a value whose frame has been checked, as [`validate`] checks those of a document.
///
/// # Errors
///
/// The first [`RawError`] in the order of the bytes.
pub fn validate_value(value: RawValue<'_>) -> Result<(), RawError> {
    validate_inside(value, 1)
}

fn validate_inside(value: RawValue<'_>, depth: usize) -> Result<(), RawError> {
    match value.tag {
        tag::DOCUMENT | tag::ARRAY => validate_level(value.bytes, depth + 1)?,
        tag::STRING | tag::SYMBOL | tag::CODE => {
            utf8(value.as_str_bytes().or_else(|| value.as_code_bytes()).unwrap_or_default())?;
        }
        tag::REGEX => {
            let (pattern, options) = value.as_regex().unwrap_or_default();
            utf8(pattern)?;
            utf8(options)?;
        }
        tag::DB_POINTER => {
            if let Some((namespace, _)) = value.as_db_pointer() {
                utf8(namespace)?;
            }
        }
        tag::CODE_WITH_SCOPE => {
            if let Some((code, scope)) = value.as_code_with_scope() {
                utf8(code)?;
                validate_level(scope, depth + 1)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// The bytes as text.
///
/// # Errors
///
/// [`RawError::InvalidUtf8`].
pub fn utf8(bytes: &[u8]) -> Result<&str, RawError> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| RawError::InvalidUtf8)
}

#[cfg(test)]
mod tests;
