//! The zenith command: arguments in, output and exit code out. What it does is done by `zenith-engine`.

mod args;
mod commands;
mod copies;
mod copy;
mod display;
mod exit;
mod lease;
mod logging;
mod progress;
mod reach;
mod signals;
#[cfg(feature = "otel")]
mod telemetry;
mod terminal;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches as _};
use zenith_control::failure::code;

use args::{Arguments, Command};
use progress::say;
use reach::Context;
use zenith_server::log::Log;

fn main() -> ExitCode {
    let matches = match Arguments::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return misused(&error),
    };
    let Arguments { verbose, server, command } = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => return misused(&error.format(&mut Arguments::command())),
    };
    let context = Context::new(server, verbose > 0, &matches);
    // Dropped at the end, which sends what is left.
    #[cfg(feature = "otel")]
    let (traces, _sending) = telemetry::traces::layer();
    #[cfg(not(feature = "otel"))]
    let traces = None::<tracing_subscriber::layer::Identity>;
    let log = match &command {
        Command::Serve(_) => logging::start_server(verbose, traces),
        _ => {
            logging::start(verbose, matches!(command, Command::Run(_)), traces);
            Log::default()
        }
    };
    match command {
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "zenith", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Command::Manual { folder } => {
            clap_mangen::generate_to(Arguments::command().disable_help_subcommand(true), &folder).map_or_else(
                |error| exit::input(&format!("cannot write the manual to {}: {error}", folder.display())),
                |()| ExitCode::SUCCESS,
            )
        }
        Command::Explain(arguments) => ended(commands::explain::run(&arguments)),
        command => {
            // Few threads suffice: decoding has its own, and the rest waits for sockets.
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            match runtime {
                Ok(runtime) => {
                    let code = runtime.block_on(run(command, &context, log));
                    // Its tasks end with the process: ended one by one, some of the driver's panic as others are gone.
                    std::mem::forget(runtime);
                    code
                }
                Err(error) => exit::failed(&format!("cannot start: {error}")),
            }
        }
    }
}

async fn run(command: Command, context: &Context, log: Log) -> ExitCode {
    ended(match command {
        Command::Copy(arguments) => {
            match context.only_here("zenith copy", "it copies by itself, without any state") {
                Ok(()) => return copy::run(&arguments).await,
                Err(failure) => Err(failure),
            }
        }
        Command::Init(arguments) => commands::init::run(&arguments, context).await,
        Command::Check(arguments) => commands::check::run(&arguments, context).await,
        Command::Apply(arguments) => commands::apply::run(&arguments, context).await,
        Command::Export(arguments) => commands::export::run(&arguments, context).await,
        Command::Run(arguments) => commands::run::run(&arguments, context).await,
        Command::Serve(arguments) => commands::serve::run(&arguments, log, context).await,
        Command::Status(arguments) => commands::status::run(&arguments, context).await,
        Command::History(arguments) => commands::history::run(&arguments, context).await,
        Command::Connector(arguments) => commands::connector::run(&arguments, context).await,
        Command::Pipeline(arguments) => commands::pipeline::run(&arguments, context).await,
        Command::Reload(arguments) => commands::reload::run(&arguments, context).await,
        Command::Reset(arguments) => commands::reset::run(&arguments, context).await,
        Command::DeadLetters(arguments) => commands::dead_letters::run(&arguments, context).await,
        Command::Schema(arguments) => commands::schema::run(&arguments, context).await,
        Command::Alerts(arguments) => commands::alerts::run(&arguments, context).await,
        Command::Verify(arguments) => commands::verify::run(&arguments, context).await,
        Command::State(arguments) => commands::state::run(&arguments, context).await,
        // These need no runtime.
        Command::Completions { .. } | Command::Manual { .. } | Command::Explain(_) => Ok(ExitCode::SUCCESS),
    })
}

fn ended(ending: exit::Ending) -> ExitCode {
    ending.unwrap_or_else(|failure| exit::report(&failure))
}

/// Prints what the arguments ask for, as `--help`, or what is wrong with them, with its code.
fn misused(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if !error.use_stderr() || error.kind() == DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    }
    let plain = !std::io::stderr().is_terminal() || std::env::var_os("NO_COLOR").is_some();
    let text = error.render();
    let text = if plain { text.to_string() } else { text.ansi().to_string() };
    say(text.replacen("error:", &format!("error[{}]:", code::USAGE), 1).trim_end());
    ExitCode::from(2)
}
