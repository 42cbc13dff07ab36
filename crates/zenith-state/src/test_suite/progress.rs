//! Of checkpoints, intents and epochs.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use super::{StoreLocation, applied, checkpoint, intent, moment, record, schema};
use crate::{Checkpoint, Intent, Mismatches, Snapshot, SnapshotPartition, StateError, StateStore};

/// No value is changed by being kept.
pub async fn every_value_of_a_checkpoint_comes_back(place: &impl StoreLocation) {
    let store = applied(place).await;
    assert_eq!(store.checkpoint("p").await.expect("read"), None);
    let plain = checkpoint(1);
    let extreme = Checkpoint {
        position: (0..=255).collect(),
        order: vec![1, 0],
        source_time: None,
        rows: u64::MAX,
        saved: UNIX_EPOCH - Duration::from_nanos(1),
    };
    let empty = Checkpoint { position: Vec::new(), order: vec![2], rows: 0, ..plain.clone() };
    for checkpoint in [plain, extreme, empty] {
        store.advance("p", &checkpoint).await.expect("saved");
        assert_eq!(store.checkpoint("p").await.expect("read"), Some(checkpoint));
    }
}

/// Further or the same, but not back.
pub async fn a_checkpoint_only_moves_forward(place: &impl StoreLocation) {
    let store = applied(place).await;
    store.advance("p", &checkpoint(5)).await.expect("the first");
    let again = Checkpoint { saved: moment(9999), ..checkpoint(5) };
    store.advance("p", &again).await.expect("no step back");
    let error = store.advance("p", &checkpoint(4)).await.expect_err("a step back");
    assert!(matches!(&error, StateError::Backwards { pipeline } if pipeline == "p"), "{error:?}");
    assert!(!error.is_transient());
    assert_eq!(store.checkpoint("p").await.expect("read"), Some(again));
    store.advance("p", &checkpoint(6)).await.expect("further");
    store.put_pipeline(&record("q")).await.expect("saved");
    store.advance("q", &checkpoint(1)).await.expect("pipelines do not disturb each other");
    assert_eq!(store.checkpoint("p").await.expect("read"), Some(checkpoint(6)));
}

/// Orders are neither numbers nor text.
pub async fn orders_compare_bytewise(place: &impl StoreLocation) {
    let store = applied(place).await;
    let orders: [&[u8]; 8] = [b"", b"\0", b"\0\0", b"\x09", b"10", b"9", b"\x7f", b"\x80\0"];
    let at = |order: &[u8]| Checkpoint { order: order.to_vec(), ..checkpoint(0) };
    for (index, order) in orders.iter().enumerate() {
        store.advance("p", &at(order)).await.expect("further");
        for before in &orders[..index] {
            let error = store.advance("p", &at(before)).await.expect_err("a step back");
            assert!(matches!(error, StateError::Backwards { .. }), "{order:?} {before:?}");
        }
    }
}

/// Intents are repeated in the order in which they were noted, even if others were closed in between.
pub async fn intents_come_back_in_order(place: &impl StoreLocation) {
    let store = applied(place).await;
    assert_eq!(store.open_intents("p").await.expect("read"), []);
    for token in ["c", "a", "d", "b"] {
        store.begin_intent(&intent("p", token)).await.expect("noted");
    }
    store.commit_intent("p", "c", &checkpoint(1), &Mismatches::default()).await.expect("committed");
    store.abandon_intent("p", "b").await.expect("abandoned");
    let last = Intent {
        from: Vec::new(),
        to: (0..=255).collect(),
        rows: u64::MAX,
        created: UNIX_EPOCH,
        ..intent("p", "'\u{1F980}")
    };
    store.begin_intent(&last).await.expect("noted");
    let open = store.open_intents("p").await.expect("read");
    assert_eq!(open, [intent("p", "a"), intent("p", "d"), last]);
}

