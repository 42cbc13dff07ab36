//! Why something was not done: in a sentence, with the code under which the book explains it, and whether there is something
//! to be corrected first.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`code`] | the codes of errors that are found here; sources, targets, the state and the engine have their own |
//! | [`book`] | what each code means: the page of the book, and what `zenith explain` prints |

pub mod book;
pub mod code;

use zenith_engine::state::StateError;
use zenith_engine::{EngineError, sentence};

use crate::config::file::Mistakes;

pub use code::Code;

/// Why a command did not do what it was to do; each of them one sentence, or one a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// Something has to be repaired first.
    Input(String),
    /// It failed on the way.
    Failed(String),
    /// One of those that the book explains for themselves.
    Known {
        /// Which.
        code: Code,
        /// Whether something has to be repaired first.
        input: bool,
        /// In a sentence.
        message: String,
    },
}

impl Failure {
    /// One that the book explains, where something has to be repaired first.
    pub fn known(code: Code, message: impl Into<String>) -> Failure {
        Failure::Known { code, input: true, message: message.into() }
    }

    /// In a sentence, or several, one a line.
    pub fn message(&self) -> &str {
        match self {
            Failure::Input(message) | Failure::Failed(message) | Failure::Known { message, .. } => message,
        }
    }

    /// The code.
    pub fn code(&self) -> Code {
        match self {
            Failure::Input(_) => code::REFUSED,
            Failure::Failed(_) => code::FAILED,
            Failure::Known { code, .. } => *code,
        }
    }

    /// Whether something has to be repaired first; nothing was changed then.
    pub fn is_input(&self) -> bool {
        match self {
            Failure::Input(_) => true,
            Failure::Failed(_) => false,
            Failure::Known { input, .. } => *input,
        }
    }

    /// The sentence with its code behind it, as lines of a log have it.
    pub fn with_code(&self) -> String {
        format!("{} [{}]", self.message(), self.code())
    }

    /// The exit code of a command that ends by it.
    pub fn exit_code(&self) -> u8 {
        if self.is_input() { 2 } else { 1 }
    }

    /// The same in other words.
    #[must_use]
    pub fn reworded(self, words: impl FnOnce(&str) -> String) -> Failure {
        Failure::Known { code: self.code(), input: self.is_input(), message: words(self.message()) }
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Failure {
        Failure::Known { code: Code::new(error.code()), input: error.is_input(), message: sentence(&error) }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Failure {
        Failure::from(&error)
    }
}

impl From<&EngineError> for Failure {
    fn from(error: &EngineError) -> Failure {
        Failure::Known { code: Code::new(error.code()), input: error.is_input(), message: in_words(error) }
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Failure {
        Failure::known(code::CONFIGURATION, mistakes.0.join("\nzenith: "))
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
