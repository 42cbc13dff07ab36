//! The check of the deployment and one collection before anything is read.
//!
//! What is only convenient (sizes, names of other collections) may be refused to the user without harm; what reading
//! needs may not.

use bson::{Bson, Document, Timestamp, Uuid, doc};

use super::Deployment;
use super::sample::{REPLY_DOCUMENTS, read};
use crate::{CollectionInfo, CollectionKind, CollectionSize, ExtractError, Namespace, SourceInfo, Topology};

/// Databases that are the server's own.
const SYSTEM_DATABASES: [&str; 3] = ["admin", "config", "local"];

pub(super) async fn preflight(
    deployment: &Deployment,
    namespace: &Namespace,
) -> Result<SourceInfo, ExtractError> {
    // The first command is the one that needs a server, so its failure says what is wrong with the address.
    let hello = deployment.command("admin", doc! { "hello": 1 }, "greet the server").await?;
    let build = deployment.command("admin", doc! { "buildInfo": 1 }, "ask for the server's version").await?;
    let collection = deployment.collection(namespace).await?;
    can_read(deployment, namespace).await?;
    Ok(SourceInfo {
        server_version: build.get_str("version").unwrap_or("unknown").to_owned(),
        topology: topology(&hello),
        cluster_time: cluster_time(&hello),
        collection,
    })
}

pub(super) fn topology(hello: &Document) -> Topology {
    if hello.get_str("msg").is_ok_and(|message| message == "isdbgrid") {
        return Topology::Sharded;
    }
    match hello.get_str("setName") {
        Ok(name) => Topology::ReplicaSet(name.to_owned()),
        Err(_) => Topology::Standalone,
    }
}

fn cluster_time(hello: &Document) -> Option<Timestamp> {
    hello.get_timestamp("operationTime").ok()
}

/// One document is asked for: privileges are checked by the server itself.
async fn can_read(deployment: &Deployment, namespace: &Namespace) -> Result<(), ExtractError> {
    let command = doc! {
        "find": &namespace.collection, "projection": { "_id": 1 }, "limit": 1, "singleBatch": true,
    };
    read(deployment, namespace, command, REPLY_DOCUMENTS).await.map(drop)
}

/// What the collection is.
pub(super) async fn collection(
    deployment: &Deployment,
    namespace: &Namespace,
) -> Result<CollectionInfo, ExtractError> {
    let Some(entry) = entry(deployment, namespace).await? else {
        return Err(missing(deployment, namespace).await);
    };
    let options = entry.get_document("options").cloned().unwrap_or_default();
    let kind = match kind(&entry) {
        CollectionKind::Collection if options.get_bool("capped").unwrap_or(false) => CollectionKind::Capped,
        kind => kind,
    };
    let images = options.get_document("changeStreamPreAndPostImages");
    let size = if kind.has_id_index() { size(deployment, namespace).await } else { None };
    Ok(CollectionInfo {
        kind,
        size,
        uuid: uuid(&entry),
        pre_and_post_images: images.is_ok_and(|images| images.get_bool("enabled").unwrap_or(false)),
    })
}

/// The kind of an entry of `listCollections`, as far as it shows without its options.
fn kind(entry: &Document) -> CollectionKind {
    match entry.get_str("type") {
        Ok("view") => CollectionKind::View,
        Ok("timeseries") => CollectionKind::TimeSeries,
        _ => CollectionKind::Collection,
    }
}

/// The version and the arrangement of the server.
pub(super) async fn server(deployment: &Deployment) -> Result<(String, Topology), ExtractError> {
    let hello = deployment.command("admin", doc! { "hello": 1 }, "greet the server").await?;
    let build = deployment.command("admin", doc! { "buildInfo": 1 }, "ask for the server's version").await?;
    Ok((build.get_str("version").unwrap_or("unknown").to_owned(), topology(&hello)))
}

