//! What is run, as a `zenith.toml`: planned, applied, and given back.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zenith_control::config::applied::Applied;
use zenith_control::config::difference::{Change, ChangeJson, Kind as Thing};
use zenith_control::config::export;
use zenith_control::failure::Failure;
use zenith_control::operations::apply::{self, Absent, Planned};
use zenith_control::operations::samples::SampleJson;
use zenith_control::operations::{pipelines, samples, schema};

use super::body::Body;
use super::caller::{Admin, Reader};
use super::pipelines::unknown;
use super::tables::DOCUMENTS;
use crate::access::{Caller, From, Role};
use crate::error::{ApiError, ApiResult, ErrorBody, Kind};
use crate::server::Server;

/// New pipelines whose tables are inferred for a plan.
const INFERRED_MAX: usize = 20;
/// Changes that the audit names.
const CHANGES_NAMED: usize = 20;
/// What a text that was sent is called in its mistakes.
const SENT: &str = "zenith.toml";

/// A configuration.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Configuration {
    /// A `zenith.toml`, or only the sections that are new or change.
    toml: String,
    /// Whether what is applied and not in the text goes away.
    #[serde(default)]
    remove: bool,
}

/// What applying a configuration would change.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanJson {
    changes: Vec<ChangeJson>,
    /// What has to be agreed to, if progress is lost.
    question: Option<String>,
    /// The new pipelines with the tables they would make.
    pipelines: Vec<NewPipeline>,
    /// What could not be found out, and what of the text is not applied.
    warnings: Vec<String>,
}

/// A pipeline that is new.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewPipeline {
    name: String,
    /// Its table, unless that cannot be said.
    inferred: Option<schema::Inferred>,
    /// Why not.
    error: Option<ErrorBody>,
}

async fn planned(server: &Server, sent: &Configuration) -> ApiResult<Planned> {
    let now = Applied::read(&server.served.store).await?;
    let absent = if sent.remove { Absent::Removed } else { Absent::Kept };
    let path = std::path::Path::new(SENT);
    let config = apply::read(&sent.toml, path, &now, absent)?;
    let mut planned = Box::pin(apply::plan(config, &now, &sent.toml, path)).await?;
    planned.warnings.extend(planned.config.process.uncounted());
    Ok(planned)
}

/// What applying a configuration would change, with the tables that new pipelines would make. Nothing is changed; but
/// addresses may refer to secrets of the server, so that it is for administrators.
#[utoipa::path(post, path = "/plan", tag = "configuration", operation_id = "plan", request_body = Configuration, responses((status = 200, description = "What was asked for", body = PlanJson), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn plan(
    Admin(from): Admin,
    State(server): State<Server>,
    Body(sent): Body<Configuration>,
) -> ApiResult<Json<PlanJson>> {
    server.audit(&from, "plan", "", "").await?;
    let planned = planned(&server, &sent).await?;
    let mut warnings = planned.warnings.clone();
    warnings.extend(apply::look_at_names(&planned.config, &server.served.places).await?);
    let is_new = |name: &&String| {
        let key = (Thing::Pipeline, (*name).clone());
        matches!(planned.difference.changes.get(&key), Some(Change::Add))
    };
    let mut new = Vec::new();
    for name in planned.config.pipelines.keys().filter(is_new).take(INFERRED_MAX) {
        let inferred = Box::pin(schema::inferred(&planned.config, name, &server.served.pool)).await;
        let (inferred, error) = match inferred {
            Ok(inferred) => (Some(inferred), None),
            Err(failure) => (None, Some(ApiError::from(failure).body())),
        };
        new.push(NewPipeline { name: name.clone(), inferred, error });
    }
    Ok(Json(PlanJson {
        changes: planned.difference.listed(),
        question: apply::question(&planned.difference),
        pipelines: new,
        warnings,
    }))
}

/// A pipeline of a configuration that is not applied.
#[derive(Debug, Deserialize, ToSchema)]
pub struct OfPlan {
    /// A `zenith.toml`, or only the sections that are new or change.
    toml: String,
    /// The pipeline; of one of several collections, that of one of them.
    pipeline: String,
}

/// Some documents of the collection of a new pipeline, beside the rows that it would make of them. Nothing is changed; but
/// addresses may refer to secrets of the server, so that it is for administrators.
#[utoipa::path(post, path = "/plan/sample", tag = "configuration", operation_id = "planSample", request_body = OfPlan, responses((status = 200, description = "What was asked for", body = Vec<SampleJson>), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn sample(
    Admin(from): Admin,
    State(server): State<Server>,
    Body(of): Body<OfPlan>,
) -> ApiResult<Json<Vec<SampleJson>>> {
    server.audit(&from, "look at documents", &of.pipeline, "").await?;
    let planned = planned(&server, &Configuration { toml: of.toml, remove: false }).await?;
    let pool = &server.served.pool;
    Ok(Json(Box::pin(samples::planned(&planned.config, &of.pipeline, DOCUMENTS, pool)).await?))
}

