//! Which format a file has, and bringing it up to date.
//!
//! A format is a file in `migrations/`, and its number is that of the file. Files that have been released do
//! not change. SQLx notes in the table `_sqlx_migrations` which ones a database has had.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{Row, SqlSafeStr, SqliteConnection};
use tokio::time::{Instant, sleep};

use super::fault::fault;
use crate::sql::session::damaged;
use crate::{Result, StateError};

/// The formats, oldest first.
const FORMATS: [(i64, &str, &str); 6] = [
    (1, "state", include_str!("../../migrations/0001_state.sql")),
    (2, "misfits", include_str!("../../migrations/0002_misfits.sql")),
    (3, "operation", include_str!("../../migrations/0003_operation.sql")),
    (4, "evolution", include_str!("../../migrations/0004_evolution.sql")),
    (5, "audit", include_str!("../../migrations/0005_audit.sql")),
    (6, "alerts", include_str!("../../migrations/0006_alerts.sql")),
];
/// The newest format.
pub(super) const KNOWN: i64 = FORMATS[FORMATS.len() - 1].0;
/// What the header of our files says: "ZNTH".
const APPLICATION_ID: i64 = 0x5A4E_5448;
const LOOK: &str = "look for the format";
/// How long to wait for readers.
const TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Nothing yet.
    Empty,
    /// A state of an earlier version.
    Older(i64),
    /// A state as this version writes it.
    Current,
}

/// Finds out what a file is.
///
/// # Errors
/// For files of others and of later versions; the connection is of no use then.
pub(super) async fn format(connection: &mut SqliteConnection, path: &Path) -> Result<Format> {
    // All looks see one moment: somebody may be creating the tables.
    execute(connection, path, "BEGIN DEFERRED").await?;
    let found = look(connection, path).await?;
    execute(connection, path, "COMMIT").await?;
    Ok(found)
}

async fn look(connection: &mut SqliteConnection, path: &Path) -> Result<Format> {
    const OTHERS: &str = "SELECT count(*) FROM sqlite_schema WHERE tbl_name <> '_sqlx_migrations'";
    const NEWEST: &str = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
    let others = number(connection, path, OTHERS).await?;
    match number(connection, path, "PRAGMA application_id").await? {
        APPLICATION_ID => {}
        // A crash may have come between the table of formats and the first one.
        0 if others == 0 => return Ok(Format::Empty),
        _ => return Err(StateError::Foreign { path: path.to_owned() }),
    }
    match number(connection, path, NEWEST).await? {
        KNOWN => Ok(Format::Current),
        found if found > KNOWN => Err(StateError::Newer { path: path.to_owned(), found, known: KNOWN }),
        found => Ok(Format::Older(found)),
    }
}

/// Brings a file to the newest format. The caller has the lock.
pub(super) async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<()> {
    use_log(connection, path).await?;
    let migrations = FORMATS.iter().map(|&(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    migrator.run_direct(None, connection, false).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            fault("bring the tables up to date", path, error)
        }
        error => damaged(path, error),
    })
}

/// Makes SQLite write to a log first. That is a property of the file, so once is enough; but the switch needs
/// the file for itself and does not wait for it, so this waits for readers.
async fn use_log(connection: &mut SqliteConnection, path: &Path) -> Result<()> {
    const ACTION: &str = "switch to a write-ahead log";
    let deadline = Instant::now() + TIMEOUT;
    let mode = loop {
        let row = sqlx::query("PRAGMA journal_mode = WAL").fetch_one(&mut *connection).await;
        let mode = row.and_then(|row| row.try_get::<String, _>(0));
        match mode.map_err(|error| fault(ACTION, path, error)) {
            Err(error) if error.is_transient() && Instant::now() < deadline => sleep(PAUSE).await,
            mode => break mode?,
        }
    };
    if mode == "wal" {
        return Ok(());
    }
    let why = format!("SQLite keeps the mode {mode:?}; is the file on a network file system?");
    Err(StateError::Sqlite { action: ACTION, path: path.to_owned(), source: why.into() })
}

async fn execute(connection: &mut SqliteConnection, path: &Path, statement: &'static str) -> Result<()> {
    let done = sqlx::query(statement).execute(connection).await;
    done.map(|_| ()).map_err(|error| fault(LOOK, path, error))
}

async fn number(connection: &mut SqliteConnection, path: &Path, query: &'static str) -> Result<i64> {
    let row = sqlx::query(query).fetch_one(connection).await;
    row.and_then(|row| row.try_get(0)).map_err(|error| fault(LOOK, path, error))
}
