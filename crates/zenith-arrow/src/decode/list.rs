//! An array column: offsets and the column of its elements.

use arrow_array::ArrayRef;
use arrow_buffer::Buffer;
use arrow_schema::Field;
use zenith_memory::Pool;

use super::buffers::{Arena, Fixed};
use super::column::Column;
use super::context::{Context, Stop};
use crate::Kind;
use crate::raw::{RawError, tag};

pub(super) struct ListNode {
    offsets: Fixed<4>,
    pub(super) element: Column,
}

impl ListNode {
    pub(super) fn new(element: &Kind, pool: &Pool) -> ListNode {
        ListNode { offsets: Fixed::new(pool), element: Column::new(element, pool) }
    }

    /// Appends the array at `at` and returns the position after it.
    ///
    /// An array with an element that does not fit becomes `[]`; inside another array the misfit is
    /// passed on, for the outermost array goes to the extra column whole.
    pub(super) fn append(&mut self, cx: &mut Context<'_>, at: usize, limit: usize) -> Result<usize, Stop> {
        let last = cx.document(at, limit)?;
        let before = self.element.len;
        cx.arrays += 1;
        let elements = self.append_elements(cx, at + 4, last);
        cx.arrays -= 1;
        match elements {
            Ok(()) => {}
            Err(Stop::Misfit) => {
                self.element.truncate(before);
                cx.misfit()?;
            }
            Err(stop) => return Err(stop),
        }
        self.close(cx.arena)?;
        Ok(last + 1)
    }

    fn append_elements(&mut self, cx: &mut Context<'_>, mut at: usize, last: usize) -> Result<(), Stop> {
        let mut index = 0_u32;
        while at < last {
            let type_tag = cx.bytes[at];
            // Keys are "0", "1", …: their length is known, and what they say does not matter.
            let expected = at
                + 2
                + if index < 10 {
                    0
                } else if index < 100 {
                    1
                } else {
                    index.ilog10() as usize
                };
            at = if cx.bytes.get(expected) == Some(&0)
                && expected < last
                && (index >= 10 || cx.bytes[at + 1] != 0)
            {
                expected + 1
            } else {
                cx.skip_key(at + 1, last)?
            };
            index += 1;
            at = self.append_element(cx, type_tag, at, last)?;
        }
        if at == last { Ok(()) } else { Err(Stop::Malformed(RawError::Terminator)) }
    }

    #[inline]
    fn append_element(
        &mut self,
        cx: &mut Context<'_>,
        type_tag: u8,
        at: usize,
        last: usize,
    ) -> Result<usize, Stop> {
        if type_tag == tag::NULL {
            if !self.element.element_nullable() {
                return Err(Stop::Misfit);
            }
            self.element.append_blank(cx)?;
            return Ok(at);
        }
        if type_tag == tag::DOCUMENT
            && let Some(node) = self.element.as_document()
        {
            // An element that is an empty document is rebuilt from a tuple of nulls: nothing to note.
            let (next, _) = node.append(cx, at, last)?;
            self.element.len += 1;
            return Ok(next);
        }
        self.element.append(cx, type_tag, at, last).map(|(next, _)| next)
    }

    pub(super) fn append_empty(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        self.close(cx.arena)
    }

    fn close(&mut self, arena: &mut Arena) -> Result<(), Stop> {
        let end = i32::try_from(self.element.len).map_err(|_| Stop::Full)?;
        self.offsets.push(arena, end.to_le_bytes())
    }

    pub(super) fn truncate(&mut self, len: usize) {
        let end = u32::from_le_bytes(self.offsets.get(len));
        self.offsets.truncate(len + 1);
        self.element.truncate(usize::try_from(end).unwrap_or(usize::MAX));
    }

    pub(super) fn per_row(&self) -> f64 {
        self.offsets.per_row() + self.element.per_row()
    }

    pub(super) fn begin(&mut self, arena: &mut Arena, rows: usize) -> Result<(), Stop> {
        self.element.begin(arena, rows)?;
        self.offsets.begin(arena, rows + 1)?;
        self.offsets.push(arena, [0; 4])
    }

    pub(super) fn clear(&mut self, pool: &Pool) {
        self.offsets.clear(pool);
        self.element.clear(pool);
    }

    pub(super) fn freeze(&mut self, pool: &Pool, item: &Field, rows: usize) -> (Buffer, ArrayRef) {
        let values = self.element.freeze(pool, item.data_type(), item.is_nullable(), rows);
        (self.offsets.freeze(pool, rows), values)
    }
}
