//! What of a document its columns do not hold, as the text of the extra column.
//!
//! The decoder only notices *that* a document does not fit; this module walks the document a second
//! time, slowly and plainly, and says *what*. The text is an overlay in the language of
//! [`extended_json`]: one object shaped like the document, holding
//!
//! - values without a column, of another type than their column, or out of its range;
//! - arrays with any such element, whole;
//! - `{}` for an embedded document that is there but puts no value into any column;
//! - `null` for a missing or null array, and for a missing document that contains arrays, because the
//!   target shows them as `[]` (`{"$missing":true}` where explicit nulls are kept apart);
//! - earlier values of repeated keys, under `$duplicates`.

mod fit;
mod shape;

use crate::Kind;
use crate::extended_json::{self, is_reserved_key};
use crate::raw::{Elements, RawError, RawValue, tag};
use crate::schema::{DUPLICATES_KEY, ID_KEY, Schema};
pub use fit::Misfit;
use fit::{Fit, fit};
use shape::{Node, Shape};

/// Makes the extra text of documents of one schema.
pub struct Explainer {
    root: Node,
    keep_nulls: bool,
    path: Vec<u8>,
}

impl Explainer {
    /// For documents decoded with `schema`.
    #[must_use]
    pub fn new(schema: &Schema) -> Explainer {
        Explainer { root: Node::new(&schema.fields), keep_nulls: schema.keep_nulls, path: Vec::new() }
    }

    /// Appends the extra text of `document` to `out`: nothing, or one JSON object.
    ///
    /// `note` is told the dotted path of every value that went there and why.
    ///
    /// # Errors
    /// [`RawError`] where the bytes are not BSON or hold text that is not UTF-8; `out` is then
    /// incomplete.
    pub fn explain(
        &mut self,
        document: &[u8],
        out: &mut Vec<u8>,
        note: &mut dyn FnMut(&[u8], Misfit),
    ) -> Result<(), RawError> {
        self.path.clear();
        let mut writer = Writer { out, note, path: &mut self.path, keep_nulls: self.keep_nulls };
        writer.document(&self.root, document, false)
    }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    note: &'a mut dyn FnMut(&[u8], Misfit),
    path: &'a mut Vec<u8>,
    keep_nulls: bool,
}

/// An object that is only opened when something is put in it.
struct Object {
    start: usize,
    entries: usize,
    reserved: bool,
    duplicates: Vec<u8>,
}

