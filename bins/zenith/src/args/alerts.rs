//! The arguments of `zenith alerts`.

use clap::{Args, Subcommand};

use zenith_control::state::StateArgs;

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  zenith alerts test")]
pub struct Alerts {
    #[command(subcommand)]
    pub command: AlertCommand,
}

#[derive(Debug, Subcommand)]
pub enum AlertCommand {
    /// Send a sample to the webhooks of zenith.toml, and show what they answer.
    #[command(after_help = "\
Examples:
  zenith alerts test
  zenith alerts test team --file /etc/zenith/zenith.toml

Exit codes: 0 all have taken it; 1 one has not; 2 something in zenith.toml or the environment has to be corrected first.")]
    Test(TestAlerts),
}

#[derive(Args, Debug)]
pub struct TestAlerts {
    /// Only this webhook
    pub name: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: StateArgs,
}
