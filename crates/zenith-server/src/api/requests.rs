//! What is asked of the run and takes a while: carried out beside the pipelines, looked at by its number.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zenith_control::config::applied::Applied;
use zenith_control::failure::Failure;
use zenith_control::requests::{Answer, Asked, HowFar, Refusal, encode};
use zenith_control::reset;
use zenith_control::time;
use zenith_engine::state::{Outcome, Request, StateStore as _};

use super::body::Body;
use super::caller::{Admin, Operator, Reader};
use super::pipelines::unknown;
use crate::access::From;
use crate::error::{ApiError, ApiResult, ErrorBody, Kind};
use crate::server::Server;

/// `_id`s of each kind of difference that are told.
const IDS: usize = 20;

/// Something that was asked of the run.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequestJson {
    /// Its number.
    id: i64,
    pipeline: String,
    /// `reload`, `reset`, `promote` or `verify`.
    action: String,
    requested: String,
    progress: Option<Far>,
    /// `done`, `stopped` or `failed`; nothing while it is under way.
    outcome: Option<&'static str>,
    result: Option<Done>,
    error: Option<ErrorBody>,
}

/// How far it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Far {
    rows: u64,
    expected: u64,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub struct Done {
    /// For people.
    text: String,
    /// As the command prints it with `--json`.
    json: serde_json::Value,
}

fn shown(request: Request) -> RequestJson {
    let far: Option<HowFar> = serde_json::from_str(&request.progress).ok();
    let (mut result, mut error) = (None, None);
    let outcome = request.end.as_ref().map(|end| end.outcome);
    match request.end.as_ref().map(|end| (end.outcome, &end.result)) {
        Some((Outcome::Done, text)) => {
            let answer: Answer = serde_json::from_str(text).unwrap_or_default();
            let json = serde_json::from_str(&answer.json).unwrap_or_default();
            result = Some(Done { text: answer.text, json });
        }
        Some((_, text)) => {
            let refusal: Option<Refusal> = serde_json::from_str(text).ok();
            error = refusal.map(|refusal| ApiError::from(Failure::from(refusal)).body());
        }
        None => {}
    }
    RequestJson {
        id: request.id,
        pipeline: request.pipeline,
        action: request.action,
        requested: time::rfc3339(request.requested),
        progress: far.map(|far| Far { rows: far.rows(), expected: far.expected() }),
        outcome: outcome.map(Outcome::as_str),
        result,
        error,
    }
}

async fn ask(
    server: &Server,
    from: &From,
    name: &str,
    asked: &Asked,
    details: &str,
) -> ApiResult<(StatusCode, Json<RequestJson>)> {
    let store = &server.served.store;
    let applied = Applied::read(store).await?;
    if applied.pipeline(name).is_none() {
        return Err(match applied.template(name) {
            Some(_) => ApiError::new(
                Kind::Refused,
                format!(
                    "{name} is of several collections: name the pipeline of one of them, as in {name}.COLLECTION"
                ),
            ),
            None => unknown(name, &applied),
        });
    }
    server.audit(from, asked.action(), name, details).await?;
    let id = store.add_request(name, asked.action(), &encode(asked)).await?;
    server.watch.attend();
    one_of(server, id).await.map(|request| (StatusCode::ACCEPTED, request))
}

async fn one_of(server: &Server, id: i64) -> ApiResult<Json<RequestJson>> {
    let request = server.served.store.request(id).await?;
    let missing = || {
        ApiError::new(
            Kind::Missing,
            format!("there is no request {id}; those that ended a day ago are forgotten"),
        )
    };
    request.map(|request| Json(shown(request))).ok_or_else(missing)
}

