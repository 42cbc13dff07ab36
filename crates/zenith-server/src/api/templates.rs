//! Pipelines of several collections.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;
use zenith_control::config::applied::Applied;
use zenith_control::status::json::TemplateJson;

use super::caller::Reader;
use super::configured::Configured;
use super::pipelines::{AGE, unknown};
use crate::error::{ApiResult, ErrorBody};
use crate::server::Server;

/// A pipeline of several collections with its settings.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateDetail {
    #[serde(flatten)]
    template: TemplateJson,
    #[serde(flatten)]
    configured: Configured,
}

/// A pipeline of several collections. The pipelines of its collections are among all others, with its name as `template`.
#[utoipa::path(get, path = "/templates/{name}", tag = "pipelines", operation_id = "getTemplate", params(("name" = String, Path)), responses((status = 200, description = "What was asked for", body = TemplateDetail), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn one(
    _: Reader,
    State(server): State<Server>,
    Path(name): Path<String>,
) -> ApiResult<Json<TemplateDetail>> {
    let look = server.watch.look(AGE).await;
    let applied = Applied::read(&server.served.store).await?;
    let seen = look.report.templates.iter().find(|template| template.name == name);
    let (Some(template), Some(record)) = (seen, applied.template(&name)) else {
        return Err(unknown(&name, &applied));
    };
    let configured = Configured::of(record, &server);
    Ok(Json(TemplateDetail { template: template.clone(), configured }))
}
