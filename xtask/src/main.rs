//! Developer commands: `cargo xtask services | test | test-docs | book | simulate | check | demo | screenshots | assets |
//! bench | dist`.
//!
//! This program is small, so that it is there in seconds: it has no driver, no TLS and no runtime. What needs servers is
//! done by `zenith-tools`, which it has built and becomes.

// The commands speak on standard output; it is what they are for.
#![allow(clippy::print_stdout)]

mod assets;
mod browser;
mod cargo;
mod check;
mod dist;
mod npm;
mod tools;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// The result of anything here; errors are for people.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const HELP: &str = "\
Developer commands of Zenith

Usage: cargo xtask <COMMAND>

Commands:
  services     Real MongoDB and ClickHouse that stay up until they are told to go
  test         Run the tests against one pair of servers
  test-docs    Run or read every block of code in the pages
  book         Make the book of the pages in docs, and follow every link
  simulate     Run the engine over memory, with crashes and faults by a seed
  check        Check the project's own rules
  demo         Copy real data from a real MongoDB to a real ClickHouse and ask it something
  assets       Fetch what the page of zenith serve is made with
  screenshots  Make the pictures of the page in docs/pictures
  bench        Measure copies, and what they are compared with
  dist         Make packages that are installed without compiling

`cargo xtask <COMMAND> --help` says more.";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    run(&arguments).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &[OsString]) -> Result<ExitCode> {
    let words: Vec<&str> = arguments.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    match words.as_slice() {
        ["check"] => check::run(),
        ["assets"] => assets::run(),
        ["screenshots"] => tools::become_tools_for_pictures(),
        ["services" | "test" | "test-docs" | "book" | "demo" | "bench", ..] => {
            tools::become_tools(&words, arguments)
        }
        ["simulate", ..] => tools::become_simulation(&arguments[1..]),
        ["dist", rest @ ..] => dist::run(rest),
        ["help" | "--help" | "-h"] | ["check" | "assets" | "screenshots", "--help" | "-h"] => {
            println!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("{HELP}");
            Ok(ExitCode::from(2))
        }
    }
}

/// An error with the file it is about: "cannot read a/b: …".
fn cannot(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Box<dyn std::error::Error> {
    let what = format!("cannot {what} {}", path.display());
    move |error| format!("{what}: {error}").into()
}
