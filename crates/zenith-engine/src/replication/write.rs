//! Makes rows durable under one token, however long the target is away.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use arrow_array::RecordBatch;
use zenith_arrow::Schema;
use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::{Scalar, Sink};

use super::context::Context;
use super::progress::Phase;
use super::removal::remove_older;
use crate::load::context::Repeats;
use crate::load::dead_letters::{self, Part, RejectedDocument};
use crate::load::insert::Inserter;
use crate::load::key::key;
use crate::load::refusal::Refused;
use crate::places::Places;
use crate::progress::to_u64;
use crate::simulation::{self, DeliberateBug};
use crate::{EngineError, OnBadDocument, Result};

/// The token of one insert, by which the target recognises its repeats.
#[derive(Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) name: &'a str,
    /// Whether an earlier run began this insert.
    pub(super) is_replay: bool,
}

/// What one insert of a pipeline is to write.
pub(super) struct Unwritten {
    pub(super) batch: Option<RecordBatch>,
    /// Documents that cannot become rows.
    pub(super) letters: Vec<RejectedDocument>,
    /// The changes that the rows of the batch stand for, but for those of letters.
    pub(super) documents: usize,
    /// Where rows of documents stand, if that is not said by `_id` alone.
    pub(super) places: Option<Arc<Places>>,
}

/// What became of it.
pub(super) struct Written {
    /// How many documents became letters, by reason.
    pub(super) documents: BTreeMap<String, u64>,
    /// The keys of documents whose rows the table refused.
    pub(super) refused: HashSet<Scalar>,
}

/// The rows that a table refused.
#[derive(Default)]
struct Refusals {
    letters: Vec<RejectedDocument>,
    keys: HashSet<Scalar>,
}

/// Inserts the batch and writes the letters, each once however often this is repeated with the same token.
///
/// One token per insert, so that a replay need not reproduce the bounds of batches.
pub(super) async fn write<S, K, T>(
    context: &Context<S, K, T>,
    schema: &Schema,
    token: Token<'_>,
    unwritten: Unwritten,
) -> Result<Written>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let Unwritten { batch, mut letters, documents, places } = unwritten;
    if let (Some(letter), OnBadDocument::Fail) = (letters.first(), context.settings.options.on_bad_document) {
        return Err(EngineError::BadDocument {
            namespace: context.namespace.to_string(),
            id: letter.id.clone(),
            reason: letter.reason.clone(),
        });
    }
    let load = context.load(token.name.to_owned(), Repeats::ByPipeline);
    // A row that takes the place of an older one, where a document has become bad or has gone elsewhere, is none of it.
    let (mut rows, mut refused) = (0, HashSet::new());
    if let Some(batch) = batch.filter(|batch| batch.num_rows() > 0) {
        rows = batch.num_rows();
        let inserter = Inserter {
            load: &load,
            sink: &*context.sink,
            table: &context.table,
            schema,
            layout: context.layout(),
        };
        let refusals = insert(context, &inserter, places.as_deref(), batch, token.is_replay).await?;
        letters.extend(refusals.letters);
        refused = refusals.keys;
    }
    load.progress.written_for(to_u64(documents), to_u64(rows));
    for letters in dead_letters::parts(&letters) {
        let (at, load) = (SystemTime::now(), &load);
        let write = |again| async move {
            let part = Part { letters, at, may_be_there: token.is_replay || again };
            dead_letters::write_part(load, &*context.sink, &part).await
        };
        until_taken(context, write).await?;
    }
    context.recovered();
    Ok(Written { documents: load.dead.by_reason(), refused })
}

/// Inserts until it has succeeded, and gives back what is kept of the rows that were refused.
async fn insert<S, K, T>(
    context: &Context<S, K, T>,
    inserter: &Inserter<'_, K>,
    places: Option<&Places>,
    batch: RecordBatch,
    may_be_there: bool,
) -> Result<Refusals>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    until_taken(context, |again| insert_once(context, inserter, places, batch.clone(), may_be_there || again))
        .await
}

/// Does something with the target until it has succeeded or the time for it is up. `action` is told whether it has been
/// tried before.
pub(super) async fn until_taken<S, K, T, V, F>(
    context: &Context<S, K, T>,
    mut action: impl FnMut(bool) -> F,
) -> Result<V>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
    F: Future<Output = Result<V>>,
{
    let mut retry_budget = context.mode.retry_budget_of_target();
    let mut again = false;
    loop {
        let error = match context.unless_in_the_way(action(again)).await {
            Ok(value) => return Ok(value),
            Err(error) => error.while_loading(),
        };
        // A run that is to end by itself waits for a server, and not for somebody who mends a table.
        if is_of_table(&error) && context.mode.ends() {
            return Err(error);
        }
        again = true;
        context.live.phase(Phase::Retrying);
        // The intent stays open.
        context.wait_for_target(error, &mut retry_budget).await?;
        context.live.counters.repeated();
    }
}

/// Whether an insert failed of which rows may be in the table, for a reason that lies there.
pub(super) fn is_of_table(error: &EngineError) -> bool {
    matches!(error, EngineError::ViewFailed { .. } | EngineError::RefusedWhole { .. })
}

async fn insert_once<S, K, T>(
    context: &Context<S, K, T>,
    inserter: &Inserter<'_, K>,
    places: Option<&Places>,
    batch: RecordBatch,
    may_be_there: bool,
) -> Result<Refusals>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    context.own().await?;
    let mut token = inserter.load.run.clone();
    if may_be_there && simulation::has(DeliberateBug::TokenNotRepeated) {
        token.push_str(".repeated");
    }
    let rejected = inserter.insert(batch, token, may_be_there).await?;
    // Of a document that is gone the letter has the values that are not in the table then.
    let is_kept = |row: &&Refused| !row.is_tombstone(inserter.layout);
    let mut refusals = Refusals::default();
    for row in rejected.iter().filter(is_kept) {
        refusals.letters.push(inserter.letter(row)?);
        if inserter.layout.has_versions() {
            refusals.keys.insert(key(&row.row, 0)?);
        }
    }
    if inserter.layout.has_versions() {
        remove_older(context, inserter, &rejected, places).await?;
    }
    Ok(refusals)
}
