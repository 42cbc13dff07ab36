//! Whether the server can judge a query, and about how many documents match it.

use bson::{Document, doc};

use super::filter::Filter;
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

/// Asks the server whether it can judge the query. It reads no document: no `_id` is one of none.
pub(super) async fn check(
    deployment: &Deployment,
    namespace: &Namespace,
    filter: &Filter,
) -> Result<(), ExtractError> {
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
    fn parts_of_a_whole_are_exact_at_both_ends() {
        assert_eq!((share(u64::MAX, 1_001, 1_001), share(1_001_000, 1, 1_001)), (u64::MAX, 1_000));
    }
}
