//! What can go wrong while reading, and which failures a retry or the user can remedy.
//!
//! Messages are one sentence: what was tried, what came back, what to do. Whether to retry is decided by the caller;
//! [`ExtractError::is_transient`] and [`ExtractError::is_input`] are what it decides by.

use std::error::Error;
use std::io;

use bson::Timestamp;
use zenith_memory::MemoryError;

use crate::Namespace;

type BoxError = Box<dyn Error + Send + Sync>;

/// An error of reading from a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// The connection string cannot be understood.
    #[error("the MongoDB URI {uri} cannot be used: {reason}")]
    InvalidUri {
        /// The URI without its password.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A namespace that is not `database.collection`.
    #[error("{text:?} does not name a collection: write database.collection")]
    InvalidNamespace {
        /// What was given.
        text: String,
    },
    /// The certificates or keys named in the URI cannot be used.
    #[error("cannot set up TLS with MongoDB at {address}: {reason}")]
    Tls {
        /// The host and port, or the URI without its password.
        address: String,
        /// What failed, and which setting remedies it.
        reason: String,
    },
    /// No server of the deployment answered in time.
    #[error(
        "no usable MongoDB server at {address}: {reason}; check that it runs and that host and port are right"
    )]
    Unreachable {
        /// The URI without its password, or a host and port.
        address: String,
        /// What was observed last.
        reason: String,
    },
    /// The server does not accept the user.
    #[error(
        "MongoDB at {address} refused to authenticate: {reason}; check user name, password and authSource"
    )]
    Authentication {
        /// The URI without its password, or a host and port.
        address: String,
        /// What the server said.
        reason: String,
    },
    /// The user may not do what reading needs.
    #[error("MongoDB does not let this user {action}: {reason}; grant the role read on the database")]
    Unauthorized {
        /// What was tried, as in "read shop.orders".
        action: String,
        /// What the server said.
        reason: String,
    },
    /// The database has no collections, or the user sees none.
    #[error("there is no database {:?} at {address}{}", namespace.database, listing("databases", known))]
    NoSuchDatabase {
        /// Where it was looked for: the URI without its password.
        address: String,
        /// The namespace asked for.
        namespace: Namespace,
        /// Databases that are there.
        known: Vec<String>,
    },
    /// The database is there, the collection is not.
    #[error("there is no collection {namespace} at {address}{}", listing("collections", known))]
    NoSuchCollection {
        /// Where it was looked for: the URI without its password.
        address: String,
        /// The namespace asked for.
        namespace: Namespace,
        /// Collections of the database, not necessarily all.
        known: Vec<String>,
    },
    /// The collection was dropped, or dropped and made again, while it was read.
    #[error("the collection {namespace} was dropped or replaced while it was read; start again")]
    Replaced {
        /// The collection.
        namespace: Namespace,
    },
    /// The query that documents have to match cannot be judged.
    #[error("the filter cannot be used: {reason}")]
    Filter {
        /// Why not.
        reason: String,
    },
    /// The server answered a command with an error.
    #[error("MongoDB could not {action}: {message} ({code_name}, code {code})")]
    Server {
        /// What was tried, as in "read shop.orders".
        action: String,
        /// The server's error code.
        code: i32,
        /// The server's name for the code.
        code_name: String,
        /// What the server said.
        message: String,
    },
    /// The connection was lost or could not be made.
    #[error("the connection to MongoDB at {address} failed")]
    Connection {
        /// The host and port, or the URI without its password.
        address: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The server's reply breaks its own protocol, or was damaged on its way.
    #[error("MongoDB at {address} sent a reply that cannot be understood: {reason}")]
    Protocol {
        /// The host and port, or the URI without its password.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The scan was interrupted and cannot continue where it stopped: start it again from its beginning.
    #[error("the scan of {namespace} was cut off after {documents} documents and has to start again")]
    Interrupted {
        /// The collection.
        namespace: Namespace,
        /// Number of documents delivered before.
        documents: u64,
        /// What cut it off.
        #[source]
        source: Box<ExtractError>,
    },
    /// A partition that cannot be read this way, or bytes that should be one and are not.
    #[error("the partition of a scan cannot be read: {reason}")]
    InvalidPartition {
        /// What is wrong with them.
        reason: String,
    },
    /// A file could not be opened or read.
    #[error("cannot read {path}")]
    File {
        /// The file or folder.
        path: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A file of a dump does not hold what it should.
    #[error("{path} {reason}")]
    Dump {
        /// The file or folder.
        path: String,
        /// What is wrong with it and what to do, as the rest of the sentence.
        reason: String,
    },
    /// The deployment has no change streams.
    #[error(
        "MongoDB at {address} has no change streams: {reason}; they need a replica set (one of a single member will do) or \
         a sharded cluster, and without them a collection that only grows can be followed by its _id"
    )]
    NoChangeStreams {
        /// The URI without its password.
        address: String,
        /// What kind of server it is, or what it said.
        reason: String,
    },
    /// The source no longer knows the changes a stream was to begin with.
    #[error(
        "the changes {} are lost: {message} ({code_name}, code {code}); load the collections anew, and give MongoDB a \
         larger oplog if it does not reach back far enough", since(*time)
    )]
    HistoryLost {
        /// The time the stream was to begin at.
        time: Option<Timestamp>,
        /// The server's error code.
        code: i32,
        /// The server's name for the code.
        code_name: String,
        /// What the server said.
        message: String,
    },
    /// A change whose event is larger than a document may be.
    #[error(
        "a change {} is too large for one event of a change stream: {message}; MongoDB from 6.0.9 sends it in pieces, \
         before that it can only be passed over: leave the collection out, or load it again and start the stream after it",
        within(namespace.as_ref())
    )]
    EventTooLarge {
        /// The collection, if it can be known.
        namespace: Option<Namespace>,
        /// What the server said.
        message: String,
    },
    /// The documents to look up at once do not fit into the memory for them.
    #[error(
        "{ids} documents of {namespace} looked up at once are more than the memory for them; look up fewer at a time"
    )]
    LookupTooLarge {
        /// The collection.
        namespace: Namespace,
        /// How many were asked for.
        ids: usize,
    },
    /// The task that follows changes ended without an error: it panicked, or the runtime is shutting down.
    #[error("the reader of a change stream has stopped")]
    ChangesStopped,
    /// Bytes that should be a place in a change stream are not.
    #[error("the stored place in a change stream cannot be read: {reason}")]
    InvalidResumeToken {
        /// What is wrong with them.
        reason: String,
    },
    /// A failure of the driver that fits nowhere else.
    #[error("the MongoDB driver failed to {action}")]
    Driver {
        /// What was tried.
        action: String,
        /// The driver's error.
        #[source]
        source: BoxError,
    },
    /// A failure of a source outside this crate: [`ExtractError::other`] makes one.
    #[error("{message}")]
    Other {
        /// The kind of the failure.
        kind: FailureKind,
        /// One sentence: what was tried, what came back, what to do.
        message: String,
        /// Its cause.
        #[source]
        source: Option<BoxError>,
    },
    /// The buffer pool refused memory for a reply.
    #[error("no memory for documents that are read")]
    Memory(#[from] MemoryError),
    /// The task that reads ended without an error: it panicked, or the runtime is shutting down.
    #[error("the reader of {namespace} has stopped")]
    ReaderStopped {
        /// The collection.
        namespace: Namespace,
    },
}

