//! Documents in memory behind the traits [`Source`] and [`crate::ChangeSource`]: for tests, examples and trying out what
//! comes after reading.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`state`] | the collections and the log of their changes |
//! | [`changes`] | the stream of that log |
//! | [`event`] | a change as the event MongoDB would send |
//! | [`filter`] | which documents a query matches |
//!
//! The order in which documents were given counts as the order of `_id`; bounds are found by equality, so a bound has to
//! be the `_id` of a document.

mod changes;
mod event;
mod filter;
mod state;

use std::ops::Range;
use std::sync::Arc;

use bson::{RawBson, RawBsonRef, RawDocument, RawDocumentBuf};

use crate::batch::{FramingError, Memory, array_of, document_id};
use crate::{
    CollectionInfo, CollectionKind, CollectionSize, DocumentBatch, DocumentReader, ExtractError, IdBound,
    IdRange, IdTypes, Namespace, Partition, PartitionBounds, PartitionStrategy, ReadOptions, RecordRange,
    ReplyBudget, Source, SourceInfo, Topology,
};

/// The address that errors name.
const ADDRESS: &str = "memory";

pub use changes::MemoryChanges;
pub use state::{MemoryChange, MemorySource};

impl Source for MemorySource {
    type Reader = MemoryReader;

    fn filtered(&self, query: &RawDocument) -> Result<MemorySource, ExtractError> {
        self.and(query)
    }

    async fn preflight(&self, namespace: &Namespace) -> Result<SourceInfo, ExtractError> {
        let documents = self.collection(namespace)?;
        let bytes = documents.iter().map(|document| document.as_bytes().len()).sum::<usize>();
        let size = CollectionSize {
            documents: u64::try_from(documents.len()).unwrap_or(u64::MAX),
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        };
        Ok(SourceInfo {
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            topology: Topology::InMemory,
            cluster_time: Some(self.latest()),
            collection: CollectionInfo {
                kind: CollectionKind::Collection,
                size: Some(size),
                uuid: None,
                pre_and_post_images: self.keeps_images(namespace),
            },
        })
    }

    async fn sample(
        &self,
        namespace: &Namespace,
        documents: usize,
    ) -> Result<Vec<RawDocumentBuf>, ExtractError> {
        let all = self.collection(namespace)?;
        let wanted = documents.min(all.len());
        // Evenly spread, from the first to the last.
        let place = |number| number * (all.len() - 1) / (wanted - 1).max(1);
        Ok((0..wanted).filter_map(|number| all.get(place(number)).cloned()).collect())
    }

    async fn id_types(&self, namespace: &Namespace) -> Result<Option<IdTypes>, ExtractError> {
        let documents = self.collection(namespace)?;
        let kind =
            |document: Option<&RawDocumentBuf>| Some(document_id(document?.as_bytes())?.element_type());
        Ok(kind(documents.first())
            .zip(kind(documents.last()))
            .map(|(smallest, largest)| IdTypes { smallest, largest }))
    }

    async fn max_id(&self, namespace: &Namespace) -> Result<Option<RawBson>, ExtractError> {
        let documents = self.collection(namespace)?;
        Ok(documents.last().and_then(|document| document_id(document.as_bytes())).map(RawBson::from))
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
            if desired <= 1 || documents.is_empty() {
                return Ok(vec![partition(PartitionBounds::Natural)]);
            }
            // The first record is 1.
            let ends = (1..desired).filter_map(|part| i64::try_from(documents.len() * part / desired).ok());
            let ranges = RecordRange::split_at(ADDRESS, ends.collect());
            return Ok(ranges.into_iter().map(PartitionBounds::Records).map(partition).collect());
        }
        let step = documents.len().div_ceil(desired.max(1)).max(1);
        let starts = documents.iter().step_by(step).skip(1);
        let boundaries =
            starts.filter_map(|document| document_id(document.as_bytes()).map(RawBson::from)).collect();
        Ok(IdRange::split_at(boundaries).into_iter().map(PartitionBounds::IdRange).map(partition).collect())
    }

    async fn open(&self, partition: &Partition, options: ReadOptions) -> Result<MemoryReader, ExtractError> {
        let documents = self.collection(&partition.namespace)?;
        let rest = match &partition.bounds {
            PartitionBounds::Natural | PartitionBounds::Unordered => 0..documents.len(),
            PartitionBounds::Records(range) => {
                let place = |record: Option<i64>| record.and_then(|record| usize::try_from(record).ok());
                let until = place(range.until).map_or(documents.len(), |until| until.min(documents.len()));
                place(range.after).unwrap_or(0).min(until)..until
            }
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
    documents: Arc<Vec<RawDocumentBuf>>,
    rest: Range<usize>,
    options: ReadOptions,
}

impl DocumentReader for MemoryReader {
    async fn next(&mut self) -> Result<Option<DocumentBatch>, ExtractError> {
        let left = self.documents.get(self.rest.clone()).unwrap_or_default();
        let mut bytes = 0;
        let taken = left.iter().enumerate().take_while(|(index, document)| {
            bytes += document.as_bytes().len();
            *index == 0 || bytes <= self.options.batch_bytes
        });
        let documents: Vec<&[u8]> = taken.map(|(_, document)| document.as_bytes()).collect();
        if documents.is_empty() {
            return Ok(None);
        }
        let len = documents.len();
        let batch = batch(documents, &self.options.reply_budget).await?;
        self.rest.start += len;
        Ok(Some(batch))
    }
}

/// A batch of these documents, accounted for as one that has landed.
async fn batch(documents: Vec<&[u8]>, reply_budget: &ReplyBudget) -> Result<DocumentBatch, ExtractError> {
    let malformed = |error: FramingError| ExtractError::Protocol {
        address: ADDRESS.to_owned(),
        reason: error.to_string(),
    };
    let bytes = array_of(documents).map_err(malformed)?;
    let share = reply_budget.reserve(bytes.len()).await?;
    let array = 0..bytes.len();
    DocumentBatch::new(Memory::Heap { bytes, _share: share }, array).map_err(malformed)
}
