//! The arguments of the commands that keep tables in step, and look after that.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, Subcommand};
use zenith_control::allowed::Allowed;
use zenith_control::reset::From;
use zenith_control::state::StateArgs;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith init                                    a file with every setting, to be edited
  zenith init --file shop.toml --force
  zenith init --from mongodb://localhost/shop --to http://localhost:8123/shop
                                                 a file with what is there: collections, sizes, columns

  Passwords are not written: they become references. Give them as such to keep them out of the process list:
    zenith init --from 'mongodb://app:${MONGO_PASSWORD}@db/shop' --to file:/run/secrets/clickhouse")]
pub struct Init {
    /// Look at this MongoDB, and write a pipeline for each of its collections
    #[arg(long, value_name = "URI", requires = "to")]
    pub from: Option<String>,
    /// The ClickHouse to write to
    #[arg(long, value_name = "URL", requires = "from")]
    pub to: Option<String>,
    /// Only these collections, as in 'orders*', 'crm.*' or '!tmp_*'. May be repeated [default: those of the database of
    /// --from]
    #[arg(long, value_name = "PATTERN", requires = "from")]
    pub collection: Vec<String>,
    /// The file to write [default: zenith.toml]
    #[arg(short = 'f', long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Overwrite an existing file
    #[arg(long)]
    pub force: bool,
}

/// Check both ends of the pipelines and report what is missing. Writes nothing.
///
/// Checks zenith.toml if the file exists, else the applied configuration.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith check            everything
  zenith check orders     one pipeline
  zenith check --json     for scripts

Exit codes: 0 nothing is missing; 2 something is missing.")]
pub struct Check {
    /// Only this pipeline
    pub name: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

/// Show the changes to the configuration, then apply zenith.toml.
///
/// A running `zenith run` picks them up within a second. Paused pipelines stay paused.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith apply --dry-run           only show the changes
  zenith apply                     show them, then apply them
  zenith apply -f shop.toml --yes  do not ask, even before pipelines are removed
  zenith apply --keep              add and change, remove nothing")]
pub struct Apply {
    /// Show the changes and apply nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask before pipelines are removed or start over
    #[arg(short, long)]
    pub yes: bool,
    /// Leave what is applied and not in the file as it is, such as what was made on the page
    #[arg(long)]
    pub keep: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

/// Print what is applied as a zenith.toml.
///
/// What was made on the page or through the API is in it; secrets are the references they were written as.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith export > zenith.toml
  zenith --server http://127.0.0.1:8470 export")]
pub struct Export {
    #[command(flatten)]
    pub place: StateArgs,
}

/// Keep the tables in step until stopped.
///
/// Zenith picks up changes made by `zenith apply` and `zenith pipeline` within a second. If nothing is applied and
/// ZENITH_SOURCE and ZENITH_TARGET are set, it keeps a table for every collection of the database in ZENITH_SOURCE.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith run                  every pipeline that is not paused, until Ctrl-C
  zenith run orders users     only these
  zenith run shop             those of all collections of shop, which is of several
  zenith run --once           catch up, then end, as for a timer

