//! Of what outlives a store, of several tasks, and of the twin.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::{StoreLocation, applied, apply, checkpoint, connector, intent, moment, record, schema};
use crate::{DynStateStore, Figures, Mismatches, Role, RunStart, Snapshot, SnapshotPartition, StateStore};

const FIGURES: Figures = Figures { rows: 10, bytes: 1000, extra_values: 3, dead_letters: 1 };

/// What was acknowledged is there when the store is opened again.
pub async fn everything_survives_reopening(place: &impl StoreLocation) {
    let store = applied(place).await;
    let partition = SnapshotPartition { index: 0, partition: vec![1], done: true, rows: 4 };
    let snapshot = Snapshot {
        started: moment(0),
        version: 1,
        read_from: vec![1],
        partitions: vec![partition],
        consistent_after: None,
    };
    store.reset("p", None).await.expect("reset");
    store.add_schema("p", &schema(b"schema")).await.expect("saved");
    store.begin_snapshot("p", &snapshot).await.expect("saved");
    for token in ["a", "b", "c"] {
        store.begin_intent(&intent("p", token)).await.expect("noted");
    }
    store.commit_intent("p", "b", &checkpoint(2), &Mismatches::default()).await.expect("committed");
    let run = RunStart { pipeline: "p".into(), mode: "full".into(), version: "1".into(), started: moment(0) };
    let id = store.start_run(&run).await.expect("begun");
    store.touch_run(id, FIGURES).await.expect("noted");
    drop(store);

    let store = place.open().await;
    let (click, mongo) = (connector("click", Role::Target), connector("mongo", Role::Source));
    assert_eq!(store.connectors().await.expect("read"), [click, mongo]);
    assert_eq!(store.pipelines().await.expect("read"), [record("p")]);
    assert_eq!(store.epoch("p").await.expect("read"), 1);
    assert_eq!(store.schemas("p").await.expect("read").len(), 1);
    assert_eq!(store.snapshot("p").await.expect("read"), Some(snapshot));
    assert_eq!(store.open_intents("p").await.expect("read"), [intent("p", "a"), intent("p", "c")]);
    assert_eq!(store.checkpoint("p").await.expect("read"), Some(checkpoint(2)));
    let runs = store.runs(None, 10).await.expect("read");
    assert_eq!((runs[0].id, runs[0].figures), (id, FIGURES));
    store.begin_intent(&intent("p", "d")).await.expect("noted");
    assert!(store.start_run(&run).await.expect("begun") > id, "numbers go on");
}

/// Tasks that commit at the same time lose nothing, and readers see checkpoints that only grow.
pub async fn tasks_commit_side_by_side<P: StoreLocation>(place: &P) {
    const ROUNDS: u8 = 40;
    let store = Arc::new(applied(place).await);
    store.put_pipeline(&record("q")).await.expect("saved");
    let work = |pipeline: &'static str| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for round in 1..=ROUNDS {
                let token = format!("{pipeline} {round}");
                store.begin_intent(&intent(pipeline, &token)).await.expect("noted");
                store
                    .commit_intent(pipeline, &token, &checkpoint(round), &Mismatches::default())
                    .await
                    .expect("committed");
            }
        })
    };
    let (p, q) = (work("p"), work("q"));
    let reader = Arc::clone(&store);
    let looking = tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.last() != Some(&ROUNDS) {
            let found = reader.checkpoint("p").await.expect("read");
            seen.push(found.map_or(0, |found| found.order[0]));
            tokio::task::yield_now().await;
        }
        assert!(seen.is_sorted(), "{seen:?}");
    });
    for task in [p, q, looking] {
        tokio::time::timeout(Duration::from_secs(60), task).await.expect("in time").expect("no panic");
    }
    for pipeline in ["p", "q"] {
        assert_eq!(store.checkpoint(pipeline).await.expect("read"), Some(checkpoint(ROUNDS)));
        assert_eq!(store.open_intents(pipeline).await.expect("read"), []);
    }
}

/// A future that is dropped at any point has saved the checkpoint and closed the intent, or neither; and the
/// store continues.
pub async fn a_call_given_up_has_all_of_its_effect_or_none(place: &impl StoreLocation) {
    let store = applied(place).await;
    let (mut last, mut committed) = (0, 0);
    let mut mismatch = Mismatches::default();
    mismatch.documents.insert("bad".to_owned(), 1);
    for round in 1..=90_u8 {
        store.begin_intent(&intent("p", "t")).await.expect("noted");
        let at = checkpoint(round);
        let commit = store.commit_intent("p", "t", &at, &mismatch);
        match polled(commit, usize::from(round % 30)).await {
            Some(done) => done.expect("committed"),
            // It may still be under way; a transaction of our own comes after it.
            None => assert!(store.set_paused("p", false).await.expect("set")),
        }
        let found = store.checkpoint("p").await.expect("read");
        let open = store.open_intents("p").await.expect("read");
        if found == Some(at) {
            assert_eq!(open, [], "round {round}");
            (last, committed) = (round, committed + 1);
        } else {
            assert_eq!(open, [intent("p", "t")], "round {round}");
            assert_eq!(found.map_or(0, |found| found.order[0]), last, "round {round}");
            store.abandon_intent("p", "t").await.expect("abandoned");
        }
        assert_eq!(store.mismatches("p", None).await.expect("read").documents_total(), committed);
    }
    assert!(last > 0, "some were waited for");
}

/// Polls a future so many times, each time it asks for it, and gives it up then.
async fn polled<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The object-safe twin does what the store does, and so do its clones.
pub async fn the_boxed_twin_is_the_same_store(place: &impl StoreLocation) {
    let twin = DynStateStore::new(place.open().await);
    apply(&twin).await;
    let clone = twin.clone();
    clone.begin_intent(&intent("p", "t")).await.expect("noted");
    assert_eq!(twin.open_intents("p").await.expect("read"), [intent("p", "t")]);
    let nested = DynStateStore::new(Arc::new(twin));
    nested.commit_intent("p", "t", &checkpoint(1), &Mismatches::default()).await.expect("committed");
    assert_eq!(clone.checkpoint("p").await.expect("read"), Some(checkpoint(1)));
}
