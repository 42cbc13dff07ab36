//! The arguments of the commands that keep tables in step, and look after that.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, Subcommand};
use zenith_engine::ResetTo;

use super::Allowed;

/// Where the state and the configuration are.
#[derive(Args, Clone, Debug)]
pub struct StateArgs {
    /// The state [default: as zenith.toml says, else ~/.local/state/zenith/state.sqlite]
    #[arg(long, value_name = "PATH", env = "ZENITH_STATE", help_heading = "Place")]
    pub state: Option<PathBuf>,
    /// The configuration [default: zenith.toml]
    #[arg(short = 'f', long, value_name = "PATH", help_heading = "Place")]
    pub file: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith init
  zenith init --file shop.toml --force")]
pub struct Init {
    /// The file to write [default: zenith.toml]
    #[arg(short = 'f', long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
}

/// Look at both ends of the pipelines and say what is missing; writes nothing.
///
/// What zenith.toml says is looked at if there is one, what was applied otherwise.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith check            everything
  zenith check orders     one pipeline
  zenith check --json     for scripts

Exit codes: 0 nothing is missing; 2 something has to be mended.")]
pub struct Check {
    /// Only this pipeline
    pub name: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

/// Take over what zenith.toml says, after showing what changes.
///
/// A `zenith run` that is under way notices within a second. Pipelines that are paused stay so.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith apply --dry-run           only show what would change
  zenith apply                     show it, then do it
  zenith apply -f shop.toml --yes  without asking, even if pipelines are removed")]
pub struct Apply {
    /// Show what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask before pipelines are removed or begin anew
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

/// Keep the tables in step until stopped.
///
/// Changes made by `zenith apply` and `zenith pipeline` are picked up within a second. With ZENITH_SOURCE and
/// ZENITH_TARGET set and nothing applied, every collection of the database in ZENITH_SOURCE is kept in step.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith run                  every pipeline that is not paused, until Ctrl-C
  zenith run orders users     only these
  zenith run --once           catch up, then end: for timers

