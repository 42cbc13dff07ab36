//! A column of values of varying length in Arrow's layout, which knows how much of it is UTF-8.
//!
//! Arrow's own constructor of a string array checks every byte again, when the batch has long left the
//! cache. This column checks its bytes while they are still there, a run of values at a time, and remembers how
//! far it has checked: what it hands out as text is text, because nobody else could have written to it.
#![allow(unsafe_code)]

use arrow_array::{BinaryArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use crate::{MemoryError, Pool, PoolBuf, Reservation};

/// Bytes copied at once for short values, whatever their length: a few vector moves instead of a call.
const SHORT: usize = 32;
/// Bytes of an offset.
const OFFSET: usize = size_of::<i32>();
/// Room beyond the values of a column, so that the last of them is copied as fast as the others.
pub const BYTE_COLUMN_SLACK: usize = SHORT;

/// 32-bit offsets and the bytes they divide, both in memory of the pool.
///
/// Offsets begin with 0 and never fall: items are only appended, or dropped from the end.
/// What an item needs lies in two lines of the cache, if the column begins with one.
#[derive(Debug)]
#[repr(C)]
pub struct ByteColumn {
    len: usize,
    /// Bytes of all items.
    used: usize,
    /// `len + 1` offsets, or no capacity at all.
    offsets: PoolBuf,
    values: PoolBuf,
    /// The first items, known to be UTF-8 each, and their bytes.
    checked: Checked,
}

#[derive(Clone, Copy, Debug, Default)]
struct Checked {
    items: usize,
    bytes: usize,
}

impl ByteColumn {
    /// A column without items and without memory.
    #[must_use]
    pub fn new(pool: &Pool) -> ByteColumn {
        ByteColumn {
            len: 0,
            used: 0,
            offsets: pool.empty_buf(),
            values: pool.empty_buf(),
            checked: Checked::default(),
        }
    }

    /// Items so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of all items.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.used
    }

    /// Makes room for `items` items of `bytes` bytes, together with those there are.
    ///
    /// Asks for half as much again as there is, where `reservation` has it, so that growing stays rare.
    ///
    /// # Errors
    /// As [`PoolBuf::grow`]; the column is then as it was.
    pub fn grow(
        &mut self,
        reservation: &mut Reservation,
        items: usize,
        bytes: usize,
    ) -> Result<(), MemoryError> {
        let begins = self.offsets.is_empty();
        self.offsets.grow_by_half(reservation, (items + 1) * OFFSET, (self.len + 1) * OFFSET)?;
        if begins {
            self.offsets[..OFFSET].fill(0);
        }
        self.values.grow_by_half(reservation, bytes, self.used)
    }

    /// Appends the first `len` bytes of `source`; `false`, and nothing done, if there is no room for them.
    ///
    /// Short values are copied with moves of fixed width that may run past their end on both sides: what
    /// follows in `source` is read and does not matter, what follows in the column is not yet used.
    #[inline(always)]
    pub fn push(&mut self, source: &[u8], len: usize) -> bool {
        let Some(room) = self.values.get_mut(self.used..) else { return false };
        if len <= SHORT
            && let (Some(from), Some(to)) = (source.first_chunk::<SHORT>(), room.first_chunk_mut::<SHORT>())
        {
            *to = *from;
        } else if !copy(source, room, len) {
            return false;
        }
        self.close(len)
    }

    /// Appends an item of a known length; `false`, and nothing done, if there is no room for it.
    #[inline(always)]
    pub fn push_array<const N: usize>(&mut self, item: &[u8; N]) -> bool {
        let Some(room) = self.values.get_mut(self.used..) else { return false };
        let Some(to) = room.first_chunk_mut::<N>() else { return false };
        *to = *item;
        self.close(N)
    }

    /// Appends an item of no bytes; `false`, and nothing done, if there is no room for it.
    #[inline(always)]
    pub fn push_empty(&mut self) -> bool {
        self.close(0)
    }

    /// How many items there is room for, those that are there among them.
    #[must_use]
    pub fn room(&self) -> usize {
        (self.offsets.len() / OFFSET).saturating_sub(1)
    }

    /// Appends items of no bytes until there are `len`, or as many as there is room for.
    pub fn fill(&mut self, len: usize) {
        let len = len.min(self.room());
        let Ok(end) = i32::try_from(self.used) else { return };
        if len > self.len {
            let offsets = self.offsets.as_chunks_mut::<OFFSET>().0;
            offsets[self.len + 1..=len].fill(end.to_ne_bytes());
            self.len = len;
        }
    }

    /// Makes an item of the `len` bytes behind the last one, which the caller has found to be there.
    #[inline(always)]
    fn close(&mut self, len: usize) -> bool {
        let end = self.used + len;
        let Ok(offset) = i32::try_from(end) else { return false };
        let Some(place) = self.offsets.as_chunks_mut::<OFFSET>().0.get_mut(self.len + 1) else {
            return false;
        };
        *place = offset.to_ne_bytes();
        self.used = end;
        self.len += 1;
        true
    }

    /// Drops all items from `len` on.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        self.used = self.offset(len);
        self.len = len;
        if len < self.checked.items {
            self.checked = Checked { items: len, bytes: self.used };
        }
    }

    /// Drops all items and keeps the memory.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Whether each item is UTF-8, as far as they were appended since this was last found to be so.
    ///
    /// The bytes are checked as one run, which is several times faster than one item at a time; a run
    /// can be UTF-8 while a character straddles two items, so the boundaries are checked too.
    pub fn check_utf8(&mut self) -> bool {
        let fresh = &self.values[self.checked.bytes..self.used];
        if !fresh.is_ascii() {
            if simdutf8::basic::from_utf8(fresh).is_err() {
                return false;
            }
            let starts = &self.offsets.as_chunks::<OFFSET>().0[self.checked.items..self.len];
            let values = &self.values[..self.used];
            let splits_character = |start: &[u8; OFFSET]| {
                usize::try_from(i32::from_ne_bytes(*start))
                    .ok()
                    .and_then(|start| values.get(start))
                    .is_some_and(|byte| byte & 0xC0 == 0x80)
            };
            if starts.iter().any(splits_character) {
                return false;
            }
        }
        self.checked = Checked { items: self.len, bytes: self.used };
        true
    }

    /// Turns the column into an Arrow array of text, or `None` if some item is not UTF-8.
    ///
    /// What [`ByteColumn::check_utf8`] has checked is not checked again.
    ///
    /// # Panics
    /// If `nulls` is not as long as the column.
    #[must_use]
    pub fn into_text(mut self, nulls: Option<NullBuffer>) -> Option<StringArray> {
        if !self.check_utf8() {
            return None;
        }
        assert!(nulls.as_ref().is_none_or(|nulls| nulls.len() == self.len), "one bit an item");
        let (offsets, values) = self.into_parts();
        // SAFETY: the last offset is the length of the values, the values are UTF-8 as a whole and no offset lies
        // inside a character, as `check_utf8` has just said; the bitmap is as long as the column. The bytes are
        // those it looked at: this column owns their memory, and gives out no way to write to what has been used.
        Some(unsafe { StringArray::new_unchecked(offsets, values, nulls) })
    }

    /// Turns the column into an Arrow array of bytes.
    ///
    /// # Panics
    /// If `nulls` is not as long as the column.
    #[must_use]
    pub fn into_binary(self, nulls: Option<NullBuffer>) -> BinaryArray {
        let (offsets, values) = self.into_parts();
        BinaryArray::new(offsets, values, nulls)
    }

    fn into_parts(self) -> (OffsetBuffer<i32>, Buffer) {
        if self.offsets.is_empty() {
            return (OffsetBuffer::new_empty(), Buffer::default());
        }
        let offsets = ScalarBuffer::new(self.offsets.freeze((self.len + 1) * OFFSET), 0, self.len + 1);
        // SAFETY: there is at least one offset. The first is 0 (`grow`), and each further one is the one before
        // plus the length of an item (`close`), at most `i32::MAX`; nothing else writes offsets.
        let offsets = unsafe { OffsetBuffer::new_unchecked(offsets) };
        (offsets, self.values.freeze(self.used))
    }

    fn offset(&self, index: usize) -> usize {
        let offset = self.offsets.as_chunks::<OFFSET>().0.get(index).map(|bytes| i32::from_ne_bytes(*bytes));
        usize::try_from(offset.unwrap_or_default()).unwrap_or_default()
    }
}

