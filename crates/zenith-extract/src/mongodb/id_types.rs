//! The smallest and the largest `_id`, and what types they are: look-ups in its index.

use bson::RawBson;

use super::Deployment;
use super::parts::ends;
use crate::{ExtractError, IdTypes, Namespace};

pub(super) async fn id_types(
    deployment: &Deployment,
    namespace: &Namespace,
) -> Result<Option<IdTypes>, ExtractError> {
    if !deployment.collection(namespace).await?.kind.has_id_index() {
        return Ok(None);
    }
    Ok(ends(deployment, namespace).await?.map(|(smallest, largest)| IdTypes {
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
    Ok(ends(deployment, namespace).await?.map(|(_, largest)| largest))
}
