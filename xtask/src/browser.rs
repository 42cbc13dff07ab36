//! What the tests of the page need besides servers: a browser, and the client that drives it.
//!
//! The browser is Chromium as Debian has it. As root on a Debian it is installed where it is missing; anywhere else the
//! error says what to do.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Result, cargo, npm};

/// The manifests of the client, from the root of the workspace.
const CLIENT: &str = "crates/zenith-server/browser";
/// The browser of one's own.
const VARIABLE: &str = "ZENITH_TEST_BROWSER";
/// What Chromium is called.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// The browser, and letters for it.
const DEBIAN_PACKAGES: [&str; 3] = ["chromium", "fonts-dejavu-core", "fonts-liberation2"];

/// Both, installed if they are not there, as the environment that the tests read.
pub fn environment(root: &Path) -> Result<[(&'static str, PathBuf); 2]> {
    let client = npm::install(&root.join(CLIENT), &cargo::target_folder(root)?.join("browser"))?;
    Ok([(VARIABLE, browser()?), ("ZENITH_TEST_BROWSER_CLIENT", client)])
}

fn browser() -> Result<PathBuf> {
    if let Some(own) = std::env::var_os(VARIABLE) {
        return Ok(own.into());
    }
    if let Some(found) = find() {
        return Ok(found);
    }
    eprintln!("Installing Chromium for the tests of the page …");
    for arguments in
        [&["update"][..], &[&["install", "--yes", "--no-install-recommends"], &DEBIAN_PACKAGES[..]].concat()]
    {
        let mut apt = Command::new("apt-get");
        apt.arg("--quiet=2").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        if !apt.status().is_ok_and(|status| status.success()) {
            break;
        }
    }
    find().ok_or_else(|| {
        format!("the tests of the page need Chromium: install it, or set {VARIABLE} to its program").into()
    })
}

fn find() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&folders).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    places.find(|place| place.is_file())
}