/// Copies values that are long, or near the end of what they are copied from or to.
#[inline(never)]
fn copy(source: &[u8], room: &mut [u8], len: usize) -> bool {
    match (source.get(..len), room.get_mut(..len)) {
        (Some(from), Some(to)) => {
            to.copy_from_slice(from);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use proptest::prelude::*;

    use super::*;

    const MIB: usize = 1 << 20;

    /// A column of these items, in a pool.
    fn column(pool: &Pool, items: &[&[u8]]) -> ByteColumn {
        let mut reservation = pool.try_reserve(MIB / 2).unwrap();
        let mut column = ByteColumn::new(pool);
        for item in items {
            push_growing(&mut column, &mut reservation, item);
        }
        column
    }

    fn push_growing(column: &mut ByteColumn, reservation: &mut Reservation, item: &[u8]) {
        if !column.push(item, item.len()) {
            let (items, bytes) = (column.len() + 1, column.bytes() + item.len());
            column.grow(reservation, items, bytes).unwrap();
            assert!(column.push(item, item.len()));
        }
    }

    #[test]
    fn a_column_without_memory_takes_nothing_and_is_an_empty_array() {
        let pool = Pool::new(MIB).unwrap();
        let mut column = ByteColumn::new(&pool);
        assert!(
            !column.push(b"a", 1) && !column.push(b"", 0) && !column.push_empty() && !column.push_array(b"a")
        );
        assert!(column.check_utf8());
        assert_eq!(column.into_text(None).unwrap().len(), 0);
    }

    #[test]
    fn text_and_only_text_becomes_text() {
        let pool = Pool::new(MIB).unwrap();
        let text =
            column(&pool, &["".as_bytes(), "naïve".as_bytes(), "日本".as_bytes()]).into_text(None).unwrap();
        assert_eq!(text.iter().flatten().collect::<Vec<_>>(), ["", "naïve", "日本"]);
        for items in [&[&b"a"[..], b"\xFF"][..], &[b"x\xC3", b"\xA9y"], &[b"\xC3", b"", b"\xA9"]] {
            assert!(!column(&pool, items).check_utf8());
            assert!(column(&pool, items).into_text(None).is_none(), "{items:?}");
            assert_eq!(column(&pool, items).into_binary(None).iter().flatten().collect::<Vec<_>>(), items);
        }
        drop(text);
        assert_eq!(pool.stats().in_use, 0);
    }

    /// What was found to be text does not stay text when something else takes its place.
    #[test]
    fn what_is_appended_after_dropping_items_is_looked_at_again() {
        let pool = Pool::new(MIB).unwrap();
        let mut column = column(&pool, &["é".as_bytes(), "è".as_bytes()]);
        assert!(column.check_utf8());
        column.truncate(1);
        assert!(column.push(b"\xC3", 1));
        assert!(!column.check_utf8());
        column.truncate(1);
        assert!(column.check_utf8() && column.push_array(b"abc"));
        assert_eq!(column.into_text(None).unwrap().iter().flatten().collect::<Vec<_>>(), ["é", "abc"]);
    }

    #[test]
    fn what_stands_behind_an_item_is_not_part_of_it() {
        let pool = Pool::new(MIB).unwrap();
        let mut column = column(&pool, &[]);
        column.grow(&mut pool.try_reserve(MIB / 2).unwrap(), 10, 600).unwrap();
        let source = b"an item, and what stands behind it in the reply of the server";
        assert!(column.push(source, 7) && column.push(source, 2));
        assert_eq!(column.into_text(None).unwrap().iter().flatten().collect::<Vec<_>>(), ["an item", "an"]);
    }

    proptest! {
        /// Whatever is done to a column, it holds what a vector of byte strings would.
        #[test]
        fn it_is_a_vector_of_byte_strings(
            steps in prop::collection::vec((0..8_u8, prop::collection::vec(prop::sample::select(
                vec![b'a', 0, 0xC3, 0xA9, 0xFF]), 0..70), any::<prop::sample::Index>()), 1..60),
        ) {
            let pool = Pool::new(MIB).unwrap();
            let mut reservation = pool.try_reserve(MIB / 2).unwrap();
            let mut column = ByteColumn::new(&pool);
            let mut model: Vec<Vec<u8>> = Vec::new();
            for (step, item, place) in steps {
                match step {
                    0 => {
                        let len = place.index(model.len() + 1);
                        column.truncate(len);
                        model.truncate(len);
                    }
                    1 => {
                        let text = model.iter().all(|item| std::str::from_utf8(item).is_ok());
                        prop_assert_eq!(column.check_utf8(), text);
                    }
                    _ => {
                        push_growing(&mut column, &mut reservation, &item);
                        model.push(item);
                    }
                }
                prop_assert_eq!((column.len(), column.bytes()), (model.len(), model.iter().map(Vec::len).sum()));
            }
            let text = model.iter().map(|item| std::str::from_utf8(item).ok()).collect::<Option<Vec<_>>>();
            // Arrow's own constructor is the judge of what was built without it.
            let array: Option<StringArray> = text.map(|text| text.into_iter().map(Some).collect());
            prop_assert_eq!(column.into_text(None), array);
        }
    }
}
