//! Developer commands: `cargo xtask services | test | check | demo | bench`.
//!
//! Each verb is a module of that name. What servers are and how they run is known to `zenith-testkit` alone.

// The commands speak on standard output; it is what they are for.
#![allow(clippy::print_stdout)]

mod bench;
mod check;
mod demo;
mod services;
mod test;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};

/// What a verb returns: the exit code of the whole command.
type Outcome = Result<ExitCode, Box<dyn Error>>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer commands of Zenith", disable_version_flag = true)]
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
    /// Check the project's own rules
    Check,
    /// Copy real data from a real MongoDB to a real ClickHouse and ask it something
    Demo,
    /// Measure copies, and what they are compared with
    #[command(subcommand)]
    Bench(bench::Verb),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        Verb::Services(verb) => services::run(verb).await,
        Verb::Test(_) => test::run().await,
        Verb::Check => check::run(),
        Verb::Demo => demo::run().await,
        Verb::Bench(verb) => bench::run(verb).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {}", zenith_testkit::services::test_servers::with_causes(error.as_ref()));
        ExitCode::FAILURE
    })
}

/// The cargo this command was started by, to be run from here.
///
/// `cargo run` describes this package to us in the environment. Passed on, that would make some build scripts (ring's)
/// believe that their surroundings have changed, and have half of the dependencies compiled again.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// The folder of the workspace's `Cargo.toml`.
fn workspace_root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// What `cargo metadata` says about the workspace, without foreign packages.
fn metadata(root: &Path) -> Result<serde_json::Value, Box<dyn Error>> {
    let mut command = cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root);
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
