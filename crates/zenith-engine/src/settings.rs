//! How one pipeline is kept in step. The same text is what people write in `zenith.toml` and what the state keeps.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Integers, Mixed, OnBadDocument, ReloadOptions, Strategy, UuidOrder};

/// What a pipeline does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The whole collection, each time it runs.
    Full,
    /// Snapshot and change stream: the table holds each document as it is now.
    #[default]
    Changes,
    /// Change stream: the table holds one row for each change.
    ChangeLog,
    /// New documents by ascending `_id`: for collections that only grow, and servers without change streams.
    IdCursor,
}

impl Mode {
    /// The name of the mode in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mode::Full => "full",
            Mode::Changes => "changes",
            Mode::ChangeLog => "change-log",
            Mode::IdCursor => "id-cursor",
        }
    }

    /// Whether it follows the change stream.
    #[must_use]
    pub fn follows_changes(self) -> bool {
        matches!(self, Mode::Changes | Mode::ChangeLog)
    }
}

/// What happens when the collection is dropped, renamed, or its database dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDrop {
    /// The pipeline stops with an error; the table stays as it is.
    #[default]
    Stop,
    /// The table is emptied, and the pipeline continues.
    Truncate,
    /// The table keeps its rows, and the pipeline continues.
    Ignore,
}

/// What happens when the server no longer has the changes since the checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnHistoryLost {
    /// The pipeline stops with an error.
    #[default]
    Stop,
    /// The collection is reloaded, and the pipeline continues from there.
    Reload,
}

/// The driver that wrote the UUIDs of the old binary subtype 3. It decides the order of their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UuidLegacy {
    /// Python drivers: as those of subtype 4.
    #[default]
    Python,
    /// Java drivers: each half reversed.
    Java,
    /// C# drivers: the first three groups reversed.
    Csharp,
}

impl From<UuidLegacy> for UuidOrder {
    fn from(legacy: UuidLegacy) -> UuidOrder {
        match legacy {
            UuidLegacy::Python => UuidOrder::PythonLegacy,
            UuidLegacy::Java => UuidOrder::JavaLegacy,
            UuidLegacy::Csharp => UuidOrder::CSharpLegacy,
        }
    }
}

/// The settings of one pipeline. A missing setting has its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PipelineSettings {
    /// The collection, as `collection` or `database.collection`.
    pub collection: String,
    /// The table; the name of the collection if empty.
    pub table: String,
    /// The view of documents as they are now, in the mode `changes`; `<table>_current` if empty.
    pub view: String,
    /// What it does.
    pub mode: Mode,
    /// How a reload replaces the rows.
    pub strategy: Strategy,
    /// The longest a change waits for others before it is inserted.
    #[serde(with = "humantime_serde")]
    pub flush_interval: Duration,
    /// Changes that are inserted without waiting.
    pub flush_rows: usize,
    /// The distance of an id cursor to the newest `_id`, for clients whose clocks differ.
    #[serde(with = "humantime_serde")]
    pub settle: Duration,
    /// The pause between two queries of an id cursor.
    #[serde(with = "humantime_serde")]
    pub poll_interval: Duration,
    /// The reaction when the collection is dropped or renamed.
    pub on_drop: OnDrop,
    /// The reaction when the changes since the checkpoint are lost.
    pub on_history_lost: OnHistoryLost,
    /// The reaction when a document cannot be decoded.
    pub on_bad_document: OnBadDocument,
    /// The table of the target database that keeps documents without a row.
    pub dead_letters: String,
    /// Use images of documents after a change, where the collection keeps them, instead of look-ups. By default only
    /// a change log uses them: its rows then show exactly their time. Other tables are the same either way, and a
    /// look-up costs the server a fraction (see `examples/change_cost.rs` of zenith-extract).
    pub post_images: Option<bool>,
    /// Most rows of one insert of a snapshot.
    pub batch_rows: usize,
    /// Documents looked at to infer the columns.
    pub sample: usize,
    /// Whether inserts are acknowledged only when on disk.
    pub fsync: bool,
    /// Whether the target database is created if it is not there.
    pub create_database: bool,
    /// ObjectIds as 12 bytes instead of 24 hex digits.
    pub object_id_fixed: bool,
    /// Decimal128 as exact text.
    pub decimal_text: bool,
    /// How wide columns of integers are.
    pub integers: Integers,
    /// What fields of several types become.
    pub mixed: Mixed,
    /// The same for single fields, by their dotted path: `items.price`.
    pub mixed_fields: BTreeMap<String, Mixed>,
    /// Byte order of UUIDs of the old binary subtype 3.
    pub uuid_legacy: UuidLegacy,
    /// Whether explicit nulls are distinguished from missing fields.
    pub keep_nulls: bool,
}

impl Default for PipelineSettings {
    fn default() -> PipelineSettings {
        let reload = ReloadOptions::default();
        PipelineSettings {
            collection: String::new(),
            table: String::new(),
            view: String::new(),
            mode: Mode::default(),
            strategy: reload.strategy,
            flush_interval: Duration::from_millis(200),
            flush_rows: 65_536,
            settle: Duration::from_secs(5),
            poll_interval: Duration::from_millis(500),
            on_drop: OnDrop::default(),
            on_history_lost: OnHistoryLost::default(),
            on_bad_document: reload.on_bad_document,
            dead_letters: reload.dead_letters,
            post_images: None,
            batch_rows: reload.batch_rows,
            sample: reload.sample,
            fsync: reload.fsync,
            create_database: true,
            object_id_fixed: reload.object_id_fixed,
            decimal_text: reload.decimal_text,
            integers: reload.integers,
            mixed: reload.mixed,
            mixed_fields: reload.mixed_fields,
            uuid_legacy: UuidLegacy::default(),
            keep_nulls: reload.keep_nulls,
        }
    }
}

impl PipelineSettings {
    /// The name of the view over `table`, if there is to be one.
    #[must_use]
    pub fn view_of(&self, table: &str) -> Option<String> {
        let name = || if self.view.is_empty() { format!("{table}_current") } else { self.view.clone() };
        (self.mode == Mode::Changes).then(name)
    }

    /// The options of a reload or snapshot with these settings and this much memory.
    #[must_use]
    pub fn reload_options(&self, memory: usize) -> ReloadOptions {
        ReloadOptions {
            strategy: self.strategy,
            memory,
            batch_rows: self.batch_rows,
            sample: self.sample,
            create_database: self.create_database,
            on_bad_document: self.on_bad_document,
            dead_letters: self.dead_letters.clone(),
            fsync: self.fsync,
            object_id_fixed: self.object_id_fixed,
            decimal_text: self.decimal_text,
            integers: self.integers,
            mixed: self.mixed,
            mixed_fields: self.mixed_fields.clone(),
            uuid_legacy: self.uuid_legacy.into(),
            keep_nulls: self.keep_nulls,
            ..ReloadOptions::default()
        }
    }
}
