//! Why something was not done: in a sentence, and whether there is something to be corrected first.

use zenith_engine::state::StateError;
use zenith_engine::{EngineError, sentence};

use crate::config::file::Mistakes;

/// Why a command did not do what it was to do; each of them one sentence, or one a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// Something has to be repaired first.
    Input(String),
    /// It failed on the way.
    Failed(String),
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

/// An error of a pipeline, with the setting that mends it.
pub fn in_words(error: &EngineError) -> String {
    let setting = match error {
        EngineError::Sink(error) if error.is_unknown_database() => " (create_database = true)",
        _ => "",
    };
    sentence(error) + setting
}