  Every collection of a database, without any configuration:
    ZENITH_SOURCE=mongodb://db/shop ZENITH_TARGET=http://ch:8123/shop zenith run

Exit codes: 0 stopped, or caught up; 1 every pipeline failed, or one with --once; 2 something to be mended first;
3 caught up, and more than --max-extra or --max-dead-letters allow did not fit in this run.")]
pub struct Run {
    /// Only these pipelines
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Catch up with the source, then end
    #[arg(long)]
    pub once: bool,
    /// Memory for data on its way, of all pipelines together: at least 8MiB [default: as zenith.toml says, else 64MiB]
    #[arg(long, value_name = "SIZE", env = "ZENITH_MEMORY", value_parser = super::memory)]
    pub memory: Option<ByteSize>,
    /// No progress
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    pub allowed: Allowed,
    #[command(flatten)]
    pub place: StateArgs,
}

/// Show how far each pipeline has come and how far it lags behind.
///
/// Works while `zenith run` is under way and while it is not.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith status
  zenith status --watch            redraw every second until Ctrl-C
  zenith status --max-lag 60s      exit code 1 if a pipeline is further behind
  zenith status --health           for containers: one line, and exit code 1 unless it runs and all is well

What did not fit is counted since a table was loaded; -v, or the name of a pipeline, lists it by field and reason.

Exit codes: 0 all is well; 1 a pipeline failed or lags too much; 2 there is no state; 3 only more than --max-extra or
--max-dead-letters allow did not fit (1 with --health).")]
pub struct Status {
    /// Only this pipeline
    pub name: Option<String>,
    /// Print one JSON object
    #[arg(long, conflicts_with = "watch")]
    pub json: bool,
    /// Redraw every second
    #[arg(long)]
    pub watch: bool,
    /// One line; fails as well if no `zenith run` is under way
    #[arg(long, conflicts_with_all = ["json", "watch", "name"])]
    pub health: bool,
    /// The lag that is still well, as in 60s or 5min
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub max_lag: Option<Duration>,
    /// How long after its start a run may lag, while both ends answer
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "30s")]
    pub grace: Duration,
    #[command(flatten)]
    pub allowed: Allowed,
    #[command(flatten)]
    pub place: StateArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith history
  zenith history orders --limit 5
  zenith history --json | jq '.[] | select(.outcome == \"failed\")'")]
pub struct History {
    /// Only this pipeline
    pub name: Option<String>,
    /// Most runs shown
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: u32,
    /// Print one JSON array
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith connector list
  zenith connector test shop")]
pub struct Connectors {
    #[command(subcommand)]
    pub command: ConnectorCommand,
}

#[derive(Debug, Subcommand)]
pub enum ConnectorCommand {
    /// List what was applied.
    #[command(after_help = "Example:\n  zenith connector list --json")]
    List(List),
    /// Connect, and say what is there.
    #[command(after_help = "Example:\n  zenith connector test shop")]
    Test(Named),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith pipeline list
  zenith pipeline show orders
  zenith pipeline pause orders     also while `zenith run` is under way
  zenith pipeline resume orders
  zenith pipeline remove orders")]
pub struct Pipelines {
    #[command(subcommand)]
    pub command: PipelineCommand,
}

#[derive(Debug, Subcommand)]
pub enum PipelineCommand {
    /// List what was applied.
    #[command(after_help = "Example:\n  zenith pipeline list --json")]
    List(List),
    /// Show all settings of a pipeline.
    #[command(after_help = "Example:\n  zenith pipeline show orders")]
    Show(Named),
    /// Let a pipeline stand still; it goes on where it was when it is resumed.
    #[command(after_help = "Example:\n  zenith pipeline pause orders")]
    Pause(Named),
    /// Let a pipeline go on.
    #[command(after_help = "Example:\n  zenith pipeline resume orders")]
    Resume(Named),
    /// Remove a pipeline and its progress; the table stays as it is.
    #[command(after_help = "Example:\n  zenith pipeline remove orders --dry-run")]
    Remove(Remove),
}

#[derive(Args, Debug)]
pub struct List {
    /// Print one JSON array
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

#[derive(Args, Debug)]
pub struct Named {
    /// Its name
    pub name: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

#[derive(Args, Debug)]
pub struct Remove {
    /// Its name
    pub name: String,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

/// Read a collection anew and replace its table in one step.
///
/// Whoever reads the table sees the old rows or the new ones. The pipeline goes on from there. A `zenith run` under way
/// does it, with its own memory, and goes on with the other pipelines meanwhile; Ctrl-C takes it back.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith reload orders --dry-run
  zenith reload orders

Exit codes: 0 reloaded; 1 failed on the way; 2 something to be mended first; 3 reloaded, and more than --max-extra or
--max-dead-letters allow did not fit; 130 stopped by a signal.")]
pub struct Reload {
    /// The pipeline
    pub name: String,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// No progress and no summary
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    pub allowed: Allowed,
    /// Memory for data on its way: at least 8MiB [default: as zenith.toml says, else 64MiB]
    #[arg(long, value_name = "SIZE", env = "ZENITH_MEMORY", value_parser = super::memory)]
    pub memory: Option<ByteSize>,
    #[command(flatten)]
    pub place: StateArgs,
}

/// Have a pipeline go on from somewhere else.
///
/// Nothing is removed from the table. Changes between here and there are missed if it lies ahead, and applied once
/// more if it lies back. A `zenith run` under way does it, and goes on with the other pipelines meanwhile.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith reset orders --from beginning               read the collection again, then follow its changes
  zenith reset orders --from now                     leave out what happened meanwhile
  zenith reset orders --from 2026-01-31T12:00:00Z    changes from then on, as far as MongoDB has them
  zenith reset orders --from 8265A0… --dry-run       a resume token")]
pub struct Reset {
    /// The pipeline
    pub name: String,
    /// Where to go on: now, beginning, a time as RFC 3339 has it, or a resume token
    #[arg(long, value_name = "PLACE")]
    pub from: From,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

/// Where a pipeline goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum From {
    Now,
    Beginning,
    Time(std::time::SystemTime),
    Token(String),
}

impl std::convert::From<&From> for ResetTo {
    fn from(from: &From) -> ResetTo {
        match from {
            From::Now => ResetTo::Now,
            From::Beginning => ResetTo::Beginning,
            From::Time(at) => ResetTo::Time(*at),
            From::Token(token) => ResetTo::Token(token.clone()),
        }
    }
}

impl std::fmt::Display for From {
    /// As it was written.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            From::Now => f.write_str("now"),
            From::Beginning => f.write_str("beginning"),
            From::Time(at) => f.write_str(&crate::time::rfc3339(*at)),
            From::Token(token) => f.write_str(token),
        }
    }
}

impl std::str::FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<From, String> {
        let text = text.trim();
        match text {
            "now" => return Ok(From::Now),
            "beginning" => return Ok(From::Beginning),
            _ => {}
        }
        if let Some(time) = crate::time::parse(text) {
            return Ok(From::Time(time));
        }
        let is_hex = text.len() >= 16 && text.chars().all(|digit| digit.is_ascii_hexdigit());
        if is_hex || text.starts_with('{') {
            return Ok(From::Token(text.to_owned()));
        }
        Err("write now, beginning, a time such as 2026-01-31T12:00:00Z, or a resume token".to_owned())
    }
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith schema orders
  zenith schema orders --json")]
pub struct Schema {
    /// The pipeline
    pub name: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

/// Compare a collection and its table.
///
/// Every document is read from the collection and held against its row: the row has to give it back, and each column
/// has to show the value that the collection has. Values that only _zenith_extra has, and documents that are dead letters,
/// are no difference, but told. Nothing is written to either end, and neither is stopped: what changed meanwhile is looked
/// at again, and may show as a difference where a pipeline is far behind.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith verify orders
  zenith verify orders --sample 10000    only so many documents
  zenith verify orders --ids 1000        name more of what differs
  zenith verify orders --json

Exit codes: 0 equal; 1 different; 2 something to be mended first.")]
pub struct Verify {
    /// The pipeline
    pub name: String,
    /// Compare only so many documents
    #[arg(long, value_name = "N")]
    pub sample: Option<u64>,
    /// Name so many documents of each kind of difference
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub ids: usize,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

#[cfg(test)]
mod tests {
    use super::From;

    #[test]
    fn places_to_go_on_from() {
        assert_eq!("now".parse(), Ok(From::Now));
        assert!(matches!("2026-01-31T12:00:00+01:00".parse(), Ok(From::Time(_))));
        assert!(matches!("8265A0B1C2000000012B".parse(), Ok(From::Token(_))));
        assert!(matches!("{\"_data\":\"82\"}".parse(), Ok(From::Token(_))));
        for wrong in ["", "yesterday", "2026-01-31", "12"] {
            assert!(wrong.parse::<From>().is_err(), "{wrong}");
        }
    }
}
