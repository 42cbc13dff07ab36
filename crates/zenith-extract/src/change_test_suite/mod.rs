//! What every [`ChangeSource`](crate::ChangeSource) has to do, as tests that run against any of them.
//!
//! ```text
//! async fn make() -> (MySource, MyWriter, Namespace) { … }
//! zenith_extract::change_source_test_suite!(my_source, make);
//! ```
//!
//! `make` gives a source, something that changes what the source reads ([`ChangeWriter`]), and the name of a collection
//! that is there and empty, in a database with nothing else in it. The tests need `tokio` with its macros. Each panics
//! with what it found.

mod checks;

use std::future::Future;
use std::time::{Duration, Instant};

use bson::{RawBson, RawDocumentBuf, Timestamp, rawdoc};
use zenith_memory::Pool;

use crate::{
    ChangeBatch, ChangeKind, ChangeReader, MemoryChange as Change, Namespace, ReplyBudget, ResumeToken,
    Scope, WatchOptions,
};

pub use checks::*;

const MIB: usize = 1024 * 1024;
/// How long replies without changes are waited for here.
const IDLE: Duration = Duration::from_millis(300);
/// Until when expected changes have to come.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Declares a module of tests for one implementation of [`ChangeSource`](crate::ChangeSource)(crate::ChangeSource).
#[macro_export]
macro_rules! change_source_test_suite {
    ($name:ident, $make:ident) => {
        mod $name {
            use super::$make;

            $crate::change_source_test_suite!(@tests $make:
                changes_of_every_kind_come_in_order,
                what_was_before_the_opening_does_not_come,
                a_transaction_shares_its_time,
                an_idle_stream_says_where_it_is,
                a_stream_goes_on_after_any_place,
                drops_and_renames_come,
                an_invalidated_stream_goes_on,
                a_place_is_one_in_every_scope,
                images_come_if_asked_for,
                a_look_up_finds_what_is_there,
                changes_hold_memory_while_they_live,
                a_source_of_forgotten_type_is_the_same_source,
            );
        }
    };
    (@tests $make:ident: $($test:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $test() {
                $crate::change_test_suite::$test($make).await;
            }
        )+
    };
}

/// Changes what a source reads.
pub trait ChangeWriter: Send + Sync {
    /// Makes changes: one after the other, or in one transaction.
    fn write(&self, changes: Vec<Change>, together: bool) -> impl Future<Output = ()> + Send;

    /// Has updates of a collection come with the document.
    fn keep_images(&self, namespace: &Namespace) -> impl Future<Output = ()> + Send;
}

/// One event, by itself.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What happened.
    pub kind: ChangeKind,
    /// Where.
    pub namespace: Namespace,
    /// When.
    pub time: Timestamp,
    /// The place after it.
    pub token: ResumeToken,
    /// To which document.
    pub id: Option<RawBson>,
    /// The document.
    pub document: Option<RawDocumentBuf>,
    /// The number of its transaction.
    pub transaction: Option<i64>,
    /// The new name.
    pub renamed_to: Option<Namespace>,
}

/// The events of a batch, by themselves.
///
/// # Panics
/// If one cannot be read, or says different things in different fields.
#[must_use]
pub fn seen(batch: &ChangeBatch) -> Vec<Seen> {
    let name = |(database, collection): (&str, &str)| Namespace::new(database, collection);
    let mut found = Vec::new();
    for change in batch.changes() {
        let change = change.expect("an event");
        let document = |place: std::ops::Range<usize>| {
            RawDocumentBuf::from_bytes(batch.bytes()[place].to_vec()).expect("a whole document")
        };
        let event = document(change.event.clone());
        assert_eq!(event.get_document("_id").expect("a token").as_bytes(), change.token_bytes());
        let token = ResumeToken::decode(change.token_bytes()).expect("a token");
        assert_eq!(token.order(), change.token_data_bytes());
        assert_eq!(token.cluster_time(), Some(change.cluster_time), "{token:?}");
        let id = change.id_value().map(RawBson::from);
        if let (Some(id), Some(key)) = (&id, change.key.clone()) {
            assert_eq!(document(key).get("_id").expect("a key").map(RawBson::from).as_ref(), Some(id));
            let element = rawdoc! { "_id": id.clone() }.into_bytes();
            assert_eq!(change.id_bytes(), Some(&element[4..element.len() - 1]));
        }
        found.push(Seen {
            kind: change.kind,
            namespace: name((change.database, change.collection)),
            time: change.cluster_time,
            token,
            id,
            document: change.document.map(document),
            transaction: change.transaction.map(|transaction| transaction.number),
            renamed_to: change.renamed_to.map(name),
        });
    }
    assert_eq!(found.len(), batch.len());
    found
}

/// Reads until `count` changes have come, and checks what holds for every stream.
///
/// # Panics
/// If they do not come, or places are out of order.
pub async fn read(reader: &mut impl ChangeReader, count: usize) -> Vec<Seen> {
    let (deadline, mut found) = (Instant::now() + TIMEOUT, Vec::<Seen>::new());
    let mut place: Option<ResumeToken> = None;
    while found.len() < count {
        assert!(Instant::now() < deadline, "{} changes of {count}: {found:#?}", found.len());
        let batch = reader.next().await.expect("the next changes");
        let events = seen(&batch);
        for event in &events {
            if let Some(place) = &place {
                assert!(place.order() < event.token.order(), "{event:?} is not after {place:?}");
            }
            // Only a stream of the same scope knows the place of an invalidation, so no reply tells it.
            if event.kind != ChangeKind::Invalidate {
                place = Some(event.token.clone());
            }
        }
        let after = batch.token_after();
        assert!(place.is_none_or(|place| place.order() <= after.order()), "{after:?} is before its events");
        place = Some(after.clone());
        found.extend(events);
    }
    found
}

fn options(scope: Scope, namespaces: &[Namespace]) -> WatchOptions {
    let reply_budget = ReplyBudget::new(Pool::new(64 * MIB).expect("a pool"));
    WatchOptions { idle: IDLE, ..WatchOptions::new(scope, namespaces.to_vec(), reply_budget) }
}

fn kinds(seen: &[Seen]) -> Vec<ChangeKind> {
    seen.iter().map(|seen| seen.kind).collect()
}

fn document(id: i32, text: &str) -> RawDocumentBuf {
    rawdoc! { "_id": id, "text": text }
}

fn sibling(namespace: &Namespace, name: &str) -> Namespace {
    Namespace::new(namespace.database.clone(), format!("{} {name}", namespace.collection))
}

fn inserts(namespace: &Namespace, ids: std::ops::Range<i32>) -> Vec<Change> {
    ids.map(|id| Change::Insert(namespace.clone(), document(id, "new"))).collect()
}
