//! The trait of a database whose changes can be followed.

use std::future::Future;
use std::time::{Duration, SystemTime};

use bson::{RawBson, RawDocument, Timestamp};

use super::Topology;
use crate::{ChangeBatch, DocumentBatch, ExtractError, Namespace, ReplyBudget, ResumeToken};

/// The aim for one reply of a change stream, in bytes of events.
const BATCH_BYTES: usize = 512 * 1024;
/// How long an idle stream waits before it reports its position.
const IDLE: Duration = Duration::from_secs(1);

/// A database that reports the changes of its collections.
pub trait ChangeSource: Send + Sync + 'static {
    /// The reader of one stream.
    type Changes: ChangeReader;

    /// Whether the changes of these collections can be followed, in which scope, and how far back they are known.
    /// Changes nothing. The collections need not exist.
    ///
    /// # Errors
    /// [`ExtractError::NoChangeStreams`] for a standalone server, [`ExtractError::Unauthorized`] if the user may not
    /// watch the scope; both are of the kind [`ExtractError::is_input`].
    fn change_preflight(
        &self,
        namespaces: &[Namespace],
    ) -> impl Future<Output = Result<ChangePreflight, ExtractError>> + Send;

    /// Opens a stream. It delivers every change from the return of this call on, even if it is read later.
    /// [`ChangeReader::opened`] has the position and the time of the opening.
    ///
    /// # Errors
    /// Of the kind [`ExtractError::is_history_lost`] if the first changes are no longer known. A server may notice
    /// that only at the first reply, so [`ChangeReader::next`] may return this error, too.
    fn watch(
        &self,
        options: WatchOptions,
    ) -> impl Future<Output = Result<Self::Changes, ExtractError>> + Send;

    /// The documents with these `_id`s as they are now: at least as new as `after`, and never rolled back. They come in
    /// any order; those that are not there are absent. Where two `_id`s of different type are equal to the server (1 and
    /// 1.0), the document may come under the other one.
    ///
    /// One round trip, unless there are very many documents or very large ones. `after` must be a time from a stream
    /// or a reply of the same deployment.
    ///
    /// # Errors
    /// When the collection cannot be read. One that does not exist has no documents.
    fn lookup(
        &self,
        namespace: &Namespace,
        ids: &[RawBson],
        after: Option<Timestamp>,
        reply_budget: &ReplyBudget,
    ) -> impl Future<Output = Result<Vec<DocumentBatch>, ExtractError>> + Send;

    /// The same documents without what a projection leaves out, as MongoDB has it. By default with it.
    ///
    /// # Errors
    /// As [`ChangeSource::lookup`].
    fn lookup_projected(
        &self,
        namespace: &Namespace,
        ids: &[RawBson],
        after: Option<Timestamp>,
        projection: Option<&RawDocument>,
        reply_budget: &ReplyBudget,
    ) -> impl Future<Output = Result<Vec<DocumentBatch>, ExtractError>> + Send {
        let _ = projection;
        self.lookup(namespace, ids, after, reply_budget)
    }

    /// A cluster time at or after everything that has been acknowledged so far.
    ///
    /// # Errors
    /// When no server answers, or it has no such time.
    fn now(&self) -> impl Future<Output = Result<Timestamp, ExtractError>> + Send;

    /// The clock of the server that is read. The call shows whether the source answers, and how far
    /// its clock is from this machine's. By default [`ChangeSource::now`], and this machine's clock.
    ///
    /// # Errors
    /// When no server answers.
    fn clock(&self) -> impl Future<Output = Result<SystemTime, ExtractError>> + Send {
        async { self.now().await.map(|_| SystemTime::now()) }
    }

    /// What identifies this deployment and never changes; `None` where that is not known, as by default.
    ///
    /// # Errors
    /// When no server answers.
    fn deployment_id(&self) -> impl Future<Output = Result<Option<String>, ExtractError>> + Send {
        async { Ok(None) }
    }

    /// The time of the oldest change that the source still knows; `None` while it has forgotten none, as by default.
    ///
    /// # Errors
    /// When the user may not know, or no server answers.
    fn oldest_change(&self) -> impl Future<Output = Result<Option<SystemTime>, ExtractError>> + Send {
        async { Ok(None) }
    }
}

