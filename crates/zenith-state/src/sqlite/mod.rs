//! A store in one SQLite file.
//!
//! | file | |
//! | --- | --- |
//! | `open.rs` | three ways to open it, and what each may do |
//! | `lock.rs` | one process that writes at a time |
//! | `migrate.rs` | which format a file has, and bringing it up to date |
//! | `session.rs` | connections and transactions |
//! | `fault.rs` | what SQLite's codes mean |
//! | `values.rs` | moments and numbers as SQLite keeps them |
//! | `applied.rs`, `schemas.rs`, `progress.rs`, `snapshot.rs`, `mismatches.rs`, `history.rs`, `operation.rs`, `audit.rs`, `alerts.rs` | the tables |
//!
//! What it relies on: a write-ahead log with `synchronous = FULL`, so that a transaction is on the disk once
//! it has been committed, and a commit costs one `fsync`. It never maps the file and keeps little of it in
//! memory: what is read most, a checkpoint, is a single row.

mod alerts;
mod applied;
mod audit;
mod fault;
mod history;
mod lock;
mod migrate;
mod mismatches;
mod open;
mod operation;
mod progress;
mod schemas;
mod session;
mod snapshot;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use self::session::{Session, Slot};
use crate::{
    AuditEntry, Checkpoint, Condition, Connector, Figures, Identity, Intent, Mismatches, PipelineRecord,
    Request, RequestEnd, Result, Run, RunEnd, RunStart, SchemaChange, SchemaVersion, Snapshot, StateError,
    StateStore,
};

/// A store in one SQLite file.
///
/// | opened by | for | lock | creates and migrates | writes |
/// | --- | --- | --- | --- | --- |
/// | [`open`](SqliteStore::open) | the process that moves data | holds it | yes | yes |
/// | [`open_shared`](SqliteStore::open_shared) | short commands, beside that process too | only to migrate | if nobody holds the lock | yes |
/// | [`open_read_only`](SqliteStore::open_read_only) | looking | none | no | no |
///
/// The lock is on a file beside the database, `<database>.lock`, and ends with the process however that ends.
/// The file itself is not removed.
pub struct SqliteStore {
    path: PathBuf,
    reader: Slot,
    writer: Option<Slot>,
    /// Held until the store is dropped.
    lock: Option<File>,
}

impl SqliteStore {
    /// Where the database is, links resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes the database, which moves what is in its log into the file itself.
    ///
    /// A store that is merely dropped is closed in the background. Nothing is lost either way.
    ///
    /// # Errors
    /// If SQLite cannot close it; what was acknowledged is durable all the same.
    pub async fn close(self) -> Result<()> {
        self.reader.close().await?;
        if let Some(writer) = self.writer {
            writer.close().await?;
        }
        drop(self.lock);
        Ok(())
    }

