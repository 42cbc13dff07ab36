//! Errors as the API gives them: a status, a code, a sentence, and what to do.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zenith_control::failure::{Code, Failure, code};
use zenith_engine::state::StateError;

/// What kind of error it is; each has a code that does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be understood.
    Malformed,
    /// Nobody has said who asks, or the token is wrong.
    Unauthorized,
    /// Who asks may not do this.
    Forbidden,
    /// The request comes from another page, or by another name of this server.
    Foreign,
    /// There is no such thing.
    Missing,
    /// The body is larger than a request may be.
    TooLarge,
    /// Too much is asked at once.
    TooMany,
    /// The request took too long to arrive, or to be answered.
    Timeout,
    /// Something has to be corrected first; nothing was changed.
    Refused,
    /// It failed on the way.
    Failed,
}

impl Kind {
    /// All kinds, for the pages that list them.
    pub const ALL: [Kind; 10] = [
        Kind::Malformed,
        Kind::Unauthorized,
        Kind::Forbidden,
        Kind::Foreign,
        Kind::Missing,
        Kind::TooLarge,
        Kind::TooMany,
        Kind::Timeout,
        Kind::Refused,
        Kind::Failed,
    ];

    /// The code, as in `ZEN-4041`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Kind::Malformed => "ZEN-4001",
            Kind::Unauthorized => "ZEN-4011",
            Kind::Forbidden => "ZEN-4031",
            Kind::Foreign => "ZEN-4032",
            Kind::Missing => "ZEN-4041",
            Kind::TooLarge => "ZEN-4131",
            Kind::TooMany => "ZEN-4291",
            Kind::Timeout => "ZEN-4081",
            Kind::Refused => "ZEN-4221",
            Kind::Failed => "ZEN-5001",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Kind::Malformed => StatusCode::BAD_REQUEST,
            Kind::Unauthorized => StatusCode::UNAUTHORIZED,
            Kind::Forbidden | Kind::Foreign => StatusCode::FORBIDDEN,
            Kind::Missing => StatusCode::NOT_FOUND,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Kind::Timeout => StatusCode::REQUEST_TIMEOUT,
            Kind::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// An error as the API gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// As in `ZEN-1201`; the book explains it, and it does not change between versions.
    #[schema(example = "ZEN-1201")]
    pub code: String,
    /// What, where and why, in a sentence.
    pub message: String,
    /// What to do, where that is not in the sentence.
    pub remedy: Option<String>,
}

/// Why a request was not answered as it wished.
#[derive(Clone, Debug)]
pub struct ApiError {
    kind: Kind,
    /// A code that says more than the kind does.
    code: Option<Code>,
    message: String,
    remedy: Option<String>,
}

/// What a handler gives.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// An error of a kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> ApiError {
        ApiError { kind, code: None, message: message.into(), remedy: None }
    }

    /// With what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> ApiError {
        self.remedy = Some(remedy.into());
        self
    }

    /// Of another kind.
    #[must_use]
    pub fn with(mut self, kind: Kind) -> ApiError {
        self.kind = kind;
        self
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// As the API gives it.
    #[must_use]
    pub fn body(&self) -> ErrorBody {
        ErrorBody {
            code: self.code.map_or_else(|| self.kind.code().to_owned(), |code| code.to_string()),
            message: self.message.clone(),
            remedy: self.remedy.clone(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.kind.status(), Json(self.body())).into_response()
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> ApiError {
        let kind = match failure.code() {
            code::NO_PIPELINE | code::NO_CONNECTOR | code::NO_LETTER => Kind::Missing,
            _ if failure.is_input() => Kind::Refused,
            _ => Kind::Failed,
        };
        ApiError { code: Some(failure.code()), ..ApiError::new(kind, lines(failure.message())) }
    }
}

/// Several sentences without what the command begins its lines with.
fn lines(message: &str) -> String {
    message.replace("\nzenith: ", "\n")
}

impl From<StateError> for ApiError {
    fn from(error: StateError) -> ApiError {
        Failure::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_different_and_begin_with_their_status() {
        let mut codes: Vec<&str> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Kind::ALL.len());
        for kind in Kind::ALL {
            assert!(kind.code().starts_with(&format!("ZEN-{}", kind.status().as_u16())), "{kind:?}");
        }
    }
}
