//! How a collection is to be reloaded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zenith_arrow::UuidOrder;
use zenith_arrow::infer::{Integers, Mixed};

use crate::{EngineError, Result};

/// The table of dead letters, unless another one is named.
pub(crate) const DEAD_LETTERS: &str = "zenith_dead_letters";

/// The default memory budget in bytes.
pub const MEMORY_DEFAULT: usize = 64 * 1024 * 1024;
/// The smallest memory budget in bytes.
pub const MEMORY_MIN: usize = 8 * 1024 * 1024;
/// The largest memory budget in bytes.
const MEMORY_MAX: usize = 1 << 40;
/// The aim for one reply: larger ones leave the processor's cache before they are decoded.
const REPLY_BYTES_MAX: usize = 1024 * 1024;
/// Rows of one insert: what costs ClickHouse no more than one huge insert (about 16 to 24 MB).
const BATCH_ROWS: usize = 131_072;

/// How the new rows take the place of the old ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Into a shadow table that is exchanged with the old one in one step.
    #[default]
    Swap,
    /// Into the table itself, which is emptied first.
    Truncate,
}

/// The average size, in bytes, below which two scans read a collection: of such documents MongoDB delivers so many
/// that a single scan takes most of the time of a copy. Two scans use two of its threads.
const SMALL_DOCUMENT_BYTES: u64 = 128;

/// What happens to documents that cannot be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnBadDocument {
    /// Their bytes go to the table of dead letters, and the run continues.
    #[default]
    Keep,
    /// The run fails.
    Fail,
}

/// How a collection is reloaded.
#[derive(Clone, Debug, PartialEq)]
pub struct ReloadOptions {
    /// How the new rows take the place of the old ones.
    pub strategy: Strategy,
    /// The budget for replies and columns, in bytes.
    pub memory: usize,
    /// Most rows of one insert.
    pub batch_rows: usize,
    /// Concurrent scans; `None` for as many as suit the machine and the documents.
    pub readers: Option<usize>,
    /// Threads that decode.
    pub decoders: usize,
    /// Concurrent inserts.
    pub inserters: usize,
    /// Documents looked at to infer the columns.
    pub sample: usize,
    /// Whether to create the target database if it is not there.
    pub create_database: bool,
    /// Whether a table with other columns may be replaced.
    pub replace: bool,
    /// Whether columns that the table has keep their types while nearly all values fit them.
    pub keep_types: bool,
    /// What happens to documents that cannot be decoded.
    pub on_bad_document: OnBadDocument,
    /// The table of the target database that keeps them.
    pub dead_letters: String,
    /// Whether inserts are acknowledged only when on disk.
    pub fsync: bool,
    /// ObjectIds as 12 bytes (`FixedString(12)`) instead of 24 hex digits.
    pub object_id_fixed: bool,
    /// Decimal128 as exact text instead of `Decimal(38, s)`.
    pub decimal_text: bool,
    /// How wide columns of integers are.
    pub integers: Integers,
    /// What fields of several types become.
    pub mixed: Mixed,
    /// The same for single fields, by their dotted path: `items.price`.
    pub mixed_fields: BTreeMap<String, Mixed>,
    /// How UUIDs of binary subtype 3 are ordered.
    pub uuid_legacy: UuidOrder,
    /// Whether explicit nulls are distinguished from missing fields.
    pub keep_nulls: bool,
}

/// A quarter of the processor's cores: the servers may be on the same machine.
fn share_of_cores() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (cores / 4).clamp(1, 8)
}

impl Default for ReloadOptions {
    fn default() -> ReloadOptions {
        ReloadOptions {
            strategy: Strategy::default(),
            memory: MEMORY_DEFAULT,
            batch_rows: BATCH_ROWS,
            readers: None,
            decoders: share_of_cores(),
            inserters: 2,
            sample: 10_000,
            create_database: false,
            replace: false,
            keep_types: true,
            on_bad_document: OnBadDocument::default(),
            dead_letters: DEAD_LETTERS.to_owned(),
            fsync: false,
            object_id_fixed: false,
            decimal_text: false,
            integers: Integers::default(),
            mixed: Mixed::default(),
            mixed_fields: BTreeMap::new(),
            uuid_legacy: UuidOrder::PythonLegacy,
            keep_nulls: false,
        }
    }
}

impl ReloadOptions {
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |setting, value: usize, reason: &str| {
            Err(EngineError::Setting { setting, value: value.to_string(), reason: reason.to_owned() })
        };
        if self.memory < MEMORY_MIN {
            return wrong("memory", self.memory, "at least 8 MiB are needed");
        }
        if self.memory > MEMORY_MAX {
            return wrong("memory", self.memory, "at most 1 TiB can be used");
        }
        for (setting, value) in [
            ("batch rows", self.batch_rows),
            ("readers", self.readers()),
            ("decoders", self.decoders),
            ("inserters", self.inserters),
            ("sample", self.sample),
        ] {
            if value == 0 {
                return wrong(setting, value, "at least 1 is needed");
            }
        }
        for (setting, value) in
            [("readers", self.readers()), ("decoders", self.decoders), ("inserters", self.inserters)]
        {
            if value > 64 {
                return wrong(setting, value, "more than 64 at once only get in each other's way");
            }
        }
        Ok(())
    }

    /// Refuses names that would be one.
    pub(crate) fn check_names(&self, table: &str) -> Result<()> {
        let reason = match self.dead_letters.as_str() {
            "" => "it needs a name",
            name if name == table => "it is the table that is loaded: name another for one of the two",
            _ => return Ok(()),
        };
        Err(EngineError::Setting {
            setting: "the table of dead letters",
            value: format!("{:?}", self.dead_letters),
            reason: reason.to_owned(),
        })
    }

    /// Bytes of the budget replies may occupy before they are decoded.
    pub(crate) fn landing_bytes(&self) -> usize {
        self.memory / 4
    }

    /// Bytes one record batch may occupy: the rest of the budget has to hold those being filled and those
    /// being sent.
    pub(crate) fn batch_bytes(&self) -> usize {
        let memory = self.decoders + self.inserters.min(2);
        (self.memory - self.landing_bytes()) / memory.max(2)
    }

    /// Scans side by side, whatever the documents.
    ///
    /// With few cores the two servers leave none to spare, and a single scan costs least.
    pub(crate) fn readers(&self) -> usize {
        self.readers.unwrap_or_else(share_of_cores)
    }

    /// Scans side by side of documents of this average size.
    pub(crate) fn readers_of(&self, document_bytes: Option<u64>) -> usize {
        match (self.readers, document_bytes) {
            (None, Some(..=SMALL_DOCUMENT_BYTES)) => self.readers().max(2),
            _ => self.readers(),
        }
    }

    /// The aim for one reply of so many scans side by side, in bytes.
    pub(crate) fn reply_bytes(&self, readers: usize) -> usize {
        let each = self.landing_bytes() / (readers * 2).max(2);
        each.clamp(256 * 1024, REPLY_BYTES_MAX)
    }
}
