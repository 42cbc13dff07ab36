//! A transaction in either database.

use std::path::Path;

use super::statement::{Row, Statement};
#[cfg(feature = "postgres")]
use crate::postgres;
use crate::{Cause, Result, StateError, sqlite};

/// A transaction. Dropped before it is committed, it has no effect.
pub(crate) struct Session<'a> {
    transaction: Transaction<'a>,
    action: &'static str,
    path: &'a Path,
}

/// A connection with a transaction begun on it.
pub(crate) enum Transaction<'a> {
    Sqlite(sqlite::session::Transaction<'a>),
    #[cfg(feature = "postgres")]
    Postgres(Box<postgres::session::Transaction<'a>>),
}

impl<'a> Session<'a> {
    /// A transaction that was begun to do `action` in the database at `path`.
    pub(crate) fn new(transaction: Transaction<'a>, action: &'static str, path: &'a Path) -> Session<'a> {
        Session { transaction, action, path }
    }

    /// Runs a statement and returns how many rows it changed.
    pub(super) async fn execute(&mut self, statement: Statement) -> Result<u64> {
        let done = match &mut self.transaction {
            Transaction::Sqlite(of) => of.execute(statement).await,
            #[cfg(feature = "postgres")]
            Transaction::Postgres(of) => of.execute(statement).await,
        };
        done.map_err(|error| self.fault(error))
    }

    /// All rows of a query.
    pub(super) async fn rows(&mut self, statement: Statement) -> Result<Vec<Row>> {
        let rows = match &mut self.transaction {
            Transaction::Sqlite(of) => of.rows(statement).await,
            #[cfg(feature = "postgres")]
            Transaction::Postgres(of) => of.rows(statement).await,
        };
        rows.map_err(|error| self.fault(error))
    }

    /// The only row of a query, if it has one.
    pub(super) async fn row(&mut self, statement: Statement) -> Result<Option<Row>> {
        Ok(self.rows(statement).await?.into_iter().next())
    }

    /// What has the numbers that a database gives to rows of a table continue after those that are there, if it does not do so
    /// by itself.
    #[cfg(feature = "postgres")]
    pub(super) fn numbering(&self, table: &str, column: &str) -> Option<Statement> {
        match &self.transaction {
            Transaction::Sqlite(_) => None,
            Transaction::Postgres(_) => Some(super::statement::query(format!(
                "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), max({column})) FROM {table}"
            ))),
        }
    }

    /// Ends the transaction. What it wrote is durable.
    pub(super) async fn commit(self) -> Result<()> {
        let Session { transaction, action, path } = self;
        match transaction {
            Transaction::Sqlite(of) => {
                of.commit().await.map_err(|error| sqlite::fault::fault(action, path, error))
            }
            #[cfg(feature = "postgres")]
            Transaction::Postgres(of) => {
                of.commit().await.map_err(|error| postgres::fault::fault(action, path, error))
            }
        }
    }

    /// The error for what the database said.
    pub(super) fn fault(&self, error: sqlx::Error) -> StateError {
        match &self.transaction {
            Transaction::Sqlite(_) => sqlite::fault::fault(self.action, self.path, error),
            #[cfg(feature = "postgres")]
            Transaction::Postgres(_) => postgres::fault::fault(self.action, self.path, error),
        }
    }

    /// The error for a row that no version of Zenith can have written.
    pub(super) fn damaged(&self, why: impl Into<Cause>) -> StateError {
        damaged(self.path, why)
    }

    pub(super) fn path(&self) -> &Path {
        self.path
    }
}

/// The error for a row that says what no version of Zenith has written.
pub(crate) fn damaged(path: &Path, why: impl Into<Cause>) -> StateError {
    StateError::Damaged { path: path.to_owned(), source: why.into() }
}
