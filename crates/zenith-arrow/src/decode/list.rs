//! An array column: offsets and the column of its elements.

use arrow_array::ArrayRef;
use arrow_buffer::Buffer;
use arrow_schema::{ArrowError, Field};
use zenith_bson::RawError;
use zenith_memory::Pool;

use super::append::Value;
use super::buffers::{Arena, Fixed};
use super::column::{Column, Rules, Storage};
use super::context::{Context, RowError, SLACK, parts};
use super::tally::Tally;
use crate::Kind;

pub(super) struct ListNode {
    offsets: Fixed<4>,
    len: usize,
    pub(super) element: Column,
    element_tag: u8,
}

impl ListNode {
    pub(super) fn new(
        element: &Kind,
        path: &[u8],
        number: u32,
        rules: Rules<'_>,
        tally: &mut Tally,
    ) -> ListNode {
        let element = Column::element(element, path, number, rules, tally);
        ListNode { offsets: Fixed::new(rules.pool), len: 0, element_tag: element.expected_tag(), element }
    }

    /// Appends the array at `at`; returns the position after it.
    ///
    /// An element that does not fit keeps its place, and shows as much as fits.
    pub(super) fn append(
        &mut self,
        cx: &mut Context<'_>,
        at: usize,
        limit: usize,
    ) -> Result<usize, RowError> {
        let last = cx.document(at, limit)?;
        let end = (last + SLACK).min(cx.bytes.len());
        let parts = &cx.bytes[at + 4..end];
        self.append_parts(cx, parts, end - last)?;
        Ok(last + 1)
    }

    /// Appends the array of these parts, with `slack` bytes behind them that are not used; whether there was anything
    /// odd about it. An array without elements counts as blank.
    #[inline(always)]
    pub(super) fn append_parts(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[u8],
        slack: usize,
    ) -> Result<bool, RowError> {
        let before = cx.overflow.odd;
        let first = self.element.len;
        self.element.about.first = first;
        self.append_elements(cx, parts, slack)?;
        self.close(cx.arena)?;
        let is_empty = self.element.len == first;
        let is_odd = is_empty || cx.overflow.odd != before;
        if is_odd {
            // What elements show is not what the field at hand shows.
            cx.overflow.odd.nothings = before.nothings + u32::from(is_empty);
        }
        Ok(is_odd)
    }

    /// Appends a value that is no array as an array of one; `false`, and nothing done, if it does not fit as an element.
    pub(super) fn append_lone(
        &mut self,
        cx: &mut Context<'_>,
        value: Value,
        limit: usize,
    ) -> Result<bool, RowError> {
        self.element.about.first = self.element.len;
        let outside = cx.overflow.odd.nothings;
        let fits = self.element.append_fitting(cx, value, limit)?;
        cx.overflow.odd.nothings = outside;
        if fits {
            self.close(cx.arena)?;
        }
        Ok(fits)
    }

    #[inline(always)]
    fn append_elements(&mut self, cx: &mut Context<'_>, parts: &[u8], slack: usize) -> Result<(), RowError> {
        let mut rest = parts;
        loop {
            if cx.is_fast {
                rest = self.follow(cx, rest)?;
            }
            if rest.len() <= slack {
                break;
            }
            rest = self.append_element(cx, rest, slack)?;
        }
        if rest.len() == slack { Ok(()) } else { Err(RowError::Malformed(RawError::Truncated)) }
    }

    /// Appends elements as long as they are of the type expected; what follows them.
    #[inline(always)]
    fn follow<'a>(&mut self, cx: &mut Context<'_>, mut rest: &'a [u8]) -> Result<&'a [u8], RowError> {
        let mut keys = KeyLengths::new();
        let is_document = matches!(self.element.storage, Storage::Document(_));
        while rest.len() > SLACK {
            let Some((_, key)) = rest.split_first().filter(|(tag, _)| **tag == self.element_tag) else {
                break;
            };
            let Some(value) = keys.skip(key) else { break };
            let after = if is_document {
                let after = parts(value, |parts| self.element.append_document(cx, parts))?;
                self.element.len += usize::from(after.is_some());
                after
            } else {
                self.element.append_expected(cx, value)?
            };
            match after {
                Some(after) => rest = after,
                None => break,
            }
        }
        Ok(rest)
    }

