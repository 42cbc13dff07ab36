//! A reload from its plan: shadow table, load, reconcile, publish; and what is left when it fails.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use zenith_extract::{ExtractError, Partition, PartitionStrategy, Source};
use zenith_state::Mismatches;
use zenith_transport::{PreflightRequest, Sink};

use super::keep;
use super::rare::{Filled, Rare};
use super::temporary::{run_name, shadow_prefix};
use super::{ReloadPlan, shadow};
use crate::layout::LoadMetadata;
use crate::load::context::LoadContext;
use crate::load::findings::Findings;
use crate::load::run::{LoadSpec, load};
use crate::retry::after_load;
use crate::{EngineError, Pipeline, Result, Strategy, Summary, usage};

/// Partitions a reader, so that one with dense data does not keep the others waiting at the end.
const PARTITIONS_PER_READER: usize = 4;

/// Loads as a plan says; once more, and with other columns, where the load finds that they are not those of the collection.
pub(crate) async fn execute<S: Source, K: Sink + 'static>(
    pipeline: &Pipeline<S, K>,
    plan: &ReloadPlan,
    metadata: LoadMetadata,
) -> Result<Summary> {
    let mut findings = Findings::default();
    let mut plan = Cow::Borrowed(plan);
    loop {
        let error = match Box::pin(execute_once(pipeline, &plan, metadata, &findings)).await {
            Ok(summary) => return Ok(summary),
            Err(error) => error,
        };
        findings.take(error, &plan.schema, &pipeline.table)?;
        pipeline.progress.restart();
        plan = Cow::Owned(super::plan(pipeline, &findings).await?);
    }
}

/// Loads as a plan says.
///
/// # Errors
/// Those that [`Findings::take`] knows, where the plan has to be another one.
pub(crate) async fn execute_once<S: Source, K: Sink + 'static>(
    pipeline: &Pipeline<S, K>,
    plan: &ReloadPlan,
    metadata: LoadMetadata,
    findings: &Findings,
) -> Result<Summary> {
    let started = Instant::now();
    let cpu_before = usage::cpu_time();
    pipeline.progress.expect(plan.source.collection.size.map_or(0, |size| size.documents));
    let mut failures = 0;
    let filled = loop {
        let attempt = Attempt { metadata, anew: failures > 0, findings };
        match Box::pin(load_and_publish(pipeline, plan, attempt)).await {
            Ok(filled) => break filled,
            Err(error) => {
                failures += 1;
                let Some(pause) = after_load(&error, failures) else { return Err(error) };
                tracing::warn!(%error, failures, "the load starts over");
                pipeline.stop.pause(pause).await?;
                pipeline.progress.restart();
            }
        }
    };
    pipeline.progress.extra(filled.mismatches.values_total());
    let done = pipeline.progress.snapshot();
    Ok(Summary {
        table: pipeline.table.clone(),
        schema: filled.schema,
        columns_added: filled.added,
        rows: done.rows_written,
        elapsed: started.elapsed(),
        source_bytes: done.source_bytes,
        arrow_bytes: done.arrow_bytes,
        peak_rss_bytes: usage::peak_rss_bytes(),
        cpu_time: usage::cpu_time().saturating_sub(cpu_before),
        extra_values: filled.mismatches.values,
        dead_letters: done.dead_letters,
        dead_letters_by_reason: filled.mismatches.documents,
        dead_letter_table: (done.dead_letters > 0).then(|| pipeline.options.table.dead_letters.clone()),
        inserts: done.inserts,
        inserts_repeated: done.inserts_repeated,
    })
}

/// One of the loads that a plan may need.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    metadata: LoadMetadata,
    /// Whether an earlier one has failed.
    anew: bool,
    findings: &'a Findings,
}

