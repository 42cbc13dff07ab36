//! The zenith command: arguments in, output and exit code out. What it does is done by `zenith-engine`.

mod args;
mod commands;
mod copies;
mod copy;
mod display;
mod exit;
mod logging;
mod progress;
mod shown_status;
mod signals;
#[cfg(feature = "otel")]
mod telemetry;
mod terminal;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Arguments, Command};
use zenith_server::log::Log;

fn main() -> ExitCode {
    let Arguments { verbose, command } = Arguments::parse();
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
        command => {
            // Few threads suffice: decoding has its own, and the rest waits for sockets.
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            match runtime {
                Ok(runtime) => {
                    let code = runtime.block_on(run(command, verbose > 0, log));
                    // Its tasks end with the process: ended one by one, some of the driver's panic as others are gone.
                    std::mem::forget(runtime);
                    code
                }
                Err(error) => exit::failed(&format!("cannot start: {error}")),
            }
        }
    }
}

async fn run(command: Command, verbose: bool, log: Log) -> ExitCode {
    ended(match command {
        Command::Copy(arguments) => return copy::run(&arguments).await,
        Command::Init(arguments) => commands::init::run(&arguments).await,
        Command::Check(arguments) => commands::check::run(&arguments).await,
        Command::Apply(arguments) => commands::apply::run(&arguments).await,
        Command::Run(arguments) => commands::run::run(&arguments).await,
        Command::Serve(arguments) => commands::serve::run(&arguments, log).await,
        Command::Status(arguments) => commands::status::run(&arguments, verbose).await,
        Command::History(arguments) => commands::history::run(&arguments).await,
        Command::Connector(arguments) => commands::connector::run(&arguments).await,
        Command::Pipeline(arguments) => commands::pipeline::run(&arguments).await,
        Command::Reload(arguments) => commands::reload::run(&arguments).await,
        Command::Reset(arguments) => commands::reset::run(&arguments).await,
        Command::DeadLetters(arguments) => commands::dead_letters::run(&arguments).await,
        Command::Schema(arguments) => commands::schema::run(&arguments).await,
        Command::Alerts(arguments) => commands::alerts::run(&arguments).await,
        Command::Verify(arguments) => commands::verify::run(&arguments).await,
        // These need no runtime.
        Command::Completions { .. } | Command::Manual { .. } => Ok(ExitCode::SUCCESS),
    })
}

fn ended(ending: exit::Ending) -> ExitCode {
    ending.unwrap_or_else(|failure| exit::report(&failure))
}
