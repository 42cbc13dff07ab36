//! A part of a collection that is read on its own, and how it is encoded.
//!
//! Bounds are values of `_id` in BSON order, which runs across types. Only `min`/`max` over the `_id` index follow it;
//! comparison filters (`$gte`, `$lt`) stay inside one type and would lose documents.

use bson::raw::{CStr, cstr};
use bson::{RawBson, RawBsonRef, RawDocument, RawDocumentBuf};

use crate::{ExtractError, Namespace};

/// How a collection is to be divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PartitionStrategy {
    /// The order of storage, which is the cheapest for the server: one scan of everything, or several concurrent ones
    /// where it can be asked for a part. Such partitions are for a reading that begins now.
    Natural,
    /// Ranges of `_id`: they can be read concurrently, resumed after any document, and encoded.
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
    /// Those between two records of one server, in its order of storage.
    Records(RecordRange),
    /// All, in any order the server chooses: for views and time series, which have no order of storage and no index.
    Unordered,
    /// Those whose `_id` lies between two bounds, by `_id`.
    IdRange(IdRange),
}

/// A part of the order of storage of one server, or of a file, whose records are numbered by the bytes they end with.
///
/// Members of a replica set number their records each for itself, so the numbers of one mean nothing to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRange {
    /// The server, by the name it has for itself.
    pub server: String,
    /// The record it begins after; `None` begins with the first.
    pub after: Option<i64>,
    /// The record it ends with; `None` means the last one.
    pub until: Option<i64>,
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

impl RecordRange {
    /// The ranges between the given records, which ascend and end the range before: all records, each in exactly one.
    #[must_use]
    pub fn split_at(server: &str, ends: Vec<i64>) -> Vec<RecordRange> {
        let afters = std::iter::once(None).chain(ends.iter().copied().map(Some));
        let untils = ends.iter().copied().map(Some).chain([None]);
        afters
            .zip(untils)
            .map(|(after, until)| RecordRange { server: server.to_owned(), after, until })
            .collect()
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

    /// Encodes the partition: a BSON document that [`Partition::decode`] reads.
    ///
    /// Bounds keep their exact type; the bytes may be stored and used by a later run.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("database"), self.namespace.database.as_str());
        document.append(cstr!("collection"), self.namespace.collection.as_str());
        let kind = match &self.bounds {
            PartitionBounds::Natural => NATURAL,
            PartitionBounds::Unordered => UNORDERED,
            PartitionBounds::Records(_) => RECORDS,
            PartitionBounds::IdRange(_) => ID_RANGE,
        };
        document.append(cstr!("bounds"), kind);
        if let PartitionBounds::IdRange(range) = &self.bounds {
            append_bound(&mut document, LOWER, &range.lower);
            append_bound(&mut document, UPPER, &range.upper);
        }
        if let PartitionBounds::Records(range) = &self.bounds {
            document.append(SERVER, range.server.as_str());
            document.append(AFTER, range.after.map_or(RawBson::Null, RawBson::Int64));
            document.append(UNTIL, range.until.map_or(RawBson::Null, RawBson::Int64));
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
            RECORDS => PartitionBounds::Records(RecordRange {
                server: text(SERVER.as_str())?.to_owned(),
                after: read_record(document, AFTER)?,
                until: read_record(document, UNTIL)?,
            }),
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
const RECORDS: &str = "records";
const ID_RANGE: &str = "idRange";
const SERVER: &CStr = cstr!("server");
const AFTER: &CStr = cstr!("after");
const UNTIL: &CStr = cstr!("until");
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

fn read_record(document: &RawDocument, key: &CStr) -> Result<Option<i64>, ExtractError> {
    let invalid = |reason: String| ExtractError::InvalidPartition { reason };
    match document.get(key.as_str()).map_err(|error| invalid(error.to_string()))? {
        Some(RawBsonRef::Null) => Ok(None),
        Some(RawBsonRef::Int64(record)) => Ok(Some(record)),
        _ => Err(invalid(format!("{} is no record", key.as_str()))),
    }
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
        let records =
            |after, until| PartitionBounds::Records(RecordRange { server: "a:1".to_owned(), after, until });
        for bounds in [
            PartitionBounds::Natural,
            PartitionBounds::Unordered,
            records(None, Some(7)),
            records(Some(7), None),
        ] {
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
