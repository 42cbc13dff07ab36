//! Follows a collection that only grows by its ascending `_id`: every document behind the last one is new.
//!
//! Clients make `_id`s, and their clocks differ: a document may appear behind one that has been read. So the cursor
//! stays behind the newest `_id` by some time, `settle`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use arrow_array::RecordBatch;
use bson::raw::cstr;
use bson::{RawBson, RawDocument, RawDocumentBuf};
use tokio::time::Instant;
use zenith_arrow::{Decoder, DecoderOptions, ExtraCounts, Schema};
use zenith_extract::{ChangeSource, DocumentBatch, DocumentReader, Partition, ReadOptions, Source};
use zenith_state::{Checkpoint, Intent, Mismatches, StateStore};
use zenith_transport::{PreflightRequest, Sink};

use super::again::decode_again;
use super::assembler::too_little_memory;
use super::context::Context;
use super::evolution::Evolution;
use super::progress::Phase;
use super::tokens::Tokens;
use super::write::{Token, Unwritten, write};
use crate::load::dead_letters::RejectedDocument;
use crate::progress::to_u64;
use crate::reload::replace_with_empty;
use crate::sentence::counted;
use crate::{EngineError, Result, Summary};

/// The most rows that any settings ask for in one batch.
const REPEATED_ROWS: usize = 1 << 20;

/// Follows one collection.
pub(super) struct IdCursor<S, K, T> {
    context: Arc<Context<S, K, T>>,
    evolution: Evolution,
    /// Absent while it decodes.
    decoder: Option<Decoder>,
    place: CursorPosition,
    /// Rows written so far, of all runs.
    written: u64,
    tokens: Tokens,
    /// The newest `_id` at some moments, oldest first.
    newest: VecDeque<(Instant, RawBson)>,
}

/// The last `_id` that was read, and how many documents were.
#[derive(Clone, Debug, Default, PartialEq)]
struct CursorPosition {
    id: Option<RawBson>,
    rows: u64,
}

