//! A sample of a collection: from both ends and from places spread evenly between the smallest and the largest `_id`,
//! bounded in documents and bytes. The same collection gives the same sample.
//!
//! One command reads all parts. Where the `_id`s are not spread evenly, so that many places lead to the same documents,
//! a second one reads where the others must be ([`narrower`]).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bson::{Bson, Document, RawDocumentBuf, doc, rawdoc};
use futures_util::StreamExt;
use mongodb::action::Action;

use super::Deployment;
use super::filter::Filter;
use super::parts::{self, Part, Span, divided, ends, narrower, spans, spread};
use crate::batch::document_id;
use crate::{CollectionInfo, CollectionSize, ExtractError, Namespace};

/// The most a sample may hold, in bytes, except for the last document.
const SAMPLE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The aim for one whose documents are large: some are larger than their average.
const SAMPLE_BYTES: u64 = 6 * 1024 * 1024;
/// Documents that are taken however large they are: one of 16 MB alone would say little.
const ENOUGH: usize = 3;
/// With less than this part of what is wanted, a second look is taken for documents that match: it may go through all.
const FEW: usize = 10;
/// Parts of a sample. A part costs the server 50 µs besides its documents, a document 1.5 µs.
const PARTS: usize = 64;
/// Most documents a reply, where they are few.
pub(super) const REPLY_DOCUMENTS: u32 = 100;

pub(super) async fn sample(
    deployment: &Deployment,
    namespace: &Namespace,
    filter: &Filter,
    documents: usize,
) -> Result<Vec<RawDocumentBuf>, ExtractError> {
    let CollectionInfo { kind, size, .. } = deployment.collection(namespace).await?;
    if documents == 0 {
        return Ok(Vec::new());
    }
    if !kind.has_id_index() {
        // Sorting a view would run its pipeline over everything, only to throw most of it away.
        return Ok(beginning(deployment, namespace, filter, None, documents).await?.documents);
    }
    if size.is_some_and(|size| is_small(size, documents)) {
        let all = beginning(deployment, namespace, filter, Some(1), documents + 1).await?;
        // Metadata may be wrong after a crash, and old.
        if !all.cut && all.documents.len() <= documents {
            return Ok(all.documents);
        }
    }
    let Some(ends) = ends(deployment, namespace, &Filter::default()).await? else {
        return Ok(beginning(deployment, namespace, filter, Some(1), documents).await?.documents);
    };
    let spans = spans(deployment, namespace, ends).await?;
    let wanted = affordable(size, documents);
    if filter.raw().is_some() {
        let parts = divided(&spans, PARTS.min(wanted), filter);
        return matching(deployment, namespace, &parts, wanted).await;
    }
    everywhere(deployment, namespace, &spans, size, wanted).await
}

/// Documents from places that are spread evenly, and from others where these lead to the same documents.
async fn everywhere(
    deployment: &Deployment,
    namespace: &Namespace,
    spans: &[Span],
    size: Option<CollectionSize>,
    mut wanted: usize,
) -> Result<Vec<RawDocumentBuf>, ExtractError> {
    let (found, limit) = loop {
        let parts = spread(spans, PARTS.min(wanted));
        // Where there are fewer places, others may be found below.
        let limit = wanted / PARTS.min(wanted);
        let found = read_parts(deployment, namespace, &parts, limit, SAMPLE_BYTES_MAX).await?;
        if !found.cut || wanted <= ENOUGH {
            break (found.documents, limit);
        }
        // Fewer documents of every part rather than the first parts alone.
        wanted = (wanted / 4).max(ENOUGH);
    };
    // What was read downwards came last.
    let upwards = found.len().saturating_sub(limit * spans.len());
    let mut sample = Sample::default();
    sample.extend(found, wanted);
    let missing = wanted - sample.documents.len();
    let all = size.is_some_and(|size| size.documents == count(sample.documents.len()));
    if missing > wanted / 10 && !all {
        let read = |id: &Bson| sample.place(id).is_some_and(|place| place < upwards);
        let mut parts = narrower(deployment, namespace, spans, PARTS.min(wanted), read).await?;
        let mut limit = missing.checked_div(parts.len()).unwrap_or_default().max(1);
        if parts.is_empty() {
            // There are no more places: more documents of each.
            parts = spread(spans, PARTS.min(wanted));
            limit = (wanted / parts.len()).max(1);
        }
        let room = SAMPLE_BYTES_MAX.saturating_sub(sample.bytes());
        let found = read_parts(deployment, namespace, &parts, limit, room).await?;
        sample.extend(found.documents, wanted);
    }
    Ok(sample.documents)
}

