//! One batch of changes: from places in replies to rows that are durable.
//!
//! ```text
//! changes ─▶ the last of each document ─▶ look up what updates left ─▶ decode ─▶ intent ─▶ insert ─▶ checkpoint
//! ```
//!
//! A change log keeps every change; a table of documents as they are keeps the last change of each.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use arrow_array::RecordBatch;
use bson::{RawBson, RawDocument, Timestamp};
use zenith_arrow::{Decoder, DecoderOptions, Schema};
use zenith_extract::{ChangeSource, DocumentBatch, Source};
use zenith_state::{Intent, StateStore};
use zenith_transport::Sink;

use super::context::Context;
use super::event::{Event, EventKind};
use super::position::Position;
use super::write::write;
use crate::layout::{Layout, Side, SideColumns};
use crate::progress::to_u64;
use crate::reload::dead_letters::{Letter, id_text};
use crate::{EngineError, Result};

/// Documents asked for at once.
const LOOKUP_IDS: usize = 1000;

/// A batch of changes on its way.
pub(super) struct Work {
    pub(super) events: Vec<Event>,
    pub(super) from: Position,
    /// The place after the last of them.
    pub(super) to: Position,
    pub(super) source_time: Option<SystemTime>,
    /// The token of the insert; that of an earlier run if the batch is its repetition.
    pub(super) token: String,
    pub(super) is_repetition: bool,
}

/// Writes batches of changes.
pub(super) struct Flusher<S, K, T> {
    context: Arc<Context<S, K, T>>,
    schema: Arc<Schema>,
    /// Absent while it decodes.
    decoder: Option<Decoder>,
    /// Changes written since the pipeline was set up.
    pub(super) rows: u64,
}

/// A row to be decoded: a document in a buffer, and what stands beside it.
struct Row {
    buffer: Buffer,
    range: Range<usize>,
    side: Side,
}

#[derive(Clone, Copy, PartialEq)]
enum Buffer {
    /// The reply that this event came in.
    Event(usize),
    LookedUp(usize),
}

struct Decoded {
    batches: Vec<RecordBatch>,
    letters: Vec<Letter>,
    misfit_ids: bool,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Flusher<S, K, T> {
    pub(super) fn new(context: Arc<Context<S, K, T>>, schema: Schema, rows: u64) -> Flusher<S, K, T> {
        let options = DecoderOptions {
            rows_max: context.settings.flush_rows.max(1),
            bytes_max: context.pool.budget() / 8,
        };
        let decoder = Decoder::new(&schema, &context.pool, options);
        Flusher { context, schema: Arc::new(schema), decoder: Some(decoder), rows }
    }

    /// Makes the changes durable, and moves the checkpoint behind them.
    pub(super) async fn flush(&mut self, work: &Work) -> Result<()> {
        let context = Arc::clone(&self.context);
        let kept = kept(context.layout(), &work.events);
        let looked_up = self.look_up(work, &kept).await?;
        let decoded = self.decode(work, &kept, looked_up).await?;
        if decoded.misfit_ids && context.layout() == Layout::Current {
            return Err(EngineError::KeyMisfit {
                pipeline: context.name.clone(),
                namespace: context.namespace.to_string(),
                table: context.table.clone(),
            });
        }
        let rows = to_u64(decoded.batches.iter().map(RecordBatch::num_rows).sum());
        if !work.is_repetition {
            let intent = Intent {
                pipeline: context.name.clone(),
                token: work.token.clone(),
                from: work.from.encode()?,
                to: work.to.encode()?,
                rows,
                created: SystemTime::now(),
            };
            context.state.begin_intent(&intent).await?;
        }
        write(&context, &self.schema, &work.token, decoded.batches, decoded.letters).await?;
        self.rows += to_u64(work.events.len());
        let checkpoint = work.to.checkpoint(self.rows, work.source_time)?;
        context.state.commit_intent(&context.name, &work.token, &checkpoint).await?;
        context.live.applied_to(work.source_time);
        Ok(())
    }

    /// The documents that updates did not bring along, as they are now. Those that are gone have a deletion coming.
    async fn look_up(&self, work: &Work, kept: &[usize]) -> Result<Vec<DocumentBatch>> {
        let context = &self.context;
        let mut ids: HashMap<&[u8], RawBson> = HashMap::new();
        let mut newest = 0;
        for event in kept.iter().filter_map(|index| work.events.get(*index)) {
            if event.kind == EventKind::Update && event.document.is_none() {
                newest = newest.max(event.version);
                if let Some(id) = key_id(event) {
                    ids.insert(event.id(), id);
                }
            }
        }
        let after = timestamp(newest);
        let ids: Vec<RawBson> = ids.into_values().collect();
        let mut found = Vec::new();
        for part in ids.chunks(LOOKUP_IDS) {
            let mut patience = context.patience();
            loop {
                let lookup = context.source.lookup(&context.namespace, part, Some(after), &context.lookups);
                match context.unless_abandoned(lookup).await? {
                    Ok(batches) => {
                        found.extend(batches);
                        break;
                    }
                    Err(error) => {
                        let pause = if error.is_transient() { patience.next() } else { None };
                        let Some(pause) = pause else { return Err(EngineError::Reading(error)) };
                        context.failing(&error, pause);
                        context.unless_abandoned(tokio::time::sleep(pause)).await?;
                    }
                }
            }
        }
        Ok(found)
    }

    /// Decodes on a thread where it may block.
    async fn decode(
        &mut self,
        work: &Work,
        kept: &[usize],
        looked_up: Vec<DocumentBatch>,
    ) -> Result<Decoded> {
        let rows = rows(self.context.layout(), work, kept, &looked_up);
        let replies: Vec<_> = work.events.iter().map(|event| Arc::clone(&event.batch)).collect();
        let Some(mut decoder) = self.decoder.take() else {
            return Err(EngineError::Worker { worker: "decoder" });
        };
        let layout = self.context.layout();
        let namespace = self.context.namespace.to_string();
        let work = move || {
            let decoded = decode(&mut decoder, layout, &rows, &replies, &looked_up);
            (decoder, decoded)
        };
        let (decoder, decoded) = tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| EngineError::Worker { worker: "decoder of changes" })?;
        self.decoder = Some(decoder);
        decoded.map_err(|source| EngineError::Decode { namespace, source })
    }
}

