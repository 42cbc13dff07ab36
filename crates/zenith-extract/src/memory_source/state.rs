//! The collections of a [`MemorySource`], and the log of what happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bson::{RawBson, RawDocument, RawDocumentBuf, Timestamp};
use tokio::sync::Notify;

use super::ADDRESS;
use super::event::Position;
use super::filter::Filter;
use crate::batch::document_id;
use crate::{ExtractError, Namespace};

/// Collections held in memory, with a log of their changes. Clones share both.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    shared: Arc<Shared>,
    /// Which of the documents there are for this one.
    filter: Filter,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Notified after every change.
    changed: Notify,
}

#[derive(Debug, Default)]
pub(super) struct State {
    collections: BTreeMap<Namespace, Arc<Vec<RawDocumentBuf>>>,
    /// Collections whose updates carry the document.
    images: BTreeSet<Namespace>,
    log: Vec<Entry>,
    /// The place before which the log has been forgotten.
    forgotten: Option<Position>,
    /// Increments of the cluster time used so far.
    increments: u32,
}

/// One change in the log.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) position: Position,
    pub(super) change: MemoryChange,
    /// The number of the transaction it is part of.
    pub(super) transaction: Option<i64>,
}

/// Something that happens to a [`MemorySource`].
#[derive(Clone, Debug, PartialEq)]
pub enum MemoryChange {
    /// A new document.
    Insert(Namespace, RawDocumentBuf),
    /// The document after an update of the one with its `_id`.
    Update(Namespace, RawDocumentBuf),
    /// The document that replaces the one with its `_id`.
    Replace(Namespace, RawDocumentBuf),
    /// The document with this `_id` is deleted.
    Delete(Namespace, RawBson),
    /// The collection is dropped.
    Drop(Namespace),
    /// The collection of the first name gets the second, and replaces a collection that had it.
    Rename(Namespace, Namespace),
    /// The database is dropped; its collections are dropped before.
    DropDatabase(String),
}

impl MemorySource {
    /// A source without collections.
    #[must_use]
    pub fn new() -> MemorySource {
        MemorySource::default()
    }

    /// Adds a collection, or replaces it. The log does not record it.
    #[must_use]
    pub fn with_collection(self, namespace: Namespace, documents: Vec<RawDocumentBuf>) -> MemorySource {
        self.state().collections.insert(namespace, Arc::new(documents));
        self
    }

    /// Has the collection keep images: its updates come with the document, if a stream asks for it.
    #[must_use]
    pub fn with_images(self, namespace: Namespace) -> MemorySource {
        self.state().images.insert(namespace);
        self
    }

    /// The same collections, as far as a query matches their documents.
    pub(super) fn and(&self, query: &RawDocument) -> Result<MemorySource, ExtractError> {
        Ok(MemorySource { shared: Arc::clone(&self.shared), filter: self.filter.and(query)? })
    }

    /// Inserts a document.
    pub fn push_insert(&self, namespace: &Namespace, document: RawDocumentBuf) -> Timestamp {
        self.push(MemoryChange::Insert(namespace.clone(), document))
    }

    /// Updates the document with the `_id` of this one to be this one.
    pub fn push_update(&self, namespace: &Namespace, document: RawDocumentBuf) -> Timestamp {
        self.push(MemoryChange::Update(namespace.clone(), document))
    }

    /// Deletes the document with this `_id`.
    pub fn push_delete(&self, namespace: &Namespace, id: RawBson) -> Timestamp {
        self.push(MemoryChange::Delete(namespace.clone(), id))
    }

    /// Makes one change at a cluster time of its own, which is returned.
    pub fn push(&self, change: MemoryChange) -> Timestamp {
        self.append(vec![change], false)
    }

    /// Makes changes that share one cluster time, which is returned.
    pub fn push_transaction(&self, changes: Vec<MemoryChange>) -> Timestamp {
        self.append(changes, true)
    }

