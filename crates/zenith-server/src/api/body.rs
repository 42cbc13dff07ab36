//! Bodies and queries, whose mistakes are errors as all others are.

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use serde::de::DeserializeOwned;

use crate::error::{ApiError, Kind};
use crate::slow::LATE;

/// The JSON in a body; an empty body is an empty object.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, ApiError> {
        let is_json = is_json(request.headers());
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            let sentence = rejection.body_text();
            match rejection.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(
                    Kind::TooLarge,
                    format!("the body is larger than {} bytes", super::BODY_MAX),
                ),
                _ if sentence.contains(LATE) => ApiError::new(Kind::Timeout, LATE),
                _ => ApiError::new(Kind::Malformed, sentence),
            }
        })?;
        let body = match bytes.is_empty() {
            true => &b"{}"[..],
            // A form of another page cannot say this of its body.
            false if !is_json => {
                return Err(ApiError::new(Kind::Malformed, "the body is not said to be JSON")
                    .remedy("send the header Content-Type: application/json"));
            }
            false => &bytes[..],
        };
        let wrong = |error| ApiError::new(Kind::Malformed, format!("the body cannot be understood: {error}"));
        serde_json::from_slice(body).map(Body).map_err(wrong)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// What stands behind the `?`.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Asked<T>, ApiError> {
        let wrong = |rejection: QueryRejection| ApiError::new(Kind::Malformed, rejection.body_text());
        Query::<T>::from_request_parts(parts, state).await.map(|Query(value)| Asked(value)).map_err(wrong)
    }
}
