//! The log of a [`MemorySource`] as a change stream.

use std::sync::Arc;
use std::time::Duration;

use bson::{RawBson, RawDocumentBuf, Timestamp};

use super::event::{Position, event, invalidate};
use super::state::{Entry, MemoryChange, State};
use super::{ADDRESS, MemorySource, batch};
use crate::batch::document_id;
use crate::{
    ChangeBatch, ChangePreflight, ChangeReader, ChangeSource, DocumentBatch, ExtractError, Namespace,
    ReplyBudget, ResumeToken, Scope, StartAt, Topology, WatchOptions,
};

/// The stream of changes of a [`MemorySource`].
#[derive(Debug)]
pub struct MemoryChanges {
    source: MemorySource,
    options: WatchOptions,
    opened: (ResumeToken, Timestamp),
    /// After the last delivered change.
    position: Position,
}

impl ChangeSource for MemorySource {
    type Changes = MemoryChanges;

    async fn change_preflight(&self, namespaces: &[Namespace]) -> Result<ChangePreflight, ExtractError> {
        Ok(ChangePreflight {
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            topology: Topology::InMemory,
            scope: Scope::of(namespaces).unwrap_or(Scope::Cluster),
            oplog_window: Some(Duration::MAX),
            split_large_events: true,
        })
    }

    async fn watch(&self, options: WatchOptions) -> Result<MemoryChanges, ExtractError> {
        let (position, time) = {
            let state = self.state();
            let position = match &options.from {
                StartAt::Now => state.position(),
                StartAt::Token(token) => Position::of(token),
                StartAt::Time(time) => Position::before(*time),
            };
            (state.known(position)?, state.time())
        };
        let opened = (position.token()?, time);
        Ok(MemoryChanges { source: self.clone(), options, opened, position })
    }

    async fn lookup(
        &self,
        namespace: &Namespace,
        ids: &[RawBson],
        _after: Option<Timestamp>,
        reply_budget: &ReplyBudget,
    ) -> Result<Vec<DocumentBatch>, ExtractError> {
        let Ok(documents) = self.collection(namespace) else { return Ok(Vec::new()) };
        let wanted = |document: &&RawDocumentBuf| {
            document_id(document.as_bytes()).is_some_and(|id| ids.contains(&RawBson::from(id)))
        };
        let found: Vec<&[u8]> = documents.iter().filter(wanted).map(|document| document.as_bytes()).collect();
        if found.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![batch(found, reply_budget).await?])
    }

    async fn now(&self) -> Result<Timestamp, ExtractError> {
        Ok(self.latest())
    }
}

impl State {
    /// The place, unless what came after it has been forgotten.
    fn known(&self, position: Position) -> Result<Position, ExtractError> {
        if !self.has_forgotten(&position) {
            return Ok(position);
        }
        Err(ExtractError::HistoryLost {
            time: position.token().ok().and_then(|token| token.cluster_time()),
            code: 286,
            code_name: "ChangeStreamHistoryLost".to_owned(),
            message: "the log in memory was forgotten".to_owned(),
        })
    }
}

impl WatchOptions {
    fn concerns(&self, change: &MemoryChange) -> bool {
        match change {
            MemoryChange::Insert(namespace, _)
            | MemoryChange::Update(namespace, _)
            | MemoryChange::Replace(namespace, _)
            | MemoryChange::Delete(namespace, _)
            | MemoryChange::Drop(namespace) => self.namespaces.contains(namespace),
            MemoryChange::Rename(from, to) => self.namespaces.contains(from) || self.namespaces.contains(to),
            // The stream of one collection hears only of the drop of that.
            MemoryChange::DropDatabase(_) if matches!(self.scope, Scope::Collection(_)) => false,
            MemoryChange::DropDatabase(name) => self.namespaces.iter().any(|one| one.database == *name),
        }
    }

    fn is_invalidated_by(&self, change: &MemoryChange) -> bool {
        match (&self.scope, change) {
            (Scope::Collection(namespace), MemoryChange::Drop(gone)) => namespace == gone,
            (Scope::Collection(namespace), MemoryChange::Rename(from, to)) => {
                namespace == from || namespace == to
            }
            (Scope::Database(database), MemoryChange::DropDatabase(gone)) => database == gone,
            _ => false,
        }
    }
}

/// Events for one reply, and the place after them.
struct Reply {
    events: Vec<RawDocumentBuf>,
    position: Position,
    time: Timestamp,
}

impl MemoryChanges {
    fn reply(&self) -> Result<Reply, ExtractError> {
        let state = self.source.state();
        let mut position = state.known(self.position.clone())?;
        let (mut events, mut bytes, mut full) = (Vec::new(), 0, false);
        for entry in state.after(&position) {
            if full {
                break;
            }
            position = entry.position.clone();
            for event in self.events(&state, entry) {
                bytes += event.as_bytes().len();
                events.push(event);
            }
            if self.options.is_invalidated_by(&entry.change) {
                position = position.invalidation();
            }
            full = bytes >= self.options.batch_bytes;
        }
        if !full {
            position = position.max(state.position());
        }
        Ok(Reply { events, position, time: state.time() })
    }

    fn events(&self, state: &State, entry: &Entry) -> Vec<RawDocumentBuf> {
        if !self.options.concerns(&entry.change) {
            return Vec::new();
        }
        let image = matches!(&entry.change, MemoryChange::Update(namespace, _)
            if self.options.images && state.images(namespace));
        let mut events = vec![event(entry, image)];
        if self.options.is_invalidated_by(&entry.change) {
            events.push(invalidate(entry));
        }
        events
    }
}

impl ChangeReader for MemoryChanges {
    fn opened(&self) -> (ResumeToken, Timestamp) {
        self.opened.clone()
    }

    async fn next(&mut self) -> Result<ChangeBatch, ExtractError> {
        let idle = tokio::time::sleep(self.options.idle);
        tokio::pin!(idle);
        let source = self.source.clone();
        let reply = loop {
            // Registered before the look, so that no change falls in between.
            let changed = source.changed().notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let reply = self.reply()?;
            if !reply.events.is_empty() {
                break reply;
            }
            tokio::select! {
                () = &mut idle => break self.reply()?,
                () = changed => {}
            }
        };
        let events =
            batch(reply.events.iter().map(|event| event.as_bytes()).collect(), &self.options.reply_budget)
                .await?;
        let token = reply.position.token()?;
        self.position = reply.position;
        Ok(ChangeBatch::new(events, token, Some(reply.time), Arc::from(ADDRESS)))
    }
}
