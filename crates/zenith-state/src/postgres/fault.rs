//! What PostgreSQL's codes mean.

use std::path::Path;

use crate::StateError;

/// The error for what failed while something was done to a database. Codes are those of appendix A of PostgreSQL's manual.
pub(crate) fn fault(action: &'static str, path: &Path, source: sqlx::Error) -> StateError {
    let path = path.to_owned();
    let code = source.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
    let class = code.get(..2).unwrap_or_default();
    match (&source, class, code.as_str()) {
        // Somebody holds a lock for too long.
        (_, _, "55P03" | "57014") => StateError::Busy { action, path },
        (_, _, "53100") => StateError::Full { path, source: source.into() },
        (_, _, "XX001" | "XX002") => StateError::Damaged { path, source: source.into() },
        // Password, user, database, rights.
        (_, "28" | "3D", _) | (_, _, "42501" | "08P01") => {
            StateError::Refused { action, path, source: source.into() }
        }
        (sqlx::Error::Tls(_) | sqlx::Error::Configuration(_), _, _) => {
            StateError::Refused { action, path, source: source.into() }
        }
        // A certificate that does not prove who the server is.
        (sqlx::Error::Io(error), _, _) if error.kind() == std::io::ErrorKind::InvalidData => {
            StateError::Refused { action, path, source: source.into() }
        }
        // Gone, going, not there yet, full of others, or a replica.
        (_, "08" | "40" | "53" | "57", _) | (_, _, "25006" | "25P03") => {
            StateError::Unreachable { action, path, source: source.into() }
        }
        (sqlx::Error::Io(_) | sqlx::Error::Protocol(_), _, _) => {
            StateError::Unreachable { action, path, source: source.into() }
        }
        _ => StateError::Postgres { action, path, source: source.into() },
    }
}

/// The error for a database that does not answer in time.
pub(super) fn silent(action: &'static str, path: &Path) -> StateError {
    let source = "it does not answer in time".into();
    StateError::Unreachable { action, path: path.to_owned(), source }
}
