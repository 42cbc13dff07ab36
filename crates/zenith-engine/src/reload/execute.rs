//! A reload from its plan: shadow table, load, reconcile, publish; and what is left when it fails.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use zenith_arrow::ExtraCounts;
use zenith_extract::{Partition, PartitionStrategy, Source};
use zenith_transport::{Preflight, Sink};

use super::ReloadPlan;
use super::insert::repeat;
use super::load::{Load, Parts, load};
use super::plan::shadow_prefix;
use crate::layout::Stamp;
use crate::retry::after_load;
use crate::{EngineError, Pipeline, Result, StopHandle, Strategy, Summary, usage};

/// How long dropping the shadow table of a failed load may take: a server that hangs must not keep us.
const DROP_PATIENCE: Duration = Duration::from_secs(4);
/// Partitions a reader, so that one with dense data does not keep the others waiting at the end.
const PARTITIONS_PER_READER: usize = 4;

pub(crate) async fn execute<S: Source, K: Sink + 'static>(
    pipeline: &Pipeline<S, K>,
    plan: &ReloadPlan,
    stamp: Stamp,
) -> Result<Summary> {
    let started = Instant::now();
    let cpu_before = usage::cpu_time();
    pipeline.progress.expect(plan.source.collection.size.map_or(0, |size| size.documents));
    let mut failures = 0;
    let counts = loop {
        match attempt(pipeline, plan, stamp, failures > 0).await {
            Ok(counts) => break counts,
            Err(error) => {
                failures += 1;
                let Some(pause) = after_load(&error, failures) else { return Err(error) };
                tracing::warn!(%error, failures, "the load begins anew");
                tokio::select! {
                    () = pipeline.stop.stopped() => return Err(EngineError::Stopped),
                    () = tokio::time::sleep(pause) => {}
                }
                pipeline.progress.restart();
            }
        }
    };
    let done = pipeline.progress.snapshot();
    Ok(Summary {
        table: pipeline.table.clone(),
        rows: done.rows_written,
        elapsed: started.elapsed(),
        source_bytes: done.source_bytes,
        arrow_bytes: done.arrow_bytes,
        peak_rss_bytes: usage::peak_rss_bytes(),
        cpu_time: usage::cpu_time().saturating_sub(cpu_before),
        extra_values: counts.by_field(),
        dead_letters: done.dead_letters,
        dead_letter_table: (done.dead_letters > 0).then(|| pipeline.options.dead_letters.clone()),
        inserts: done.inserts,
        inserts_repeated: done.inserts_repeated,
    })
}

/// One load into a table of its own, published if it succeeds and dropped if it does not.
async fn attempt<S: Source, K: Sink + 'static>(
    pipeline: &Pipeline<S, K>,
    plan: &ReloadPlan,
    stamp: Stamp,
    anew: bool,
) -> Result<ExtraCounts> {
    let sink = &*pipeline.sink;
    let run = run_name();
    let shared = Arc::new(Load {
        pipeline: pipeline.name.clone().unwrap_or_else(|| run.clone()),
        run,
        dead_letters: pipeline.options.dead_letters.clone(),
        namespace: pipeline.namespace.clone(),
        pool: pipeline.pool.clone(),
        progress: Arc::clone(&pipeline.progress),
        on_bad_document: pipeline.options.on_bad_document,
        stop: pipeline.stop.clone(),
        abort: StopHandle::new(),
    });
    if !plan.target.database_exists {
        let create = Preflight { create_database: true, missing_database: false };
        repeat(&shared, || sink.preflight(&create)).await?;
    }
    let mut definition = plan.definition.clone();
    match plan.strategy {
        Strategy::Swap => {
            let shadow = format!("{}{}", shadow_prefix(&pipeline.table), shared.run);
            definition = definition.loading();
            definition.name.clone_from(&shadow);
            repeat(&shared, || sink.create(&definition)).await?;
            let outcome = match load_and_reconcile(pipeline, plan, &shared, &shadow, stamp, anew).await {
                Ok(counts) => {
                    repeat(&shared, || sink.publish(&shadow, &pipeline.table)).await.map(|_| counts)
                }
                Err(error) => Err(error),
            };
            if outcome.is_err() {
                // Should publication have taken place after all, the old table bears this name: it goes too.
                let dropped = tokio::time::timeout(DROP_PATIENCE, sink.drop_table(&shadow)).await;
                if !matches!(dropped, Ok(Ok(()))) {
                    tracing::warn!(%shadow, "the shadow table could not be dropped");
                    if matches!(outcome, Err(EngineError::Stopped)) {
                        return Err(EngineError::StoppedLeaving { shadow });
                    }
                }
            }
            outcome.map_err(EngineError::while_loading)
        }
        Strategy::Truncate => {
            definition = definition.if_not_exists();
            if plan.existing.is_none() {
                repeat(&shared, || sink.create(&definition)).await?;
            }
            // Also where the table has just been created: an earlier try may have put rows into it.
            repeat(&shared, || sink.truncate(&pipeline.table)).await?;
            load_and_reconcile(pipeline, plan, &shared, &pipeline.table, stamp, anew)
                .await
                .map_err(EngineError::while_loading)
        }
    }
}

async fn load_and_reconcile<S: Source, K: Sink + 'static>(
    pipeline: &Pipeline<S, K>,
    plan: &ReloadPlan,
    shared: &Arc<Load>,
    table: &str,
    stamp: Stamp,
    anew: bool,
) -> Result<ExtraCounts> {
    let partitions = shared.unless_stopped(partitions(pipeline, plan, anew)).await??;
    let parts = Parts {
        source: &pipeline.source,
        sink: &pipeline.sink,
        schema: &plan.schema,
        sample: &plan.sample,
        sample_ranges: &plan.sample_ranges,
        partitions,
        documents: plan.source.collection.size.map(|size| size.documents),
        readers: plan.readers,
        options: &pipeline.options,
        table,
        stamp,
        read_concern: pipeline.read_concern,
    };
    let counts = load(Arc::clone(shared), parts).await?;
    let done = pipeline.progress.snapshot();
    let counted = repeat(shared, || pipeline.sink.count(table)).await?;
    if done.documents_read != done.rows_written + done.dead_letters || counted != done.rows_written {
        return Err(EngineError::Reconcile {
            namespace: pipeline.namespace.to_string(),
            table: table.to_owned(),
            read: done.documents_read,
            written: done.rows_written,
            dead_letters: done.dead_letters,
            counted,
        });
    }
    Ok(counts)
}

/// What is read side by side: parts of the order of storage, where the server can be asked for them; else ranges of `_id`,
/// if several scans are wanted in any case. These cost the server twice as much, but wherever they are cut off, also by an
/// election, they go on: so a load that begins anew reads them, too.
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

/// A name no other run has: the time, and the process for runs begun in the same millisecond.
pub(crate) fn run_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}_{:x}", now.as_micros(), std::process::id())
}