/// What was changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppliedJson {
    changes: Vec<ChangeJson>,
    /// What could not be found out, and what of the text was not applied.
    warnings: Vec<String>,
}

/// Applies a configuration: the run follows it within a second. Pipelines that start over do so.
#[utoipa::path(post, path = "/apply", tag = "configuration", operation_id = "apply", request_body = Configuration, responses((status = 200, description = "What was asked for", body = AppliedJson), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn apply(
    Admin(from): Admin,
    State(server): State<Server>,
    Body(sent): Body<Configuration>,
) -> ApiResult<Json<AppliedJson>> {
    let _one_at_a_time = server.changing.lock().await;
    let planned = planned(&server, &sent).await?;
    apply::look_at_names(&planned.config, &server.served.places).await?;
    server.audit(&from, "apply", "", &named(&planned)).await?;
    apply::commit(&server.served.store, &planned, &server.served.places, true).await?;
    server.watch.attend();
    Ok(Json(AppliedJson { changes: planned.difference.listed(), warnings: planned.warnings }))
}

/// Applies the server's own `zenith.toml` again. What is applied and not in it stays.
///
/// # Errors
/// If it has mistakes, if it cannot be applied, or if there is none.
pub async fn apply_file(server: &Server) -> Result<String, Failure> {
    let path = &server.served.places.file;
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Input(format!("{} cannot be read: {error}", path.display())))?;
    let _one_at_a_time = server.changing.lock().await;
    let now = Applied::read(&server.served.store).await?;
    // What was made on the page is not in the file, and stays.
    let config = apply::read(&text, path, &now, Absent::Kept)?;
    let planned = Box::pin(apply::plan(config, &now, &text, path)).await?;
    apply::look_at_names(&planned.config, &server.served.places).await?;
    if !planned.difference.is_empty() {
        let from =
            From { caller: Caller { name: "SIGHUP".to_owned(), role: Role::Admin }, address: String::new() };
        let noted = server.audit(&from, "apply", "", &named(&planned)).await;
        noted.map_err(|error| Failure::Failed(error.body().message))?;
    }
    apply::commit(&server.served.store, &planned, &server.served.places, true).await?;
    server.watch.attend();
    Ok(if planned.difference.is_empty() { "nothing changes".to_owned() } else { planned.difference.counts() })
}

/// What changes, by name.
fn named(planned: &Planned) -> String {
    let changes = planned.difference.listed();
    let named = changes.iter().take(CHANGES_NAMED).map(|it| format!("{} {} {}", it.what, it.kind, it.name));
    let mut named = named.collect::<Vec<_>>().join(", ");
    let more = changes.len().saturating_sub(CHANGES_NAMED);
    if more > 0 {
        named.push_str(&format!(" and {more} more"));
    }
    named
}

/// Everything that is applied, as a `zenith.toml`.
#[utoipa::path(get, path = "/config", tag = "configuration", operation_id = "exportConfiguration", responses((status = 200, description = "What was asked for", content_type = "text/plain", body = String), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn export(_: Reader, State(server): State<Server>) -> ApiResult<Response> {
    let config = Applied::read(&server.served.store).await?.config().map_err(Failure::Input)?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], export::text(&config)).into_response())
}

/// Removes a pipeline with its progress, and those of its collections; tables stay as they are.
#[utoipa::path(delete, path = "/pipelines/{name}", tag = "pipelines", operation_id = "removePipeline", params(("name" = String, Path)), responses((status = 204, description = "It is done"), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn remove(
    Admin(from): Admin,
    State(server): State<Server>,
    Path(name): Path<String>,
) -> ApiResult<StatusCode> {
    let applied = Applied::read(&server.served.store).await?;
    if applied.names().all(|known| known != name) {
        return Err(unknown(&name, &applied));
    }
    server.audit(&from, "remove", &name, "").await?;
    pipelines::remove(&server.served.store, &applied, &name).await?;
    server.watch.attend();
    Ok(StatusCode::NO_CONTENT)
}

/// That something is missing, where a name is unknown.
#[must_use]
pub fn missing(failure: Failure) -> ApiError {
    ApiError::from(failure).with(Kind::Missing)
}
