//! A part of a collection that is read on its own, and how it is written down.
//!
//! Bounds are values of `_id` in BSON order, which runs across types. Only `min`/`max` over the `_id` index follow it;
//! comparison filters (`$gte`, `$lt`) stay inside one type and would lose documents.

use bson::raw::{CStr, cstr};
use bson::{RawBson, RawBsonRef, RawDocument, RawDocumentBuf};

use crate::{ExtractError, Namespace};

/// How a collection is to be divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PartitionStrategy {
    /// One scan of the whole collection in the order of storage: the cheapest, but it cannot be resumed.
    Natural,
    /// Ranges of `_id`: they can be read side by side and resumed after any document.
    #[default]
    IdRanges,
}

/// A part of a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct Partition {
    /// The collection.
    pub namespace: Namespace,
    /// Which of its documents.
    pub bounds: PartitionBounds,
}

/// Which documents a partition holds, and in which order they come.
#[derive(Clone, Debug, PartialEq)]
pub enum PartitionBounds {
    /// All, in the order of storage.
    Natural,
    /// All, in whatever order the server likes: for views and time series, which have no order of storage and no index.
    Unordered,
    /// Those whose `_id` lies between two bounds, by `_id`.
    IdRange(IdRange),
}

/// A range of `_id` in BSON order.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct IdRange {
    /// Where it begins.
    pub lower: IdBound,
    /// Where it ends.
    pub upper: IdBound,
}

/// One end of a range of `_id`.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum IdBound {
    /// No bound on this side. It is not the same as MinKey or MaxKey, which may be an `_id` themselves.
    #[default]
    Unbounded,
    /// Up to this value, and with it.
    Included(RawBson),
    /// Up to this value, without it.
    Excluded(RawBson),
}

impl IdRange {
    /// The ranges between the given boundaries, which ascend: all values, each in exactly one of them.
    #[must_use]
    pub fn split_at(boundaries: Vec<RawBson>) -> Vec<IdRange> {
        let mut lower = IdBound::Unbounded;
        let mut ranges = Vec::with_capacity(boundaries.len() + 1);
        for boundary in boundaries {
            let upper = IdBound::Excluded(boundary.clone());
            ranges.push(IdRange { lower: std::mem::replace(&mut lower, IdBound::Included(boundary)), upper });
        }
        ranges.push(IdRange { lower, upper: IdBound::Unbounded });
        ranges
    }
}

impl IdBound {
    /// The value, if there is one.
    #[must_use]
    pub fn value(&self) -> Option<&RawBson> {
        match self {
            IdBound::Unbounded => None,
            IdBound::Included(value) | IdBound::Excluded(value) => Some(value),
        }
    }
}

impl Partition {
    /// The documents with `lower` < `_id` ≤ `upper`: what one insert carried, when it has to be read again.
    #[must_use]
    pub fn between(namespace: Namespace, lower: Option<RawBson>, upper: Option<RawBson>) -> Partition {
        let range = IdRange {
            lower: lower.map_or(IdBound::Unbounded, IdBound::Excluded),
            upper: upper.map_or(IdBound::Unbounded, IdBound::Included),
        };
        Partition { namespace, bounds: PartitionBounds::IdRange(range) }
    }

    /// What is left of this partition after the document with this `_id`, or `None` if it cannot be resumed.
    #[must_use]
    pub fn after(&self, last_id: RawBson) -> Option<Partition> {
        let PartitionBounds::IdRange(range) = &self.bounds else { return None };
        let range = IdRange { lower: IdBound::Excluded(last_id), upper: range.upper.clone() };
        Some(Partition { namespace: self.namespace.clone(), bounds: PartitionBounds::IdRange(range) })
    }

