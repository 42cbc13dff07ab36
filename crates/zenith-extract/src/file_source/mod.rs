//! Files as `mongodump` writes them behind the trait [`Source`]: one `.bson` or `.bson.gz`, or a folder of them.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`layout`] | which collections a file or a folder holds, and where |
//! | [`metadata`] | what `<collection>.metadata.json` says |
//! | [`input`] | the bytes of a file, unpacked |
//! | [`pieces`] | bytes → whole documents, and what is wrong where there is none |
//! | [`survey`] | one pass over a file: its number of documents, its sample, places to divide it at |
//! | [`spread`] | some of many things, spread evenly |
//! | [`parts`] | which bytes of a file a partition is |
//! | [`reader`] | the batches of a partition |
//!
//! A file is read twice. The first pass, the survey, is made by [`Source::preflight`]. Only a pass that has seen
//! every length knows the number of documents, where they begin, the types of their `_id`s, and that the file is
//! whole; so damage is reported before anything is written. The same pass takes the sample, which spares compressed
//! files, which have no random access, a third pass. The second pass reads the documents straight into the pool:
//! plain files in concurrent parts, compressed ones in one.
//!
//! Documents come in the order of the file, and this order stands for that of `_id`: `mongodump` writes the order of
//! storage. A range of `_id` is the part of the file between the documents that have its bounds, which are found by
//! equality.

mod input;
mod layout;
mod metadata;
mod parts;
mod pieces;
mod reader;
mod spread;
mod survey;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bson::{RawBson, RawDocument, RawDocumentBuf};

use crate::{
    CollectionInfo, CollectionKind, CollectionSize, ExtractError, IdTypes, Namespace, Partition,
    PartitionBounds, PartitionStrategy, ReadOptions, Source, SourceInfo, Topology,
};
use layout::Layout;
use parts::Span;
use survey::Survey;

pub use reader::FileReader;

/// Documents a survey keeps for a sample unless more are asked for; as many as the engine asks for by default.
const SAMPLE: usize = 10_000;

/// A dump: one file, or a folder of files. Clones share what is known about them.
#[derive(Clone, Debug)]
pub struct FileSource {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    layout: Layout,
    surveys: Mutex<HashMap<Namespace, Arc<Survey>>>,
}

impl FileSource {
    /// Whether a path names a dump: a folder, or a file whose name ends in `.bson` or `.bson.gz`.
    #[must_use]
    pub fn is_dump(path: &Path) -> bool {
        layout::is_data(path) || path.is_dir()
    }

