//! Developer commands: `cargo xtask services | test | check | demo`.
//!
//! Each verb is a module of that name. What servers are and how they run is known to `zenith-testkit` alone.

// The commands speak on standard output; it is what they are for.
#![allow(clippy::print_stdout)]

mod services;

use std::error::Error;
use std::process::ExitCode;

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
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        Verb::Services(verb) => services::run(verb).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {}", zenith_testkit::services::test_servers::with_causes(error.as_ref()));
        ExitCode::FAILURE
    })
}
