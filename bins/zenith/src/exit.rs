//! How the command ends: exit codes, and errors as a sentence with the code that the book explains.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

pub use zenith_control::failure::Failure;
use zenith_engine::EngineError;

use crate::progress::say;
use crate::terminal::print_json;

/// Done, and more did not fit than was allowed.
pub const EXCEEDED: u8 = 3;
/// Stopped by a signal, as shells expect it of a command that was interrupted.
pub const STOPPED: u8 = 130;

/// Whether the command prints JSON, and so its error as well.
static AS_JSON: AtomicBool = AtomicBool::new(false);

/// Errors are printed as JSON, too, from now on.
pub fn as_json() {
    AS_JSON.store(true, Ordering::Relaxed);
}

/// How a command ends.
pub type Ending = Result<ExitCode, Failure>;

/// Prints what there is more of than was allowed, and gives the code for it; success if there is nothing.
pub fn within(exceeded: &[String]) -> ExitCode {
    exceeded.iter().for_each(|sentence| say(&format!("zenith: {sentence}")));
    if exceeded.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXCEEDED) }
}

/// Prints why something was not done, and gives its exit code.
pub fn report(failure: &Failure) -> ExitCode {
    let (code, message) = (failure.code().to_string(), failure.message());
    say(&format!("zenith: error[{code}]: {message}"));
    if AS_JSON.load(Ordering::Relaxed) {
        let message = message.replace("\nzenith: ", "\n");
        print_json(&serde_json::json!({ "error": { "code": code, "message": message } }));
    }
    ExitCode::from(failure.exit_code())
}

/// Prints a message and gives the code for "failed".
pub fn failed(message: &str) -> ExitCode {
    report(&Failure::Failed(message.to_owned()))
}

/// Prints a message and gives the code for "mend something first".
pub fn input(message: &str) -> ExitCode {
    report(&Failure::Input(message.to_owned()))
}

/// Prints an error of a single copy and gives its code.
pub fn error(error: &EngineError) -> ExitCode {
    report(&of_copy(error))
}

/// An error of a copy, with the option that mends it.
pub fn of_copy(error: &EngineError) -> Failure {
    let message = zenith_engine::sentence(error) + option(error).unwrap_or_default();
    Failure::from(error).reworded(|_| message)
}

/// Which options of `zenith copy` mend an error, where the engine can only say what they do.
fn option(error: &EngineError) -> Option<&'static str> {
    match error {
        EngineError::Sink(error) if error.is_unknown_database() => Some(" (--create-database)"),
        EngineError::TableDiffers { .. } => Some(" (--table NAME, or --replace)"),
        _ => None,
    }
}