impl CursorPosition {
    fn encode(&self) -> Vec<u8> {
        let mut document = RawDocumentBuf::new();
        if let Some(id) = &self.id {
            document.append(cstr!("id"), id.clone());
        }
        document.append(cstr!("rows"), self.rows.cast_signed());
        document.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<CursorPosition> {
        let unreadable = || EngineError::Checkpoint {
            reason: "the saved _id cannot be read; reset the pipeline".to_owned(),
        };
        let document = RawDocument::from_bytes(bytes).map_err(|_| unreadable())?;
        let id = document.get("id").map_err(|_| unreadable())?.map(Into::into);
        let rows = document.get_i64("rows").map_err(|_| unreadable())?.cast_unsigned();
        Ok(CursorPosition { id, rows })
    }

    /// `written` are the rows in the table.
    fn checkpoint(&self, written: u64, source_time: SystemTime) -> Checkpoint {
        Checkpoint {
            position: self.encode(),
            // `_id`s of several types have no order in bytes; rows only become more.
            order: self.rows.to_be_bytes().to_vec(),
            source_time: Some(source_time),
            rows: written,
            saved: SystemTime::now(),
        }
    }
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> IdCursor<S, K, T> {
    /// Creates the table if need be, and finds the place to go on at.
    pub(super) async fn set_up(context: Arc<Context<S, K, T>>, run: i64) -> Result<IdCursor<S, K, T>> {
        let schema = match context.schema().await? {
            Some(schema) => {
                context.claim().await?;
                schema
            }
            None => create(&context).await?,
        };
        let (place, written) = match context.state.checkpoint(&context.name).await? {
            Some(checkpoint) => (CursorPosition::decode(&checkpoint.position)?, checkpoint.rows),
            None => {
                if context.state.open_intents(&context.name).await?.is_empty() {
                    let table = context.retrying(|| context.sink.describe(&context.table)).await?;
                    refuse_rows(&context, table.map_or(0, |table| table.rows))?;
                }
                context.note_target().await?;
                (CursorPosition::default(), 0)
            }
        };
        let epoch = context.state.epoch(&context.name).await?;
        Ok(IdCursor {
            decoder: Some(decoder(&context, &schema)?),
            evolution: Evolution::new(schema),
            place,
            written,
            tokens: Tokens::new(&context.name, epoch, run),
            newest: VecDeque::new(),
            context,
        })
    }

    /// Follows until stopped, or until everything there was at the beginning is in the table.
    pub(super) async fn run(mut self) -> Result<()> {
        let intents = self.context.state.open_intents(&self.context.name).await?;
        let ordinary = self.decoder.take();
        for intent in intents {
            let to = CursorPosition::decode(&intent.to)?;
            // It has to be one batch again, and settings may have changed in between.
            let bytes_max = self.context.memory.cursor_bytes() * 2;
            let options = DecoderOptions { rows_max: REPEATED_ROWS, bytes_max };
            self.decoder = Some(self.context.decoder(self.evolution.schema(), options)?);
            while self.place != to {
                self.read(to.id.clone(), Some((intent.token.clone(), to.clone()))).await?;
            }
        }
        self.decoder = ordinary;
        self.context.live.phase(Phase::Following);
        let mut goal = None;
        loop {
            let looked = self.context.clock.now();
            let upper = self.settled().await?;
            if self.context.mode.ends() && goal.is_none() {
                goal = Some(self.newest.back().map(|(_, id)| id.clone()));
            }
            if let Some(upper) = upper {
                self.read(Some(upper), None).await?;
            } else if self.newest.is_empty() {
                let checkpoint = self.place.checkpoint(self.written, looked);
                self.context.live.applied_to(Some(looked));
                self.context.state.advance(&self.context.name, &checkpoint).await?;
            }
            if goal.as_ref().is_some_and(|goal| goal.is_none() || *goal == self.place.id)
                || self.newest.is_empty() && goal.is_some()
            {
                return Ok(());
            }
            let pause = tokio::time::sleep(self.context.settings.poll_interval);
            self.context.unless_stopped(pause).await?;
        }
    }

    /// The newest `_id` that is old enough to be read up to; `None` if nothing is.
    async fn settled(&mut self) -> Result<Option<RawBson>> {
        if !self.is_anything_new().await? {
            self.newest.clear();
            return Ok(None);
        }
        let context = Arc::clone(&self.context);
        let newest = context.asking(|| context.source.max_id(&context.namespace)).await?;
        if let Some(newest) = newest
            && self.newest.back().is_none_or(|(_, last)| *last != newest)
        {
            self.newest.push_back((Instant::now(), newest));
        }
        let mut settled = None;
        while let Some((seen, _)) = self.newest.front()
            && seen.elapsed() >= context.settings.settle
        {
            settled = self.newest.pop_front().map(|(_, id)| id);
        }
        Ok(settled)
    }

    /// Whether there is a document behind the place.
    async fn is_anything_new(&self) -> Result<bool> {
        let context = &self.context;
        let partition = Partition::between(context.namespace.clone(), self.place.id.clone(), None);
        let options = ReadOptions::new(context.memory.lookups().clone()).with_batch_bytes(1);
        let look = || async {
            let _turn = context.memory.lookup().await;
            let mut reader = context.source.open(&partition, options.clone()).await?;
            Ok(reader.next().await?.is_some())
        };
        context.asking(look).await
    }

    /// Reads from the place up to `upper`, and writes batch by batch; or all in one, under the name it had in an earlier
    /// run.
    async fn read(&mut self, upper: Option<RawBson>, replay: Option<(String, CursorPosition)>) -> Result<()> {
        let context = Arc::clone(&self.context);
        let partition = Partition::between(context.namespace.clone(), self.place.id.clone(), upper);
        let _turn = context.unless_stopped(context.memory.snapshot()).await?;
        let projection = context.settings.options.projection(&[]);
        let options = ReadOptions { projection, ..ReadOptions::new(context.memory.cursor()) };
        let mut reader = match context.unless_stopped(context.source.open(&partition, options)).await? {
            Ok(reader) => reader,
            Err(error) if error.is_transient() => {
                context.live.retries(&error);
                return Ok(());
            }
            Err(error) => return Err(EngineError::Reading(error)),
        };
        let (mut gathered, mut whole) = (Gathered::default(), None);
        loop {
            let batch = match context.unless_stopped(reader.next()).await? {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
                Err(error) if error.is_transient() => {
                    // What was not written is read again.
                    context.live.retries(&error);
                    self.finish()?;
                    return Ok(());
                }
                Err(error) => return Err(EngineError::Reading(error)),
            };
            context.live.counters.read(batch.len(), batch.byte_len());
            let (reply, mut done) = (Arc::new(batch), 0);
            while done < reply.len() {
                let full = self.decode(&reply, &mut done, &mut gathered).await?;
                match (full, &replay) {
                    (None, _) => {}
                    (Some(full), None) => self.write(full, None).await?,
                    (Some(full), Some(_)) if whole.is_none() => whole = Some(full),
                    (Some(_), Some(_)) => return Err(too_little_memory(&context.name)),
                }
            }
        }
        let mut rest = std::mem::take(&mut gathered);
        (rest.batch, rest.extra) = self.finish()?;
        match (replay, whole) {
            (None, _) if rest.last.is_some() => self.write(rest, None).await,
            (None, _) => Ok(()),
            (Some(_), Some(_)) if rest.batch.is_some() => Err(too_little_memory(&context.name)),
            (Some(replay), Some(mut whole)) => {
                whole.letters.append(&mut rest.letters);
                self.write(whole, Some(replay)).await
            }
            (Some(replay), None) => self.write(rest, Some(replay)).await,
        }
    }

    /// Decodes a reply from the document `done` on, on a thread where it may block, until it or a batch is full.
    async fn decode(
        &mut self,
        reply: &Arc<DocumentBatch>,
        done: &mut usize,
        gathered: &mut Gathered,
    ) -> Result<Option<Gathered>> {
        let Some(mut decoder) = self.decoder.take() else {
            return Err(EngineError::Worker { worker: "decoder" });
        };
        let (mut current, reply, mut at) = (std::mem::take(gathered), Arc::clone(reply), *done);
        let work = move || {
            let result = decode(&mut decoder, &reply, &mut at, &mut current);
            (decoder, current, at, result)
        };
        let (mut decoder, current, at, result) =
            crate::offload::run(work).await.map_err(|_| EngineError::Worker { worker: "decoder" })?;
        self.context.live.counters.tell_ignored(&self.context.name, &decoder.take_ignored());
        self.decoder = Some(decoder);
        (*gathered, *done) = (current, at);
        result.map_err(|source| EngineError::decoding(&self.context.namespace, source))
    }

    /// What has been decoded and is no full batch yet.
    fn finish(&mut self) -> Result<(Option<RecordBatch>, ExtraCounts)> {
        let Some(decoder) = &mut self.decoder else { return Ok((None, ExtraCounts::default())) };
        let batch = decoder.finish().map_err(|source| EngineError::Decode {
            namespace: self.context.namespace.to_string(),
            source,
        })?;
        let counts = decoder.take_counts();
        self.context.live.counters.tell_ignored(&self.context.name, &decoder.take_ignored());
        Ok((batch, counts))
    }

    /// Gives the table columns for values of a batch that it has none for, and the batch the values in them. Returns the schema
    /// of its rows.
    async fn grow(&mut self, gathered: &mut Gathered) -> Result<Arc<Schema>> {
        let context = Arc::clone(&self.context);
        let mut schema = Arc::clone(self.evolution.schema());
        while let Some(batch) = &gathered.batch
            && self.evolution.evolve(&context, &gathered.extra.by_field(), Some(batch)).await?
        {
            let grown = Arc::clone(self.evolution.schema());
            // It holds nothing between two batches.
            self.decoder = Some(decoder(&context, &grown)?);
            let bytes_max = context.memory.cursor_bytes() * 2;
            match decode_again(&context, [&schema, &grown], batch, bytes_max).await? {
                Some((batch, extra)) => {
                    (gathered.batch, gathered.extra, schema) = (Some(batch), extra, grown)
                }
                // It is larger than a batch may be with the new columns: they begin with the next one.
                None => break,
            }
        }
        Ok(schema)
    }

    /// Makes rows durable, and moves the checkpoint behind them.
    async fn write(
        &mut self,
        mut gathered: Gathered,
        replay: Option<(String, CursorPosition)>,
    ) -> Result<()> {
        let schema = match replay {
            None => self.grow(&mut gathered).await?,
            Some(_) => Arc::clone(self.evolution.schema()),
        };
        let context = &self.context;
        let rows = to_u64(gathered.batch.as_ref().map_or(0, RecordBatch::num_rows));
        let is_replay = replay.is_some();
        let (token, to) = match replay {
            Some((token, place)) => (token, place),
            None => {
                let to = CursorPosition {
                    id: gathered.last,
                    rows: self.place.rows + rows + to_u64(gathered.letters.len()),
                };
                let token = self.tokens.next();
                let intent = Intent {
                    pipeline: context.name.clone(),
                    token: token.clone(),
                    from: self.place.encode(),
                    to: to.encode(),
                    rows,
                    created: SystemTime::now(),
                };
                context.state.begin_intent(&intent).await?;
                (token, to)
            }
        };
        let all = rows + to_u64(gathered.letters.len());
        let documents = gathered.batch.as_ref().map_or(0, RecordBatch::num_rows);
        let unwritten =
            Unwritten { batch: gathered.batch, letters: gathered.letters, documents, places: None };
        let written = write(context, &schema, Token { name: &token, is_replay }, unwritten).await?;
        let documents = written.documents;
        self.written += all.saturating_sub(documents.values().sum());
        let mismatches = Mismatches { values: gathered.extra.by_field(), documents };
        let now = context.clock.now();
        let checkpoint = to.checkpoint(self.written, now);
        context.state.commit_intent(&context.name, &token, &checkpoint, &mismatches).await?;
        context.counted(&mismatches, false);
        context.live.applied_to(Some(now));
        self.place = to;
        Ok(())
    }
}

fn decoder<S, K, T>(context: &Context<S, K, T>, schema: &Schema) -> Result<Decoder>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let options = DecoderOptions {
        rows_max: context.settings.options.batch_rows.max(1),
        bytes_max: context.memory.cursor_bytes(),
    };
    context.decoder(schema, options)
}

/// What was decoded since the last batch that was written.
#[derive(Default)]
struct Gathered {
    batch: Option<RecordBatch>,
    letters: Vec<RejectedDocument>,
    extra: ExtraCounts,
    last: Option<RawBson>,
}

fn decode(
    decoder: &mut Decoder,
    reply: &DocumentBatch,
    done: &mut usize,
    current: &mut Gathered,
) -> std::result::Result<Option<Gathered>, zenith_arrow::DecodeError> {
    let bytes = reply.documents_bytes();
    let ranges: Vec<_> = reply.ranges().skip(*done).collect();
    let mut left = ranges.iter().cloned();
    let letters = &mut current.letters;
    let batch = decoder.append(bytes, &mut left, &mut |bad| {
        let document = bytes.get(bad.range.clone()).unwrap_or_default();
        letters.push(RejectedDocument::new(document, bad.reason.to_string()));
    })?;
    let consumed = ranges.len() - left.len();
    *done += consumed;
    let last =
        consumed.checked_sub(1).and_then(|at| ranges.get(at)).and_then(|range| bytes.get(range.clone()));
    if let Some(id) = last.and_then(|document| RawDocument::from_bytes(document).ok()?.get("_id").ok()?) {
        current.last = Some(id.into());
    }
    let full =
        |batch| Gathered { batch: Some(batch), extra: decoder.take_counts(), ..std::mem::take(current) };
    Ok(batch.map(full))
}

async fn create<S, K, T>(context: &Arc<Context<S, K, T>>) -> Result<Schema>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let pipeline = context.reload(false);
    let plan = context.plan(&pipeline).await?;
    context.check_kind(plan.source.collection.kind)?;
    refuse_rows(context, plan.existing.as_ref().map_or(0, |table| table.rows))?;
    if !plan.target.database_exists {
        let create = PreflightRequest { create_database: true, ..PreflightRequest::default() };
        context.retrying(|| context.sink.preflight(&create)).await?;
    }
    context.claim().await?;
    let definition = plan.definition.clone().if_not_exists();
    context.retrying(|| context.sink.create(&definition)).await?;
    context.retrying(|| plan.complete_table(&*context.sink, &context.table)).await?;
    context.note_schema(&plan.schema, "the table was created", "").await?;
    context.state.set_mismatches(&context.name, &Mismatches::default()).await?;
    Ok(plan.schema)
}

