//! Builds `zenith-tools` and becomes it.
//!
//! Everything is built in the release profile, so that the tools and the command share every dependency; only `test`,
//! `test-docs` and `book` take the profile of the tests, for the same reason.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::{Result, assets, browser, cannot, cargo};

/// Processor time of a release build from nothing, command and tools, on a machine of 2026: see CONTRIBUTING.md.
const COLD_BUILD_CPU_SECONDS: usize = 1260;

/// Has the tools built, and replaces this program by them. Returns only with an error.
pub fn become_tools(words: &[&str], arguments: &[OsString]) -> Result<ExitCode> {
    become_tools_with(words, arguments, &[])
}

fn become_tools_with(
    words: &[&str],
    arguments: &[OsString],
    environment: &[(&str, PathBuf)],
) -> Result<ExitCode> {
    let root = cargo::workspace_root();
    let mut folder = cargo::target_folder(&root)?;
    if !["services", "book"].contains(&words[0]) {
        assets::make(&root)?;
    }
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
    if words[0] == "test" && opens_a_browser(&words[1..]) {
        tools.envs(browser::environment(&root)?);
    }
    let error = tools.args(arguments).envs(environment.iter().map(|(name, value)| (name, value))).exec();
    Err(format!("cannot run {}: {error}", program.display()).into())
}

/// Runs the tests of the page, which leave their pictures in the documentation.
pub fn become_tools_for_pictures() -> Result<ExitCode> {
    let folder = cargo::workspace_root().join("docs/pictures");
    std::fs::create_dir_all(&folder).map_err(cannot("create", &folder))?;
    let words = ["test", "-p", "zenith", "--test", "page"];
    become_tools_with(&words, &words.map(OsString::from), &[("ZENITH_TEST_PICTURES", folder)])
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

/// Whether the arguments of `cargo test` leave in the tests of the page, which are those of the command.
fn opens_a_browser(words: &[&str]) -> bool {
    let words: Vec<&str> = words.iter().take_while(|&&word| word != "--").copied().collect();
    let of = |options: [&str; 2]| -> Vec<&str> {
        let separate = words.windows(2).filter(|pair| options.contains(&pair[0])).map(|pair| pair[1]);
        let joined = words.iter().filter_map(|word| word.strip_prefix(options[0])?.strip_prefix('='));
        separate.chain(joined).collect()
    };
    let (packages, suites) = (of(["--package", "-p"]), of(["--test", "--test"]));
    (packages.is_empty() || packages.contains(&"zenith")) && (suites.is_empty() || suites.contains(&"page"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_there_for_the_tests_of_the_page() {
        assert!(opens_a_browser(&[]) && opens_a_browser(&["-p", "zenith", "--", "--test", "main"]));
        assert!(opens_a_browser(&["--package=zenith", "--test", "page"]));
        assert!(
            !opens_a_browser(&["-p", "zenith-arrow"])
                && !opens_a_browser(&["-p", "zenith", "--test", "main"])
        );
    }

    #[test]
    fn the_profile_of_the_tests_is_recognised_before_the_separator_only() {
        assert!(is_release(&["-p", "zenith", "--release"]));
        assert!(!is_release(&["-p", "zenith", "--", "--release"]));
    }
}
