//! Connections and transactions.
//!
//! A connection is taken out of its slot for a transaction, and put back when the transaction has been committed. If
//! the transaction ends in another way, by an error or because its future was dropped, the connection is closed,
//! which rolls it back; the next transaction opens another. So a connection in a slot never has an open transaction,
//! even after SQLite ended one itself, as it does on a full disk.

use std::path::{Path, PathBuf};

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions, Connection, Sqlite, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};

use super::fault::{damaged, fault};
use crate::{Cause, Result, StateError};

/// A statement with its values.
pub(super) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Room for one connection.
pub(super) struct Slot {
    path: PathBuf,
    options: SqliteConnectOptions,
    connection: Mutex<Option<SqliteConnection>>,
}

impl Slot {
    /// A slot with its first connection.
    pub(super) fn new(path: &Path, options: SqliteConnectOptions, connection: SqliteConnection) -> Slot {
        Slot { path: path.to_owned(), options, connection: Mutex::new(Some(connection)) }
    }

    /// Waits for the connection and begins a transaction.
    pub(super) async fn begin(&self, action: &'static str, begin: &'static str) -> Result<Session<'_>> {
        let mut slot = self.connection.lock().await;
        let connection = match slot.take() {
            Some(connection) => connection,
            None => self.options.connect().await.map_err(|error| fault(action, &self.path, error))?,
        };
        let mut session = Session { slot, connection, action, path: &self.path };
        session.execute(sqlx::query(begin)).await?;
        Ok(session)
    }

    pub(super) async fn close(self) -> Result<()> {
        match self.connection.into_inner() {
            Some(connection) => {
                connection.close().await.map_err(|error| fault("close the database", &self.path, error))
            }
            None => Ok(()),
        }
    }

    /// Lets the database grow no further, as a full disk would.
    #[cfg(test)]
    pub(super) async fn fill_up(&self) {
        let mut slot = self.connection.lock().await;
        let connection = slot.as_mut().unwrap();
        sqlx::query("PRAGMA max_page_count = 1").execute(connection).await.unwrap();
    }
}

/// A transaction. Dropped before it is committed, it has no effect.
pub(super) struct Session<'a> {
    slot: MutexGuard<'a, Option<SqliteConnection>>,
    connection: SqliteConnection,
    action: &'static str,
    path: &'a Path,
}

impl Session<'_> {
    /// Runs a statement and returns how many rows it changed.
    pub(super) async fn execute(&mut self, statement: Statement<'_>) -> Result<u64> {
        let done = statement.execute(&mut self.connection).await.map_err(|error| self.fault(error))?;
        Ok(done.rows_affected())
    }

    /// All rows of a query.
    pub(super) async fn rows(&mut self, statement: Statement<'_>) -> Result<Vec<SqliteRow>> {
        statement.fetch_all(&mut self.connection).await.map_err(|error| self.fault(error))
    }

    /// The only row of a query, if it has one.
    pub(super) async fn row(&mut self, statement: Statement<'_>) -> Result<Option<SqliteRow>> {
        statement.fetch_optional(&mut self.connection).await.map_err(|error| self.fault(error))
    }

    /// Ends the transaction. What it wrote is durable.
    pub(super) async fn commit(mut self) -> Result<()> {
        self.execute(sqlx::query("COMMIT")).await?;
        *self.slot = Some(self.connection);
        Ok(())
    }

    /// The error for what SQLite said.
    pub(super) fn fault(&self, error: sqlx::Error) -> StateError {
        fault(self.action, self.path, error)
    }

    /// The error for a row that no version of Zenith can have written.
    pub(super) fn damaged(&self, why: impl Into<Cause>) -> StateError {
        damaged(self.path, why)
    }

    pub(super) fn path(&self) -> &Path {
        self.path
    }
}
