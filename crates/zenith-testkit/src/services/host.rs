//! Puts the server host, which the library carries, where it can be run.
//!
//! `src/bin/zenith-server-host.rs` says what the host does.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::cache;
use crate::error::{Error, Result};

/// The host as `build.rs` compiled it.
static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zenith-server-host"));

/// Path of the runnable host, written into the cache if this very program is not there yet.
pub(super) fn program() -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    PROGRAM.hash(&mut hasher);
    let directory = cache::entry(&format!("server-host-{:016x}", hasher.finish()), |target| {
        let file = target.join("zenith-server-host");
        fs::write(&file, PROGRAM).map_err(Error::path("write", &file))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))
            .map_err(Error::path("make executable", &file))
    })?;
    Ok(directory.join("zenith-server-host"))
}
