//! What identifies a deployment: the id of the replica set, or of the sharded cluster.

use bson::{Document, doc};

use crate::ExtractError;
use crate::mongodb::{Deployment, preflight};

/// The id; `None` where the user may not read it.
pub(super) async fn deployment_id(deployment: &Deployment) -> Result<Option<String>, ExtractError> {
    // `replSetGetConfig` needs the role clusterMonitor, the collections read access to their databases.
    let config = deployment.command("admin", doc! { "replSetGetConfig": 1 }, "ask for the replica set").await;
    if let Some(id) =
        readable(config)?.as_ref().and_then(|config| set_id(config.get_document("config").ok()?))
    {
        return Ok(Some(id));
    }
    let first = |collection: &str| doc! { "find": collection, "limit": 1, "singleBatch": true };
    let config = deployment.command("local", first("system.replset"), "read the replica set").await;
    if let Some(id) = readable(config)?.and_then(|reply| set_id(preflight::first_batch(&reply).first()?)) {
        return Ok(Some(id));
    }
    let version = deployment.command("config", first("version"), "read the cluster's id").await;
    let version = readable(version)?.map(|reply| preflight::first_batch(&reply)).unwrap_or_default();
    let id = version.first().and_then(|version| version.get_object_id("clusterId").ok());
    Ok(id.map(|id| id.to_hex()))
}

fn set_id(config: &Document) -> Option<String> {
    config.get_document("settings").ok()?.get_object_id("replicaSetId").ok().map(|id| id.to_hex())
}

/// The reply; `None` where the server does not give it to this user, or knows no such command.
fn readable(reply: Result<Document, ExtractError>) -> Result<Option<Document>, ExtractError> {
    match reply {
        Ok(reply) => Ok(Some(reply)),
        Err(error) if error.is_transient() => Err(error),
        Err(_) => Ok(None),
    }
}