/// Documents are appended from the first one on, so the table has to be empty before.
fn refuse_rows<S, K, T>(context: &Context<S, K, T>, rows: u64) -> Result<()> {
    if rows == 0 {
        return Ok(());
    }
    Err(EngineError::Setting {
        setting: "the table",
        value: context.table.clone(),
        reason: format!(
            "it has {} already, and the pipeline {} would append all documents to them: zenith reload {1} \
             makes it anew, or name another table (table = \"…\")",
            counted(rows, rows, "row"),
            context.name
        ),
    })
}

/// Empties the table, so that the next run fills it from the first document on.
pub(super) async fn empty<S, K, T>(context: &Arc<Context<S, K, T>>) -> Result<Summary>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let started = Instant::now();
    context.guard_names().await?;
    let pipeline = context.reload(true);
    let plan = context.plan(&pipeline).await?;
    context.claim().await?;
    // In this order: what has no checkpoint begins in an empty table only.
    context.turns.know_epoch(None);
    context.state.reset(&context.name, None).await?;
    if plan.existing.is_some() {
        // The schema first: of several, the one that is the table's own counts.
        context.note_schema(&plan.schema, "the table is filled again", "").await?;
        replace_with_empty(&pipeline, &plan).await?;
        context.state.set_mismatches(&context.name, &Mismatches::default()).await?;
    } else {
        create(context).await?;
    }
    context.note_target().await?;
    Ok(Summary { table: context.table.clone(), elapsed: started.elapsed(), ..Summary::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_were_written() {
        for id in [None, Some(RawBson::Int64(7)), Some(RawBson::String("x".to_owned()))] {
            let place = CursorPosition { id, rows: 12 };
            assert_eq!(CursorPosition::decode(&place.encode()).unwrap(), place);
        }
        assert!(CursorPosition::decode(b"").is_err());
    }
}
