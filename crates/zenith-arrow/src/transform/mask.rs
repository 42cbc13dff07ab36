//! What stands in the place of a value that is masked.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use ring::digest::{Context, SHA256};
use zenith_bson::{RawError, RawValue, tag};

use crate::extended_json::plain_text;

/// What hides a text.
const HIDDEN: &[u8] = b"****";
/// Characters that are left, and the fewest that a text has of which some are left.
const SHOWN: usize = 4;
const SHOWN_LEAST: usize = 8;

/// What stands in the place of a value. Nulls stay nulls, and what is missing stays missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mask {
    /// `****`.
    Redact,
    /// Null.
    Null,
    /// `****` and the last four characters of a text of at least eight; `****` of a shorter one, a document or an array.
    Last4,
    /// The SHA-256 of the salt and the text, as 64 hex digits.
    Sha256(Salt),
    /// The first eight bytes of the SHA-256 of the salt and the text, as a number without a sign.
    Hash64(Salt),
}

/// What is hashed before each text, so that nobody can try out texts. It is not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Salt(Arc<[u8]>);

impl Salt {
    /// These bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Salt {
        Salt(bytes.into())
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt")
    }
}

impl Mask {
    /// Appends what stands in the place of a value, and gives back its type. Nulls are appended as they are.
    ///
    /// # Errors
    /// [`RawError`] where the value is malformed or not UTF-8.
    pub(super) fn write(&self, value: RawValue<'_>, out: &mut Vec<u8>) -> Result<u8, RawError> {
        match self {
            _ if matches!(value.tag, tag::NULL | tag::UNDEFINED) => Ok(value.tag),
            Mask::Redact => string(HIDDEN, out),
            Mask::Null => Ok(tag::NULL),
            Mask::Last4 if matches!(value.tag, tag::DOCUMENT | tag::ARRAY) => string(HIDDEN, out),
            Mask::Last4 => {
                let text = text(value)?;
                let text = zenith_bson::utf8(&text)?;
                let hidden = text.chars().count().checked_sub(SHOWN).filter(|_| long_enough(text));
                let shown = hidden.and_then(|hidden| text.char_indices().nth(hidden));
                let shown = shown.and_then(|(at, _)| text.get(at..)).unwrap_or_default();
                string(&[HIDDEN, shown.as_bytes()].concat(), out)
            }
            Mask::Sha256(salt) => {
                let digest = salt.digest(&text(value)?);
                string(digest.map(|byte| [digit(byte >> 4), digit(byte & 15)]).as_flattened(), out)
            }
            Mask::Hash64(salt) => {
                let [a, b, c, d, e, f, g, h, ..] = salt.digest(&text(value)?);
                out.extend_from_slice(&u64::from_be_bytes([a, b, c, d, e, f, g, h]).to_le_bytes());
                Ok(tag::TIMESTAMP)
            }
        }
    }

    /// What stands in the place of a value: its type, and its bytes.
    ///
    /// # Errors
    /// [`RawError`] where the value is malformed or not UTF-8.
    pub fn of(&self, value: RawValue<'_>) -> Result<(u8, Vec<u8>), RawError> {
        let mut bytes = Vec::new();
        let tag = self.write(value, &mut bytes)?;
        Ok((tag, bytes))
    }

    /// The mask of a sample: it gives a value of the type that the column is to have.
    pub(super) fn of_sample(&self) -> Mask {
        match self {
            Mask::Null => Mask::Redact,
            other => other.clone(),
        }
    }
}

impl Salt {
    fn digest(&self, text: &[u8]) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(&self.0);
        context.update(text);
        context.finish().as_ref().try_into().unwrap_or_default()
    }
}

fn long_enough(text: &str) -> bool {
    text.chars().nth(SHOWN_LEAST - 1).is_some()
}

/// The text of a value; of one that is a text, without copying it.
fn text(value: RawValue<'_>) -> Result<Cow<'_, [u8]>, RawError> {
    if let Some(text) = value.as_str_bytes() {
        zenith_bson::utf8(text)?;
        return Ok(Cow::Borrowed(text));
    }
    let mut text = Vec::new();
    plain_text(value, &mut text)?;
    Ok(Cow::Owned(text))
}

fn digit(half: u8) -> u8 {
    if half < 10 { b'0' + half } else { b'a' + half - 10 }
}

/// Appends a string as a value, and gives back its type.
fn string(text: &[u8], out: &mut Vec<u8>) -> Result<u8, RawError> {
    let length = i32::try_from(text.len() + 1).map_err(|_| RawError::Truncated)?;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text);
    out.push(0);
    Ok(tag::STRING)
}
