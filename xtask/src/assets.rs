//! `cargo xtask assets`: what the page of `zenith serve` is made with, taken from npm as published.
//!
//! npm puts the packages of the lock file into `target/page`, and the few files that the page imports are copied to
//! `crates/zenith-server/assets/vendor`, which git ignores. A build without them has a page that says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::{Result, cannot, cargo, npm};

/// The page, from the root of the workspace.
const PAGE: &str = "crates/zenith-server/assets";
/// Says which lock file the files are of.
const STAMP: &str = "package-lock.json";

/// A file of a package, and what it is called here.
const FILES: [(&str, &str); 5] = [
    ("preact/dist/preact.mjs", "preact.mjs"),
    ("preact/hooks/dist/hooks.mjs", "preact-hooks.mjs"),
    ("htm/dist/htm.mjs", "htm.mjs"),
    ("uplot/dist/uPlot.iife.min.js", "uplot.js"),
    ("uplot/dist/uPlot.min.css", "uplot.css"),
];
/// A name that only tools which bundle can look up, and the file it stands for.
const IMPORT: (&str, &str) = ("from\"preact\"", "from\"./preact.mjs\"");

/// Makes the files, and says where they are.
pub fn run() -> Result<ExitCode> {
    println!("The page has what it needs in {}", make(&cargo::workspace_root())?.display());
    Ok(ExitCode::SUCCESS)
}

/// Makes the files unless they are there; their folder.
pub fn make(root: &Path) -> Result<PathBuf> {
    let page = root.join(PAGE);
    let vendor = page.join("vendor");
    let lock = page.join(STAMP);
    let wanted = fs::read(&lock).map_err(cannot("read", &lock))?;
    if fs::read(vendor.join(STAMP)).is_ok_and(|found| found == wanted) {
        return Ok(vendor);
    }
    let packages = packages(root)?;
    fs::create_dir_all(&vendor).map_err(cannot("create", &vendor))?;
    for (from, to) in FILES {
        let from = packages.join(from);
        let text = fs::read_to_string(&from).map_err(cannot("read", &from))?;
        let to = vendor.join(to);
        fs::write(&to, text.replace(IMPORT.0, IMPORT.1)).map_err(cannot("write", &to))?;
    }
    // Last, so that files that are not all there are made again.
    fs::write(vendor.join(STAMP), wanted).map_err(cannot("write", &vendor))?;
    Ok(vendor)
}

/// The folder with the packages of the page, installed if they are not there.
pub fn packages(root: &Path) -> Result<PathBuf> {
    npm::install(&root.join(PAGE), &cargo::target_folder(root)?.join("page"))
}
