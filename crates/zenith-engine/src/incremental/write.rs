//! Makes batches durable under one name, however long the target is away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use arrow_array::RecordBatch;
use zenith_arrow::Schema;
use zenith_extract::{ChangeSource, Source};
use zenith_state::{Intent, Misfits, StateStore};
use zenith_transport::Sink;

use super::context::Context;
use super::flush::Batch;
use super::position::Position;
use super::progress::Phase;
use crate::layout::{Layout, Stamp};
use crate::misfits::DeadLetters;
use crate::progress::to_u64;
use crate::reload::dead_letters::{self, Letter};
use crate::reload::insert::Inserting;
use crate::reload::load::Load;
use crate::{EngineError, OnBadDocument, Result, StopHandle};

/// Intent, insert, checkpoint: the batch is durable afterwards, and the place behind it saved. `rows` is what the checkpoint
/// says of the changes written so far, these included.
pub(super) async fn commit<S, K, T>(
    context: &Context<S, K, T>,
    schema: &Schema,
    batch: Batch,
    rows: u64,
) -> Result<Position>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let Batch { token, from, to, source_time, decoded, is_repetition, .. } = batch;
    if decoded.misfit_ids && context.layout() == Layout::Current {
        return Err(EngineError::KeyMisfit {
            pipeline: context.name.clone(),
            namespace: context.namespace.to_string(),
            table: context.table.clone(),
        });
    }
    if !is_repetition {
        let intent = Intent {
            pipeline: context.name.clone(),
            token: token.clone(),
            from: from.encode()?,
            to: to.encode()?,
            rows: to_u64(decoded.batch.as_ref().map_or(0, RecordBatch::num_rows)),
            created: SystemTime::now(),
        };
        context.state.begin_intent(&intent).await?;
    }
    let documents = write(context, schema, &token, decoded.batch, decoded.letters).await?;
    let misfits = Misfits { values: decoded.extra, documents };
    let checkpoint = to.checkpoint(rows, source_time)?;
    context.state.commit_intent(&context.name, &token, &checkpoint, &misfits).await?;
    context.counted(&misfits, false);
    context.live.applied_to(source_time);
    Ok(to)
}

/// Inserts `batch` and writes `letters`, each once however often this is repeated with the same `token`, and says for
/// which reasons documents became letters.
///
/// One name, one insert: were there several, a repetition would have to cut the rows in the same places.
pub(super) async fn write<S, K, T>(
    context: &Context<S, K, T>,
    schema: &Schema,
    token: &str,
    batch: Option<RecordBatch>,
    mut letters: Vec<Letter>,
) -> Result<BTreeMap<String, u64>>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    if let (Some(letter), OnBadDocument::Fail) = (letters.first(), context.settings.on_bad_document) {
        return Err(EngineError::BadDocument {
            namespace: context.namespace.to_string(),
            id: letter.id.clone(),
            reason: letter.reason.clone(),
        });
    }
    let load = Load {
        run: token.to_owned(),
        namespace: context.namespace.clone(),
        pool: context.shares.pool().clone(),
        progress: Arc::clone(&context.live.counters),
        on_bad_document: context.settings.on_bad_document,
        dead: DeadLetters::default(),
        stop: context.abandon.clone(),
        abort: StopHandle::new(),
    };
    if let Some(batch) = batch {
        letters.extend(insert(context, schema, &load, batch, token.to_owned()).await?);
    }
    dead_letters::write(&load, &*context.sink, letters).await?;
    if context.live.current() == Phase::Retrying {
        context.live.phase(Phase::Following);
    }
    Ok(load.dead.by_reason())
}

/// Inserts until it has succeeded, and gives back the rows that were refused.
async fn insert<S, K, T>(
    context: &Context<S, K, T>,
    schema: &Schema,
    load: &Load,
    batch: RecordBatch,
    name: String,
) -> Result<Vec<Letter>>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let mut patience = context.patience_with_target();
    loop {
        let (sender, refused) = async_channel::unbounded();
        let sequence = AtomicU64::new(0);
        let inserting = Inserting {
            load,
            table: &context.table,
            schema,
            stamp: Stamp::None,
            sequence: &sequence,
            letters: sender,
        };
        match inserting.insert(&*context.sink, batch.clone(), name.clone()).await {
            Ok(()) => {
                let mut letters = Vec::new();
                while let Ok(letter) = refused.try_recv() {
                    letters.push(letter);
                }
                return Ok(letters);
            }
            Err(error) => {
                let pause = if error.is_passing() { patience.next() } else { None };
                let Some(pause) = pause else { return Err(error.while_loading()) };
                context.failing(&error, pause);
                context.live.phase(Phase::Retrying);
                // Whoever stops the pipeline need not wait for a target that is away: the intent stays open.
                tokio::select! {
                    () = context.stop.stopped() => return Err(EngineError::Stopped),
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
}
