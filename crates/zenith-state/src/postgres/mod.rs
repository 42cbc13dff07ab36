//! A store in a PostgreSQL database, which several processes share.
//!
//! | file | |
//! | --- | --- |
//! | `address.rs` | addresses, and what of them may be shown |
//! | `connect.rs`, `session.rs` | connections; transactions |
//! | `lease.rs` | one process that moves data at a time |
//! | `formats.rs` | which format a database has, and bringing it up to date |
//! | `fault.rs` | what PostgreSQL's codes mean |
//!
//! What it relies on: `synchronous_commit`, which each transaction that writes sets for itself, and that a server that has
//! acknowledged a commit still has it after a failover.

mod address;
mod connect;
pub(crate) mod fault;
mod formats;
mod lease;
pub(crate) mod session;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::task::JoinHandle;

pub use self::address::PostgresAddress;
use self::connect::connect;
use self::formats::{Format, KNOWN, format, migrate};
use self::lease::Lease;
pub use self::lease::{LASTS, MARGIN, RENEWED_EVERY};
use self::session::Connections;
use crate::sql::{Sql, history, sql_state_store};
use crate::{Result, StateError};

const OPEN: &str = "find the tables";

/// A store in a PostgreSQL database.
///
/// | opened by | for | lease | creates and migrates | writes |
/// | --- | --- | --- | --- | --- |
/// | [`open`](PostgresStore::open) | the process that moves data | has it | yes | as long as it has the lease |
/// | [`open_shared`](PostgresStore::open_shared) | short commands, beside that process too | none | if nobody has the lease | yes |
/// | [`open_read_only`](PostgresStore::open_read_only) | looking | none | no | no |
pub struct PostgresStore {
    path: PathBuf,
    sql: Sql,
    kept: Option<Box<Kept>>,
}

/// The lease, and the task that renews it.
struct Kept {
    lease: Arc<Lease>,
    address: PostgresAddress,
    task: JoinHandle<()>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
        // Nothing writes by it any more, and nobody has taken it: it runs out by itself.
        self.lease.let_go();
    }
}

impl PostgresStore {
    /// Opens the store for the process that moves data: creates the tables, takes the lease, and marks runs that a crash
    /// left open as failed.
    ///
    /// # Errors
    /// [`StateError::Leased`] if another process has the lease, [`StateError::Newer`] if a later version wrote it,
    /// [`StateError::Foreign`] if it is something else.
    pub async fn open(address: &PostgresAddress) -> Result<PostgresStore> {
        let mut connection = connect(address, OPEN).await?;
        up_to_date(&mut connection, address).await?;
        drop(connection);
        let lease = Lease::claim(address).await?;
        let task = tokio::spawn(Arc::clone(&lease).keep(address.clone()));
        let sql = Sql::Postgres(Box::new(Connections::new(address, true, Some(Arc::clone(&lease)))));
        let kept = Some(Box::new(Kept { lease, address: address.clone(), task }));
        let store = PostgresStore { path: address.path(), sql, kept };
        history::mark_interrupted(&store.sql, SystemTime::now()).await?;
        Ok(store)
    }

    /// Opens the store for a short command that may run beside the process that moves data, and creates or migrates it if
    /// there is no such process.
    ///
    /// # Errors
    /// As [`PostgresStore::open`]; [`StateError::Leased`] only if it must be migrated and may not be.
    pub async fn open_shared(address: &PostgresAddress) -> Result<PostgresStore> {
        up_to_date(&mut connect(address, OPEN).await?, address).await?;
        let sql = Sql::Postgres(Box::new(Connections::new(address, true, None)));
        Ok(PostgresStore { path: address.path(), sql, kept: None })
    }

    /// Opens the store for looking. Nothing is created or changed.
    ///
    /// # Errors
    /// [`StateError::Absent`] if there is none, [`StateError::Older`] if it has to be migrated first,
    /// [`StateError::Newer`], [`StateError::Foreign`].
    pub async fn open_read_only(address: &PostgresAddress) -> Result<PostgresStore> {
        let path = address.path();
        match format(&mut connect(address, OPEN).await?, address).await? {
            Format::Current => {}
            Format::Empty => return Err(StateError::Absent { path }),
            Format::Older(found) => return Err(StateError::Older { path, found, known: KNOWN }),
        }
        let sql = Sql::Postgres(Box::new(Connections::new(address, false, None)));
        Ok(PostgresStore { path, sql, kept: None })
    }

    /// Whether a process that moves data has the lease.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn is_leased(address: &PostgresAddress) -> Result<bool> {
        match format(&mut connect(address, OPEN).await?, address).await? {
            Format::Empty => Ok(false),
            _ => Lease::is_held(address).await,
        }
    }

    /// The lease, if it was opened with one.
    #[must_use]
    pub fn lease(&self) -> Option<HeldLease> {
        self.kept.as_ref().map(|kept| HeldLease(Arc::clone(&kept.lease)))
    }

    /// Gives the lease back, if it was opened with one. A store that is merely dropped leaves it to run out.
    ///
    /// # Errors
    /// If the database cannot be told; the lease runs out then.
    pub async fn close(self) -> Result<()> {
        self.give_back().await
    }

    /// Gives the lease back while others still have the store; what they write from now on is fenced.
    ///
    /// # Errors
    /// If the database cannot be told; the lease runs out then.
    pub async fn give_back(&self) -> Result<()> {
        match &self.kept {
            Some(kept) => {
                kept.task.abort();
                kept.lease.give_back(&kept.address).await
            }
            None => Ok(()),
        }
    }
}

/// The lease that a store was opened with. Clones are the same one.
#[derive(Clone)]
pub struct HeldLease(Arc<Lease>);

impl HeldLease {
    /// Whether anything may still be sent to a target. It is lost, or two seconds from its end, otherwise.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.0.is_usable()
    }

    /// Whether it has ended, or is about to, without being given back: then the process must send nothing any more.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.0.is_lost()
    }
}

impl fmt::Debug for HeldLease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HeldLease").field("usable", &self.is_usable()).finish_non_exhaustive()
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PostgresStore")
            .field("path", &self.path)
            .field("lease", &self.lease())
            .finish_non_exhaustive()
    }
}

/// Creates the tables or brings them up to date, unless a process works with them as they are.
async fn up_to_date(connection: &mut sqlx::PgConnection, address: &PostgresAddress) -> Result<()> {
    match format(connection, address).await? {
        Format::Current => return Ok(()),
        Format::Empty => {}
        Format::Older(_) => {
            if Lease::is_held(address).await? {
                return Err(StateError::Leased {
                    path: address.path(),
                    holder: "an earlier version".to_owned(),
                });
            }
        }
    }
    migrate(connection, address).await
}

impl PostgresStore {
    pub(crate) fn sql(&self) -> &Sql {
        &self.sql
    }
}

sql_state_store!(PostgresStore);
