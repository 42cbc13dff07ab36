//! `_id`s of several types in one text column, so that equal texts are equal `_id`s and no others.
//!
//! Strings stand as they are, ObjectIds as 24 lower-case hex digits, everything else as canonical Extended
//! JSON: `123` the string stays apart from `{"$numberInt":"123"}`. A string whose own text would be read as
//! something else is put in quotes, as a JSON string: the text is a key in the table, and two `_id`s with
//! one text would be taken for one document.

use bson::Bson;
use zenith_bson::{Elements, RawError, RawValue, tag, utf8};

use super::{parse_value, write_string, write_value};
use crate::schema::ID_KEY;

/// Appends the text of an `_id`; [`mixed_id_value`] is the way back.
///
/// # Errors
///
/// [`RawError`] where the value is malformed or not UTF-8; cut off what has been appended then.
pub fn mixed_id_text(value: RawValue<'_>, out: &mut Vec<u8>) -> Result<(), RawError> {
    match (value.tag, value.as_str_bytes(), value.as_object_id()) {
        (tag::STRING, Some(text), _) => {
            if other_than_itself(utf8(text)?).is_some() {
                return write_string(out, text);
            }
            out.extend_from_slice(text);
            Ok(())
        }
        (_, _, Some(id)) => {
            super::text::write_display(out, format_args!("{}", bson::oid::ObjectId::from_bytes(id)));
            Ok(())
        }
        _ => write_value(out, value),
    }
}

/// The value a text of such a column stands for.
///
/// 24 lower-case hex digits are an ObjectId. A text that starts with `{`, `[` or `"`, or is `null`, `true`
/// or `false`, and is Extended JSON as a whole of anything but an ObjectId, is that value. Everything else
/// is the string itself.
#[must_use]
pub fn mixed_id_value(text: &str) -> Bson {
    other_than_itself(text).unwrap_or_else(|| Bson::String(text.to_owned()))
}

/// What `text` stands for if that is not the string of this text.
fn other_than_itself(text: &str) -> Option<Bson> {
    let bytes = text.as_bytes();
    if bytes.len() == 24 && bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return bson::oid::ObjectId::parse_str(text).ok().map(Bson::ObjectId);
    }
    if !matches!(bytes, [b'{' | b'[' | b'"', ..] | b"null" | b"true" | b"false") {
        return None;
    }
    parse_value(text).ok().filter(|value| !matches!(value, Bson::ObjectId(_)))
}

/// `_id` of a document that may be damaged, as Extended JSON; empty if it cannot be found.
#[must_use]
pub fn id_text(document: &[u8]) -> String {
    let element = Elements::new(document).ok().and_then(|elements| {
        elements.map_while(Result::ok).find(|element| *element.key == *ID_KEY.as_bytes())
    });
    let mut text = Vec::new();
    match element.map(|element| write_value(&mut text, element.value)) {
        Some(Ok(())) => String::from_utf8(text).unwrap_or_default(),
        _ => String::new(),
    }
}
