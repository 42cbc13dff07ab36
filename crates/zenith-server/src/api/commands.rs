//! The command of another machine: what `zenith --server` asks for is carried out here, and printed there.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;
use zenith_control::commands::{Call, Command, Need, Output, View};

use super::body::Body;
use super::caller::{Anybody, demand};
use crate::access::Role;
use crate::error::{ApiResult, ErrorBody};
use crate::server::Server;

/// A command.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CommandBody {
    /// As in `{"pause": {"name": "orders", "paused": true}}`.
    #[schema(value_type = Object)]
    command: Command,
    /// How its output is wished: `json`, `colours`, `verbose`.
    #[serde(default)]
    #[schema(value_type = Object)]
    view: View,
}

/// Carries a command out as `zenith` does beside the state, and gives what that prints. Which role it needs depends on the
/// command.
#[utoipa::path(post, path = "/commands", tag = "commands", operation_id = "runCommand", request_body = CommandBody, responses((status = 200, description = "What was asked for", body = Output), (status = "4XX", description = "Refused, with the reason", body = ErrorBody)))]
pub async fn run(
    Anybody(from): Anybody,
    State(server): State<Server>,
    Body(sent): Body<CommandBody>,
) -> ApiResult<Json<Output>> {
    let CommandBody { command, view } = sent;
    demand(
        &from.caller,
        match command.need() {
            Need::Look => Role::Read,
            Need::Operate => Role::Operate,
            Need::Administer => Role::Admin,
        },
    )?;
    let _one_at_a_time = match command.is_alone() {
        true => Some(server.changing.lock().await),
        false => None,
    };
    let is_change = match command.noted() {
        Some((action, subject)) => {
            server.audit(&from, action, subject, "by zenith --server").await?;
            true
        }
        None => false,
    };
    let output = Box::pin(server.desk.perform(&Call { command, view })).await?;
    if is_change {
        server.watch.attend();
    }
    Ok(Json(output))
}
