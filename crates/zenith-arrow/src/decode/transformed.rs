//! Documents that are changed before they are decoded, or unwound into several.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;

use super::context::{RowError, SLACK};
use super::{BadDocument, DecodeError, Decoder};
use crate::transform::{ALL_BYTES_MAX, Extent};
use crate::{Transform, Unwind};

/// What is done to documents, and the document at hand as the transform leaves it.
#[derive(Default)]
pub(super) struct Transforming {
    transform: Option<Arc<Transform>>,
    unwind: Option<Arc<Unwind>>,
    document: Vec<u8>,
    /// Of each document of the last call that was not bad, how many rows it has.
    rows: Vec<usize>,
}

impl Decoder {
    /// A decoder that has documents changed first.
    #[must_use]
    pub fn transformed(self, transform: Option<Arc<Transform>>) -> Decoder {
        self.with(|transforming| transforming.transform = transform)
    }

    /// A decoder that unwinds documents, after they have been changed. All rows of a document are in one batch.
    #[must_use]
    pub fn unwound(self, unwind: Option<Arc<Unwind>>) -> Decoder {
        self.with(|transforming| transforming.unwind = unwind)
    }

    fn with(mut self, set: impl FnOnce(&mut Transforming)) -> Decoder {
        let mut transforming = self.transforming.take().unwrap_or_default();
        set(&mut transforming);
        let is_needed = transforming.transform.is_some() || transforming.unwind.is_some();
        Decoder { transforming: is_needed.then_some(transforming), ..self }
    }

    /// What it does to documents first.
    #[must_use]
    pub fn transform(&self) -> Option<&Transform> {
        self.transforming.as_deref()?.transform.as_deref()
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

    /// Of each document of the last [`Decoder::append`] that was not bad, how many rows it has; `None` where that is one.
    #[must_use]
    pub fn rows_of_documents(&self) -> Option<&[usize]> {
        let transforming = self.transforming.as_deref()?;
        transforming.unwind.is_some().then_some(&transforming.rows)
    }

    /// How many rows those documents have beyond one each.
    #[must_use]
    pub fn rows_unwound(&self) -> usize {
        self.rows_of_documents().map_or(0, |rows| rows.iter().map(|rows| rows.saturating_sub(1)).sum())
    }

    pub(super) fn forget_rows(&mut self) {
        if let Some(transforming) = &mut self.transforming {
            transforming.rows.clear();
        }
    }

    /// How many rows a document makes, and the bytes they are decoded from.
    pub(super) fn extent(&self, bytes: &[u8], range: Range<usize>) -> Extent {
        let alone = Extent { documents: 1, bytes: range.len() };
        let (Some(transforming), Some(document)) = (&self.transforming, bytes.get(range)) else {
            return alone;
        };
        let Some(unwind) = &transforming.unwind else { return alone };
        let changed = transforming.transform.as_ref().and_then(|transform| transform.applied(document).ok());
        unwind.extent(changed.as_deref().unwrap_or(document)).unwrap_or(alone)
    }

    /// Appends the rows of a document.
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

    /// Appends the rows of what becomes of a document.
    #[inline(never)]
    fn transformed_row(&mut self, bytes: &[u8], range: Range<usize>, strict: bool) -> Result<(), RowError> {
        let Some(mut transforming) = self.transforming.take() else { return self.row(bytes, range, strict) };
        let Transforming { transform, unwind, document, rows } = &mut *transforming;
        let changed = match (transform, bytes.get(range.clone())) {
            (Some(transform), Some(whole)) => {
                transform.apply(whole, document).map(|changed| changed.is_some())
            }
            _ => Ok(false),
        };
        let result = match (changed, unwind) {
            (Err(reason), _) => Err(RowError::Malformed(reason)),
            (Ok(false), None) => self.row(bytes, range, strict),
            (Ok(true), None) => self.row_of(document, strict),
            (Ok(is_changed), Some(unwind)) => {
                let whole = if is_changed { &document[..] } else { bytes.get(range).unwrap_or_default() };
                self.unwound_rows(unwind, whole, strict).map(|count| rows.push(count))
            }
        };
        self.transforming = Some(transforming);
        result
    }

    /// Appends the rows that a document is unwound into, all or none, and says how many they are.
    fn unwound_rows(&mut self, unwind: &Unwind, document: &[u8], strict: bool) -> Result<usize, RowError> {
        if unwind.extent(document).map_err(RowError::Malformed)?.bytes > ALL_BYTES_MAX {
            return Err(RowError::TooManyRows);
        }
        let (before, mark) = (self.root.len, self.overflow.tally.mark());
        match unwind.each(document, |whole| self.row_of(whole, strict)) {
            Ok(()) => Ok(self.root.len - before),
            Err(stop) => {
                // Columns are cut by the one who asked for the rows.
                self.overflow.tally.rewind(mark);
                Err(stop)
            }
        }
    }

    /// Appends the row of a document in memory of its own.
    fn row_of(&mut self, document: &mut Vec<u8>, strict: bool) -> Result<(), RowError> {
        // The fast path may read so far behind a document.
        let len = document.len();
        document.resize(len + SLACK, 0);
        self.row(document, 0..len, strict)
    }
}

impl From<zenith_bson::RawError> for RowError {
    fn from(reason: zenith_bson::RawError) -> RowError {
        RowError::Malformed(reason)
    }
}
