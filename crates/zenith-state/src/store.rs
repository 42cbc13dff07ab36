//! The trait of stores: places that keep the state.
//!
//! *When to use what*: write an engine against [`StateStore`], whose futures are not boxed; use
//! [`DynStateStore`](crate::DynStateStore) where the store is chosen at run time.
//!
//! What an implementation promises, and [`state_test_suite!`](crate::state_test_suite) checks:
//!
//! 1. What a method has acknowledged survives a crash, as far as the store survives the process at all.
//! 2. A method has all of its effect or none, also when its future is dropped.
//! 3. A checkpoint moves backwards by [`StateStore::reset`] alone.
//! 4. An intent is closed in the same step as its checkpoint is saved: after a crash, an open intent means
//!    that its rows may or may not have landed, and a closed one that they have. What of the rows did not fit is
//!    counted in that step, too, so that a replay after a crash does not count twice.
//! 5. [`StateStore::epoch`] grows with each life of a pipeline, and never goes back.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::SystemTime;

use crate::{
    AuditEntry, Checkpoint, Condition, Connector, Figures, Identity, Intent, Mismatches, PipelineRecord,
    Request, RequestEnd, Result, Run, RunEnd, RunStart, SchemaChange, SchemaVersion, Snapshot,
};

/// A store of what was applied, of the progress of pipelines, and of the history of runs.
///
/// For a pipeline that the store does not have, methods that read return nothing, and methods that write
/// fail with [`StateError::Missing`](crate::StateError::Missing).
pub trait StateStore: Send + Sync + 'static {
    /// All connectors, by name.
    fn connectors(&self) -> impl Future<Output = Result<Vec<Connector>>> + Send;

    /// Adds a connector, or replaces the one of its name.
    ///
    /// # Errors
    /// [`Secret`](crate::StateError::Secret) if its address has a password itself instead of a reference to
    /// one; [`InUse`](crate::StateError::InUse) if it changes its role while a pipeline uses it.
    fn put_connector(&self, connector: &Connector) -> impl Future<Output = Result<()>> + Send;

    /// Removes a connector, and says whether it was there.
    ///
    /// # Errors
    /// [`InUse`](crate::StateError::InUse) while a pipeline uses it.
    fn remove_connector(&self, name: &str) -> impl Future<Output = Result<bool>> + Send;

    /// All pipelines, by name.
    fn pipelines(&self) -> impl Future<Output = Result<Vec<PipelineRecord>>> + Send;

    /// Adds a pipeline, or replaces the settings of the one of its name, which keeps its progress. Whether it
    /// is paused is as in the record.
    ///
    /// # Errors
    /// [`Missing`](crate::StateError::Missing) if there is no such source or no such target.
    fn put_pipeline(&self, pipeline: &PipelineRecord) -> impl Future<Output = Result<()>> + Send;

    /// Pauses or resumes a pipeline, and says whether it was there.
    fn set_paused(&self, pipeline: &str, paused: bool) -> impl Future<Output = Result<bool>> + Send;

    /// Removes a pipeline with its checkpoint, intents, snapshot, mismatches and schemas, and says whether it was there.
    /// Its history stays, and its epoch is past: a pipeline that takes the name later begins a new one.
    fn remove_pipeline(&self, pipeline: &str) -> impl Future<Output = Result<bool>> + Send;

    /// Adds a schema and returns its version; if the newest one has the same bytes and the same cause, returns the version of
    /// that, which takes the statement over if it has none.
    fn add_schema(&self, pipeline: &str, change: &SchemaChange) -> impl Future<Output = Result<u32>> + Send;

    /// The schemas of a pipeline, oldest first.
    fn schemas(&self, pipeline: &str) -> impl Future<Output = Result<Vec<SchemaVersion>>> + Send;

    /// The newest version of the schema of each pipeline that has one, by name.
    fn schema_versions(&self) -> impl Future<Output = Result<BTreeMap<String, u32>>> + Send {
        async {
            let mut versions = BTreeMap::new();
            for PipelineRecord { name, .. } in self.pipelines().await? {
                if let Some(newest) = self.schemas(&name).await?.last() {
                    versions.insert(name, newest.version);
                }
            }
            Ok(versions)
        }
    }

    /// How far a pipeline has come; `None` if it has not begun.
    fn checkpoint(&self, pipeline: &str) -> impl Future<Output = Result<Option<Checkpoint>>> + Send;

    /// Moves the checkpoint forward without an insert, as when nothing happens at the source. The same order
    /// again is no step back.
    ///
    /// # Errors
    /// [`Backwards`](crate::StateError::Backwards) if the checkpoint is further already; nothing is changed.
    fn advance(&self, pipeline: &str, checkpoint: &Checkpoint) -> impl Future<Output = Result<()>> + Send;

    /// Notes an insert that is about to be sent. It is durable once this returns.
    ///
    /// # Errors
    /// [`IntentExists`](crate::StateError::IntentExists) if the pipeline has an open intent of that token.
    fn begin_intent(&self, intent: &Intent) -> impl Future<Output = Result<()>> + Send;

    /// Moves the checkpoint forward, closes the intent and counts what of its rows did not fit, in one step. They
    /// are counted at the moment the checkpoint was saved.
    ///
    /// # Errors
    /// [`UnknownIntent`](crate::StateError::UnknownIntent) if it is not open,
    /// [`Backwards`](crate::StateError::Backwards) if the checkpoint is further already; nothing is changed.
    fn commit_intent(
        &self,
        pipeline: &str,
        token: &str,
        checkpoint: &Checkpoint,
        mismatches: &Mismatches,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Closes an intent whose insert is known not to have landed.
    ///
    /// # Errors
    /// [`UnknownIntent`](crate::StateError::UnknownIntent) if it is not open.
    fn abandon_intent(&self, pipeline: &str, token: &str) -> impl Future<Output = Result<()>> + Send;

    /// The inserts that may or may not have landed, in the order in which they were noted.
    fn open_intents(&self, pipeline: &str) -> impl Future<Output = Result<Vec<Intent>>> + Send;

    /// Sets the checkpoint as a user wishes, backwards too, or removes it. Open intents and the snapshot are
    /// removed, and a new epoch begins.
    fn reset(
        &self,
        pipeline: &str,
        checkpoint: Option<&Checkpoint>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Number of resets so far, removals included. It belongs in every token of an insert, so that a target
    /// that remembers tokens does not take a new life of the pipeline for a repeat of an earlier one.
    fn epoch(&self, pipeline: &str) -> impl Future<Output = Result<u64>> + Send;

    /// The epochs of all pipelines, by their names.
    fn epochs(&self) -> impl Future<Output = Result<BTreeMap<String, u64>>> + Send {
        async {
            let mut epochs = BTreeMap::new();
            for PipelineRecord { name, .. } in self.pipelines().await? {
                let epoch = self.epoch(&name).await?;
                epochs.insert(name, epoch);
            }
            Ok(epochs)
        }
    }

    /// The snapshot that was begun last; `None` if there was none since the last reset.
    fn snapshot(&self, pipeline: &str) -> impl Future<Output = Result<Option<Snapshot>>> + Send;

    /// Notes a snapshot and its partitions, in place of an earlier one.
    ///
    /// # Errors
    /// [`RepeatedPartition`](crate::StateError::RepeatedPartition) if two partitions have the same index.
    fn begin_snapshot(&self, pipeline: &str, snapshot: &Snapshot) -> impl Future<Output = Result<()>> + Send;

    /// Notes that all rows of some partitions are durable, each with its index and how many they are, and counts
    /// what of them did not fit, in one step. May be repeated; the last number of rows counts, and the mismatches of the
    /// first time.
    ///
    /// # Errors
    /// [`Missing`](crate::StateError::Missing) if there is no such partition.
    fn finish_partitions(
        &self,
        pipeline: &str,
        parts: &[(u32, u64)],
        mismatches: &Mismatches,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Notes that all partitions have been read, and which position the stream must pass for the table to be
    /// consistent.
    ///
    /// # Errors
    /// [`Missing`](crate::StateError::Missing) if there is no snapshot,
    /// [`Unfinished`](crate::StateError::Unfinished) if a partition is not done.
    fn finish_snapshot(
        &self,
        pipeline: &str,
        consistent_after: &[u8],
    ) -> impl Future<Output = Result<()>> + Send;

    /// What did not fit since the table was loaded, or in the slots of five minutes that end after a moment within
    /// the last hour.
    fn mismatches(
        &self,
        pipeline: &str,
        after: Option<SystemTime>,
    ) -> impl Future<Output = Result<Mismatches>> + Send;

    /// What did not fit in each slot of five minutes of the last hour that has something, oldest first, with the moment at which
    /// the slot begins.
    fn mismatch_slots(
        &self,
        pipeline: &str,
    ) -> impl Future<Output = Result<Vec<(SystemTime, Mismatches)>>> + Send;

    /// Puts what did not fit into a table that was loaded again in the place of all that was counted before.
    fn set_mismatches(
        &self,
        pipeline: &str,
        mismatches: &Mismatches,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Subtracts dead letters that were retried or removed from those of a pipeline, by reason; never below zero.
    fn settle_letters(
        &self,
        pipeline: &str,
        letters: &BTreeMap<String, u64>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Takes values off that were counted for `reason`, of these fields and of their parts, and counts `instead` in their
    /// place, in one step.
    fn recount_values(
        &self,
        pipeline: &str,
        fields: &[String],
        reason: &str,
        instead: &Mismatches,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Begins a run in the history and returns its number. Only the newest [`RUNS_MAX`](crate::RUNS_MAX) of a pipeline are
    /// kept.
    fn start_run(&self, run: &RunStart) -> impl Future<Output = Result<i64>> + Send;

    /// Ends a run. The end that a run records itself replaces one that another process recorded before.
    ///
    /// # Errors
    /// [`Missing`](crate::StateError::Missing) if there is no such run.
    fn finish_run(&self, id: i64, end: &RunEnd) -> impl Future<Output = Result<()>> + Send;

    /// Notes the figures of a run under way, so that a crash leaves the last ones. Does nothing to a run that
    /// has ended. It costs as much as a commit, so every few seconds is often enough.
    ///
    /// # Errors
    /// [`Missing`](crate::StateError::Missing) if there is no such run.
    fn touch_run(&self, id: i64, figures: Figures) -> impl Future<Output = Result<()>> + Send;

    /// The newest runs of a pipeline or of all, newest first, `limit` at most.
    fn runs(&self, pipeline: Option<&str>, limit: u32) -> impl Future<Output = Result<Vec<Run>>> + Send;

    /// Notes the conditions of pipelines, in place of those noted before. Unknown pipelines are left out.
    fn note_conditions(&self, conditions: &[(String, Condition)]) -> impl Future<Output = Result<()>> + Send;

    /// The conditions that were noted last, by pipeline name.
    fn conditions(&self) -> impl Future<Output = Result<Vec<(String, Condition)>>> + Send;

    /// Asks something of the run under way, and returns the number of the request. Requests that ended a day ago are
    /// forgotten.
    fn add_request(
        &self,
        pipeline: &str,
        action: &str,
        arguments: &str,
    ) -> impl Future<Output = Result<i64>> + Send;

    /// The requests that have not ended, oldest first.
    fn open_requests(&self) -> impl Future<Output = Result<Vec<Request>>> + Send;

    /// A request; `None` if it is not known any more.
    fn request(&self, id: i64) -> impl Future<Output = Result<Option<Request>>> + Send;

    /// Takes a request to carry it out, and says whether it is there for that: neither taken, nor cancelled, nor ended.
    fn take_request(&self, id: i64) -> impl Future<Output = Result<bool>> + Send;

    /// Notes how far a request is. Does nothing to one that has ended.
    fn note_request(&self, id: i64, progress: &str) -> impl Future<Output = Result<()>> + Send;

    /// Cancels a request. The run that has taken it ends it.
    fn cancel_request(&self, id: i64) -> impl Future<Output = Result<()>> + Send;

    /// Ends a request.
    ///
    /// # Errors
    /// [`Missing`](crate::StateError::Missing) if there is no such request.
    fn end_request(&self, id: i64, end: &RequestEnd) -> impl Future<Output = Result<()>> + Send;

    /// Notes a change that somebody asked for, before it is made. Only the newest [`AUDIT_MAX`](crate::AUDIT_MAX) are kept.
    fn note_audit(&self, entry: &AuditEntry) -> impl Future<Output = Result<()>> + Send;

    /// The newest changes that somebody asked for, newest first, `limit` at most, with their numbers.
    fn audit(&self, limit: u32) -> impl Future<Output = Result<Vec<(i64, AuditEntry)>>> + Send;

    /// Which databases the ends of a pipeline are known to be; `None` if it has not begun.
    fn identity(&self, pipeline: &str) -> impl Future<Output = Result<Option<Identity>>> + Send;

    /// Notes which databases the ends of a pipeline are.
    fn set_identity(&self, pipeline: &str, identity: &Identity) -> impl Future<Output = Result<()>> + Send;

    /// Which alerts were told to whom, opaque; empty if none ever was.
    fn alerts(&self) -> impl Future<Output = Result<String>> + Send;

    /// Notes which alerts were told, in place of what was noted before.
    fn set_alerts(&self, told: &str) -> impl Future<Output = Result<()>> + Send;
}
