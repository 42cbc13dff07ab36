//! Of snapshots and their partitions.

use super::{StoreLocation, applied, moment};
use crate::{Mismatches, Snapshot, SnapshotPartition, StateError, StateStore};

fn partition(index: u32) -> SnapshotPartition {
    SnapshotPartition { index, partition: index.to_be_bytes().to_vec(), done: false, rows: 0 }
}

fn snapshot(partitions: impl IntoIterator<Item = u32>) -> Snapshot {
    Snapshot {
        started: moment(1),
        version: 7_000_000_000 << 32,
        read_from: vec![0, 0xff],
        partitions: partitions.into_iter().map(partition).collect(),
        consistent_after: None,
    }
}

/// No value is changed by being kept; partitions come in order.
pub async fn a_snapshot_comes_back(place: &impl StoreLocation) {
    let store = applied(place).await;
    assert_eq!(store.snapshot("p").await.expect("read"), None);
    store.begin_snapshot("p", &snapshot([2, 0, u32::MAX, 1])).await.expect("saved");
    assert_eq!(store.snapshot("p").await.expect("read"), Some(snapshot([0, 1, 2, u32::MAX])));
    let mut done = Snapshot { version: u64::MAX, consistent_after: Some(Vec::new()), ..snapshot([3]) };
    done.partitions[0].done = true;
    done.partitions[0].rows = u64::MAX;
    store.begin_snapshot("p", &done).await.expect("replaced");
    assert_eq!(store.snapshot("p").await.expect("read"), Some(done));
}

/// Nothing of an earlier snapshot remains.
pub async fn a_snapshot_replaces_another(place: &impl StoreLocation) {
    let store = applied(place).await;
    store.begin_snapshot("p", &snapshot(0..300)).await.expect("saved");
    store.finish_partitions("p", &[(1, 10)], &Mismatches::default()).await.expect("finished");
    store.begin_snapshot("p", &snapshot(1..3)).await.expect("replaced");
    assert_eq!(store.snapshot("p").await.expect("read"), Some(snapshot(1..3)));
}

/// Partitions are finished one by one, and then the snapshot is.
pub async fn partitions_are_finished(place: &impl StoreLocation) {
    let store = applied(place).await;
    let mut expected = snapshot(0..3);
    store.begin_snapshot("p", &expected).await.expect("saved");
    for (index, rows) in [(2, 20), (0, 5), (0, 6), (1, 0)] {
        store.finish_partitions("p", &[(index, rows)], &Mismatches::default()).await.expect("finished");
        let partition = &mut expected.partitions[usize::try_from(index).expect("small")];
        (partition.done, partition.rows) = (true, rows);
        assert_eq!(store.snapshot("p").await.expect("read"), Some(expected.clone()));
    }
    store.finish_snapshot("p", b"later").await.expect("finished");
    expected.consistent_after = Some(b"later".to_vec());
    assert_eq!(store.snapshot("p").await.expect("read"), Some(expected));
    store.begin_snapshot("p", &snapshot([])).await.expect("replaced");
    store.finish_snapshot("p", b"").await.expect("an empty collection has no partitions");
}

/// A snapshot is not finished while a partition is missing, and there is no end to what was not begun.
pub async fn an_unfinished_snapshot_stays_so(place: &impl StoreLocation) {
    let store = applied(place).await;
    let error = store.finish_snapshot("p", b"later").await.expect_err("no snapshot");
    assert!(matches!(error, StateError::Missing { .. }), "{error:?}");
    let error =
        store.finish_partitions("p", &[(0, 1)], &Mismatches::default()).await.expect_err("no snapshot");
    assert!(matches!(error, StateError::Missing { .. }), "{error:?}");
    store.begin_snapshot("p", &snapshot(0..3)).await.expect("saved");
    store.finish_partitions("p", &[(1, 1)], &Mismatches::default()).await.expect("finished");
    let error =
        store.finish_partitions("p", &[(3, 1)], &Mismatches::default()).await.expect_err("no such partition");
    assert!(matches!(&error, StateError::Missing { name, .. } if name == "3"), "{error:?}");
    let error = store.finish_snapshot("p", b"later").await.expect_err("two are missing");
    assert!(matches!(error, StateError::Unfinished { partitions: 2, .. }), "{error:?}");
    assert_eq!(store.snapshot("p").await.expect("read").expect("there").consistent_after, None);
}

/// Two partitions of one index are a mistake, and the earlier snapshot stays.
pub async fn indexes_are_unique(place: &impl StoreLocation) {
    let store = applied(place).await;
    store.begin_snapshot("p", &snapshot([5])).await.expect("saved");
    let error = store.begin_snapshot("p", &snapshot([1, 2, 1])).await.expect_err("1 and 1");
    assert!(matches!(error, StateError::RepeatedPartition { index: 1, .. }), "{error:?}");
    assert_eq!(store.snapshot("p").await.expect("read"), Some(snapshot([5])));
}
