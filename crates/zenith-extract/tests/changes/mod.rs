//! Change streams of real servers: the suite, and what only a real server can do.

mod failover;
mod images;
mod interruption;
mod large_events;
mod oplog;
mod privileges;
mod suite;
mod writer;

use bson::{RawBson, RawDocumentBuf, rawdoc};
use zenith_extract::change_test_suite::Seen;
use zenith_extract::{Namespace, ReplyBudget, Scope, StartAt, Transport, WatchOptions};
use zenith_memory::Pool;

use crate::servers::MIB;

const BOTH: [Transport; 2] = [Transport::Driver, Transport::Direct];

/// A stream of one collection through the whole deployment.
fn watching(namespace: &Namespace, from: StartAt) -> WatchOptions {
    let reply_budget = ReplyBudget::new(Pool::new(8 * MIB).unwrap());
    WatchOptions { from, ..WatchOptions::new(Scope::Cluster, vec![namespace.clone()], reply_budget) }
}

/// Documents with consecutive `_id`s.
fn numbered(ids: std::ops::Range<i32>) -> Vec<RawDocumentBuf> {
    ids.map(|id| rawdoc! { "_id": id, "text": "x".repeat(200) }).collect()
}

/// Nothing is missing, nothing came twice, and the order is right.
fn assert_numbered(seen: &[Seen], ids: std::ops::Range<i32>) {
    let found: Vec<_> = seen.iter().filter_map(|seen| seen.id.clone()).collect();
    let expected: Vec<_> = ids.map(RawBson::Int32).collect();
    assert!(found == expected, "{} changes, not {}: {found:?}", found.len(), expected.len());
}
