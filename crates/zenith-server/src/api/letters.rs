//! Documents that have no row.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use zenith_control::operations::letters::{self, LetterJson, Meant, PurgedJson, RetriedJson};

use super::body::{Asked, Body};
use super::caller::{Admin, Operator, Reader};
use super::configuration::missing;
use super::tables::config;
use crate::error::{ApiError, ApiResult, ErrorBody, Kind};
use crate::server::Server;

/// Letters that are given where nobody says how many.
const LETTERS: u64 = 100;
/// Letters that are given at most.
const LETTERS_MAX: u64 = 1_000;

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Limit {
    /// So many at most.
    limit: Option<u64>,
}

/// Which letters.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct Which {
    /// Their names; all of the pipeline if there are none.
    #[serde(default)]
    ids: Vec<String>,
    /// Whether to say only what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// The documents of a pipeline that have no row, the newest first.
#[utoipa::path(get, path = "/pipelines/{name}/letters", tag = "letters", operation_id = "listLetters", params(("name" = String, Path), Limit), responses((status = 200, description = "What was asked for", body = Vec<LetterJson>), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn list(
    _: Reader,
    State(server): State<Server>,
    Path(name): Path<String>,
    Asked(limit): Asked<Limit>,
) -> ApiResult<Json<Vec<LetterJson>>> {
    let config = config(&server, &name).await?;
    let limit = limit.limit.unwrap_or(LETTERS).min(LETTERS_MAX);
    let (found, _) = letters::list(&config, &server.served.places, Some(&name), limit).await?;
    Ok(Json(found.iter().map(LetterJson::of).collect()))
}

/// One of them with its document, as Extended JSON.
#[utoipa::path(get, path = "/pipelines/{name}/letters/{id}", tag = "letters", operation_id = "getLetter", params(("name" = String, Path), ("id" = String, Path)), responses((status = 200, description = "What was asked for", body = LetterJson), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn one(
    _: Reader,
    State(server): State<Server>,
    Path((name, id)): Path<(String, String)>,
) -> ApiResult<Json<LetterJson>> {
    let config = config(&server, &name).await?;
    let letter = letters::show(&config, &server.served.places, &id).await.map_err(missing)?;
    if letter.pipeline != name {
        let sentence = format!("the dead letter {id:?} is of {}, and not of {name}", letter.pipeline);
        return Err(ApiError::new(Kind::Missing, sentence));
    }
    Ok(Json(LetterJson::whole(&letter)))
}

/// Writes the current documents from MongoDB, and removes the letters that are settled.
#[utoipa::path(post, path = "/pipelines/{name}/letters/retry", tag = "letters", operation_id = "retryLetters", params(("name" = String, Path)), request_body = Which, responses((status = 200, description = "What was asked for", body = RetriedJson), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn retry(
    Operator(from): Operator,
    State(server): State<Server>,
    Path(name): Path<String>,
    Body(which): Body<Which>,
) -> ApiResult<Json<RetriedJson>> {
    let config = config(&server, &name).await?;
    let (served, dry_run) = (&server.served, which.dry_run);
    if !dry_run {
        server.audit(&from, "retry dead letters", &name, &which.ids.join(", ")).await?;
    }
    let _one_at_a_time = server.changing.lock().await;
    let meant = Meant { name: Some(name), ids: which.ids, before: None };
    let retried = Box::pin(letters::retry(&config, &served.store, &meant, dry_run, &served.memory)).await?;
    Ok(Json(retried.json()))
}

/// Removes letters for good.
#[utoipa::path(post, path = "/pipelines/{name}/letters/purge", tag = "letters", operation_id = "purgeLetters", params(("name" = String, Path)), request_body = Which, responses((status = 200, description = "What was asked for", body = PurgedJson), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn purge(
    Admin(from): Admin,
    State(server): State<Server>,
    Path(name): Path<String>,
    Body(which): Body<Which>,
) -> ApiResult<Json<PurgedJson>> {
    let config = config(&server, &name).await?;
    let _one_at_a_time = server.changing.lock().await;
    // Those that come from now on nobody has seen.
    let before = Some(std::time::SystemTime::now());
    let meant = Meant { name: Some(name.clone()), ids: which.ids.clone(), before };
    let found = letters::purgeable(&config, &server.served.places, &meant).await?;
    if !which.dry_run {
        server.audit(&from, "purge dead letters", &name, &format!("{} letters", found.count)).await?;
        found.purge(&server.served.store).await?;
    }
    Ok(Json(PurgedJson { letters: found.count, removed: !which.dry_run }))
}