    /// Forgets the log up to now: streams that were to begin earlier, and readers that lag behind, find it lost.
    pub fn forget_history(&self) {
        let mut state = self.state();
        state.forgotten = Some(state.position());
        state.log.clear();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves a list of changes of which the last may not have been applied: good enough here.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn changed(&self) -> &Notify {
        &self.shared.changed
    }

    /// The cluster time of the last change.
    pub(super) fn latest(&self) -> Timestamp {
        self.state().time()
    }

    pub(super) fn keeps_images(&self, namespace: &Namespace) -> bool {
        self.state().images.contains(namespace)
    }

    /// The documents of a collection as they are now.
    pub(super) fn collection(&self, namespace: &Namespace) -> Result<Arc<Vec<RawDocumentBuf>>, ExtractError> {
        let state = self.state();
        let found = state.collections.get(namespace).cloned().ok_or_else(|| {
            let here = state.collections.keys().filter(|known| known.database == namespace.database);
            let known: Vec<String> = here.map(|known| known.collection.clone()).collect();
            let (address, namespace) = (ADDRESS.to_owned(), namespace.clone());
            if known.is_empty() {
                let known = state.collections.keys().map(|known| known.database.clone()).collect();
                return ExtractError::NoSuchDatabase { address, namespace, known };
            }
            ExtractError::NoSuchCollection { address, namespace, known }
        })?;
        if self.filter.is_empty() {
            return Ok(found);
        }
        Ok(Arc::new(found.iter().filter(|document| self.filter.matches(document)).cloned().collect()))
    }

    fn append(&self, changes: Vec<MemoryChange>, transaction: bool) -> Timestamp {
        let mut state = self.state();
        state.increments += 1;
        let time = state.time();
        let transaction = transaction.then(|| i64::from(time.increment));
        for (index, change) in (0..).zip(state.with_drops(changes)) {
            state.apply(&change);
            state.log.push(Entry { position: Position::event(time, index), change, transaction });
        }
        drop(state);
        self.shared.changed.notify_waiters();
        time
    }
}

impl State {
    pub(super) fn time(&self) -> Timestamp {
        Timestamp { time: 1, increment: self.increments }
    }

    /// The place after everything that has happened.
    pub(super) fn position(&self) -> Position {
        Position::after(self.time())
    }

    /// Whether what came after `position` is not known any more.
    pub(super) fn has_forgotten(&self, position: &Position) -> bool {
        self.forgotten.as_ref().is_some_and(|forgotten| position < forgotten)
    }

    pub(super) fn after(&self, position: &Position) -> &[Entry] {
        &self.log[self.log.partition_point(|entry| entry.position <= *position)..]
    }

    pub(super) fn images(&self, namespace: &Namespace) -> bool {
        self.images.contains(namespace)
    }

    /// Puts the drops of its collections before the drop of a database.
    fn with_drops(&self, changes: Vec<MemoryChange>) -> Vec<MemoryChange> {
        let drops = |change: MemoryChange| {
            let mut all = Vec::new();
            if let MemoryChange::DropDatabase(database) = &change {
                let here = self.collections.keys().filter(|known| known.database == *database);
                all.extend(here.cloned().map(MemoryChange::Drop));
            }
            all.push(change);
            all
        };
        changes.into_iter().flat_map(drops).collect()
    }

    fn apply(&mut self, change: &MemoryChange) {
        match change {
            MemoryChange::Insert(namespace, document)
            | MemoryChange::Update(namespace, document)
            | MemoryChange::Replace(namespace, document) => {
                let id = document_id(document.as_bytes()).map(RawBson::from);
                let documents = self.documents(namespace);
                match documents
                    .iter()
                    .position(|other| document_id(other.as_bytes()).map(RawBson::from) == id)
                {
                    Some(at) => documents[at] = document.clone(),
                    None => documents.push(document.clone()),
                }
            }
            MemoryChange::Delete(namespace, id) => {
                let same = |other: &RawDocumentBuf| {
                    document_id(other.as_bytes()).map(RawBson::from).as_ref() == Some(id)
                };
                self.documents(namespace).retain(|other| !same(other));
            }
            MemoryChange::Drop(namespace) => {
                self.collections.remove(namespace);
            }
            MemoryChange::Rename(from, to) => {
                let documents = self.collections.remove(from).unwrap_or_default();
                self.collections.insert(to.clone(), documents);
            }
            MemoryChange::DropDatabase(_) => {}
        }
    }

    fn documents(&mut self, namespace: &Namespace) -> &mut Vec<RawDocumentBuf> {
        Arc::make_mut(self.collections.entry(namespace.clone()).or_default())
    }
}
