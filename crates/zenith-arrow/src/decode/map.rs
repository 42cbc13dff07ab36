//! A map column: offsets, the keys, and the column of the values.
//!
//! A key whose value the map does not hold is in the map only where values may be NULL. The extra column has the value,
//! under its key.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, StructArray};
use arrow_buffer::Buffer;
use arrow_schema::{ArrowError, DataType};
use zenith_bson::{RawError, RawValue, tag};
use zenith_memory::Pool;

use super::append::Value;
use super::buffers::{Arena, Bytes, Fixed};
use super::care::Care;
use super::column::{Column, Rules};
use super::context::{Context, RowError};
use super::tally::Tally;
use crate::Field;
use crate::extended_json::repeated_keys;
use crate::schema::Blank;

pub(super) struct MapNode {
    offsets: Fixed<4>,
    len: usize,
    pub(super) keys: Bytes,
    pub(super) value: Column,
    is_nullable: bool,
}

impl MapNode {
    /// The map at `path`, under whose `number` the mismatches of all its values are counted.
    pub(super) fn new(
        value: &Field,
        path: &[u8],
        number: u32,
        rules: Rules<'_>,
        tally: &mut Tally,
    ) -> MapNode {
        MapNode {
            offsets: Fixed::new(rules.pool),
            len: 0,
            keys: Bytes::new(rules.pool),
            value: Column::entry(value, path, number, rules, tally),
            is_nullable: !value.required,
        }
    }

    /// Appends the document at `at`, whose keys become those of the map in their order; returns the position after it.
    ///
    /// A document of which the map shows nothing counts as blank.
    pub(super) fn append(
        &mut self,
        cx: &mut Context<'_>,
        at: usize,
        limit: usize,
    ) -> Result<usize, RowError> {
        let before = cx.overflow.odd;
        let last = cx.document(at, limit)?;
        let document = &cx.bytes[at..=last];
        let mut care = if cx.is_careful { Some(Care::begin(cx, document)?) } else { None };
        let (first, mut entries, mut at) = (self.keys.items.len(), 0, at + 4);
        while at < last {
            let type_tag = cx.bytes[at];
            let from = cx.skip_key(at + 1, last)?;
            let next = cx.skip_value(type_tag, from, last)?;
            let (key, value) = (at + 1..from - 1, Value { tag: type_tag, at: from, next });
            let repeated = care.as_mut().and_then(|care| care.is_repeated().then_some(care));
            match repeated {
                Some(care) => self.append_repeated(cx, care, key, value)?,
                None => self.append_entry(cx, key, value, last)?,
            }
            (at, entries) = (next, entries + 1);
        }
        match care {
            Some(care) => care.end(cx, before)?,
            None if entries > 1 && !repeated_keys(document).map_err(RowError::Malformed)?.is_empty() => {
                return Err(RowError::Duplicate);
            }
            None => {}
        }
        self.close(cx.arena)?;
        let is_empty = self.keys.items.len() == first;
        cx.overflow.odd.nothings = before.nothings + u32::from(is_empty);
        Ok(last + 1)
    }

    fn append_entry(
        &mut self,
        cx: &mut Context<'_>,
        key: Range<usize>,
        value: Value,
        limit: usize,
    ) -> Result<(), RowError> {
        let name = &cx.bytes[key.clone()];
        if cx.strict && simdutf8::basic::from_utf8(name).is_err() {
            return Err(RowError::Malformed(RawError::InvalidUtf8));
        }
        self.value.rename(name);
        let is_null = value.tag == tag::NULL;
        let is_held = !is_null
            && (self.value.append_fitting(cx, value, limit)?
                || self.value.about.cast.is_some() && self.value.append_cast(cx, value)?);
        if !is_held {
            match is_null {
                true if !self.is_nullable && cx.keep_nulls => self.value.note(cx, Blank::Null.word())?,
                true => {}
                false => self.value.overflow(cx, value, None)?,
            }
            if !self.is_nullable {
                return Ok(());
            }
            self.value.append_blank(cx)?;
        }
        self.keys.push(cx.arena, &cx.bytes[key.start..], key.len())
    }

    /// Writes an earlier value of a key that comes again.
    #[cold]
    fn append_repeated(
        &self,
        cx: &mut Context<'_>,
        care: &mut Care,
        key: Range<usize>,
        value: Value,
    ) -> Result<(), RowError> {
        let raw = RawValue { tag: value.tag, bytes: &cx.bytes[value.at..value.next] };
        let number = self.value.number();
        cx.overflow.duplicate(&mut care.duplicates, &cx.bytes[key], raw, number).map_err(RowError::Malformed)
    }

    pub(super) fn append_empty(&mut self, cx: &mut Context<'_>) -> Result<(), RowError> {
        self.close(cx.arena)
    }

    fn close(&mut self, arena: &mut Arena) -> Result<(), RowError> {
        let end = i32::try_from(self.keys.items.len()).map_err(|_| RowError::Full)?;
        self.offsets.put(arena, self.len + 1, end.to_le_bytes())?;
        self.len += 1;
        Ok(())
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        // A map that was not closed has left entries behind the last offset.
        let end = usize::try_from(u32::from_le_bytes(self.offsets.get(self.len))).unwrap_or(usize::MAX);
        self.keys.items.truncate(end);
        self.value.truncate(end);
    }

    pub(super) fn check_utf8(&mut self) -> bool {
        let are_keys = self.keys.items.check_utf8();
        self.value.check_utf8() && are_keys
    }

    pub(super) fn room(&self, rows: usize) -> usize {
        let offsets = self.offsets.room(rows + 1).max(zenith_memory::GRANULE);
        offsets + self.keys.room(rows) + self.value.room(rows)
    }

    pub(super) fn begin(&mut self, arena: &mut Arena, rows: usize) -> Result<(), RowError> {
        self.len = 0;
        self.keys.begin(arena, rows)?;
        self.value.begin(arena, rows)?;
        self.offsets.begin(arena, rows + 1)?;
        self.offsets.put(arena, 0, [0; 4])
    }

    pub(super) fn clear(&mut self, pool: &Pool) {
        self.len = 0;
        self.offsets.clear(pool);
        self.keys.clear(pool);
        self.value.clear(pool);
    }

    /// The offsets and the entries.
    pub(super) fn freeze(
        &mut self,
        pool: &Pool,
        data_type: &DataType,
        rows: usize,
    ) -> Result<(Buffer, StructArray), ArrowError> {
        let DataType::Map(entries, _) = data_type else { unreachable!("a map column is a map") };
        let DataType::Struct(fields) = entries.data_type() else {
            unreachable!("the entries of a map are structs")
        };
        let len = self.keys.items.len();
        let keys = self.keys.freeze_text(pool, None, rows);
        let keys = keys.ok_or_else(|| ArrowError::InvalidArgumentError("a key is not UTF-8".to_owned()))?;
        let value = &fields[1];
        let values = self.value.freeze(pool, value.data_type(), value.is_nullable(), rows)?;
        let arrays: Vec<ArrayRef> = vec![Arc::new(keys), values];
        let entries = StructArray::try_new_with_length(fields.clone(), arrays, None, len)?;
        let offsets = self.offsets.freeze(pool, std::mem::take(&mut self.len) + 1, rows);
        Ok((offsets, entries))
    }
}
