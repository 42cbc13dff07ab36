//! How the command ends: exit codes, and errors as one line.

use std::process::ExitCode;

use zenith_engine::state::StateError;
use zenith_engine::{EngineError, sentence};

use crate::config::file::Mistakes;
use crate::progress::say;

/// Failed on the way.
const FAILED: u8 = 1;
/// Something to be corrected first; nothing was created.
const INPUT: u8 = 2;
/// Done, and more did not fit than was allowed.
pub const EXCEEDED: u8 = 3;
/// Stopped by a signal, as shells expect it of a command that was interrupted.
pub const STOPPED: u8 = 130;

/// Why a command did not do what it was to do; each of them one sentence, or one a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// Something has to be repaired first.
    Input(String),
    /// It failed on the way.
    Failed(String),
}

/// How a command ends.
pub type Ending = Result<ExitCode, Failure>;

impl Failure {
    /// Prints it and gives its code.
    pub fn report(&self) -> ExitCode {
        match self {
            Failure::Input(message) => input(message),
            Failure::Failed(message) => failed(message),
        }
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Failure {
        let message = sentence(&error);
        if error.is_input() { Failure::Input(message) } else { Failure::Failed(message) }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Failure {
        let message = in_words(&error);
        if error.is_input() { Failure::Input(message) } else { Failure::Failed(message) }
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Failure {
        Failure::Input(mistakes.0.join("\nzenith: "))
    }
}

/// Prints what there is more of than was allowed, and gives the code for it; success if there is nothing.
pub fn within(exceeded: &[String]) -> ExitCode {
    exceeded.iter().for_each(|sentence| say(&format!("zenith: {sentence}")));
    if exceeded.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXCEEDED) }
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
    of_copy(error).report()
}

/// An error of a copy, with the option that mends it.
pub fn of_copy(error: &EngineError) -> Failure {
    let mut message = sentence(error);
    message.push_str(option(error).unwrap_or_default());
    if error.is_input() { Failure::Input(message) } else { Failure::Failed(message) }
}

/// An error of a pipeline, with the setting that mends it.
pub fn in_words(error: &EngineError) -> String {
    let setting = match error {
        EngineError::Sink(error) if error.is_unknown_database() => " (create_database = true)",
        _ => "",
    };
    sentence(error) + setting
}

/// Which options of `zenith copy` mend an error, where the engine can only say what they do.
fn option(error: &EngineError) -> Option<&'static str> {
    match error {
        EngineError::Sink(error) if error.is_unknown_database() => Some(" (--create-database)"),
        EngineError::TableDiffers { .. } => Some(" (--table NAME, or --replace)"),
        _ => None,
    }
}
