//! Reads one partition in its own task, ahead of the consumer, and continues after an interruption.
//!
//! A range of `_id` continues after the last delivered document, a range of records after the last record, on the
//! same server. A scan of everything in natural order has no such place: the consumer gets
//! [`ExtractError::Interrupted`] and starts it again.

mod direct;
mod driver;
mod records;

use std::sync::Arc;

use bson::{RawBson, Uuid};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::backoff::Backoff;
use super::direct::{DirectConnection, usable_settings};
use super::filter::Filter;
use super::find::{self, Step};
use super::{Deployment, MongoSource, preflight};
use crate::id::same;
use crate::wire::Settings;
use crate::{
    DocumentBatch, DocumentReader, ExtractError, Namespace, Partition, PartitionBounds, ReadOptions,
};
use direct::DirectStop;

/// The reader of one partition of a [`crate::MongoSource`].
#[derive(Debug)]
pub struct MongoReader {
    namespace: Namespace,
    batches: mpsc::Receiver<Result<DocumentBatch, ExtractError>>,
    finished: bool,
    task: JoinHandle<()>,
}

impl DocumentReader for MongoReader {
    async fn next(&mut self) -> Result<Option<DocumentBatch>, ExtractError> {
        if self.finished {
            return Ok(None);
        }
        match self.batches.recv().await {
            Some(Ok(batch)) => Ok(Some(batch)),
            Some(Err(error)) => {
                self.finished = true;
                Err(error)
            }
            None => {
                self.finished = true;
                // The channel closes when the task ends; only a task that ended well has read everything.
                match (&mut self.task).await {
                    Ok(()) => Ok(None),
                    Err(_) => Err(ExtractError::ReaderStopped { namespace: self.namespace.clone() }),
                }
            }
        }
    }
}

impl Drop for MongoReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) async fn open(
    source: &MongoSource,
    partition: &Partition,
    options: ReadOptions,
) -> Result<MongoReader, ExtractError> {
    let MongoSource { deployment, transport, filter } = source;
    let collection = deployment.collection(&partition.namespace).await?;
    let document_bytes = collection.size.and_then(|size| size.document_bytes_average());
    let (sender, batches) = mpsc::channel(options.read_ahead.max(1));
    let scan = Scan {
        deployment: Arc::clone(deployment),
        settings: usable_settings(deployment, *transport),
        direct: None,
        partition: partition.clone(),
        filter: filter.clone(),
        options,
        document_bytes,
        collection_uuid: collection.uuid,
        sender,
        last_id: None,
        documents: 0,
    };
    let task = tokio::spawn(scan.run());
    Ok(MongoReader { namespace: partition.namespace.clone(), batches, finished: false, task })
}

/// A partition being read.
struct Scan {
    deployment: Arc<Deployment>,
    /// For connections of our own; `None` to read by the driver.
    settings: Option<Arc<Settings>>,
    direct: Option<DirectConnection>,
    partition: Partition,
    filter: Filter,
    options: ReadOptions,
    /// The average size of a document by the server's metadata.
    document_bytes: Option<u64>,
    /// The collection that is read, and not a later one of the same name.
    collection_uuid: Option<Uuid>,
    sender: mpsc::Sender<Result<DocumentBatch, ExtractError>>,
    /// `_id` of the last delivered document.
    last_id: Option<RawBson>,
    /// Number of delivered documents.
    documents: u64,
}

/// Why a pass over the partition ended early.
enum PassEnd {
    /// The consumer was dropped.
    Abandoned,
    Failed(ExtractError),
}

impl From<ExtractError> for PassEnd {
    fn from(error: ExtractError) -> PassEnd {
        PassEnd::Failed(error)
    }
}

