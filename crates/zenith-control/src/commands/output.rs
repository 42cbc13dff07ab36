//! What comes of a command.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::failure::Failure;
use crate::requests::{Answer, HowFar, Refusal, encode};

/// What is printed, and how the command ends.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Output {
    /// For standard output.
    pub text: String,
    /// Sentences for standard error.
    #[serde(default)]
    pub said: Vec<String>,
    /// The exit code.
    pub code: u8,
    /// What failed after there was something to print.
    #[schema(value_type = Option<Object>)]
    pub failure: Option<Refusal>,
    /// What is left to be done.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub next: Next,
    /// How something stands that takes a while.
    #[schema(value_type = Option<Object>)]
    pub standing: Option<Standing>,
}

/// What is left to be done after a plan was shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Next {
    /// Nothing.
    #[default]
    Nothing,
    /// What was shown.
    Go,
    /// What was shown, if somebody agrees to this.
    Agree(String),
}

/// How something stands that was asked of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It was asked, under this number.
    Asked(i64),
    /// Nobody has taken it yet.
    Open,
    /// It is being carried out.
    Taken(HowFar),
    /// It was carried out.
    Done(Answer),
    /// It was stopped.
    Stopped(String),
}

impl Output {
    /// Text, and success.
    pub fn text(text: impl Into<String>) -> Output {
        Output { text: text.into(), ..Output::default() }
    }

    /// One line of JSON, and success.
    pub fn json(value: &impl Serialize) -> Output {
        Output::text(encode(value) + "\n")
    }

    /// With this exit code.
    #[must_use]
    pub fn code(self, code: u8) -> Output {
        Output { code, ..self }
    }

    /// With this left to be done.
    #[must_use]
    pub fn next(self, next: Next) -> Output {
        Output { next, ..self }
    }

    /// With what failed after all.
    #[must_use]
    pub fn failed(self, failure: Failure) -> Output {
        Output { failure: Some(failure.into()), ..self }
    }
}

impl From<Standing> for Output {
    fn from(standing: Standing) -> Output {
        Output { standing: Some(standing), ..Output::default() }
    }
}
