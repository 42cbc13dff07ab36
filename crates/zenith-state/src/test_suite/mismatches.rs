//! Of what did not fit.

use std::time::{Duration, SystemTime};

use super::{StoreLocation, applied, checkpoint, intent, record};
use crate::{
    Checkpoint, FIELDS_MAX, Mismatches, OTHER_FIELDS, OTHER_REASONS, REASONS_MAX, SLOT, Snapshot,
    SnapshotPartition, StateStore,
};

/// Values of a field and documents, each for one reason.
fn mismatches(field: &str, values: u64, documents: u64) -> Mismatches {
    let mut mismatches = Mismatches::default();
    if values > 0 {
        mismatches.values.insert(field.to_owned(), [("no column".to_owned(), values)].into());
    }
    if documents > 0 {
        mismatches.documents.insert("not BSON".to_owned(), documents);
    }
    mismatches
}

/// They are counted with the commit that says their rows are there, in all and for the last hour; a commit that is
/// refused counts nothing.
pub async fn mismatches_are_counted_with_their_rows<P: StoreLocation>(place: &P) {
    const HOUR: Duration = Duration::from_secs(3600);
    let store = applied(place).await;
    store.put_pipeline(&record("q")).await.expect("saved");
    let now = SystemTime::now();
    let at = |order, saved| Checkpoint { saved, ..checkpoint(order) };
    let commits = [
        (1, now - 2 * HOUR, mismatches("a", 5, 1)),
        (2, now, mismatches("a", 2, 0)),
        (3, now, mismatches("\u{1F980}.b", 1, 4)),
    ];
    for (order, saved, mismatches) in &commits {
        store.begin_intent(&intent("p", "t")).await.expect("noted");
        store.commit_intent("p", "t", &at(*order, *saved), mismatches).await.expect("committed");
    }
    let refused = store.commit_intent("p", "t", &at(4, now), &mismatches("a", 100, 100)).await;
    refused.expect_err("it is closed");
    store.begin_intent(&intent("p", "u")).await.expect("noted");
    store.commit_intent("p", "u", &at(2, now), &mismatches("a", 100, 100)).await.expect_err("a step back");

    let sum = |commits: &[(u8, SystemTime, Mismatches)]| {
        let mut sum = Mismatches::default();
        commits.iter().for_each(|(_, _, mismatches)| sum.add(mismatches));
        sum
    };
    let last_hour = Some(now - HOUR);
    assert_eq!(store.mismatches("p", None).await.expect("read"), sum(&commits));
    assert_eq!(store.mismatches("p", last_hour).await.expect("read"), sum(&commits[1..]));
    assert_eq!(store.mismatches("q", None).await.expect("read"), Mismatches::default());
    let slots = store.mismatch_slots("p").await.expect("read");
    let mut of_slots = Mismatches::default();
    slots.iter().for_each(|(_, mismatches)| of_slots.add(mismatches));
    assert_eq!(of_slots, sum(&commits[1..]));
    for (begins, _) in &slots {
        assert!(*begins <= now && now - Duration::from_secs(SLOT) < *begins, "{slots:?}");
    }
    assert_eq!(store.mismatch_slots("q").await.expect("read"), []);
    assert_eq!(sum(&commits).values_total(), 8);
    assert_eq!(sum(&commits).documents_total(), 5);
    store.reset("p", None).await.expect("reset");
    drop(store);
    let store = place.open().await;
    assert_eq!(store.mismatches("p", None).await.expect("read"), sum(&commits), "the table is as it was");
    store.remove_pipeline("p").await.expect("removed");
    store.put_pipeline(&record("p")).await.expect("saved");
    assert_eq!(store.mismatches("p", None).await.expect("read"), Mismatches::default());
}

/// A part of a snapshot that is finished twice has been read once.
pub async fn mismatches_of_parts_are_counted_once(place: &impl StoreLocation) {
    let store = applied(place).await;
    let part = |index| SnapshotPartition { index, partition: vec![1], done: false, rows: 0 };
    let snapshot = Snapshot {
        started: SystemTime::now(),
        version: 1,
        read_from: Vec::new(),
        partitions: vec![part(0), part(1)],
        consistent_after: None,
    };
    store.begin_snapshot("p", &snapshot).await.expect("saved");
    for index in [0, 0, 1] {
        store.finish_partitions("p", &[(index, 10)], &mismatches("a", 3, 1)).await.expect("finished");
    }
    store.finish_partitions("p", &[(7, 10)], &mismatches("a", 3, 1)).await.expect_err("no such part");
    assert_eq!(store.mismatches("p", None).await.expect("read"), mismatches("a", 6, 2));
    store.begin_snapshot("p", &snapshot).await.expect("begun again");
    store.finish_partitions("p", &[(0, 1), (7, 1)], &mismatches("a", 3, 1)).await.expect_err("no such part");
    assert_eq!(store.snapshot("p").await.expect("read"), Some(snapshot), "all of them or none");
    store.finish_partitions("p", &[(1, 1), (0, 1)], &mismatches("a", 3, 1)).await.expect("finished");
    assert_eq!(store.mismatches("p", None).await.expect("read"), mismatches("a", 9, 3));
}

