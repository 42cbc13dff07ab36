//! `cargo xtask check`: the rules of the project that the compiler does not know.
//!
//! | part | what it checks |
//! | --- | --- |
//! | [`functions`] | how long functions are, and how many parameters they have |
//! | [`imports`] | which crate may depend on which |
//! | [`modules`] | which file of a crate may import which |
//! | [`pages`] | what every file of the page must have |
//! | [`sources`] | what every source file must have and must not have |
//! | [`code`] | (tells code from comments and strings) |
//!
//! All findings are printed, not the first one.

mod code;
mod functions;
mod imports;
mod modules;
mod pages;
mod sources;

use std::path::Path;
use std::process::ExitCode;

use crate::Result;

/// Checks everything and prints what was found.
pub fn run() -> Result<ExitCode> {
    let root = crate::cargo::workspace_root();
    let mut findings = imports::check(&crate::cargo::metadata(&root)?);
    findings.extend(modules::check(&root));
    findings.extend(sources::check(&root)?);
    findings.extend(pages::check(&root)?);
    findings.sort();
    for Finding { place, complaint } in &findings {
        eprintln!("{place}: {complaint}");
    }
    if findings.is_empty() {
        println!("check: nothing to complain about");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("check: complaints: {}", findings.len());
    Ok(ExitCode::FAILURE)
}

/// A rule that is broken somewhere.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// A file, a line of a file, or a crate.
    place: String,
    complaint: String,
}

impl Finding {
    fn at(place: impl Into<String>, complaint: impl Into<String>) -> Self {
        Self { place: place.into(), complaint: complaint.into() }
    }

    /// In a line of a file, counted from 1.
    fn in_line(file: &Path, line: usize, complaint: impl Into<String>) -> Self {
        Self::at(format!("{}:{line}", file.display()), complaint)
    }
}
