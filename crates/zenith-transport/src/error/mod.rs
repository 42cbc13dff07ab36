//! What can go wrong while writing to ClickHouse.
//!
//! Every message says what was tried, on what, what came back and what to do; the cause stays in the
//! source chain. Passwords never appear. The caller decides how often to retry; the
//! predicates say what kind of failure it is.

mod code;
mod server;

use std::io;

use arrow_schema::ArrowError;
pub use server::ServerError;
pub(crate) use server::code_name;

use zenith_net::TlsFault;

use crate::target::Protocol;

/// Result of everything in this crate.
pub type Result<T> = std::result::Result<T, TransportError>;

/// Why a request to ClickHouse failed.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The address of ClickHouse cannot be used as it is written.
    #[error("the ClickHouse address cannot be used: {reason}")]
    Target {
        /// What is wrong with it and how to write it.
        reason: String,
    },
    /// No connection could be made.
    #[error("cannot connect to ClickHouse at {address}: check that it is running, and host and port")]
    Connect {
        /// Host and port.
        address: String,
        /// What the operating system or the resolver said.
        #[source]
        source: io::Error,
    },
    /// The TLS handshake failed, or the TLS options cannot be used.
    #[error("cannot set up TLS with ClickHouse at {address}: {}", advice(&**source))]
    Tls {
        /// Host and port.
        address: String,
        /// What TLS said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection broke before ClickHouse had answered.
    #[error(
        "the connection to ClickHouse at {address} broke while {doing}; whether it took effect is unknown"
    )]
    Lost {
        /// What was being done, as in "inserting 10 rows into `db`.`t`".
        doing: String,
        /// Host and port.
        address: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// ClickHouse neither took nor sent anything for too long.
    #[error(
        "ClickHouse at {address} was silent for {seconds} s while {doing}; whether it took effect is unknown"
    )]
    Silent {
        /// What was being done.
        doing: String,
        /// Host and port.
        address: String,
        /// The limit in seconds.
        seconds: u64,
    },
    /// ClickHouse answered with an exception.
    #[error(transparent)]
    Server(Box<ServerError>),
    /// An HTTP error without an exception of ClickHouse, as proxies send it.
    #[error("{address} answered {doing} with HTTP status {status}: {text}")]
    Status {
        /// What was being done.
        doing: String,
        /// Host and port.
        address: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        text: String,
    },
    /// The answer is not one of ClickHouse's.
    #[error(
        "{address} answered {doing} with something else than {} ({reason}): {}",
        protocol.expectation(), protocol.advice()
    )]
    Answer {
        /// What was being done.
        doing: String,
        /// Host and port.
        address: String,
        /// What was spoken.
        protocol: Protocol,
        /// What is wrong with the answer.
        reason: String,
    },
    /// Arrow data could not be framed for sending, or read from an answer.
    #[error("cannot {action} Arrow data for {what}")]
    Arrow {
        /// "encode" or "decode".
        action: &'static str,
        /// The table or query.
        what: String,
        /// What Arrow said.
        #[source]
        source: ArrowError,
    },
    /// A column has no type in ClickHouse, or a name it cannot have.
    #[error("the column {column} cannot be created in ClickHouse: {reason}")]
    Column {
        /// The column, with the path inside it.
        column: String,
        /// Why.
        reason: String,
    },
    /// The database is not there, and was not to be created.
    #[error("ClickHouse at {address} has no database {database}: create it, or let it be created")]
    NoDatabase {
        /// Host and port.
        address: String,
        /// The database.
        database: String,
    },
    /// The user lacks privileges.
    #[error("the ClickHouse user {user} lacks {missing}: {grant}")]
    Privileges {
        /// The user.
        user: String,
        /// The missing privileges, separated by commas.
        missing: String,
        /// The statements that would grant them.
        grant: String,
    },
    /// A table that must be there is not.
    #[error("there is no table {table}: it may have been dropped by someone else while it was in use")]
    NoTable {
        /// The table.
        table: String,
    },
    /// A loaded table cannot take its final name.
    #[error("cannot publish {shadow} as {table}: {reason}")]
    Publish {
        /// The table that was loaded.
        shadow: String,
        /// The name it was to take.
        table: String,
        /// Why.
        reason: String,
    },
    /// A sink that cannot do this, as its kind of sink has no such thing.
    #[error("this sink cannot {what}: use one that can, or do without")]
    Unsupported {
        /// What was asked.
        what: &'static str,
    },
    /// A failure of a sink outside this crate: [`TransportError::other`] makes one.
    #[error("{message}")]
    Other {
        /// The kind of the failure.
        kind: FailureKind,
        /// One sentence: what was tried, on what, what came back, what to do.
        message: String,
        /// Its cause.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A failure made on purpose by a test.
    #[error("injected failure: {reason}")]
    Injected {
        /// What the test said.
        reason: String,
        /// Whether the failure counts as transient (otherwise as refused data).
        transient: bool,
    },
}

