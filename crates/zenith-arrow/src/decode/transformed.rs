//! Documents that are changed before they are decoded.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;

use super::context::{RowError, SLACK};
use super::{BadDocument, DecodeError, Decoder};
use crate::Transform;

/// A transform, and the document at hand as it leaves it.
pub(super) struct Transforming {
    transform: Arc<Transform>,
    document: Vec<u8>,
}

impl Decoder {
    /// A decoder that has documents changed first.
    #[must_use]
    pub fn transformed(self, transform: Option<Arc<Transform>>) -> Decoder {
        let transforming =
            transform.map(|transform| Box::new(Transforming { transform, document: Vec::new() }));
        Decoder { transforming, ..self }
    }

    /// What it does to documents first.
    #[must_use]
    pub fn transform(&self) -> Option<&Transform> {
        self.transforming.as_deref().map(|transforming| &*transforming.transform)
    }

    /// As [`Decoder::append`], of documents that have been rows before: they are taken as they are, with keys that no column is
    /// for, and their mismatches are not counted again.
    ///
    /// # Errors
    /// As [`Decoder::append`].
    pub fn append_rebuilt<I>(
        &mut self,
        bytes: &[u8],
        documents: &mut I,
        bad: &mut dyn FnMut(BadDocument),
    ) -> Result<Option<RecordBatch>, DecodeError>
    where
        I: Iterator<Item = Range<usize>> + Clone,
    {
        let transforming = self.transforming.take();
        let ignores = std::mem::replace(&mut self.overflow.tally.ignores, false);
        self.is_rebuilt = true;
        let appended = self.append(bytes, documents, bad);
        self.is_rebuilt = false;
        self.overflow.tally.ignores = ignores;
        self.transforming = transforming;
        appended
    }

    /// Appends the row of a document.
    #[inline]
    pub(super) fn document(
        &mut self,
        bytes: &[u8],
        range: Range<usize>,
        strict: bool,
    ) -> Result<(), RowError> {
        match self.transforming {
            None => self.row(bytes, range, strict),
            Some(_) => self.transformed_row(bytes, range, strict),
        }
    }

    /// Appends the row of what becomes of a document.
    #[inline(never)]
    fn transformed_row(&mut self, bytes: &[u8], range: Range<usize>, strict: bool) -> Result<(), RowError> {
        let Some(mut transforming) = self.transforming.take() else { return self.row(bytes, range, strict) };
        let Transforming { transform, document } = &mut *transforming;
        let changed = match bytes.get(range.clone()) {
            Some(whole) => transform.apply(whole, document).map(|changed| changed.is_some()),
            None => Ok(false),
        };
        let result = match changed {
            Ok(false) => self.row(bytes, range, strict),
            Ok(true) => {
                // The fast path may read so far behind a document.
                let len = document.len();
                document.resize(len + SLACK, 0);
                self.row(document, 0..len, strict)
            }
            Err(reason) => Err(RowError::Malformed(reason)),
        };
        self.transforming = Some(transforming);
        result
    }
}
