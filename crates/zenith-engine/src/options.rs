//! How a collection is to be reloaded.

use std::sync::OnceLock;

use crate::table_options::TableOptions;
use crate::table_shape::TableShape;
use crate::{EngineError, Result};

/// The default memory budget in bytes.
pub const MEMORY_DEFAULT: usize = 64 * 1024 * 1024;
/// The smallest memory budget in bytes.
pub const MEMORY_MIN: usize = 8 * 1024 * 1024;
/// The largest memory budget in bytes.
const MEMORY_MAX: usize = 1 << 40;
/// The aim for one reply: larger ones leave the processor's cache before they are decoded.
const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// The average size, in bytes, below which two scans read a collection: of such documents MongoDB delivers so many
/// that a single scan takes most of the time of a copy. Two scans use two of its threads.
const SMALL_DOCUMENT_BYTES: u64 = 128;

/// How a collection is reloaded: what its table is to be like, and what this one reload may do and use.
#[derive(Clone, Debug, PartialEq)]
pub struct ReloadOptions {
    /// How the table is made and loaded.
    pub table: TableOptions,
    /// What the table is like.
    pub shape: TableShape,
    /// The budget for replies and columns, in bytes.
    pub memory: usize,
    /// Threads that decode.
    pub decoders: usize,
    /// Whether to create the target database if it is not there.
    pub create_database: bool,
    /// Whether a table with other columns may be replaced.
    pub replace: bool,
    /// Whether a table of the user's own shape is tried under another name before anything is made; a plan that is only looked
    /// at needs none.
    pub try_table: bool,
    /// Whether columns that the table has keep their types while nearly all values fit them.
    pub keep_types: bool,
}

/// A quarter of the processor's cores: the servers may be on the same machine.
fn share_of_cores() -> usize {
    // The system is asked once: the answer takes it a dozen files.
    static CORES: OnceLock<usize> = OnceLock::new();
    let cores = CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    (cores / 4).clamp(1, 8)
}

impl Default for ReloadOptions {
    fn default() -> ReloadOptions {
        ReloadOptions {
            table: TableOptions::default(),
            shape: TableShape::default(),
            memory: MEMORY_DEFAULT,
            decoders: share_of_cores(),
            create_database: false,
            replace: false,
            try_table: true,
            keep_types: true,
        }
    }
}

impl From<TableOptions> for ReloadOptions {
    /// A reload that decodes with no more threads than it reads with.
    fn from(table: TableOptions) -> ReloadOptions {
        let default = ReloadOptions::default();
        let decoders = table.readers.map_or(default.decoders, |readers| readers.clamp(1, default.decoders));
        ReloadOptions { table, decoders, ..default }
    }
}

impl ReloadOptions {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// [`EngineError::Setting`], which names it.
    pub fn check(&self) -> Result<()> {
        let wrong = |setting, value: usize, reason: &str| {
            Err(EngineError::Setting { setting, value: value.to_string(), reason: reason.to_owned() })
        };
        if self.memory < MEMORY_MIN {
            return wrong("memory", self.memory, "at least 8 MiB are needed");
        }
        if self.memory > MEMORY_MAX {
            return wrong("memory", self.memory, "at most 1 TiB can be used");
        }
        if let Some((setting, value, reason)) = self.table.unusable_numbers().next() {
            return wrong(setting, value, reason);
        }
        if let Some((setting, path, reason)) = self.table.unusable_path() {
            let (value, reason) = (format!("{path:?}"), format!("it {reason}"));
            return Err(EngineError::Setting { setting, value, reason });
        }
        self.table.query()?;
        match self.decoders {
            0 => wrong("decoders", 0, "at least 1 is needed"),
            decoders if decoders > 64 => {
                wrong("decoders", decoders, "more than 64 at once only get in each other's way")
            }
            _ => Ok(()),
        }
    }

    /// Refuses names that would be one.
    pub(crate) fn check_names(&self, table: &str) -> Result<()> {
        let reason = match self.table.dead_letters.as_str() {
            "" => "it needs a name",
            name if name == table => "it is the table that is loaded: name another for one of the two",
            _ => return Ok(()),
        };
        Err(EngineError::Setting {
            setting: "the table of dead letters",
            value: format!("{:?}", self.table.dead_letters),
            reason: reason.to_owned(),
        })
    }

    /// Bytes of the budget replies may occupy before they are decoded.
    pub(crate) fn replies_bytes(&self) -> usize {
        self.memory / 4
    }

    /// Bytes one record batch may occupy: the rest of the budget has to hold those being filled and those
    /// being sent.
    pub(crate) fn batch_bytes(&self) -> usize {
        let memory = self.decoders + self.table.inserters.min(2);
        (self.memory - self.replies_bytes()) / memory.max(2)
    }

    /// Scans side by side, whatever the documents.
    ///
    /// With few cores the two servers leave none to spare, and a single scan costs least.
    pub(crate) fn readers(&self) -> usize {
        self.table.readers.unwrap_or_else(share_of_cores)
    }

    /// Scans side by side of documents of this average size.
    pub(crate) fn readers_of(&self, document_bytes: Option<u64>) -> usize {
        match (self.table.readers, document_bytes) {
            (None, Some(..=SMALL_DOCUMENT_BYTES)) => self.readers().max(2),
            _ => self.readers(),
        }
    }

    /// The aim for one reply of so many scans side by side, in bytes.
    pub(crate) fn reply_bytes(&self, readers: usize) -> usize {
        let each = self.replies_bytes() / (readers * 2).max(2);
        each.clamp(256 * 1024, REPLY_BYTES_MAX)
    }
}
