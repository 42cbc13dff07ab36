//! BSON documents to Arrow record batches, in one pass, into memory of the pool.
//!
//! ```text
//! bytes ──guess the column by the key──▶ check type, copy value ──▶ column buffers ──seal──▶ RecordBatch
//!            (last document's order)          │ does not fit
//!                                             └──▶ null, row marked ──▶ extra text (second, slow look)
//! ```
//!
//! - No document becomes an object and no value is allocated: a value is copied once, from the input to
//!   the buffer that will be sent.
//! - Strings are checked for UTF-8 a run at a time. Where a run fails, its documents are decoded again one
//!   string at a time, which finds the one to blame.
//! - A document that cannot be decoded is reported with its bytes and skipped; rows before and after it
//!   are not affected.
//! - A batch is sealed when it has the rows or the bytes it may have. Memory is reserved before a batch is
//!   begun and waited for if need be; a document too large for any batch gets an overdraft of the pool.
//!
//! Decoding blocks: give it a thread of its own.

mod buffers;
mod column;
mod context;
pub(crate) mod convert;
mod counts;
mod document;
mod list;
mod seal;
mod text;

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{Fields, SchemaRef};
use zenith_memory::{GRANULE, MemoryError, Pool};

use crate::Schema;
use crate::extra::{Explainer, without_duplicates};
use crate::raw::RawError;
use crate::schema::ID_KEY;
use buffers::{Arena, Bytes};
use context::{Context, Stop};
pub use counts::ExtraCounts;
use document::DocumentNode;

/// Validity, offsets and values.
const BUFFERS_PER_LEAF: usize = 3;

/// How large the batches of a decoder are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderOptions {
    /// Most rows of a batch.
    pub rows_max: usize,
    /// Most bytes of a batch, all its buffers together.
    pub bytes_max: usize,
}

/// A document that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDocument {
    /// Where it lies in the bytes given to [`Decoder::append`].
    pub range: Range<usize>,
    /// What is wrong with it.
    pub reason: RawError,
}

/// Why decoding cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The pool could not give the memory of a batch.
    #[error("no memory for a record batch")]
    Memory(#[from] MemoryError),
    /// A single document needs more memory than can be addressed.
    #[error("a document of {bytes} bytes does not fit the memory of the pool")]
    DocumentTooLarge {
        /// Size of the BSON document.
        bytes: usize,
    },
    /// The columns need more memory than a batch may have, before it has any row.
    #[error(
        "the columns of this collection need more than the {bytes} bytes a batch may have: raise the memory budget"
    )]
    TooManyColumns {
        /// Bytes of a batch.
        bytes: usize,
    },
    /// The columns do not make a record batch: a defect of the decoder.
    #[error("the decoded columns are inconsistent")]
    Arrow(#[from] arrow_schema::ArrowError),
}

/// Turns BSON documents into record batches of one schema.
pub struct Decoder {
    schema: SchemaRef,
    columns: Fields,
    root: DocumentNode,
    extra: Bytes,
    explainer: Explainer,
    keep_nulls: bool,
    options: DecoderOptions,
    arena: Arena,
    /// About how many buffers a batch has; each is rounded up to whole granules of the pool.
    buffers: usize,
    /// Rows the batch at hand may have; 0 while no batch is open.
    rows_planned: usize,
    counts: ExtraCounts,
    scratch: Vec<u8>,
    extra_text: Vec<u8>,
}

/// How far [`Decoder::append`] got through its input.
enum Pause {
    InputDone,
    BatchFull,
}

impl Decoder {
    /// A decoder for documents of `schema`.
    #[must_use]
    pub fn new(schema: &Schema, pool: &Pool, options: DecoderOptions) -> Decoder {
        let arrow = schema.to_arrow();
        let mut root = DocumentNode::new(&schema.fields, pool);
        root.require(ID_KEY);
        Decoder {
            columns: arrow.fields().iter().take(schema.fields.len()).cloned().collect(),
            schema: arrow,
            root,
            extra: Bytes::new(pool),
            explainer: Explainer::new(schema),
            keep_nulls: schema.keep_nulls,
            options,
            arena: Arena { pool: pool.clone(), reservation: None },
            buffers: schema.fields.iter().map(|field| field.kind.leaves()).sum::<usize>() * BUFFERS_PER_LEAF
                + 2,
            rows_planned: 0,
            counts: ExtraCounts::default(),
            scratch: Vec::new(),
            extra_text: Vec::new(),
        }
    }

