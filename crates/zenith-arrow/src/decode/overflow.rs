//! What the columns do not show of the current row, as the texts of the extra and the notes column.
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
//!
//! Both texts are overlays in the language of [`extended_json`]: one object shaped like the document. A column writes
//! an entry where it finds something to say, without knowing the path that leads there. Where the decoder leaves a
//! document or an array in which something was written, it puts that into braces behind its key
//! ([`OverflowWriter::nest`]). So a document that fits pays for one comparison a level.

use zenith_bson::{RawError, RawValue};

use super::context::RowError;
use super::tally::Tally;
use crate::extended_json::{self, LITERAL_KEY, is_reserved_key, write_position, write_string};
use crate::fit::MismatchReason;
use crate::schema::{DUPLICATES_KEY, ELEMENTS_KEY};

/// What a value is called in its document or array.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key<'a> {
    Name(&'a [u8]),
    Position(usize),
}

/// Writes both texts of a row.
#[derive(Default)]
pub(super) struct OverflowWriter {
    extra: Overlay,
    notes: Overlay,
    /// Where the texts ended before each entry.
    marks: Vec<Mark>,
    pub(super) odd: Odd,
    pub(super) tally: Tally,
}

/// What a row has that most rows do not, counted so that one comparison shows whether there is any of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(8))]
pub(super) struct Odd {
    /// Entries.
    entries: u32,
    /// How many keys of the current level show nothing in their columns.
    pub(super) nothings: u32,
}

impl Odd {
    /// Whether entries were written since `before`.
    pub(super) fn has_entries_since(self, before: Odd) -> bool {
        self.entries != before.entries
    }
}

#[derive(Clone, Copy)]
struct Mark {
    extra: usize,
    notes: usize,
    counted: usize,
}

/// Which of the texts have reserved keys in the current level.
#[derive(Clone, Copy, Default)]
pub(super) struct Reserved {
    extra: bool,
    notes: bool,
}

impl OverflowWriter {
    /// Begins a row.
    #[inline(always)]
    pub(super) fn begin(&mut self) {
        if self.odd != Odd::default() {
            self.undo(Odd::default());
            self.odd = Odd::default();
        }
    }

    /// Whether there are entries.
    #[inline(always)]
    pub(super) fn has_entries(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Whether some key would be read as something else, so that its level has to be written with care.
    pub(super) fn has_reserved_keys(&self) -> bool {
        self.extra.reserved || self.notes.reserved
    }

    /// The texts of the extra and the notes column, each nothing or one object.
    pub(super) fn finish(&mut self) -> (&[u8], &[u8]) {
        (self.extra.finish(), self.notes.finish())
    }

    /// Writes a value of `field` that its column does not hold.
    pub(super) fn value(
        &mut self,
        key: Key<'_>,
        value: RawValue<'_>,
        field: u32,
        mismatch: MismatchReason,
    ) -> Result<(), RowError> {
        self.mark();
        self.tally.note(field, mismatch);
        self.extra.entry(key, |text| extended_json::write_value(text, value)).map_err(RowError::Malformed)
    }

    /// Writes what a JSON column would not give back of a document of `field`.
    pub(super) fn overlay(&mut self, key: Key<'_>, overlay: &[u8], field: u32) -> Result<(), RowError> {
        self.mark();
        self.tally.note(field, MismatchReason::NotPlainJson);
        let write = |text: &mut Vec<u8>| {
            text.extend_from_slice(overlay);
            Ok(())
        };
        self.extra.entry(key, write).map_err(RowError::Malformed)
    }

    /// Writes a note.
    pub(super) fn word(&mut self, key: Key<'_>, word: &str) -> Result<(), RowError> {
        self.mark();
        self.notes.entry(key, |text| write_string(text, word.as_bytes())).map_err(RowError::Malformed)
    }

    /// Puts all entries written since `before` into a document or array of this key.
    #[cold]
    pub(super) fn nest(&mut self, before: Odd, key: Key<'_>, is_array: bool) -> Result<(), RowError> {
        let Some(mark) = self.marks.get(before.entries as usize).copied() else { return Ok(()) };
        self.extra.nest(mark.extra, key, is_array).map_err(RowError::Malformed)?;
        self.notes.nest(mark.notes, key, is_array).map_err(RowError::Malformed)
    }

    /// Takes all entries written since `before` back.
    pub(super) fn undo(&mut self, before: Odd) {
        let entries = before.entries as usize;
        let Some(mark) = self.marks.get(entries).copied() else { return };
        self.marks.truncate(entries);
        self.odd.entries = before.entries;
        self.tally.undo(mark.counted);
        self.extra.truncate(mark.extra);
        self.notes.truncate(mark.notes);
    }

    /// Appends the earlier value of a repeated key of the current level to `duplicates`.
    pub(super) fn duplicate(
        &mut self,
        duplicates: &mut Vec<u8>,
        key: &[u8],
        value: RawValue<'_>,
        field: u32,
    ) -> Result<(), RawError> {
        self.mark();
        self.tally.note(field, MismatchReason::Duplicate);
        duplicates.push(if duplicates.is_empty() { b'[' } else { b',' });
        duplicates.push(b'{');
        write_string(duplicates, key)?;
        duplicates.push(b':');
        extended_json::write_value(duplicates, value)?;
        duplicates.push(b'}');
        Ok(())
    }

    /// Begins a document whose keys may be reserved or repeated.
    pub(super) fn begin_level(&mut self) -> Reserved {
        Reserved {
            extra: std::mem::take(&mut self.extra.reserved),
            notes: std::mem::take(&mut self.notes.reserved),
        }
    }

    /// Ends such a document, all entries since `before` being its own; `outside` is what its beginning gave.
    pub(super) fn end_level(
        &mut self,
        before: Odd,
        duplicates: &[u8],
        outside: Reserved,
    ) -> Result<(), RawError> {
        if let Some(mark) = self.marks.get(before.entries as usize).copied() {
            self.extra.end_level(mark.extra)?;
            self.notes.end_level(mark.notes)?;
            if !duplicates.is_empty() {
                self.extra.insert(mark.extra, |text| {
                    write_string(text, DUPLICATES_KEY.as_bytes())?;
                    text.push(b':');
                    text.extend_from_slice(duplicates);
                    text.extend_from_slice(b"],");
                    Ok(())
                })?;
            }
        }
        self.extra.reserved = outside.extra;
        self.notes.reserved = outside.notes;
        Ok(())
    }

    fn mark(&mut self) {
        let mark = Mark {
            extra: self.extra.text.len(),
            notes: self.notes.text.len(),
            counted: self.tally.counted(),
        };
        self.marks.push(mark);
        self.odd.entries += 1;
    }
}

/// One of the texts: entries, each with a comma behind it.
#[derive(Default)]
struct Overlay {
    /// Begins with the brace of the outermost level, if it is not empty.
    text: Vec<u8>,
    reserved: bool,
}

impl Overlay {
    fn entry(
        &mut self,
        key: Key<'_>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), RawError>,
    ) -> Result<(), RawError> {
        if self.text.is_empty() {
            self.text.push(b'{');
        }
        self.key(key)?;
        write(&mut self.text)?;
        self.text.push(b',');
        Ok(())
    }

