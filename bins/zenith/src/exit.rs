//! How the command ends: exit codes, and errors as one line.

use std::process::ExitCode;

pub use zenith_control::failure::Failure;
use zenith_engine::{EngineError, sentence};

use crate::progress::say;

/// Failed on the way.
const FAILED: u8 = 1;
/// Something to be corrected first; nothing was created.
const INPUT: u8 = 2;
/// Done, and more did not fit than was allowed.
pub const EXCEEDED: u8 = 3;
/// Stopped by a signal, as shells expect it of a command that was interrupted.
pub const STOPPED: u8 = 130;

/// How a command ends.
pub type Ending = Result<ExitCode, Failure>;

/// Prints what there is more of than was allowed, and gives the code for it; success if there is nothing.
pub fn within(exceeded: &[String]) -> ExitCode {
    exceeded.iter().for_each(|sentence| say(&format!("zenith: {sentence}")));
    if exceeded.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXCEEDED) }
}

/// Prints why something was not done, and gives its code.
pub fn report(failure: &Failure) -> ExitCode {
    match failure {
        Failure::Input(message) => input(message),
        Failure::Failed(message) => failed(message),
    }
}

/// The code of something that has been told in another way.
pub fn code<T>(result: &Result<T, Failure>) -> ExitCode {
    match result {
        Ok(_) => ExitCode::SUCCESS,
        Err(Failure::Input(_)) => ExitCode::from(INPUT),
        Err(Failure::Failed(_)) => ExitCode::from(FAILED),
    }
}

/// Prints a message and gives the code for "failed".
pub fn failed(message: &str) -> ExitCode {
    say(&format!("zenith: {message}"));
    ExitCode::from(FAILED)
}

/// Prints a message and gives the code for "mend something first".
pub fn input(message: &str) -> ExitCode {
    say(&format!("zenith: {message}"));
    ExitCode::from(INPUT)
}

/// Prints an error of a single copy and gives its code.
pub fn error(error: &EngineError) -> ExitCode {
    report(&of_copy(error))
}

/// An error of a copy, with the option that mends it.
pub fn of_copy(error: &EngineError) -> Failure {
    let mut message = sentence(error);
    message.push_str(option(error).unwrap_or_default());
    if error.is_input() { Failure::Input(message) } else { Failure::Failed(message) }
}

/// Which options of `zenith copy` mend an error, where the engine can only say what they do.
fn option(error: &EngineError) -> Option<&'static str> {
    match error {
        EngineError::Sink(error) if error.is_unknown_database() => Some(" (--create-database)"),
        EngineError::TableDiffers { .. } => Some(" (--table NAME, or --replace)"),
        _ => None,
    }
}
