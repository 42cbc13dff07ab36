//! Makes batches of changes: from spans of replies to rows. One is made while the one before is written.
//!
//! ```text
//! changes ─▶ the last of each document ─▶ look up what updates left ─▶ decode
//! ```
//!
//! A change log keeps every change; a table of documents as they are keeps the last change of each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use bson::{RawBson, RawDocumentBuf, Timestamp};
use tokio::sync::mpsc::{Receiver, Sender};
use zenith_arrow::{Decoder, DecoderOptions, Schema};
use zenith_extract::{ChangeSource, DocumentBatch, Source};
use zenith_state::StateStore;
use zenith_transport::Sink;

use super::context::Context;
use super::event::Event;
use super::evolution::Evolution;
use super::memory_quota::Permit;
use super::position::Position;
use super::rows::{Decoded, Decoding, Piece, Row, Rows};
use super::steps::{Step, Work};
use super::version::time_of_version;
use crate::layout::Layout;
use crate::{EngineError, Result};

/// The most rows that any settings ask for.
const REPEATED_ROWS: usize = 1 << 20;
/// Documents asked for at once.
const LOOKUP_IDS: usize = 1000;
/// Rows of the table asked for at once, to begin with and at most, and about how many bytes their documents take.
const ROWS_AT_FIRST: usize = 16;
const ROWS_MAX: usize = 256;
const ROWS_BYTES: usize = 4 * 1024 * 1024;

/// The rows of some changes, to be written under one name.
pub(super) struct Batch {
    pub(super) token: String,
    pub(super) from: Position,
    pub(super) to: Position,
    pub(super) source_time: Option<SystemTime>,
    pub(super) changes: usize,
    pub(super) decoded: Decoded,
    pub(super) is_replay: bool,
    /// Whether others of the same changes come after it.
    pub(super) is_part: bool,
    /// The right to the memory it occupies.
    pub(super) permit: Permit,
    /// The schema of its rows.
    pub(super) schema: Arc<Schema>,
    /// Until it is written, no column gets another type.
    pub(super) in_flight: Arc<()>,
}

