//! The table of a pipeline: its columns, their history, and what could become columns.

use axum::Json;
use axum::extract::{Path, State};
use zenith_control::config::Config;
use zenith_control::config::applied::Applied;
use zenith_control::connect;
use zenith_control::failure::Failure;
use zenith_control::operations::schema::{self, SchemaJson};
use zenith_control::promotion::{self, PromotionJson};

use super::caller::Reader;
use super::pipelines::unknown;
use crate::error::{ApiResult, ErrorBody};
use crate::server::Server;

/// What is applied, if this pipeline is.
pub async fn config(server: &Server, name: &str) -> ApiResult<Config> {
    let applied = Applied::read(&server.served.store).await?;
    if applied.pipeline(name).is_none() {
        return Err(unknown(name, &applied));
    }
    Ok(applied.config().map_err(Failure::Input)?)
}

/// The columns of a table, the fields they come from, and every version of the schema.
#[utoipa::path(get, path = "/pipelines/{name}/schema", tag = "tables", operation_id = "getSchema", params(("name" = String, Path)), responses((status = 200, description = "What was asked for", body = SchemaJson), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn schema(
    _: Reader,
    State(server): State<Server>,
    Path(name): Path<String>,
) -> ApiResult<Json<SchemaJson>> {
    let config = config(&server, &name).await?;
    let (store, pool) = (server.served.store.clone(), &server.served.pool);
    Ok(Json(Box::pin(schema::of(&config, store, &name, pool)).await?.json()))
}

/// Which values of the extra column could move into columns. Nothing is changed.
#[utoipa::path(get, path = "/pipelines/{name}/promotion", tag = "tables", operation_id = "getPromotion", params(("name" = String, Path)), responses((status = 200, description = "What was asked for", body = PromotionJson), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn promotion(
    _: Reader,
    State(server): State<Server>,
    Path(name): Path<String>,
) -> ApiResult<Json<PromotionJson>> {
    let config = config(&server, &name).await?;
    let (store, pool) = (server.served.store.clone(), &server.served.pool);
    let of = connect::pipeline(&config, &name)?.table().to_owned();
    let found = Box::pin(promotion::dry_run(&config, store, &name, &[], pool)).await?;
    Ok(Json(PromotionJson::new(&found, &of, false)))
}
