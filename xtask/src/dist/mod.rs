//! `cargo xtask dist`: what people install without compiling, all from one release build.
//!
//! | part | what it makes |
//! | --- | --- |
//! | [`release`] | (which version, for which machine, of which time) |
//! | [`parts`] | the binary, its debug file, completions, manual pages, licences |
//! | [`licences`] | the licences of everything that is in the binary |
//! | [`archive`] | the `.tar.zst`, and the npm package |
//! | [`debian`] | the `.deb` |
//! | [`wheel`] | the Python wheel |
//! | [`run`](mod@run) | (programs it takes: their output, their errors) |
//!
//! The same commit gives the same bytes: paths of this machine are left out of the binary, and times are that of the
//! commit, or `SOURCE_DATE_EPOCH`.

mod archive;
mod debian;
mod licences;
mod parts;
mod release;
mod run;
mod wheel;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use release::Release;

use crate::{Result, cannot, cargo, tools};

const HELP: &str = "\
Make what people install without compiling, into target/dist

Usage: cargo xtask dist [OPTIONS]

Options:
  --binary FILE  Package this binary, instead of building one
  --twice        Make everything once more elsewhere, and compare: both must be equal
  --test         Install each package where nothing is, and copy with it (as root; needs mmdebstrap, python3-venv, npm)";

/// What is to be done besides.
#[derive(Debug, Default, PartialEq)]
struct Options {
    binary: Option<PathBuf>,
    twice: bool,
    test: bool,
}

impl Options {
    /// `None` if the arguments are no options, or ask for help.
    fn parse(arguments: &[&str]) -> Option<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(&argument) = arguments.next() {
            match argument {
                "--binary" => options.binary = Some(PathBuf::from(arguments.next()?)),
                "--twice" => options.twice = true,
                "--test" => options.test = true,
                _ => return None,
            }
        }
        Some(options)
    }
}

/// Makes the packages, and does with them what the arguments ask for.
pub fn run(arguments: &[&str]) -> Result<ExitCode> {
    let Some(options) = Options::parse(arguments) else {
        println!("{HELP}");
        let asked = arguments.iter().any(|argument| ["--help", "-h"].contains(argument));
        return Ok(if asked { ExitCode::SUCCESS } else { ExitCode::from(2) });
    };
    let root = cargo::workspace_root();
    let target = cargo::target_folder(&root)?;
    let release = Release::describe(root)?;
    let make = |target: &Path, folder: &Path| match &options.binary {
        Some(binary) => package(&release, &std::path::absolute(binary)?, folder),
        None => package(&release, &parts::build_binary(&release, target)?, folder),
    };
    let folder = target.join("dist");
    let packages = make(&target, &folder)?;
    if options.twice {
        let elsewhere = target.join("dist-again");
        compare(&packages, &make(&elsewhere.join("target"), &elsewhere.join("dist"))?)?;
        fs::remove_dir_all(&elsewhere).map_err(cannot("remove", &elsewhere))?;
        println!("Made twice: equal");
    }
    for package in &packages {
        let bytes = fs::metadata(package).map_err(cannot("look at", package))?.len();
        println!("{:>6.1} MB  {}", bytes as f64 / 1e6, package.display());
    }
    if options.test {
        let arguments = [OsString::from("try-packages"), folder.into_os_string()];
        return tools::become_tools(&["try-packages"], &arguments);
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes all packages of a binary in `folder`, which begins empty.
fn package(release: &Release, binary: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(cannot("remove", folder))?;
    }
    let parts = parts::make(release, binary, &folder.join("parts"))?;
    Ok(vec![
        archive::tar_zst(release, &parts, folder)?,
        debian::package(release, &parts, folder)?,
        wheel::package(release, &parts, folder)?,
        archive::npm(release, &parts, folder)?,
    ])
}

fn compare(one: &[PathBuf], other: &[PathBuf]) -> Result<()> {
    for (one, other) in one.iter().zip(other) {
        let read = |path: &Path| fs::read(path).map_err(cannot("read", path));
        if read(one)? != read(other)? {
            return Err(format!("{} and {} differ", one.display(), other.display()).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let expected = Options { binary: Some(PathBuf::from("a/zenith")), twice: false, test: true };
        assert_eq!(Options::parse(&["--test", "--binary", "a/zenith"]), Some(expected));
        assert_eq!(Options::parse(&["--binary"]), None);
        assert_eq!(Options::parse(&["--tests"]), None);
    }
}
