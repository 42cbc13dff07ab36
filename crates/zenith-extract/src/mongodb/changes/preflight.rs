//! Whether this user can follow changes, over what scope, and how far back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bson::{Bson, Document, Timestamp, doc};

use super::command::{Start, Stream};
use super::cursor::{Asking, Cursor};
use crate::mongodb::direct::usable_settings;
use crate::mongodb::{Deployment, Transport, preflight};
use crate::{ChangePreflight, ExtractError, Namespace, ReplyBudget, Scope, Topology};

/// Memory for the replies of trial openings, which have no events.
const TRIAL_BYTES: usize = 1024 * 1024;

pub(super) async fn preflight(
    deployment: &Arc<Deployment>,
    transport: Transport,
    namespaces: &[Namespace],
) -> Result<ChangePreflight, ExtractError> {
    let hello = deployment.command("admin", doc! { "hello": 1 }, "greet the server").await?;
    let topology = preflight::topology(&hello);
    if topology == Topology::Standalone {
        return Err(ExtractError::NoChangeStreams {
            address: deployment.address.clone(),
            reason: "it is a server on its own".to_owned(),
        });
    }
    let build = build_info(deployment).await?;
    Ok(ChangePreflight {
        server_version: build.get_str("version").unwrap_or("unknown").to_owned(),
        topology,
        scope: scope(deployment, transport, namespaces).await?,
        oplog_window: oplog_window(deployment).await,
        split_large_events: can_split(&build),
    })
}

/// Whether the server knows `$changeStreamSplitLargeEvent`, by its version.
pub(super) async fn splits_large_events(deployment: &Deployment) -> Result<bool, ExtractError> {
    Ok(can_split(&build_info(deployment).await?))
}

async fn build_info(deployment: &Deployment) -> Result<Document, ExtractError> {
    deployment.command("admin", doc! { "buildInfo": 1 }, "ask for the server's version").await
}

/// From 6.0.9 of the sixth series, and from 7.0 on.
fn can_split(build: &Document) -> bool {
    let Ok(parts) = build.get_array("versionArray") else { return false };
    let parts: Vec<i32> = parts.iter().filter_map(Bson::as_i32).collect();
    match parts[..] {
        [6, 0, patch, ..] => patch >= 9,
        [major, ..] => major >= 7,
        [] => false,
    }
}

/// Whether to ask the server for images: if a collection keeps them, or if that is unknown.
///
/// A server that is asked looks for the image of every update, also where there can be none, and that takes it half as
/// long again as all the rest of the stream (see `examples/change_cost.rs`).
pub(super) async fn keeps_images(deployment: &Deployment, namespaces: &[Namespace]) -> bool {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for namespace in namespaces {
        names.entry(&namespace.database).or_default().push(&namespace.collection);
    }
    for (database, collections) in &names {
        let filter = doc! {
            "name": { "$in": collections.as_slice() }, "options.changeStreamPreAndPostImages.enabled": true,
        };
        let command = doc! { "listCollections": 1, "filter": filter };
        match deployment.command(database, command, "ask for collections that keep images").await {
            Ok(reply) if preflight::first_batch(&reply).is_empty() => {}
            Ok(_) => return true,
            Err(error) => {
                tracing::debug!(%error, "which collections keep images is not known");
                return true;
            }
        }
    }
    names.is_empty()
}

/// [`Scope::of`] the collections, if this user may watch it.
async fn scope(
    deployment: &Arc<Deployment>,
    transport: Transport,
    namespaces: &[Namespace],
) -> Result<Scope, ExtractError> {
    let scope = Scope::of(namespaces).ok_or(ExtractError::InvalidNamespace { text: String::new() })?;
    match trial(deployment, transport, &scope, namespaces).await {
        Ok(()) => Ok(scope),
        Err(ExtractError::Unauthorized { action, reason }) if scope == Scope::Cluster => {
            let reason = format!("{reason}; collections of several databases need the role readAnyDatabase");
            Err(ExtractError::Unauthorized { action, reason })
        }
        Err(error) => Err(error),
    }
}

/// Opens a stream and closes it.
async fn trial(
    deployment: &Arc<Deployment>,
    transport: Transport,
    scope: &Scope,
    namespaces: &[Namespace],
) -> Result<(), ExtractError> {
    let stream =
        Stream { scope: scope.clone(), namespaces: namespaces.to_vec(), images: false, split: false };
    let reply_budget = ReplyBudget::new(zenith_memory::Pool::new(TRIAL_BYTES)?);
    let asking = Asking { reply_budget, batch_bytes: TRIAL_BYTES, idle: Duration::ZERO };
    let settings = usable_settings(deployment, transport);
    match Cursor::open(deployment, settings.as_deref(), &stream, &Start::Now, &asking).await {
        Ok(_) => Ok(()),
        Err(failure) => Err(failure.explained(&deployment.address, &stream, &Start::Now)),
    }
}

/// The time between the oldest and the newest entry of the oplog. Not everybody may read it, and mongos has none.
async fn oplog_window(deployment: &Deployment) -> Option<Duration> {
    let (oldest, newest) = (end_of_oplog(deployment, 1).await?, end_of_oplog(deployment, -1).await?);
    Some(Duration::from_secs(newest.time.saturating_sub(oldest.time).into()))
}

async fn end_of_oplog(deployment: &Deployment, direction: i32) -> Option<Timestamp> {
    let command = doc! {
        "find": "oplog.rs",
        "sort": { "$natural": direction },
        "projection": { "ts": 1 },
        "limit": 1,
        "singleBatch": true,
    };
    match deployment.command("local", command, "read the oplog").await {
        Ok(reply) => preflight::first_batch(&reply).first()?.get_timestamp("ts").ok(),
        Err(error) => {
            tracing::debug!(%error, "how far the oplog reaches back is not known");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_split_large_events() {
        for (version, expected) in [
            ([5, 0, 20, 0], false),
            ([6, 0, 8, 0], false),
            ([6, 0, 9, 0], true),
            ([6, 3, 1, 0], false),
            ([7, 0, 0, 0], true),
            ([8, 2, 1, 0], true),
        ] {
            assert_eq!(can_split(&doc! { "versionArray": version.to_vec() }), expected, "{version:?}");
        }
        assert!(!can_split(&doc! {}));
    }
}
