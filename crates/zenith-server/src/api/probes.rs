//! For those who watch over the process, and for Prometheus.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use zenith_control::status::json::PipelineJson;
use zenith_engine::{Mode, Phase, PipelineProgress};

use super::caller::Reader;
use crate::server::Server;
use crate::watch::Look;

/// What a probe is told may be so old.
const AGE: Duration = Duration::from_secs(2);
/// A look so old says nothing of now: the state cannot be read.
const STALE: Duration = Duration::from_secs(60);
/// Reasons that are named.
const REASONS_MAX: usize = 20;
/// What Prometheus is sent.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The process lives. It says nothing about databases: a process that waits for one need not be restarted.
pub async fn healthz() -> Response {
    Json(json!({ "ok": true })).into_response()
}

/// Every pipeline that should run does. The reasons why not are for those who may look.
pub async fn readyz(State(server): State<Server>, headers: HeaderMap) -> Response {
    let reasons = reasons(&server.watch.look(AGE).await);
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if server.options.access.caller(&headers).is_none() {
        return (status, Json(json!({ "ok": reasons.is_empty() }))).into_response();
    }
    let mut shown: Vec<String> = reasons.iter().take(REASONS_MAX).cloned().collect();
    let more = reasons.len().saturating_sub(REASONS_MAX);
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    (status, Json(json!({ "ok": reasons.is_empty(), "reasons": shown }))).into_response()
}

/// Why not every pipeline runs that should; empty if each does.
pub fn reasons(look: &Arc<Look>) -> Vec<String> {
    if look.at == std::time::SystemTime::UNIX_EPOCH {
        return vec!["the pipelines have not been looked at yet".to_owned()];
    }
    let age = zenith_control::time::ago(look.at, std::time::SystemTime::now());
    if age > STALE {
        return vec![format!("the state could not be read for {} s", age.as_secs())];
    }
    let templates = look.report.templates.iter().filter_map(|template| {
        let reason = template.waiting_for.as_ref()?;
        Some(format!("{}: {reason}", template.name))
    });
    let pipelines = look.report.pipelines.iter().filter_map(|pipeline| {
        let stands =
            pipeline.paused || matches!(pipeline.state, "snapshot" | "following" | "done" | "paused");
        let runs = stands && !is_beginning(look, pipeline);
        let why = pipeline.waiting_for.as_ref().or(pipeline.last_error.as_ref());
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        (!runs).then(|| format!("{} is {}{why}", pipeline.name, pipeline.state))
    });
    templates.chain(pipelines).collect()
}

/// Whether a pipeline that is to run has not begun: its ends are being connected, and may not be there.
fn is_beginning(look: &Look, pipeline: &PipelineJson) -> bool {
    let is_to_run = !pipeline.paused && matches!(pipeline.state, "snapshot" | "following");
    // Loads of this mode go on beside those that follow.
    let is_held = pipeline.mode != Mode::Full.name();
    let has_begun = |progress: &PipelineProgress| progress.phase != Phase::Waiting;
    is_to_run && is_held && !look.progress.get(&pipeline.name).is_some_and(has_begun)
}

/// Everything that is measured, as Prometheus reads it.
pub async fn metrics(_: Reader, State(server): State<Server>) -> Response {
    let look = server.watch.last().await;
    ([(CONTENT_TYPE, OPENMETRICS)], crate::metrics::text(&server, &look)).into_response()
}
