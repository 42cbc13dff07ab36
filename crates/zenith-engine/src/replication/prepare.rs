//! What has to be there before a pipeline can follow changes: a table, its schema, a place in the stream.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use bson::Timestamp;
use zenith_arrow::Schema;
use zenith_extract::{
    ChangeReader, ChangeSource, Partition, PartitionStrategy, ReadConcern, ResumeToken, Source, StartAt,
    WatchOptions,
};
use zenith_state::{Mismatches, Snapshot, SnapshotPartition, StateStore};
use zenith_transport::{PreflightRequest, Sink};

use super::context::{Context, encode_schema};
use super::position::Position;
use super::version::{system_time, version_of};
use crate::layout::{Layout, LoadMetadata};
use crate::{EngineError, Result, Strategy, Summary};

/// Documents of one part of a snapshot, about: what a crash costs.
const PARTITION_DOCUMENTS: u64 = 262_144;
/// Most parts of a snapshot.
const PARTITIONS_MAX: usize = 4096;

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// Where the stream is now, and the time of it.
    pub(super) async fn stream_now(&self) -> Result<(ResumeToken, Timestamp)> {
        let found = self.source.change_preflight(std::slice::from_ref(&self.namespace)).await?;
        let mut options =
            WatchOptions::new(found.scope, vec![self.namespace.clone()], self.memory.lookups().clone());
        options.from = StartAt::Now;
        Ok(self.source.watch(options).await?.opened())
    }

    /// The schema of the table, and where to go on. Makes both if the pipeline has not begun.
    ///
    /// A table that has rows already is replaced by a new one in one step: some of those rows may be of documents that
    /// are gone, and no change would tell.
    pub(super) async fn set_up(self: &Arc<Self>) -> Result<(Schema, Position)> {
        self.guard_names().await?;
        if self.learned.anew.load(Ordering::Relaxed) {
            let (token, time) = self.stream_now().await?;
            self.reload_from(token.clone(), time, true).await?;
            self.learned.anew.store(false, Ordering::Relaxed);
            if let Some(schema) = self.schema().await? {
                return Ok((schema, Position::new(token)));
            }
        }
        let checkpoint = self.state.checkpoint(&self.name).await?;
        // What has no checkpoint may have the schema of a first reload that never came to its end.
        if let Some(checkpoint) = &checkpoint
            && let Some(schema) = self.schema_to_write().await?
        {
            let position = Position::decode(&checkpoint.position)?;
            self.guard_ends(&position, checkpoint.rows).await?;
            self.keep_view().await?;
            return Ok((schema, position));
        }
        // First what says best why it cannot be done: a stream of what has none only fails.
        self.check_kind(self.source.preflight(&self.namespace).await?.collection.kind)?;
        let (token, time) = self.stream_now().await?;
        let pipeline = self.reload(false);
        let plan = self.plan(&pipeline).await?;
        let has_rows = plan.existing.as_ref().is_some_and(|table| table.rows > 0);
        if has_rows && self.layout() == Layout::Current {
            self.reload_from(token.clone(), time, false).await?;
            // Its columns come of a sample of its own.
            let schema = self.schema().await?.unwrap_or(plan.schema);
            return Ok((schema, Position::new(token)));
        }
        if !plan.target.database_exists {
            let create = PreflightRequest { create_database: true, ..PreflightRequest::default() };
            self.retrying(|| self.sink.preflight(&create)).await?;
        }
        let definition = plan.definition.clone().if_not_exists();
        self.retrying(|| self.sink.create(&definition)).await?;
        self.keep_view().await?;
        self.state.add_schema(&self.name, &encode_schema(&plan.schema)?).await?;
        self.state.set_mismatches(&self.name, &Mismatches::default()).await?;
        if self.layout() == Layout::Current {
            self.keep_planned(&plan);
            self.state.begin_snapshot(&self.name, &self.partitions(time).await?).await?;
        }
        self.note_identity().await?;
        self.state
            .advance(&self.name, &Position::new(token.clone()).checkpoint(0, Some(system_time(time)))?)
            .await?;
        Ok((plan.schema, Position::new(token)))
    }

    /// A snapshot that begins now, nothing of it read.
    async fn partitions(&self, time: Timestamp) -> Result<Snapshot> {
        let found = self.source.preflight(&self.namespace).await?;
        let documents = found.collection.size.map_or(0, |size| size.documents);
        let desired = usize::try_from(documents / PARTITION_DOCUMENTS).unwrap_or(PARTITIONS_MAX);
        let desired = desired.clamp(1, PARTITIONS_MAX);
        let partitions =
            self.source.partitions(&self.namespace, desired, PartitionStrategy::IdRanges).await?;
        Ok(Snapshot {
            started: SystemTime::now(),
            version: version_of(time).saturating_sub(1),
            read_from: encode_time(time),
            partitions: partitions.iter().zip(0..).map(|(partition, index)| part(partition, index)).collect(),
            consistent_after: None,
        })
    }

    /// Loads a new table next to the old one and puts it in its place. The stream continues from `token`, which is
    /// older than everything that was read.
    ///
    /// In this order a crash does no harm: until the checkpoint is reset, changes older than the new rows are applied to
    /// them in vain, as their versions are lower.
    pub(super) async fn reload_from(
        self: &Arc<Self>,
        token: ResumeToken,
        time: Timestamp,
        replace: bool,
    ) -> Result<Summary> {
        let _turn = self.unless_stopped(self.memory.snapshot()).await?;
        // What was counted of an earlier try, or of changes, is none of this load's.
        self.live.counters.restart();
        let mut pipeline = self.reload(replace);
        // Changes go on meanwhile, and a table that is emptied first would show their gaps.
        pipeline.options.table.strategy = Strategy::Swap;
        pipeline.read_concern = ReadConcern::MajorityAfter(time);
        let metadata = LoadMetadata::Version(version_of(time).saturating_sub(1));
        let summary = loop {
            let plan = self.plan(&pipeline).await?;
            self.state.add_schema(&self.name, &encode_schema(&plan.schema)?).await?;
            let mut findings = self.findings();
            let error = match crate::reload::execute_once(&pipeline, &plan, metadata, &findings).await {
                Ok(summary) => break summary,
                Err(error) => error,
            };
            findings.take(error, &plan.schema, &self.table)?;
            self.live.counters.restart();
            self.found(findings);
        };
        let mut findings = self.findings();
        findings.loaded();
        self.found(findings);
        self.replaced(&summary).await?;
        self.keep_view().await?;
        let checkpoint = Position::new(token).checkpoint(summary.rows, Some(system_time(time)))?;
        self.state.reset(&self.name, Some(&checkpoint)).await?;
        let now = self.source.now().await?;
        let done = Snapshot {
            started: SystemTime::now(),
            version: version_of(time).saturating_sub(1),
            read_from: encode_time(time),
            partitions: Vec::new(),
            consistent_after: None,
        };
        self.note_identity().await?;
        self.live.detached(None);
        self.state.begin_snapshot(&self.name, &done).await?;
        self.state.finish_snapshot(&self.name, &encode_time(now)).await?;
        Ok(summary)
    }

    /// Loads the table of any mode anew.
    pub(super) async fn reload_now(self: &Arc<Self>) -> Result<Summary> {
        self.guard_names().await?;
        match self.layout() {
            Layout::Current => {
                self.check_kind(self.source.preflight(&self.namespace).await?.collection.kind)?;
                let (token, time) = self.stream_now().await?;
                self.reload_from(token, time, true).await
            }
            Layout::Rows => {
                let _turn = self.unless_stopped(self.memory.snapshot()).await?;
                self.load_whole(false).await
            }
            Layout::Log => Err(EngineError::NotPossible {
                doing: format!("reloading the pipeline {}", self.name),
                reason: format!(
                    "it is a change log, which is not made from the collection; zenith reset {} --from now lets it go \
                     on",
                    self.name
                ),
            }),
        }
    }
}

fn part(partition: &Partition, index: u32) -> SnapshotPartition {
    SnapshotPartition { index, partition: partition.encode(), done: false, rows: 0 }
}

/// A cluster time for [`decode_time`].
pub(super) fn encode_time(time: Timestamp) -> Vec<u8> {
    version_of(time).to_be_bytes().to_vec()
}

/// What [`encode_time`] wrote.
pub(super) fn decode_time(bytes: &[u8]) -> Option<Timestamp> {
    let version = u64::from_be_bytes(bytes.try_into().ok()?);
    let part = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
    Some(Timestamp { time: part(version >> 32), increment: part(version) })
}
