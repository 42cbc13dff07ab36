//! What can go wrong with a store.
//!
//! Every message is one sentence that says what was tried, on what, and what to do; the cause stays in the
//! source chain. Passwords never appear. The caller decides how often to retry; the predicates
//! say what kind of failure it is.

use std::io;
use std::path::PathBuf;

/// Result of everything in this crate.
pub type Result<T> = std::result::Result<T, StateError>;

/// A cause from outside this crate.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process writes this state.
    #[error(
        "the state {} is used by {}: stop it first, or have it do this where it is a zenith serve (zenith --server URL)",
        path.display(),
        holder(*pid)
    )]
    Locked {
        /// The database.
        path: PathBuf,
        /// The process, if it is known.
        pid: Option<u32>,
    },
    /// The state was written by a later version of Zenith.
    #[error(
        "the state {} has format {found}, and this Zenith knows formats up to {known}: use a newer Zenith",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format we know.
        known: i64,
    },
    /// The state was written by an earlier version of Zenith, and may not be changed now.
    #[error(
        "the state {} has format {found}, and this Zenith reads format {known}: \
         start this version once with it, which brings it up to date",
        path.display()
    )]
    Older {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format we know.
        known: i64,
    },
    /// The file is something else.
    #[error("{} is not a state of Zenith: name another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// There is no state where one is to be read.
    #[error("there is no state at {}: nothing has been run or applied with it yet", path.display())]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The state is damaged.
    #[error("the state {} is damaged: put a backup in its place, or begin with a new one", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: Cause,
    },
    /// No space is left for the state.
    #[error("the disk that holds the state {} is full: make room and start again", path.display())]
    Full {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: Cause,
    },
    /// The state was opened for reading, or may only be read.
    #[error("cannot {action} in the state {}, which may only be read: check its permissions", path.display())]
    ReadOnly {
        /// What was tried.
        action: &'static str,
        /// The database.
        path: PathBuf,
    },
    /// Another process kept the state busy for too long.
    #[error("cannot {action} in the state {}, which another process keeps busy: try again", path.display())]
    Busy {
        /// What was tried.
        action: &'static str,
        /// The database.
        path: PathBuf,
    },
    /// The operating system could not read or write the state.
    #[error("cannot {action} the file or folder {}: check the disk and the permissions", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// SQLite failed otherwise.
    #[error("cannot {action} in the state {}", path.display())]
    Sqlite {
        /// What was tried.
        action: &'static str,
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: Cause,
    },
    /// PostgreSQL does not take us: address, password, certificate, database or rights.
    #[error("cannot {action} in the state {}, which is refused: check its address, password, certificate and rights", path.display())]
    Refused {
        /// What was tried.
        action: &'static str,
        /// The address without its password.
        path: PathBuf,
        /// What was said.
        #[source]
        source: Cause,
    },
    /// PostgreSQL is away, or not ready.
    #[error("cannot {action} in the state {}, which cannot be reached", path.display())]
    Unreachable {
        /// What was tried.
        action: &'static str,
        /// The address without its password.
        path: PathBuf,
        /// What was said.
        #[source]
        source: Cause,
    },
    /// PostgreSQL failed otherwise.
    #[error("cannot {action} in the state {}", path.display())]
    Postgres {
        /// What was tried.
        action: &'static str,
        /// The address without its password.
        path: PathBuf,
        /// What PostgreSQL said.
        #[source]
        source: Cause,
    },
    /// Another process has the lease of this state.
    #[error("the state {} is used by another Zenith ({holder}): stop it first", path.display())]
    Leased {
        /// The address without its password.
        path: PathBuf,
        /// Host, process and a random number.
        holder: String,
    },
    /// Another process has taken the lease that this one had; nothing was written.
    #[error("another Zenith has taken over the state {}", path.display())]
    Fenced {
        /// The address without its password.
        path: PathBuf,
    },
    /// A state that others were to be copied into has something in it.
    #[error("the state {} is not empty: name another one, so that nothing in it is lost", path.display())]
    NotEmpty {
        /// The database.
        path: PathBuf,
    },
    /// A checkpoint would move backwards.
    #[error(
        "the checkpoint of the pipeline {pipeline:?} lies further on than the one to be saved: \
         another process moved it, or the source was set back; reset the pipeline to go back"
    )]
    Backwards {
        /// The pipeline.
        pipeline: String,
    },
    /// An address has a password in it.
    #[error(
        "the address of the connector {connector:?} has a password in it: write a reference such as \
         ${{MONGO_PASSWORD}} in its place, so that the state holds no secrets"
    )]
    Secret {
        /// The connector.
        connector: String,
    },
    /// Something that was named is not there.
    #[error("the state has no {what} {name:?}: check the name, or apply it first")]
    Missing {
        /// What it is, as in "pipeline".
        what: &'static str,
        /// Its name or number.
        name: String,
    },
    /// A connector is in use.
    #[error("the connector {connector:?} is used by the pipeline {pipeline:?}: remove that first")]
    InUse {
        /// The connector.
        connector: String,
        /// A pipeline that uses it.
        pipeline: String,
    },
    /// The intent is not open: it was committed or abandoned, or the pipeline was reset.
    #[error(
        "the pipeline {pipeline:?} has no open insert {token:?}: it was settled before, or the pipeline was \
         reset meanwhile"
    )]
    UnknownIntent {
        /// The pipeline.
        pipeline: String,
        /// The token.
        token: String,
    },
    /// An intent of this token is open already.
    #[error(
        "the pipeline {pipeline:?} has an open insert {token:?} already, and two inserts must not share a token"
    )]
    IntentExists {
        /// The pipeline.
        pipeline: String,
        /// The token.
        token: String,
    },
    /// Two partitions of a snapshot have one index.
    #[error("the snapshot of the pipeline {pipeline:?} has two partitions with the index {index}")]
    RepeatedPartition {
        /// The pipeline.
        pipeline: String,
        /// The index.
        index: u32,
    },
    /// A snapshot was to be finished while partitions of it are missing.
    #[error("the snapshot of the pipeline {pipeline:?} has {partitions} partitions that are not done")]
    Unfinished {
        /// The pipeline.
        pipeline: String,
        /// How many.
        partitions: u64,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another Zenith".to_owned(), |pid| format!("another Zenith (process {pid})"))
}

impl StateError {
    /// Whether the user has to correct something: the configuration, the file named, its permissions, the disk.
    #[must_use]
    pub fn is_input(&self) -> bool {
        match self {
            StateError::Locked { .. }
            | StateError::Newer { .. }
            | StateError::Older { .. }
            | StateError::Foreign { .. }
            | StateError::Absent { .. }
            | StateError::Damaged { .. }
            | StateError::Full { .. }
            | StateError::ReadOnly { .. }
            | StateError::Io { .. }
            | StateError::Refused { .. }
            | StateError::Leased { .. }
            | StateError::NotEmpty { .. }
            | StateError::Secret { .. }
            | StateError::Missing { .. }
            | StateError::InUse { .. } => true,
            StateError::Busy { .. }
            | StateError::Sqlite { .. }
            | StateError::Unreachable { .. }
            | StateError::Postgres { .. }
            | StateError::Fenced { .. }
            | StateError::Backwards { .. }
            | StateError::UnknownIntent { .. }
            | StateError::IntentExists { .. }
            | StateError::RepeatedPartition { .. }
            | StateError::Unfinished { .. } => false,
        }
    }

    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, StateError::Busy { .. } | StateError::Unreachable { .. })
    }

    /// Whether another process has the state to move data by it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self, StateError::Locked { .. } | StateError::Leased { .. })
    }
}