    /// Looks which collections a file or a folder holds. Documents are not read yet.
    ///
    /// # Errors
    /// [`ExtractError::File`] if the path cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<FileSource, ExtractError> {
        let layout = Layout::of(path.as_ref())?;
        Ok(FileSource { shared: Arc::new(Shared { layout, surveys: Mutex::default() }) })
    }

    /// The same with another name for the collection of a single file. In a folder each keeps its own.
    #[must_use]
    pub fn named(self, collection: &str) -> FileSource {
        let layout = self.shared.layout.clone().named(collection);
        FileSource { shared: Arc::new(Shared { layout, surveys: Mutex::default() }) }
    }

    /// The collections that are there. Not all of them have documents: a view has none.
    pub fn collections(&self) -> impl Iterator<Item = &Namespace> {
        self.shared.layout.collections()
    }

    /// The collection of a single file.
    #[must_use]
    pub fn single(&self) -> Option<&Namespace> {
        self.shared.layout.single()
    }

    /// The collection of a name, with its database or without.
    ///
    /// # Errors
    /// [`ExtractError::NoSuchCollection`], and [`ExtractError::Dump`] if several databases have a collection of this name.
    pub fn find(&self, collection: &str) -> Result<Namespace, ExtractError> {
        self.shared.layout.find(collection)
    }

    /// What a collection was when it was dumped. Only of plain and capped collections a dump has documents that can be read.
    ///
    /// # Errors
    /// [`ExtractError::NoSuchCollection`], and [`ExtractError::Dump`] for metadata that cannot be read.
    pub fn kind(&self, namespace: &Namespace) -> Result<CollectionKind, ExtractError> {
        self.shared.layout.kind(namespace)
    }

    /// The length of the file of a collection.
    #[must_use]
    pub fn file_bytes(&self, namespace: &Namespace) -> Option<u64> {
        let file = self.shared.layout.file(namespace).ok()?;
        std::fs::metadata(&file.path).ok().map(|found| found.len())
    }

    /// The same dump, which keeps what it learns about its files to itself: it is forgotten with this one.
    #[must_use]
    pub fn apart(&self) -> FileSource {
        let layout = self.shared.layout.clone();
        FileSource { shared: Arc::new(Shared { layout, surveys: Mutex::default() }) }
    }

    /// What the survey of a collection has found; created again if the file has changed since, or is to give a larger sample.
    async fn survey(&self, namespace: &Namespace, sample: usize) -> Result<Arc<Survey>, ExtractError> {
        let file = self.shared.layout.file(namespace)?;
        let known = self.surveys().get(namespace).cloned();
        if let Some(known) = known
            && known.is_of(&file)?
            && known.has_sample_of(sample)
        {
            return Ok(known);
        }
        let survey = Arc::new(survey::survey(namespace, file, sample.max(SAMPLE)).await?);
        self.surveys().insert(namespace.clone(), Arc::clone(&survey));
        Ok(survey)
    }

    fn surveys(&self) -> std::sync::MutexGuard<'_, HashMap<Namespace, Arc<Survey>>> {
        // Each change is one insert, so a panic elsewhere leaves the map as it should be.
        self.shared.surveys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for FileSource {
    type Reader = FileReader;

    fn filtered(&self, _: &RawDocument) -> Result<FileSource, ExtractError> {
        let reason = "a dump has no server that could tell which documents a query matches: restore it into a MongoDB and \
                      copy from there, or leave the filter out";
        Err(ExtractError::Filter { reason: reason.to_owned() })
    }

    async fn preflight(&self, namespace: &Namespace) -> Result<SourceInfo, ExtractError> {
        let metadata = self.shared.layout.metadata(namespace)?;
        let survey = self.survey(namespace, SAMPLE).await?;
        Ok(SourceInfo {
            server_version: String::new(),
            topology: Topology::Files,
            cluster_time: None,
            collection: CollectionInfo {
                kind: if metadata.capped { CollectionKind::Capped } else { CollectionKind::Collection },
                size: Some(CollectionSize { documents: survey.documents, bytes: survey.bytes }),
                uuid: metadata.uuid,
                pre_and_post_images: metadata.pre_and_post_images,
            },
        })
    }

    async fn sample(
        &self,
        namespace: &Namespace,
        documents: usize,
    ) -> Result<Vec<RawDocumentBuf>, ExtractError> {
        Ok(self.survey(namespace, documents).await?.sample(documents))
    }

    async fn id_types(&self, namespace: &Namespace) -> Result<Option<IdTypes>, ExtractError> {
        Ok(self.survey(namespace, 0).await?.id_types)
    }

    async fn max_id(&self, namespace: &Namespace) -> Result<Option<RawBson>, ExtractError> {
        Ok(self.survey(namespace, 0).await?.last_id.clone())
    }

    async fn partitions(
        &self,
        namespace: &Namespace,
        desired: usize,
        strategy: PartitionStrategy,
    ) -> Result<Vec<Partition>, ExtractError> {
        let survey = self.survey(namespace, 0).await?;
        let partition = |bounds| Partition { namespace: namespace.clone(), bounds };
        Ok(parts::divide(&survey, desired, strategy).into_iter().map(partition).collect())
    }

    async fn open(&self, partition: &Partition, options: ReadOptions) -> Result<FileReader, ExtractError> {
        let namespace = &partition.namespace;
        let survey = self.survey(namespace, 0).await?;
        let file = self.shared.layout.file(namespace)?;
        let span = match &partition.bounds {
            PartitionBounds::Natural | PartitionBounds::Unordered => Span { start: 0, end: survey.bytes },
            PartitionBounds::Records(range) => parts::bytes_of(range, &survey)?,
            PartitionBounds::IdRange(range) => parts::locate(namespace, range, file.clone(), &survey).await?,
        };
        Ok(FileReader::new(namespace.clone(), file, span, options))
    }
}
