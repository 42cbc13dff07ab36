//! Past runs.

use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::IntoParams;
use zenith_control::operations::history::RunJson;
use zenith_engine::state::StateStore as _;

use super::body::Asked;
use super::caller::Reader;
use crate::error::{ApiResult, ErrorBody};
use crate::server::Server;

/// Runs that are given where nobody says how many.
const RUNS: u32 = 50;
/// Runs that are given at most.
const RUNS_MAX: u32 = 1_000;

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Limit {
    /// So many at most.
    limit: Option<u32>,
}

async fn runs(server: &Server, name: Option<&str>, limit: &Limit) -> ApiResult<Json<Vec<RunJson>>> {
    let limit = limit.limit.unwrap_or(RUNS).min(RUNS_MAX);
    let now = SystemTime::now();
    let runs = server.served.store.runs(name, limit).await?;
    Ok(Json(runs.iter().map(|run| RunJson::of(run, now)).collect()))
}

/// Past runs of all pipelines, newest first.
#[utoipa::path(get, path = "/runs", tag = "runs", operation_id = "listRuns", params(Limit), responses((status = 200, description = "What was asked for", body = Vec<RunJson>), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn all(
    _: Reader,
    State(server): State<Server>,
    Asked(limit): Asked<Limit>,
) -> ApiResult<Json<Vec<RunJson>>> {
    runs(&server, None, &limit).await
}

/// Past runs of a pipeline, newest first; one that was removed has its runs all the same.
#[utoipa::path(get, path = "/pipelines/{name}/runs", tag = "runs", operation_id = "listRunsOfPipeline", params(("name" = String, Path), Limit), responses((status = 200, description = "What was asked for", body = Vec<RunJson>), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn of_pipeline(
    _: Reader,
    State(server): State<Server>,
    Path(name): Path<String>,
    Asked(limit): Asked<Limit>,
) -> ApiResult<Json<Vec<RunJson>>> {
    runs(&server, Some(&name), &limit).await
}