/// The kind of a failure. It alone decides about retries and exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The same call may succeed later without a change by the user.
    Transient,
    /// The user has to correct something: a wrong address, name, password or privilege, or a damaged file.
    Input,
    /// Neither.
    Permanent,
}

impl ExtractError {
    /// A failure of a source outside this crate.
    #[must_use]
    pub fn other(kind: FailureKind, message: impl Into<String>) -> ExtractError {
        ExtractError::Other { kind, message: message.into(), source: None }
    }

    /// As [`ExtractError::other`], with its cause.
    #[must_use]
    pub fn caused(
        kind: FailureKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> ExtractError {
        ExtractError::Other { kind, message: message.into(), source: Some(source.into()) }
    }

    /// Whether the same call may succeed later without a change by the user.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Connection { .. }
            | Self::Protocol { .. }
            | Self::Interrupted { .. } => true,
            Self::Server { code, .. } => is_transient_code(*code),
            Self::Other { kind, .. } => *kind == FailureKind::Transient,
            Self::InvalidUri { .. }
            | Self::InvalidNamespace { .. }
            | Self::Tls { .. }
            | Self::Authentication { .. }
            | Self::Unauthorized { .. }
            | Self::NoSuchDatabase { .. }
            | Self::NoSuchCollection { .. }
            | Self::Replaced { .. }
            | Self::Filter { .. }
            | Self::InvalidPartition { .. }
            | Self::File { .. }
            | Self::Dump { .. }
            | Self::NoChangeStreams { .. }
            | Self::HistoryLost { .. }
            | Self::EventTooLarge { .. }
            | Self::InvalidResumeToken { .. }
            | Self::LookupTooLarge { .. }
            | Self::ChangesStopped
            | Self::Driver { .. }
            | Self::Memory(_)
            | Self::ReaderStopped { .. } => false,
        }
    }

    /// Whether the next changes of a stream are no longer kept, so that only reloading the collections helps.
    #[must_use]
    pub fn is_history_lost(&self) -> bool {
        matches!(self, Self::HistoryLost { .. })
    }

    /// Whether the place a stream was to continue after is not among the changes that the source remembers, although
    /// these reach back further: it is that of another source, or of changes that this user may not see.
    #[must_use]
    pub fn is_place_unknown(&self) -> bool {
        // ChangeStreamFatalError.
        matches!(self, Self::HistoryLost { code: 280, .. })
    }

    /// Whether fewer `_id`s at a time would help a look-up. A single one is never too large.
    #[must_use]
    pub fn is_lookup_too_large(&self) -> bool {
        matches!(self, Self::LookupTooLarge { .. })
    }

    /// Whether the user has to correct something: a wrong address, name, password or privilege.
    ///
    /// A host that is down is both this and transient: at the start of a run it is most likely a wrong address, in the
    /// middle of one it most likely comes back.
    #[must_use]
    pub fn is_input(&self) -> bool {
        match self {
            Self::InvalidUri { .. }
            | Self::InvalidNamespace { .. }
            | Self::Tls { .. }
            | Self::Unreachable { .. }
            | Self::Authentication { .. }
            | Self::Unauthorized { .. }
            | Self::NoSuchDatabase { .. }
            | Self::NoSuchCollection { .. }
            | Self::Filter { .. }
            | Self::File { .. }
            | Self::Dump { .. }
            | Self::NoChangeStreams { .. } => true,
            Self::Other { kind, .. } => *kind == FailureKind::Input,
            Self::Replaced { .. }
            | Self::Server { .. }
            | Self::Connection { .. }
            | Self::Protocol { .. }
            | Self::Interrupted { .. }
            | Self::InvalidPartition { .. }
            | Self::HistoryLost { .. }
            | Self::EventTooLarge { .. }
            | Self::InvalidResumeToken { .. }
            | Self::LookupTooLarge { .. }
            | Self::ChangesStopped
            | Self::Driver { .. }
            | Self::Memory(_)
            | Self::ReaderStopped { .. } => false,
        }
    }
}

