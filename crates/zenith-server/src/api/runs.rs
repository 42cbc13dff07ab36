//! Past runs.

use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use zenith_control::time;
use zenith_engine::state::{Run, StateStore as _};

use super::body::Asked;
use super::caller::Reader;
use crate::error::{ApiResult, ErrorBody};
use crate::server::Server;

/// Runs that are given where nobody says how many.
const RUNS: u32 = 50;
/// Runs that are given at most.
const RUNS_MAX: u32 = 1_000;

/// A run in the history.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunJson {
    id: i64,
    pipeline: String,
    mode: String,
    version: String,
    started: String,
    ended: Option<String>,
    seconds: f64,
    /// `done`, `stopped` or `failed`; nothing while it is under way.
    outcome: Option<&'static str>,
    rows: u64,
    bytes: u64,
    extra_values_total: u64,
    dead_letters: u64,
    error: Option<String>,
}

impl RunJson {
    fn of(run: Run, now: SystemTime) -> RunJson {
        RunJson {
            id: run.id,
            seconds: time::ago(run.started, run.ended.unwrap_or(now)).as_secs_f64(),
            started: time::rfc3339(run.started),
            ended: run.ended.map(time::rfc3339),
            outcome: run.outcome.map(|outcome| outcome.as_str()),
            rows: run.figures.rows,
            bytes: run.figures.bytes,
            extra_values_total: run.figures.extra_values,
            dead_letters: run.figures.dead_letters,
            error: run.error,
            pipeline: run.pipeline,
            mode: run.mode,
            version: run.version,
        }
    }
}

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
    Ok(Json(runs.into_iter().map(|run| RunJson::of(run, now)).collect()))
}

/// Past runs of all pipelines, newest first.
#[utoipa::path(get, path = "/runs", tag = "runs", operation_id = "listRuns", params(Limit), responses((status = 200, body = Vec<RunJson>), (status = "4XX", body = ErrorBody)))]
pub async fn all(
    _: Reader,
    State(server): State<Server>,
    Asked(limit): Asked<Limit>,
) -> ApiResult<Json<Vec<RunJson>>> {
    runs(&server, None, &limit).await
}

/// Past runs of a pipeline, newest first; one that was removed has its runs all the same.
#[utoipa::path(get, path = "/pipelines/{name}/runs", tag = "runs", operation_id = "listRunsOfPipeline", params(("name" = String, Path), Limit), responses((status = 200, body = Vec<RunJson>), (status = "4XX", body = ErrorBody)))]
pub async fn of_pipeline(
    _: Reader,
    State(server): State<Server>,
    Path(name): Path<String>,
    Asked(limit): Asked<Limit>,
) -> ApiResult<Json<Vec<RunJson>>> {
    runs(&server, Some(&name), &limit).await
}
