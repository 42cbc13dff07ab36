//! Makes batches durable under one name, however long the target is away.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use arrow_array::RecordBatch;
use zenith_arrow::Schema;
use zenith_extract::{ChangeSource, Source};
use zenith_state::{Intent, Mismatches, StateStore};
use zenith_transport::Sink;

use super::context::Context;
use super::flush::Batch;
use super::position::Position;
use super::progress::Phase;
use super::removal::remove_older;
use super::rows::Decoded;
use crate::layout::{Layout, LoadMetadata};
use crate::load::context::{LoadContext, Repeats};
use crate::load::dead_letters::{self, RejectedDocument};
use crate::load::insert::Inserting;
use crate::load::refusal::Refused;
use crate::progress::to_u64;
use crate::{EngineError, OnBadDocument, Result};

/// Intent, insert, checkpoint: the batch is durable afterwards, and the place behind it saved. `rows` is what the checkpoint
/// says of the changes written so far, these included; gives back how many of these are not, as no row could be had of
/// them.
pub(super) async fn commit<S, K, T>(
    context: &Context<S, K, T>,
    schema: &Schema,
    batch: Batch,
    rows: u64,
) -> Result<(Position, u64)>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let Batch { token, from, to, source_time, decoded, is_repetition, .. } = batch;
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
    let Decoded { batch, letters, marks, extra, .. } = decoded;
    let documents = write(context, schema, &token, batch, letters, marks, is_repetition).await?;
    let dead = documents.values().sum();
    let mismatches = Mismatches { values: extra, documents };
    let checkpoint = to.checkpoint(rows.saturating_sub(dead), source_time)?;
    context.state.commit_intent(&context.name, &token, &checkpoint, &mismatches).await?;
    context.counted(&mismatches, false);
    context.live.applied_to(source_time);
    Ok((to, dead))
}

/// Inserts `batch` and writes `letters`, each once however often this is repeated with the same `token`, and says for
/// which reasons documents became letters. So many rows of the batch are `marks` in the place of letters.
///
/// One token per insert, so that a replay need not reproduce the bounds of batches.
pub(super) async fn write<S, K, T>(
    context: &Context<S, K, T>,
    schema: &Schema,
    token: &str,
    batch: Option<RecordBatch>,
    mut letters: Vec<RejectedDocument>,
    marks: usize,
    is_repetition: bool,
) -> Result<BTreeMap<String, u64>>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    if let (Some(letter), OnBadDocument::Fail) = (letters.first(), context.settings.options.on_bad_document) {
        return Err(EngineError::BadDocument {
            namespace: context.namespace.to_string(),
            id: letter.id.clone(),
            reason: letter.reason.clone(),
        });
    }
    let load = context.load(token.to_owned(), Repeats::ByPipeline);
    if let Some(batch) = batch {
        letters.extend(insert(context, schema, &load, batch, is_repetition).await?);
        // The row that takes the place of an older one, where a document has become bad, is none of the document's.
        load.progress.not_of_documents(to_u64(marks));
    }
    for part in dead_letters::parts(&letters) {
        until_taken(context, |_| dead_letters::write_part(&load, &*context.sink, part)).await?;
    }
    if context.live.current() == Phase::Retrying {
        context.live.phase(Phase::Following);
    }
    Ok(load.dead.by_reason())
}

/// Inserts until it has succeeded, and gives back what is kept of the rows that were refused.
async fn insert<S, K, T>(
    context: &Context<S, K, T>,
    schema: &Schema,
    load: &LoadContext,
    batch: RecordBatch,
    may_be_there: bool,
) -> Result<Vec<RejectedDocument>>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let (sequence, layout) = (AtomicU64::new(0), context.layout());
    let inserting = Inserting {
        load,
        table: &context.table,
        schema,
        layout,
        stamp: LoadMetadata::None,
        sequence: &sequence,
    };
    until_taken(context, |again| insert_once(context, &inserting, batch.clone(), may_be_there || again)).await
}

/// Does something with the target until it has succeeded or the time for it is up. `action` is told whether it has been
/// tried before.
async fn until_taken<S, K, T, V, F>(
    context: &Context<S, K, T>,
    mut action: impl FnMut(bool) -> F,
) -> Result<V>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
    F: Future<Output = Result<V>>,
{
    let mut retry_budget = context.retry_budget_of_target();
    let mut again = false;
    loop {
        let error = match action(again).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        again = true;
        // A run that is to end by itself waits for a server, and not for somebody who mends a table.
        let is_worth_waiting = !(error.is_of_table() && context.once.load(Ordering::Relaxed));
        let pause = if error.is_passing() && is_worth_waiting { retry_budget.next() } else { None };
        let Some(pause) = pause else { return Err(error.while_loading()) };
        context.live.counters.repeated();
        context.failing(&error, pause);
        context.live.phase(Phase::Retrying);
        // Whoever stops the pipeline need not wait for a target that is away: the intent stays open.
        context.stop.pause(pause).await?;
    }
}

async fn insert_once<S, K, T>(
    context: &Context<S, K, T>,
    inserting: &Inserting<'_>,
    batch: RecordBatch,
    may_be_there: bool,
) -> Result<Vec<RejectedDocument>>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let token = inserting.load.run.clone();
    let refused = inserting.insert(&*context.sink, batch, token, may_be_there).await?;
    let is_kept = |row: &&Refused| inserting.layout != Layout::Current || !row.is_deletion();
    let letters = refused.iter().filter(is_kept).map(|row| inserting.letter(row)).collect::<Result<_>>()?;
    if inserting.layout == Layout::Current {
        remove_older(context, inserting, &refused).await?;
    }
    Ok(letters)
}
