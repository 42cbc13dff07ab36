//! The arguments of `zenith dead-letters`.

use std::time::SystemTime;

use clap::{Args, Subcommand};

use zenith_control::state::StateArgs;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith dead-letters list orders
  zenith dead-letters show 5f0c2a9be1d34477
  zenith dead-letters retry orders --dry-run
  zenith dead-letters purge orders --before 30d --yes")]
pub struct DeadLetters {
    #[command(subcommand)]
    pub command: DeadLetterCommand,
}

#[derive(Debug, Subcommand)]
pub enum DeadLetterCommand {
    /// List documents that have no row, the newest first.
    #[command(after_help = "\
Examples:
  zenith dead-letters list
  zenith dead-letters list orders --limit 5
  zenith dead-letters list --json | jq -r '.[].reason' | sort | uniq -c")]
    List(ListLetters),
    /// Show one dead letter with its document.
    #[command(after_help = "Example:\n  zenith dead-letters show 5f0c2a9be1d34477")]
    Show(ShowLetter),
    /// Write the current documents from MongoDB, and remove the settled dead letters.
    ///
    /// A change log gets the stored changes instead. Works whether or not `zenith run` is running.
    #[command(after_help = "\
Examples:
  zenith dead-letters retry orders --dry-run
  zenith dead-letters retry orders
  zenith dead-letters retry --id 5f0c2a9be1d34477

Exit codes: 0 all are settled; 1 some are not; 2 refused before anything was written.")]
    Retry(RetryLetters),
    /// Remove dead letters for good. Without --yes only print how many.
    #[command(after_help = "\
Examples:
  zenith dead-letters purge orders
  zenith dead-letters purge orders --before 30d --yes
  zenith dead-letters purge --id 5f0c2a9be1d34477 --yes
  zenith dead-letters purge --all --yes")]
    Purge(PurgeLetters),
}

#[derive(Args, Debug)]
pub struct ListLetters {
    /// Only those of this pipeline
    pub name: Option<String>,
    /// Show at most so many dead letters
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u64,
    /// Print one JSON array
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

#[derive(Args, Debug)]
pub struct ShowLetter {
    /// The dead letter, as `list` names it
    pub id: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

#[derive(Args, Debug)]
pub struct RetryLetters {
    /// Only those of this pipeline
    pub name: Option<String>,
    /// Only this dead letter; may be repeated
    #[arg(long = "id", value_name = "ID")]
    pub ids: Vec<String>,
    /// Print what would be done and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["name", "ids", "before", "all"]))]
pub struct PurgeLetters {
    /// Only those of this pipeline
    pub name: Option<String>,
    /// Only this dead letter; may be repeated
    #[arg(long = "id", value_name = "ID")]
    pub ids: Vec<String>,
    /// Only those written before this time, or longer ago than this, as in 30d
    #[arg(long, value_name = "TIME", value_parser = before)]
    pub before: Option<SystemTime>,
    /// All of them
    #[arg(long, conflicts_with_all = ["name", "ids", "before"])]
    pub all: bool,
    /// Remove them
    #[arg(short, long)]
    pub yes: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

fn before(text: &str) -> Result<SystemTime, String> {
    let ago = || SystemTime::now().checked_sub(humantime::parse_duration(text).ok()?);
    zenith_control::time::parse(text)
        .or_else(ago)
        .ok_or_else(|| "write a time such as 2026-01-31T12:00:00Z, or how long ago, as 30d".to_owned())
}
