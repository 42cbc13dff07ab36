//! `cargo xtask test`: all tests against one pair of servers, which are gone afterwards.
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
    let servers = TestServers::from_environment().await?;
    let mut command = tokio::process::Command::from(crate::cargo());
    command.arg("test").envs(servers.environment());
    if !names_a_package(&arguments) {
        command.arg("--workspace");
    }
    let status = command.args(&arguments).status().await.map_err(Error::io("run cargo test"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
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
}
