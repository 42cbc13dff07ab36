//! One batch of changes: from places in replies to rows that are durable.
//!
//! ```text
//! changes ─▶ the last of each document ─▶ look up what updates left ─▶ decode ─▶ intent ─▶ insert ─▶ checkpoint
//! ```
//!
//! A change log keeps every change; a table of documents as they are keeps the last change of each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use arrow_array::RecordBatch;
use bson::{RawBson, Timestamp};
use zenith_arrow::{Decoder, DecoderOptions, Schema};
use zenith_extract::{ChangeSource, DocumentBatch, Source};
use zenith_state::{Intent, StateStore};
use zenith_transport::Sink;

use super::context::Context;
use super::event::Event;
use super::position::Position;
use super::rows::{Decoded, Decoding, Rows, Step};
use super::write::write;
use crate::layout::Layout;
use crate::progress::to_u64;
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

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Flusher<S, K, T> {
    pub(super) fn new(context: Arc<Context<S, K, T>>, schema: Schema, rows: u64) -> Flusher<S, K, T> {
        let options = DecoderOptions {
            rows_max: context.settings.flush_rows.max(1),
            bytes_max: context.shares.batch_bytes(),
        };
        let decoder = Decoder::new(&schema, context.shares.pool(), options);
        Flusher { context, schema: Arc::new(schema), decoder: Some(decoder), rows }
    }

    /// Makes the changes durable, and moves the checkpoint behind them.
    pub(super) async fn flush(&mut self, work: &Work) -> Result<()> {
        let context = Arc::clone(&self.context);
        let _turn = context.unless_abandoned(context.shares.batch()).await?;
        let decoded = self.decode(work).await?;
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

    /// Decodes what came with the changes, then looks up what updates left out, part by part: a part is decoded and gone
    /// before the next one comes, so that no more memory is needed however many there are.
    async fn decode(&mut self, work: &Work) -> Result<Decoded> {
        let context = Arc::clone(&self.context);
        let mut rows = Rows::of(context.layout(), work);
        let ready = std::mem::take(&mut rows.ready);
        let Some(decoder) = self.decoder.take() else {
            return Err(EngineError::Worker { worker: "decoder" });
        };
        let mut decoding = Decoding::new(decoder, context.layout(), work.events.len());
        decoding = self.step(decoding, Step::Events(work.events.clone(), ready)).await?;
        let mut ids: VecDeque<RawBson> = rows.wanted.values().filter_map(|(id, _)| id.clone()).collect();
        let (mut most, newest) = (LOOKUP_IDS, timestamp(rows.newest));
        while !ids.is_empty() {
            let _turn = context.unless_abandoned(context.shares.lookup()).await?;
            let part: Vec<RawBson> = ids.iter().take(most).cloned().collect();
            let Some(found) = self.look_up(&part, newest).await? else {
                most = (part.len() / 2).max(1);
                continue;
            };
            ids.drain(..part.len());
            let rows = rows.found_in(&found);
            decoding = self.step(decoding, Step::LookedUp(found, rows)).await?;
        }
        if context.layout() == Layout::Log {
            // What is gone by now still has changed.
            let gone = rows.wanted_but_not(&decoding.found);
            decoding = self.step(decoding, Step::Events(work.events.clone(), gone)).await?;
        }
        let (decoder, decoded) = decoding.finish();
        self.decoder = Some(decoder);
        decoded.map_err(|source| self.failed(source))
    }

    /// Decodes on a thread where it may block.
    async fn step(&self, mut decoding: Decoding, step: Step) -> Result<Decoding> {
        let work = move || {
            let result = decoding.step(&step);
            (decoding, result)
        };
        let (decoding, result) = tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| EngineError::Worker { worker: "decoder of changes" })?;
        result.map(|()| decoding).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: zenith_arrow::DecodeError) -> EngineError {
        EngineError::Decode { namespace: self.context.namespace.to_string(), source }
    }

    /// Documents as they are now; `None` if they are too large to be had together.
    async fn look_up(&self, ids: &[RawBson], after: Timestamp) -> Result<Option<Vec<DocumentBatch>>> {
        let context = &self.context;
        let mut patience = context.patience();
        loop {
            let lookup =
                context.source.lookup(&context.namespace, ids, Some(after), context.shares.lookups());
            match context.unless_abandoned(lookup).await? {
                Ok(batches) => return Ok(Some(batches)),
                Err(error) if error.is_lookup_too_large() && ids.len() > 1 => return Ok(None),
                Err(error) => {
                    let pause = if error.is_transient() { patience.next() } else { None };
                    let Some(pause) = pause else { return Err(EngineError::Reading(error)) };
                    context.failing(&error, pause);
                    context.unless_abandoned(tokio::time::sleep(pause)).await?;
                }
            }
        }
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
        assert_eq!(timestamp(super::super::position::version_of(time)), time);
    }
}
