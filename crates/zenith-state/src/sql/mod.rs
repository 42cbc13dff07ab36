//! The tables, and what is asked of them: the same statements for SQLite and PostgreSQL.
//!
//! | file | |
//! | --- | --- |
//! | `statement.rs` | statements, values, rows |
//! | `session.rs` | a transaction in either database |
//! | `values.rs` | moments and numbers as databases keep them |
//! | `applied.rs`, `schemas.rs`, `progress.rs`, `snapshot.rs`, `mismatches.rs`, `history.rs`, `operation.rs`, `audit.rs`, `alerts.rs` | the tables |
//!
//! `store.rs` makes stores of them, `transfer.rs` copies them from one database into another.
//!
//! A database says how its connections are opened, how a transaction begins, what its codes mean and which formats it
//! has had; nothing else.

pub(crate) mod alerts;
pub(crate) mod applied;
pub(crate) mod audit;
pub(crate) mod history;
pub(crate) mod mismatches;
pub(crate) mod operation;
pub(crate) mod progress;
pub(crate) mod schemas;
pub(crate) mod session;
pub(crate) mod snapshot;
pub(crate) mod statement;
mod store;
#[cfg(feature = "postgres")]
pub(crate) mod transfer;
pub(crate) mod values;

pub(crate) use self::store::sql_state_store;

use self::session::Session;
#[cfg(feature = "postgres")]
use crate::postgres;
use crate::{Result, sqlite};

/// The connections to a database.
pub(crate) enum Sql {
    Sqlite(Box<sqlite::session::Connections>),
    #[cfg(feature = "postgres")]
    Postgres(Box<postgres::session::Connections>),
}

impl Sql {
    /// A view of the state that does not change while it is read.
    async fn read(&self, action: &'static str) -> Result<Session<'_>> {
        match self {
            Sql::Sqlite(connections) => connections.read(action).await,
            #[cfg(feature = "postgres")]
            Sql::Postgres(connections) => connections.read(action).await,
        }
    }

    /// A transaction; the only one that writes, among all processes.
    pub(crate) async fn write(&self, action: &'static str) -> Result<Session<'_>> {
        match self {
            Sql::Sqlite(connections) => connections.write(action).await,
            #[cfg(feature = "postgres")]
            Sql::Postgres(connections) => connections.write(action).await,
        }
    }

    /// A transaction that writes the progress of one pipeline; the only one that does, among all processes.
    #[cfg_attr(not(feature = "postgres"), expect(unused_variables))]
    async fn write_of(&self, action: &'static str, pipeline: &str) -> Result<Session<'_>> {
        match self {
            Sql::Sqlite(connections) => connections.write(action).await,
            #[cfg(feature = "postgres")]
            Sql::Postgres(connections) => connections.write_of(action, pipeline).await,
        }
    }
}
