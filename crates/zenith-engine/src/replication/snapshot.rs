//! Reads the whole collection while its changes are applied.
//!
//! Snapshot rows carry a version older than any change that is applied, so a change wins in either order of arrival.
//! A partition that was not finished before a crash is read again; rows of equal versions replace each other.

use std::sync::Arc;

use zenith_arrow::Schema;
use zenith_extract::{ChangeSource, Partition, ReadConcern, Source};
use zenith_state::{Mismatches, Snapshot, StateStore};
use zenith_transport::Sink;

use super::context::Context;
use super::memory_quota::Permit;
use super::prepare::{decode_time, encode_time};
use super::progress::Cause;
use super::write::is_of_table;
use crate::Result;
use crate::layout::LoadMetadata;
use crate::load::context::Repeats;
use crate::load::findings::Planned;
use crate::load::run::{LoadSpec, load};
use crate::reload::run_name;
use crate::retry::after_load;

/// Reads what is left of the snapshot, if anything is.
pub(super) async fn snapshot<S, K, T>(context: &Arc<Context<S, K, T>>, schema: &Schema) -> Result<()>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let Some(snapshot) = context.state.snapshot(&context.name).await? else { return Ok(()) };
    if snapshot.consistent_after.is_some() {
        return Ok(());
    }
    let turn = context.unless_stopped(context.memory.snapshot()).await?;
    let pipeline = context.reload(false);
    let size = context.unless_stopped(context.source.preflight(&context.namespace)).await?;
    if let Ok(found) = size {
        context.live.counters.expect(found.collection.size.map_or(0, |size| size.documents));
    }
    let planned = match context.take_planned() {
        Some(planned) => Some(planned),
        None => Box::pin(context.plan_rest()).await?,
    };
    let reading = Reading { context, schema, snapshot: &snapshot, planned };
    // Who has a sample reads at once: of a thousand pipelines each would keep one until all have theirs.
    let mut turn = Some(turn);
    let left: Vec<_> = snapshot.partitions.iter().filter(|part| !part.done).collect();
    for together in left.chunks(pipeline.options.readers()) {
        let mut partitions = Vec::with_capacity(together.len());
        for part in together {
            partitions.push(Partition::decode(&part.partition)?);
        }
        // Deep, and not there while others have their turn.
        let (rows, mismatches) = Box::pin(reading.read(&partitions, turn.take())).await?;
        // The rows of parts that are read together cannot be told apart.
        let done: Vec<(u32, u64)> = together
            .iter()
            .zip([rows].into_iter().chain(std::iter::repeat(0)))
            .map(|(part, rows)| (part.index, rows))
            .collect();
        context.state.finish_partitions(&context.name, &done, &mismatches).await?;
        context.counted(&mismatches, true);
    }
    let now = context.unless_stopped(context.source.now()).await??;
    context.state.finish_snapshot(&context.name, &encode_time(now)).await?;
    tracing::info!(pipeline = context.name, "the snapshot is complete; following changes");
    Ok(())
}

/// A snapshot that is being read.
struct Reading<'a, S, K, T> {
    context: &'a Arc<Context<S, K, T>>,
    schema: &'a Schema,
    snapshot: &'a Snapshot,
    planned: Option<Planned>,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Reading<'_, S, K, T> {
    /// Reads some partitions, in a turn that it has already or waits for, and says how many rows they had and what of these did
    /// not fit.
    async fn read(&self, partitions: &[Partition], mut turn: Option<Permit>) -> Result<(u64, Mismatches)> {
        let context = self.context;
        let (mut failures, mut retry_budget) = (0, context.mode.retry_budget());
        loop {
            // Others have their turn while this one waits for a server.
            let turn = match turn.take() {
                Some(turn) => turn,
                None => context.unless_stopped(context.memory.snapshot()).await?,
            };
            let read = self.read_once(partitions.to_vec()).await;
            drop(turn);
            let error = match read {
                Ok(done) => {
                    context.live.goes_on(Cause::Pipeline);
                    return Ok(done);
                }
                Err(error) => error.while_loading(),
            };
            failures += 1;
            match after_load(&error, failures) {
                Some(pause) => {
                    context.failing(&error, pause);
                    context.live.pause(&context.stop, pause).await?;
                }
                // What is read again has new tokens, so that views would be given it twice.
                None if is_of_table(&error) => return Err(error),
                None => context.wait_after(error, &mut retry_budget).await?,
            }
        }
    }

    async fn read_once(&self, partitions: Vec<Partition>) -> Result<(u64, Mismatches)> {
        let (context, planned) = (self.context, self.planned.as_ref());
        context.own().await?;
        let pipeline = context.reload(false);
        let shared = Arc::new(context.load(format!("{}-{}", context.name, run_name()), Repeats::ByLoad));
        // What does not fit has been judged rare only of the sample that the columns were chosen from.
        let sample = planned.filter(|planned| planned.is_of_table).map(|planned| Arc::clone(&planned.sample));
        let spec = LoadSpec {
            source: &context.source,
            sink: &context.sink,
            schema: self.schema,
            sample: sample.unwrap_or_default(),
            partitions,
            documents: None,
            readers: pipeline.options.readers(),
            options: &pipeline.options,
            table: &context.table,
            metadata: LoadMetadata::Version(self.snapshot.version, context.layout()),
            read_concern: decode_time(&self.snapshot.read_from)
                .map_or(ReadConcern::Majority, ReadConcern::MajorityAfter),
            watched: planned,
        };
        let before = context.live.counters.snapshot().documents_read;
        let counts = load(Arc::clone(&shared), spec).await?;
        let read = context.live.counters.snapshot().documents_read.saturating_sub(before);
        Ok((read, Mismatches { values: counts.by_field(), documents: shared.dead.by_reason() }))
    }
}