/// A table that was loaded again has its own, and nothing else counts any more.
pub async fn mismatches_of_a_loaded_table_replace_earlier_ones(place: &impl StoreLocation) {
    let store = applied(place).await;
    let last_hour = Some(SystemTime::now() - Duration::from_secs(3600));
    for mismatches in [mismatches("a", 3, 1), mismatches("b", 2, 0), Mismatches::default()] {
        store.set_mismatches("p", &mismatches).await.expect("set");
        assert_eq!(store.mismatches("p", None).await.expect("read"), mismatches);
        assert_eq!(store.mismatches("p", last_hour).await.expect("read"), mismatches);
    }
}

/// Values of a field and of its parts are counted anew, and others stay.
pub async fn values_are_counted_again(place: &impl StoreLocation) {
    let store = applied(place).await;
    let of = |fields: &[(&str, &str, u64)]| {
        let mut counted = Mismatches::default();
        for (field, reason, count) in fields {
            counted.values.entry((*field).to_owned()).or_default().insert((*reason).to_owned(), *count);
        }
        counted
    };
    let counted =
        [("a", "none", 3), ("a", "other", 1), ("a.b", "none", 2), ("a%", "none", 4), ("ab", "none", 5)];
    store.set_mismatches("p", &of(&counted)).await.expect("set");
    let last_hour = Some(SystemTime::now() - Duration::from_secs(3600));
    for (fields, instead, left) in [
        (
            &["a"][..],
            of(&[("a", "other", 1)]),
            &[("a", "other", 2), ("a%", "none", 4), ("ab", "none", 5)][..],
        ),
        (&["b", "ab"], Mismatches::default(), &[("a", "other", 2), ("a%", "none", 4)]),
    ] {
        let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        store.recount_values("p", &fields, "none", &instead).await.expect("counted");
        for after in [None, last_hour] {
            assert_eq!(store.mismatches("p", after).await.expect("read"), of(left));
        }
    }
    store.recount_values("unknown", &[], "none", &Mismatches::default()).await.expect_err("no such pipeline");
}

/// Settled dead letters no longer count, in all and in the last hour, and the count never falls below zero.
pub async fn settled_letters_are_not_counted_any_more(place: &impl StoreLocation) {
    let store = applied(place).await;
    let last_hour = Some(SystemTime::now() - Duration::from_secs(3600));
    let mut counted = mismatches("a", 3, 5);
    counted.documents.insert("other".to_owned(), 1);
    store.set_mismatches("p", &counted).await.expect("set");
    let reason = counted.documents.keys().find(|reason| *reason != "other").expect("one").clone();
    for (settled, left) in [(2, Some(3)), (9, None), (1, None)] {
        store.settle_letters("p", &[(reason.clone(), settled)].into()).await.expect("settled");
        for after in [None, last_hour] {
            let found = store.mismatches("p", after).await.expect("read");
            assert_eq!(found.documents.get(&reason).copied(), left);
            assert_eq!((found.documents["other"], &found.values), (1, &counted.values));
        }
    }
    store.settle_letters("unknown", &[(reason, 1)].into()).await.expect("nothing to do");
}

/// Keys without end are counted under one name once there are many, and those that were there before keep theirs.
pub async fn fields_and_reasons_are_bounded(place: &impl StoreLocation) {
    let store = applied(place).await;
    let many = |first: usize, count: usize| {
        let mut many = Mismatches::default();
        for number in first..first + count {
            many.add(&mismatches(&format!("f{number:06}"), 1, 0));
            many.documents.insert(format!("r{number:06}"), 1);
        }
        many
    };
    store.set_mismatches("p", &many(0, FIELDS_MAX - 1)).await.expect("set");
    for (order, first) in [(1, FIELDS_MAX - 1), (2, 2 * FIELDS_MAX)] {
        store.begin_intent(&intent("p", "t")).await.expect("noted");
        let at = Checkpoint { saved: SystemTime::now(), ..checkpoint(order) };
        store.commit_intent("p", "t", &at, &many(first, 10)).await.expect("committed");
    }
    let found = store.mismatches("p", None).await.expect("read");
    assert_eq!((found.values.len(), found.documents.len()), (FIELDS_MAX + 1, REASONS_MAX + 1));
    assert_eq!(found.values[OTHER_FIELDS]["no column"], 19);
    assert_eq!(found.values[&format!("f{:06}", FIELDS_MAX - 1)]["no column"], 1);
    assert!(found.documents.contains_key(OTHER_REASONS));
    let all = u64::try_from(FIELDS_MAX + 19).expect("small");
    assert_eq!((found.values_total(), found.documents_total()), (all, all));
    store.begin_intent(&intent("p", "t")).await.expect("noted");
    store.commit_intent("p", "t", &checkpoint(3), &mismatches("f000000", 1, 0)).await.expect("committed");
    assert_eq!(store.mismatches("p", None).await.expect("read").values["f000000"]["no column"], 2);
}
