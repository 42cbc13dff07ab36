//! A document as one value of another, beside its `_id`.

use zenith_bson::{Element, Elements, RawError, tag};

use crate::schema::ID_KEY;

/// The key that the whole document has.
pub const WHOLE_KEY: &str = "doc";

/// Appends a document with the `_id` of `document`, the last where it has several, and all of it.
pub(super) fn write(document: &[u8], out: &mut Vec<u8>) -> Result<(), RawError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    if let Some(id) = id(document)? {
        element(id.value.tag, ID_KEY, id.value.bytes, out);
    }
    element(tag::DOCUMENT, WHOLE_KEY, document, out);
    out.push(0);
    let length = i32::try_from(out.len() - start).map_err(|_| RawError::Truncated)?;
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

fn id(document: &[u8]) -> Result<Option<Element<'_>>, RawError> {
    let mut id = None;
    for element in Elements::new(document)? {
        let element = element?;
        if element.key == ID_KEY.as_bytes() {
            id = Some(element);
        }
    }
    Ok(id)
}

fn element(tag: u8, key: &str, value: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(key.as_bytes());
    out.push(0);
    out.extend_from_slice(value);
}