/// Documents that match, from all parts; more of those that have them where others have few.
async fn matching(
    deployment: &Deployment,
    namespace: &Namespace,
    parts: &[Part],
    mut wanted: usize,
) -> Result<Vec<RawDocumentBuf>, ExtractError> {
    let mut limit = wanted.div_ceil(parts.len().max(1));
    let mut sample = Sample::default();
    loop {
        let found = read_parts(deployment, namespace, parts, limit, SAMPLE_BYTES_MAX).await?;
        if !found.cut || limit == 1 {
            sample.extend(found.documents, wanted);
            break;
        }
        // Fewer documents of every part rather than the first parts alone.
        wanted = (wanted / 4).max(ENOUGH);
        limit = wanted.div_ceil(parts.len().max(1));
    }
    let found = sample.documents.len();
    if found > 0 && found < wanted / FEW {
        let room = SAMPLE_BYTES_MAX.saturating_sub(sample.bytes());
        let more = limit.saturating_mul(wanted / found);
        let more = read_parts(deployment, namespace, parts, more, room).await?;
        sample.extend(more.documents, wanted);
    }
    Ok(sample.documents)
}

/// Documents, each once.
#[derive(Default)]
struct Sample {
    documents: Vec<RawDocumentBuf>,
    /// Their `_id`s, and which of all that came was the first to have it.
    places: HashMap<Vec<u8>, usize>,
}

impl Sample {
    fn extend(&mut self, documents: Vec<RawDocumentBuf>, most: usize) {
        for (place, document) in documents.into_iter().enumerate() {
            if self.documents.len() == most {
                return;
            }
            // An `_id` that is no valid BSON cannot be told from others, but the whole document can.
            let id = document_id(document.as_bytes());
            let id = id.map_or_else(|| document.as_bytes().to_vec(), |id| rawdoc! { "": id }.into_bytes());
            if let Entry::Vacant(free) = self.places.entry(id) {
                free.insert(place);
                self.documents.push(document);
            }
        }
    }

    fn place(&self, id: &Bson) -> Option<usize> {
        let id = RawDocumentBuf::try_from(&doc! { "": id }).ok()?;
        self.places.get(id.as_bytes()).copied()
    }

    fn bytes(&self) -> usize {
        self.documents.iter().map(|document| document.as_bytes().len()).sum()
    }
}

/// Whether the collection is no larger than a sample of it.
fn is_small(size: CollectionSize, documents: usize) -> bool {
    size.documents <= count(documents) && size.bytes <= SAMPLE_BYTES
}

/// How many of the documents a sample can hold, by their average size.
fn affordable(size: Option<CollectionSize>, documents: usize) -> usize {
    let Some(CollectionSize { documents: all, bytes }) = size else { return documents };
    let room = SAMPLE_BYTES.saturating_mul(all).checked_div(bytes).unwrap_or(u64::MAX);
    documents.min(usize::try_from(room).unwrap_or(usize::MAX).max(ENOUGH))
}

fn count(documents: usize) -> u64 {
    u64::try_from(documents).unwrap_or(u64::MAX)
}

fn to_i64(documents: usize) -> i64 {
    i64::try_from(documents).unwrap_or(i64::MAX)
}

