//! The query that documents of a source have to match, in the commands that read them.

use std::sync::Arc;

use bson::raw::cstr;
use bson::{Document, RawDocument, RawDocumentBuf, doc, rawdoc};

use super::sample::{REPLY_DOCUMENTS, read};
use super::{Deployment, preflight};
use crate::{CollectionSize, ExtractError, Namespace};

/// Up to so many documents, and bytes of them, are counted rather than estimated: that takes the server some 50 ms.
const COUNTED_MAX: u64 = 100_000;
const COUNTED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Documents drawn for an estimate.
const DRAWN: u64 = 1_000;
/// Of no more than one in so many the server draws by a random cursor; else it reads all of them.
const DRAWN_OF: u64 = 21;

/// Which documents are read: all, or those that a query matches.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter(Option<Arc<Query>>);

#[derive(Debug)]
struct Query {
    raw: RawDocumentBuf,
    /// The same for commands that are not built raw.
    document: Document,
}

impl Filter {
    /// With one more query.
    pub(super) fn with(&self, query: &RawDocument) -> Result<Filter, ExtractError> {
        let raw = self.and(query.to_owned());
        let document = Document::try_from(&*raw)
            .map_err(|error| ExtractError::Filter { reason: format!("it is no BSON: {error}") })?;
        Ok(Filter(Some(Arc::new(Query { raw, document }))))
    }

    pub(super) fn raw(&self) -> Option<&RawDocument> {
        self.0.as_deref().map(|query| &*query.raw)
    }

    pub(super) fn document(&self) -> Option<&Document> {
        self.0.as_deref().map(|query| &query.document)
    }

    /// What matches a condition and this.
    pub(super) fn and(&self, condition: RawDocumentBuf) -> RawDocumentBuf {
        match self.raw() {
            None => condition,
            Some(query) => rawdoc! { "$and": [condition, query.to_owned()] },
        }
    }

    /// The same of a condition that is not raw.
    pub(super) fn and_document(&self, condition: Document) -> Document {
        match self.document() {
            None => condition,
            Some(query) => doc! { "$and": [condition, query.clone()] },
        }
    }

    /// Has a command that has no filter read only what matches.
    pub(super) fn add_to(&self, command: &mut RawDocumentBuf) {
        if let Some(query) = self.raw() {
            command.append(cstr!("filter"), query);
        }
    }
}

/// Asks the server whether it can judge the query. It reads no document: no `_id` is one of none.
pub(super) async fn check(
    deployment: &Deployment,
    namespace: &Namespace,
    filter: &Filter,
) -> Result<(), ExtractError> {
    if filter.raw().is_none() {
        return Ok(());
    }
    let command = doc! {
        "find": &namespace.collection,
        "filter": filter.and_document(doc! { "_id": { "$in": [] } }),
        "limit": 1,
        "singleBatch": true,
    };
    match read(deployment, namespace, command, REPLY_DOCUMENTS).await {
        Ok(_) => Ok(()),
        // The same command without the query has just been answered.
        Err(error @ ExtractError::Server { .. }) if error.is_transient() => Err(error),
        Err(ExtractError::Server { code, code_name, message, .. }) => {
            let reason = format!("MongoDB refuses it for {namespace}: {message} ({code_name}, code {code})");
            Err(ExtractError::Filter { reason })
        }
        Err(error) => Err(error),
    }
}

/// About how much of a collection matches: counted where it is small, else by some documents that are drawn; `None` where
/// that cannot be told.
pub(super) async fn size(
    deployment: &Deployment,
    namespace: &Namespace,
    filter: &Filter,
    whole: CollectionSize,
) -> Option<CollectionSize> {
    let query = filter.document()?;
    let documents = if whole.documents <= COUNTED_MAX && whole.bytes <= COUNTED_BYTES_MAX {
        matching(deployment, namespace, vec![doc! { "$match": query }]).await?.min(whole.documents)
    } else {
        let affordable = COUNTED_BYTES_MAX / whole.document_bytes_average()?.max(1);
        let drawn = DRAWN.min(whole.documents / DRAWN_OF).min(affordable);
        if drawn == 0 {
            return None;
        }
        let draw = doc! { "$sample": { "size": i64::try_from(drawn).ok()? } };
        let found = matching(deployment, namespace, vec![draw, doc! { "$match": query }]).await?;
        // None of those drawn does not mean none at all.
        share(whole.documents, found.min(drawn) + 1, drawn + 1)
    };
    Some(CollectionSize { documents, bytes: share(whole.bytes, documents, whole.documents.max(1)) })
}

/// So many parts of a whole.
fn share(whole: u64, parts: u64, of: u64) -> u64 {
    u64::try_from(u128::from(whole) * u128::from(parts) / u128::from(of)).unwrap_or(whole)
}

/// How many documents come out of some stages.
async fn matching(deployment: &Deployment, namespace: &Namespace, stages: Vec<Document>) -> Option<u64> {
    let mut pipeline = stages;
    pipeline.push(doc! { "$count": "documents" });
    let command = doc! { "aggregate": &namespace.collection, "pipeline": pipeline, "cursor": {} };
    match deployment.command(&namespace.database, command, "count the documents that match").await {
        // Of none there is no count.
        Ok(reply) => {
            let found = preflight::first_batch(&reply);
            found.first().map_or(Some(0), |found| preflight::unsigned(found.get("documents")))
        }
        Err(error) => {
            tracing::debug!(%namespace, %error, "how many documents match is not known");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_joined() {
        let one = Filter::default().with(&rawdoc! { "a": 1 }).unwrap();
        assert_eq!(one.raw(), Some(&*rawdoc! { "a": 1 }));
        let both = one.with(&rawdoc! { "b": { "$gt": 2 } }).unwrap();
        assert_eq!(both.document(), Some(&doc! { "$and": [{ "b": { "$gt": 2 } }, { "a": 1 }] }));
        assert_eq!(one.and(rawdoc! { "_id": 5 }), rawdoc! { "$and": [{ "_id": 5 }, { "a": 1 }] });
        assert_eq!(Filter::default().and(rawdoc! { "_id": 5 }), rawdoc! { "_id": 5 });
    }

    #[test]
    fn parts_of_a_whole_are_exact_at_both_ends() {
        assert_eq!((share(u64::MAX, 1_001, 1_001), share(1_001_000, 1, 1_001)), (u64::MAX, 1_000));
    }
}
