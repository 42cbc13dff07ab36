//! Three ways to open a store, and what each may do.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::fault::{fault, io_fault};
use super::lock::Hold;
use super::migrate::{Format, KNOWN, format, migrate};
use super::session::{Connections, Slot};
use super::{SqliteStore, lock};
use crate::sql::{Sql, history};
use crate::{Result, StateError};

/// How long a transaction waits for another process to end one of its own.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for another process that creates the database or migrates it.
const TIMEOUT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);
/// Pages kept in memory by each connection. Negative: in KiB.
const CACHE_KIBIBYTES: &str = "-256";
/// Length of the log, in pages, at which it is moved into the database; and what is left of its file then.
const LOG_PAGES: &str = "256";
const LOG_BYTES: &str = "1048576";
/// There are no more statements than that.
const STATEMENTS: usize = 56;

impl SqliteStore {
    /// Opens the store for the process that moves data: creates it with its folders, takes the lock, brings it
    /// up to date, and marks runs that a crash left open as failed.
    ///
    /// # Errors
    /// [`StateError::Locked`] if another process has it, [`StateError::Newer`] if a later version wrote it,
    /// [`StateError::Foreign`] if it is something else.
    pub async fn open(path: &Path) -> Result<SqliteStore> {
        let path = prepare(path).await?;
        let lock = lock::acquire(&path).await?;
        let mut writer = connect(&path, writing(&path)).await?;
        if format(&mut writer, &path).await? != Format::Current {
            migrate(&mut writer, &path).await?;
        }
        let store = SqliteStore::assemble(path, writer, Some(lock)).await?;
        history::mark_interrupted(&store.sql, SystemTime::now()).await?;
        Ok(store)
    }

    /// Opens the store for a short command that may run beside the process that moves data, and creates or
    /// migrates it if there is no such process.
    ///
    /// # Errors
    /// As [`SqliteStore::open`]; [`StateError::Locked`] only if it must be migrated and may not be.
    pub async fn open_shared(path: &Path) -> Result<SqliteStore> {
        let path = prepare(path).await?;
        let mut writer = connect(&path, writing(&path)).await?;
        let deadline = Instant::now() + TIMEOUT;
        while format(&mut writer, &path).await? != Format::Current {
            if let Some(_lock) = lock::try_acquire(&path, Hold::Moment)? {
                migrate(&mut writer, &path).await?;
            } else if Instant::now() >= deadline {
                return Err(lock::locked(&path));
            } else {
                sleep(PAUSE).await;
            }
        }
        SqliteStore::assemble(path, writer, None).await
    }

    /// Opens the store for looking. Nothing is created or changed.
    ///
    /// # Errors
    /// [`StateError::Absent`] if there is none, [`StateError::Older`] if it has to be migrated first,
    /// [`StateError::Newer`], [`StateError::Foreign`].
    pub async fn open_read_only(path: &Path) -> Result<SqliteStore> {
        let path = find(path).await?;
        let options = common(&path).read_only(true);
        let mut reader = connect(&path, options.clone()).await?;
        match format(&mut reader, &path).await? {
            Format::Current => {}
            Format::Empty => return Err(StateError::Absent { path }),
            Format::Older(found) => return Err(StateError::Older { path, found, known: KNOWN }),
        }
        let reader = Slot::new(&path, options, reader);
        let sql = Sql::Sqlite(Box::new(Connections { path: path.clone(), reader, writer: None }));
        Ok(SqliteStore { path, sql, lock: None })
    }

    /// Whether a process that moves data has the store open.
    pub async fn is_locked(path: &Path) -> bool {
        let path = path.to_owned();
        let look = move || lock::is_held(&path.canonicalize().unwrap_or(path));
        spawn_blocking(look).await.unwrap_or_default()
    }

    async fn assemble(path: PathBuf, writer: SqliteConnection, lock: Option<File>) -> Result<SqliteStore> {
        let options = common(&path).read_only(true);
        let reader = Slot::new(&path, options.clone(), connect(&path, options).await?);
        let writer = Some(Slot::new(&path, writing(&path), writer));
        let sql = Sql::Sqlite(Box::new(Connections { path: path.clone(), reader, writer }));
        Ok(SqliteStore { path, sql, lock })
    }
}

async fn connect(path: &Path, options: SqliteConnectOptions) -> Result<SqliteConnection> {
    options.connect().await.map_err(|error| fault("open the database", path, error))
}

fn common(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(STATEMENTS)
        .thread_name(|number| format!("state-{number}"))
        .pragma("cache_size", CACHE_KIBIBYTES)
        .pragma("mmap_size", "0")
        .pragma("trusted_schema", "OFF")
        .disable_statement_logging()
}

fn writing(path: &Path) -> SqliteConnectOptions {
    common(path)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", LOG_PAGES)
        .pragma("journal_size_limit", LOG_BYTES)
}

/// Creates the file, readable by its owner alone, and the folders above it, and returns its real path: the lock
/// must be the same one under any name of the file. What already exists is left as it is.
async fn prepare(path: &Path) -> Result<PathBuf> {
    let path = path.to_owned();
    blocking(move || {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(failed("create", folder))?;
        }
        if path.is_dir() {
            return Err(StateError::Foreign { path });
        }
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        file.map_err(failed("open", &path))?;
        path.canonicalize().map_err(failed("find", &path))
    })
    .await
}

/// Where a file really is.
async fn find(path: &Path) -> Result<PathBuf> {
    let path = path.to_owned();
    blocking(move || match path.canonicalize() {
        Ok(path) if path.is_file() => Ok(path),
        Ok(path) => Err(StateError::Foreign { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StateError::Absent { path }),
        Err(error) => Err(failed("find", &path)(error)),
    })
    .await
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| io_fault(action, &path, source)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(failed("prepare", Path::new("state"))(io::Error::other(error))),
    }
}