    /// The schema of the batches.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows in the batch at hand.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.root.len
    }

    /// Decodes sample documents and forgets them again, to learn how much room a row takes and in which
    /// order keys come. Bad documents are passed over.
    ///
    /// # Errors
    /// As [`Decoder::append`].
    pub fn learn(
        &mut self,
        bytes: &[u8],
        documents: impl Iterator<Item = Range<usize>> + Clone,
    ) -> Result<(), DecodeError> {
        let mut documents = documents;
        // A second batch would only say the same.
        self.append(bytes, &mut documents, &mut |_| {})?;
        self.finish()?;
        self.counts = ExtraCounts::default();
        Ok(())
    }

    /// Decodes `documents`, ranges of `bytes`, until they are used up (`None`) or a batch is full, which
    /// is then returned: call again with the same iterator for the rest.
    ///
    /// Blocks while the pool has no memory for a new batch. Bad documents are told to `bad` and skipped.
    ///
    /// # Errors
    /// [`DecodeError`]; the batch at hand is then lost.
    pub fn append<I>(
        &mut self,
        bytes: &[u8],
        documents: &mut I,
        bad: &mut dyn FnMut(BadDocument),
    ) -> Result<Option<RecordBatch>, DecodeError>
    where
        I: Iterator<Item = Range<usize>> + Clone,
    {
        let start = documents.clone();
        let rows = self.root.len;
        let mut rejected = Vec::new();
        let mut pause = self.run(bytes, documents, false, &mut rejected)?;
        if !self.root.check_utf8() {
            // Some string of this run is not UTF-8. Once more, string by string.
            self.truncate(rows);
            self.counts.forget();
            rejected.clear();
            *documents = start;
            pause = self.run(bytes, documents, true, &mut rejected)?;
            // Nothing is left to find; this moves the mark behind the run.
            let _ = self.root.check_utf8();
        }
        self.counts.commit();
        rejected.into_iter().for_each(bad);
        if self.root.len == 0 {
            // Nothing came of the batch that was opened: its memory is for others, an overdraft above all.
            return self.finish();
        }
        match pause {
            Pause::InputDone => Ok(None),
            Pause::BatchFull => self.finish(),
        }
    }

    /// Seals the batch at hand, if it has any rows, and returns unused memory to the pool.
    ///
    /// # Errors
    /// [`DecodeError::Arrow`], which would be a defect.
    pub fn finish(&mut self) -> Result<Option<RecordBatch>, DecodeError> {
        if std::mem::take(&mut self.rows_planned) == 0 {
            return Ok(None);
        }
        let rows = std::mem::take(&mut self.root.len);
        let pool = self.arena.pool.clone();
        let mut arrays: Vec<ArrayRef> = self.root.freeze(&pool, &self.columns, rows);
        let (offsets, values) = self.extra.freeze(&pool, rows);
        self.arena.reservation = None;
        if rows == 0 {
            return Ok(None);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::new(offsets, 0, rows + 1));
        arrays.push(Arc::new(StringArray::new(offsets, values, None)));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(Some(RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?))
    }

    /// What went to the extra column since the last call.
    pub fn take_counts(&mut self) -> ExtraCounts {
        std::mem::take(&mut self.counts)
    }

    fn run<I>(
        &mut self,
        bytes: &[u8],
        documents: &mut I,
        strict: bool,
        rejected: &mut Vec<BadDocument>,
    ) -> Result<Pause, DecodeError>
    where
        I: Iterator<Item = Range<usize>> + Clone,
    {
        loop {
            let before = documents.clone();
            let Some(range) = documents.next() else { return Ok(Pause::InputDone) };
            if self.rows_planned == 0 {
                self.begin(None)?;
            }
            let row = self.root.len;
            match self.row(bytes, range.clone(), strict) {
                Ok(()) if row + 1 >= self.rows_planned => return Ok(Pause::BatchFull),
                Ok(()) => continue,
                Err(stop) => {
                    self.truncate(row);
                    match stop {
                        Stop::Malformed(reason) => rejected.push(BadDocument { range, reason }),
                        Stop::Full | Stop::OutOfMemory if row > 0 => {
                            *documents = before;
                            return Ok(Pause::BatchFull);
                        }
                        _ => {
                            self.overdrawn_row(bytes, range, strict, rejected)?;
                            if self.root.len > 0 {
                                return Ok(Pause::BatchFull);
                            }
                        }
                    }
                }
            }
        }
    }

    /// A document too large for an empty batch: it gets a batch of its own, beyond the budget.
    #[cold]
    fn overdrawn_row(
        &mut self,
        bytes: &[u8],
        range: Range<usize>,
        strict: bool,
        rejected: &mut Vec<BadDocument>,
    ) -> Result<(), DecodeError> {
        // Extended JSON of a BSON document is at most 7 times its size, and a growing buffer briefly
        // exists twice.
        let room = range.len().saturating_mul(16).saturating_add(self.options.bytes_max);
        self.finish()?;
        self.begin(Some(room))?;
        match self.row(bytes, range.clone(), strict) {
            Ok(()) => Ok(()),
            Err(Stop::Malformed(reason)) => {
                self.truncate(0);
                rejected.push(BadDocument { range, reason });
                Ok(())
            }
            Err(_) => Err(DecodeError::DocumentTooLarge { bytes: range.len() }),
        }
    }

    /// Appends one row, or leaves columns of unequal length behind, which [`Decoder::truncate`] mends.
    #[inline]
    fn row(&mut self, bytes: &[u8], range: Range<usize>, strict: bool) -> Result<(), Stop> {
        let row = self.root.len;
        let mut cx = Context {
            bytes,
            arena: &mut self.arena,
            dirty: false,
            arrays: 0,
            strict,
            keep_nulls: self.keep_nulls,
            scratch: &mut self.scratch,
        };
        let appended = self.root.append(&mut cx, range.start, range.end);
        let dirty = cx.dirty;
        match appended {
            Ok((end, _)) if end != range.end => return Err(Stop::Malformed(RawError::Terminator)),
            Ok(_) if !dirty => return self.extra.push(&mut self.arena, &[], 0, 0),
            Ok(_) => {}
            Err(Stop::Duplicate) => self.row_without_duplicates(&bytes[range.clone()], row, strict)?,
            Err(stop) => return Err(stop),
        }
        self.extra_text.clear();
        let counts = &mut self.counts;
        self.explainer
            .explain(&bytes[range], &mut self.extra_text, &mut |path, misfit| counts.note(path, misfit))
            .map_err(Stop::Malformed)?;
        self.extra.push(&mut self.arena, &self.extra_text, 0, self.extra_text.len())?;
        self.counts.row_done();
        Ok(())
    }

    #[cold]
    fn row_without_duplicates(&mut self, document: &[u8], row: usize, strict: bool) -> Result<(), Stop> {
        self.root.truncate(row);
        let mut plain = Vec::with_capacity(document.len());
        without_duplicates(document, &mut plain).map_err(Stop::Malformed)?;
        let mut cx = Context {
            bytes: &plain,
            arena: &mut self.arena,
            dirty: false,
            arrays: 0,
            strict,
            keep_nulls: self.keep_nulls,
            scratch: &mut self.scratch,
        };
        self.root.append(&mut cx, 0, plain.len()).map(|_| ())
    }

    fn truncate(&mut self, rows: usize) {
        self.root.truncate(rows);
        self.extra.truncate(rows);
        self.counts.row_undone();
    }

    /// Opens a batch: memory first, then room in every column for the rows that memory holds.
    ///
    /// Where what rows took lately does not fit, fewer rows are planned, down to columns that start empty.
    ///
    /// `overdraft` is for one document too large for any batch.
    fn begin(&mut self, overdraft: Option<usize>) -> Result<(), DecodeError> {
        let share = self.options.bytes_max.min(self.arena.pool.budget());
        let rows = if overdraft.is_some() { 1 } else { self.rows_for(share) };
        self.begin_with(overdraft, rows)
    }

    fn begin_with(&mut self, overdraft: Option<usize>, mut rows: usize) -> Result<(), DecodeError> {
        let share = self.options.bytes_max.min(self.arena.pool.budget());
        loop {
            let reservation = match overdraft {
                Some(bytes) => self.arena.pool.overdraft_blocking(bytes),
                None => self.arena.pool.reserve_blocking(share)?,
            };
            self.arena.reservation = Some(reservation);
            if self.open_columns(rows).is_ok() {
                self.rows_planned = rows.max(1);
                return Ok(());
            }
            let pool = self.arena.pool.clone();
            self.root.clear(&pool);
            self.extra.clear(&pool);
            self.arena.reservation = None;
            match (rows, overdraft) {
                (0, None) => {
                    // So many columns that not even empty ones fit: they get more than their share, for as many
                    // rows as that holds.
                    let bytes = share.saturating_add(self.buffers * GRANULE).saturating_mul(2);
                    return self.begin_with(Some(bytes), self.rows_for(bytes));
                }
                (0, Some(bytes)) => return Err(DecodeError::TooManyColumns { bytes }),
                _ => rows /= 4,
            }
        }
    }

    fn open_columns(&mut self, rows: usize) -> Result<(), Stop> {
        self.root.begin(&mut self.arena, rows)?;
        self.extra.begin(&mut self.arena, rows)
    }

    /// Rows for which `bytes` suffice with some room to spare, by what rows took lately.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn rows_for(&self, bytes: usize) -> usize {
        let per_row = (self.root.per_row() + self.extra.per_row()) * 1.0625;
        if per_row <= 0.0 {
            return self.options.rows_max.max(1);
        }
        let bytes = bytes.saturating_sub(self.buffers * GRANULE);
        let room = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) * 0.95;
        ((room / per_row) as usize).clamp(1, self.options.rows_max.max(1))
    }
}