/// Transient server errors: of the network, of elections and shutdowns, and of cursors that were taken away.
///
/// The first two lines are the retryable read errors of the drivers' specification. `QueryPlanKilled` (175) is not
/// here: the collection was dropped or renamed, and reading on would silently end early.
fn is_transient_code(code: i32) -> bool {
    matches!(
        code,
        6 | 7 | 89 | 91 | 134 | 189 | 262 | 9001 | 10107 | 11600 | 11602 | 13435 | 13436
            | 43 // CursorNotFound
            | 50 // MaxTimeMSExpired
            | 133 // FailedToSatisfyReadPreference
            | 136 // CappedPositionLost
            | 202 // NetworkInterfaceExceededTimeLimit
            | 237 // CursorKilled
            | 11601 // Interrupted
    )
}

fn since(time: Option<Timestamp>) -> String {
    match time {
        Some(Timestamp { time, increment }) => format!("since cluster time ({time}, {increment})"),
        None => "to begin with".to_owned(),
    }
}

fn within(namespace: Option<&Namespace>) -> String {
    namespace.map_or_else(String::new, |namespace| format!("in {namespace}"))
}

fn listing(what: &str, known: &[String]) -> String {
    const SHOWN_MAX: usize = 12;
    if known.is_empty() {
        return format!("; no {what} can be seen there");
    }
    let more = if known.len() > SHOWN_MAX { ", …" } else { "" };
    format!("; {what} there: {}{more}", known[..known.len().min(SHOWN_MAX)].join(", "))
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::{ExtractError, FailureKind};
    use crate::Namespace;

    #[test]
    fn a_missing_collection_names_those_that_are_there() {
        let error = ExtractError::NoSuchCollection {
            address: "mongodb://localhost".to_owned(),
            namespace: Namespace::new("shop", "ordres"),
            known: vec!["orders".to_owned(), "users".to_owned()],
        };
        assert_eq!(
            error.to_string(),
            "there is no collection shop.ordres at mongodb://localhost; collections there: orders, users"
        );
        assert!(error.is_input() && !error.is_transient());
    }

    #[test]
    fn failures_of_other_sources_say_by_their_kind_what_helps() {
        let cause = std::io::Error::from(std::io::ErrorKind::NotFound);
        let error = ExtractError::caused(FailureKind::Input, "cannot open a.csv: check the path", cause);
        assert_eq!(error.to_string(), "cannot open a.csv: check the path");
        assert!(error.source().is_some() && error.is_input() && !error.is_transient());
        assert!(ExtractError::other(FailureKind::Transient, "busy").is_transient());
        let permanent = ExtractError::other(FailureKind::Permanent, "broken");
        assert!(!permanent.is_input() && !permanent.is_transient());
    }
}