/// Two open inserts of a pipeline do not share a token.
pub async fn a_token_is_open_once(place: &impl StoreLocation) {
    let store = applied(place).await;
    store.put_pipeline(&record("q")).await.expect("saved");
    store.begin_intent(&intent("p", "t")).await.expect("noted");
    store.begin_intent(&intent("q", "t")).await.expect("another pipeline");
    let other = Intent { rows: 99, ..intent("p", "t") };
    let error = store.begin_intent(&other).await.expect_err("open already");
    assert!(matches!(error, StateError::IntentExists { .. }), "{error:?}");
    assert_eq!(store.open_intents("p").await.expect("read"), [intent("p", "t")]);
    store.commit_intent("p", "t", &checkpoint(1), &Mismatches::default()).await.expect("committed");
    store.begin_intent(&other).await.expect("free again");
    assert_eq!(store.open_intents("q").await.expect("read"), [intent("q", "t")]);
}

/// A commit is a checkpoint and the end of its intent.
pub async fn a_commit_saves_and_closes(place: &impl StoreLocation) {
    let store = applied(place).await;
    for token in ["a", "b"] {
        store.begin_intent(&intent("p", token)).await.expect("noted");
    }
    store.commit_intent("p", "a", &checkpoint(3), &Mismatches::default()).await.expect("committed");
    assert_eq!(store.checkpoint("p").await.expect("read"), Some(checkpoint(3)));
    assert_eq!(store.open_intents("p").await.expect("read"), [intent("p", "b")]);
    store.commit_intent("p", "b", &checkpoint(3), &Mismatches::default()).await.expect("no step back");
    assert_eq!(store.open_intents("p").await.expect("read"), []);
}

/// A commit that would go back, or is not of an open intent, has no effect at all.
pub async fn a_refused_commit_changes_nothing(place: &impl StoreLocation) {
    let store = applied(place).await;
    store.advance("p", &checkpoint(5)).await.expect("saved");
    store.begin_intent(&intent("p", "t")).await.expect("noted");
    let error =
        store.commit_intent("p", "t", &checkpoint(4), &Mismatches::default()).await.expect_err("a step back");
    assert!(matches!(error, StateError::Backwards { .. }), "{error:?}");
    let error = store
        .commit_intent("p", "u", &checkpoint(6), &Mismatches::default())
        .await
        .expect_err("no such intent");
    assert!(matches!(&error, StateError::UnknownIntent { token, .. } if token == "u"), "{error:?}");
    assert_eq!(store.checkpoint("p").await.expect("read"), Some(checkpoint(5)));
    assert_eq!(store.open_intents("p").await.expect("read"), [intent("p", "t")]);
    store.commit_intent("p", "t", &checkpoint(6), &Mismatches::default()).await.expect("committed");
    let error =
        store.commit_intent("p", "t", &checkpoint(7), &Mismatches::default()).await.expect_err("closed");
    assert!(matches!(error, StateError::UnknownIntent { .. }), "{error:?}");
    assert_eq!(store.checkpoint("p").await.expect("read"), Some(checkpoint(6)));
}

/// Abandoning closes an intent and leaves the checkpoint.
pub async fn an_abandoned_intent_is_closed(place: &impl StoreLocation) {
    let store = applied(place).await;
    store.advance("p", &checkpoint(5)).await.expect("saved");
    store.begin_intent(&intent("p", "t")).await.expect("noted");
    store.abandon_intent("p", "t").await.expect("abandoned");
    assert_eq!(store.open_intents("p").await.expect("read"), []);
    assert_eq!(store.checkpoint("p").await.expect("read"), Some(checkpoint(5)));
    let error = store.abandon_intent("p", "t").await.expect_err("closed");
    assert!(matches!(error, StateError::UnknownIntent { .. }), "{error:?}");
}

