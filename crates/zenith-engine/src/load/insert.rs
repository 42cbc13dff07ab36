//! Inserters: record batches in, acknowledgements out.
//!
//! A batch, and with it its memory of the pool, is held until it is acknowledged, so that a repeat sends
//! the very same bytes with the very same token.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use arrow_array::RecordBatch;
use async_channel::Sender;
use bson::Bson;
use tracing::Instrument as _;
use zenith_arrow::{Schema, WHOLE_KEY};
use zenith_transport::{Insert, Merging, Sink, TransportError};

use super::complete::complete;
use super::context::{LoadContext, Repeats};
use super::dead_letters::RejectedDocument;
use super::key::key;
use super::left::{apart, of_others};
use super::refusal::{Refused, RowsOf, absent, has_other_columns, left_nothing, lost, name};
use crate::layout::{Layout, LoadMetadata};
use crate::progress::to_u64;
use crate::retry::{AfterInsert, after_insert};
use crate::timings::Stage;
use crate::unwind::column_of;
use crate::{EngineError, OnBadDocument, Result};

/// Inserts after which background merges run again, well before ClickHouse refuses more parts (3,000).
const PARTS_BEFORE_MERGES: u64 = 1000;

/// Inserts batches of one load into one table, each once however often it is repeated under its token.
pub(crate) struct Inserter<'a, K> {
    pub(crate) load: &'a LoadContext,
    pub(crate) sink: &'a K,
    pub(crate) table: &'a str,
    pub(crate) schema: &'a Schema,
    pub(crate) layout: Layout,
}

/// What the inserters of a load take batches from.
pub(super) struct Batches<'a> {
    pub(super) batches: flume::Receiver<RecordBatch>,
    pub(super) letters: Sender<RejectedDocument>,
    /// The metadata columns of every row.
    pub(super) metadata: LoadMetadata,
    /// Batches of all inserters so far.
    pub(super) sequence: &'a AtomicU64,
}