/// Reads the collection of a pipeline again and replaces its table in one step.
#[utoipa::path(post, path = "/pipelines/{name}/reload", tag = "requests", operation_id = "reloadPipeline", params(("name" = String, Path)), responses((status = 202, description = "It was taken", body = RequestJson), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn reload(
    Operator(from): Operator,
    State(server): State<Server>,
    Path(name): Path<String>,
) -> ApiResult<(StatusCode, Json<RequestJson>)> {
    ask(&server, &from, &name, &Asked::Reload, "").await
}

/// Where a pipeline is to go on.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ResetBody {
    /// `now`, `beginning`, a time in RFC 3339, or a resume token.
    from: String,
}

/// Moves a pipeline to another position.
#[utoipa::path(post, path = "/pipelines/{name}/reset", tag = "requests", operation_id = "resetPipeline", params(("name" = String, Path)), request_body = ResetBody, responses((status = 202, description = "It was taken", body = RequestJson), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn reset(
    Admin(from): Admin,
    State(server): State<Server>,
    Path(name): Path<String>,
    Body(body): Body<ResetBody>,
) -> ApiResult<(StatusCode, Json<RequestJson>)> {
    let place: reset::From = body
        .from
        .parse()
        .map_err(|sentence: String| ApiError::new(Kind::Malformed, format!("from: {sentence}")))?;
    ask(&server, &from, &name, &Asked::Reset { from: place.to_string() }, &place.to_string()).await
}

/// Which fields are to have columns.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PromoteBody {
    /// Their paths; all that look like columns if there are none.
    #[serde(default)]
    fields: Vec<String>,
}

/// Moves values of the extra column into columns.
#[utoipa::path(post, path = "/pipelines/{name}/promote", tag = "requests", operation_id = "promoteFields", params(("name" = String, Path)), request_body = PromoteBody, responses((status = 202, description = "It was taken", body = RequestJson), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn promote(
    Operator(from): Operator,
    State(server): State<Server>,
    Path(name): Path<String>,
    Body(body): Body<PromoteBody>,
) -> ApiResult<(StatusCode, Json<RequestJson>)> {
    let details = body.fields.join(", ");
    ask(&server, &from, &name, &Asked::Promote { fields: body.fields }, &details).await
}

/// How thoroughly to compare.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct VerifyBody {
    /// Documents whose values are compared; all of them where nothing is said.
    sample: Option<u64>,
}

/// Compares a collection and its table.
#[utoipa::path(post, path = "/pipelines/{name}/verify", tag = "requests", operation_id = "verifyPipeline", params(("name" = String, Path)), request_body = VerifyBody, responses((status = 202, description = "It was taken", body = RequestJson), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn verify(
    Operator(from): Operator,
    State(server): State<Server>,
    Path(name): Path<String>,
    Body(body): Body<VerifyBody>,
) -> ApiResult<(StatusCode, Json<RequestJson>)> {
    ask(&server, &from, &name, &Asked::Verify { sample: body.sample, ids: IDS }, "").await
}

/// How far a request is, or what came of it.
#[utoipa::path(get, path = "/requests/{id}", tag = "requests", operation_id = "getRequest", params(("id" = i64, Path)), responses((status = 200, description = "What was asked for", body = RequestJson), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn one(
    _: Reader,
    State(server): State<Server>,
    Path(id): Path<i64>,
) -> ApiResult<Json<RequestJson>> {
    one_of(&server, id).await
}

/// Cancels a request; what it had begun is undone, and the request says so in the end.
#[utoipa::path(delete, path = "/requests/{id}", tag = "requests", operation_id = "cancelRequest", params(("id" = i64, Path)), responses((status = 202, description = "It was taken", body = RequestJson), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn cancel(
    Operator(from): Operator,
    State(server): State<Server>,
    Path(id): Path<i64>,
) -> ApiResult<(StatusCode, Json<RequestJson>)> {
    let request = one_of(&server, id).await?;
    server.audit(&from, "cancel", &request.pipeline, &format!("request {id}")).await?;
    server.served.store.cancel_request(id).await?;
    one_of(&server, id).await.map(|request| (StatusCode::ACCEPTED, request))
}
