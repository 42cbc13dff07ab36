//! How large the next batch of a reload is.
//!
//! Large batches cost ClickHouse least. But until the first one is read there is nothing to insert, and while the last one
//! is inserted there is nothing to read: these are smaller, so that source and target work side by side from soon after
//! the beginning until shortly before the end.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::progress::to_u64;

/// The smallest batches have one part of so many of a full one.
const PARTS_OF_FULL: u64 = 4;

/// What decides the sizes; shared by the decoders of a load.
pub(super) struct Sizes {
    inserters: u64,
    /// The estimated number of documents. Without an estimate all batches are full.
    expected: Option<u64>,
    /// Rows of the batches that were begun.
    begun: AtomicU64,
}

impl Sizes {
    pub(super) fn new(inserters: usize, expected: Option<u64>) -> Sizes {
        Sizes { inserters: to_u64(inserters), expected, begun: AtomicU64::new(0) }
    }

    /// Rows of the batch that is begun now, where a full one has `full`.
    pub(super) fn begin(&self, full: usize) -> usize {
        let begun = self.begun.load(Ordering::Relaxed);
        let full = to_u64(full);
        let smallest = full.div_ceil(PARTS_OF_FULL);
        let rows = match self.expected.map(|expected| expected.saturating_sub(begun)) {
            Some(_) if begun == 0 => smallest,
            // Nobody knows, or there are more than was thought.
            None | Some(0) => full,
            Some(left) => left.div_ceil(self.inserters).clamp(smallest, full),
        };
        self.begun.fetch_add(rows, Ordering::Relaxed);
        usize::try_from(rows).unwrap_or(usize::MAX)
    }

    /// Says how many rows a batch has become that was begun with `planned`.
    pub(super) fn sealed(&self, planned: usize, rows: usize) {
        self.begun.fetch_sub(to_u64(planned.saturating_sub(rows)), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes of a load of so many documents by so many decoders in turn.
    fn sizes(documents: usize, expected: Option<u64>, decoders: usize) -> Vec<usize> {
        let sizes = Sizes::new(2, expected);
        let (mut left, mut all) = (documents, Vec::new());
        while left > 0 {
            let begun: Vec<usize> = (0..decoders).map(|_| sizes.begin(1000)).collect();
            for planned in begun {
                let rows = planned.min(left);
                sizes.sealed(planned, rows);
                left -= rows;
                all.extend((rows > 0).then_some(rows));
            }
        }
        all
    }

    #[test]
    fn the_first_and_the_last_are_smaller() {
        assert_eq!(sizes(5000, Some(5000), 1), [250, 1000, 1000, 1000, 875, 438, 250, 187]);
        assert_eq!(sizes(5000, Some(5000), 2), [250, 1000, 1000, 1000, 875, 438, 250, 187]);
    }

    #[test]
    fn few_documents_are_few_batches() {
        assert_eq!(sizes(200, Some(200), 1), [200]);
        assert_eq!(sizes(600, Some(600), 1), [250, 250, 100]);
    }

    #[test]
    fn batches_are_full_where_the_end_is_not_known() {
        assert_eq!(sizes(2500, None, 1), [1000, 1000, 500]);
        assert_eq!(sizes(4000, Some(1000), 1), [250, 375, 250, 250, 1000, 1000, 875]);
        assert_eq!(sizes(1500, Some(9000), 1), [250, 1000, 250]);
    }

    /// A batch may be full, by its bytes, before it has the rows it was to have.
    #[test]
    fn rows_that_did_not_come_are_still_to_come() {
        let sizes = Sizes::new(2, Some(2000));
        let first = sizes.begin(1000);
        sizes.sealed(first, 50);
        assert_eq!((first, sizes.begin(1000)), (250, 975));
    }
}
