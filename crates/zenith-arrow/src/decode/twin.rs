//! The twin column of a typed one: NULL except for the values that the typed column does not hold.

use arrow_array::ArrayRef;
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::ArrowError;
use zenith_memory::Pool;

use super::buffers::{Arena, Bits, Bytes};
use super::context::RowError;
use super::seal;
use crate::schema::TextType;

/// A twin being filled.
pub(super) struct TwinColumn {
    bytes: Bytes,
    validity: Bits<true>,
    /// The type of texts that need no note.
    pub(super) usual: TextType,
}

impl TwinColumn {
    pub(super) fn new(usual: TextType, pool: &Pool) -> TwinColumn {
        TwinColumn { bytes: Bytes::new(pool), validity: Bits::new(pool), usual }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.items.len()
    }

    pub(super) fn push(&mut self, arena: &mut Arena, text: &[u8]) -> Result<(), RowError> {
        self.bytes.push(arena, text, text.len())
    }

    pub(super) fn push_null(&mut self, arena: &mut Arena) -> Result<(), RowError> {
        self.validity.flip(arena, self.len())?;
        self.bytes.push_empty(arena)
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.bytes.items.truncate(len);
        self.validity.truncate(len);
    }

    pub(super) fn check_utf8(&mut self) -> bool {
        self.bytes.items.check_utf8()
    }

    pub(super) fn room(&self, rows: usize) -> usize {
        self.bytes.room(rows) + self.validity.room(rows)
    }

    pub(super) fn begin(&mut self, arena: &mut Arena, rows: usize) -> Result<(), RowError> {
        self.validity.begin(arena, rows)?;
        self.bytes.begin(arena, rows)
    }

    pub(super) fn clear(&mut self, pool: &Pool) {
        self.bytes.clear(pool);
        self.validity.clear(pool);
    }

    pub(super) fn freeze(&mut self, pool: &Pool, rows: usize) -> Result<ArrayRef, ArrowError> {
        let len = self.len();
        let nulls = self
            .validity
            .freeze(pool, len, rows)
            .map(|bits| NullBuffer::new(BooleanBuffer::new(bits, 0, len)));
        Ok(std::sync::Arc::new(seal::text(&mut self.bytes, pool, nulls, rows)?))
    }
}
