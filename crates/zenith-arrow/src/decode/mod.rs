//! BSON documents to Arrow record batches, in one pass, into memory of the pool.
//!
//! ```text
//! bytes ──guess the column by the key──▶ check type, copy value ──▶ column buffers ──seal──▶ RecordBatch
//!            (last document's order)          │ does not fit
//!                                             └──▶ null ──▶ text of the extra column
//! ```
//!
//! - No document becomes an object and no value is allocated: a value is copied once, from the input to
//!   the buffer that will be sent.
//! - Strings are checked for UTF-8 a run at a time. Where a run fails, its documents are decoded again one
//!   string at a time, which finds the bad one.
//! - A document that cannot be decoded is reported with its bytes and skipped; rows before and after it
//!   are not affected.
//! - A batch is sealed when it has the rows or the bytes it may have. Memory is reserved before a batch is
//!   begun and waited for if need be; a document too large for any batch gets an overdraft of the pool.
//!
//! Decoding blocks: give it a thread of its own.

mod append;
mod buffers;
mod care;
mod cast;
mod column;
mod context;
pub(crate) mod convert;
mod counts;
mod document;
mod expected;
mod head;
mod learn;
mod list;
mod map;
mod outcome;
mod overflow;
mod room;
mod seal;
mod tally;
#[cfg(test)]
mod tests;
mod text;
mod transformed;
mod twin;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Fields, SchemaRef};
use zenith_bson::RawError;
use zenith_memory::{GRANULE, Pool};

use crate::Schema;
use crate::schema::ID_KEY;
use crate::transform::Extent;
use buffers::{Arena, Bytes};
use column::{Rules, buffers_of};
use context::{Context, RowError};
pub use counts::{ExtraCounts, Surprise, keep_witnesses};
pub(crate) use counts::{FIELDS_MAX, OTHERS};
use document::DocumentNode;
use outcome::key_mismatch;
pub use outcome::{BadDocument, BadReason, DecodeError, DecoderOptions};
use overflow::OverflowWriter;
use transformed::Transforming;