/// What there is in a database, in order of the names. A database that is not there has nothing.
pub(super) async fn collections(
    deployment: &Deployment,
    database: &str,
) -> Result<Vec<(String, CollectionKind)>, ExtractError> {
    let command = doc! { "listCollections": 1, "nameOnly": true, "authorizedCollections": true };
    let reply = deployment.command(database, command, &format!("list the collections of {database}")).await?;
    let named = |entry: &Document| Some((entry.get_str("name").ok()?.to_owned(), kind(entry)));
    let mut found: Vec<_> = first_batch(&reply).iter().filter_map(named).collect();
    // The buckets of time series are among them.
    found.retain(|(name, _)| !name.starts_with("system."));
    found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// The databases of users, in order of their names.
pub(super) async fn databases(deployment: &Deployment) -> Result<Vec<String>, ExtractError> {
    let command = doc! { "listDatabases": 1, "nameOnly": true, "authorizedDatabases": true };
    let reply = deployment.command("admin", command, "list the databases").await?;
    let found = reply.get_array("databases").ok().into_iter().flatten();
    let mut found = names(&found.filter_map(|entry| entry.as_document().cloned()).collect::<Vec<_>>());
    found.retain(|name| !SYSTEM_DATABASES.contains(&name.as_str()));
    Ok(found)
}

/// The collection's entry in `listCollections`; without its options where the user may not see them.
async fn entry(deployment: &Deployment, namespace: &Namespace) -> Result<Option<Document>, ExtractError> {
    let mut command = doc! { "listCollections": 1, "filter": { "name": &namespace.collection } };
    let action = format!("look for {namespace}");
    let reply = match deployment.command(&namespace.database, command.clone(), &action).await {
        Err(ExtractError::Unauthorized { .. }) => {
            command.insert("nameOnly", true);
            command.insert("authorizedCollections", true);
            deployment.command(&namespace.database, command, &action).await?
        }
        other => other?,
    };
    Ok(first_batch(&reply).into_iter().next())
}

fn uuid(entry: &Document) -> Option<Uuid> {
    match entry.get_document("info").ok()?.get("uuid")? {
        Bson::Binary(binary) => binary.to_uuid().ok(),
        _ => None,
    }
}

/// The size by the server's metadata, added up over shards.
pub(super) async fn size(deployment: &Deployment, namespace: &Namespace) -> Option<CollectionSize> {
    let command = doc! {
        "aggregate": &namespace.collection,
        "pipeline": [{ "$collStats": { "storageStats": {} } }, { "$project": {
            "count": "$storageStats.count", "size": "$storageStats.size",
        } }],
        "cursor": {},
    };
    let reply = match deployment.command(&namespace.database, command, "ask for the size").await {
        Ok(reply) => reply,
        Err(error) => {
            tracing::debug!(%namespace, %error, "the size of the collection is not known");
            return None;
        }
    };
    let shards = first_batch(&reply);
    let sum = |key: &str| shards.iter().map(|shard| unsigned(shard.get(key))).sum::<Option<u64>>();
    Some(CollectionSize { documents: sum("count")?, bytes: sum("size")? })
}

pub(super) fn unsigned(value: Option<&Bson>) -> Option<u64> {
    match value? {
        Bson::Int32(value) => u64::try_from(*value).ok(),
        Bson::Int64(value) => u64::try_from(*value).ok(),
        // Sizes beyond two gigabytes come as doubles from some versions; their text has no fraction.
        Bson::Double(value) => format!("{value:.0}").parse().ok(),
        _ => None,
    }
}

pub(super) fn first_batch(reply: &Document) -> Vec<Document> {
    let batch = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    batch
        .map(|batch| batch.iter().filter_map(|entry| entry.as_document().cloned()).collect())
        .unwrap_or_default()
}

/// The error for a collection that is not there, with what is there instead.
async fn missing(deployment: &Deployment, namespace: &Namespace) -> ExtractError {
    let (address, namespace) = (deployment.address.clone(), namespace.clone());
    let collections = doc! { "listCollections": 1, "nameOnly": true, "authorizedCollections": true };
    let known = match deployment.command(&namespace.database, collections, "list collections").await {
        Ok(reply) => names(&first_batch(&reply)),
        Err(_) => Vec::new(),
    };
    if !known.is_empty() {
        return ExtractError::NoSuchCollection { address, namespace, known };
    }
    let databases = doc! { "listDatabases": 1, "nameOnly": true };
    let known = match deployment.command("admin", databases, "list databases").await {
        Ok(reply) => {
            let list =
                reply.get_array("databases").map(|list| list.iter().filter_map(Bson::as_document).cloned());
            list.map(|list| names(&list.collect::<Vec<_>>())).unwrap_or_default()
        }
        Err(_) => Vec::new(),
    };
    ExtractError::NoSuchDatabase { address, namespace, known }
}

fn names(entries: &[Document]) -> Vec<String> {
    let mut names: Vec<String> =
        entries.iter().filter_map(|entry| entry.get_str("name").ok()).map(str::to_owned).collect();
    names.sort_unstable();
    names
}