/// The changes of one stream, reply by reply. Dropping it closes the stream.
pub trait ChangeReader: Send + 'static {
    /// The place in the stream right after the opening, and the time of the opening.
    ///
    /// For a stream that starts now, this is the newest time before the stream. All changes of the stream are later;
    /// earlier ones are in the collections, for reads at or after this time.
    fn opened(&self) -> (ResumeToken, Timestamp);

    /// The next reply, at the latest after [`WatchOptions::idle`]. A reply without changes only moves the token.
    ///
    /// A reader continues automatically after lost connections, elections and the end of an invalidated stream,
    /// without repeating or leaving out a change.
    ///
    /// # Errors
    /// After an error the reader is unusable. A new one may continue after the last [`ChangeBatch::token_after`].
    fn next(&mut self) -> impl Future<Output = Result<ChangeBatch, ExtractError>> + Send;
}

/// The result of a preflight for following changes.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangePreflight {
    /// The server's version, as in `6.0.5`.
    pub server_version: String,
    /// What kind of deployment it is.
    pub topology: Topology,
    /// What a stream of these collections has to watch; [`Scope::of`] them.
    pub scope: Scope,
    /// The time between the oldest and the newest change that the server keeps; `None` if this user may not read it.
    pub oplog_window: Option<Duration>,
    /// Whether the server can send events of more than 16 MB, in pieces.
    pub split_large_events: bool,
}

/// What one stream watches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything. Never invalidated.
    Cluster,
    /// All collections of a database; invalidated when it is dropped.
    Database(String),
    /// One collection; invalidated when it is dropped or renamed.
    Collection(Namespace),
}

impl Scope {
    /// The narrowest scope of all the collections; `None` of none.
    ///
    /// The narrowest scope costs the server the least: a stream of one collection needs no filter, which costs a
    /// quarter more of its processor time (see `examples/change_cost.rs`), and one of a database costs less than one
    /// of everything. A user who may watch more may watch less. Resume tokens are the same in all scopes, so
    /// collections may come and go.
    #[must_use]
    pub fn of(namespaces: &[Namespace]) -> Option<Scope> {
        let (first, rest) = namespaces.split_first()?;
        Some(if rest.iter().all(|other| other == first) {
            Scope::Collection(first.clone())
        } else if rest.iter().all(|other| other.database == first.database) {
            Scope::Database(first.database.clone())
        } else {
            Scope::Cluster
        })
    }
}

/// What to watch, and how.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// What the stream watches; it has to include `namespaces`.
    pub scope: Scope,
    /// Whose changes come out of it: those of documents, drops of the collections and of their databases, and renames
    /// from and to them. An invalidation of the scope comes too.
    pub namespaces: Vec<Namespace>,
    /// Where to begin.
    pub from: StartAt,
    /// The reply budget.
    pub reply_budget: ReplyBudget,
    /// The aim for one reply, in bytes of events; what is there comes at once, so a quiet stream has smaller ones.
    pub batch_bytes: usize,
    /// The longest wait for a reply without changes.
    pub idle: Duration,
    /// Whether updates carry the document as it was right after them, in collections that keep such images when the
    /// stream is opened.
    pub images: bool,
}

impl WatchOptions {
    /// The changes of `namespaces` from now on, in replies of about 512 KiB, at least one a second, without images.
    #[must_use]
    pub fn new(scope: Scope, namespaces: Vec<Namespace>, reply_budget: ReplyBudget) -> WatchOptions {
        WatchOptions {
            scope,
            namespaces,
            from: StartAt::Now,
            reply_budget,
            batch_bytes: BATCH_BYTES,
            idle: IDLE,
            images: false,
        }
    }
}

/// Where a stream begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// With what happens next.
    Now,
    /// Right after this place.
    Token(ResumeToken),
    /// With the changes of this time.
    Time(Timestamp),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_have_all_collections_and_no_more() {
        let (orders, users, other) = (
            Namespace::new("shop", "orders"),
            Namespace::new("shop", "users"),
            Namespace::new("crm", "users"),
        );
        let one = Some(Scope::Collection(orders.clone()));
        assert_eq!(Scope::of(std::slice::from_ref(&orders)), one);
        assert_eq!(Scope::of(&[orders.clone(), orders.clone()]), one);
        assert_eq!(Scope::of(&[orders.clone(), users]), Some(Scope::Database("shop".to_owned())));
        assert_eq!(Scope::of(&[orders, other]), Some(Scope::Cluster));
        assert_eq!(Scope::of(&[]), None);
    }
}