/// So many that all fit one reply, if their bytes do: the server ends a reply at 16 MB.
fn together(documents: usize) -> u32 {
    // One more, so that the cursor is at its end with the first reply.
    u32::try_from(documents.saturating_add(1)).unwrap_or(REPLY_DOCUMENTS).min(i32::MAX.cast_unsigned())
}

/// The first documents by `_id`, or in any order.
async fn beginning(
    deployment: &Deployment,
    namespace: &Namespace,
    filter: &Filter,
    sort: Option<i32>,
    documents: usize,
) -> Result<Found, ExtractError> {
    let mut command = doc! { "find": &namespace.collection, "limit": to_i64(documents) };
    if let Some(query) = filter.document() {
        command.insert("filter", query);
    }
    if let Some(direction) = sort {
        command.insert("sort", doc! { "_id": direction });
    }
    read_some(deployment, namespace, command, together(documents), SAMPLE_BYTES_MAX, ENOUGH).await
}

/// At most `limit` documents of each part, all in one reply if that can hold them.
async fn read_parts(
    deployment: &Deployment,
    namespace: &Namespace,
    parts: &[Part],
    limit: usize,
    bytes_max: usize,
) -> Result<Found, ExtractError> {
    if parts.is_empty() {
        return Ok(Found { documents: Vec::new(), cut: false });
    }
    let command = parts::command(namespace, parts, to_i64(limit), false);
    let together = together(limit.saturating_mul(parts.len()));
    read_some(deployment, namespace, command, together, bytes_max, ENOUGH).await
}

/// Runs a command that returns a cursor, and reads all its documents, so many a reply.
pub(super) async fn read(
    deployment: &Deployment,
    namespace: &Namespace,
    command: Document,
    together: u32,
) -> Result<Vec<RawDocumentBuf>, ExtractError> {
    let found = read_some(deployment, namespace, command, together, usize::MAX, 0).await?;
    Ok(found.documents)
}

/// What a cursor gave.
struct Found {
    documents: Vec<RawDocumentBuf>,
    /// Whether there was more.
    cut: bool,
}

/// Reads documents until `bytes_max` is passed, but at least so many if there are.
async fn read_some(
    deployment: &Deployment,
    namespace: &Namespace,
    mut command: Document,
    together: u32,
    bytes_max: usize,
    documents_min: usize,
) -> Result<Found, ExtractError> {
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
            if bytes > bytes_max && found.len() >= documents_min {
                return Ok(Found { documents: found, cut: true });
            }
            bytes += document.as_bytes().len();
            found.push(document.to_owned());
        }
    }
    Ok(Found { documents: found, cut: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_holds_what_its_bytes_allow() {
        let size = |documents, bytes| Some(CollectionSize { documents, bytes });
        assert_eq!(affordable(size(1_000_000, 288_000_000), 10_000), 10_000);
        assert_eq!(affordable(size(1_000_000, 2_880_000_000), 10_000), 2184);
        assert_eq!(affordable(size(300, 300 << 20), 10_000), 6);
        assert_eq!(affordable(size(30, 30 * (16 << 20)), 10_000), 3);
        assert_eq!(affordable(size(30, 30 * (16 << 20)), 1), 1);
        assert_eq!(affordable(size(0, 0), 10_000), 10_000);
        assert_eq!(affordable(None, 10_000), 10_000);
    }

    #[test]
    fn documents_are_taken_once_and_no_more_than_wanted() {
        let document = |id: i32| rawdoc! { "_id": id };
        let mut sample = Sample::default();
        sample.extend([1, 2, 1, 3, 4].map(document).to_vec(), 3);
        assert_eq!(sample.documents, [1, 2, 3].map(document));
        let place = |id: Bson| sample.place(&id);
        assert_eq!([1, 3, 4].map(Bson::Int32).map(place), [Some(0), Some(3), None]);
        assert_eq!(place(Bson::Int64(3)), None);
    }
}