/// Makes batches of changes.
pub(super) struct Assembler<S, K, T> {
    context: Arc<Context<S, K, T>>,
    /// Absent while it decodes, and before the first change.
    decoder: Option<Decoder>,
    /// Changes that one batch held lately.
    together: usize,
    evolution: Evolution,
    /// What look-ups leave out.
    projection: Option<RawDocumentBuf>,
    /// Whether the source has only documents that match a query.
    filtered: bool,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Assembler<S, K, T> {
    pub(super) fn new(context: Arc<Context<S, K, T>>, schema: &Schema) -> Assembler<S, K, T> {
        let together = context.settings.flush_rows.max(1);
        let projection = context.settings.options.projection(&[]);
        let evolution = Evolution::new(schema.clone());
        let filtered = context.settings.options.is_filtered();
        Assembler { context, decoder: None, together, evolution, projection, filtered }
    }

    /// Makes batches until no more changes come, or the pipeline is stopped: what is only being made then comes again.
    pub(super) async fn run(mut self, mut from: Receiver<Step<Work>>, to: Sender<Step<Batch>>) -> Result<()> {
        let context = Arc::clone(&self.context);
        let all = async {
            while let Some(step) = from.recv().await {
                let mut work = match step {
                    Step::Batch(work) => Some(*work),
                    Step::Milestone(milestone) => {
                        if to.send(Step::Milestone(milestone)).await.is_err() {
                            return Ok(());
                        }
                        None
                    }
                };
                while let Some(next) = work {
                    // Most of the time there is none: its future takes memory while there is.
                    let (batch, rest) = Box::pin(self.assemble(next)).await?;
                    // The committer has failed, and says why.
                    if to.send(Step::Batch(Box::new(batch))).await.is_err() {
                        return Ok(());
                    }
                    work = rest;
                }
            }
            Ok(())
        };
        context.unless_stopped(all).await?
    }

    /// Makes a batch of the changes, or of the first of them where they are more than one batch holds; then gives back the
    /// others.
    async fn assemble(&mut self, mut work: Work) -> Result<(Batch, Option<Work>)> {
        let context = Arc::clone(&self.context);
        let permit = context.unless_abandoned(context.memory.batch()).await?;
        let (decoded, count) = loop {
            let all = work.events.len();
            let count = if work.is_replay { all } else { first_part(&work.events, self.together) };
            let decoded = self.decode(&work.from, &work.events, count, work.is_replay).await?;
            if !decoded.is_too_much || count == 1 {
                break (decoded, count);
            }
            if work.is_replay && context.layout() == Layout::Log {
                return Err(too_little_memory(&context.name));
            }
            if work.is_replay {
                // Rows of equal versions replace each other, so that other bounds do no harm here.
                context.state.abandon_intent(&context.name, &work.token).await?;
                work.is_replay = false;
                work.token.push_str(".again");
            } else {
                self.together = (count / 2).max(1);
            }
        };
        self.together = self.together.saturating_mul(2).min(context.settings.flush_rows.max(1));
        let token = if work.part == 0 { work.token.clone() } else { format!("{}.{}", work.token, work.part) };
        let mut events = Arc::unwrap_or_clone(work.events);
        let left = events.split_off(count);
        let (to, source_time) = match events.last() {
            Some(last) if !left.is_empty() => {
                (work.from.after(&events)?, Some(time_of_version(last.version)))
            }
            _ => (work.to.clone(), work.source_time),
        };
        let batch = Batch {
            token,
            from: work.from,
            to: to.clone(),
            source_time,
            changes: count,
            decoded,
            is_replay: work.is_replay,
            is_part: !left.is_empty(),
            permit,
            schema: Arc::clone(self.evolution.schema()),
            in_flight: Arc::clone(&self.evolution.in_flight),
        };
        let left = Arc::new(left);
        let rest = Work { events: left, from: to, part: work.part + 1, is_replay: false, ..work };
        Ok((batch, Some(rest).filter(|rest| !rest.events.is_empty())))
    }

    /// Decodes the first `count` changes; again, once the table has columns for fields that had none.
    async fn decode(
        &mut self,
        from: &Position,
        events: &Arc<Vec<Event>>,
        count: usize,
        is_replay: bool,
    ) -> Result<Decoded> {
        loop {
            let decoded = self.decode_once(from, events, count).await?;
            // What is repeated has the columns that there were when it was made first.
            if is_replay || decoded.is_too_much {
                return Ok(decoded);
            }
            if !self.evolution.evolve(&self.context, &decoded.extra, decoded.batch.as_ref()).await? {
                return Ok(decoded);
            }
            // Its memory is that of the one that follows.
            drop(decoded);
            self.decoder = None;
        }
    }

    /// Decodes what came with the first `count` changes, then looks up what updates left out, part by part: a part is
    /// decoded and gone before the next one comes. Ends early when there is more than one batch.
    async fn decode_once(
        &mut self,
        from: &Position,
        events: &Arc<Vec<Event>>,
        count: usize,
    ) -> Result<Decoded> {
        let context = Arc::clone(&self.context);
        let mut rows = Rows::of(context.layout(), from, events.get(..count).unwrap_or(events), self.filtered);
        let ready = std::mem::take(&mut rows.ready);
        let mut marks = std::mem::take(&mut rows.marks);
        let decoder = self.decoder.take();
        let decoder = match decoder {
            Some(decoder) => decoder,
            None => make_decoder(&context, self.evolution.schema())?,
        };
        let mut decoding = Decoding::new(decoder, context.layout(), count);
        decoding = self.step(decoding, Piece::Events(Arc::clone(events), ready)).await?;
        let mut ids: VecDeque<RawBson> = rows.wanted_ids().collect();
        let (mut most, newest) = (LOOKUP_IDS, timestamp(rows.newest));
        while !ids.is_empty() && !decoding.is_too_much() {
            let _turn = context.unless_abandoned(context.memory.lookup()).await?;
            let part: Vec<RawBson> = ids.iter().take(most).cloned().collect();
            let Some(found) = self.look_up(&part, newest).await? else {
                most = (part.len() / 2).max(1);
                continue;
            };
            ids.drain(..part.len());
            let found_rows = rows.take_found(&found);
            decoding = self.step(decoding, Piece::LookedUp(found, found_rows)).await?;
        }
        let left = match context.layout() {
            // What is gone by now still has changed.
            Layout::Log => rows.into_gone(),
            _ if self.filtered => rows.into_unmatched(),
            _ => Vec::new(),
        };
        if !left.is_empty() && !decoding.is_too_much() {
            decoding = self.step(decoding, Piece::Events(Arc::clone(events), left)).await?;
        }
        let gone = decoding.take_bad(events);
        if let Layout::Marked { .. } = context.layout() {
            marks.extend(gone);
            decoding = self.mark(decoding, events, marks).await?;
        } else if !gone.is_empty() && !decoding.is_too_much() {
            decoding = self.step(decoding, Piece::Events(Arc::clone(events), gone)).await?;
        }
        let (mut decoder, decoded) = decoding.finish();
        context.live.counters.tell_ignored(&context.name, &decoder.take_ignored());
        self.decoder = Some(decoder);
        decoded.map_err(|source| self.failed(source))
    }

    /// Gives rows that mark documents as gone the values that the table has of them; those of which it has none are left out.
    async fn mark(
        &mut self,
        mut decoding: Decoding,
        events: &Arc<Vec<Event>>,
        marks: Vec<Row>,
    ) -> Result<Decoding> {
        if marks.is_empty() || decoding.is_too_much() {
            return Ok(decoding);
        }
        let context = Arc::clone(&self.context);
        // What the table is asked for may be on its way.
        context.unless_abandoned(self.evolution.all_written()).await?;
        let (mut marks, mut most) = (marks.into_iter().peekable(), ROWS_AT_FIRST);
        while marks.peek().is_some() && !decoding.is_too_much() {
            let part: Vec<Row> = marks.by_ref().take(most).collect();
            let keys = part.iter().map(|row| (row.key(events).to_vec(), row.version())).collect();
            let found = context.last_documents(self.evolution.schema(), keys).await?;
            let (mut bytes, mut rows) = (Vec::new(), Vec::new());
            for (row, document) in part.into_iter().zip(found) {
                let Some(document) = document else { continue };
                let start = bytes.len();
                bytes.extend_from_slice(&document);
                rows.push(row.of_document(start..bytes.len()));
            }
            // What comes next may be larger.
            let fit = ROWS_BYTES / (bytes.len() / rows.len().max(1)).max(1);
            most = fit.clamp(1, ROWS_MAX.min(most.saturating_mul(4)));
            decoding = self.step(decoding, Piece::Rebuilt(bytes, rows)).await?;
        }
        Ok(decoding)
    }

    /// Decodes on a thread where it may block.
    async fn step(&self, mut decoding: Decoding, piece: Piece) -> Result<Decoding> {
        let counters = Arc::clone(&self.context.live.counters);
        let work = move || {
            let result = counters.decoding(|| decoding.step(&piece));
            (decoding, result)
        };
        let (decoding, result) = crate::offload::run(work)
            .await
            .map_err(|_| EngineError::Worker { worker: "decoder of changes" })?;
        result.map(|()| decoding).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: zenith_arrow::DecodeError) -> EngineError {
        self.context.key_mismatch(EngineError::decoding(&self.context.namespace, source))
    }

    /// Documents as they are now; `None` if they are too large to be had together.
    async fn look_up(&self, ids: &[RawBson], after: Timestamp) -> Result<Option<Vec<DocumentBatch>>> {
        let context = &self.context;
        let mut retry_budget = context.mode.retry_budget();
        let (projection, lookups) = (self.projection.as_deref(), context.memory.lookups());
        loop {
            let namespace = &context.namespace;
            let lookup = context.source.lookup_projected(namespace, ids, Some(after), projection, lookups);
            match context.unless_abandoned(lookup).await? {
                Ok(batches) => return Ok(Some(batches)),
                Err(error) if error.is_lookup_too_large() && ids.len() > 1 => return Ok(None),
                Err(error) => context.wait_after(EngineError::Reading(error), &mut retry_budget).await?,
            }
        }
    }
}

fn make_decoder<S, K, T>(context: &Context<S, K, T>, schema: &Schema) -> Result<Decoder>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let options = DecoderOptions {
        // A replay has to be one batch again, and settings may have changed in between.
        rows_max: context.settings.flush_rows.max(1).max(REPEATED_ROWS),
        bytes_max: context.memory.batch_bytes(),
    };
    context.decoder(schema, options)
}

/// Longest prefix of at most `most` changes that does not split a cluster time; where the first cluster time has more
/// changes, all up to `most`.
fn first_part(events: &[Event], most: usize) -> usize {
    let Some(next) = events.get(most) else { return events.len() };
    let before = events.iter().take(most).rposition(|event| event.version != next.version);
    let end = match before {
        Some(last) => last + 1,
        // One transaction is more than a batch holds: it is written in parts.
        None => most,
    };
    end.max(1)
}

pub(super) fn too_little_memory(pipeline: &str) -> EngineError {
    EngineError::Checkpoint {
        reason: format!(
            "an insert of {pipeline} that a crash interrupted has to be repeated as it was, and the memory is too \
             little for it: run once with more (--memory)"
        ),
    }
}

fn timestamp(version: u64) -> Timestamp {
    let part = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
    Timestamp { time: part(version >> 32), increment: part(version) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_cluster_times() {
        let time = Timestamp { time: 7, increment: 9 };
        assert_eq!(timestamp(super::super::version::version_of(time)), time);
    }
}
