//! The queries of dead letter tables.

use std::time::SystemTime;

/// A document in a table of dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLetter {
    /// The name of the dead letter: the table has none, so it is a hash of its contents.
    pub name: String,
    /// When it was written.
    pub at: SystemTime,
    /// The pipeline; the run of a copy that has no pipeline.
    pub pipeline: String,
    /// The collection.
    pub namespace: String,
    /// `_id` of the document as Extended JSON; empty if it could not be found.
    pub id: String,
    /// Why it has no row.
    pub reason: String,
    /// Bytes of the document.
    pub size: u64,
    /// The version its row would have had; 0 if none is known.
    pub version: u64,
    /// The change it came with; empty if none is known.
    pub operation: String,
    /// Distinguishes changes of one version.
    pub index: u32,
    /// The document, if it was requested.
    pub document: Vec<u8>,
}

/// Which dead letters are meant: those that meet all conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// Those of this pipeline.
    pub pipeline: Option<String>,
    /// Those of this collection.
    pub namespace: Option<String>,
    /// Those of these names.
    pub names: Option<Vec<String>>,
    /// Those that are older.
    pub before: Option<SystemTime>,
    /// Those of this time and later ones.
    pub since: Option<SystemTime>,
    /// Those of this time and earlier ones.
    pub until: Option<SystemTime>,
    /// Those after the dead letter of this time and name, from the oldest on.
    pub behind: Option<(SystemTime, String)>,
    /// Those that a table loaded again may have.
    pub loaded: Option<LoadedAt>,
}

/// The load of a table, about which earlier dead letters say nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedAt {
    /// The version of the rows of the load.
    pub version: u64,
    /// The beginning of the names of runs that write changes rather than a load.
    pub changes: String,
}

/// The dead letters that are read, and in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterQuery {
    /// Which.
    pub filter: LetterFilter,
    /// Whether the newest come first.
    pub newest_first: bool,
    /// The most dead letters that are read.
    pub limit: Option<u64>,
    /// Whether the documents come with them.
    pub documents: bool,
}

/// How dead letters identify a document, regardless of its later changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LetterSubject {
    /// Its `_id` as Extended JSON.
    Id(String),
    /// Its bytes, where the `_id` cannot be read.
    Bytes(Vec<u8>),
}

/// The newest dead letter of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestLetter {
    /// The requested document.
    pub subject: LetterSubject,
    /// Why it has no row.
    pub reason: String,
    /// The document as it was read; empty if it has more bytes than were requested.
    pub document: Vec<u8>,
}