impl<K: Sink> Inserter<'_, K> {
    /// Inserts batches until there are no more.
    pub(super) async fn run(self, from: Batches<'_>) -> Result<()> {
        while let Ok(batch) = from.batches.recv_async().await {
            let number = from.sequence.fetch_add(1, Ordering::Relaxed);
            if number == PARTS_BEFORE_MERGES {
                // A failure here would show again as "too many parts", which is repeated.
                let _ = self.sink.set_merging(self.table, Merging::Running).await;
            }
            let token = format!("{}-{}", self.load.run, number);
            let (pipeline, namespace) = (&self.load.pipeline, &self.load.namespace);
            let span = tracing::error_span!("insert", pipeline, %namespace, token);
            for refused in self.insert(from.metadata.apply(batch)?, token, false).instrument(span).await? {
                let letter = self.letter(&refused)?;
                let sent = self.load.unless_stopped(from.letters.send(letter)).await?;
                sent.map_err(|_| EngineError::Stopped)?;
            }
            self.load.progress.memory(self.load.pool.stats().in_use);
        }
        Ok(())
    }

    /// Inserts one batch, and gives back the rows that are refused. `may_be_there` says that an earlier try under this
    /// name may have landed.
    pub(crate) async fn insert(
        &self,
        batch: RecordBatch,
        token: String,
        may_be_there: bool,
    ) -> Result<Vec<Refused>> {
        let batch = self.load.added.rows(batch)?;
        let may_be_there = AtomicBool::new(may_be_there);
        let sent = match self.send(&batch, &token, &may_be_there).await {
            Err(EngineError::Sink(error)) if error.is_schema_mismatch() => {
                self.refuse_other_columns(&batch).await?;
                return Err(error.into());
            }
            sent => sent?,
        };
        let Some(error) = sent else {
            // The rows of a snapshot are not counted in the end either.
            let is_counted = self.load.repeats == Repeats::ByLoad && !self.layout.has_versions();
            if may_be_there.into_inner() && !is_counted {
                self.complete(&batch, &token).await?;
            }
            return Ok(Vec::new());
        };
        self.refuse_other_columns(&batch).await?;
        let mut reason = Some(left_nothing(self.sink, self.table, error).await?.to_string());
        let mut left = vec![batch];
        if may_be_there.into_inner()
            && let Some(batch) = left.pop()
        {
            let rows = batch.num_rows();
            left = absent(self.sink, self.place(), &batch).await?;
            left.reverse();
            let there = rows - left.iter().map(RecordBatch::num_rows).sum::<usize>();
            if there > 0 {
                self.load.progress.written(to_u64(there), 0);
                reason = None;
            }
        }
        if let Layout::Marked { moves: true } = self.layout {
            return self.without_left(left, &token, reason).await;
        }
        self.halve(left, &token, reason).await
    }

    /// Inserts parts of a batch, the last one first, and says which rows are refused. The rows that say what documents leave
    /// follow, for those documents alone of which no row is refused.
    async fn without_left(
        &self,
        parts: Vec<RecordBatch>,
        token: &str,
        reason: Option<String>,
    ) -> Result<Vec<Refused>> {
        let (mut rows, mut left) = (Vec::new(), Vec::new());
        for part in &parts {
            let (of_documents, of_places) = apart(part)?;
            rows.extend(of_documents);
            left.extend(of_places);
        }
        // The whole of either part has only been refused if there is no other.
        let reason = reason.filter(|_| rows.is_empty() || left.is_empty());
        let (of_rows, of_left) = if rows.is_empty() { (None, reason) } else { (reason, None) };
        let mut refused = self.halve(rows, token, of_rows).await?;
        let keys = refused.iter().map(|refused| key(&refused.row, 0)).collect::<Result<HashSet<_>>>()?;
        let mut others = Vec::new();
        for part in &left {
            others.extend(of_others(part, &keys)?);
        }
        refused.extend(self.halve(others, token, of_left).await?);
        Ok(refused)
    }

    /// Inserts parts of a batch, the last one first, each by halves until it is taken, and says which rows are not. The first
    /// one has been refused before, if there is a reason.
    async fn halve(
        &self,
        mut left: Vec<RecordBatch>,
        token: &str,
        mut reason: Option<String>,
    ) -> Result<Vec<Refused>> {
        let (mut refused, known) = (Vec::new(), AtomicBool::new(true));
        while let Some(part) = left.pop() {
            let name = name(token, self.place(), &part)?;
            // The whole of it has just been refused.
            let reason = match reason.take() {
                Some(reason) => reason,
                None => match self.send(&part, &name, &known).await? {
                    Some(error) => error.to_string(),
                    None => continue,
                },
            };
            let rows = part.num_rows();
            if rows > 1 {
                left.push(part.slice(rows / 2, rows - rows / 2));
                left.push(part.slice(0, rows / 2));
            } else {
                refused.push(Refused { row: part, token: name, reason });
            }
        }
        Ok(refused)
    }

    /// After rows were refused.
    ///
    /// # Errors
    /// [`EngineError::ColumnsChanged`] where somebody has changed the table that a pipeline writes: the rows may fit what it is
    /// now.
    async fn refuse_other_columns(&self, batch: &RecordBatch) -> Result<()> {
        let is_of_pipeline = self.load.repeats == Repeats::ByPipeline;
        if is_of_pipeline && has_other_columns(self.sink, self.table, batch.schema_ref()).await? {
            return Err(EngineError::ColumnsChanged { table: self.table.to_owned() });
        }
        Ok(())
    }

    /// Inserts what a repeated insert has not left in the table.
    async fn complete(&self, batch: &RecordBatch, token: &str) -> Result<()> {
        let missing = || async {
            match lost(self.sink, self.place(), batch).await {
                // A sink that answers no questions is trusted.
                Err(EngineError::Sink(TransportError::Unsupported { .. })) => Ok(None),
                lost => lost.map(|lost| (!lost.is_empty()).then_some(lost)),
            }
        };
        let insert = |lost: Vec<RecordBatch>, round| async move {
            for part in lost {
                let rows = part.num_rows();
                tracing::warn!(
                    table = self.table,
                    rows,
                    "a repeated insert left no rows; inserting them again"
                );
                let token = format!("{}.{round}", name(token, self.place(), &part)?);
                let insert = Insert { table: self.table.to_owned(), token, batch: part };
                self.load.repeat(|| self.sink.write(insert.clone())).await?;
            }
            Ok(())
        };
        if !complete(missing, insert).await? {
            tracing::warn!(
                table = self.table,
                "rows do not show after several inserts: they expire at once, or a row policy hides them"
            );
        }
        Ok(())
    }

    /// How the rows of its table are told apart.
    fn place(&self) -> RowsOf<'_> {
        let index = self.load.index.as_deref().and_then(|field| column_of(self.schema, field));
        RowsOf { table: self.table, layout: self.layout, index }
    }

    /// Inserts rows under a name; gives back the error if it is about the rows.
    async fn send(
        &self,
        batch: &RecordBatch,
        token: &str,
        may_be_there: &AtomicBool,
    ) -> Result<Option<TransportError>> {
        let insert = Insert { table: self.table.to_owned(), batch: batch.clone(), token: token.to_owned() };
        let write = || async {
            let written = self.sink.write(insert.clone()).await;
            if written.as_ref().is_err_and(|error| error.is_outcome_unknown() || error.view().is_some()) {
                may_be_there.store(true, Ordering::Relaxed);
            }
            written
        };
        let begun = Instant::now();
        let written = self.load.repeat(write).await;
        self.load.progress.spent(Stage::Insert, begun);
        match written {
            Ok(durable) => {
                self.load.progress.written(durable.rows, durable.bytes);
                Ok(None)
            }
            Err(EngineError::Sink(error)) if after_insert(&error, 1, 1) == AfterInsert::Halve => {
                Ok(Some(error))
            }
            Err(EngineError::Sink(error)) => match error.view().map(str::to_owned) {
                Some(view) if !error.is_transient() => Err(EngineError::ViewFailed {
                    table: self.table.to_owned(),
                    view,
                    source: Box::new(error),
                }),
                _ => Err(EngineError::Sink(error)),
            },
            Err(error) => Err(error),
        }
    }

    /// What is kept of a row that was refused; an error, where nothing is to be kept.
    pub(crate) fn letter(&self, refused: &Refused) -> Result<RejectedDocument> {
        let unreadable = |_| EngineError::Worker { worker: "inserter, while rebuilding a refused row" };
        let mut document = zenith_arrow::rebuild(self.schema, &refused.row, 0).map_err(unreadable)?;
        // Of a whole document in one column the letter has the document.
        if self.schema.whole
            && let Some(Bson::Document(whole)) = document.remove(WHOLE_KEY)
        {
            document = whole;
        }
        let document = document.to_vec().map_err(|_| EngineError::Worker { worker: "inserter" })?;
        let letter = RejectedDocument::new(&document, refused.reason.clone()).of_change(
            refused.version(),
            &refused.operation(),
            refused.index(),
        );
        match self.load.on_bad_document {
            OnBadDocument::Keep => Ok(letter),
            OnBadDocument::Fail => Err(EngineError::BadDocument {
                namespace: self.load.namespace.to_string(),
                id: letter.id,
                reason: letter.reason,
            }),
        }
    }
}
