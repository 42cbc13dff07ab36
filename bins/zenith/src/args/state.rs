//! The arguments of what is done to the state as a whole.

use clap::{Args, Subcommand};

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  zenith state migrate --from state.sqlite --to 'postgres://zenith:${STATE_PASSWORD}@db/zenith'")]
pub struct States {
    #[command(subcommand)]
    pub command: StateCommand,
}

#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Copy the state into another database: from SQLite to PostgreSQL, or back.
    Migrate(MigrateState),
}

/// Copy the state into another database: from SQLite to PostgreSQL, or back.
///
/// Nothing may run on either of them meanwhile, and the other one has to be empty. The state that is copied stays as it is:
/// run nothing on it any more.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zenith state migrate --from /var/lib/zenith/state.sqlite --to 'postgres://zenith:${STATE_PASSWORD}@db/zenith' --dry-run
  zenith state migrate --from 'postgres://zenith:${STATE_PASSWORD}@db/zenith' --to back.sqlite")]
pub struct MigrateState {
    /// The state there is: a file, or postgres://USER:${PASSWORD}@HOST/DATABASE
    #[arg(long, value_name = "PLACE")]
    pub from: String,
    /// Where it is to be; created where there is nothing yet
    #[arg(long, value_name = "PLACE")]
    pub to: String,
    /// Say what would be copied, and copy nothing
    #[arg(long)]
    pub dry_run: bool,
}