/// One load into a table of its own, published if it succeeds and dropped if it does not.
async fn load_and_publish<S: Source, K: Sink + 'static>(
    pipeline: &Pipeline<S, K>,
    plan: &ReloadPlan,
    attempt: Attempt<'_>,
) -> Result<Filled> {
    let sink = &*pipeline.sink;
    let shared = Arc::new(LoadContext::of(pipeline, run_name()));
    if !plan.target.database_exists {
        let create = PreflightRequest { create_database: true, ..PreflightRequest::default() };
        shared.repeat(|| sink.preflight(&create)).await?;
    }
    let mut definition = plan.definition.clone();
    match plan.strategy {
        Strategy::Swap => {
            let shadow = format!("{}{}", shadow_prefix(&pipeline.table), shared.run);
            definition = definition.loading();
            definition.name.clone_from(&shadow);
            let outcome = async {
                shadow::create(pipeline, &shared, &definition).await?;
                shadow::without_ttl(pipeline, &shared, &definition).await?;
                let filled = load_and_reconcile(pipeline, plan, &shared, &shadow, attempt).await?;
                let filled = with_rare(pipeline, plan, &shared, &shadow, attempt, filled).await?;
                if let Some(note) = pipeline.note.as_ref().filter(|_| !filled.added.is_empty()) {
                    note.note(filled.schema.clone()).await?;
                }
                shared.unless_stopped(is_same(pipeline, plan)).await??;
                shadow::publish(pipeline, &shared, &definition).await?;
                Ok(filled)
            };
            let outcome = outcome.await;
            if outcome.is_err()
                && !shadow::drop(pipeline, &shadow).await
                && matches!(outcome, Err(EngineError::Stopped))
            {
                return Err(EngineError::StoppedLeaving { shadow });
            }
            outcome.map_err(EngineError::while_loading)
        }
        Strategy::Truncate => {
            definition = definition.if_not_exists();
            if plan.existing.is_none() {
                shared.repeat(|| sink.create(&definition)).await?;
            }
            // Also where the table has just been created: an earlier try may have put rows into it.
            shared.repeat(|| sink.truncate(&pipeline.table)).await?;
            let loaded = load_and_reconcile(pipeline, plan, &shared, &pipeline.table, attempt).await;
            if plan.existing.is_none() && matches!(loaded, Err(EngineError::Key { .. })) {
                // It was made for this load, and the next one needs another.
                shared.repeat(|| sink.drop_table(&pipeline.table)).await?;
            }
            loaded.map_err(EngineError::while_loading)
        }
    }
}

/// What a load has put into its table, with columns for rare fields. A table of its user's has the columns that it has.
async fn with_rare<S: Source, K: Sink + 'static>(
    pipeline: &Pipeline<S, K>,
    plan: &ReloadPlan,
    shared: &LoadContext,
    shadow: &str,
    attempt: Attempt<'_>,
    filled: Filled,
) -> Result<Filled> {
    if plan.existing.as_ref().is_some_and(keep::is_of_user) && !pipeline.options.replace {
        return Ok(filled);
    }
    let (layout, rows) = (attempt.metadata.layout(), pipeline.progress.snapshot().rows_written);
    let rare = Rare { pipeline, shadow, layout, rows };
    shared.unless_stopped(rare.promote(filled)).await?
}

/// Refuses rows of a collection that was replaced while it was read: some of them may be of the one, and some of the other.
async fn is_same<S: Source, K>(pipeline: &Pipeline<S, K>, plan: &ReloadPlan) -> Result<()> {
    if plan.source.collection.uuid.is_none() {
        return Ok(());
    }
    match pipeline.source.preflight(&pipeline.namespace).await {
        Ok(found) if found.collection.uuid == plan.source.collection.uuid => Ok(()),
        Ok(_) | Err(ExtractError::NoSuchCollection { .. } | ExtractError::NoSuchDatabase { .. }) => {
            Err(EngineError::Reading(ExtractError::Replaced { namespace: pipeline.namespace.clone() }))
        }
        Err(error) => Err(EngineError::Reading(error)),
    }
}

