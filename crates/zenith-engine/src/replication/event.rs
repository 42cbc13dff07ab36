//! The changes of one pipeline, as they wait to be written: spans of the reply they came in.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use zenith_extract::{Change, ChangeBatch, ChangeKind, Namespace, ResumeToken};

use super::version::version_of;
use crate::policies::{Deletes, Operation};
use crate::settings::PipelineSettings;

/// What a change does to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventKind {
    Insert,
    Replace,
    Update,
    Delete,
    /// The collection is not there any more, or is another one.
    Gone(Gone),
}

/// How a collection went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    Dropped,
    Renamed,
    DatabaseDropped,
    /// Another collection took its name; the stream has no events of its documents.
    Replaced,
}

impl Gone {
    pub(super) fn words(self) -> &'static str {
        match self {
            Gone::Dropped => "was dropped",
            Gone::Renamed => "was renamed",
            Gone::DatabaseDropped => "was dropped with its database",
            Gone::Replaced => "was replaced by another collection that took its name",
        }
    }
}

impl EventKind {
    /// Whether there is a document after it.
    pub(super) fn has_document(self) -> bool {
        matches!(self, EventKind::Insert | EventKind::Replace | EventKind::Update)
    }

    /// As the change log has it.
    pub(super) fn operation(self) -> &'static str {
        match self {
            EventKind::Insert => "insert",
            EventKind::Replace => "replace",
            EventKind::Update => "update",
            EventKind::Delete => "delete",
            EventKind::Gone(_) => "drop",
        }
    }
}

/// A range of the bytes of a reply. Tens of thousands of changes wait at a time, and no reply has more than 4 GiB.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) fn range(self) -> Range<usize> {
        let wide = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        wide(self.start)..wide(self.end)
    }

    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.range()).unwrap_or_default()
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Span {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { start: narrow(range.start), end: narrow(range.end) }
    }
}

/// One change: spans of the bytes of its batch.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) batch: Arc<ChangeBatch>,
    pub(super) kind: EventKind,
    /// `_id` as an element: equal bytes mean the same document.
    id: Span,
    pub(super) key: Span,
    pub(super) document: Option<Span>,
    pub(super) version: u64,
    token: Span,
    order: Span,
    pub(super) in_transaction: bool,
    pub(super) bytes: usize,
}

impl Event {
    pub(super) fn id(&self) -> &[u8] {
        self.id.of(self.batch.bytes())
    }

    pub(super) fn order(&self) -> &[u8] {
        self.order.of(self.batch.bytes())
    }

    pub(super) fn token(&self) -> zenith_extract::Result<ResumeToken> {
        ResumeToken::decode(self.token.of(self.batch.bytes()))
    }
}

/// What one reply of the stream means for one pipeline.
#[derive(Debug)]
pub(super) struct EventBatch {
    pub(super) events: Vec<Event>,
    /// The place after them.
    pub(super) after: ResumeToken,
    /// The time up to which nothing is missing.
    pub(super) source_time: Option<SystemTime>,
}

/// The changes of documents that a table is told of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    inserts: bool,
    updates: bool,
    deletions: bool,
}

impl Wanted {
    pub(super) fn of(settings: &PipelineSettings) -> Wanted {
        Wanted {
            inserts: settings.takes(Operation::Insert),
            updates: settings.takes(Operation::Update),
            deletions: settings.takes(Operation::Delete) && settings.deletes != Deletes::Ignore,
        }
    }

    fn has(self, kind: EventKind) -> bool {
        match kind {
            EventKind::Insert => self.inserts,
            EventKind::Update | EventKind::Replace => self.updates,
            EventKind::Delete => self.deletions,
            EventKind::Gone(_) => true,
        }
    }
}

/// The events of a reply that concern a collection, lie behind `order` and are wanted.
pub(super) fn events_of(
    batch: &Arc<ChangeBatch>,
    namespace: &Namespace,
    order: &[u8],
    wanted: Wanted,
) -> zenith_extract::Result<Vec<Event>> {
    let mut events = Vec::new();
    for change in batch.changes() {
        let change = change?;
        if change.token_data_bytes() <= order {
            continue;
        }
        if let Some(kind) = kind_of(&change, namespace)
            && wanted.has(kind)
        {
            events.push(event(batch, &change, kind));
        }
    }
    Ok(events)
}

fn kind_of(change: &Change<'_>, namespace: &Namespace) -> Option<EventKind> {
    let is = |database: &str, collection: &str| {
        namespace.database == database && namespace.collection == collection
    };
    let ours = is(change.database, change.collection);
    match change.kind {
        ChangeKind::Insert if ours => Some(EventKind::Insert),
        ChangeKind::Update if ours => Some(EventKind::Update),
        ChangeKind::Replace if ours => Some(EventKind::Replace),
        ChangeKind::Delete if ours => Some(EventKind::Delete),
        ChangeKind::Drop if ours => Some(EventKind::Gone(Gone::Dropped)),
        ChangeKind::Rename if ours => Some(EventKind::Gone(Gone::Renamed)),
        ChangeKind::Rename if change.renamed_to.is_some_and(|(database, name)| is(database, name)) => {
            Some(EventKind::Gone(Gone::Replaced))
        }
        ChangeKind::DropDatabase if change.database == namespace.database => {
            Some(EventKind::Gone(Gone::DatabaseDropped))
        }
        _ => None,
    }
}

fn event(batch: &Arc<ChangeBatch>, change: &Change<'_>, kind: EventKind) -> Event {
    Event {
        batch: Arc::clone(batch),
        kind,
        id: change.id.clone().map(Span::from).unwrap_or_default(),
        key: change.key.clone().map(Span::from).unwrap_or_default(),
        document: change.document.clone().map(Span::from),
        version: version_of(change.cluster_time),
        token: change.token.clone().into(),
        order: change.token_data.clone().into(),
        in_transaction: change.transaction.is_some(),
        bytes: change.event.len(),
    }
}