    /// Appends the element at the front of `rest`, of any type; what follows it.
    #[inline(never)]
    fn append_element<'a>(
        &mut self,
        cx: &mut Context<'_>,
        rest: &'a [u8],
        slack: usize,
    ) -> Result<&'a [u8], RowError> {
        let at = cx.position(rest);
        let last = at + rest.len() - slack;
        let type_tag = rest[0];
        let value = cx.skip_key(at + 1, last)?;
        let next = self.element.append(cx, type_tag, value, last)?;
        if self.element.expect(type_tag) {
            self.element_tag = type_tag;
        }
        Ok(&rest[next - at..])
    }

    pub(super) fn append_empty(&mut self, cx: &mut Context<'_>) -> Result<(), RowError> {
        self.close(cx.arena)
    }

    #[inline]
    fn close(&mut self, arena: &mut Arena) -> Result<(), RowError> {
        let end = i32::try_from(self.element.len).map_err(|_| RowError::Full)?;
        self.offsets.put(arena, self.len + 1, end.to_le_bytes())?;
        self.len += 1;
        Ok(())
    }

    pub(super) fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
        }
        // An array that was not closed has left elements behind the last offset.
        let end = u32::from_le_bytes(self.offsets.get(self.len));
        self.element.truncate(usize::try_from(end).unwrap_or(usize::MAX));
    }

    pub(super) fn room(&self, rows: usize) -> usize {
        self.offsets.room(rows + 1).max(zenith_memory::GRANULE) + self.element.room(rows)
    }

    pub(super) fn begin(&mut self, arena: &mut Arena, rows: usize) -> Result<(), RowError> {
        self.len = 0;
        self.element.begin(arena, rows)?;
        self.offsets.begin(arena, rows + 1)?;
        self.offsets.put(arena, 0, [0; 4])
    }

    pub(super) fn clear(&mut self, pool: &Pool) {
        self.len = 0;
        self.offsets.clear(pool);
        self.element.clear(pool);
    }

    /// The offsets and the elements.
    pub(super) fn freeze(
        &mut self,
        pool: &Pool,
        item: &Field,
        rows: usize,
    ) -> Result<(Buffer, ArrayRef), ArrowError> {
        let values = self.element.freeze(pool, item.data_type(), item.is_nullable(), rows)?;
        let offsets = self.offsets.freeze(pool, std::mem::take(&mut self.len) + 1, rows);
        Ok((offsets, values))
    }
}

/// Skips the keys of elements: "0", "1", and so on, as a rule, though what they say does not matter.
///
/// A key is guessed to be as long as the one before, so that its length need not be waited for.
struct KeyLengths {
    /// Bytes of the key and its NUL.
    len: usize,
    /// The upper bit of the byte that is the NUL.
    nul: u64,
}

impl KeyLengths {
    const LOW: u64 = u64::MAX / 255;
    const HIGH: u64 = Self::LOW << 7;

    fn new() -> KeyLengths {
        KeyLengths { len: 2, nul: 0x80 << 8 }
    }

    /// What follows the key at the front of `bytes`; `None` where the key is longer than seven bytes.
    #[inline(always)]
    fn skip<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let word = u64::from_le_bytes(*bytes.first_chunk()?);
        // The lowest bit set is that of the first byte that is zero; what is above it may be wrong.
        let zeros = word.wrapping_sub(Self::LOW) & !word & Self::HIGH;
        if zeros & ((self.nul << 1).wrapping_sub(1)) != self.nul {
            if zeros == 0 {
                return None;
            }
            self.nul = zeros & zeros.wrapping_neg();
            self.len = zeros.trailing_zeros() as usize / 8 + 1;
        }
        bytes.get(self.len..)
    }
}

#[cfg(test)]
mod tests {
    use super::KeyLengths;

    #[test]
    fn keys_of_any_length_are_skipped() {
        let mut keys = KeyLengths::new();
        for key in ["0", "9", "10", "", "1234567", "\u{1}\u{7f}", "\u{100}\u{80}", "7"] {
            let mut bytes = key.as_bytes().to_vec();
            bytes.push(0);
            let len = bytes.len();
            bytes.extend_from_slice(&[0, 1, 128, 0, 0, 255, 0, 1]);
            assert_eq!(keys.skip(&bytes), Some(&bytes[len..]), "{key:?}");
        }
        assert_eq!(keys.skip(b"12345678\0........"), None);
        assert_eq!(keys.skip(b"1\0"), None, "too near the end");
    }
}