/// The indexes of the changes that make rows, in order.
fn kept(layout: Layout, events: &[Event]) -> Vec<usize> {
    if layout != Layout::Current {
        return (0..events.len()).collect();
    }
    let mut last: HashMap<&[u8], usize> = HashMap::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        last.insert(event.id(), index);
    }
    let mut kept: Vec<usize> = last.into_values().collect();
    kept.sort_unstable();
    kept
}

/// What is to be decoded: for each kept change its document, or the key of one that is gone.
fn rows(layout: Layout, work: &Work, kept: &[usize], looked_up: &[DocumentBatch]) -> Vec<Row> {
    let mut found: HashMap<Vec<u8>, (usize, Range<usize>)> = HashMap::new();
    for (index, batch) in looked_up.iter().enumerate() {
        for range in batch.ranges() {
            let document = batch.documents_bytes().get(range.clone()).unwrap_or_default();
            if let Some(id) = id_element(document) {
                found.insert(id.to_vec(), (index, range));
            }
        }
    }
    let (mut version, mut index) = (work.from.version, work.from.index);
    let mut numbered = work.events.iter().map(|event| {
        if event.version != version {
            (version, index) = (event.version, 0);
        }
        let number = index;
        index += 1;
        number
    });
    let numbers: Vec<u32> = numbered.by_ref().collect();
    let mut rows = Vec::with_capacity(kept.len());
    for &at in kept {
        let Some(event) = work.events.get(at) else { continue };
        let deleted = event.kind == EventKind::Delete;
        let (buffer, range) = match (&event.document, found.get(event.id())) {
            (Some(document), _) => (Buffer::Event(at), document.clone()),
            (None, Some((batch, range))) if event.kind == EventKind::Update => {
                (Buffer::LookedUp(*batch), range.clone())
            }
            // Gone by now: its deletion is on its way, unless the log wants this change as well.
            (None, None) if event.kind == EventKind::Update && layout == Layout::Current => continue,
            _ => (Buffer::Event(at), event.key.clone()),
        };
        let side = Side {
            operation: event.kind.operation(),
            version: event.version,
            index: numbers.get(at).copied().unwrap_or(0),
            deleted,
        };
        rows.push(Row { buffer, range, side });
    }
    rows
}

