//! The folder that keeps downloads between runs.
//!
//! A thing is there completely or not at all: it is put together in a folder beside its place and renamed into it, under a
//! file lock that makes other processes wait instead of downloading the same again. What is in it is not known here.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The cache folder: `$ZENITH_CACHE`, else `$XDG_CACHE_HOME/zenith`, else `~/.cache/zenith`. Created when absent.
pub fn directory() -> Result<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = from("ZENITH_CACHE")
        .or_else(|| Some(from("XDG_CACHE_HOME")?.join("zenith")))
        .or_else(|| Some(from("HOME")?.join(".cache/zenith")))
        .ok_or_else(|| Error::Missing("no folder for downloads: set ZENITH_CACHE or HOME".to_owned()))?;
    create(&directory)?;
    directory.canonicalize().map_err(Error::path("resolve", &directory))
}

/// Returns the folder `name` of the cache, having it filled by `fill` if it is not there yet.
///
/// `fill` gets an empty folder; what it leaves there becomes the entry once it returns without error. Blocks while
/// another process fills the cache.
pub fn entry(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let root = directory()?;
    let place = root.join(name);
    if place.is_dir() {
        return Ok(place);
    }
    let _lock = lock(&root.join("lock"))?;
    if place.is_dir() {
        return Ok(place);
    }
    let partial = root.join(format!("{name}.partial"));
    // The lock is ours, so whatever is there was left by a process that died half-way.
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(Error::path("remove", &partial))?;
    }
    create(&partial)?;
    if let Err(error) = fill(&partial) {
        let _ = fs::remove_dir_all(&partial);
        return Err(error);
    }
    sync_files(&partial)?;
    fs::rename(&partial, &place).map_err(Error::path("rename into place", &place))?;
    Ok(place)
}

/// Takes the exclusive lock of a file, waiting for its holder; dropping the file releases it.
pub fn lock(path: &Path) -> Result<File> {
    let file = File::options().create(true).append(true).open(path).map_err(Error::path("open", path))?;
    file.lock().map_err(Error::path("lock", path))?;
    Ok(file)
}

/// Creates a folder and those above it.
pub(crate) fn create(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).map_err(Error::path("create", directory))
}

/// Brings the files to the disk before the rename makes them count, or a power cut would leave a complete-looking
/// entry of empty files.
fn sync_files(directory: &Path) -> Result<()> {
    for item in fs::read_dir(directory).map_err(Error::path("list", directory))? {
        let path = item.map_err(Error::path("list", directory))?.path();
        if path.is_file() {
            File::open(&path).and_then(|file| file.sync_all()).map_err(Error::path("sync", &path))?;
        }
    }
    Ok(())
}
