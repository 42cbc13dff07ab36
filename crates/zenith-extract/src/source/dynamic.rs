//! Any source behind one type.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bson::{RawBson, RawDocument, RawDocumentBuf};

use super::dynamic_changes::ErasedChangeSource;
use super::{ChangeSource, DocumentReader, ReadOptions, Source, SourceInfo};
use crate::{DocumentBatch, ExtractError, IdTypes, Namespace, Partition, PartitionStrategy};

pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, ExtractError>> + Send + 'a>>;

/// A source whose type was forgotten; it is a [`Source`] and a [`ChangeSource`] itself. Clones share it.
#[derive(Clone)]
pub struct DynSource {
    pub(super) inner: Arc<dyn Erased>,
}

impl DynSource {
    /// Forgets the type of `source`.
    pub fn new(source: impl Source + ChangeSource) -> DynSource {
        DynSource { inner: Arc::new(source) }
    }
}

impl fmt::Debug for DynSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DynSource")
    }
}

/// The reader of a [`DynSource`].
pub struct DynReader {
    inner: Box<dyn ErasedReader>,
}

impl fmt::Debug for DynReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DynReader")
    }
}

/// Both twins in one.
pub(super) trait Erased: ErasedSource + ErasedChangeSource {
    fn filtered(&self, query: &RawDocument) -> Result<DynSource, ExtractError>;
    fn is_local(&self) -> bool;
}

impl<S: Source + ChangeSource> Erased for S {
    fn filtered(&self, query: &RawDocument) -> Result<DynSource, ExtractError> {
        Source::filtered(self, query).map(DynSource::new)
    }

    fn is_local(&self) -> bool {
        Source::is_local(self)
    }
}

/// The object-safe twin of [`Source`], implemented for all of them.
pub(super) trait ErasedSource: Send + Sync {
    fn preflight<'a>(&'a self, namespace: &'a Namespace) -> BoxFuture<'a, SourceInfo>;
    fn sample<'a>(&'a self, namespace: &'a Namespace, documents: usize)
    -> BoxFuture<'a, Vec<RawDocumentBuf>>;
    fn id_types<'a>(&'a self, namespace: &'a Namespace) -> BoxFuture<'a, Option<IdTypes>>;
    fn max_id<'a>(&'a self, namespace: &'a Namespace) -> BoxFuture<'a, Option<RawBson>>;
    fn partitions<'a>(
        &'a self,
        namespace: &'a Namespace,
        desired: usize,
        strategy: PartitionStrategy,
    ) -> BoxFuture<'a, Vec<Partition>>;
    fn open<'a>(&'a self, partition: &'a Partition, options: ReadOptions) -> BoxFuture<'a, DynReader>;
}

impl<S: Source> ErasedSource for S {
    fn preflight<'a>(&'a self, namespace: &'a Namespace) -> BoxFuture<'a, SourceInfo> {
        Box::pin(Source::preflight(self, namespace))
    }

    fn sample<'a>(
        &'a self,
        namespace: &'a Namespace,
        documents: usize,
    ) -> BoxFuture<'a, Vec<RawDocumentBuf>> {
        Box::pin(Source::sample(self, namespace, documents))
    }

    fn id_types<'a>(&'a self, namespace: &'a Namespace) -> BoxFuture<'a, Option<IdTypes>> {
        Box::pin(Source::id_types(self, namespace))
    }

    fn max_id<'a>(&'a self, namespace: &'a Namespace) -> BoxFuture<'a, Option<RawBson>> {
        Box::pin(Source::max_id(self, namespace))
    }

    fn partitions<'a>(
        &'a self,
        namespace: &'a Namespace,
        desired: usize,
        strategy: PartitionStrategy,
    ) -> BoxFuture<'a, Vec<Partition>> {
        Box::pin(Source::partitions(self, namespace, desired, strategy))
    }

    fn open<'a>(&'a self, partition: &'a Partition, options: ReadOptions) -> BoxFuture<'a, DynReader> {
        Box::pin(async move {
            let reader = Source::open(self, partition, options).await?;
            Ok(DynReader { inner: Box::new(reader) })
        })
    }
}

trait ErasedReader: Send {
    fn next(&mut self) -> BoxFuture<'_, Option<DocumentBatch>>;
}

impl<R: DocumentReader> ErasedReader for R {
    fn next(&mut self) -> BoxFuture<'_, Option<DocumentBatch>> {
        Box::pin(DocumentReader::next(self))
    }
}

impl Source for DynSource {
    type Reader = DynReader;

    fn filtered(&self, query: &RawDocument) -> Result<DynSource, ExtractError> {
        self.inner.filtered(query)
    }

    fn is_local(&self) -> bool {
        self.inner.is_local()
    }

    async fn preflight(&self, namespace: &Namespace) -> Result<SourceInfo, ExtractError> {
        self.inner.preflight(namespace).await
    }

    async fn sample(
        &self,
        namespace: &Namespace,
        documents: usize,
    ) -> Result<Vec<RawDocumentBuf>, ExtractError> {
        self.inner.sample(namespace, documents).await
    }

    async fn id_types(&self, namespace: &Namespace) -> Result<Option<IdTypes>, ExtractError> {
        self.inner.id_types(namespace).await
    }

    async fn max_id(&self, namespace: &Namespace) -> Result<Option<RawBson>, ExtractError> {
        self.inner.max_id(namespace).await
    }

    async fn partitions(
        &self,
        namespace: &Namespace,
        desired: usize,
        strategy: PartitionStrategy,
    ) -> Result<Vec<Partition>, ExtractError> {
        self.inner.partitions(namespace, desired, strategy).await
    }

    async fn open(&self, partition: &Partition, options: ReadOptions) -> Result<DynReader, ExtractError> {
        self.inner.open(partition, options).await
    }
}

impl DocumentReader for DynReader {
    async fn next(&mut self) -> Result<Option<DocumentBatch>, ExtractError> {
        self.inner.next().await
    }
}
