//! An array column: offsets and the column of its elements.

use arrow_array::ArrayRef;
use arrow_buffer::Buffer;
use arrow_schema::{ArrowError, Field};
use zenith_bson::RawError;
use zenith_memory::Pool;

use super::append::Value;
use super::buffers::{Arena, Fixed};
use super::column::{Column, Rules};
use super::context::{Context, RowError, SLACK};
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

    /// Appends the array at `at`; returns the position after it, and leaves in [`Context::shows`] whether it has any
    /// elements.
    ///
    /// An element that does not fit keeps its place, and shows as much as fits.
    pub(super) fn append(
        &mut self,
        cx: &mut Context<'_>,
        at: usize,
        limit: usize,
    ) -> Result<usize, RowError> {
        let last = cx.document(at, limit)?;
        self.element.about.first = self.element.len;
        // What elements show is not what the field at hand shows.
        let outside = cx.nothings;
        self.append_elements(cx, at + 4, last)?;
        cx.nothings = outside;
        self.close(cx.arena)?;
        cx.shows = self.element.len > self.element.about.first;
        Ok(last + 1)
    }

    /// Appends a value that is no array as an array of one; `false`, and nothing done, if it does not fit as an element.
    pub(super) fn append_lone(
        &mut self,
        cx: &mut Context<'_>,
        value: Value,
        limit: usize,
    ) -> Result<bool, RowError> {
        self.element.about.first = self.element.len;
        let outside = cx.nothings;
        let fits = self.element.append_fitting(cx, value, limit)?;
        cx.nothings = outside;
        if fits {
            self.close(cx.arena)?;
        }
        Ok(fits)
    }

    fn append_elements(&mut self, cx: &mut Context<'_>, mut at: usize, last: usize) -> Result<(), RowError> {
        loop {
            if cx.is_fast {
                at = self.follow(cx, at, last)?;
            }
            if at >= last {
                break;
            }
            let value = cx.skip_key(at + 1, last)?;
            at = self.append_element(cx, cx.bytes[at], value, last)?;
        }
        if at == last { Ok(()) } else { Err(RowError::Malformed(RawError::Truncated)) }
    }

    /// Appends elements as long as they are of the type expected; returns the position after them.
    #[inline(always)]
    fn follow(&mut self, cx: &mut Context<'_>, at: usize, last: usize) -> Result<usize, RowError> {
        let end = last + SLACK;
        let Some(mut rest) = cx.bytes.get(at..end) else { return Ok(at) };
        let mut keys = KeyLengths::new();
        while rest.len() > SLACK {
            let Some((_, key)) = rest.split_first().filter(|(tag, _)| **tag == self.element_tag) else {
                break;
            };
            let Some(value) = keys.skip(key) else { break };
            let after = match self.element.as_document() {
                Some(node) => {
                    let before = cx.overflow.entries();
                    let next = node.append(cx, end - value.len(), last)?;
                    self.element.end_parts(cx, before)?;
                    self.element.len += 1;
                    value.get(value.len() - (end - next)..)
                }
                None => self.element.append_expected(cx, value, end)?,
            };
            match after {
                Some(after) => rest = after,
                None => break,
            }
        }
        Ok(end - rest.len())
    }

    /// Appends one element, whatever it is.
    #[inline(never)]
    fn append_element(
        &mut self,
        cx: &mut Context<'_>,
        type_tag: u8,
        at: usize,
        last: usize,
    ) -> Result<usize, RowError> {
        let next = self.element.append(cx, type_tag, at, last)?;
        if self.element.expect(type_tag) {
            self.element_tag = type_tag;
        }
        Ok(next)
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