/// A reset moves to the given checkpoint, backwards or to the beginning, and ends open intents and the snapshot.
pub async fn a_reset_goes_back(place: &impl StoreLocation) {
    let store = applied(place).await;
    store.put_pipeline(&record("q")).await.expect("saved");
    let partition = SnapshotPartition { index: 0, partition: vec![1], done: false, rows: 0 };
    let snapshot = Snapshot {
        started: moment(0),
        version: 1,
        read_from: vec![1],
        partitions: vec![partition],
        consistent_after: None,
    };
    for pipeline in ["p", "q"] {
        store.begin_intent(&intent(pipeline, "t")).await.expect("noted");
        store.begin_snapshot(pipeline, &snapshot).await.expect("saved");
        store.advance(pipeline, &checkpoint(5)).await.expect("saved");
    }
    store.reset("p", Some(&checkpoint(2))).await.expect("reset");
    assert_eq!(store.checkpoint("p").await.expect("read"), Some(checkpoint(2)));
    assert_eq!(store.open_intents("p").await.expect("read"), []);
    assert_eq!(store.snapshot("p").await.expect("read"), None);
    let error = store
        .commit_intent("p", "t", &checkpoint(9), &Mismatches::default())
        .await
        .expect_err("of another life");
    assert!(matches!(error, StateError::UnknownIntent { .. }), "{error:?}");
    store.advance("p", &checkpoint(3)).await.expect("forward from there");
    store.reset("p", None).await.expect("reset");
    assert_eq!(store.checkpoint("p").await.expect("read"), None);
    assert_eq!(store.pipelines().await.expect("read").len(), 2);
    assert_eq!(store.open_intents("q").await.expect("read"), [intent("q", "t")]);
    assert_eq!(store.snapshot("q").await.expect("read"), Some(snapshot));
    assert_eq!(store.checkpoint("q").await.expect("read"), Some(checkpoint(5)));
}

/// No two lives of a pipeline have the same epoch.
pub async fn epochs_grow(place: &impl StoreLocation) {
    let store = applied(place).await;
    store.put_pipeline(&record("q")).await.expect("saved");
    assert_eq!(store.epoch("p").await.expect("read"), 0);
    store.reset("p", None).await.expect("reset");
    store.reset("p", Some(&checkpoint(1))).await.expect("reset");
    assert_eq!(store.epoch("p").await.expect("read"), 2);
    assert!(store.remove_pipeline("p").await.expect("removed"));
    store.put_pipeline(&record("p")).await.expect("saved");
    assert_eq!(store.epoch("p").await.expect("read"), 3);
    assert_eq!(store.epoch("q").await.expect("read"), 0);
    let all = BTreeMap::from([("p".to_owned(), 3), ("q".to_owned(), 0)]);
    assert_eq!(store.epochs().await.expect("read"), all);
}

/// Looking for a pipeline that is not there is no error.
pub async fn an_unknown_pipeline_has_nothing(place: &impl StoreLocation) {
    let store = place.open().await;
    assert_eq!(store.pipelines().await.expect("read"), []);
    assert_eq!(store.schemas("p").await.expect("read"), []);
    assert_eq!(store.checkpoint("p").await.expect("read"), None);
    assert_eq!(store.open_intents("p").await.expect("read"), []);
    assert_eq!(store.epoch("p").await.expect("read"), 0);
    assert_eq!(store.snapshot("p").await.expect("read"), None);
    assert_eq!(store.mismatches("p", None).await.expect("read"), Mismatches::default());
    assert_eq!(store.runs(Some("p"), 10).await.expect("read"), []);
    assert!(!store.remove_pipeline("p").await.expect("not there"));
    assert!(!store.remove_connector("c").await.expect("not there"));
}

/// Writing about a pipeline that is not there is one.
pub async fn an_unknown_pipeline_takes_nothing(place: &impl StoreLocation) {
    let store = place.open().await;
    let empty = Snapshot {
        started: moment(0),
        version: 1,
        read_from: Vec::new(),
        partitions: Vec::new(),
        consistent_after: None,
    };
    let failures = [
        store.add_schema("p", &schema(b"schema")).await.map(|_| ()),
        store.advance("p", &checkpoint(1)).await,
        store.begin_intent(&intent("p", "t")).await,
        store.commit_intent("p", "t", &checkpoint(1), &Mismatches::default()).await,
        store.abandon_intent("p", "t").await,
        store.reset("p", None).await,
        store.begin_snapshot("p", &empty).await,
        store.finish_partitions("p", &[(0, 1)], &Mismatches::default()).await,
        store.finish_snapshot("p", b"").await,
        store.set_mismatches("p", &Mismatches::default()).await,
    ];
    for failure in failures {
        let error = failure.expect_err("no such pipeline");
        assert!(matches!(&error, StateError::Missing { what: "pipeline", name } if name == "p"), "{error:?}");
    }
    assert_eq!(store.epoch("p").await.expect("read"), 0);
}
