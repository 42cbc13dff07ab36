//! The changes of any source behind one type.

use std::fmt;

use bson::{RawBson, RawDocument, Timestamp};

use super::dynamic::{BoxFuture, DynSource};
use super::{ChangePreflight, ChangeReader, ChangeSource, WatchOptions};
use crate::{ChangeBatch, DocumentBatch, ExtractError, Namespace, ReplyBudget, ResumeToken};

/// The stream of changes of a [`DynSource`].
pub struct DynChanges {
    inner: Box<dyn ErasedChanges>,
}

impl fmt::Debug for DynChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DynChanges")
    }
}

/// The object-safe twin of [`ChangeSource`], implemented for all of them.
pub(super) trait ErasedChangeSource: Send + Sync {
    fn change_preflight<'a>(&'a self, namespaces: &'a [Namespace]) -> BoxFuture<'a, ChangePreflight>;
    fn watch(&self, options: WatchOptions) -> BoxFuture<'_, DynChanges>;
    fn lookup<'a>(
        &'a self,
        namespace: &'a Namespace,
        ids: &'a [RawBson],
        after: Option<Timestamp>,
        reply_budget: &'a ReplyBudget,
    ) -> BoxFuture<'a, Vec<DocumentBatch>>;
    fn lookup_projected<'a>(
        &'a self,
        namespace: &'a Namespace,
        ids: &'a [RawBson],
        after: Option<Timestamp>,
        projection: Option<&'a RawDocument>,
        reply_budget: &'a ReplyBudget,
    ) -> BoxFuture<'a, Vec<DocumentBatch>>;
    fn now(&self) -> BoxFuture<'_, Timestamp>;
}

impl<S: ChangeSource> ErasedChangeSource for S {
    fn change_preflight<'a>(&'a self, namespaces: &'a [Namespace]) -> BoxFuture<'a, ChangePreflight> {
        Box::pin(ChangeSource::change_preflight(self, namespaces))
    }

    fn watch(&self, options: WatchOptions) -> BoxFuture<'_, DynChanges> {
        Box::pin(async move {
            let changes = ChangeSource::watch(self, options).await?;
            Ok(DynChanges { inner: Box::new(changes) })
        })
    }

    fn lookup<'a>(
        &'a self,
        namespace: &'a Namespace,
        ids: &'a [RawBson],
        after: Option<Timestamp>,
        reply_budget: &'a ReplyBudget,
    ) -> BoxFuture<'a, Vec<DocumentBatch>> {
        Box::pin(ChangeSource::lookup(self, namespace, ids, after, reply_budget))
    }

    fn lookup_projected<'a>(
        &'a self,
        namespace: &'a Namespace,
        ids: &'a [RawBson],
        after: Option<Timestamp>,
        projection: Option<&'a RawDocument>,
        reply_budget: &'a ReplyBudget,
    ) -> BoxFuture<'a, Vec<DocumentBatch>> {
        Box::pin(ChangeSource::lookup_projected(self, namespace, ids, after, projection, reply_budget))
    }

    fn now(&self) -> BoxFuture<'_, Timestamp> {
        Box::pin(ChangeSource::now(self))
    }
}

trait ErasedChanges: Send {
    fn opened(&self) -> (ResumeToken, Timestamp);
    fn next(&mut self) -> BoxFuture<'_, ChangeBatch>;
}

impl<R: ChangeReader> ErasedChanges for R {
    fn opened(&self) -> (ResumeToken, Timestamp) {
        ChangeReader::opened(self)
    }

    fn next(&mut self) -> BoxFuture<'_, ChangeBatch> {
        Box::pin(ChangeReader::next(self))
    }
}

impl ChangeSource for DynSource {
    type Changes = DynChanges;

    async fn change_preflight(&self, namespaces: &[Namespace]) -> Result<ChangePreflight, ExtractError> {
        self.inner.change_preflight(namespaces).await
    }

    async fn watch(&self, options: WatchOptions) -> Result<DynChanges, ExtractError> {
        self.inner.watch(options).await
    }

    async fn lookup(
        &self,
        namespace: &Namespace,
        ids: &[RawBson],
        after: Option<Timestamp>,
        reply_budget: &ReplyBudget,
    ) -> Result<Vec<DocumentBatch>, ExtractError> {
        self.inner.lookup(namespace, ids, after, reply_budget).await
    }

    async fn lookup_projected(
        &self,
        namespace: &Namespace,
        ids: &[RawBson],
        after: Option<Timestamp>,
        projection: Option<&RawDocument>,
        reply_budget: &ReplyBudget,
    ) -> Result<Vec<DocumentBatch>, ExtractError> {
        self.inner.lookup_projected(namespace, ids, after, projection, reply_budget).await
    }

    async fn now(&self) -> Result<Timestamp, ExtractError> {
        self.inner.now().await
    }
}

impl ChangeReader for DynChanges {
    fn opened(&self) -> (ResumeToken, Timestamp) {
        self.inner.opened()
    }

    async fn next(&mut self) -> Result<ChangeBatch, ExtractError> {
        self.inner.next().await
    }
}
