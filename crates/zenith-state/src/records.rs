//! What a store keeps, as plain values.
//!
//! Positions, orders, partitions and schemas are bytes that only the engine reads; settings and options are
//! text that only the command reads. A store compares [`Checkpoint::order`] and nothing else.

use std::fmt;
use std::time::SystemTime;

use crate::secret;

/// A named end of pipelines: a database that is read, or one that is written.
#[derive(Clone, PartialEq)]
pub struct Connector {
    /// Its name, unique among sources and targets together.
    pub name: String,
    /// Which end it is.
    pub role: Role,
    /// Its address as it was written, references such as `${MONGO_PASSWORD}` not yet replaced. An address
    /// that has a password itself is refused by [`StateStore::put_connector`](crate::StateStore::put_connector).
    pub uri: String,
    /// Further settings, opaque.
    pub options: String,
}

/// Shows an address whose password has been masked: a record may be printed before a store has refused it.
impl fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = if secret::is_literal(&self.uri) { "(has a password)" } else { &self.uri };
        formatter
            .debug_struct("Connector")
            .field("name", &self.name)
            .field("role", &self.role)
            .field("uri", &uri)
            .field("options", &self.options)
            .finish()
    }
}

/// Which end of a pipeline a connector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is read.
    Source,
    /// It is written.
    Target,
}

impl Role {
    /// The word for it: `source` or `target`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Source => "source",
            Role::Target => "target",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A pipeline as it was applied.
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineRecord {
    /// Its name.
    pub name: String,
    /// The connector it reads.
    pub source: String,
    /// The connector it writes.
    pub target: String,
    /// Everything else about it, opaque.
    pub settings: String,
    /// Whether it is to stand still.
    pub paused: bool,
}

/// One of the schemas a pipeline has had.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaVersion {
    /// 1 for the first, 2 for the next.
    pub version: u32,
    /// When it was added.
    pub created: SystemTime,
    /// What it is and why.
    pub change: SchemaChange,
}

/// A schema and why it is as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaChange {
    /// The schema, opaque.
    pub schema: Vec<u8>,
    /// Why it took the place of the one before it, in words.
    pub cause: String,
    /// The statement that changed the table, if it was there before; empty otherwise.
    pub statement: String,
}

/// How far a pipeline has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Where to continue, opaque.
    pub position: Vec<u8>,
    /// Compares bytewise as positions do: a checkpoint with a smaller one lies further back.
    pub order: Vec<u8>,
    /// The source's own time at the position.
    pub source_time: Option<SystemTime>,
    /// Rows written so far.
    pub rows: u64,
    /// When it was saved.
    pub saved: SystemTime,
}

/// An insert that is about to be sent, so that it can be repeated exactly after a crash.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// The pipeline.
    pub pipeline: String,
    /// What names the insert at the target: one that has landed is not taken twice.
    pub token: String,
    /// The position before its first row, opaque.
    pub from: Vec<u8>,
    /// The position of its last row, opaque.
    pub to: Vec<u8>,
    /// Number of its rows.
    pub rows: u64,
    /// When it was noted.
    pub created: SystemTime,
}

/// A snapshot under way, or one that waits for the stream to pass it.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// When it began.
    pub started: SystemTime,
    /// The version that its rows carry.
    pub version: u64,
    /// The stream position that was current when it began, opaque.
    pub read_from: Vec<u8>,
    /// Its parts, in order of their indexes.
    pub partitions: Vec<SnapshotPartition>,
    /// The position the stream must have passed for the table to be consistent; `None` while partitions are
    /// still being read.
    pub consistent_after: Option<Vec<u8>>,
}

/// One part of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotPartition {
    /// Its place among the parts.
    pub index: u32,
    /// Which documents it means, opaque.
    pub partition: Vec<u8>,
    /// Whether all its rows are durable.
    pub done: bool,
    /// Number of its rows, once it is done.
    pub rows: u64,
}

/// The beginning of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunStart {
    /// The pipeline; it need not be one of the store.
    pub pipeline: String,
    /// What kind of run, as in `full`.
    pub mode: String,
    /// Zenith's version.
    pub version: String,
    /// When it began.
    pub started: SystemTime,
}

/// What a run has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Rows written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Values that went to the extra column.
    pub extra_values: u64,
    /// Documents that went to the dead letter table.
    pub dead_letters: u64,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEnd {
    /// When it ended.
    pub ended: SystemTime,
    /// How it ended.
    pub outcome: Outcome,
    /// What it did.
    pub figures: Figures,
    /// Why it failed, in a sentence.
    pub error: Option<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was to do.
    Done,
    /// It was stopped.
    Stopped,
    /// It failed.
    Failed,
}

impl Outcome {
    /// The word for it: `done`, `stopped` or `failed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Stopped => "stopped",
            Outcome::Failed => "failed",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A run in the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its number; later runs have larger ones.
    pub id: i64,
    /// The pipeline.
    pub pipeline: String,
    /// What kind of run.
    pub mode: String,
    /// Zenith's version.
    pub version: String,
    /// When it began.
    pub started: SystemTime,
    /// When it ended; `None` while it runs. Of a run that a crash ended, when that was noticed.
    pub ended: Option<SystemTime>,
    /// How it ended; `None` while it runs.
    pub outcome: Option<Outcome>,
    /// What it did, as far as is known.
    pub figures: Figures,
    /// Why it failed; [`INTERRUPTED`](crate::INTERRUPTED) for one that a crash ended.
    pub error: Option<String>,
}
