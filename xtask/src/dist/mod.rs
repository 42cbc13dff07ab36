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
//! | [`run`] | (programs it takes: their output, their errors) |
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

Usage: cargo xtask dist [--twice] [--test]

Options:
  --twice  Build everything once more elsewhere, and compare: both must be equal
  --test   Install each package where nothing is, and copy with it (as root; needs mmdebstrap, python3-venv, npm)";

/// Makes the packages, and does with them what the arguments ask for.
pub fn run(arguments: &[&str]) -> Result<ExitCode> {
    if let Some(other) = arguments.iter().find(|argument| !["--twice", "--test"].contains(argument)) {
        println!("{HELP}");
        return Ok(if ["--help", "-h"].contains(other) { ExitCode::SUCCESS } else { ExitCode::from(2) });
    }
    let root = cargo::workspace_root();
    let target = cargo::target_folder(&root)?;
    let release = Release::describe(root)?;
    let folder = target.join("dist");
    let packages = make(&release, &target, &folder)?;
    if arguments.contains(&"--twice") {
        let elsewhere = target.join("dist-again");
        let again = make(&release, &elsewhere.join("target"), &elsewhere.join("dist"))?;
        compare(&packages, &again)?;
        fs::remove_dir_all(&elsewhere).map_err(cannot("remove", &elsewhere))?;
        println!("Built twice: equal");
    }
    for package in &packages {
        let bytes = fs::metadata(package).map_err(cannot("look at", package))?.len();
        println!("{:>6.1} MB  {}", bytes as f64 / 1e6, package.display());
    }
    if arguments.contains(&"--test") {
        let arguments = [OsString::from("try-packages"), folder.into_os_string()];
        return tools::become_tools(&["try-packages"], &arguments);
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds in `target` and makes all packages in `folder`, which begins empty.
fn make(release: &Release, target: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(cannot("remove", folder))?;
    }
    fs::create_dir_all(folder).map_err(cannot("create", folder))?;
    let parts = parts::build(release, target, &folder.join("parts"))?;
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
            return Err(format!(
                "{} and {} differ: see what diffoscope says",
                one.display(),
                other.display()
            )
            .into());
        }
    }
    Ok(())
}
