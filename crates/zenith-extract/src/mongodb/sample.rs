//! A sample of a collection: from its start, its end and at random, bounded in documents and bytes.

use std::collections::HashSet;

use bson::{Document, RawDocumentBuf, doc};
use futures_util::StreamExt;
use mongodb::action::Action;

use super::Deployment;
use crate::batch::document_id;
use crate::{ExtractError, Namespace};

/// The most a sample may hold, in bytes; documents of 16 MB make it a short one.
const SAMPLE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Documents a reply while sampling: few enough that a reply of large ones is not read in vain.
const REPLY_DOCUMENTS: u32 = 100;

pub(super) async fn sample(
    deployment: &Deployment,
    namespace: &Namespace,
    documents: usize,
) -> Result<Vec<RawDocumentBuf>, ExtractError> {
    let kind = deployment.collection(namespace).await?.kind;
    let part = i64::try_from(documents.div_ceil(3).max(1)).unwrap_or(i64::MAX);
    let find = |sort: Option<i32>| {
        let mut command = doc! { "find": &namespace.collection, "limit": part };
        if let Some(direction) = sort {
            command.insert("sort", doc! { "_id": direction });
        }
        command
    };
    // Sorting a view would run its pipeline over everything, only to throw most of it away.
    let ends = if kind.has_id_index() { vec![find(Some(1)), find(Some(-1))] } else { vec![find(None)] };
    let random = doc! {
        "aggregate": &namespace.collection,
        "pipeline": [{ "$sample": { "size": part } }],
        "cursor": {},
        "allowDiskUse": true,
    };
    let mut sample: Vec<RawDocumentBuf> = Vec::new();
    let mut seen = HashSet::new();
    for command in ends.into_iter().chain([random]) {
        for document in read(deployment, namespace, command, SAMPLE_BYTES_MAX / 3).await? {
            // Without an `_id` (a view) there is nothing to tell documents apart by, so all of them stay.
            let id = document_id(document.as_bytes()).map(|id| bson::rawdoc! { "": id }.into_bytes());
            if sample.len() < documents && id.is_none_or(|id| seen.insert(id)) {
                sample.push(document);
            }
        }
    }
    Ok(sample)
}

/// Runs a command that returns a cursor, and reads documents until `bytes_max` is passed.
pub(super) async fn read(
    deployment: &Deployment,
    namespace: &Namespace,
    mut command: Document,
    bytes_max: usize,
) -> Result<Vec<RawDocumentBuf>, ExtractError> {
    let failed = |source| deployment.error(format!("read {namespace}"), source);
    let reply_documents = i64::from(REPLY_DOCUMENTS);
    if command.contains_key("cursor") {
        command.insert("cursor", doc! { "batchSize": reply_documents });
    } else if !command.contains_key("singleBatch") {
        command.insert("batchSize", reply_documents);
    }
    let database = deployment.client.database(&namespace.database);
    let run = database
        .run_cursor_command(command)
        .batch_size(REPLY_DOCUMENTS)
        .optional(deployment.selection_criteria(), |run, criteria| run.selection_criteria(criteria));
    let mut cursor = run.batch().await.map_err(failed)?;
    let mut found = Vec::new();
    let mut bytes = 0;
    while let Some(reply) = cursor.next().await {
        let reply = reply.map_err(failed)?;
        for element in reply.doc_slices().map_err(failed)?.iter_elements() {
            let malformed = |error: bson::error::Error| ExtractError::Protocol {
                address: deployment.address.clone(),
                reason: error.to_string(),
            };
            let value = element.and_then(|element| element.value()).map_err(malformed)?;
            let Some(document) = value.as_document() else { continue };
            bytes += document.as_bytes().len();
            found.push(document.to_owned());
            if bytes > bytes_max {
                return Ok(found);
            }
        }
    }
    Ok(found)
}
