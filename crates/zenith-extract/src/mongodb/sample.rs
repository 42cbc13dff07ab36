//! A sample of a collection: from its start, its end and at random, bounded in documents and bytes.

use std::collections::HashSet;

use bson::{Document, RawDocumentBuf, doc};
use futures_util::StreamExt;
use mongodb::action::Action;

use super::Deployment;
use crate::batch::document_id;
use crate::{CollectionInfo, CollectionSize, ExtractError, Namespace};

/// The most a sample may hold, in bytes; documents of 16 MB make it a short one.
const SAMPLE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The largest collection that may be read and sorted for a sample, in bytes.
const SORT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most documents a reply while sampling.
pub(super) const REPLY_DOCUMENTS: u32 = 100;

pub(super) async fn sample(
    deployment: &Deployment,
    namespace: &Namespace,
    documents: usize,
) -> Result<Vec<RawDocumentBuf>, ExtractError> {
    let CollectionInfo { kind, size, .. } = deployment.collection(namespace).await?;
    let most = i64::try_from(documents.div_ceil(3).max(1)).unwrap_or(i64::MAX);
    let together = reply_documents(size);
    let find = |sort: Option<i32>| {
        let mut command = doc! { "find": &namespace.collection, "limit": most };
        if let Some(direction) = sort {
            command.insert("sort", doc! { "_id": direction });
        }
        command
    };
    let part = async |command: Option<Document>| match command {
        Some(command) => read(deployment, namespace, command, together, SAMPLE_BYTES_MAX / 3).await,
        None => Ok(Vec::new()),
    };
    let at_random = random(size, most).map(|documents| {
        doc! {
            "aggregate": &namespace.collection,
            "pipeline": [{ "$sample": { "size": documents } }],
            "cursor": {},
            "allowDiskUse": true,
        }
    });
    let (first, last, at_random) = tokio::try_join!(
        part(Some(find(kind.has_id_index().then_some(1)))),
        // Sorting a view would run its pipeline over everything, only to throw most of it away.
        part(kind.has_id_index().then(|| find(Some(-1)))),
        part(at_random),
    )?;
    let mut sample: Vec<RawDocumentBuf> = Vec::new();
    let mut seen = HashSet::new();
    for document in [first, last, at_random].into_iter().flatten() {
        // Without an `_id` (a view) there is nothing to tell documents apart by, so all of them stay.
        let id = document_id(document.as_bytes()).map(|id| bson::rawdoc! { "": id }.into_bytes());
        if sample.len() < documents && id.is_none_or(|id| seen.insert(id)) {
            sample.push(document);
        }
    }
    Ok(sample)
}

/// How many documents are taken at random: no more than the sample may hold in bytes. `None` where the server would read
/// and sort the whole collection for them, as it does for more than one in twenty documents and for collections of fewer
/// than a hundred, and that is much.
fn random(size: Option<CollectionSize>, most: i64) -> Option<i64> {
    let Some(CollectionSize { documents, bytes }) = size else { return Some(most) };
    let part = u64::try_from(SAMPLE_BYTES_MAX / 3).unwrap_or(u64::MAX);
    let room = part.saturating_mul(documents).checked_div(bytes).unwrap_or(u64::MAX);
    let wanted = most.min(i64::try_from(room).unwrap_or(i64::MAX)).max(1);
    let sorts_all = documents < 100 || u64::try_from(wanted).unwrap_or(0).saturating_mul(20) > documents;
    (!sorts_all || bytes <= SORT_BYTES_MAX).then_some(wanted)
}

/// Documents a reply: so few that of large ones no more are read than a third of the sample holds.
fn reply_documents(size: Option<CollectionSize>) -> u32 {
    let Some(CollectionSize { documents, bytes }) = size else { return REPLY_DOCUMENTS };
    let part = u64::try_from(SAMPLE_BYTES_MAX / 3).unwrap_or(u64::MAX);
    let together =
        part.saturating_mul(documents).checked_div(bytes).map_or(REPLY_DOCUMENTS.into(), |some| some + 1);
    u32::try_from(together).unwrap_or(REPLY_DOCUMENTS).min(REPLY_DOCUMENTS)
}

/// Runs a command that returns a cursor, and reads documents, so many a reply, until `bytes_max` is passed.
pub(super) async fn read(
    deployment: &Deployment,
    namespace: &Namespace,
    mut command: Document,
    together: u32,
    bytes_max: usize,
) -> Result<Vec<RawDocumentBuf>, ExtractError> {
    let failed = |source| deployment.error(format!("read {namespace}"), source);
    if command.contains_key("cursor") {
        command.insert("cursor", doc! { "batchSize": i64::from(together) });
    } else if !command.contains_key("singleBatch") {
        command.insert("batchSize", i64::from(together));
    }
    let database = deployment.client.database(&namespace.database);
    let run = database
        .run_cursor_command(command)
        .batch_size(together)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_of_large_documents_are_short() {
        let size = |documents, bytes| Some(CollectionSize { documents, bytes });
        assert_eq!(reply_documents(size(1_000_000, 288_000_000)), 100);
        assert_eq!(reply_documents(size(300, 300 << 20)), 3);
        assert_eq!(reply_documents(size(30, 30 * (16 << 20))), 1);
        assert_eq!(reply_documents(size(0, 0)), 100);
        assert_eq!(reply_documents(None), 100);
    }

    #[test]
    fn a_random_part_is_no_larger_than_the_sample_and_never_sorts_much() {
        let size = |documents, bytes| Some(CollectionSize { documents, bytes });
        assert_eq!(random(size(1_000_000, 288_000_000), 334), Some(334));
        assert_eq!(random(size(300, 300 << 20), 334), Some(2));
        assert_eq!(random(size(50, 50 << 20), 334), Some(2));
        assert_eq!(random(size(50, 500 << 20), 334), None);
        assert_eq!(random(size(100_000, 300 << 20), 50_000), Some(888));
        assert_eq!(random(size(0, 0), 334), Some(334));
        assert_eq!(random(None, 334), Some(334));
    }
}
