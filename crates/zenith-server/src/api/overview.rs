//! The server itself, and what happened in the last hour.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use zenith_control::time;
use zenith_engine::state::{AUDIT_MAX, StateStore as _};

use super::body::Asked;
use super::caller::Reader;
use super::pipelines::{AGE, Counts};
use crate::access::Role;
use crate::error::{ApiResult, ErrorBody};
use crate::log::{LogEntry, Severity};
use crate::server::Server;

/// Lines that are given where nobody says how many.
const LINES: usize = 500;

/// Changes that are given where nobody says how many.
const AUDIT: u32 = 100;

/// The server at one moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServerJson {
    /// Zenith's version.
    version: &'static str,
    /// When it began.
    started: String,
    /// Now, by its clock.
    at: String,
    /// What the one who asks may do.
    role: Role,
    /// Memory for data on its way.
    memory: Memory,
    /// Pipelines by what they are doing.
    counts: Counts,
    /// The state.
    state_file: String,
    /// The configuration that is read at a reload, if there is one.
    config_file: Option<String>,
}

/// Memory for data on its way, in bytes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Memory {
    budget_bytes: usize,
    used_bytes: usize,
}

/// The server at this moment.
#[utoipa::path(get, path = "/server", tag = "server", responses((status = 200, description = "What was asked for", body = ServerJson), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn server(Reader(caller): Reader, State(server): State<Server>) -> Json<ServerJson> {
    let look = server.watch.look(AGE).await;
    let pool = server.served.pool.stats();
    let places = &server.served.places;
    Json(ServerJson {
        version: env!("CARGO_PKG_VERSION"),
        started: time::rfc3339(server.started),
        at: time::rfc3339(std::time::SystemTime::now()),
        role: caller.role,
        memory: Memory { budget_bytes: pool.budget, used_bytes: pool.in_use },
        counts: Counts::of(&look.report.pipelines),
        state_file: places.state.to_string(),
        config_file: places.has_file().then(|| places.file.display().to_string()),
    })
}

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Lines {
    /// So many at most.
    limit: Option<usize>,
    /// Only those about this pipeline.
    pipeline: Option<String>,
    /// Only those at least as bad: `info`, `warn` or `error`.
    level: Option<String>,
}

/// What happened in the last hour, oldest first.
#[utoipa::path(get, path = "/log", tag = "server", params(Lines), responses((status = 200, description = "What was asked for", body = Vec<LogEntry>), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn log(
    _: Reader,
    State(server): State<Server>,
    Asked(lines): Asked<Lines>,
) -> ApiResult<Json<Vec<LogEntry>>> {
    let least = match lines.level.as_deref() {
        Some("error") => Severity::Error,
        Some("warn") => Severity::Warn,
        _ => Severity::Info,
    };
    let is_wanted = |entry: &LogEntry| {
        let is_about = lines.pipeline.as_ref().is_none_or(|name| entry.pipeline.as_ref() == Some(name));
        entry.level >= least && is_about
    };
    Ok(Json(server.served.log.last(lines.limit.unwrap_or(LINES), is_wanted)))
}

/// A change that somebody asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditJson {
    id: i64,
    at: String,
    /// The name that belongs to the token.
    who: String,
    /// The other end of the connection.
    from: String,
    action: String,
    /// The pipeline or connector; empty if it concerns more.
    subject: String,
    details: String,
}

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Limit {
    /// So many at most.
    limit: Option<u32>,
}

/// Who changed what, newest first.
#[utoipa::path(get, path = "/audit", tag = "server", operation_id = "listAudit", params(Limit), responses((status = 200, description = "What was asked for", body = Vec<AuditJson>), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn audit(
    _: Reader,
    State(server): State<Server>,
    Asked(limit): Asked<Limit>,
) -> ApiResult<Json<Vec<AuditJson>>> {
    let entries = server.served.store.audit(limit.limit.unwrap_or(AUDIT).min(AUDIT_MAX)).await?;
    let shown = entries.into_iter().map(|(id, entry)| AuditJson {
        id,
        at: time::rfc3339(entry.at),
        who: entry.who,
        from: entry.address,
        action: entry.action,
        subject: entry.subject,
        details: entry.details,
    });
    Ok(Json(shown.collect()))
}
