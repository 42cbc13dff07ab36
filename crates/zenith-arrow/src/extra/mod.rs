//! What of a document its columns do not show, as the texts of the extra and the notes column.
//!
//! The decoder only notices *that* something has to be said of a document; this module walks the document a second
//! time, plainly, and says *what*. Both texts are overlays in the language of [`extended_json`]: one object shaped
//! like the document.
//!
//! The extra column has values:
//!
//! - those without a column, of another type than their column, or out of its range, unless the column's twin shows
//!   them;
//! - those that are no array and shown as an array of one;
//! - earlier values of repeated keys, under `$duplicates`.
//!
//! The notes column has words for what a reader could take for something else:
//!
//! - `"missing"`, `"null"`, `"empty"` for a field that shows nothing, where that usually means something else;
//! - `"null"` for a null element of an array of documents or arrays, which shows as an empty one;
//! - the type a text was made from, where that is not the usual one;
//! - `"[]"`, `"{}"` for an empty array or document of a field without a column.

mod fit;
mod overlay;
mod shape;

use crate::extended_json;
use crate::raw::{Elements, RawError, RawValue, tag};
use crate::schema::{Blank, DateRange, EMPTY_ARRAY, EMPTY_DOCUMENT, ID_KEY, Schema, TextType};
pub use fit::Misfit;
pub(crate) use fit::fits_leaf;
use overlay::{Key, Overlay};
use shape::{Node, Place, Shape};

/// Keys without a column that are compared one by one before they are sorted.
const UNKNOWN_MAX: usize = 16;

/// Makes the extra text and the notes of documents of one schema.
pub struct Explainer {
    root: Node,
    rules: Rules,
    path: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Rules {
    keep_nulls: bool,
    dates: DateRange,
}

impl Explainer {
    /// For documents decoded with `schema`.
    #[must_use]
    pub fn new(schema: &Schema) -> Explainer {
        Explainer {
            root: Node::new(&schema.fields),
            rules: Rules { keep_nulls: schema.keep_nulls, dates: schema.dates },
            path: Vec::new(),
        }
    }

    /// Appends the extra text and the notes of `document`, each nothing or one JSON object.
    ///
    /// `note` is told the dotted path of every value in the extra text, without positions in arrays, and why it is there.
    ///
    /// # Errors
    /// [`RawError`] where the bytes are not BSON or hold text that is not UTF-8; both texts are then incomplete.
    pub fn explain(
        &mut self,
        document: &[u8],
        extra: &mut Vec<u8>,
        notes: &mut Vec<u8>,
        note: &mut dyn FnMut(&[u8], Misfit),
    ) -> Result<(), RawError> {
        self.path.clear();
        let mut writer = Writer {
            extra: Overlay::new(std::mem::take(extra)),
            notes: Overlay::new(std::mem::take(notes)),
            note,
            path: &mut self.path,
            rules: self.rules,
        };
        let (duplicates, _) = writer.fields(&self.root, document)?;
        writer.extra.leave(&duplicates);
        (*extra, *notes) = (writer.extra.finish(), writer.notes.finish());
        Ok(())
    }
}

struct Writer<'a, 'd> {
    extra: Overlay<'d>,
    notes: Overlay<'d>,
    note: &'a mut dyn FnMut(&[u8], Misfit),
    path: &'a mut Vec<u8>,
    rules: Rules,
}

impl<'d> Writer<'_, 'd> {
    /// Says what there is to say of a document's fields, in the level entered for it. Returns the earlier values of
    /// repeated keys, and whether any column shows something.
    fn fields(&mut self, node: &'d Node, document: &'d [u8]) -> Result<(Vec<u8>, bool), RawError> {
        let mut duplicates = Vec::new();
        let repeated =
            if repeats(node, document)? { extended_json::repeated_keys(document)? } else { Vec::new() };
        let mut seen = vec![false; node.places.len()];
        let (mut shows, mut guess) = (false, 0);
        for (position, element) in Elements::new(document)?.enumerate() {
            let element = element?;
            let depth = self.descend(element.key);
            if repeated.binary_search(&position).is_ok() {
                duplicate(&mut duplicates, element.key, element.value)?;
                (self.note)(self.path, Misfit::Duplicate);
            } else if let Some(index) = node.find(element.key, guess) {
                (seen[index], guess) = (true, index + 1);
                shows |= self.field(&node.places[index], element.key, element.value)?;
            } else if let Some(word) = empty_word(element.value) {
                self.say(Key::Name(element.key), word)?;
            } else if !element.value.is_null() {
                self.value(Key::Name(element.key), element.value, Misfit::NoColumn)?;
            } else if self.rules.keep_nulls {
                self.say(Key::Name(element.key), Blank::Null.word())?;
            }
            self.path.truncate(depth);
        }
        for (place, seen) in node.places.iter().zip(seen) {
            if !seen && !self.is_key(&place.key, 0) {
                self.blank(Key::Name(&place.key), Blank::Missing, place.blank)?;
            }
        }
        Ok((duplicates, shows))
    }

