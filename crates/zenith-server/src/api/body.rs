//! Bodies and queries, whose mistakes are errors as all others are.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::{ApiError, Kind};

/// The JSON in a body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, ApiError> {
        let wrong = |rejection: JsonRejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                ApiError::new(Kind::TooLarge, format!("the body is larger than {} bytes", super::BODY_MAX))
            }
            _ => ApiError::new(Kind::Malformed, rejection.body_text()),
        };
        Json::<T>::from_request(request, state).await.map(|Json(value)| Body(value)).map_err(wrong)
    }
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
