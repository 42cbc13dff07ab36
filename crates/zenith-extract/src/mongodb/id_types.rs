//! The smallest and the largest `_id`, and what types they are: look-ups in its index.

use bson::RawBson;

use super::Deployment;
use super::filter::Filter;
use super::parts::{ends, largest};
use crate::{ExtractError, IdTypes, Namespace};

pub(super) async fn id_types(
    deployment: &Deployment,
    namespace: &Namespace,
    filter: &Filter,
) -> Result<Option<IdTypes>, ExtractError> {
    if !deployment.collection(namespace).await?.kind.has_id_index() {
        return Ok(None);
    }
    let types = |(smallest, largest): (RawBson, RawBson)| IdTypes {
        smallest: smallest.element_type(),
        largest: largest.element_type(),
    };
    let all = ends(deployment, namespace, &Filter::default()).await?.map(types);
    if filter.raw().is_none() || all.is_none_or(|all| all.one_class()) {
        // The others are of this class as well, and the next document may be of any type of it.
        return Ok(all);
    }
    Ok(ends(deployment, namespace, filter).await?.map(types))
}

/// The largest `_id`.
pub(super) async fn max_id(
    deployment: &Deployment,
    namespace: &Namespace,
    filter: &Filter,
) -> Result<Option<RawBson>, ExtractError> {
    if !deployment.collection(namespace).await?.kind.has_id_index() {
        return Ok(None);
    }
    largest(deployment, namespace, filter).await
}