    /// A field that has a column; whether it shows something.
    fn field(&mut self, place: &'d Place, key: &'d [u8], value: RawValue<'d>) -> Result<bool, RawError> {
        let is_key = self.is_key(key, key.len());
        let key = Key::Name(key);
        if value.is_null() && !is_key {
            self.blank(key, Blank::Null, place.blank)?;
            return Ok(false);
        }
        let misfit = match (&place.shape, value.tag) {
            (Shape::Document(_) | Shape::Array(_) | Shape::Json, _) => {
                match self.parts(key, &place.shape, value)? {
                    Parts::Shown => return Ok(true),
                    Parts::Said => return Ok(false),
                    Parts::Nothing => {
                        self.blank(key, Blank::Empty, place.blank)?;
                        return Ok(false);
                    }
                    Parts::Misfit(misfit) => misfit,
                }
            }
            (Shape::Text(usual), _) => return self.text(key, value, *usual).map(|()| true),
            (Shape::Leaf(kind), _) => match fit::leaf(kind, value, self.rules.dates) {
                None => return Ok(true),
                Some(misfit) => misfit,
            },
        };
        if self.is_shown_alone(&place.shape, value) {
            self.value(key, value, Misfit::Lone)?;
            return Ok(true);
        }
        match place.twin {
            Some(usual) => self.text(key, value, usual).map(|()| true),
            None => self.value(key, value, misfit).map(|()| false),
        }
    }

    /// A value whose column has parts.
    fn parts(&mut self, key: Key<'d>, shape: &'d Shape, value: RawValue<'d>) -> Result<Parts, RawError> {
        let (shown, said) = match (shape, value.tag) {
            (Shape::Document(node), tag::DOCUMENT) => {
                self.enter(key, false);
                let (duplicates, shown) = self.fields(node, value.bytes)?;
                (shown, self.leave(&duplicates))
            }
            (Shape::Array(element), tag::ARRAY) => {
                self.enter(key, true);
                let mut position = 0;
                for item in Elements::new(value.bytes)? {
                    self.element(element, position, item?.value)?;
                    position += 1;
                }
                (position > 0, self.leave(&[]))
            }
            (Shape::Json, tag::DOCUMENT) => self.json(key, value)?,
            _ => return Ok(Parts::Misfit(Misfit::OtherType(value.tag))),
        };
        Ok(match (shown, said) {
            (true, _) => Parts::Shown,
            (false, true) => Parts::Said,
            (false, false) => Parts::Nothing,
        })
    }

    fn element(&mut self, shape: &'d Shape, position: usize, value: RawValue<'d>) -> Result<(), RawError> {
        let key = Key::Position(position);
        let has_parts = matches!(shape, Shape::Document(_) | Shape::Array(_) | Shape::Json);
        if value.is_null() {
            return if has_parts { self.say(key, Blank::Null.word()) } else { Ok(()) };
        }
        let misfit = match shape {
            Shape::Text(usual) => return self.text(key, value, *usual),
            Shape::Leaf(kind) => fit::leaf(kind, value, self.rules.dates),
            _ => match self.parts(key, shape, value)? {
                Parts::Misfit(_) if self.is_shown_alone(shape, value) => Some(Misfit::Lone),
                Parts::Misfit(misfit) => Some(misfit),
                Parts::Shown | Parts::Said | Parts::Nothing => None,
            },
        };
        misfit.map_or(Ok(()), |misfit| self.value(key, value, misfit))
    }

    /// Whether a value that does not fit is shown as an array of one.
    fn is_shown_alone(&self, shape: &Shape, value: RawValue<'_>) -> bool {
        matches!(shape, Shape::Array(element) if value.tag != tag::ARRAY && self.fits_alone(element, value))
    }

    /// Whether a value that is no array fits as an element.
    fn fits_alone(&self, element: &Shape, value: RawValue<'_>) -> bool {
        match element {
            Shape::Document(_) | Shape::Json => value.tag == tag::DOCUMENT,
            Shape::Array(_) => false,
            Shape::Text(_) => true,
            Shape::Leaf(kind) => fits_leaf(kind, value, self.rules.dates),
        }
    }

