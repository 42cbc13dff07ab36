//! A document's columns, and finding the column of a key by guessing it from the document before.

use std::collections::HashMap;

use arrow_array::ArrayRef;
use arrow_schema::Fields;
use zenith_memory::Pool;

use super::buffers::Arena;
use super::column::{Column, Outcome};
use super::context::{Context, Stop};
use crate::raw::RawError;
use crate::{Field, Kind};

/// Bytes of a key (its NUL included) that are compared with one load.
const KEY_WORD: usize = 16;

/// The columns of one level of a document.
pub(super) struct DocumentNode {
    slots: Vec<Slot>,
    by_key: HashMap<Box<[u8]>, usize>,
    /// The slot the first key of a document belonged to last time.
    first: usize,
    pub(super) holds_array: bool,
    pub(super) len: usize,
}

struct Slot {
    key: Key,
    /// The slot of the key that followed this one last time.
    next: usize,
    column: Column,
}

/// A key with its NUL, made for comparing.
struct Key {
    with_nul: Box<[u8]>,
    word: u128,
    mask: u128,
}

impl Key {
    fn new(name: &str) -> Key {
        let mut with_nul = name.as_bytes().to_vec();
        with_nul.push(0);
        let len = with_nul.len().min(KEY_WORD);
        let mut word = [0; KEY_WORD];
        word[..len].copy_from_slice(&with_nul[..len]);
        let mask = if len == KEY_WORD { u128::MAX } else { (1 << (8 * len)) - 1 };
        Key { with_nul: with_nul.into(), word: u128::from_le_bytes(word), mask }
    }

    /// Whether the bytes at `at` begin with this key and its NUL.
    #[inline(always)]
    fn matches(&self, bytes: &[u8], at: usize) -> bool {
        if self.with_nul.len() <= KEY_WORD
            && let Some(word) = bytes.get(at..at + KEY_WORD)
            && let Ok(word) = <[u8; KEY_WORD]>::try_from(word)
        {
            return (u128::from_le_bytes(word) ^ self.word) & self.mask == 0;
        }
        bytes.get(at..at + self.with_nul.len()) == Some(&*self.with_nul)
    }
}

impl DocumentNode {
    pub(super) fn new(fields: &[Field], pool: &Pool) -> DocumentNode {
        let slots: Vec<Slot> = fields
            .iter()
            .enumerate()
            .map(|(index, field)| Slot {
                key: Key::new(&field.name),
                next: (index + 1) % fields.len(),
                column: Column::new(&field.kind, pool),
            })
            .collect();
        let by_key =
            fields.iter().enumerate().map(|(index, field)| (field.name.as_bytes().into(), index)).collect();
        let holds_array = fields.iter().any(|field| Kind::holds_array(&field.kind));
        DocumentNode { slots, by_key, first: 0, holds_array, len: 0 }
    }

    /// Makes the column of this key one that cannot be NULL.
    pub(super) fn require(&mut self, key: &str) {
        if let Some(&index) = self.by_key.get(key.as_bytes()) {
            self.slots[index].column.required = true;
        }
    }

    /// Appends the document at `at`; returns the position after it and whether any column got a value.
    pub(super) fn append(
        &mut self,
        cx: &mut Context<'_>,
        at: usize,
        limit: usize,
    ) -> Result<(usize, bool), Stop> {
        let last = cx.document(at, limit)?;
        let row = self.len;
        let mut at = at + 4;
        let mut matched = 0;
        let mut any = false;
        let mut guess = self.first;
        let mut previous = None;
        while at < last {
            let tag = cx.bytes[at];
            at += 1;
            let index = match self.slots.get(guess) {
                Some(slot) if slot.key.matches(cx.bytes, at) => guess,
                _ => match self.find(cx, at, last)? {
                    Some(index) => {
                        match previous {
                            Some(previous) => self.slot(previous).next = index,
                            None => self.first = index,
                        }
                        index
                    }
                    None => {
                        at = cx.skip_key(at, last)?;
                        at = cx.skip_value(tag, at, last)?;
                        cx.misfit()?;
                        continue;
                    }
                },
            };
            let slot = self.slot(index);
            if slot.column.len != row {
                return Err(Stop::Duplicate);
            }
            let value = at + slot.key.with_nul.len();
            if value > last {
                return Err(Stop::Malformed(RawError::Truncated));
            }
            let (next, outcome) = slot.column.append(cx, tag, value, last)?;
            at = next;
            any |= outcome == Outcome::Value;
            matched += 1;
            guess = slot.next;
            previous = Some(index);
        }
        if at != last {
            return Err(Stop::Malformed(RawError::Terminator));
        }
        if matched != self.slots.len() {
            for slot in &mut self.slots {
                if slot.column.len == row {
                    slot.column.append_missing(cx)?;
                }
            }
        }
        self.len += 1;
        Ok((last + 1, any))
    }

    #[inline(always)]
    fn slot(&mut self, index: usize) -> &mut Slot {
        &mut self.slots[index]
    }

    #[cold]
    fn find(&self, cx: &Context<'_>, at: usize, last: usize) -> Result<Option<usize>, Stop> {
        let end = cx.skip_key(at, last)?;
        Ok(self.by_key.get(&cx.bytes[at..end - 1]).copied())
    }

    /// Appends a row of nothing to every column.
    pub(super) fn append_blank(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        for slot in &mut self.slots {
            slot.column.append_blank(cx)?;
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

    pub(super) fn per_row(&self) -> f64 {
        self.slots.iter().map(|slot| slot.column.per_row()).sum()
    }

    pub(super) fn begin(&mut self, arena: &mut Arena, rows: usize) -> Result<(), Stop> {
        self.len = 0;
        self.slots.iter_mut().try_for_each(|slot| slot.column.begin(arena, rows))
    }

    pub(super) fn clear(&mut self, pool: &Pool) {
        self.len = 0;
        self.slots.iter_mut().for_each(|slot| slot.column.clear(pool));
    }

    /// The columns in the order of `fields`, which is the order they were made in.
    pub(super) fn freeze(&mut self, pool: &Pool, fields: &Fields, rows: usize) -> Vec<ArrayRef> {
        self.len = 0;
        self.slots
            .iter_mut()
            .zip(fields)
            .map(|(slot, field)| slot.column.freeze(pool, field.data_type(), field.is_nullable(), rows))
            .collect()
    }
}
