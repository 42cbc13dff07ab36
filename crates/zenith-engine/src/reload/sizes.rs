//! How large the next batch of a load is.
//!
//! Large batches cost ClickHouse least. But until the first one is read there is nothing to insert, and while the last one
//! is inserted there is nothing to read: these are smaller, so that source and target work side by side from soon after
//! the beginning until shortly before the end.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::progress::to_u64;

/// The share of a full batch that the smallest ones have, as its divisor.
const SMALLEST: u64 = 4;

/// What decides the sizes; shared by the decoders of a load.
pub(super) struct Sizes {
    inserters: u64,
    /// Documents the collection is thought to have.
    expected: u64,
    sealed: AtomicU64,
}

impl Sizes {
    pub(super) fn new(inserters: usize, expected: u64) -> Sizes {
        Sizes { inserters: to_u64(inserters), expected, sealed: AtomicU64::new(0) }
    }

    /// Rows of the next batch, where a full one has `full`.
    pub(super) fn next(&self, full: usize) -> usize {
        let sealed = self.sealed.load(Ordering::Relaxed);
        let full = to_u64(full);
        let smallest = full.div_ceil(SMALLEST);
        let rows = match self.expected.saturating_sub(sealed) {
            _ if sealed == 0 => smallest,
            // There are more than was thought.
            0 => full,
            left => left.div_ceil(self.inserters).clamp(smallest, full),
        };
        usize::try_from(rows).unwrap_or(usize::MAX)
    }

    /// Counts a batch that was sealed.
    pub(super) fn sealed(&self, rows: usize) {
        self.sealed.fetch_add(to_u64(rows), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes of a load of so many documents.
    fn sizes(documents: usize, expected: u64) -> Vec<usize> {
        let sizes = Sizes::new(2, expected);
        let (mut left, mut all) = (documents, Vec::new());
        while left > 0 {
            let rows = sizes.next(1000).min(left);
            sizes.sealed(rows);
            left -= rows;
            all.push(rows);
        }
        all
    }

    #[test]
    fn the_first_and_the_last_are_smaller() {
        assert_eq!(sizes(5000, 5000), [250, 1000, 1000, 1000, 875, 438, 250, 187]);
    }

    #[test]
    fn few_documents_are_few_batches() {
        assert_eq!(sizes(200, 200), [200]);
        assert_eq!(sizes(600, 600), [250, 250, 100]);
    }

    #[test]
    fn batches_are_full_where_the_end_is_not_known() {
        assert_eq!(sizes(2500, 0), [250, 1000, 1000, 250]);
        assert_eq!(sizes(4000, 1000), [250, 375, 250, 250, 1000, 1000, 875]);
        assert_eq!(sizes(1500, 9000), [250, 1000, 250]);
    }
}
