//! Of conditions, requests and identities.

use super::{StoreLocation, applied, moment, record};
use crate::{Condition, Identity, Outcome, RequestEnd, Since, StateError, StateStore};

/// What is noted last counts, in all its parts; pipelines that are not there stand nowhere.
pub async fn conditions_replace_earlier_ones(place: &impl StoreLocation) {
    let store = applied(place).await;
    let since = |seconds| Some(Since { reason: "it's away".to_owned(), since: moment(seconds) });
    let full = Condition {
        waiting: since(1),
        detached: since(2),
        source_ahead: i64::MIN,
        oplog_from: Some(moment(3)),
        parts: Some(u64::MAX),
        applied_to: Some(moment(6)),
        noted: moment(4),
    };
    for condition in [full.clone(), Condition::new(moment(5)), full.clone()] {
        let noted = [("p".to_owned(), condition.clone()), ("gone".to_owned(), condition.clone())];
        store.note_conditions(&noted).await.expect("noted");
        assert_eq!(store.conditions().await.expect("read"), [("p".to_owned(), condition)]);
    }
    // Set back, it is complete up to no time that is known.
    store.reset("p", None).await.expect("reset");
    let condition = Condition { applied_to: None, ..full };
    assert_eq!(store.conditions().await.expect("read"), [("p".to_owned(), condition)]);
    store.remove_pipeline("p").await.expect("removed");
    assert_eq!(store.conditions().await.expect("read"), []);
}

/// A request is open until it ends, and only one takes it.
pub async fn a_request_is_carried_out_once(place: &impl StoreLocation) {
    let store = applied(place).await;
    let first = store.add_request("p", "reload", "{}").await.expect("asked");
    let second = store.add_request("p", "verify", "{\"full\":true}").await.expect("asked");
    let open = async || -> Vec<i64> {
        store.open_requests().await.expect("read").iter().map(|request| request.id).collect()
    };
    assert_eq!(open().await, [first, second]);
    assert!(store.take_request(first).await.expect("taken"));
    assert!(!store.take_request(first).await.expect("looked"), "somebody has it");
    store.note_request(first, "half").await.expect("noted");
    let request = store.request(first).await.expect("read").expect("there");
    assert_eq!((&request.pipeline[..], &request.action[..], &request.progress[..]), ("p", "reload", "half"));
    assert!(request.taken.is_some() && request.end.is_none() && !request.cancelled);
    let end = RequestEnd {
        ended: moment(999_999_999),
        outcome: Outcome::Failed,
        result: "no \u{1F980}".to_owned(),
    };
    store.end_request(first, &end).await.expect("ended");
    store.note_request(first, "more").await.expect("nothing to note any more");
    let request = store.request(first).await.expect("read").expect("there");
    assert_eq!((request.end, &request.progress[..]), (Some(end.clone()), "half"));
    assert_eq!(open().await, [second]);
    assert!(!store.take_request(first).await.expect("looked"), "it has ended");
    assert!(matches!(store.end_request(77, &end).await, Err(StateError::Missing { what: "request", .. })));
    assert_eq!(store.request(77).await.expect("read"), None);
}

/// A cancelled request is not taken; a run that has taken it sees the cancellation.
pub async fn a_request_is_taken_back(place: &impl StoreLocation) {
    let store = applied(place).await;
    let waiting = store.add_request("p", "reload", "").await.expect("asked");
    let taken = store.add_request("p", "reload", "").await.expect("asked");
    assert!(store.take_request(taken).await.expect("taken"));
    for id in [waiting, taken] {
        store.cancel_request(id).await.expect("taken back");
        assert!(store.request(id).await.expect("read").expect("there").cancelled);
    }
    assert!(!store.take_request(waiting).await.expect("looked"));
}

/// Identities are replaced, and go with their pipelines.
pub async fn identities_live_as_long_as_their_pipelines(place: &impl StoreLocation) {
    let store = applied(place).await;
    assert_eq!(store.identity("p").await.expect("read"), None);
    for source in ["a", "b"] {
        let identity = Identity { source: source.to_owned(), target: "{\"x\": 1}".to_owned() };
        store.set_identity("p", &identity).await.expect("noted");
        assert_eq!(store.identity("p").await.expect("read"), Some(identity));
    }
    assert!(matches!(
        store.set_identity("gone", &Identity::default()).await,
        Err(StateError::Missing { .. })
    ));
    store.remove_pipeline("p").await.expect("removed");
    store.put_pipeline(&record("p")).await.expect("saved");
    assert_eq!(store.identity("p").await.expect("read"), None);
}
