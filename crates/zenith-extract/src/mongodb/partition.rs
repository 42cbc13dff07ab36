//! Divides a collection: ranges of `_id` with about equal numbers of documents, or parts of the order of storage.
//!
//! Boundaries are the `_id`s of documents drawn at random, sorted by the server: only the server knows BSON order
//! with the collection's collation. Many are drawn for each one kept, which evens the ranges out.

use bson::{RawBson, doc};

use super::sample::{REPLY_DOCUMENTS, read};
use super::{Deployment, Transport, records};
use crate::batch::document_id;
use crate::{ExtractError, IdRange, Namespace, Partition, PartitionBounds, PartitionStrategy};

/// Documents drawn for each partition. The spread of a range's size is about one in the square root of this.
const DRAWN_PER_PARTITION: u64 = 64;
/// The most documents drawn, and the most bytes of them: `$sample` reads each in full.
const DRAWN_MAX: u64 = 4096;
const DRAWN_BYTES_MAX: u64 = 256 * 1024 * 1024;

pub(super) async fn partitions(
    deployment: &Deployment,
    transport: Transport,
    namespace: &Namespace,
    desired: usize,
    strategy: PartitionStrategy,
) -> Result<Vec<Partition>, ExtractError> {
    let collection = deployment.collection(namespace).await?;
    let kind = collection.kind;
    let partition = |bounds| Partition { namespace: namespace.clone(), bounds };
    if !kind.has_id_index() {
        return Ok(vec![partition(PartitionBounds::Unordered)]);
    }
    if strategy == PartitionStrategy::Natural {
        let ranges = match desired {
            0 | 1 => None,
            _ => records::ranges(deployment, transport, namespace, kind, desired).await?,
        };
        return Ok(match ranges {
            Some(ranges) if ranges.len() > 1 => {
                ranges.into_iter().map(PartitionBounds::Records).map(partition).collect()
            }
            _ => vec![partition(PartitionBounds::Natural)],
        });
    }
    let document_bytes = collection.size.and_then(|size| size.document_bytes_average()).unwrap_or_default();
    let drawn = match desired {
        0 | 1 => Vec::new(),
        _ => draw(deployment, namespace, draws(desired, document_bytes)).await?,
    };
    let boundaries = spread(drawn, desired);
    Ok(IdRange::split_at(boundaries).into_iter().map(PartitionBounds::IdRange).map(partition).collect())
}

/// How many documents to draw for `desired` partitions of documents of an average size.
fn draws(desired: usize, document_bytes: u64) -> i64 {
    let desired = u64::try_from(desired).unwrap_or(u64::MAX);
    let affordable = DRAWN_MAX.min(DRAWN_BYTES_MAX / document_bytes.max(1));
    let draws = desired.saturating_mul(DRAWN_PER_PARTITION).min(affordable).max(desired);
    i64::try_from(draws).unwrap_or(i64::MAX)
}

/// `_id`s of `size` documents drawn at random, ascending, each once.
async fn draw(
    deployment: &Deployment,
    namespace: &Namespace,
    size: i64,
) -> Result<Vec<RawBson>, ExtractError> {
    let command = doc! {
        "aggregate": &namespace.collection,
        "pipeline": [{ "$sample": { "size": size } }, { "$project": { "_id": 1 } }, { "$sort": { "_id": 1 } }],
        "cursor": {},
        "allowDiskUse": true,
    };
    let documents = read(deployment, namespace, command, REPLY_DOCUMENTS).await?;
    let mut ids: Vec<RawBson> =
        documents.iter().filter_map(|document| document_id(document.as_bytes())).map(RawBson::from).collect();
    // `$sample` may draw a document twice.
    ids.dedup();
    Ok(ids)
}

/// At most `desired` − 1 of the values, evenly spread.
fn spread(drawn: Vec<RawBson>, desired: usize) -> Vec<RawBson> {
    let len = drawn.len();
    let mut boundaries: Vec<RawBson> = Vec::new();
    // The first drawn would leave next to nothing below it.
    let places = (1..desired).map(|i| i * len / desired).filter(|&place| place > 0);
    let mut taken = 0;
    let mut drawn = drawn.into_iter().enumerate();
    for place in places {
        if place <= taken {
            continue;
        }
        taken = place;
        boundaries.extend(drawn.by_ref().find(|&(at, _)| at == place).map(|(_, id)| id));
    }
    boundaries
}

#[cfg(test)]
mod tests {
    use bson::RawBson;

    use super::{draws, spread};

    #[test]
    fn huge_documents_are_drawn_sparingly() {
        assert_eq!(draws(4, 288), 256);
        assert_eq!(draws(100, 288), 4096);
        assert_eq!(draws(4, 16 * 1024 * 1024), 16);
        assert_eq!(draws(40, 16 * 1024 * 1024), 40);
    }

    #[test]
    fn boundaries_are_spread_evenly_and_ascend() {
        let drawn = |n: i32| (0..n).map(RawBson::Int32).collect::<Vec<_>>();
        assert_eq!(spread(drawn(100), 4), [25, 50, 75].map(RawBson::Int32));
        assert_eq!(spread(drawn(3), 8), [1, 2].map(RawBson::Int32));
        assert_eq!(spread(drawn(1), 8), []);
        assert_eq!(spread(drawn(0), 8), []);
        assert_eq!(spread(drawn(50), 1), []);
    }
}