    /// What a JSON column shows of a document, and what it would not give back, as an overlay of its own.
    fn json(&mut self, key: Key<'d>, value: RawValue<'d>) -> Result<(bool, bool), RawError> {
        let (mut column, mut overlay) = (Vec::new(), Vec::new());
        let keep_nulls = self.rules.keep_nulls;
        let rejected = extended_json::split_json_column(&mut column, &mut overlay, value.bytes, keep_nulls)?;
        if rejected {
            self.extra.entry(key)?.extend_from_slice(&overlay);
            (self.note)(self.path, Misfit::NotPlainJson);
        }
        Ok((column != b"{}", rejected))
    }

    /// A value that a column of texts shows: its type, where that is not the usual one.
    fn text(&mut self, key: Key<'d>, value: RawValue<'d>, usual: TextType) -> Result<(), RawError> {
        let made = extended_json::plain_text(value, &mut Vec::new())?;
        if made == usual { Ok(()) } else { self.say(key, made.word()) }
    }

    /// A value for the extra column.
    fn value(&mut self, key: Key<'d>, value: RawValue<'d>, misfit: Misfit) -> Result<(), RawError> {
        extended_json::write_value(self.extra.entry(key)?, value)?;
        (self.note)(self.path, misfit);
        Ok(())
    }

    /// A field that shows nothing: its state, where that is not what its column usually means.
    fn blank(&mut self, key: Key<'d>, state: Blank, usual: Blank) -> Result<(), RawError> {
        if state.is_as(usual, self.rules.keep_nulls) { Ok(()) } else { self.say(key, state.word()) }
    }

    fn say(&mut self, key: Key<'d>, word: &str) -> Result<(), RawError> {
        extended_json::write_string(self.notes.entry(key)?, word.as_bytes())
    }

    fn enter(&mut self, key: Key<'d>, is_array: bool) {
        self.extra.enter(key, is_array);
        self.notes.enter(key, is_array);
    }

    /// Leaves both; whether anything was said in either.
    fn leave(&mut self, duplicates: &[u8]) -> bool {
        let values = self.extra.leave(duplicates);
        self.notes.leave(&[]) || values
    }

    fn descend(&mut self, key: &[u8]) -> usize {
        let depth = self.path.len();
        if depth > 0 {
            self.path.push(b'.');
        }
        self.path.extend_from_slice(key);
        depth
    }

    /// Whether this is the key of the document, `path_len` bytes of it being in the path.
    fn is_key(&self, key: &[u8], path_len: usize) -> bool {
        self.path.len() == path_len && *key == *ID_KEY.as_bytes()
    }
}

/// The note on an empty array or document of a field without a column: there is no value in it.
fn empty_word(value: RawValue<'_>) -> Option<&'static str> {
    match (value.tag, value.bytes) {
        (tag::ARRAY, [5, 0, 0, 0, 0]) => Some(EMPTY_ARRAY),
        (tag::DOCUMENT, [5, 0, 0, 0, 0]) => Some(EMPTY_DOCUMENT),
        _ => None,
    }
}

/// What was found of a value whose column has parts.
enum Parts {
    /// The column shows some of it.
    Shown,
    /// The column shows nothing, but something of it is in the texts, so that it is known to be there.
    Said,
    /// Neither.
    Nothing,
    /// It is of another type.
    Misfit(Misfit),
}

/// Whether any key of the document comes twice.
fn repeats(node: &Node, document: &[u8]) -> Result<bool, RawError> {
    let mut seen = vec![false; node.places.len()];
    let mut unknown: Vec<&[u8]> = Vec::new();
    let mut guess = 0;
    for element in Elements::new(document)? {
        let key = element?.key;
        match node.find(key, guess) {
            Some(index) => {
                if std::mem::replace(&mut seen[index], true) {
                    return Ok(true);
                }
                guess = index + 1;
            }
            None if unknown.len() >= UNKNOWN_MAX || unknown.contains(&key) => return Ok(true),
            None => unknown.push(key),
        }
    }
    Ok(false)
}

/// `_id` of a document that may be damaged, as Extended JSON; empty if it cannot be found.
#[must_use]
pub fn id_text(document: &[u8]) -> String {
    let element = Elements::new(document).ok().and_then(|elements| {
        elements.map_while(Result::ok).find(|element| *element.key == *ID_KEY.as_bytes())
    });
    let mut text = Vec::new();
    match element.map(|element| extended_json::write_value(&mut text, element.value)) {
        Some(Ok(())) => String::from_utf8(text).unwrap_or_default(),
        _ => String::new(),
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
