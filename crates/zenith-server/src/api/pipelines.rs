//! Pipelines: how they stand, and letting them stand still or go on.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;
use zenith_control::config::applied::Applied;
use zenith_control::connect::no_pipeline;
use zenith_control::operations::pipelines as operations;
use zenith_control::status::json::{PipelineJson, TemplateJson};
use zenith_engine::state::StateStore as _;

use super::caller::{Operator, Reader};
use super::configured::Configured;
use crate::access::From;
use crate::error::{ApiError, ApiResult, ErrorBody, Kind};
use crate::series::SeriesJson;
use crate::server::Server;
use crate::watch::Look;

/// What is shown may be so old.
pub const AGE: Duration = Duration::from_secs(1);

/// Pipelines by what they are doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counts {
    /// They follow their collection, or have done what they were to do.
    running: usize,
    /// They read their collection whole.
    snapshotting: usize,
    /// They cannot continue at the moment.
    failing: usize,
    /// They stand still until they are resumed.
    paused: usize,
    /// All.
    total: usize,
}

impl Counts {
    /// Counts them.
    #[must_use]
    pub fn of(pipelines: &[PipelineJson]) -> Counts {
        let mut counts = Counts { total: pipelines.len(), ..Counts::default() };
        for pipeline in pipelines {
            match pipeline.state {
                "paused" => counts.paused += 1,
                "snapshot" => counts.snapshotting += 1,
                "following" | "done" => counts.running += 1,
                "failed" | "interrupted" | "waiting" => counts.failing += 1,
                _ => {}
            }
        }
        counts
    }
}

/// A pipeline at one moment, with its course.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Shown {
    #[serde(flatten)]
    pipeline: PipelineJson,
    /// Documents that the collection is thought to have, while it is read whole.
    rows_expected: Option<u64>,
    /// Rows of it that are written.
    rows_loaded: Option<u64>,
    /// Rows a second in the last hour, a point a minute, oldest first.
    spark: Vec<Option<f64>>,
}

impl Shown {
    /// As it was seen.
    #[must_use]
    pub fn of(pipeline: &PipelineJson, look: &Look, server: &Server) -> Shown {
        let counters = look.progress.get(&pipeline.name).map(|progress| progress.counters);
        let loading = counters.filter(|_| pipeline.state == "snapshot");
        Shown {
            pipeline: pipeline.clone(),
            rows_expected: loading.map(|it| it.documents_expected).filter(|expected| *expected > 0),
            rows_loaded: loading.map(|it| it.rows_written),
            spark: server.watch.series(&pipeline.name, |series| series.spark()).unwrap_or_default(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.pipeline.name
    }
}

/// All pipelines at one moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct Fleet {
    /// The moment.
    at: String,
    /// Whether nothing is wrong.
    ok: bool,
    /// What is not well, a sentence each.
    complaints: Vec<String>,
    counts: Counts,
    pipelines: Vec<Shown>,
    templates: Vec<TemplateJson>,
}

/// All pipelines.
#[utoipa::path(get, path = "/pipelines", tag = "pipelines", operation_id = "listPipelines", responses((status = 200, description = "What was asked for", body = Fleet), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn list(_: Reader, State(server): State<Server>) -> Json<Fleet> {
    let look = server.watch.look(AGE).await;
    Json(Fleet {
        at: look.report.at.clone(),
        ok: look.report.ok,
        complaints: look.report.complaints.clone(),
        counts: Counts::of(&look.report.pipelines),
        pipelines: look.report.pipelines.iter().map(|it| Shown::of(it, &look, &server)).collect(),
        templates: look.report.templates.clone(),
    })
}

/// A pipeline with its settings.
#[derive(Debug, Serialize, ToSchema)]
pub struct Detail {
    #[serde(flatten)]
    shown: Shown,
    #[serde(flatten)]
    configured: Configured,
    /// Parts of the snapshot, while there is one.
    parts: Option<Vec<PartJson>>,
    /// Where the time of its run has gone, in seconds.
    stages: Option<Stages>,
}

/// A part of a snapshot.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartJson {
    index: u32,
    done: bool,
    rows: u64,
}

/// Seconds by stage. Stages overlap, as they run side by side.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stages {
    /// Waiting for documents of a collection that is read whole.
    read: f64,
    /// Making columns of documents.
    decode: f64,
    /// Waiting for memory to make them in.
    wait: f64,
    /// Waiting for ClickHouse to acknowledge inserts.
    insert: f64,
    /// Saving intents and checkpoints.
    commit: f64,
}

