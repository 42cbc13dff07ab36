//! `cargo xtask test`: all tests against one pair of servers, which are gone afterwards.
//!
//! Among all tests are those of the crate in `examples/third-party`. It is outside the workspace, as one of somebody
//! else's is, so that it breaks where a public item does.
//!
//! Plain `cargo test` works too; then each test binary starts a pair of its own, which takes longer.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;
use zenith_testkit::{Error, TestServers};

use crate::Outcome;

/// What is passed on.
#[derive(Args)]
pub struct Test {
    /// Arguments for `cargo test`; without -p, the whole workspace is tested
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARG")]
    _arguments: Vec<OsString>,
}

/// Runs `cargo test` with the given arguments; its exit code is the outcome.
pub async fn run() -> Outcome {
    // Not from clap, which takes a leading `--` for itself: it separates cargo's arguments from the tests'.
    let arguments: Vec<OsString> = std::env::args_os().skip(2).collect();
    let mut servers = TestServers::from_environment().await?;
    let mut command = tokio::process::Command::from(crate::cargo());
    command.arg("test").envs(servers.environment());
    if !names_a_package(&arguments) {
        command.arg("--workspace");
    }
    let status = command.args(&arguments).status().await.map_err(Error::io("run cargo test"))?;
    for error in servers.ended() {
        eprintln!("\n{error}");
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    if code != 0 || !are_all(&arguments) {
        return Ok(ExitCode::from(code));
    }
    third_party(&arguments).await
}

/// Tests the crate that is outside the workspace, with the same dependencies and in the same target folder, so that only
/// Zenith's own crates are compiled again.
async fn third_party(arguments: &[OsString]) -> Outcome {
    let root = crate::workspace_root();
    let folder = root.join("examples/third-party");
    std::fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))
        .map_err(Error::io("copy Cargo.lock"))?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
    let mut command = tokio::process::Command::from(crate::cargo());
    command.args(["test", "--offline"]).args(arguments).current_dir(&folder).env("CARGO_TARGET_DIR", target);
    let status = command.status().await.map_err(Error::io("run cargo test in examples/third-party"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether the arguments leave out no test.
fn are_all(arguments: &[OsString]) -> bool {
    arguments
        .iter()
        .all(|argument| ["--release", "-r", "-q", "--quiet"].iter().any(|other| argument == other))
}

fn names_a_package(arguments: &[OsString]) -> bool {
    arguments.iter().map_while(|argument| argument.to_str().filter(|&text| text != "--")).any(|argument| {
        argument.starts_with("-p")
            || ["--package", "--workspace", "--all"].iter().any(|option| argument.starts_with(option))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_recognised_before_the_separator_only() {
        let names = |text: &str| names_a_package(&text.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(names("-p zenith-arrow"));
        assert!(names("--release --package=zenith-arrow"));
        assert!(!names("--release -- -p"));
    }

    #[test]
    fn a_choice_of_tests_leaves_out_the_crate_outside_the_workspace() {
        let all = |arguments: &[&str]| are_all(&arguments.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(all(&[]) && all(&["--release"]));
        assert!(!all(&["-p", "zenith"]) && !all(&["--", "name"]));
    }
}