/// Turns BSON documents into record batches of one schema.
pub struct Decoder {
    schema: SchemaRef,
    columns: Fields,
    root: DocumentNode,
    extra: Bytes,
    notes: Bytes,
    /// Rows that both have room for.
    text_rows: usize,
    overflow: OverflowWriter,
    keep_nulls: bool,
    options: DecoderOptions,
    arena: Arena,
    /// How many buffers a batch has at most; each takes whole granules of the pool.
    buffers: usize,
    /// Rows the open batch may have; 0 while no batch is open.
    rows_planned: usize,
    /// Rows a batch may have that is begun now.
    rows_limit: usize,
    /// The open batch holds one document that is much larger than others.
    odd: bool,
    scratch: Vec<u8>,
    /// What happens to a document before it is decoded.
    transforming: Option<Box<Transforming>>,
    /// Documents are those of rows: they have been changed before, and their mismatches counted.
    is_rebuilt: bool,
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
        let rules = Rules { pool, keep_nulls: schema.keep_nulls, dates: schema.dates };
        let mut overflow = OverflowWriter::default();
        let mut root = DocumentNode::new(&schema.fields, b"", rules, &mut overflow.tally);
        root.require(ID_KEY);
        Decoder {
            columns: arrow.fields().iter().take(arrow.fields().len() - 2).cloned().collect(),
            schema: arrow,
            root,
            extra: Bytes::new(pool),
            notes: Bytes::new(pool),
            text_rows: 0,
            overflow,
            keep_nulls: schema.keep_nulls,
            options,
            arena: Arena { pool: pool.clone(), reservation: None },
            // The extra and the notes column have two each.
            buffers: schema.fields.iter().map(buffers_of).sum::<usize>() + 4,
            rows_planned: 0,
            rows_limit: usize::MAX,
            odd: false,
            scratch: Vec::new(),
            transforming: None,
            is_rebuilt: false,
        }
    }

    /// A decoder that leaves out keys that no column is for, at every level, instead of keeping their values in the extra
    /// column. A value that does not fit its column, or comes before another one of its key, is kept with all its keys.
    #[must_use]
    pub fn ignoring(mut self, ignores: bool) -> Decoder {
        self.overflow.tally.ignores = ignores;
        self
    }

    /// The schema of the batches.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows in the open batch.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.root.len
    }

    /// Rows of a batch that is as large as it may be, by what rows took lately; the most there may be where that says
    /// nothing.
    #[must_use]
    pub fn rows_of_a_batch(&self) -> usize {
        self.rows_for(self.share(), self.options.rows_max).unwrap_or(self.options.rows_max)
    }

    /// Seals batches that are begun from now on at `rows` rows at the latest.
    pub fn limit(&mut self, rows: usize) {
        self.rows_limit = rows.max(1);
    }

    /// Decodes `documents`, ranges of `bytes`, until they are used up (`None`) or a batch is full, which
    /// is then returned: call again with the same iterator for the rest.
    ///
    /// Blocks while the pool has no memory for a new batch. Bad documents are reported to `bad` and skipped.
    ///
    /// # Errors
    /// [`DecodeError`]; the open batch is then lost.
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
        self.forget_rows();
        let mut pause = self.run(bytes, documents, false, &mut rejected)?;
        if !self.root.check_utf8() {
            // Some string of this run is not UTF-8. Once more, string by string.
            self.truncate(rows);
            self.overflow.tally.forget();
            self.forget_rows();
            rejected.clear();
            *documents = start;
            pause = self.run(bytes, documents, true, &mut rejected)?;
            // Nothing is left to find; this moves the mark behind the run.
            let _ = self.root.check_utf8();
        }
        match self.is_rebuilt {
            false => self.overflow.tally.commit(),
            true => self.overflow.tally.forget(),
        }
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

    /// Seals the open batch, if it has any rows, and returns unused memory to the pool.
    ///
    /// # Errors
    /// [`DecodeError::Arrow`], which would be a defect.
    pub fn finish(&mut self) -> Result<Option<RecordBatch>, DecodeError> {
        if std::mem::take(&mut self.rows_planned) == 0 {
            return Ok(None);
        }
        let rows = std::mem::take(&mut self.root.len);
        // One odd document says nothing of the others.
        let learned = if std::mem::take(&mut self.odd) { 0 } else { rows };
        let pool = self.arena.pool.clone();
        let arrays = self.root.freeze(&pool, &self.columns, learned);
        self.extra.items.fill(rows);
        self.notes.items.fill(rows);
        let extra = seal::text(&mut self.extra, &pool, None, learned);
        let notes = seal::text(&mut self.notes, &pool, None, learned);
        self.arena.reservation = None;
        if rows == 0 {
            return Ok(None);
        }
        let mut arrays: Vec<ArrayRef> = arrays?;
        arrays.push(Arc::new(extra?));
        arrays.push(Arc::new(notes?));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(Some(RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?))
    }

    /// Keeps some documents of each kind of mismatch that those learned from did not have; call it before learning.
    pub fn watch(&mut self) {
        self.overflow.tally.watch();
    }

    /// The kinds of mismatches that the documents learned from did not have, and that occurred at least so often. Each
    /// is reported again when it has occurred twice as often.
    pub fn surprises(&mut self, least: u64) -> Vec<Surprise> {
        self.overflow.tally.surprises(least)
    }

    /// All kinds of mismatches that the documents learned from did not have.
    pub fn all_surprises(&mut self) -> Vec<Surprise> {
        self.overflow.tally.all_surprises()
    }

    /// What went to the extra column since the last call.
    pub fn take_counts(&mut self) -> ExtraCounts {
        self.overflow.tally.take()
    }

    /// The paths of fields without a column that were left out of what has been counted, if they are to be.
    pub fn take_ignored(&mut self) -> BTreeSet<String> {
        self.overflow.tally.take_ignored()
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
                self.begin()?;
            }
            let row = self.root.len;
            match self.document(bytes, range.clone(), strict) {
                Ok(()) if self.root.len >= self.rows_planned => return Ok(Pause::BatchFull),
                Ok(()) => continue,
                Err(stop) => {
                    self.truncate(row);
                    match stop {
                        RowError::Malformed(reason) => {
                            rejected.push(BadDocument { range, reason: reason.into() });
                        }
                        RowError::TooManyRows => {
                            rejected.push(BadDocument { range, reason: BadReason::TooManyRows });
                        }
                        RowError::Key(tag) => return Err(key_mismatch(&bytes[range], tag)),
                        RowError::Full | RowError::OutOfMemory if row > 0 => {
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
        let Extent { documents, bytes: decoded } = self.extent(bytes, range.clone());
        let room = decoded.saturating_mul(16).saturating_add(self.options.bytes_max);
        let room = room.saturating_add(self.buffers * GRANULE * 2).saturating_add(match documents {
            0 | 1 => 0,
            rows => 2 * self.room(rows),
        });
        self.finish()?;
        let reservation = self.arena.pool.overdraft_blocking(room);
        self.begin_with(reservation, 0)?;
        self.rows_planned = 1;
        self.odd = decoded > self.options.bytes_max / 4;
        match self.document(bytes, range.clone(), strict) {
            Ok(()) => Ok(()),
            Err(RowError::Malformed(reason)) => {
                self.truncate(0);
                rejected.push(BadDocument { range, reason: reason.into() });
                Ok(())
            }
            Err(RowError::Key(tag)) => Err(key_mismatch(&bytes[range], tag)),
            Err(_) => Err(DecodeError::DocumentTooLarge { bytes: range.len() }),
        }
    }

    /// Appends one row, or leaves columns of unequal length behind, which [`Decoder::truncate`] repairs.
    #[inline]
    fn row(&mut self, bytes: &[u8], range: Range<usize>, strict: bool) -> Result<(), RowError> {
        let row = self.root.len;
        if row >= self.text_rows {
            self.make_room_for_text(row + 1)?;
        }
        match self.fields(bytes, range.clone(), strict, false) {
            Ok(()) if !self.overflow.has_entries() => {
                if self.overflow.tally.has_noted() {
                    self.overflow.tally.row_done(&bytes[range]);
                }
                return Ok(());
            }
            Ok(()) if !self.overflow.has_reserved_keys() => {}
            Ok(()) | Err(RowError::Duplicate) => {
                self.root.truncate(row);
                self.overflow.tally.row_undone();
                self.fields(bytes, range.clone(), strict, true)?;
            }
            Err(stop) => return Err(stop),
        }
        self.text(row, &bytes[range])
    }

    /// Appends the fields of one row, and writes the texts of what they do not show.
    #[inline(always)]
    fn fields(
        &mut self,
        bytes: &[u8],
        range: Range<usize>,
        strict: bool,
        is_careful: bool,
    ) -> Result<(), RowError> {
        self.overflow.begin();
        let ignores = self.overflow.tally.ignores;
        let mut cx = Context {
            bytes,
            arena: &mut self.arena,
            overflow: &mut self.overflow,
            strict,
            is_careful,
            is_fast: !strict && !is_careful,
            keep_nulls: self.keep_nulls,
            ignores,
            scratch: &mut self.scratch,
        };
        let end = self.root.append(&mut cx, range.start, range.end)?;
        if end == range.end { Ok(()) } else { Err(RowError::Malformed(RawError::Terminator)) }
    }

    /// Appends the texts of a row. Rows before that have none get theirs here, or when the batch is sealed.
    #[inline(never)]
    fn text(&mut self, row: usize, document: &[u8]) -> Result<(), RowError> {
        let (extra, notes) = self.overflow.finish();
        for (column, text) in [(&mut self.extra, extra), (&mut self.notes, notes)] {
            if !text.is_empty() {
                column.items.fill(row);
                column.push(&mut self.arena, text, text.len())?;
            }
        }
        self.overflow.tally.row_done(document);
        Ok(())
    }

    /// Makes room for the texts of at least so many rows, empty ones at least.
    #[cold]
    fn make_room_for_text(&mut self, rows: usize) -> Result<(), RowError> {
        self.extra.make_room(&mut self.arena, rows)?;
        self.notes.make_room(&mut self.arena, rows)?;
        self.text_rows = self.extra.items.room().min(self.notes.items.room());
        Ok(())
    }

    fn truncate(&mut self, rows: usize) {
        self.root.truncate(rows);
        self.extra.items.truncate(rows);
        self.notes.items.truncate(rows);
        self.overflow.tally.row_undone();
    }
}
