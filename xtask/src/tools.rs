//! Builds `zenith-tools` and becomes it.
//!
//! Everything is built in the release profile, so that the tools and the command share every dependency; only `test`,
//! `test-docs` and `book` take the profile of the tests, for the same reason.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::Result;
use crate::cargo;

/// Processor time of a release build from nothing, command and tools, on a machine of 2026: see CONTRIBUTING.md.
const COLD_BUILD_CPU_SECONDS: usize = 1260;

/// Has the tools built, and replaces this program by them. Returns only with an error.
pub fn become_tools(words: &[&str], arguments: &[OsString]) -> Result<ExitCode> {
    let root = cargo::workspace_root();
    let mut folder = cargo::target_folder(&root)?;
    let mut build = cargo::command();
    build.arg("build").current_dir(&root).args(["--bin", "zenith-tools"]);
    let mut built = vec!["zenith-tools"];
    let is_of_tests = ["test-docs", "book"].contains(&words[0]);
    if is_of_tests || (words[0] == "test" && !is_release(&words[1..])) {
        folder.push("debug");
        // All packages, and an example, so that dependencies get the features they will have for the tests.
        build.args(["--workspace", "--example", "load"]);
    } else {
        folder.push("release");
        // The command too, so that dependencies get the features they have for it.
        build.args(["--release", "--package", "zenith-tools", "--package", "zenith"]);
    }
    if ["demo", "test-docs"].contains(&words[0]) {
        build.args(["--bin", "zenith"]);
        built.push("zenith");
    }
    announce(&folder, &built, &mut build);
    if !build.status()?.success() {
        return Err(format!("{} cannot be built: see above", built.join(" and ")).into());
    }
    let program = folder.join("zenith-tools");
    let mut tools = Command::new(&program);
    cargo::leave_out_this_package(&mut tools);
    let error = tools.args(arguments).exec();
    Err(format!("cannot run {}: {error}", program.display()).into())
}

/// Has the simulation built, and replaces this program by it. Returns only with an error.
///
/// It is built apart from the tools, which are to share their dependencies with the command: the command has no clock that
/// can be paused.
pub fn become_simulation(arguments: &[OsString]) -> Result<ExitCode> {
    let root = cargo::workspace_root();
    let folder = cargo::target_folder(&root)?.join("release");
    let mut build = cargo::command();
    build.args(["build", "--release", "--package", "zenith-simulation"]).current_dir(&root);
    announce(&folder, &["zenith-simulation"], &mut build);
    if !build.status()?.success() {
        return Err("zenith-simulation cannot be built: see above".into());
    }
    let program = folder.join("zenith-simulation");
    let error = Command::new(&program).args(arguments).exec();
    Err(format!("cannot run {}: {error}", program.display()).into())
}

/// Says what is built and how long that may take; what already exists is built again quietly.
fn announce(folder: &Path, programs: &[&str], build: &mut Command) {
    if programs.iter().all(|program| folder.join(program).exists()) {
        build.arg("--quiet");
        return;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let minutes = COLD_BUILD_CPU_SECONDS.div_ceil(60 * cores);
    eprintln!(
        "Building {} with all dependencies: about {minutes} min on {cores} cores the first time, seconds later on …",
        programs.join(" and ")
    );
}

/// Whether the arguments of `cargo test` ask for the release profile.
fn is_release(words: &[&str]) -> bool {
    words.iter().take_while(|&&word| word != "--").any(|&word| word == "--release" || word == "-r")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_of_the_tests_is_recognised_before_the_separator_only() {
        assert!(is_release(&["-p", "zenith", "--release"]));
        assert!(!is_release(&["-p", "zenith", "--", "--release"]));
    }
}
