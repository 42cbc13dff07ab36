//! The handlers, and the document that describes them.
//!
//! Each handler demands a role by its first argument: [`caller::Reader`], [`caller::Operator`] or [`caller::Admin`].

pub mod body;
pub mod caller;
pub mod commands;
pub mod configuration;
pub mod configured;
pub mod connectors;
pub mod events;
pub mod letters;
pub mod overview;
pub mod pipelines;
pub mod probes;
pub mod requests;
pub mod runs;
pub mod tables;
pub mod templates;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, middleware};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{ApiError, Kind};
use crate::guard::guard;
use crate::server::Server;

/// Bytes that the body of a request may have.
pub const BODY_MAX: usize = 1 << 20;
/// Where the API is.
const PREFIX: &str = "/api/v1";

#[derive(OpenApi)]
#[openapi(info(
    title = "Zenith",
    description = "Pipelines from MongoDB to ClickHouse: how they stand, and what can be done with them.",
    license(name = "Apache-2.0", identifier = "Apache-2.0")
))]
struct Description;

fn described() -> OpenApiRouter<Server> {
    let api = OpenApiRouter::new()
        .routes(routes!(overview::server))
        .routes(routes!(overview::log))
        .routes(routes!(overview::audit))
        .routes(routes!(pipelines::list))
        .routes(routes!(pipelines::one, configuration::remove))
        .routes(routes!(templates::one))
        .routes(routes!(pipelines::series))
        .routes(routes!(pipelines::pause))
        .routes(routes!(pipelines::resume))
        .routes(routes!(requests::reload))
        .routes(routes!(requests::reset))
        .routes(routes!(requests::promote))
        .routes(routes!(requests::one, requests::cancel))
        .routes(routes!(runs::of_pipeline))
        .routes(routes!(runs::all))
        .routes(routes!(requests::verify))
        .routes(routes!(tables::schema))
        .routes(routes!(tables::promotion))
        .routes(routes!(tables::sample))
        .routes(routes!(tables::mismatches))
        .routes(routes!(letters::list))
        .routes(routes!(letters::one))
        .routes(routes!(letters::retry))
        .routes(routes!(letters::purge))
        .routes(routes!(connectors::list))
        .routes(routes!(connectors::put, connectors::remove))
        .routes(routes!(connectors::test))
        .routes(routes!(connectors::collections))
        .routes(routes!(connectors::collections_of))
        .routes(routes!(configuration::plan))
        .routes(routes!(configuration::sample))
        .routes(routes!(configuration::apply))
        .routes(routes!(configuration::export))
        .routes(routes!(commands::run))
        .routes(routes!(events::events));
    OpenApiRouter::with_openapi(Description::openapi()).nest(PREFIX, api)
}

/// The document that describes the API, as OpenAPI 3.1.
#[must_use]
pub fn document() -> Document {
    described().split_for_parts().1
}

/// Everything that is answered.
pub fn router(server: Server) -> Router {
    let (router, document) = described().split_for_parts();
    router
        .route(&format!("{PREFIX}/openapi.json"), get(async move || Json(document)))
        .route("/healthz", get(probes::healthz))
        .route("/readyz", get(probes::readyz))
        .route("/metrics", get(probes::metrics))
        .route("/assets/{*path}", get(asset))
        .fallback(page)
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(server.clone(), guard))
        .with_state(server)
}

async fn asset(State(server): State<Server>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    let file = server.assets.file(&path, &headers);
    file.unwrap_or_else(|| ApiError::new(Kind::Missing, format!("there is no file {path:?}")).into_response())
}

/// The views of the page have addresses of their own.
async fn page(State(server): State<Server>, request: axum::extract::Request) -> Response {
    let path = request.uri().path();
    // Names of pipelines may have dots in them.
    let is_view = path.starts_with("/pipelines/") || (!path.starts_with("/api") && !path.contains('.'));
    if is_view && request.method().is_safe() {
        return server.assets.page(request.headers());
    }
    ApiError::new(Kind::Missing, format!("there is nothing at {path}"))
        .remedy("/api/v1/openapi.json has all paths")
        .into_response()
}

async fn not_allowed(request: axum::extract::Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    ApiError::new(Kind::Missing, format!("{path} does not answer to {method}"))
        .remedy("/api/v1/openapi.json has all paths and their methods")
        .into_response()
}
