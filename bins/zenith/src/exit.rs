//! How the command ends: exit codes, and errors as one line.

use std::error::Error;
use std::process::ExitCode;

use zenith_engine::EngineError;

/// Failed on the way.
const FAILED: u8 = 1;
/// Something to be mended first; nothing was created.
const INPUT: u8 = 2;
/// Stopped by a signal, as shells expect it of a command that was interrupted.
pub const STOPPED: u8 = 130;

/// Prints a message and gives the code for "failed".
pub fn failed(message: &str) -> ExitCode {
    eprintln!("zenith: {message}");
    ExitCode::from(FAILED)
}

/// Prints a message and gives the code for "mend something first".
pub fn input(message: &str) -> ExitCode {
    eprintln!("zenith: {message}");
    ExitCode::from(INPUT)
}

/// Prints an error and gives its code.
pub fn error(error: &EngineError) -> ExitCode {
    let mut message = sentence(error);
    if let Some(options) = remedy(error) {
        message.push_str(options);
    }
    if error.is_input() { input(&message) } else { failed(&message) }
}

/// Which options of the command mend an error, where the engine can only say what they do.
fn remedy(error: &EngineError) -> Option<&'static str> {
    match error {
        EngineError::Sink(error) if error.is_unknown_database() => Some(" (--create-database)"),
        EngineError::TableDiffers { .. } => Some(" (--table NAME, or --replace)"),
        _ => None,
    }
}

/// The error and its causes, each said once.
pub fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !inner_text.is_empty() && !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
