//! A document's columns, and finding the column of a key by guessing it from the document before.

use std::collections::HashMap;
use std::ops::Range;

use arrow_array::ArrayRef;
use arrow_schema::{ArrowError, FieldRef, Fields};
use zenith_bson::{RawError, RawValue, tag};
use zenith_memory::Pool;

use super::append::Value;
use super::buffers::Arena;
use super::care::{Care, check_strangers};
use super::column::{Column, Rules, Storage, join};
use super::context::{Context, RowError, SLACK};
use super::head::Head;
use super::overflow::{Key, Odd};
use super::tally::Tally;
use crate::Field;
use crate::fit::MismatchReason;
use crate::schema::{Blank, EMPTY_ARRAY, EMPTY_DOCUMENT};

/// How many keys may be missing where the document before had them, until the next one is looked up.
const SKIPPED_MAX: usize = 3;
/// No slot has this number.
const NO_SLOT: usize = usize::MAX;

/// The columns of one level of a document.
pub(super) struct DocumentNode {
    slots: Vec<Slot>,
    by_key: HashMap<Box<[u8]>, Known>,
    /// The dotted path that leads here.
    path: Box<[u8]>,
    /// The slot the first key of a document belonged to last time.
    first: usize,
    has_twins: bool,
    /// Has twins, or no columns at all: there is more to the end of a document.
    is_special: bool,
    pub(super) len: usize,
}

/// A key that has been seen.
#[derive(Clone, Copy)]
enum Known {
    /// The slot of its column.
    Slot(usize),
    /// It has no column; the number it is counted under.
    Stranger(u32),
}

/// One key and its column, in the order in which they are read.
///
/// All but the buffers of the column lie in the first line of the cache, what a value needs of those in the next one or
/// two.
#[repr(C, align(64))]
struct Slot {
    head: Head,
    /// The slot of the key that followed this one last time.
    next: usize,
    column: Column,
    key: Box<[u8]>,
}

/// How far a document has been read.
#[derive(Clone, Copy)]
struct Walk {
    /// Keys that have a column.
    matched: usize,
    /// The slot the next key is expected to have.
    guess: usize,
    /// The slot of the last key that had one, or [`NO_SLOT`].
    previous: usize,
    /// Keys that have none.
    strangers: usize,
}

impl Walk {
    #[inline(always)]
    fn begin(guess: usize) -> Walk {
        Walk { matched: 0, guess, previous: NO_SLOT, strangers: 0 }
    }
}

