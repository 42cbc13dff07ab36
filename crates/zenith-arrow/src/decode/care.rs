//! Documents whose keys may be repeated or reserved: they are read with care.

use std::ops::Range;

use super::context::{Context, RowError};
use super::overflow::{Odd, Reserved};
use crate::extended_json::repeated_keys;

/// What is known of a document whose keys may be repeated or reserved.
pub(super) struct Care {
    /// Positions of the elements whose key comes again.
    repeated: Vec<usize>,
    /// The position of the current element.
    position: usize,
    pub(super) duplicates: Vec<u8>,
    pub(super) outside: Reserved,
}

impl Care {
    pub(super) fn begin(cx: &mut Context<'_>, document: &[u8]) -> Result<Care, RowError> {
        let repeated = repeated_keys(document).map_err(RowError::Malformed)?;
        let outside = cx.overflow.begin_level();
        Ok(Care { repeated, position: 0, duplicates: Vec::new(), outside })
    }

    /// Whether the key of the next element comes again.
    pub(super) fn is_repeated(&mut self) -> bool {
        let position = self.position;
        self.position += 1;
        self.repeated.binary_search(&position).is_ok()
    }

    pub(super) fn end(self, cx: &mut Context<'_>, before: Odd) -> Result<(), RowError> {
        cx.overflow.end_level(before, &self.duplicates, self.outside).map_err(RowError::Malformed)
    }
}

/// Asks for care if a key without a column occurs twice in the document of these parts.
#[cold]
pub(super) fn check_strangers(cx: &Context<'_>, parts: Range<usize>) -> Result<(), RowError> {
    if cx.ignores {
        return Ok(());
    }
    let document = cx.bytes.get(parts.start - 4..=parts.end).unwrap_or_default();
    let repeated = repeated_keys(document).map_err(RowError::Malformed)?;
    if repeated.is_empty() || cx.is_careful { Ok(()) } else { Err(RowError::Duplicate) }
}