    /// A view of the state that does not change while it is read.
    async fn read(&self, action: &'static str) -> Result<Session<'_>> {
        self.reader.begin(action, "BEGIN DEFERRED").await
    }

    /// A transaction; the only one that writes, among all processes.
    async fn write(&self, action: &'static str) -> Result<Session<'_>> {
        let Some(writer) = &self.writer else {
            return Err(StateError::ReadOnly { action, path: self.path.clone() });
        };
        writer.begin(action, "BEGIN IMMEDIATE").await
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SqliteStore")
            .field("path", &self.path)
            .field("writes", &self.writer.is_some())
            .field("locked", &self.lock.is_some())
            .finish_non_exhaustive()
    }
}

impl StateStore for SqliteStore {
    async fn connectors(&self) -> Result<Vec<Connector>> {
        applied::connectors(self).await
    }

    async fn put_connector(&self, connector: &Connector) -> Result<()> {
        applied::put_connector(self, connector).await
    }

    async fn remove_connector(&self, name: &str) -> Result<bool> {
        applied::remove_connector(self, name).await
    }

    async fn pipelines(&self) -> Result<Vec<PipelineRecord>> {
        applied::pipelines(self).await
    }

    async fn put_pipeline(&self, pipeline: &PipelineRecord) -> Result<()> {
        applied::put_pipeline(self, pipeline).await
    }

    async fn set_paused(&self, pipeline: &str, paused: bool) -> Result<bool> {
        applied::set_paused(self, pipeline, paused).await
    }

    async fn remove_pipeline(&self, pipeline: &str) -> Result<bool> {
        applied::remove_pipeline(self, pipeline).await
    }

    async fn add_schema(&self, pipeline: &str, change: &SchemaChange) -> Result<u32> {
        schemas::add(self, pipeline, change).await
    }

    async fn schemas(&self, pipeline: &str) -> Result<Vec<SchemaVersion>> {
        schemas::all(self, pipeline).await
    }

    async fn checkpoint(&self, pipeline: &str) -> Result<Option<Checkpoint>> {
        progress::checkpoint(self, pipeline).await
    }

    async fn advance(&self, pipeline: &str, checkpoint: &Checkpoint) -> Result<()> {
        progress::advance(self, pipeline, checkpoint).await
    }

    async fn begin_intent(&self, intent: &Intent) -> Result<()> {
        progress::begin_intent(self, intent).await
    }

    async fn commit_intent(
        &self,
        pipeline: &str,
        token: &str,
        checkpoint: &Checkpoint,
        mismatches: &Mismatches,
    ) -> Result<()> {
        progress::commit_intent(self, pipeline, token, checkpoint, mismatches).await
    }

    async fn abandon_intent(&self, pipeline: &str, token: &str) -> Result<()> {
        progress::abandon_intent(self, pipeline, token).await
    }

    async fn open_intents(&self, pipeline: &str) -> Result<Vec<Intent>> {
        progress::open_intents(self, pipeline).await
    }

    async fn reset(&self, pipeline: &str, checkpoint: Option<&Checkpoint>) -> Result<()> {
        progress::reset(self, pipeline, checkpoint).await
    }

    async fn epoch(&self, pipeline: &str) -> Result<u64> {
        progress::epoch(self, pipeline).await
    }

    async fn schema_versions(&self) -> Result<BTreeMap<String, u32>> {
        schemas::versions(self).await
    }

    async fn epochs(&self) -> Result<BTreeMap<String, u64>> {
        progress::epochs(self).await
    }

    async fn snapshot(&self, pipeline: &str) -> Result<Option<Snapshot>> {
        snapshot::snapshot(self, pipeline).await
    }

    async fn begin_snapshot(&self, pipeline: &str, snapshot: &Snapshot) -> Result<()> {
        snapshot::begin(self, pipeline, snapshot).await
    }

    async fn finish_partitions(
        &self,
        pipeline: &str,
        parts: &[(u32, u64)],
        mismatches: &Mismatches,
    ) -> Result<()> {
        snapshot::finish_partitions(self, pipeline, parts, mismatches).await
    }

    async fn finish_snapshot(&self, pipeline: &str, consistent_after: &[u8]) -> Result<()> {
        snapshot::finish(self, pipeline, consistent_after).await
    }

    async fn mismatches(&self, pipeline: &str, after: Option<SystemTime>) -> Result<Mismatches> {
        mismatches::read(self, pipeline, after).await
    }

    async fn mismatch_slots(&self, pipeline: &str) -> Result<Vec<(SystemTime, Mismatches)>> {
        mismatches::slots(self, pipeline).await
    }

    async fn set_mismatches(&self, pipeline: &str, mismatches: &Mismatches) -> Result<()> {
        mismatches::set(self, pipeline, mismatches).await
    }

    async fn recount_values(
        &self,
        pipeline: &str,
        fields: &[String],
        reason: &str,
        instead: &Mismatches,
    ) -> Result<()> {
        mismatches::recount(self, pipeline, fields, reason, instead).await
    }

    async fn settle_letters(&self, pipeline: &str, letters: &BTreeMap<String, u64>) -> Result<()> {
        mismatches::settle(self, pipeline, letters).await
    }

    async fn start_run(&self, run: &RunStart) -> Result<i64> {
        history::start(self, run).await
    }

    async fn finish_run(&self, id: i64, end: &RunEnd) -> Result<()> {
        history::finish(self, id, end).await
    }

    async fn touch_run(&self, id: i64, figures: Figures) -> Result<()> {
        history::touch(self, id, figures).await
    }

    async fn runs(&self, pipeline: Option<&str>, limit: u32) -> Result<Vec<Run>> {
        history::runs(self, pipeline, limit).await
    }

    async fn note_conditions(&self, conditions: &[(String, Condition)]) -> Result<()> {
        operation::note_conditions(self, conditions).await
    }

    async fn conditions(&self) -> Result<Vec<(String, Condition)>> {
        operation::conditions(self).await
    }

    async fn add_request(&self, pipeline: &str, action: &str, arguments: &str) -> Result<i64> {
        operation::add_request(self, pipeline, action, arguments).await
    }

    async fn open_requests(&self) -> Result<Vec<Request>> {
        operation::open_requests(self).await
    }

    async fn request(&self, id: i64) -> Result<Option<Request>> {
        operation::request(self, id).await
    }

    async fn take_request(&self, id: i64) -> Result<bool> {
        operation::take_request(self, id).await
    }

    async fn note_request(&self, id: i64, progress: &str) -> Result<()> {
        operation::note_request(self, id, progress).await
    }

    async fn cancel_request(&self, id: i64) -> Result<()> {
        operation::cancel_request(self, id).await
    }

    async fn end_request(&self, id: i64, end: &RequestEnd) -> Result<()> {
        operation::end_request(self, id, end).await
    }

    async fn note_audit(&self, entry: &AuditEntry) -> Result<()> {
        audit::note(self, entry).await
    }

    async fn audit(&self, limit: u32) -> Result<Vec<(i64, AuditEntry)>> {
        audit::newest(self, limit).await
    }

    async fn identity(&self, pipeline: &str) -> Result<Option<Identity>> {
        operation::identity(self, pipeline).await
    }

    async fn set_identity(&self, pipeline: &str, identity: &Identity) -> Result<()> {
        operation::set_identity(self, pipeline, identity).await
    }

    async fn alerts(&self) -> Result<String> {
        alerts::told(self).await
    }

    async fn set_alerts(&self, told: &str) -> Result<()> {
        alerts::set_told(self, told).await
    }
}