  Every collection of a database, without any configuration:
    ZENITH_SOURCE=mongodb://db/shop ZENITH_TARGET=http://ch:8123/shop zenith run

Exit codes: 0 stopped, or caught up; 1 every pipeline failed, or with --once any of them; 2 refused before anything was
written; 3 caught up, but with more mismatches in this run than --max-extra or --max-dead-letters allow.")]
pub struct Run {
    /// Only these pipelines; one of several collections stands for all of its own
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Catch up with the source, then end
    #[arg(long)]
    pub once: bool,
    /// Memory for data in transit, shared by all pipelines: at least 8MiB [default: as zenith.toml says, else 64MiB]
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
/// Works whether or not `zenith run` is running.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith status
  zenith status --watch            redraw every second until Ctrl-C
  zenith status --max-lag 60s      exit code 1 if a pipeline lags more
  zenith status --health           for containers: one line, and exit code 1 unless a run is healthy

Mismatches are counted since a table was loaded; -v, or the name of a pipeline, lists them by field and reason.

Exit codes: 0 healthy; 1 a pipeline failed or lags too much; 2 there is no state; 3 healthy, but with more mismatches
than --max-extra or --max-dead-letters allow (1 with --health).")]
pub struct Status {
    /// Only this pipeline
    pub name: Option<String>,
    /// Print one JSON object
    #[arg(long, conflicts_with = "watch")]
    pub json: bool,
    /// Redraw every second
    #[arg(long)]
    pub watch: bool,
    /// Print one line; also fail if no `zenith run` is running
    #[arg(long, conflicts_with_all = ["json", "watch", "name"])]
    pub health: bool,
    /// The most lag that is healthy, as in 60s or 5min
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub max_lag: Option<Duration>,
    /// How long a run may lag after its start, while both ends answer
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
    /// Show at most so many runs
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
    /// List what is applied.
    #[command(after_help = "Example:\n  zenith connector list --json")]
    List(List),
    /// Connect and report what is there.
    #[command(after_help = "Example:\n  zenith connector test shop")]
    Test(Named),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith pipeline list
  zenith pipeline show orders
  zenith pipeline pause orders     also while `zenith run` is running
  zenith pipeline pause shop.users one of several collections; shop stands for all of them
  zenith pipeline resume orders
  zenith pipeline remove orders")]
pub struct Pipelines {
    #[command(subcommand)]
    pub command: PipelineCommand,
}

#[derive(Debug, Subcommand)]
pub enum PipelineCommand {
    /// List what is applied.
    #[command(after_help = "Example:\n  zenith pipeline list --json")]
    List(List),
    /// Show all settings of a pipeline.
    #[command(after_help = "Example:\n  zenith pipeline show orders")]
    Show(Named),
    /// Pause a pipeline; resumed, it continues where it was.
    #[command(after_help = "Example:\n  zenith pipeline pause orders")]
    Pause(Named),
    /// Resume a paused pipeline.
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
    /// Print what would be done and do nothing
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
/// Readers of the table see the old rows or the new ones. The pipeline continues from there. If `zenith run` is running,
/// it does the work with its own memory and keeps running the other pipelines; Ctrl-C cancels the request.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith reload orders --dry-run
  zenith reload orders

Exit codes: 0 reloaded; 1 failed while reloading; 2 refused before anything was created; 3 reloaded, but with more
mismatches than --max-extra or --max-dead-letters allow; 130 stopped by a signal.")]
pub struct Reload {
    /// The pipeline
    pub name: String,
    /// Print what would be done and do nothing
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
    /// Memory for data in transit: at least 8MiB [default: as zenith.toml says, else 64MiB]
    #[arg(long, value_name = "SIZE", env = "ZENITH_MEMORY", value_parser = super::memory)]
    pub memory: Option<ByteSize>,
    #[command(flatten)]
    pub place: StateArgs,
}

/// Move a pipeline to another position.
///
/// The table keeps its rows. Moving forward skips the changes in between; moving back applies them once more. If
/// `zenith run` is running, it moves the pipeline and keeps running the other ones.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith reset orders --from beginning               read the collection again, then follow its changes
  zenith reset orders --from now                     skip the changes up to now
  zenith reset orders --from 2026-01-31T12:00:00Z    follow the changes from then on, if MongoDB still has them
  zenith reset orders --from 8265A0… --dry-run       a resume token")]
pub struct Reset {
    /// The pipeline
    pub name: String,
    /// The new position: now, beginning, a time in RFC 3339, or a resume token
    #[arg(long, value_name = "PLACE")]
    pub from: From,
    /// Print what would be done and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

/// Show the columns of a table and the fields they come from; move values of `_zenith_extra` into columns.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  zenith schema orders
  zenith schema orders --json
  zenith schema promote orders"
)]
pub struct Schema {
    #[command(subcommand)]
    pub command: Option<SchemaCommand>,
    #[command(flatten)]
    pub show: ShowSchema,
}

#[derive(Args, Debug)]
pub struct ShowSchema {
    /// The pipeline
    #[arg(required = true)]
    pub name: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// Propose columns for the values in `_zenith_extra`; with --apply add them, and move the values there.
    ///
    /// Zenith reads the rows that have values in `_zenith_extra`, and finds the fields that no column is for: new ones, new
    /// keys of documents and of documents in arrays, and fields that got their column after some rows were written. With
    /// --apply each gets a column of the type that holds all its values, and the rows show them there and no longer in
    /// `_zenith_extra`. Other pipelines continue meanwhile, with or without `zenith run`.
    #[command(after_help = "\
Examples:
  zenith schema promote orders                                  propose, and change nothing
  zenith schema promote orders --apply
  zenith schema promote orders --field customer.vip --apply     only this one

Exit codes: 0 done, or nothing to do; 1 failed; 2 refused before anything was changed.")]
    Promote(Promote),
}

#[derive(Args, Debug)]
pub struct Promote {
    /// The pipeline
    pub name: String,
    /// Only this field, by its keys with dots between them, even if they look like data; may be repeated
    #[arg(long = "field", value_name = "PATH")]
    pub fields: Vec<String>,
    /// Add the columns and move the values
    #[arg(long)]
    pub apply: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    pub place: StateArgs,
}

/// Compare a collection and its table.
///
/// Zenith reads every document of the collection and compares it with its row: the row has to give the document back, and
/// each column has to show the document's value. Values that only _zenith_extra has, and documents that are dead letters,
/// are reported, but are no differences. Zenith writes to neither end and stops neither. It looks again at what changed
/// meanwhile, which may show as a difference if a pipeline is far behind.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith verify orders
  zenith verify orders --sample 10000    compare only so many documents
  zenith verify orders --ids 1000        name more of the differing documents
  zenith verify orders --json

Exit codes: 0 equal; 1 different; 2 refused before anything was compared.")]
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
