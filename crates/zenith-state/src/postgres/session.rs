//! Connections and transactions.
//!
//! Nothing outlives a transaction on its connection, neither a setting nor a statement with a name nor a lock: behind a
//! `PgBouncer` in transaction mode the next transaction has another one. As in SQLite a connection returns to its place
//! only when its transaction has been committed; in any other case it is closed, which rolls back.
//!
//! Who writes takes turns by advisory locks of the transaction: for the progress of one pipeline with others of that
//! pipeline, for all else with everybody.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Column as _, PgConnection, Row as _};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::address::PostgresAddress;
use super::connect::{LIMITS, connect, hash, lock_class};
use super::fault::{fault, silent};
use super::lease::Lease;
use crate::sql::session::{self, Session};
use crate::sql::statement::{Row, Statement};
use crate::{Result, StateError};

/// Transactions at one time, and connections that are kept between them.
const CONNECTIONS: usize = 4;
/// What a transaction is for.
#[derive(Clone, Copy)]
enum Purpose<'a> {
    Look,
    Write,
    WriteOf(&'a str),
}

/// The connections of a store.
pub(crate) struct Connections {
    address: PostgresAddress,
    path: PathBuf,
    idle: Mutex<Vec<PgConnection>>,
    permits: Semaphore,
    writes: bool,
    lease: Option<Arc<Lease>>,
}

impl Connections {
    pub(super) fn new(address: &PostgresAddress, writes: bool, lease: Option<Arc<Lease>>) -> Connections {
        Connections {
            address: address.clone(),
            path: address.path(),
            idle: Mutex::default(),
            permits: Semaphore::new(CONNECTIONS),
            writes,
            lease,
        }
    }

    /// A view of the state that does not change while it is read.
    pub(crate) async fn read(&self, action: &'static str) -> Result<Session<'_>> {
        self.begin(action, Purpose::Look).await
    }

    /// A transaction; the only one that writes, among all processes.
    pub(crate) async fn write(&self, action: &'static str) -> Result<Session<'_>> {
        self.begin(action, Purpose::Write).await
    }

    /// A transaction that writes the progress of one pipeline; the only one that does, among all processes.
    pub(crate) async fn write_of(&self, action: &'static str, pipeline: &str) -> Result<Session<'_>> {
        self.begin(action, Purpose::WriteOf(pipeline)).await
    }

    async fn begin(&self, action: &'static str, purpose: Purpose<'_>) -> Result<Session<'_>> {
        if !self.writes && !matches!(purpose, Purpose::Look) {
            return Err(StateError::ReadOnly { action, path: self.path.clone() });
        }
        let permit = self.permits.acquire().await.map_err(|_| silent(action, &self.path))?;
        let beginning = self.beginning(purpose);
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (connection, rows) = match kept {
            Some(connection) => match self.send(action, connection, &beginning).await {
                // It may have been closed while nobody used it.
                Err(StateError::Unreachable { .. }) => {
                    self.send(action, self.connect(action).await?, &beginning).await?
                }
                begun => begun?,
            },
            None => self.send(action, self.connect(action).await?, &beginning).await?,
        };
        let transaction = Transaction { connections: self, connection, _permit: permit };
        if let (Some(lease), Purpose::Write | Purpose::WriteOf(_)) = (&self.lease, purpose)
            && !rows.iter().any(|row| row.columns().iter().any(|column| column.name() == "fence"))
        {
            lease.lose();
            return Err(StateError::Fenced { path: self.path.clone() });
        }
        Ok(Session::new(session::Transaction::Postgres(Box::new(transaction)), action, &self.path))
    }

    async fn connect(&self, action: &'static str) -> Result<PgConnection> {
        connect(&self.address, action).await
    }

    async fn send(
        &self,
        action: &'static str,
        mut connection: PgConnection,
        statements: &str,
    ) -> Result<(PgConnection, Vec<PgRow>)> {
        let rows = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).fetch_all(&mut connection).await;
        Ok((connection, rows.map_err(|error| fault(action, &self.path, error))?))
    }

    /// All that a transaction begins with, as one request. Of the row that shows that we have the lease, nobody may change
    /// anything until the transaction has ended.
    fn beginning(&self, purpose: Purpose<'_>) -> String {
        let schema = &self.address.schema;
        let class = lock_class(schema);
        let mode = match purpose {
            Purpose::Look => "ISOLATION LEVEL REPEATABLE READ READ ONLY",
            _ => "ISOLATION LEVEL READ COMMITTED READ WRITE",
        };
        let mut text = format!("BEGIN {mode}; SET LOCAL search_path = {schema}; {LIMITS}");
        match purpose {
            Purpose::Look => return text,
            Purpose::Write => text.push_str(&format!("; SELECT pg_advisory_xact_lock({class}, 0)")),
            Purpose::WriteOf(pipeline) => text.push_str(&format!(
                "; SELECT pg_advisory_xact_lock_shared({class}, 0); SELECT pg_advisory_xact_lock({class}, {})",
                lock_of(pipeline)
            )),
        }
        text.push_str("; SET LOCAL synchronous_commit = on");
        if let Some(lease) = &self.lease {
            text.push_str(&format!("; {}", lease.fence()));
        }
        text
    }
}

/// The number of the lock of a pipeline, never that of everybody. Two pipelines may share one.
fn lock_of(pipeline: &str) -> i32 {
    (hash(pipeline) | 1).cast_signed()
}

/// A transaction. Dropped before it is committed, it has no effect.
pub(crate) struct Transaction<'a> {
    connections: &'a Connections,
    connection: PgConnection,
    _permit: SemaphorePermit<'a>,
}

impl Transaction<'_> {
    pub(crate) async fn execute(&mut self, statement: Statement) -> sqlx::Result<u64> {
        let done = statement.for_postgres().execute(&mut self.connection).await?;
        Ok(done.rows_affected())
    }

    pub(crate) async fn rows(&mut self, statement: Statement) -> sqlx::Result<Vec<Row>> {
        let rows = statement.for_postgres().fetch_all(&mut self.connection).await?;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }

    pub(crate) async fn commit(mut self) -> sqlx::Result<()> {
        sqlx::raw_sql("COMMIT").execute(&mut self.connection).await?;
        let mut idle = self.connections.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(self.connection);
        Ok(())
    }
}
