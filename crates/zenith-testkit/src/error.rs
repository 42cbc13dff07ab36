//! What can go wrong while starting servers and making data. Nothing here is retried by anyone.

use std::io;
use std::path::Path;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a server, a data set or a query of the test kit failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something the machine must have is not there; the text says what to do.
    #[error("{0}")]
    Missing(String),
    /// A server did not start, or ended by itself; the text ends with the last lines of its log.
    #[error("{0}")]
    Server(String),
    /// A file, a socket or a process could not be used.
    #[error("cannot {what}")]
    Io {
        /// What was tried, as the rest of a sentence that starts with "cannot".
        what: String,
        /// The answer of the operating system.
        source: io::Error,
    },
    /// MongoDB or its driver refused.
    #[error("MongoDB: cannot {what}")]
    MongoDb {
        /// What was tried, as the rest of a sentence that starts with "cannot".
        what: String,
        /// The driver's error.
        source: Box<mongodb::error::Error>,
    },
    /// ClickHouse answered with an error.
    #[error("ClickHouse answered with status {status}: {message}")]
    ClickHouse {
        /// The HTTP status.
        status: u16,
        /// The body of the answer: code, exception, explanation.
        message: String,
    },
    /// A value from outside (an address, a file of a data set, a state file) has another form than it must have.
    #[error("{0}")]
    Malformed(String),
}

impl Error {
    /// Wraps an operating-system error; `what` continues "cannot …".
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what: what.into(), source }
    }

    /// Wraps an operating-system error about a path; `verb` is what was to be done with it.
    pub fn path(verb: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io(format!("{verb} {}", path.display()))
    }

    /// Wraps a driver error; `what` continues "cannot …".
    pub fn mongodb(what: impl Into<String>) -> impl FnOnce(mongodb::error::Error) -> Self {
        move |source| Self::MongoDb { what: what.into(), source: Box::new(source) }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}