impl Scan {
    async fn run(mut self) {
        let mut backoff = Backoff::new();
        loop {
            let before = self.documents;
            let pass = match before {
                0 => self.pass().await,
                _ => self.resume().await,
            };
            let error = match pass {
                Ok(()) | Err(PassEnd::Abandoned) => return,
                Err(PassEnd::Failed(error)) => error,
            };
            if self.documents > before {
                backoff.reset();
            }
            let error = match self.resume_after(error, &mut backoff) {
                Ok(pause) => {
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Err(error) => error,
            };
            // If nobody listens any more, nobody needs to know.
            let _ = self.sender.send(Err(error)).await;
            return;
        }
    }

    /// Moves the partition to what is left of it and says how long to wait before trying that, or gives the error to
    /// hand over.
    fn resume_after(
        &mut self,
        error: ExtractError,
        backoff: &mut Backoff,
    ) -> Result<std::time::Duration, ExtractError> {
        if !error.is_transient() || matches!(error, ExtractError::Interrupted { .. }) {
            return Err(error);
        }
        let rest = match (&self.partition.bounds, &self.last_id) {
            // A range of records moves on with what is handed over.
            (PartitionBounds::Records(_), _) => Some(self.partition.clone()),
            _ if self.documents == 0 => Some(self.partition.clone()),
            (_, Some(last_id)) => self.partition.after(last_id.clone()),
            (_, None) => None,
        };
        let Some(rest) = rest else { return Err(self.interrupted(error)) };
        let Some(pause) = backoff.next() else { return Err(error) };
        tracing::debug!(namespace = %self.partition.namespace, documents = self.documents, %error, ?pause, "resuming");
        self.partition = rest;
        Ok(pause)
    }

    /// What was read cannot be continued.
    fn interrupted(&self, error: ExtractError) -> ExtractError {
        let namespace = self.partition.namespace.clone();
        ExtractError::Interrupted { namespace, documents: self.documents, source: Box::new(error) }
    }

    /// Reads what is left, unless the collection no longer exists: to the server a missing one is an empty one,
    /// and the scan would seem to have come to its end.
    async fn resume(&mut self) -> Result<(), PassEnd> {
        let namespace = &self.partition.namespace;
        let replaced = || PassEnd::Failed(ExtractError::Replaced { namespace: namespace.clone() });
        match preflight::collection(&self.deployment, namespace).await {
            Ok(collection) if collection.uuid == self.collection_uuid => self.pass().await,
            Ok(_) | Err(ExtractError::NoSuchCollection { .. } | ExtractError::NoSuchDatabase { .. }) => {
                Err(replaced())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads what the partition holds, once.
    async fn pass(&mut self) -> Result<(), PassEnd> {
        for step in find::steps(&self.partition.bounds) {
            let Some(settings) = self.settings.clone() else {
                self.read_by_driver(&step).await?;
                continue;
            };
            match self.read_directly(&step, &settings).await {
                Ok(()) => {}
                Err(DirectStop::PassEnd(stop)) => return Err(stop),
                Err(DirectStop::Unsupported(reason)) => {
                    tracing::debug!(namespace = %self.partition.namespace, reason, "reading by the driver");
                    self.settings = None;
                    self.read_by_driver(&step).await?;
                }
            }
        }
        Ok(())
    }

    /// Hands over what belongs to `step` of a batch. `first` says that no document of its cursor came before; whether one
    /// has come now is what is returned.
    async fn hand_over(
        &mut self,
        step: &Step,
        first: bool,
        mut batch: DocumentBatch,
    ) -> Result<bool, PassEnd> {
        if batch.is_empty() {
            return Ok(false);
        }
        let expected = match step {
            Step::Range { min: Some(min), skip_min: true, .. } if first => Some((min, false)),
            Step::One(value) => Some((value, true)),
            _ => None,
        };
        if let Some((id, wanted)) = expected
            && batch.first_id().is_some_and(|first| same(&first.into(), id)) != wanted
        {
            batch.skip_first();
        }
        if batch.is_empty() {
            return Ok(true);
        }
        let len = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let last_id = batch.last_id().map(RawBson::from);
        self.sender.send(Ok(batch)).await.map_err(|_| PassEnd::Abandoned)?;
        self.documents += len;
        self.last_id = last_id;
        Ok(true)
    }
}
