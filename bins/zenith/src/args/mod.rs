//! The arguments of the command and what they say about themselves.
//!
//! `copy.rs` has the one-off copy, `pipelines.rs` what keeps tables in step and looks after that,
//! `state.rs` what moves the state, `serve.rs` what serves that over HTTP, `alerts.rs` what tests alerts, `letters.rs` what
//! looks after documents that have no row.

mod alerts;
mod copy;
mod letters;
#[cfg(test)]
mod page;
mod pipelines;
mod serve;
mod state;

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use zenith_control::config::MEMORY_MIN;
use zenith_control::failure::Code;

use crate::reach::ServerArgs;

pub use alerts::{AlertCommand, Alerts, TestAlerts};
pub use copy::Copy;
pub use letters::{DeadLetterCommand, DeadLetters};
pub use pipelines::{
    Apply, Check, ConnectorCommand, Connectors, Export, History, Init, Named, PipelineCommand, Pipelines,
    Promote, Reload, Remove, Reset, Run, Schema, SchemaCommand, ShowSchema, Status, Verify,
};
pub use serve::Serve;
pub use state::{MigrateState, StateCommand, States};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Copies MongoDB collections into ClickHouse tables and keeps them in step, without losing a value.
#[derive(Debug, Parser)]
#[command(name = "zenith", version, styles = STYLES, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Arguments {
    /// Log to standard error; twice for more. `ZENITH_LOG` takes a filter instead.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy a whole collection into a table. Readers of the table see the old rows or the new ones.
    Copy(Box<Copy>),
    /// Write a commented zenith.toml to start from.
    Init(Init),
    /// Check both ends of the pipelines and report what is missing. Writes nothing.
    Check(Check),
    /// Show the changes to the configuration, then apply zenith.toml.
    Apply(Apply),
    /// Print what is applied as a zenith.toml.
    Export(Export),
    /// Keep the tables in step until stopped.
    Run(Run),
    /// Run the pipelines, and serve the page, the API and metrics over HTTP.
    Serve(Serve),
    /// Show how far each pipeline has come and how far it lags behind.
    Status(Status),
    /// Show past runs.
    History(History),
    /// List and test the sources and targets.
    Connector(Connectors),
    /// List, show, pause, resume and remove pipelines.
    Pipeline(Pipelines),
    /// Read a collection anew and replace its table in one step.
    Reload(Reload),
    /// Move a pipeline to another position.
    Reset(Reset),
    /// List, show, retry and remove documents without a row.
    DeadLetters(DeadLetters),
    /// Show the columns of a table and the fields they come from; move values of `_zenith_extra` into columns.
    Schema(Schema),
    /// Compare a collection and its table.
    Verify(Verify),
    /// Test whether alerts reach those who want to know.
    Alerts(Alerts),
    /// Say what the code of an error means, why it comes and what to do.
    Explain(Explain),
    /// Move the state into another database.
    State(States),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  zenith completions bash > /etc/bash_completion.d/zenith")]
    Completions { shell: Shell },
    /// Write the manual pages into a folder, one for each command.
    #[command(after_help = "Example:\n  zenith manual /usr/local/share/man/man1")]
    Manual { folder: PathBuf },
}

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  zenith explain ZEN-2004")]
pub struct Explain {
    /// The code, as an error shows it
    pub code: Code,
}

const EXAMPLES: &str = "\
Example:
  A copy, planned first:
    zenith copy --from mongodb://localhost/shop --collection orders --to http://localhost:8123/shop --dry-run

  Tables kept in step:
    zenith init && zenith check && zenith apply && zenith run

  A server asked from elsewhere, with its token in ZENITH_TOKEN:
    zenith --server https://zenith.example:8470 status

More examples: zenith COMMAND --help";

fn memory(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse().map_err(|_| "not a size; write it as 64MiB or 1GB".to_owned())?;
    if size < MEMORY_MIN { Err("at least 8MiB is needed".to_owned()) } else { Ok(size) }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("write a number, at least 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_do_not_contradict_each_other_and_every_command_has_an_example() {
        let mut command = super::Arguments::command();
        command.clone().debug_assert();
        command.build();
        let mut commands: Vec<_> = command.get_subcommands().collect();
        while let Some(command) = commands.pop() {
            let (name, help) = (command.get_name(), command.get_after_help().map(ToString::to_string));
            assert!(name == "help" || help.is_some_and(|help| help.contains("Example")), "{name}");
            commands.extend(command.get_subcommands().filter(|_| name != "help"));
        }
    }
}