/// Puts an empty table of the plan's columns in the place of the one that is there.
pub(crate) async fn replace_with_empty<S: Source, K: Sink + 'static>(
    pipeline: &Pipeline<S, K>,
    plan: &ReloadPlan,
) -> Result<()> {
    let shared = LoadContext::of(pipeline, run_name());
    if plan.strategy == Strategy::Truncate {
        return shared.repeat(|| pipeline.sink.truncate(&pipeline.table)).await;
    }
    let mut definition = plan.definition.clone().loading();
    definition.name = format!("{}{}", shadow_prefix(&pipeline.table), shared.run);
    let outcome = async {
        shadow::create(pipeline, &shared, &definition).await?;
        shadow::publish(pipeline, &shared, &definition).await
    };
    let outcome = outcome.await;
    if outcome.is_err() {
        shadow::drop(pipeline, &definition.name).await;
    }
    outcome
}

async fn load_and_reconcile<S: Source, K: Sink + 'static>(
    pipeline: &Pipeline<S, K>,
    plan: &ReloadPlan,
    shared: &Arc<LoadContext>,
    table: &str,
    attempt: Attempt<'_>,
) -> Result<Filled> {
    let Attempt { metadata, anew, findings } = attempt;
    let partitions = shared.unless_stopped(partitions(pipeline, plan, anew)).await??;
    // A table that may not be replaced keeps its columns, and rows that are there already are not taken back.
    let may_plan_anew =
        plan.strategy == Strategy::Swap && (pipeline.options.replace || plan.existing.is_none());
    let planned = plan.held_against();
    let parts = LoadSpec {
        source: &pipeline.source,
        sink: &pipeline.sink,
        schema: &plan.schema,
        sample: Arc::clone(&plan.sample),
        partitions,
        documents: plan.source.collection.size.map(|size| size.documents),
        readers: plan.readers,
        options: &pipeline.options,
        table,
        metadata,
        read_concern: pipeline.read_concern,
        watched: (may_plan_anew && findings.may_surprise()).then_some(&planned),
    };
    let counts = load(Arc::clone(shared), parts).await?;
    let done = pipeline.progress.snapshot();
    let counted = shared.repeat(|| pipeline.sink.count(table)).await?;
    let expected = done.documents_read + done.rows_unwound;
    if expected != done.rows_written + done.dead_letters || counted != done.rows_written {
        return Err(EngineError::Reconcile {
            namespace: pipeline.namespace.to_string(),
            table: table.to_owned(),
            read: expected,
            written: done.rows_written,
            dead_letters: done.dead_letters,
            counted,
        });
    }
    let mismatches = Mismatches { values: counts.by_field(), documents: shared.dead.by_reason() };
    Ok(Filled { schema: plan.schema.clone(), mismatches, added: Vec::new() })
}

/// What is read side by side: parts of the order of storage, where the server can be asked for them; else ranges of `_id`,
/// if several scans are wanted in any case. These cost the server twice as much, but wherever they are cut off, also by an
/// election, they go on: so a load that starts over reads them, too.
async fn partitions<S: Source, K>(
    pipeline: &Pipeline<S, K>,
    plan: &ReloadPlan,
    anew: bool,
) -> Result<Vec<Partition>> {
    let (source, namespace) = (&pipeline.source, &pipeline.namespace);
    let (readers, has_id_index) = (pipeline.options.readers(), plan.source.collection.kind.has_id_index());
    if !anew || !has_id_index {
        let stored = source.partitions(namespace, plan.readers, PartitionStrategy::Natural).await?;
        if stored.len() == plan.readers || readers == 1 || !has_id_index {
            return Ok(stored);
        }
    }
    let desired = readers * PARTITIONS_PER_READER;
    Ok(source.partitions(namespace, desired, PartitionStrategy::IdRanges).await?)
}
