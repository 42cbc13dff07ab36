//! `cargo xtask bench`: what a copy costs, beside what the two databases cost anyway and what other tools cost.
//!
//! | part | what it measures or does |
//! | --- | --- |
//! | [`e2e`] | whole copies of each shape of document, and the floor |
//! | [`cdc`] | how soon and how fast changes become rows |
//! | [`flat`] | that memory and the price of a row stay as they are when a collection grows |
//! | [`transforms`] | the price of fields that are left out, renamed and masked |
//! | [`operations`] | servers that go away, pipelines that fail beside others, a reload beside a run |
//! | [`peers`] | the same copy by other tools |
//! | [`report`] | the tables of `docs/benchmarks/README.md`, from what the others kept as JSON |
//! | [`floor`] | what the databases need for the least that any copy asks of them |
//! | [`zenith`], [`servers`], [`process`], [`machine`] | what is run, on what, and how it is read off |
//! | [`home`] | a configured command with a state of its own, and what its status says |
//! | [`statistics`], [`table`], [`svg`] | medians, tables, a chart |
//!
//! Progress goes to standard error, results to standard output and to files. Criterion's benches of single steps are in
//! the crate `zenith-benches`.

mod cdc;
mod e2e;
mod flat;
mod floor;
mod home;
mod machine;
mod operations;
mod peers;
mod process;
mod report;
mod servers;
mod statistics;
mod svg;
mod table;
mod transforms;
mod zenith;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zenith_testkit::{Error, Result};

use self::operations::{beside, crowd, fleet, outages};
use crate::Outcome;

/// What to measure.
#[derive(Subcommand)]
pub enum Verb {
    /// Copy each shape of document and compare with the least the databases need
    E2e(e2e::Arguments),
    /// Follow changes: latency, and a backlog beside a reader that only reads
    Cdc(cdc::Arguments),
    /// Copy a small and a large collection: memory and the price of a row
    Flat(flat::Arguments),
    /// Copy with fields left out, renamed and masked
    Transforms(transforms::Arguments),
    /// Follow many collections of which ten fail, each in its own way: the lag of the others
    Fleet(fleet::Arguments),
    /// Serve 50 pipelines and 1,000 collections: what that takes, and how long one waits while others are served
    Crowd(crowd::Arguments),
    /// Take either end away in four ways: how soon it is told, and how soon all is well again
    Outages(outages::Arguments),
    /// Load one of ten collections anew: the latency of the others
    Beside(beside::Arguments),
    /// Copy the same events with other tools
    Peers(peers::Arguments),
    /// Fill the tables of docs/benchmarks/README.md from the JSON files beside it
    Report(report::Arguments),
}

/// Runs the verb.
pub async fn run(verb: Verb) -> Outcome {
    match verb {
        Verb::E2e(arguments) => e2e::run(arguments).await,
        Verb::Cdc(arguments) => cdc::run(arguments).await,
        Verb::Flat(arguments) => flat::run(arguments).await,
        Verb::Transforms(arguments) => transforms::run(arguments).await,
        Verb::Fleet(arguments) => fleet::run(arguments).await,
        Verb::Crowd(arguments) => crowd::run(arguments).await,
        Verb::Outages(arguments) => outages::run(arguments).await,
        Verb::Beside(arguments) => beside::run(arguments).await,
        Verb::Peers(arguments) => peers::run(arguments).await,
        Verb::Report(arguments) => report::run(&arguments),
    }
}

/// Where results are kept.
fn results() -> PathBuf {
    crate::workspace_root().join("docs/benchmarks")
}

/// Writes results to a file.
fn keep(file: &Path, results: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(results).map_err(|error| Error::Malformed(error.to_string()))?;
    fs::write(file, text + "\n").map_err(Error::path("write", file))?;
    eprintln!("Kept in {}", file.display());
    Ok(())
}

/// Reads results that were kept.
fn kept<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let text = fs::read(file).map_err(Error::path("read", file))?;
    let malformed =
        |error| Error::Malformed(format!("{} is not what it was written as: {error}", file.display()));
    serde_json::from_slice(&text).map_err(malformed)
}
