//! The table of a pipeline: its columns, their history, and what could become columns.

use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::IntoParams;
use zenith_control::config::Config;
use zenith_control::config::applied::Applied;
use zenith_control::connect;
use zenith_control::course::{self, CourseJson};
use zenith_control::failure::Failure;
use zenith_control::operations::samples::{self, SampleJson};
use zenith_control::operations::schema::{self, SchemaJson};
use zenith_control::promotion::{self, PromotionJson};

use super::body::Asked;
use super::caller::Reader;
use super::pipelines::unknown;
use crate::access::Role;
use crate::error::{ApiResult, ErrorBody};
use crate::server::Server;

/// Documents that are shown where nobody says how many.
pub const DOCUMENTS: usize = 5;

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

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Few {
    /// So many documents at most: 5 unless said, and never more than 20.
    documents: Option<usize>,
}

/// Some documents of the collection beside the rows that the table has of them. Documents are shown as the source has them,
/// with what the table leaves out or masks, to administrators only.
#[utoipa::path(get, path = "/pipelines/{name}/sample", tag = "tables", operation_id = "getSample", params(("name" = String, Path), Few), responses((status = 200, description = "What was asked for", body = Vec<SampleJson>), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn sample(
    Reader(caller): Reader,
    State(server): State<Server>,
    Path(name): Path<String>,
    Asked(few): Asked<Few>,
) -> ApiResult<Json<Vec<SampleJson>>> {
    let config = config(&server, &name).await?;
    let (store, pool) = (server.served.store.clone(), &server.served.pool);
    let documents = few.documents.unwrap_or(DOCUMENTS);
    let mut found = Box::pin(samples::of(&config, store, &name, documents, pool)).await?;
    if caller.role < Role::Admin {
        found.iter_mut().for_each(|sample| sample.document = None);
    }
    Ok(Json(found))
}

/// What did not fit in the last hour, by field and reason, in slots of five minutes.
#[utoipa::path(get, path = "/pipelines/{name}/mismatches", tag = "tables", operation_id = "getMismatches", params(("name" = String, Path)), responses((status = 200, description = "What was asked for", body = CourseJson), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn mismatches(
    _: Reader,
    State(server): State<Server>,
    Path(name): Path<String>,
) -> ApiResult<Json<CourseJson>> {
    config(&server, &name).await?;
    Ok(Json(course::read(&server.served.store, &name, SystemTime::now()).await?))
}
