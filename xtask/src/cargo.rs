//! The cargo this command was started by, and what it says about the workspace.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// The cargo this command was started by.
pub fn command() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    leave_out_this_package(&mut command);
    command
}

/// Takes what `cargo run` says about this package out of the environment of a child.
///
/// Passed on, it would make some build scripts (ring's) believe that their surroundings have changed, and have half of
/// the dependencies compiled again.
pub fn leave_out_this_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
}

/// The folder of the workspace's `Cargo.toml`.
pub fn workspace_root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// What `cargo metadata` says about the workspace, without foreign packages.
pub fn metadata(root: &Path) -> Result<serde_json::Value> {
    let mut cargo = command();
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root);
    let output = cargo.output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The folder that cargo builds into.
pub fn target_folder(root: &Path) -> Result<PathBuf> {
    let metadata = metadata(root)?;
    Ok(metadata["target_directory"].as_str().map_or_else(|| root.join("target"), PathBuf::from))
}
