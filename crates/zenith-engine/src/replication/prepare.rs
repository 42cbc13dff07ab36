//! What has to be there before a pipeline can follow changes: a table, its schema, a place in the stream.

use std::sync::Arc;
use std::time::SystemTime;

use bson::{Timestamp, Uuid};
use zenith_arrow::Schema;
use zenith_extract::{
    ChangeReader, ChangeSource, ExtractError, Partition, PartitionStrategy, ReadConcern, ResumeToken, Source,
    StartAt, WatchOptions,
};
use zenith_state::{Condition, Mismatches, Since, Snapshot, SnapshotPartition, StateStore};
use zenith_transport::ddl::identifier;
use zenith_transport::{Filter, PreflightRequest, Scalar, Selection, Sink};

use super::context::Context;
use super::learned::Anew;
use super::position::Position;
use super::schema::LOADED_AGAIN;
use super::version::{system_time, version_of};
use crate::layout::{KEY, Layout, LoadMetadata, OPERATION_COLUMN, OPERATIONS, SNAPSHOT, hides_deletions};
use crate::pipeline::Note;
use crate::policies::Deletes;
use crate::reload::ReloadPlan;
use crate::sentence::counted;
use crate::{EngineError, Pipeline, Result, Strategy, Summary};

/// Documents of one part of a snapshot, about: what a crash costs.
const PARTITION_DOCUMENTS: u64 = 262_144;
/// Most parts of a snapshot.
const PARTITIONS_MAX: usize = 4096;