    fn key(&mut self, key: Key<'_>) -> Result<(), RawError> {
        match key {
            Key::Name(name) => {
                self.reserved |= is_reserved_key(name);
                write_string(&mut self.text, name)?;
            }
            Key::Position(position) => {
                self.text.push(b'"');
                write_position(&mut self.text, position);
                self.text.push(b'"');
            }
        }
        self.text.push(b':');
        Ok(())
    }

    /// Puts what was written since `start` into a level of this key.
    fn nest(&mut self, start: usize, key: Key<'_>, is_array: bool) -> Result<(), RawError> {
        // The brace of the outermost level is written with the first entry, which may be the first in here.
        let start = start.max(1);
        if self.text.len() <= start {
            return Ok(());
        }
        self.text.pop();
        self.insert_key(start, key, is_array)?;
        self.text.extend_from_slice(if is_array { b"}}," } else { b"}," });
        Ok(())
    }

    fn insert_key(&mut self, start: usize, key: Key<'_>, is_array: bool) -> Result<(), RawError> {
        let end = self.text.len();
        self.key(key)?;
        self.text.push(b'{');
        if is_array {
            self.text.push(b'"');
            self.text.extend_from_slice(ELEMENTS_KEY.as_bytes());
            self.text.extend_from_slice(b"\":{");
        }
        self.turn(start, end);
        Ok(())
    }

    /// Has the keys written since `start` be taken verbatim, if need be.
    fn end_level(&mut self, start: usize) -> Result<(), RawError> {
        let start = start.max(1);
        if !self.reserved || self.text.len() <= start {
            return Ok(());
        }
        self.text.pop();
        self.insert(start, |text| {
            write_string(text, LITERAL_KEY.as_bytes())?;
            text.extend_from_slice(b":{");
            Ok(())
        })?;
        self.text.extend_from_slice(b"},");
        Ok(())
    }

    fn insert(
        &mut self,
        start: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), RawError>,
    ) -> Result<(), RawError> {
        if self.text.is_empty() {
            self.text.push(b'{');
        }
        let end = self.text.len();
        write(&mut self.text)?;
        self.turn(start.max(1), end);
        Ok(())
    }

    /// Moves what was written since `end` to `start`.
    fn turn(&mut self, start: usize, end: usize) {
        let moved = self.text.len() - end;
        if let Some(tail) = self.text.get_mut(start..) {
            tail.rotate_right(moved);
        }
    }

    fn truncate(&mut self, len: usize) {
        self.text.truncate(len);
        self.reserved &= len > 0;
    }

    fn finish(&mut self) -> &[u8] {
        if let Some(comma) = self.text.last_mut() {
            *comma = b'}';
        }
        &self.text
    }
}
