//! A folder that is there for as long as it is needed.
//!
//! Not by the crate `tempfile`: with it, dependencies would have other features than the command's, and be compiled twice.

use std::path::{Path, PathBuf};

use zenith_testkit::services::test_servers::unique_name;
use zenith_testkit::{Error, Result};

/// A folder among the machine's temporary ones; it is removed with this value.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new, empty folder.
    pub fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(unique_name("zenith"));
        std::fs::create_dir(&path).map_err(Error::path("create", &path))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever cleans the temporary folder.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
