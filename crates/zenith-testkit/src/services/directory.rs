//! Where servers keep their data: a folder the caller named, or a temporary one.
//!
//! Temporary folders of a process lie in one folder of the cache. A guard process removes that folder when this process
//! ends, however it ends: destructors of statics do not run, and a killed test runs none at all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::process::ProcessIdentity;
use super::{cache, host};
use crate::error::{Error, Result};

/// A server's data folder; a temporary one disappears with this value.
#[derive(Debug)]
pub(super) struct DataDirectory {
    path: PathBuf,
    temporary: bool,
}

impl DataDirectory {
    /// The folder `path`, created when absent, or a new temporary one whose name begins with `label`.
    pub(super) fn open(path: Option<PathBuf>, label: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let temporary = path.is_none();
        let path = match path {
            Some(path) => path,
            None => run_directory()?.join(format!("{label}-{}", NEXT.fetch_add(1, Ordering::Relaxed))),
        };
        cache::create(&path)?;
        // Servers resolve relative paths against folders of their own choice.
        let path = path.canonicalize().map_err(Error::path("resolve", &path))?;
        Ok(Self { path, temporary })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DataDirectory {
    fn drop(&mut self) {
        if self.temporary {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The folder of this process for temporary data, with its guard.
fn run_directory() -> Result<PathBuf> {
    static CURRENT: Mutex<Option<(PathBuf, ChildStdin)>> = Mutex::new(None);
    let mut current = CURRENT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((path, _)) = &*current {
        return Ok(path.clone());
    }
    let runs = cache::directory()?.join("run");
    cache::create(&runs)?;
    remove_abandoned(&runs);
    let path = runs.join(ProcessIdentity::of_this_process()?.to_string());
    cache::create(&path)?;
    let stdin = start_guard(&path)?;
    *current = Some((path.clone(), stdin));
    Ok(path)
}

/// The guard waits for the end of its standard input, which this process keeps open as long as it lives.
fn start_guard(directory: &Path) -> Result<ChildStdin> {
    use std::os::unix::process::CommandExt;
    let mut guard = Command::new(host::program()?)
        .arg("guard")
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C goes to the whole group of the terminal; the guard must survive it to do its work.
        .process_group(0)
        .spawn()
        .map_err(Error::io("start the guard of temporary data"))?;
    guard.stdin.take().ok_or_else(|| Error::Malformed("a piped standard input is missing".to_owned()))
}

/// Removes what processes left whose guard died too, as when the machine lost power.
fn remove_abandoned(runs: &Path) {
    for item in fs::read_dir(runs).into_iter().flatten().flatten() {
        let owner = item.file_name().to_str().and_then(|name| name.parse::<ProcessIdentity>().ok());
        if owner.is_some_and(|owner| !owner.is_alive()) {
            let _ = fs::remove_dir_all(item.path());
        }
    }
}
