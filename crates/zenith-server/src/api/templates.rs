//! Pipelines of several collections, and how what is applied was configured.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;
use zenith_control::config::applied::{self, Applied};
use zenith_control::config::origin::{self, SettingJson, Source};
use zenith_control::config::{Config, file};
use zenith_control::operations::pipelines as operations;
use zenith_control::status::json::TemplateJson;
use zenith_engine::state::PipelineRecord;

use super::caller::Reader;
use super::pipelines::{AGE, unknown};
use crate::error::{ApiResult, ErrorBody};
use crate::server::Server;

/// How a pipeline is configured.
#[derive(Debug, Serialize, ToSchema)]
pub struct Configured {
    /// All its settings, as `zenith pipeline show --json` has them.
    settings: serde_json::Map<String, serde_json::Value>,
    /// Its section of a `zenith.toml`, without what is as it would be anyway.
    toml: String,
    /// Whether the server's configuration file has it so.
    origin: Source,
    /// Its settings with their origins, those of its ends among them.
    origins: Vec<SettingJson>,
}

impl Configured {
    /// Of what is applied, beside the configuration file as it is now.
    #[must_use]
    pub fn of(record: &PipelineRecord, server: &Server) -> Configured {
        let places = &server.served.places;
        let file = if places.has_file() { file::read(&places.file).ok() } else { None };
        let (origin, origins) = origin::settings(record, &file.unwrap_or_else(Config::default));
        Configured {
            settings: applied::settings(record).unwrap_or_default(),
            toml: operations::toml(record).unwrap_or_default(),
            origin,
            origins,
        }
    }
}

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