/// One pipeline.
#[utoipa::path(get, path = "/pipelines/{name}", tag = "pipelines", operation_id = "getPipeline", params(("name" = String, Path)), responses((status = 200, description = "What was asked for", body = Detail), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn one(
    _: Reader,
    State(server): State<Server>,
    Path(name): Path<String>,
) -> ApiResult<Json<Detail>> {
    let look = server.watch.look(AGE).await;
    let pipeline = look.pipeline(&name).ok_or_else(|| missing(&name, &look))?;
    let store = &server.served.store;
    let record = store.pipelines().await?.into_iter().find(|record| record.name == name);
    // It was removed since it was seen.
    let record = record.ok_or_else(|| missing(&name, &look))?;
    let snapshot = store.snapshot(&name).await?.filter(|snapshot| snapshot.consistent_after.is_none());
    let parts = snapshot.map(|snapshot| {
        let part = |part: &zenith_engine::state::SnapshotPartition| PartJson {
            index: part.index,
            done: part.done,
            rows: part.rows,
        };
        snapshot.partitions.iter().map(part).collect()
    });
    let stages = look.progress.get(&name).map(|progress| {
        let timings = progress.timings;
        Stages {
            read: timings.read.as_secs_f64(),
            decode: timings.decode.as_secs_f64(),
            wait: timings.wait.as_secs_f64(),
            insert: timings.insert.sum.as_secs_f64(),
            commit: timings.flush.sum.saturating_sub(timings.insert.sum).as_secs_f64(),
        }
    });
    Ok(Json(Detail {
        shown: Shown::of(pipeline, &look, &server),
        configured: Configured::of(&record, &server),
        parts,
        stages,
    }))
}

/// The course of a pipeline in the last hour.
#[utoipa::path(get, path = "/pipelines/{name}/series", tag = "pipelines", operation_id = "getSeries", params(("name" = String, Path)), responses((status = 200, description = "What was asked for", body = SeriesJson), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn series(
    _: Reader,
    State(server): State<Server>,
    Path(name): Path<String>,
) -> ApiResult<Json<SeriesJson>> {
    let look = server.watch.look(Duration::from_secs(10)).await;
    let series = server.watch.series(&name, |series| series.json());
    series.map(Json).ok_or_else(|| missing(&name, &look))
}

/// A pipeline and whether it stands still.
#[derive(Debug, Serialize, ToSchema)]
pub struct Paused {
    name: String,
    paused: bool,
}

/// Lets a pipeline, or all those of a template, stand still.
#[utoipa::path(post, path = "/pipelines/{name}/pause", tag = "pipelines", operation_id = "pausePipeline", params(("name" = String, Path)), responses((status = 200, description = "What was asked for", body = Paused), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn pause(
    Operator(from): Operator,
    State(server): State<Server>,
    Path(name): Path<String>,
) -> ApiResult<Json<Paused>> {
    set_paused(&server, &from, name, true).await
}

/// Lets a pipeline, or all those of a template, go on where they stopped.
#[utoipa::path(post, path = "/pipelines/{name}/resume", tag = "pipelines", operation_id = "resumePipeline", params(("name" = String, Path)), responses((status = 200, description = "What was asked for", body = Paused), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn resume(
    Operator(from): Operator,
    State(server): State<Server>,
    Path(name): Path<String>,
) -> ApiResult<Json<Paused>> {
    set_paused(&server, &from, name, false).await
}

async fn set_paused(server: &Server, from: &From, name: String, paused: bool) -> ApiResult<Json<Paused>> {
    let store = &server.served.store;
    let applied = Applied::read(store).await?;
    if applied.names().all(|known| known != name) {
        return Err(unknown(&name, &applied));
    }
    server.audit(from, if paused { "pause" } else { "resume" }, &name, "").await?;
    operations::set_paused(store, &applied, &name, paused).await?;
    server.watch.attend();
    Ok(Json(Paused { name, paused }))
}

/// That there is no such pipeline, with the name that was meant.
pub fn unknown(name: &str, applied: &Applied) -> ApiError {
    ApiError::from(no_pipeline(name, applied.names())).with(Kind::Missing)
}

fn missing(name: &str, look: &Look) -> ApiError {
    let known = look.report.pipelines.iter().map(|pipeline| pipeline.name.as_str());
    ApiError::from(no_pipeline(name, known)).with(Kind::Missing)
}
