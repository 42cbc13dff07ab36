//! What SQLite's codes mean.

use std::io;
use std::path::Path;

use crate::StateError;

/// Primary result codes, as in <https://www.sqlite.org/rescode.html>.
const BUSY: i64 = 5;
const LOCKED: i64 = 6;
const READONLY: i64 = 8;
const IOERR: i64 = 10;
const CORRUPT: i64 = 11;
const FULL: i64 = 13;
const NOTADB: i64 = 26;

/// The error for what failed while something was done to a database.
pub(crate) fn fault(action: &'static str, path: &Path, source: sqlx::Error) -> StateError {
    let path = path.to_owned();
    match primary_code(&source) {
        Some(BUSY | LOCKED) => StateError::Busy { action, path },
        Some(READONLY) => StateError::ReadOnly { action, path },
        Some(CORRUPT) => StateError::Damaged { path, source: source.into() },
        Some(FULL) => StateError::Full { path, source: source.into() },
        Some(NOTADB) => StateError::Foreign { path },
        Some(IOERR) => StateError::Io { action, path, source: io::Error::other(source) },
        _ => match source {
            sqlx::Error::Io(source) => io_fault(action, &path, source),
            source => StateError::Sqlite { action, path, source: source.into() },
        },
    }
}

/// The error for what failed while something was done to a file or folder.
pub(super) fn io_fault(action: &'static str, path: &Path, source: io::Error) -> StateError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StateError::Full { path, source: source.into() }
        }
        io::ErrorKind::ReadOnlyFilesystem => StateError::ReadOnly { action, path },
        _ => StateError::Io { action, path, source },
    }
}

/// The code without its details, which stand in its upper bytes.
fn primary_code(error: &sqlx::Error) -> Option<i64> {
    let code = error.as_database_error()?.code()?.parse::<i64>().ok()?;
    Some(code & 0xff)
}
