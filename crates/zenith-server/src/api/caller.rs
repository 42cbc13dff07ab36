//! Who asks, as handlers demand it.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;

use crate::access::{Caller, From, Role};
use crate::error::{ApiError, Kind};
use crate::server::Server;

/// Somebody who may look; what is asked may need more.
pub struct Anybody(pub From);

/// Somebody who may look.
pub struct Reader(pub Caller);

/// Somebody who may pause, resume, reload, verify and retry.
pub struct Operator(pub From);

/// Somebody who may change what is run.
pub struct Admin(pub From);

fn caller(parts: &Parts, server: &Server, least: Role) -> Result<Caller, ApiError> {
    let Some(caller) = server.options.access.caller(&parts.headers) else {
        return Err(ApiError::new(Kind::Unauthorized, "a token is needed, and none that is known was sent")
            .remedy("send the header Authorization: Bearer TOKEN with a token of the token file"));
    };
    demand(&caller, least)?;
    Ok(caller)
}

/// Refuses whoever has a smaller role.
///
/// # Errors
/// With both roles.
pub fn demand(caller: &Caller, least: Role) -> Result<(), ApiError> {
    if caller.role < least {
        let (name, has, needs) = (&caller.name, caller.role.name(), least.name());
        return Err(ApiError::new(
            Kind::Forbidden,
            format!("{name} has the role {has}, and this needs the role {needs}"),
        )
        .remedy("change the role in the token file, or ask by another token"));
    }
    Ok(())
}

fn from(parts: &Parts, server: &Server, least: Role) -> Result<From, ApiError> {
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    Ok(From {
        caller: caller(parts, server, least)?,
        address: address.map_or_else(String::new, |ConnectInfo(address)| address.ip().to_string()),
    })
}

impl FromRequestParts<Server> for Anybody {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Anybody, ApiError> {
        from(parts, server, Role::Read).map(Anybody)
    }
}

impl FromRequestParts<Server> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Reader, ApiError> {
        caller(parts, server, Role::Read).map(Reader)
    }
}

impl FromRequestParts<Server> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Operator, ApiError> {
        from(parts, server, Role::Operate).map(Operator)
    }
}

impl FromRequestParts<Server> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Admin, ApiError> {
        from(parts, server, Role::Admin).map(Admin)
    }
}
