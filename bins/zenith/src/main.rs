//! The zenith command: arguments in, output and exit code out. What it does is done by `zenith-engine`.

mod address;
mod args;
mod copy;
mod exit;
mod logging;
mod output;
mod progress;
mod signals;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::start(arguments.verbose);
    match arguments.command {
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "zenith", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Command::Copy(copy) => {
            // Few threads suffice: decoding has its own, and the rest waits for sockets.
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            match runtime {
                Ok(runtime) => {
                    let code = runtime.block_on(copy::run(&copy));
                    runtime.shutdown_background();
                    code
                }
                Err(error) => exit::failed(&format!("cannot start: {error}")),
            }
        }
    }
}
