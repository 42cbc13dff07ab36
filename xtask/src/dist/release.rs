//! Which version is packaged, for which machine, and as of which time.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::run;
use crate::{Result, cargo};

/// What all packages say of themselves.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) root: PathBuf,
    pub(super) version: String,
    /// One sentence.
    pub(super) description: String,
    pub(super) machine: Machine,
    /// Seconds since 1970 that count as the time of every file.
    pub(super) time: u64,
}

/// A kind of machine, in the words of those who name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    /// Rust's target triple.
    pub(super) triple: &'static str,
    /// The first part of it.
    pub(super) processor: &'static str,
    pub(super) debian: &'static str,
    pub(super) npm: &'static str,
}

const MACHINES: [Machine; 2] = [
    Machine { triple: "x86_64-unknown-linux-gnu", processor: "x86_64", debian: "amd64", npm: "x64" },
    Machine { triple: "aarch64-unknown-linux-gnu", processor: "aarch64", debian: "arm64", npm: "arm64" },
];

impl Release {
    /// The release that the workspace is, for the machine this runs on.
    pub(super) fn describe(root: PathBuf) -> Result<Self> {
        let metadata = cargo::metadata(&root)?;
        let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
        let package =
            packages.iter().find(|package| package["name"] == "zenith").ok_or("no package zenith")?;
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let here = std::env::consts::ARCH;
        let machine =
            MACHINES.into_iter().find(|machine| machine.processor == here && cfg!(target_env = "gnu"));
        Ok(Self {
            version: text("version"),
            description: text("description"),
            machine: machine.ok_or("packages are made on x86-64 and ARM64 Linux with glibc")?,
            time: time(&root)?,
            root,
        })
    }

    /// A program for which every time is that of the release.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SOURCE_DATE_EPOCH", self.time.to_string()).env("LC_ALL", "C").env("TZ", "UTC");
        command
    }
}

fn time(root: &Path) -> Result<u64> {
    if let Ok(given) = std::env::var("SOURCE_DATE_EPOCH") {
        return given
            .parse()
            .map_err(|_| format!("SOURCE_DATE_EPOCH={given} is no number of seconds").into());
    }
    let seconds = run::output(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root))
        .map_err(|error| format!("the time of the commit is not known: {error}; set SOURCE_DATE_EPOCH"))?;
    Ok(String::from_utf8(seconds)?.trim().parse()?)
}
