//! The smallest and the largest `_id`, and what types they are: look-ups in its index.

use bson::{RawBson, doc};

use super::Deployment;
use super::sample::{REPLY_DOCUMENTS, read};
use crate::batch::document_id;
use crate::{ExtractError, IdTypes, Namespace};

pub(super) async fn id_types(
    deployment: &Deployment,
    namespace: &Namespace,
) -> Result<Option<IdTypes>, ExtractError> {
    if !deployment.collection(namespace).await?.kind.has_id_index() {
        return Ok(None);
    }
    let smallest = end(deployment, namespace, 1).await?;
    let largest = end(deployment, namespace, -1).await?;
    Ok(smallest.zip(largest).map(|(smallest, largest)| IdTypes {
        smallest: smallest.element_type(),
        largest: largest.element_type(),
    }))
}

/// The largest `_id`.
pub(super) async fn max_id(
    deployment: &Deployment,
    namespace: &Namespace,
) -> Result<Option<RawBson>, ExtractError> {
    if !deployment.collection(namespace).await?.kind.has_id_index() {
        return Ok(None);
    }
    end(deployment, namespace, -1).await
}

async fn end(
    deployment: &Deployment,
    namespace: &Namespace,
    direction: i32,
) -> Result<Option<RawBson>, ExtractError> {
    let command = doc! {
        "find": &namespace.collection,
        "sort": { "_id": direction },
        "projection": { "_id": 1 },
        "limit": 1,
        "singleBatch": true,
    };
    let found = read(deployment, namespace, command, REPLY_DOCUMENTS, usize::MAX).await?;
    Ok(found.first().and_then(|document| document_id(document.as_bytes())).map(RawBson::from))
}
