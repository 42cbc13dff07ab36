//! One process that writes at a time: an advisory lock on a file beside the database.
//!
//! It is not SQLite's own lock, which is held for a transaction at a time: this one is held for the life of
//! the process that moves data, and a process that is killed does not leave it behind. The file has the number
//! of that process, for messages, and stays when the lock is released: removing it could take it away from under
//! another process.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::fault::io_fault;
use crate::{Result, StateError};

/// How long to wait for the lock. A process that only checks it holds it for an instant, one that creates the state
/// for as long as the disk takes.
const TIMEOUT: Duration = Duration::from_secs(1);
const TIMEOUT_WITH_DISKS: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// How long the holder keeps the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// For the life of the process, whose number the file has then.
    Life,
    /// To create the database or bring it up to date.
    Moment,
}

/// Takes the lock of a database for the life of the process.
pub(super) async fn acquire(database: &Path) -> Result<File> {
    let started = Instant::now();
    loop {
        if let Some(lock) = try_acquire(database, Hold::Life)? {
            return Ok(lock);
        }
        let timeout = if holder(database).is_some() { TIMEOUT } else { TIMEOUT_WITH_DISKS };
        if started.elapsed() >= timeout {
            return Err(locked(database));
        }
        sleep(PAUSE).await;
    }
}

/// Takes the lock of a database unless another process holds it.
pub(super) fn try_acquire(database: &Path, hold: Hold) -> Result<Option<File>> {
    let path = lock_path(database);
    let failed = |source| io_fault("lock", &lock_path(database), source);
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
    let mut file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).map_err(failed)?;
            if hold == Hold::Life {
                file.write_all(format!("{}\n", std::process::id()).as_bytes()).map_err(failed)?;
            }
            Ok(Some(file))
        }
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Whether a process holds the lock of a database. Without an answer, none does.
pub(super) fn is_held(database: &Path) -> bool {
    // A shared lock, so that those who look do not take each other for the holder.
    File::open(lock_path(database))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The error for a database whose lock another process holds.
pub(super) fn locked(database: &Path) -> StateError {
    StateError::Locked { path: database.to_owned(), pid: holder(database) }
}

/// The process that has the lock for its life, or had it last.
fn holder(database: &Path) -> Option<u32> {
    fs::read_to_string(lock_path(database)).ok()?.trim().parse().ok()
}

fn lock_path(database: &Path) -> PathBuf {
    let mut path = OsString::from(database);
    path.push(".lock");
    path.into()
}