impl Writer<'_> {
    /// Writes the overlay of one document; an empty one is written only if `always`.
    fn document(&mut self, node: &Node, document: &[u8], always: bool) -> Result<(), RawError> {
        let mut object =
            Object { start: self.out.len(), entries: 0, reserved: false, duplicates: Vec::new() };
        let repeated = extended_json::repeated_keys(document)?;
        let mut seen = vec![false; node.shapes.len()];
        for (position, element) in Elements::new(document)?.enumerate() {
            let element = element?;
            if repeated.binary_search(&position).is_ok() {
                duplicate(&mut object.duplicates, element.key, element.value)?;
                self.noted(element.key, Misfit::Duplicate);
                continue;
            }
            let depth = self.descend(element.key);
            match node.find(element.key) {
                Some(index) => {
                    seen[index] = true;
                    self.value(&mut object, element.key, &node.shapes[index], element.value)?;
                }
                None => self.whole(&mut object, element.key, element.value, Misfit::NoColumn)?,
            }
            self.path.truncate(depth);
        }
        for (index, seen) in seen.iter().enumerate() {
            let key_missing = self.path.is_empty() && *node.keys[index] == *ID_KEY.as_bytes();
            if !seen && (key_missing || node.shapes[index].holds_array()) {
                let text = if self.keep_nulls || key_missing { extended_json::MISSING } else { "null" };
                self.entry(&mut object, &node.keys[index])?;
                self.out.extend_from_slice(text.as_bytes());
            }
        }
        self.close(object, always);
        Ok(())
    }

    fn value(
        &mut self,
        object: &mut Object,
        key: &[u8],
        shape: &Shape,
        value: RawValue<'_>,
    ) -> Result<(), RawError> {
        if value.is_null() {
            let key_null = self.path == ID_KEY.as_bytes() && !matches!(shape, Shape::Leaf(Kind::MixedId));
            if self.keep_nulls || key_null || shape.holds_array() {
                self.entry(object, key)?;
                self.out.extend_from_slice(b"null");
            }
            return Ok(());
        }
        match (shape, value.tag) {
            (Shape::Document(node), tag::DOCUMENT) => {
                let empty = !fit::has_value(node, value.bytes)?;
                // The overlay of the embedded document is written speculatively, key first.
                let (before, entries, reserved) = (self.out.len(), object.entries, object.reserved);
                self.entry(object, key)?;
                let content = self.out.len();
                self.document(node, value.bytes, empty)?;
                if self.out.len() == content {
                    self.out.truncate(before);
                    (object.entries, object.reserved) = (entries, reserved);
                }
                Ok(())
            }
            (Shape::Json, tag::DOCUMENT) => self.json_rejects(object, key, value),
            _ => match fit(shape, value, self.keep_nulls)? {
                Fit::Yes => Ok(()),
                Fit::No(misfit) => self.whole(object, key, value, misfit),
            },
        }
    }

    /// What a JSON column cannot return as it was, as an overlay of its own.
    fn json_rejects(&mut self, object: &mut Object, key: &[u8], value: RawValue<'_>) -> Result<(), RawError> {
        let mut column = Vec::new();
        let mut overlay = Vec::new();
        let rejected =
            extended_json::split_json_column(&mut column, &mut overlay, value.bytes, self.keep_nulls)?;
        if rejected {
            self.entry(object, key)?;
            self.out.extend_from_slice(&overlay);
            let path = std::mem::take(self.path);
            (self.note)(&path, Misfit::NotPlainJson);
            *self.path = path;
        }
        Ok(())
    }

    fn whole(
        &mut self,
        object: &mut Object,
        key: &[u8],
        value: RawValue<'_>,
        misfit: Misfit,
    ) -> Result<(), RawError> {
        if value.is_null() && !self.keep_nulls {
            return Ok(()); // A null without a column is a missing field.
        }
        self.entry(object, key)?;
        extended_json::write_value(self.out, value)?;
        (self.note)(self.path, misfit);
        Ok(())
    }

    fn entry(&mut self, object: &mut Object, key: &[u8]) -> Result<(), RawError> {
        self.out.push(if object.entries == 0 { b'{' } else { b',' });
        object.entries += 1;
        object.reserved |= is_reserved_key(key);
        extended_json::write_string(self.out, key)?;
        self.out.push(b':');
        Ok(())
    }

    /// Closes the object: `{…}`, `{"$literal":{…}}` where a key could be misread, duplicates in front.
    fn close(&mut self, object: Object, always: bool) {
        if object.entries == 0 {
            if !always && object.duplicates.is_empty() {
                return;
            }
            self.out.push(b'{');
        }
        self.out.push(b'}');
        if object.reserved {
            let literal = format!("{{\"{}\":", extended_json::LITERAL_KEY);
            self.out.splice(object.start..object.start, literal.into_bytes());
            self.out.push(b'}');
        }
        if !object.duplicates.is_empty() {
            let mut front = format!("\"{DUPLICATES_KEY}\":[").into_bytes();
            front.extend_from_slice(&object.duplicates);
            front.push(b']');
            if object.entries > 0 {
                front.push(b',');
            }
            self.out.splice(object.start + 1..object.start + 1, front);
        }
    }

    fn descend(&mut self, key: &[u8]) -> usize {
        let depth = self.path.len();
        if depth > 0 {
            self.path.push(b'.');
        }
        self.path.extend_from_slice(key);
        depth
    }

    fn noted(&mut self, key: &[u8], misfit: Misfit) {
        let depth = self.descend(key);
        (self.note)(self.path, misfit);
        self.path.truncate(depth);
    }
}

fn duplicate(duplicates: &mut Vec<u8>, key: &[u8], value: RawValue<'_>) -> Result<(), RawError> {
    if !duplicates.is_empty() {
        duplicates.push(b',');
    }
    duplicates.push(b'{');
    extended_json::write_string(duplicates, key)?;
    duplicates.push(b':');
    extended_json::write_value(duplicates, value)?;
    duplicates.push(b'}');
    Ok(())
}

/// `document` without the earlier values of repeated keys, at every level: what a driver reads.
///
/// # Errors
/// [`RawError`] where the bytes are not BSON.
pub(crate) fn without_duplicates(document: &[u8], out: &mut Vec<u8>) -> Result<(), RawError> {
    without(&extended_json::repeated_keys(document)?, document, out)
}

/// The elements but those at the `repeated` positions, the values among them without duplicates, too.
fn without(repeated: &[usize], document: &[u8], out: &mut Vec<u8>) -> Result<(), RawError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    for (position, element) in Elements::new(document)?.enumerate() {
        let element = element?;
        if repeated.binary_search(&position).is_ok() {
            continue;
        }
        out.push(element.value.tag);
        out.extend_from_slice(element.key);
        out.push(0);
        match element.value.tag {
            tag::DOCUMENT => without_duplicates(element.value.bytes, out)?,
            // Array elements stand by position: equal keys in an array repeat nothing.
            tag::ARRAY => without(&[], element.value.bytes, out)?,
            _ => out.extend_from_slice(element.value.bytes),
        }
    }
    close_document(out, start);
    Ok(())
}

fn close_document(out: &mut Vec<u8>, start: usize) {
    out.push(0);
    let size = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&size.to_le_bytes());
}