fn decode(
    decoder: &mut Decoder,
    layout: Layout,
    rows: &[Row],
    replies: &[Arc<zenith_extract::ChangeBatch>],
    looked_up: &[DocumentBatch],
) -> std::result::Result<Decoded, zenith_arrow::DecodeError> {
    let mut out = Decoded { batches: Vec::new(), letters: Vec::new(), misfit_ids: false };
    let mut sides = SideColumns::new(layout, rows.len());
    let bytes_of = |buffer: Buffer| match buffer {
        Buffer::Event(at) => replies.get(at).map_or(&[][..], |reply| reply.bytes()),
        Buffer::LookedUp(at) => looked_up.get(at).map_or(&[][..], DocumentBatch::documents_bytes),
    };
    let sealed = |sides: SideColumns, batch: &RecordBatch, out: &mut Decoded| {
        let batch = sides.beside(batch).map_err(|_| {
            arrow_schema::ArrowError::SchemaError("the columns beside the documents do not fit".to_owned())
        })?;
        out.batches.push(batch);
        Ok::<_, zenith_arrow::DecodeError>(())
    };
    // Rows of one buffer are decoded in one go.
    let same = |a: &Row, b: &Row| std::ptr::eq(bytes_of(a.buffer).as_ptr(), bytes_of(b.buffer).as_ptr());
    for run in rows.chunk_by(same) {
        let Some(first) = run.first() else { continue };
        let bytes = bytes_of(first.buffer);
        let mut done = 0;
        let mut ranges = run.iter().map(|row| row.range.clone());
        loop {
            let mut bad = HashMap::new();
            let full = decoder.append(bytes, &mut ranges, &mut |document| {
                bad.insert(document.range.start, document.reason);
            })?;
            let consumed = run.len() - ranges.len();
            for row in run.get(done..consumed).unwrap_or_default() {
                match bad.get(&row.range.start) {
                    None => sides.push(row.side),
                    Some(reason) => {
                        let document = bytes.get(row.range.clone()).unwrap_or_default();
                        out.letters.push(Letter {
                            id: id_text(document),
                            reason: reason.to_string(),
                            document: document.to_vec(),
                        });
                    }
                }
            }
            done = consumed;
            match full {
                Some(batch) => {
                    let full = std::mem::replace(&mut sides, SideColumns::new(layout, rows.len()));
                    sealed(full, &batch, &mut out)?;
                }
                None => break,
            }
        }
    }
    if let Some(batch) = decoder.finish()? {
        sealed(sides, &batch, &mut out)?;
    }
    let counts = decoder.take_counts();
    out.misfit_ids = counts.total() > 0 && counts.by_field().contains_key("_id");
    Ok(out)
}

fn key_id(event: &Event) -> Option<RawBson> {
    let key = event.batch.bytes().get(event.key.clone())?;
    RawDocument::from_bytes(key).ok()?.get("_id").ok()?.map(Into::into)
}

/// `_id` of a document as an element: its type, its name and its value.
fn id_element(document: &[u8]) -> Option<&[u8]> {
    let mut elements = zenith_arrow::raw::Elements::new(document).ok()?;
    let element = elements.find_map(|element| element.ok().filter(|element| element.key == b"_id"))?;
    // The type byte and the name stand right before the value.
    let start = element.value.bytes.as_ptr().addr() - document.as_ptr().addr();
    document.get(start.checked_sub(b"\x00_id\x00".len())?..start + element.value.bytes.len())
}

fn timestamp(version: u64) -> Timestamp {
    let part = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
    Timestamp { time: part(version >> 32), increment: part(version) }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn an_id_is_the_same_in_a_key_and_in_its_document() {
        let key = rawdoc! { "_id": 5 };
        let document = rawdoc! { "a": "b", "_id": 5, "c": 1 };
        assert_eq!(id_element(key.as_bytes()), Some(&b"\x10_id\0\x05\0\0\0"[..]));
        assert_eq!(id_element(document.as_bytes()), id_element(key.as_bytes()));
        assert_eq!(id_element(b"\x05\0\0\0\0"), None);
    }

    #[test]
    fn versions_are_cluster_times() {
        let time = Timestamp { time: 7, increment: 9 };
        assert_eq!(timestamp(super::super::position::version_of(time)), time);
    }
}
