//! The databases that are read and written.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use zenith_control::config::applied::{Applied, connector_record};
use zenith_control::config::{Connector, ConnectorOptions};
use zenith_control::operations::connectors::{self, CollectionJson, ConnectorJson, Tested};
use zenith_engine::state::{Role, StateStore as _};

use super::body::{Asked, Body};
use super::caller::{Admin, Reader};
use crate::error::{ApiError, ApiResult, ErrorBody, Kind};
use crate::server::Server;

/// Which end a database is.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// It is read.
    Source,
    /// It is written.
    Target,
}

impl From<End> for Role {
    fn from(end: End) -> Role {
        match end {
            End::Source => Role::Source,
            End::Target => Role::Target,
        }
    }
}

/// A database as it is to be applied.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ConnectorBody {
    role: End,
    /// Its address; a password in it is refused where it would be kept: write `${VARIABLE}` or `file:PATH`.
    uri: String,
    /// With TLS: the certificate authorities to trust, a PEM file on the server's machine.
    #[schema(value_type = Option<String>)]
    ca_file: Option<std::path::PathBuf>,
}

impl ConnectorBody {
    fn connector(self) -> (Role, Connector) {
        let options = ConnectorOptions { ca_file: self.ca_file, ..ConnectorOptions::default() };
        (self.role.into(), Connector { uri: self.uri, options })
    }
}

/// A database that was applied, by its name; or one that was not, by its role and address.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Meant {
    /// The name of one that was applied.
    name: Option<String>,
    /// Which end one is that was not.
    role: Option<End>,
    /// Its address.
    uri: Option<String>,
    /// The database in it, for its collections.
    database: Option<String>,
}

impl Meant {
    async fn find(self, server: &Server) -> ApiResult<(String, Role, Connector, Option<String>)> {
        match (self.name, self.role, self.uri) {
            (Some(name), None, None) => {
                let applied = Applied::read(&server.served.store).await?;
                let (role, connector) = connectors::find(&applied, &name)
                    .map_err(|failure| ApiError::from(failure).with(Kind::Missing))?;
                Ok((name, role, connector, self.database))
            }
            (None, Some(role), Some(uri)) => {
                let role = Role::from(role);
                // Errors say "the source …" of it.
                Ok(("asked for".to_owned(), role, Connector { uri, ..Connector::default() }, self.database))
            }
            _ => Err(ApiError::new(
                Kind::Malformed,
                "name a connector that is applied (name), or describe one (role and uri)",
            )),
        }
    }
}

/// All sources and targets, by name; their addresses as they were written, without secrets.
#[utoipa::path(get, path = "/connectors", tag = "connectors", operation_id = "listConnectors", responses((status = 200, description = "What was asked for", body = Vec<ConnectorJson>), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn list(_: Reader, State(server): State<Server>) -> ApiResult<Json<Vec<ConnectorJson>>> {
    Ok(Json(connectors::list(&Applied::read(&server.served.store).await?)))
}

/// Adds a source or target, or replaces the one of its name.
#[utoipa::path(put, path = "/connectors/{name}", tag = "connectors", operation_id = "putConnector", params(("name" = String, Path)), request_body = ConnectorBody, responses((status = 204, description = "It is done"), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn put(
    Admin(from): Admin,
    State(server): State<Server>,
    Path(name): Path<String>,
    Body(body): Body<ConnectorBody>,
) -> ApiResult<StatusCode> {
    let (role, connector) = body.connector();
    server.audit(&from, "put connector", &name, role.as_str()).await?;
    server.served.store.put_connector(&connector_record(&name, role, &connector)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a source or target that no pipeline uses.
#[utoipa::path(delete, path = "/connectors/{name}", tag = "connectors", operation_id = "removeConnector", params(("name" = String, Path)), responses((status = 204, description = "It is done"), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn remove(
    Admin(from): Admin,
    State(server): State<Server>,
    Path(name): Path<String>,
) -> ApiResult<StatusCode> {
    server.audit(&from, "remove connector", &name, "").await?;
    match server.served.store.remove_connector(&name).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::new(Kind::Missing, format!("there is no connector {name:?}"))),
    }
}

/// Connects to a database and says what is there and what is missing. Writes nothing; but an address may refer to secrets of
/// the server, so that it is for administrators.
#[utoipa::path(post, path = "/connectors/test", tag = "connectors", operation_id = "testConnector", request_body = Meant, responses((status = 200, description = "What was asked for", body = Tested), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn test(
    Admin(from): Admin,
    State(server): State<Server>,
    Body(meant): Body<Meant>,
) -> ApiResult<Json<Tested>> {
    let (name, role, connector, _) = meant.find(&server).await?;
    server.audit(&from, "test connector", &name, "").await?;
    Ok(Json(connectors::test(&name, role, &connector, &server.served.pool).await))
}

/// Which database.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Within {
    /// That of the address, or all, where none is named.
    database: Option<String>,
}

/// The collections of a source that was applied, with their sizes.
#[utoipa::path(get, path = "/connectors/{name}/collections", tag = "connectors", operation_id = "listCollections", params(("name" = String, Path), Within), responses((status = 200, description = "What was asked for", body = Vec<CollectionJson>), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn collections(
    _: Reader,
    State(server): State<Server>,
    Path(name): Path<String>,
    Asked(within): Asked<Within>,
) -> ApiResult<Json<Vec<CollectionJson>>> {
    of_source(&server, Meant { name: Some(name), role: None, uri: None, database: within.database }).await
}

/// The collections of a source that need not be applied, with their sizes.
#[utoipa::path(post, path = "/connectors/collections", tag = "connectors", operation_id = "lookForCollections", request_body = Meant, responses((status = 200, description = "What was asked for", body = Vec<CollectionJson>), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn collections_of(
    Admin(from): Admin,
    State(server): State<Server>,
    Body(meant): Body<Meant>,
) -> ApiResult<Json<Vec<CollectionJson>>> {
    server.audit(&from, "list collections", "", "").await?;
    of_source(&server, meant).await
}

async fn of_source(server: &Server, meant: Meant) -> ApiResult<Json<Vec<CollectionJson>>> {
    let (name, role, connector, database) = meant.find(server).await?;
    if role != Role::Source {
        return Err(ApiError::new(
            Kind::Refused,
            format!("{name} is a target: only sources have collections"),
        ));
    }
    Ok(Json(connectors::collections(&name, &connector, database.as_deref()).await?))
}
