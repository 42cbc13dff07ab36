//! What a decoder learns from a sample: how much room a row takes, in which order keys come, what does not fit.

use std::ops::Range;

use arrow_array::RecordBatch;

use super::{DecodeError, Decoder};

/// Rows of a batch that is learned from as from any other.
const LEARN_ROWS: usize = 100;
/// Batches of fewer rows that are learned from.
const LEARN_BATCHES_MAX: usize = 10;

impl Decoder {
    /// Decodes sample documents and forgets them again, to learn how much room a row takes and in which
    /// order keys come. Bad documents are skipped. A sample has been transformed already.
    ///
    /// # Errors
    /// As [`Decoder::append`].
    pub fn learn(
        &mut self,
        bytes: &[u8],
        documents: impl Iterator<Item = Range<usize>> + Clone,
    ) -> Result<(), DecodeError> {
        let transforming = self.transforming.take();
        let learned = self.learn_from(bytes, documents);
        self.transforming = transforming;
        learned
    }

    fn learn_from(
        &mut self,
        bytes: &[u8],
        mut documents: impl Iterator<Item = Range<usize>> + Clone,
    ) -> Result<(), DecodeError> {
        // A batch of a few rows does not say much; another one of many would only say the same. Where surprises are
        // looked for, all that is known counts.
        let batches_max = if self.overflow.tally.is_watched() { usize::MAX } else { LEARN_BATCHES_MAX };
        for _ in 0..batches_max {
            let batch = self.append(bytes, &mut documents, &mut |_| {})?;
            let is_enough = |batch: RecordBatch| batch.num_rows() >= LEARN_ROWS && batches_max < usize::MAX;
            if batch.is_none_or(is_enough) {
                break;
            }
        }
        self.finish()?;
        self.overflow.tally.learned();
        Ok(())
    }
}
