//! A store in one SQLite file.
//!
//! | file | |
//! | --- | --- |
//! | `open.rs` | three ways to open it, and what each may do |
//! | `lock.rs` | one process that writes at a time |
//! | `migrate.rs` | which format a file has, and bringing it up to date |
//! | `session.rs` | connections and transactions |
//! | `fault.rs` | what SQLite's codes mean |
//!
//! What it relies on: a write-ahead log with `synchronous = FULL`, so that a transaction is on the disk once
//! it has been committed, and a commit costs one `fsync`. It never maps the file and keeps little of it in
//! memory: what is read most, a checkpoint, is a single row.

pub(crate) mod fault;
mod lock;
mod migrate;
mod open;
pub(crate) mod session;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::sql::{Sql, sql_state_store};

/// A store in one SQLite file.
///
/// | opened by | for | lock | creates and migrates | writes |
/// | --- | --- | --- | --- | --- |
/// | [`open`](SqliteStore::open) | the process that moves data | holds it | yes | yes |
/// | [`open_shared`](SqliteStore::open_shared) | short commands, beside that process too | only to migrate | if nobody holds the lock | yes |
/// | [`open_read_only`](SqliteStore::open_read_only) | looking | none | no | no |
///
/// The lock is on a file beside the database, `<database>.lock`, and ends with the process however that ends.
/// The file itself is not removed.
pub struct SqliteStore {
    path: PathBuf,
    sql: Sql,
    /// Held until the store is dropped.
    lock: Option<File>,
}

impl SqliteStore {
    /// Where the database is, links resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes the database, which moves what is in its log into the file itself.
    ///
    /// A store that is merely dropped is closed in the background. Nothing is lost either way.
    ///
    /// # Errors
    /// If SQLite cannot close it; what was acknowledged is durable all the same.
    pub async fn close(self) -> Result<()> {
        #[cfg_attr(not(feature = "postgres"), expect(irrefutable_let_patterns))]
        if let Sql::Sqlite(connections) = self.sql {
            connections.close().await?;
        }
        drop(self.lock);
        Ok(())
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SqliteStore")
            .field("path", &self.path)
            .field("locked", &self.lock.is_some())
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    pub(crate) fn sql(&self) -> &Sql {
        &self.sql
    }
}

sql_state_store!(SqliteStore);
