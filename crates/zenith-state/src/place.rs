//! Where a state is, and a store in any of the databases.

use std::fmt;
use std::path::PathBuf;

use crate::postgres::HeldLease;
use crate::sql::{Sql, sql_state_store};
use crate::{PostgresAddress, PostgresStore, Result, SqliteStore, StateError};

/// Where a state is. What it shows of itself has no password.
#[derive(Clone, Debug)]
pub enum StatePlace {
    /// A file of SQLite.
    File(PathBuf),
    /// A database of PostgreSQL.
    Postgres(Box<PostgresAddress>),
}

/// A store in either of them.
#[derive(Debug)]
pub enum AnyStore {
    /// In a file.
    Sqlite(SqliteStore),
    /// In a database that others share.
    Postgres(PostgresStore),
}

impl StatePlace {
    /// Opens it for the process that moves data; see [`SqliteStore::open`] and [`PostgresStore::open`].
    ///
    /// # Errors
    /// As these.
    pub async fn open(&self) -> Result<AnyStore> {
        Ok(match self {
            StatePlace::File(path) => AnyStore::Sqlite(SqliteStore::open(path).await?),
            StatePlace::Postgres(address) => AnyStore::Postgres(PostgresStore::open(address).await?),
        })
    }

    /// Opens it for a short command; see [`SqliteStore::open_shared`] and [`PostgresStore::open_shared`].
    ///
    /// # Errors
    /// As these.
    pub async fn open_shared(&self) -> Result<AnyStore> {
        Ok(match self {
            StatePlace::File(path) => AnyStore::Sqlite(SqliteStore::open_shared(path).await?),
            StatePlace::Postgres(address) => AnyStore::Postgres(PostgresStore::open_shared(address).await?),
        })
    }

    /// Opens it for looking; see [`SqliteStore::open_read_only`] and [`PostgresStore::open_read_only`].
    ///
    /// # Errors
    /// As these.
    pub async fn open_read_only(&self) -> Result<AnyStore> {
        Ok(match self {
            StatePlace::File(path) => AnyStore::Sqlite(SqliteStore::open_read_only(path).await?),
            StatePlace::Postgres(address) => {
                AnyStore::Postgres(PostgresStore::open_read_only(address).await?)
            }
        })
    }

    /// Whether a process that moves data has it.
    ///
    /// # Errors
    /// If a database cannot be asked.
    pub async fn is_held(&self) -> Result<bool> {
        match self {
            StatePlace::File(path) => Ok(SqliteStore::is_locked(path).await),
            StatePlace::Postgres(address) => PostgresStore::is_leased(address).await,
        }
    }

    /// Whether there is nothing yet.
    pub async fn is_absent(&self) -> bool {
        match self {
            StatePlace::File(path) => !path.exists(),
            StatePlace::Postgres(_) => matches!(self.open_read_only().await, Err(StateError::Absent { .. })),
        }
    }
}

impl fmt::Display for StatePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StatePlace::File(path) => path.display().fmt(formatter),
            StatePlace::Postgres(address) => address.fmt(formatter),
        }
    }
}

impl AnyStore {
    /// Closes it, and gives the lease back, if it was opened with one.
    ///
    /// # Errors
    /// As [`SqliteStore::close`] and [`PostgresStore::close`].
    pub async fn close(self) -> Result<()> {
        match self {
            AnyStore::Sqlite(store) => store.close().await,
            AnyStore::Postgres(store) => store.close().await,
        }
    }

    /// The lease, if it has one that can be lost. The lock of a file cannot.
    #[must_use]
    pub fn lease(&self) -> Option<HeldLease> {
        match self {
            AnyStore::Sqlite(_) => None,
            AnyStore::Postgres(store) => store.lease(),
        }
    }

    /// Gives the lease back while others still have the store; what they write from now on is fenced. The lock of a file ends
    /// with the store.
    ///
    /// # Errors
    /// If the database cannot be told; the lease runs out then.
    pub async fn give_back(&self) -> Result<()> {
        match self {
            AnyStore::Sqlite(_) => Ok(()),
            AnyStore::Postgres(store) => store.give_back().await,
        }
    }

    /// Copies everything into an empty store in one step, and returns how many records that are. Progress, history and
    /// numbers stay what they are; what was asked of a run and has not ended does, too.
    ///
    /// # Errors
    /// [`StateError::NotEmpty`] if there is something in it; nothing is written then.
    pub async fn copy_to(&self, other: &AnyStore) -> Result<u64> {
        crate::sql::transfer::copy(self.sql(), other.sql()).await
    }

    /// How many records there are.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn records(&self) -> Result<u64> {
        crate::sql::transfer::count(self.sql()).await
    }

    fn sql(&self) -> &Sql {
        match self {
            AnyStore::Sqlite(store) => store.sql(),
            AnyStore::Postgres(store) => store.sql(),
        }
    }
}

sql_state_store!(AnyStore);