    /// Whether [`Partition::after`] gives what is left.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        matches!(self.bounds, PartitionBounds::IdRange(_))
    }

    /// Writes the partition down: a BSON document that [`Partition::decode`] reads.
    ///
    /// Bounds keep their exact type, so the bytes may be stored and used by a later run.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("database"), self.namespace.database.as_str());
        document.append(cstr!("collection"), self.namespace.collection.as_str());
        let kind = match &self.bounds {
            PartitionBounds::Natural => NATURAL,
            PartitionBounds::Unordered => UNORDERED,
            PartitionBounds::IdRange(_) => ID_RANGE,
        };
        document.append(cstr!("bounds"), kind);
        if let PartitionBounds::IdRange(range) = &self.bounds {
            append_bound(&mut document, LOWER, &range.lower);
            append_bound(&mut document, UPPER, &range.upper);
        }
        document.into_bytes()
    }

    /// Reads what [`Partition::encode`] wrote.
    ///
    /// # Errors
    /// [`ExtractError::InvalidPartition`] for any other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Partition, ExtractError> {
        let invalid = |reason: String| ExtractError::InvalidPartition { reason };
        let document = RawDocument::from_bytes(bytes).map_err(|error| invalid(error.to_string()))?;
        let text = |key: &str| document.get_str(key).map_err(|error| invalid(error.to_string()));
        let namespace = Namespace::new(text("database")?, text("collection")?);
        let bounds = match text("bounds")? {
            NATURAL => PartitionBounds::Natural,
            UNORDERED => PartitionBounds::Unordered,
            ID_RANGE => PartitionBounds::IdRange(IdRange {
                lower: read_bound(document, LOWER)?,
                upper: read_bound(document, UPPER)?,
            }),
            other => return Err(invalid(format!("unknown bounds {other:?}"))),
        };
        Ok(Partition { namespace, bounds })
    }
}

const NATURAL: &str = "natural";
const UNORDERED: &str = "unordered";
const ID_RANGE: &str = "idRange";
const LOWER: &CStr = cstr!("lower");
const UPPER: &CStr = cstr!("upper");
const INCLUDED: &CStr = cstr!("included");
const EXCLUDED: &CStr = cstr!("excluded");

fn append_bound(document: &mut RawDocumentBuf, key: &'static CStr, bound: &IdBound) {
    let mut inner = RawDocumentBuf::new();
    match bound {
        IdBound::Unbounded => {}
        IdBound::Included(value) => inner.append(INCLUDED, value.as_raw_bson_ref()),
        IdBound::Excluded(value) => inner.append(EXCLUDED, value.as_raw_bson_ref()),
    }
    document.append(key, inner);
}

fn read_bound(document: &RawDocument, key: &CStr) -> Result<IdBound, ExtractError> {
    let invalid = |reason: String| ExtractError::InvalidPartition { reason };
    let inner = document.get_document(key.as_str()).map_err(|error| invalid(error.to_string()))?;
    let value = |name: &CStr| -> Result<Option<RawBson>, ExtractError> {
        Ok(inner.get(name.as_str()).map_err(|error| invalid(error.to_string()))?.map(RawBsonRef::into))
    };
    Ok(match (value(INCLUDED)?, value(EXCLUDED)?) {
        (None, None) => IdBound::Unbounded,
        (Some(value), None) => IdBound::Included(value),
        (None, Some(value)) => IdBound::Excluded(value),
        (Some(_), Some(_)) => return Err(invalid(format!("two values for the {} bound", key.as_str()))),
    })
}

#[cfg(test)]
mod tests {
    use bson::{RawBson, rawdoc};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_come_back_with_their_exact_type() {
        let namespace = Namespace::new("shop", "orders.2024");
        for id in [
            RawBson::Int32(1),
            RawBson::Int64(1),
            RawBson::Double(f64::NEG_INFINITY),
            RawBson::MinKey,
            RawBson::MaxKey,
            RawBson::Null,
            RawBson::Document(rawdoc! { "a": { "b": 1 } }),
            RawBson::String("a\0b".to_owned()),
        ] {
            let partition = Partition::between(namespace.clone(), Some(id.clone()), Some(id.clone()));
            assert_eq!(Partition::decode(&partition.encode()).unwrap(), partition);
            let rest = partition.after(RawBson::Int32(7)).unwrap();
            assert_eq!(Partition::decode(&rest.encode()).unwrap(), rest);
        }
        for bounds in [PartitionBounds::Natural, PartitionBounds::Unordered] {
            let partition = Partition { namespace: namespace.clone(), bounds };
            assert_eq!(Partition::decode(&partition.encode()).unwrap(), partition);
            assert_eq!(partition.after(RawBson::Null), None);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Partition::decode(&bytes);
        }
    }
}
