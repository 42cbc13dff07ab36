//! Documents in memory behind the [`Source`] trait: for tests, examples and trying out what comes after reading.
//!
//! The order in which documents were given counts as the order of `_id`; bounds are found by equality, so a bound has to
//! be the `_id` of a document.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bson::{RawBson, RawBsonRef, RawDocumentBuf};

use crate::batch::{Memory, append_document, document_id};
use crate::{
    CollectionInfo, CollectionKind, CollectionSize, DocumentBatch, DocumentReader, ExtractError, IdBound,
    IdRange, IdTypes, Namespace, Partition, PartitionBounds, PartitionStrategy, Preflight, ReadOptions,
    Source, Topology,
};

/// The address that errors name.
const ADDRESS: &str = "memory";

/// Collections held in memory.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    collections: BTreeMap<Namespace, Arc<[RawDocumentBuf]>>,
}

impl MemorySource {
    /// A source without collections.
    #[must_use]
    pub fn new() -> MemorySource {
        MemorySource::default()
    }

    /// Adds a collection, or replaces it.
    #[must_use]
    pub fn with_collection(mut self, namespace: Namespace, documents: Vec<RawDocumentBuf>) -> MemorySource {
        self.collections.insert(namespace, documents.into());
        self
    }

    fn collection(&self, namespace: &Namespace) -> Result<&Arc<[RawDocumentBuf]>, ExtractError> {
        self.collections.get(namespace).ok_or_else(|| {
            let here = self.collections.keys().filter(|known| known.database == namespace.database);
            let known: Vec<String> = here.map(|known| known.collection.clone()).collect();
            let (address, namespace) = (ADDRESS.to_owned(), namespace.clone());
            if known.is_empty() {
                let known = self.collections.keys().map(|known| known.database.clone()).collect();
                return ExtractError::NoSuchDatabase { address, namespace, known };
            }
            ExtractError::NoSuchCollection { address, namespace, known }
        })
    }
}

impl Source for MemorySource {
    type Reader = MemoryReader;

    async fn preflight(&self, namespace: &Namespace) -> Result<Preflight, ExtractError> {
        let documents = self.collection(namespace)?;
        let bytes = documents.iter().map(|document| document.as_bytes().len()).sum::<usize>();
        let size = CollectionSize {
            documents: u64::try_from(documents.len()).unwrap_or(u64::MAX),
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        };
        Ok(Preflight {
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            topology: Topology::InMemory,
            cluster_time: None,
            collection: CollectionInfo {
                kind: CollectionKind::Collection,
                size: Some(size),
                uuid: None,
                pre_and_post_images: false,
            },
        })
    }

    async fn sample(
        &self,
        namespace: &Namespace,
        documents: usize,
    ) -> Result<Vec<RawDocumentBuf>, ExtractError> {
        let all = self.collection(namespace)?;
        // Evenly spread, which includes the first.
        let step = all.len().div_ceil(documents.max(1)).max(1);
        Ok(all.iter().step_by(step).cloned().collect())
    }

    async fn id_types(&self, namespace: &Namespace) -> Result<Option<IdTypes>, ExtractError> {
        let documents = self.collection(namespace)?;
        let kind =
            |document: Option<&RawDocumentBuf>| Some(document_id(document?.as_bytes())?.element_type());
        Ok(kind(documents.first())
            .zip(kind(documents.last()))
            .map(|(smallest, largest)| IdTypes { smallest, largest }))
    }

    async fn partitions(
        &self,
        namespace: &Namespace,
        desired: usize,
        strategy: PartitionStrategy,
    ) -> Result<Vec<Partition>, ExtractError> {
        let documents = self.collection(namespace)?;
        let partition = |bounds| Partition { namespace: namespace.clone(), bounds };
        if strategy == PartitionStrategy::Natural {
            return Ok(vec![partition(PartitionBounds::Natural)]);
        }
        let step = documents.len().div_ceil(desired.max(1)).max(1);
        let starts = documents.iter().step_by(step).skip(1);
        let boundaries =
            starts.filter_map(|document| document_id(document.as_bytes()).map(RawBson::from)).collect();
        Ok(IdRange::split_at(boundaries).into_iter().map(PartitionBounds::IdRange).map(partition).collect())
    }

    async fn open(&self, partition: &Partition, options: ReadOptions) -> Result<MemoryReader, ExtractError> {
        let documents = Arc::clone(self.collection(&partition.namespace)?);
        let rest = match &partition.bounds {
            PartitionBounds::Natural | PartitionBounds::Unordered => 0..documents.len(),
            PartitionBounds::IdRange(range) => positions(&documents, range)?,
        };
        Ok(MemoryReader { documents, rest, options })
    }
}

fn positions(documents: &[RawDocumentBuf], range: &IdRange) -> Result<Range<usize>, ExtractError> {
    let find = |value: &RawBson| -> Result<usize, ExtractError> {
        let same = |document: &RawDocumentBuf| {
            document_id(document.as_bytes()).is_some_and(|id: RawBsonRef<'_>| RawBson::from(id) == *value)
        };
        documents.iter().position(same).ok_or_else(|| ExtractError::InvalidPartition {
            reason: format!("no document in memory has the _id {value:?}"),
        })
    };
    let start = match &range.lower {
        IdBound::Unbounded => 0,
        IdBound::Included(value) => find(value)?,
        IdBound::Excluded(value) => find(value)? + 1,
    };
    let end = match &range.upper {
        IdBound::Unbounded => documents.len(),
        IdBound::Included(value) => find(value)? + 1,
        IdBound::Excluded(value) => find(value)?,
    };
    Ok(start..end.max(start))
}

/// The reader of a [`MemorySource`].
#[derive(Debug)]
pub struct MemoryReader {
    documents: Arc<[RawDocumentBuf]>,
    rest: Range<usize>,
    options: ReadOptions,
}

impl DocumentReader for MemoryReader {
    async fn next(&mut self) -> Result<Option<DocumentBatch>, ExtractError> {
        let mut bytes = vec![0; 4];
        let mut len = 0;
        for document in self.documents.get(self.rest.clone()).unwrap_or_default() {
            if len > 0 && bytes.len() + document.as_bytes().len() > self.options.batch_bytes {
                break;
            }
            append_document(&mut bytes, len, document.as_bytes());
            len += 1;
        }
        if len == 0 {
            return Ok(None);
        }
        bytes.push(0);
        let malformed = |reason: String| ExtractError::Protocol { address: ADDRESS.to_owned(), reason };
        let size = i32::try_from(bytes.len()).map_err(|error| malformed(error.to_string()))?;
        bytes[..4].copy_from_slice(&size.to_le_bytes());
        let share = self.options.landing.reserve(bytes.len()).await?;
        let array = 0..bytes.len();
        let batch = DocumentBatch::new(Memory::Heap { bytes, _share: share }, array)
            .map_err(|error| malformed(error.to_string()))?;
        self.rest.start += len;
        Ok(Some(batch))
    }
}
