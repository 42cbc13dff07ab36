//! A change in memory as the event MongoDB would send, and places in the log as tokens.

use bson::raw::cstr;
use bson::{DateTime, RawBson, RawDocumentBuf, Timestamp, rawdoc};

use super::state::{Entry, MemoryChange};
use crate::batch::document_id;
use crate::{ExtractError, Namespace, ResumeToken};

/// Added to the seconds of cluster times to make dates of them: some day of 2020.
const EPOCH_MILLIS: i64 = 1_600_000_000_000;

/// A place in the log: the text of a token's `_data`, so it compares as tokens do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position(Vec<u8>);

impl Position {
    /// Right after the change of this number at this time.
    pub(super) fn event(time: Timestamp, index: u32) -> Position {
        Position(format!("82{:08X}{:08X}2B{index:08X}00", time.time, time.increment).into_bytes())
    }

    /// After everything of this time: as the server's, it begins with the next.
    pub(super) fn after(time: Timestamp) -> Position {
        Position(format!("82{:08X}{:08X}", time.time, time.increment + 1).into_bytes())
    }

    /// Before everything of this time.
    pub(super) fn before(time: Timestamp) -> Position {
        Position(format!("82{:08X}{:08X}", time.time, time.increment).into_bytes())
    }

    /// After the invalidation that an event causes.
    pub(super) fn invalidation(&self) -> Position {
        let mut text = self.0.clone();
        text.truncate(text.len().saturating_sub(2));
        text.extend_from_slice(b"01");
        Position(text)
    }

    pub(super) fn of(token: &ResumeToken) -> Position {
        Position(token.order().to_vec())
    }

    pub(super) fn token(&self) -> Result<ResumeToken, ExtractError> {
        ResumeToken::new(self.document())
    }

    fn document(&self) -> RawDocumentBuf {
        rawdoc! { "_data": String::from_utf8_lossy(&self.0).as_ref() }
    }
}

/// The event of a change; `image` says whether an update carries its document.
pub(super) fn event(entry: &Entry, image: bool) -> RawDocumentBuf {
    let (operation, namespace) = match &entry.change {
        MemoryChange::Insert(namespace, _) => ("insert", Some(namespace)),
        MemoryChange::Update(namespace, _) => ("update", Some(namespace)),
        MemoryChange::Replace(namespace, _) => ("replace", Some(namespace)),
        MemoryChange::Delete(namespace, _) => ("delete", Some(namespace)),
        MemoryChange::Drop(namespace) => ("drop", Some(namespace)),
        MemoryChange::Rename(from, _) => ("rename", Some(from)),
        MemoryChange::DropDatabase(_) => ("dropDatabase", None),
    };
    let mut event = head(&entry.position, operation);
    if let Some(number) = entry.transaction {
        event.append(cstr!("lsid"), rawdoc! { "id": "a session in memory" });
        event.append(cstr!("txnNumber"), number);
    }
    if let Some(namespace) = namespace {
        event.append(cstr!("ns"), of_namespace(namespace));
    }
    let key = |id: RawBson| rawdoc! { "_id": id };
    match &entry.change {
        MemoryChange::Insert(_, document)
        | MemoryChange::Update(_, document)
        | MemoryChange::Replace(_, document) => {
            if image || operation != "update" {
                event.append(cstr!("fullDocument"), document.clone());
            }
            if let Some(id) = document_id(document.as_bytes()) {
                event.append(cstr!("documentKey"), key(id.into()));
            }
        }
        MemoryChange::Delete(_, id) => event.append(cstr!("documentKey"), key(id.clone())),
        MemoryChange::Rename(_, to) => event.append(cstr!("to"), of_namespace(to)),
        MemoryChange::DropDatabase(database) => {
            event.append(cstr!("ns"), rawdoc! { "db": database.as_str() })
        }
        MemoryChange::Drop(_) => {}
    }
    event
}

/// The event that ends a stream whose scope no longer exists.
pub(super) fn invalidate(entry: &Entry) -> RawDocumentBuf {
    head(&entry.position.invalidation(), "invalidate")
}

fn head(position: &Position, operation: &str) -> RawDocumentBuf {
    let time = crate::change::token_cluster_time(&position.0).unwrap_or(Timestamp { time: 0, increment: 0 });
    rawdoc! {
        "_id": position.document(),
        "operationType": operation,
        "clusterTime": time,
        "wallTime": DateTime::from_millis(EPOCH_MILLIS + i64::from(time.increment)),
    }
}

fn of_namespace(namespace: &Namespace) -> RawDocumentBuf {
    rawdoc! { "db": namespace.database.as_str(), "coll": namespace.collection.as_str() }
}