/// Where reading begins: the identity of the collection, and a place in the stream that was looked at after it and is
/// older than everything that is read.
pub(super) struct ReadingStart {
    collection: Option<Uuid>,
    token: ResumeToken,
    time: Timestamp,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// Where what is read of the collection from now on goes on in the stream.
    async fn reading_start(&self) -> Result<ReadingStart> {
        // First what says best why it cannot be done: a stream of what has none only fails.
        let collection = self.source.preflight(&self.namespace).await?.collection;
        self.check_kind(collection.kind)?;
        let (token, time) = self.stream_now().await?;
        Ok(ReadingStart { collection: collection.uuid, token, time })
    }

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
        if let Some(anew) = self.anew() {
            if self.snapshot_is_complete().await? {
                self.refuse_load().await?;
            }
            self.load_again(anew).await?;
        }
        let checkpoint = self.state.checkpoint(&self.name).await?;
        // What has no checkpoint may have the schema of a first reload that never came to its end.
        if let Some(checkpoint) = &checkpoint
            && let Some(schema) = self.schema_to_write().await?
        {
            let position = Position::decode(&checkpoint.position)?;
            self.guard_ends(&position, checkpoint.rows).await?;
            self.guard_marks().await?;
            self.claim().await?;
            self.keep_view().await?;
            return Ok((schema, position));
        }
        self.meet_owners().await?;
        let start = self.reading_start().await?;
        let (token, time) = (start.token.clone(), start.time);
        let (plan, is_replaced) = self.plan_first().await?;
        if is_replaced || self.begins_with_load().await? {
            if is_replaced {
                tracing::info!(pipeline = self.name, "{} already exists: it is loaded again", self.table);
            }
            Box::pin(self.reload_from(start, true)).await?;
            // Its columns come of a sample of its own.
            let schema = self.schema().await?.unwrap_or(plan.schema);
            return Ok((schema, Position::new(token)));
        }
        self.make_table(&plan).await?;
        if let Some(rows) = plan.existing.as_ref().map(|table| table.rows).filter(|rows| *rows > 0) {
            tracing::warn!(
                pipeline = self.name,
                "{} has {} already and continues from now: what changed since its newest row may be missing",
                self.table,
                counted(rows, rows, "row")
            );
        }
        if self.layout().has_versions() {
            self.keep_planned(&plan);
            self.state.begin_snapshot(&self.name, &self.partitions(time).await?).await?;
        }
        self.note_identity().await?;
        self.state
            .advance(&self.name, &Position::new(token.clone()).checkpoint(0, Some(system_time(time)))?)
            .await?;
        Ok((plan.schema, Position::new(token)))
    }

    /// Loads the table anew for what was learned of its collection while that was followed. The rows that are there are
    /// shown until all of the new ones are.
    async fn load_again(self: &Arc<Self>, anew: Anew) -> Result<()> {
        let load =
            async { self.reload_from(self.reading_start().await?, matches!(anew, Anew::Gone(_))).await };
        match (load.await, anew) {
            (Ok(_), _) => self.set_anew(None),
            (Err(error), Anew::Gone(what)) if error.is_of_lost_collection() => {
                return Err(EngineError::SourceAwaited {
                    namespace: self.namespace.to_string(),
                    what,
                    table: self.table.clone(),
                });
            }
            (Err(error), _) => return Err(error),
        }
        Ok(())
    }

    /// The plan of a first run, and whether a table takes the place of one that is there: of one that has rows, or other
    /// columns.
    pub(super) async fn plan_first(&self) -> Result<(ReloadPlan, bool)> {
        let has_rows = |plan: &ReloadPlan| plan.existing.as_ref().is_some_and(|table| table.rows > 0);
        let (plan, is_replaced) = match self.plan(&self.reload(false)).await {
            Err(EngineError::TableDiffers { is_ours: true, .. }) if self.layout().has_versions() => {
                (self.plan(&self.replacement(true)).await?, true)
            }
            plan => {
                let plan = plan?;
                let is_replaced = has_rows(&plan) && (self.layout().has_versions() || self.settings.snapshot);
                (plan, is_replaced)
            }
        };
        // Where columns are known and no place in the changes, the rows are those of a first load that ended too early.
        if is_replaced && has_rows(&plan) && self.schema().await?.is_none() {
            self.refuse_load().await?;
        }
        if is_replaced && self.layout() == Layout::Log {
            self.refuse_log_with_changes().await?;
        }
        Ok((plan, is_replaced))
    }

    /// Refuses a log that is to begin with a snapshot, and has rows of changes. One that has no others is that of a first load
    /// which was not noted any more.
    async fn refuse_log_with_changes(&self) -> Result<()> {
        let of_changes = OPERATIONS.into_iter().filter(|operation| *operation != SNAPSHOT);
        let change = Selection {
            table: self.table.clone(),
            columns: vec![KEY.to_owned()],
            filter: Filter::In(
                OPERATION_COLUMN.to_owned(),
                of_changes.map(|operation| Scalar::Bytes(operation.into())).collect(),
            ),
            limit: Some(1),
            ..Selection::default()
        };
        let found = self.retrying(|| self.sink.admin().select(&change)).await?;
        if !found.unwrap_or_default().iter().any(|batch| batch.num_rows() > 0) {
            return Ok(());
        }
        let table = &self.table;
        Err(EngineError::NotPossible {
            doing: format!("beginning the log {table} of the pipeline {} with a snapshot", self.name),
            reason: format!(
                "{table} has changes already, which would have to go: DROP TABLE {} makes room, table = \"…\" names another \
                 one, and snapshot = false goes on with this one",
                identifier(table)
            ),
        })
    }

    /// Refuses to load a table again that has rows of documents that are gone.
    pub(super) async fn refuse_load(&self) -> Result<()> {
        let Some(reason) = self.settings.refused_load() else { return Ok(()) };
        let table = self.retrying(|| self.sink.describe(&self.table)).await?;
        if self.settings.deletes == Deletes::Mark && hides_deletions(table.as_ref()) {
            return Ok(());
        }
        let doing = format!("loading the table {} of the pipeline {} again", self.table, self.name);
        Err(EngineError::NotPossible { doing, reason: reason.to_owned() })
    }

    async fn snapshot_is_complete(&self) -> Result<bool> {
        let snapshot = self.state.snapshot(&self.name).await?;
        Ok(snapshot.is_some_and(|snapshot| snapshot.consistent_after.is_some()))
    }

    /// A load of a table that takes the place of the one that is there in one step.
    fn replacement(&self, keep_types: bool) -> Pipeline<S, K> {
        let mut pipeline = self.reload(true);
        pipeline.options.keep_types = keep_types;
        // Changes go on meanwhile, and a table that is emptied first would show their gaps.
        pipeline.options.table.strategy = Strategy::Swap;
        pipeline
    }

    /// Makes the table of a pipeline that has not run, if it is not there; the collection is not read.
    pub(super) async fn make_table_unread(&self) -> Result<()> {
        self.guard_names().await?;
        self.check_kind(self.source.preflight(&self.namespace).await?.collection.kind)?;
        let mut pipeline = self.reload(false);
        // Nothing is loaded; in place of a table of somebody else's there is none.
        pipeline.options.table.strategy = Strategy::Swap;
        let plan = self.plan(&pipeline).await?;
        self.make_table(&plan).await
    }

    /// Makes the table of a plan, and the view over it, and notes its columns.
    pub(super) async fn make_table(&self, plan: &ReloadPlan) -> Result<()> {
        if !plan.target.database_exists {
            let create = PreflightRequest { create_database: true, ..PreflightRequest::default() };
            self.retrying(|| self.sink.preflight(&create)).await?;
        }
        self.claim().await?;
        let definition = plan.definition.clone().if_not_exists();
        self.retrying(|| self.sink.create(&definition)).await?;
        self.retrying(|| plan.complete_table(&*self.sink, &self.table)).await?;
        self.keep_view().await?;
        self.note_schema(&plan.schema, "the table was created", "").await?;
        Ok(self.state.set_mismatches(&self.name, &Mismatches::default()).await?)
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

    /// Loads a new table next to the old one and puts it in its place. The stream continues from `start`, which is
    /// older than everything that was read. With `keep_types` columns go on with the types that they have, where nearly
    /// all values fit.
    ///
    /// In this order a crash does no harm: until the checkpoint is reset, changes older than the new rows are applied to
    /// them in vain, as their versions are lower.
    pub(super) async fn reload_from(
        self: &Arc<Self>,
        start: ReadingStart,
        keep_types: bool,
    ) -> Result<Summary> {
        let ReadingStart { collection, token, time } = start;
        let turn = self.unless_stopped(self.memory.snapshot()).await?;
        // What was counted of an earlier try, or of changes, is none of this load's.
        self.live.counters.restart();
        let mut pipeline = self.replacement(keep_types);
        pipeline.read_concern = ReadConcern::MajorityAfter(time);
        // A run that ends before it is noted whose table is there knows its columns.
        let noting = Arc::clone(self);
        pipeline.note = Some(Note::new(move |schema| {
            let context = Arc::clone(&noting);
            async move { context.note_schema(&schema, LOADED_AGAIN, "").await }
        }));
        let version = version_of(time).saturating_sub(1);
        let metadata = match self.layout() {
            Layout::Log => LoadMetadata::Snapshot(version),
            layout => LoadMetadata::Version(version, layout),
        };
        let summary = loop {
            let plan = self.plan(&pipeline).await?;
            if plan.source.collection.uuid != collection {
                // The changes since `start` are those of another collection.
                let namespace = self.namespace.clone();
                return Err(EngineError::Reading(ExtractError::Replaced { namespace }));
            }
            self.note_schema(&plan.schema, LOADED_AGAIN, "").await?;
            self.claim().await?;
            let mut findings = self.findings();
            let error =
                match Box::pin(crate::reload::execute_once(&pipeline, &plan, metadata, &findings)).await {
                    Ok(summary) => break summary,
                    Err(error) => error,
                };
            findings.take(error, &plan.schema, &self.table)?;
            self.live.counters.restart();
            self.found(findings);
        };
        self.note_loaded(&summary, token, time).await?;
        drop(turn);
        Ok(summary)
    }

    /// Notes a table that has been put in its place, and where its changes go on.
    async fn note_loaded(&self, summary: &Summary, token: ResumeToken, time: Timestamp) -> Result<()> {
        if !summary.columns_added.is_empty() {
            self.learned.promoted(summary.columns_added.len());
        }
        // Without the database there was no place for a mark.
        self.claim().await?;
        let mut findings = self.findings();
        findings.loaded();
        self.found(findings);
        self.replaced(summary).await?;
        let checkpoint = Position::new(token).checkpoint(summary.rows, Some(system_time(time)))?;
        if self.layout() == Layout::Log {
            // There is no checkpoint yet, and without one the log is loaded again: so where one is, the beginning is known.
            self.note_read(time).await?;
            self.state.advance(&self.name, &checkpoint).await?;
            self.keep_view().await?;
        } else {
            self.keep_view().await?;
            self.turns.know_epoch(None);
            self.state.reset(&self.name, Some(&checkpoint)).await?;
            self.detach(None).await?;
            self.note_read(time).await?;
        }
        Ok(())
    }

    /// Notes that nothing of the collection is left to be read.
    pub(super) async fn note_read(&self, time: Timestamp) -> Result<()> {
        let now = self.source.now().await?;
        let done = Snapshot {
            started: SystemTime::now(),
            version: version_of(time).saturating_sub(1),
            read_from: encode_time(time),
            partitions: Vec::new(),
            consistent_after: None,
        };
        self.note_identity().await?;
        self.state.begin_snapshot(&self.name, &done).await?;
        Ok(self.state.finish_snapshot(&self.name, &encode_time(now)).await?)
    }

    /// Notes whether the table follows its collection, also for commands of later.
    pub(super) async fn detach(&self, by: Option<Since>) -> Result<()> {
        self.live.detached(by.clone());
        let noted = self.state.conditions().await?.into_iter().find(|(name, _)| *name == self.name);
        let condition = match noted {
            Some((_, noted)) if noted.detached != by => Condition { detached: by, ..noted },
            None if by.is_some() => self.condition(SystemTime::now()),
            _ => return Ok(()),
        };
        Ok(self.state.note_conditions(&[(self.name.clone(), condition)]).await?)
    }

    /// Loads the table of any mode anew.
    pub(super) async fn reload_now(self: &Arc<Self>) -> Result<Summary> {
        self.guard_names().await?;
        match self.layout() {
            Layout::Current | Layout::Marked { .. } => {
                self.refuse_load().await?;
                let start = self.reading_start().await?;
                Box::pin(self.reload_from(start, false)).await
            }
            Layout::Rows => {
                let _turn = self.unless_stopped(self.memory.snapshot()).await?;
                self.load_whole(false).await
            }
            Layout::Log => Err(EngineError::NotPossible {
                doing: format!("reloading the pipeline {}", self.name),
                reason: format!(
                    "it is a change log, whose changes the collection does not have; zenith reset {} --from now lets it go on{}",
                    self.name,
                    match self.settings.snapshot {
                        true => ", and another table (table = \"…\") begins with another snapshot",
                        false => "",
                    }
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
