//! Connections and transactions.
//!
//! A connection is taken out of its slot for a transaction, and put back when the transaction has been committed. If
//! the transaction ends in another way, by an error or because its future was dropped, the connection is closed,
//! which rolls it back; the next transaction opens another. So a connection in a slot never has an open transaction,
//! even after SQLite ended one itself, as it does on a full disk.

use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};

use super::fault::fault;
use crate::sql::session::{self, Session};
use crate::sql::statement::{Row, Statement, query};
use crate::{Result, StateError};

/// The connections of a store: one that reads, and one that writes unless the store only looks.
pub(crate) struct Connections {
    pub(super) path: PathBuf,
    pub(super) reader: Slot,
    pub(super) writer: Option<Slot>,
}

impl Connections {
    /// A view of the state that does not change while it is read.
    pub(crate) async fn read(&self, action: &'static str) -> Result<Session<'_>> {
        self.reader.begin(action, "BEGIN DEFERRED").await
    }

    /// A transaction; the only one that writes, among all processes.
    pub(crate) async fn write(&self, action: &'static str) -> Result<Session<'_>> {
        let Some(writer) = &self.writer else {
            return Err(StateError::ReadOnly { action, path: self.path.clone() });
        };
        writer.begin(action, "BEGIN IMMEDIATE").await
    }

    pub(super) async fn close(self) -> Result<()> {
        self.reader.close().await?;
        match self.writer {
            Some(writer) => writer.close().await,
            None => Ok(()),
        }
    }
}

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
    async fn begin(&self, action: &'static str, begin: &'static str) -> Result<Session<'_>> {
        let mut slot = self.connection.lock().await;
        let connection = match slot.take() {
            Some(connection) => connection,
            None => self.options.connect().await.map_err(|error| fault(action, &self.path, error))?,
        };
        let mut transaction = Transaction { slot, connection };
        transaction.execute(query(begin)).await.map_err(|error| fault(action, &self.path, error))?;
        Ok(Session::new(session::Transaction::Sqlite(transaction), action, &self.path))
    }

    async fn close(self) -> Result<()> {
        match self.connection.into_inner() {
            Some(connection) => {
                connection.close().await.map_err(|error| fault("close the database", &self.path, error))
            }
            None => Ok(()),
        }
    }

    /// Its connection, for a look from the inside.
    #[cfg(test)]
    pub(super) async fn with<T>(&self, look: impl AsyncFnOnce(&mut SqliteConnection) -> T) -> T {
        look(self.connection.lock().await.as_mut().unwrap()).await
    }
}

/// A transaction. Dropped before it is committed, it has no effect.
pub(crate) struct Transaction<'a> {
    slot: MutexGuard<'a, Option<SqliteConnection>>,
    connection: SqliteConnection,
}

impl Transaction<'_> {
    pub(crate) async fn execute(&mut self, statement: Statement) -> sqlx::Result<u64> {
        let done = statement.for_sqlite().execute(&mut self.connection).await?;
        Ok(done.rows_affected())
    }

    pub(crate) async fn rows(&mut self, statement: Statement) -> sqlx::Result<Vec<Row>> {
        let rows = statement.for_sqlite().fetch_all(&mut self.connection).await?;
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    pub(crate) async fn commit(mut self) -> sqlx::Result<()> {
        self.execute(query("COMMIT")).await?;
        *self.slot = Some(self.connection);
        Ok(())
    }
}