impl DocumentNode {
    /// The columns of the document at `path`.
    pub(super) fn new(fields: &[Field], path: &[u8], rules: Rules<'_>, tally: &mut Tally) -> DocumentNode {
        let slots: Vec<Slot> = fields
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let column = Column::field(field, path, rules, tally);
                let head = match column.has_fast_path() {
                    true => Head::new(column.expected_tag(), &field.name),
                    false => Head::never(),
                };
                let key = field.name.as_bytes().into();
                Slot { head, next: (index + 1) % fields.len(), column, key }
            })
            .collect();
        let known = |(index, field): (usize, &Field)| (field.name.as_bytes().into(), Known::Slot(index));
        let by_key = fields.iter().enumerate().map(known).collect();
        let has_twins = fields.iter().any(|field| field.twin.is_some());
        let is_special = has_twins || fields.is_empty();
        DocumentNode { slots, by_key, path: path.into(), first: 0, has_twins, is_special, len: 0 }
    }

    /// Makes the column of this key one that holds keys.
    pub(super) fn require(&mut self, key: &str) {
        if let Some(&Known::Slot(index)) = self.by_key.get(key.as_bytes()) {
            self.slots[index].column.required = true;
        }
    }

    /// Appends the document at `at`; returns the position after it.
    pub(super) fn append(
        &mut self,
        cx: &mut Context<'_>,
        at: usize,
        limit: usize,
    ) -> Result<usize, RowError> {
        let last = cx.document(at, limit)?;
        if cx.is_fast {
            let end = (last + SLACK).min(cx.bytes.len());
            let parts = &cx.bytes[at + 4..end];
            self.append_parts(cx, parts, end - last)?;
        } else {
            self.append_slowly(cx, at, last)?;
        }
        Ok(last + 1)
    }

    /// Appends the document of these parts, with `slack` bytes behind them that are not used; whether there was
    /// anything odd about it. A document of which no column shows anything counts as blank.
    ///
    /// Fields take the fast path as long as they come as in the document before and are of the types expected.
    #[inline(always)]
    pub(super) fn append_parts(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[u8],
        slack: usize,
    ) -> Result<bool, RowError> {
        let before = cx.overflow.odd;
        let row = self.len;
        let start = cx.position(parts);
        let mut rest = parts;
        // One by one, so that the loop has them in registers.
        let Walk { mut matched, mut guess, mut previous, mut strangers } = Walk::begin(self.first);
        loop {
            let slots = &mut *self.slots;
            while rest.len() > SLACK {
                let Some(slot) = slots.get_mut(guess) else { break };
                let Some(value) = slot.head.split(&slot.key, rest) else { break };
                if slot.column.len != row {
                    break;
                }
                let Some(after) = slot.column.append_expected(cx, value)? else { break };
                rest = after;
                matched += 1;
                previous = guess;
                guess = slot.next;
            }
            if rest.len() <= slack {
                break;
            }
            let mut walk = Walk { matched, guess, previous, strangers };
            rest = self.search(cx, &mut walk, rest, slack, None)?;
            Walk { matched, guess, previous, strangers } = walk;
        }
        if rest.len() != slack {
            return Err(RowError::Malformed(RawError::Truncated));
        }
        let is_whole = matched == self.slots.len() && !self.is_special && strangers <= 1;
        if !is_whole || cx.overflow.odd != before {
            let walk = Walk { matched, guess, previous, strangers };
            self.end(cx, walk, start..cx.position(rest), before)?;
        }
        self.len += 1;
        Ok(cx.overflow.odd != before)
    }

    /// Appends each field of the document at `at` by the slow path; a careful pass keeps repeated keys apart.
    #[cold]
    fn append_slowly(&mut self, cx: &mut Context<'_>, at: usize, last: usize) -> Result<(), RowError> {
        let before = cx.overflow.odd;
        let document = &cx.bytes[at..=last];
        let mut walk = Walk::begin(self.first);
        let mut care = if cx.is_careful { Some(Care::begin(cx, document)?) } else { None };
        let mut rest = &document[4..];
        while rest.len() > 1 {
            rest = self.search(cx, &mut walk, rest, 1, care.as_mut())?;
        }
        if let Some(care) = care {
            // The notes of missing fields are of this level as well.
            self.append_missing(cx)?;
            care.end(cx, before)?;
        }
        self.end(cx, walk, at + 4..last, before)?;
        self.len += 1;
        Ok(())
    }

    /// Ends a document that may lack something, or have something odd about it.
    #[inline(never)]
    fn end(
        &mut self,
        cx: &mut Context<'_>,
        walk: Walk,
        parts: Range<usize>,
        before: Odd,
    ) -> Result<(), RowError> {
        if walk.matched != self.slots.len() {
            self.append_missing(cx)?;
        }
        if self.has_twins {
            self.fill_twins(cx)?;
        }
        if walk.strangers > 1 {
            check_strangers(cx, parts)?;
        }
        let odd = &mut cx.overflow.odd;
        let shows = walk.matched > (odd.nothings - before.nothings) as usize;
        odd.nothings = before.nothings + u32::from(!shows);
        Ok(())
    }

    /// Gives every column that has no value for the current row the one of a missing field.
    #[inline(never)]
    fn append_missing(&mut self, cx: &mut Context<'_>) -> Result<(), RowError> {
        let row = self.len;
        for slot in self.slots.iter_mut().filter(|slot| slot.column.len == row) {
            slot.column.append_missing(cx)?;
        }
        Ok(())
    }

    /// Gives every twin that has no text for the current row a NULL.
    fn fill_twins(&mut self, cx: &mut Context<'_>) -> Result<(), RowError> {
        for slot in &mut self.slots {
            if let Some(twin) = slot.column.about.twin.as_mut().filter(|twin| twin.len() == self.len) {
                twin.push_null(cx.arena)?;
            }
        }
        Ok(())
    }

    /// Appends the field at the front of `rest`, of any type; what follows it.
    #[inline(never)]
    fn search<'a>(
        &mut self,
        cx: &mut Context<'_>,
        walk: &mut Walk,
        rest: &'a [u8],
        slack: usize,
        care: Option<&mut Care>,
    ) -> Result<&'a [u8], RowError> {
        let at = cx.position(rest);
        let last = at + rest.len() - slack;
        let type_tag = rest[0];
        let value = cx.skip_key(at + 1, last)?;
        let key = &rest[1..value - at - 1];
        if let Some(care) = care
            && care.is_repeated()
        {
            let next = cx.skip_value(type_tag, value, last)?;
            self.append_repeated(cx, care, key, Value { tag: type_tag, at: value, next })?;
            return Ok(&rest[next - at..]);
        }
        let index = match self.find(key, walk) {
            Some(Known::Slot(index)) => index,
            known => {
                walk.strangers += 1;
                let next = cx.skip_value(type_tag, value, last)?;
                self.append_stranger(cx, key, Value { tag: type_tag, at: value, next }, known)?;
                return Ok(&rest[next - at..]);
            }
        };
        let row = self.len;
        let slot = &mut self.slots[index];
        if slot.column.len != row {
            return Err(RowError::Duplicate);
        }
        let next = slot.column.append(cx, type_tag, value, last)?;
        if slot.column.expect(type_tag) {
            slot.head.expect(type_tag);
        }
        walk.matched += 1;
        walk.previous = index;
        walk.guess = slot.next;
        Ok(&rest[next - at..])
    }

    /// Writes an earlier value of a key that comes again.
    #[cold]
    fn append_repeated(
        &mut self,
        cx: &mut Context<'_>,
        care: &mut Care,
        key: &[u8],
        value: Value,
    ) -> Result<(), RowError> {
        let raw = RawValue { tag: value.tag, bytes: &cx.bytes[value.at..value.next] };
        let known = self.by_key.get(key).copied();
        if cx.ignores && !matches!(known, Some(Known::Slot(_))) {
            return self.ignore(cx, key, raw, known);
        }
        let number = self.number(cx, key, known);
        cx.overflow.duplicate(&mut care.duplicates, key, raw, number).map_err(RowError::Malformed)
    }

    /// Writes the value of a key that has no column.
    fn append_stranger(
        &mut self,
        cx: &mut Context<'_>,
        key: &[u8],
        value: Value,
        known: Option<Known>,
    ) -> Result<(), RowError> {
        let raw = RawValue { tag: value.tag, bytes: &cx.bytes[value.at..value.next] };
        if cx.ignores {
            return self.ignore(cx, key, raw, known);
        }
        match (value.tag, raw.bytes) {
            (tag::NULL, _) if cx.keep_nulls => cx.overflow.word(Key::Name(key), Blank::Null.word()),
            (tag::NULL, _) => Ok(()),
            (tag::ARRAY, [5, 0, 0, 0, 0]) => cx.overflow.word(Key::Name(key), EMPTY_ARRAY),
            (tag::DOCUMENT, [5, 0, 0, 0, 0]) => cx.overflow.word(Key::Name(key), EMPTY_DOCUMENT),
            _ => {
                let number = self.number(cx, key, known);
                let reason = match raw.holds_only_nulls() {
                    true => MismatchReason::OnlyNulls,
                    false => MismatchReason::NoColumn,
                };
                cx.overflow.value(Key::Name(key), raw, number, reason)
            }
        }
    }

    /// Leaves out the value of a key that has no column, but for a word that it was there. A document that is not valid is bad
    /// all the same.
    #[cold]
    fn ignore(
        &mut self,
        cx: &mut Context<'_>,
        key: &[u8],
        value: RawValue<'_>,
        known: Option<Known>,
    ) -> Result<(), RowError> {
        zenith_bson::utf8(key)
            .and_then(|_| zenith_bson::validate_value(value))
            .map_err(RowError::Malformed)?;
        if !value.holds_only_nulls() {
            let number = self.number(cx, key, known);
            cx.overflow.tally.note(number, MismatchReason::NoColumn);
        }
        Ok(())
    }

    /// The number that mismatches of `key` are counted under; it has one from now on, if nothing was known of it.
    fn number(&mut self, cx: &mut Context<'_>, key: &[u8], known: Option<Known>) -> u32 {
        match known {
            Some(Known::Slot(index)) => self.slots[index].column.number(),
            Some(Known::Stranger(number)) => number,
            None => {
                let (number, is_own) =
                    cx.overflow.tally.stranger(&join(&self.path, key), self.path.is_empty());
                if is_own {
                    self.by_key.insert(key.into(), Known::Stranger(number));
                }
                number
            }
        }
    }

    /// What is known of `key`; its slot is the one guessed, one of the next few, or any.
    fn find(&mut self, key: &[u8], walk: &Walk) -> Option<Known> {
        let mut guess = walk.guess;
        for _ in 0..=SKIPPED_MAX {
            let slot = self.slots.get(guess)?;
            if *slot.key == *key {
                return Some(Known::Slot(guess));
            }
            guess = slot.next;
        }
        let known = *self.by_key.get(key)?;
        if let Known::Slot(index) = known {
            match self.slots.get_mut(walk.previous) {
                Some(previous) => previous.next = index,
                None => self.first = index,
            }
        }
        Some(known)
    }

    /// Appends a row of nothing to every column.
    pub(super) fn append_blank(&mut self, cx: &mut Context<'_>) -> Result<(), RowError> {
        for slot in &mut self.slots {
            slot.column.append_blank(cx)?;
        }
        if self.has_twins {
            self.fill_twins(cx)?;
        }
        self.len += 1;
        Ok(())
    }

    pub(super) fn truncate(&mut self, len: usize) {
        for slot in &mut self.slots {
            slot.column.truncate(len);
        }
        self.len = self.len.min(len);
    }

    pub(super) fn check_utf8(&mut self) -> bool {
        self.slots.iter_mut().all(|slot| slot.column.check_utf8())
    }

    pub(super) fn room(&self, rows: usize) -> usize {
        self.slots.iter().map(|slot| slot.column.room(rows)).sum()
    }

    pub(super) fn begin(&mut self, arena: &mut Arena, rows: usize) -> Result<(), RowError> {
        self.len = 0;
        self.slots.iter_mut().try_for_each(|slot| slot.column.begin(arena, rows))
    }

    pub(super) fn clear(&mut self, pool: &Pool) {
        self.len = 0;
        self.slots.iter_mut().for_each(|slot| slot.column.clear(pool));
    }

    /// The columns in the order of `fields`, which is the order they were made in, each with its twin behind it.
    pub(super) fn freeze(
        &mut self,
        pool: &Pool,
        fields: &Fields,
        rows: usize,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut arrays = Vec::with_capacity(fields.len());
        self.freeze_into(pool, &mut fields.iter(), rows, &mut arrays)?;
        Ok(arrays)
    }

    fn freeze_into<'f>(
        &mut self,
        pool: &Pool,
        fields: &mut impl Iterator<Item = &'f FieldRef>,
        rows: usize,
        arrays: &mut Vec<ArrayRef>,
    ) -> Result<(), ArrowError> {
        self.len = 0;
        for Slot { column, .. } in &mut self.slots {
            match &mut column.storage {
                Storage::Document(parts) if column.about.is_flat => {
                    column.len = 0;
                    parts.freeze_into(pool, &mut *fields, rows, arrays)?;
                }
                _ => {
                    let Some(field) = fields.next() else { break };
                    arrays.push(column.freeze(pool, field.data_type(), field.is_nullable(), rows)?);
                }
            }
            if let Some(twin) = &mut column.about.twin {
                fields.next();
                arrays.push(twin.freeze(pool, rows)?);
            }
        }
        Ok(())
    }
}
