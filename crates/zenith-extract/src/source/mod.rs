//! The traits of a database: [`Source`] for reading whole collections, [`ChangeSource`] for following their changes.
//!
//! *Writing one*: three methods of [`Source`] are enough for copies. The others document their
//! defaults. [`DocumentBatch::of_documents`] hands documents over, in memory of the pool.
//!
//! The compiler names the futures of both traits. [`DynSource`] holds any source behind one type, for the price of
//! one allocation a call. [`crate::source_test_suite!`] and [`crate::change_source_test_suite!`] test an
//! implementation.

mod changes;
mod dynamic;
mod dynamic_changes;
mod options;
mod preflight;

use std::future::Future;

use bson::{RawBson, RawDocument, RawDocumentBuf};

use crate::{DocumentBatch, ExtractError, IdTypes, Namespace, Partition, PartitionBounds, PartitionStrategy};

pub use changes::{ChangePreflight, ChangeReader, ChangeSource, Scope, StartAt, WatchOptions};
pub use dynamic::{DynReader, DynSource};
pub use dynamic_changes::DynChanges;
pub use options::{ReadConcern, ReadOptions};
pub use preflight::{CollectionInfo, CollectionKind, CollectionSize, SourceInfo, Topology};

/// A database with collections that can be read completely.
pub trait Source: Send + Sync + 'static {
    /// The reader of one partition.
    type Reader: DocumentReader;

    /// Checks that the collection exists and may be read, and returns its kind and size. Changes nothing.
    ///
    /// # Errors
    /// Of the kind [`ExtractError::is_input`] when the user has to correct something.
    fn preflight(
        &self,
        namespace: &Namespace,
    ) -> impl Future<Output = Result<SourceInfo, ExtractError>> + Send;

    /// About `documents` documents, never more, each once, for inferring a schema: from both ends and from between.
    ///
    /// The same collection gives the same documents in the same order. Bounded in bytes too, so that huge documents make
    /// it shorter.
    ///
    /// # Errors
    /// When the collection cannot be read.
    fn sample(
        &self,
        namespace: &Namespace,
        documents: usize,
    ) -> impl Future<Output = Result<Vec<RawDocumentBuf>, ExtractError>> + Send;

    /// Begins to read one of the partitions that [`Source::partitions`] has given.
    ///
    /// # Errors
    /// When reading cannot begin. Later errors come from [`DocumentReader::next`].
    fn open(
        &self,
        partition: &Partition,
        options: ReadOptions,
    ) -> impl Future<Output = Result<Self::Reader, ExtractError>> + Send;

    /// Divides the collection into at most `desired` parts that together hold every document once.
    ///
    /// At least one part; fewer than asked for where the collection is small, or cannot be divided. A source that leaves
    /// this out is read as a whole: [`PartitionBounds::Natural`] from beginning to end.
    ///
    /// # Errors
    /// When the collection cannot be read.
    fn partitions(
        &self,
        namespace: &Namespace,
        desired: usize,
        strategy: PartitionStrategy,
    ) -> impl Future<Output = Result<Vec<Partition>, ExtractError>> + Send {
        let _ = (desired, strategy);
        async { Ok(vec![Partition { namespace: namespace.clone(), bounds: PartitionBounds::Natural }]) }
    }

    /// The same source, in whose collections there are only the documents that a query of MongoDB matches, whatever is asked of
    /// it: sizes, samples, partitions, look-ups. Streams of changes have all changes. What has been filtered before stays so.
    ///
    /// The query is judged where documents are read, so that one that cannot be judged is refused by
    /// [`Source::preflight`]. The types of `_id` may be those of all documents, and a size may be an estimate.
    ///
    /// # Errors
    /// [`ExtractError::Filter`] if documents cannot be judged, as by default: nobody may take all for those that match.
    fn filtered(&self, query: &RawDocument) -> Result<Self, ExtractError>
    where
        Self: Sized,
    {
        let _ = query;
        Err(ExtractError::Filter {
            reason: "this source cannot tell which documents a query matches".to_owned(),
        })
    }

    /// Whether its bytes come from this machine: then leaving fields out at the source costs more than it saves, unless they are
    /// large. By default they do not.
    fn is_local(&self) -> bool {
        false
    }

    /// The types of the smallest and the largest `_id`; `None` if the collection is empty or has no order by `_id`, as
    /// that of a source that leaves this out. The sample then decides about the key.
    ///
    /// # Errors
    /// When the collection cannot be read.
    fn id_types(
        &self,
        namespace: &Namespace,
    ) -> impl Future<Output = Result<Option<IdTypes>, ExtractError>> + Send {
        let _ = namespace;
        async { Ok(None) }
    }

    /// The largest `_id`; `None` if the collection is empty or has no order by `_id`, as that of a source that leaves
    /// this out. Only tables that follow ascending `_id`s need it.
    ///
    /// # Errors
    /// When the collection cannot be read.
    fn max_id(
        &self,
        namespace: &Namespace,
    ) -> impl Future<Output = Result<Option<RawBson>, ExtractError>> + Send {
        let _ = namespace;
        async { Ok(None) }
    }
}

/// The documents of one partition, batch by batch. Dropping it ends the reading.
pub trait DocumentReader: Send + 'static {
    /// The next batch, never empty; `None` after the last.
    ///
    /// # Errors
    /// After an error the reader is unusable. For a range of `_id`, [`Partition::after`] the last delivered document
    /// is the rest; any other partition starts again.
    fn next(&mut self) -> impl Future<Output = Result<Option<DocumentBatch>, ExtractError>> + Send;
}
