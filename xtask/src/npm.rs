//! Packages of npm, by a lock file, into a folder of the target folder. No script of a package is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, cannot};

/// What says which packages there are.
const MANIFESTS: [&str; 2] = ["package.json", "package-lock.json"];

/// Installs the packages that a folder's manifests name, unless they are installed; the folder `node_modules`.
pub fn install(manifests: &Path, into: &Path) -> Result<PathBuf> {
    let packages = into.join("node_modules");
    fs::create_dir_all(into).map_err(cannot("create", into))?;
    let mut is_new = !packages.join(".package-lock.json").exists();
    for name in MANIFESTS {
        let (from, to) = (manifests.join(name), into.join(name));
        let wanted = fs::read(&from).map_err(cannot("read", &from))?;
        if !fs::read(&to).is_ok_and(|found| found == wanted) {
            is_new = true;
            fs::write(&to, wanted).map_err(cannot("write", &to))?;
        }
    }
    if is_new {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]).current_dir(into);
        let status = npm.status().map_err(|error| format!("cannot run npm: {error}; install it"))?;
        if !status.success() {
            let what = manifests.join(MANIFESTS[1]);
            return Err(format!("npm cannot install what {} names: see above", what.display()).into());
        }
    }
    Ok(packages)
}
