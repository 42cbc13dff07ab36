//! Documents that are compared together.

use std::ops::Range;

/// The most documents of a part, and about the most bytes of them.
const DOCUMENTS: usize = 5_000;
const BYTES: usize = 8 * 1024 * 1024;
/// Documents, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Part {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Part {
    pub(super) fn push(&mut self, document: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(document);
        self.ranges.push(start..self.bytes.len());
    }

    pub(super) fn is_full(&self) -> bool {
        self.ranges.len() >= DOCUMENTS || self.bytes.len() >= BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(super) fn documents(&self) -> Vec<&[u8]> {
        self.ranges.iter().map(|range| self.bytes.get(range.clone()).unwrap_or_default()).collect()
    }
}