/// Which setting remedies an error of TLS.
fn advice(said: &(dyn std::error::Error + Send + Sync)) -> &'static str {
    match TlsFault::of(&said.to_string()) {
        Some(TlsFault::UnknownAuthority) => {
            "nobody who is trusted has signed the server's certificate; name the file of its authority (ca_cert=PATH in the \
             address, ca_file of the target, --ca-file)"
        }
        Some(TlsFault::OtherHost) => {
            "the server's certificate is for another host name; write the address with a name that it is for"
        }
        Some(TlsFault::Expired) => {
            "the server's certificate has expired; it has to be renewed there (unless the clock of this machine is wrong)"
        }
        Some(TlsFault::NotYetValid) => {
            "the server's certificate is not valid yet; set the clock of this machine, or have it made anew"
        }
        Some(TlsFault::CertificateWanted) => {
            "the server wants a certificate from its clients; name one and its key (client_cert=PATH&client_cert_key=PATH in \
             the address)"
        }
        Some(TlsFault::NotTls) => {
            "the server does not speak TLS there; write http:// or clickhouse:// without secure=true, or correct the port"
        }
        Some(_) => {
            "the server does not accept the certificate in client_cert; name another one in the address"
        }
        None => {
            "check the files in the address (ca_cert, client_cert, client_cert_key), and that it does speak TLS there"
        }
    }
}

/// What helps against a failure. It alone decides about retries and exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The same request may succeed later. Whether this one took effect is unknown.
    Transient,
    /// The rows themselves were refused, and none of them is in the table.
    Refused,
    /// The user has to correct something: a wrong address, name, password or privilege.
    Input,
    /// Neither.
    Permanent,
}

impl TransportError {
    /// A failure of a sink outside this crate.
    #[must_use]
    pub fn other(kind: FailureKind, message: impl Into<String>) -> TransportError {
        TransportError::Other { kind, message: message.into(), source: None }
    }

