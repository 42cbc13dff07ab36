//! `zenith-tools services | test | test-docs | book | demo | bench`: the developer commands that need servers. `cargo xtask` builds and
//! starts it.
//!
//! Each verb is a module of that name. What servers are and how they run is known to `zenith-testkit` alone.

// The commands speak on standard output; it is what they are for.
#![allow(clippy::print_stdout)]

mod bench;
mod demo;
mod docs;
#[cfg(test)]
mod monitoring;
mod packages;
#[cfg(test)]
mod packaging;
mod scratch;
mod services;
mod test;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};

/// What a verb returns: the exit code of the whole command.
type Outcome = Result<ExitCode, Box<dyn Error>>;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Developer commands of Zenith")]
#[command(disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Real MongoDB and ClickHouse that stay up until they are told to go
    #[command(subcommand)]
    Services(services::Verb),
    /// Run the tests against one pair of servers
    Test(test::Test),
    /// Copy real data from a real MongoDB to a real ClickHouse and ask it something
    Demo,
    /// Measure copies, and what they are compared with
    #[command(subcommand)]
    Bench(bench::Verb),
    /// Make the book of the pages in docs, and follow every link
    Book,
    /// Run or read every block of code in the pages
    TestDocs {
        /// Only pages whose path has this in it
        part: Option<String>,
    },
    /// Install the packages where nothing is, and copy with them
    #[command(hide = true)]
    TryPackages(packages::Packages),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        Verb::Services(verb) => services::run(verb).await,
        Verb::Test(_) => test::run().await,
        Verb::Demo => demo::run().await,
        Verb::Bench(verb) => bench::run(verb).await,
        Verb::Book => docs::run_book(),
        Verb::TestDocs { part } => docs::run_tests(part).await,
        Verb::TryPackages(packages) => packages::run(packages).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {}", zenith_testkit::services::test_servers::with_causes(error.as_ref()));
        ExitCode::FAILURE
    })
}

/// The cargo that `cargo xtask` was started by.
fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The folder of the workspace's `Cargo.toml`.
fn workspace_root() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR"));
    tools.ancestors().nth(2).unwrap_or(tools).to_owned()
}

/// Builds the command in its release profile; its path. `cargo xtask` has done so before a demonstration.
async fn build_zenith() -> Result<PathBuf, Box<dyn Error>> {
    let mut command = tokio::process::Command::from(cargo());
    command.args(["build", "--quiet", "--release", "--package", "zenith", "--message-format=json"]);
    let output =
        command.current_dir(workspace_root()).stderr(std::process::Stdio::inherit()).output().await?;
    if !output.status.success() {
        return Err("zenith does not build: see above".into());
    }
    executable(&output.stdout).ok_or_else(|| "cargo build names no executable of zenith".into())
}

/// The path of the executable in cargo's messages, one JSON object a line.
fn executable(messages: &[u8]) -> Option<PathBuf> {
    let messages = messages.split(|&byte| byte == b'\n');
    let mut executables = messages.filter_map(|line| {
        let message: serde_json::Value = serde_json::from_slice(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    });
    executables.next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
            {\"reason\":\"compiler-artifact\",\"executable\":\"/t/release/zenith\"}\n\
            {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(executable(messages.as_bytes()), Some(PathBuf::from("/t/release/zenith")));
        assert_eq!(executable(b""), None);
    }
}