    /// As [`TransportError::other`], with its cause.
    #[must_use]
    pub fn caused(
        kind: FailureKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> TransportError {
        TransportError::Other { kind, message: message.into(), source: Some(source.into()) }
    }

    /// Whether the same request may succeed later: lost connections, silence, overload, too many parts.
    ///
    /// After such an error it may be unknown whether an insert took effect; repeat it with the same token.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { source, .. } => !matches!(source.kind(), io::ErrorKind::InvalidInput),
            Self::Lost { .. } | Self::Silent { .. } => true,
            Self::Server(error) => error.is_transient(),
            Self::Status { status, .. } => matches!(status, 408 | 429 | 502 | 503 | 504),
            Self::Injected { transient, .. } => *transient,
            Self::Other { kind, .. } => *kind == FailureKind::Transient,
            Self::Target { .. }
            | Self::Tls { .. }
            | Self::Answer { .. }
            | Self::Arrow { .. }
            | Self::Column { .. }
            | Self::NoDatabase { .. }
            | Self::Privileges { .. }
            | Self::NoTable { .. }
            | Self::Publish { .. }
            | Self::Unsupported { .. } => false,
        }
    }

    /// Whether the user has to correct something before the same request can succeed.
    #[must_use]
    pub fn is_input(&self) -> bool {
        match self {
            Self::Target { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Answer { .. }
            | Self::Unsupported { .. } => true,
            Self::Other { kind, .. } => *kind == FailureKind::Input,
            _ => {
                self.is_authentication()
                    || self.is_access_denied()
                    || self.is_unknown_database()
                    || self.is_schema_mismatch()
            }
        }
    }

    /// Whether the rows themselves were refused, so that a smaller batch without the bad one may pass.
    #[must_use]
    pub fn is_data_rejected(&self) -> bool {
        match self {
            Self::Server(error) => error.is_data_rejected(),
            Self::Arrow { action, .. } => *action == "encode",
            Self::Injected { transient, .. } => !transient,
            Self::Other { kind, .. } => *kind == FailureKind::Refused,
            _ => false,
        }
    }

    /// Whether a `CHECK` constraint refused a row. Then no row of the insert is in the table.
    #[must_use]
    pub fn is_constraint_violated(&self) -> bool {
        matches!(self, Self::Server(error) if error.is_constraint_violated())
    }

    /// The materialized view that failed, where that is why an insert did. Its rows may be in the table all the same.
    #[must_use]
    pub fn view(&self) -> Option<&str> {
        match self {
            Self::Server(error) => error.view(),
            _ => None,
        }
    }

    /// Whether a replicated table was to be created by a server that has no Keeper.
    #[must_use]
    pub fn is_without_keeper(&self) -> bool {
        const NO_ZOOKEEPER: u32 = 225;
        self.server()
            .is_some_and(|error| error.code == NO_ZOOKEEPER && error.text.contains("create replicated table"))
    }

    /// Whether user or password are wrong, or the user may not connect from here.
    #[must_use]
    pub fn is_authentication(&self) -> bool {
        matches!(self, Self::Server(error) if error.is_authentication())
    }

    /// Whether the user may not do what was tried.
    #[must_use]
    pub fn is_access_denied(&self) -> bool {
        match self {
            Self::Privileges { .. } => true,
            Self::Server(error) => error.is_access_denied(),
            _ => false,
        }
    }

    /// Whether the database is not there.
    #[must_use]
    pub fn is_unknown_database(&self) -> bool {
        match self {
            Self::NoDatabase { .. } => true,
            Self::Server(error) => error.is_unknown_database(),
            _ => false,
        }
    }

    /// Whether the table is not there.
    #[must_use]
    pub fn is_unknown_table(&self) -> bool {
        match self {
            Self::NoTable { .. } => true,
            Self::Server(error) => error.is_unknown_table(),
            _ => false,
        }
    }

    /// Whether the table's columns are not those of the batch.
    #[must_use]
    pub fn is_schema_mismatch(&self) -> bool {
        match self {
            Self::Column { .. } => true,
            Self::Server(error) => error.is_schema_mismatch(),
            _ => false,
        }
    }

    /// Whether it is unknown if the request took effect.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::Silent { .. } | Self::Status { .. } => true,
            Self::Other { kind, .. } => *kind == FailureKind::Transient,
            Self::Server(error) => error.is_outcome_unknown(),
            _ => false,
        }
    }

    /// The exception of ClickHouse, if that is what came back.
    #[must_use]
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Server(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::{FailureKind, TransportError};

    /// The author of a sink says what helps, and needs nothing else.
    #[test]
    fn the_kind_of_a_failure_of_ones_own_decides() {
        let of = |kind| TransportError::other(kind, "cannot write t: the disk is full");
        let answers = |kind| {
            let error = of(kind);
            (error.is_transient(), error.is_outcome_unknown(), error.is_data_rejected(), error.is_input())
        };
        assert_eq!(answers(FailureKind::Transient), (true, true, false, false));
        assert_eq!(answers(FailureKind::Refused), (false, false, true, false));
        assert_eq!(answers(FailureKind::Input), (false, false, false, true));
        assert_eq!(answers(FailureKind::Permanent), (false, false, false, false));
        let cause = std::io::Error::other("no space left");
        let caused = TransportError::caused(FailureKind::Permanent, "cannot write t", cause);
        assert_eq!(caused.to_string(), "cannot write t");
        assert_eq!(caused.source().map(ToString::to_string).as_deref(), Some("no space left"));
    }
}
