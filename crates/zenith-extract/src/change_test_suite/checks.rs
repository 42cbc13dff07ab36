//! The tests of the suite, one function each.

use std::time::{Duration, Instant};

use bson::{RawBson, RawDocumentBuf};
use zenith_memory::Pool;

use super::{ChangeWriter, IDLE, MIB, Seen, TIMEOUT, document, inserts, kinds, options, read, seen, sibling};
use crate::{
    ChangeKind, ChangeReader, ChangeSource, DynSource, MemoryChange as Change, Namespace, ReplyBudget,
    ResumeToken, Scope, Source, StartAt, WatchOptions,
};

/// Inserts, updates, replacements and deletions of one collection, and nothing of another; in every scope.
pub async fn changes_of_every_kind_come_in_order<S: ChangeSource, W: ChangeWriter>(
    make: impl AsyncFn() -> (S, W, Namespace),
) {
    let (source, writer, namespace) = make().await;
    let other = sibling(&namespace, "other");
    let found = source.change_preflight(std::slice::from_ref(&namespace)).await.expect("preflight");
    assert_eq!(found.scope, Scope::Collection(namespace.clone()));
    assert!(found.oplog_window.is_some());
    let mut readers = Vec::new();
    for scope in
        [Scope::Cluster, Scope::Database(namespace.database.clone()), Scope::Collection(namespace.clone())]
    {
        let options = options(scope, std::slice::from_ref(&namespace));
        readers.push(source.watch(options).await.expect("watching"));
    }
    let of = |change: fn(Namespace, RawDocumentBuf) -> Change, document| change(namespace.clone(), document);
    writer
        .write(
            vec![
                of(Change::Insert, document(1, "a")),
                Change::Insert(other.clone(), document(7, "of another")),
                of(Change::Update, document(1, "b")),
                of(Change::Replace, document(1, "c")),
                Change::Delete(namespace.clone(), RawBson::Int32(1)),
                Change::Delete(other, RawBson::Int32(7)),
                of(Change::Insert, document(2, "d")),
            ],
            false,
        )
        .await;
    for mut reader in readers {
        let found = read(&mut reader, 5).await;
        let expected = [
            ChangeKind::Insert,
            ChangeKind::Update,
            ChangeKind::Replace,
            ChangeKind::Delete,
            ChangeKind::Insert,
        ];
        assert_eq!(kinds(&found), expected);
        let ids: Vec<_> = found.iter().map(|seen| seen.id.clone()).collect();
        assert_eq!(ids, [1, 1, 1, 1, 2].map(|id| Some(RawBson::Int32(id))));
        let documents: Vec<_> = found.iter().map(|seen| seen.document.clone()).collect();
        let text = |id, text| Some(document(id, text));
        assert_eq!(documents, [text(1, "a"), None, text(1, "c"), None, text(2, "d")]);
        assert!(found.iter().all(|seen| seen.namespace == namespace && seen.transaction.is_none()));
        assert!(found.windows(2).all(|pair| pair[0].time < pair[1].time), "{found:?}");
    }
}

/// A stream begins when it is opened, even if it is not read yet; times separate earlier changes from later ones.
pub async fn what_was_before_the_opening_does_not_come<S: ChangeSource, W: ChangeWriter>(
    make: impl AsyncFn() -> (S, W, Namespace),
) {
    let (source, writer, namespace) = make().await;
    let watch = || source.watch(options(Scope::Cluster, std::slice::from_ref(&namespace)));
    let mut earlier = watch().await.expect("watching");
    writer.write(inserts(&namespace, 0..10), false).await;
    // Not what `now` says here: that may be the time of what somebody else has just begun.
    let before = read(&mut earlier, 10).await[9].time;
    let mut reader = watch().await.expect("watching");
    writer.write(inserts(&namespace, 10..20), false).await;
    let after = source.now().await.expect("the time");
    let (token, time) = reader.opened();
    assert!(before <= time && time < after, "{before} {time} {after}");
    let found = read(&mut reader, 10).await;
    assert_eq!(found[0].id, Some(RawBson::Int32(10)));
    assert!(found.iter().all(|seen| time < seen.time && seen.time <= after));
    assert!(token.order() < found[0].token.order());
    let from = StartAt::Time(found[4].time);
    let options = WatchOptions { from, ..options(Scope::Cluster, std::slice::from_ref(&namespace)) };
    let mut reader = source.watch(options).await.expect("watching from a time");
    assert_eq!(read(&mut reader, 6).await[0].id, found[4].id);
}

/// Its changes come one after the other, distinguished by their places.
pub async fn a_transaction_shares_its_time<S: ChangeSource, W: ChangeWriter>(
    make: impl AsyncFn() -> (S, W, Namespace),
) {
    let (source, writer, namespace) = make().await;
    let mut reader =
        source.watch(options(Scope::Cluster, std::slice::from_ref(&namespace))).await.expect("watching");
    let mut changes = inserts(&namespace, 0..1);
    changes.extend((0..4).map(|n| Change::Update(namespace.clone(), document(0, &n.to_string()))));
    changes.extend(inserts(&namespace, 1..2));
    writer.write(changes, true).await;
    writer.write(inserts(&namespace, 2..3), false).await;
    let found = read(&mut reader, 7).await;
    assert!(found[..6].iter().all(|seen| seen.time == found[0].time), "{found:?}");
    assert!(found[0].transaction.is_some());
    assert!(found[..6].iter().all(|seen| seen.transaction == found[0].transaction));
    assert!(found[6].time > found[0].time && found[6].transaction.is_none());
    // Also a place inside of it can be gone on after.
    let from = StartAt::Token(found[2].token.clone());
    let options = WatchOptions { from, ..options(Scope::Cluster, std::slice::from_ref(&namespace)) };
    let mut reader = source.watch(options).await.expect("watching from inside a transaction");
    let rest = read(&mut reader, 4).await;
    assert!(rest.iter().zip(&found[3..]).all(|(one, other)| one.token == other.token));
}

/// Replies without changes come in time, and their place moves on with what happens elsewhere.
pub async fn an_idle_stream_says_where_it_is<S: ChangeSource, W: ChangeWriter>(
    make: impl AsyncFn() -> (S, W, Namespace),
) {
    let (source, writer, namespace) = make().await;
    let mut reader =
        source.watch(options(Scope::Cluster, std::slice::from_ref(&namespace))).await.expect("watching");
    let other = sibling(&namespace, "other");
    let mut places = vec![reader.opened().0];
    for n in 0..4 {
        writer.write(inserts(&other, n..n + 1), false).await;
        let now = source.now().await.expect("the time");
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let begun = Instant::now();
            let batch = reader.next().await.expect("a reply");
            assert!(batch.is_empty() && batch.changes().next().is_none());
            assert!(begun.elapsed() < 20 * IDLE, "{:?}", begun.elapsed());
            places.push(batch.token_after().clone());
            if batch.token_after().cluster_time() >= Some(now) {
                break;
            }
            assert!(Instant::now() < deadline, "the place does not move on: {places:?}");
        }
    }
    assert!(places.windows(2).all(|pair| pair[0].order() <= pair[1].order()), "{places:?}");
    // The place of an idle stream can be gone on after.
    writer.write(inserts(&namespace, 0..1), false).await;
    let from = StartAt::Token(places.pop().expect("a place"));
    let options = WatchOptions { from, ..options(Scope::Cluster, std::slice::from_ref(&namespace)) };
    let mut reader = source.watch(options).await.expect("watching");
    assert_eq!(read(&mut reader, 1).await[0].id, Some(RawBson::Int32(0)));
}

/// After each event and each reply, also when encoded in between.
pub async fn a_stream_goes_on_after_any_place<S: ChangeSource, W: ChangeWriter>(
    make: impl AsyncFn() -> (S, W, Namespace),
) {
    let (source, writer, namespace) = make().await;
    let small = |from| WatchOptions {
        from,
        batch_bytes: 1,
        ..options(Scope::Cluster, std::slice::from_ref(&namespace))
    };
    let mut reader = source.watch(small(StartAt::Now)).await.expect("watching");
    let opened = reader.opened().0;
    writer.write(inserts(&namespace, 0..40), false).await;
    let all = read(&mut reader, 40).await;
    let mut places: Vec<_> = [0, 1, 20, 38].map(|at: usize| (all[at].token.clone(), at + 1)).into();
    places.push((opened, 0));
    for (place, at) in places {
        let place = ResumeToken::decode(&place.encode()).expect("a place that was written down");
        let mut reader = source.watch(small(StartAt::Token(place))).await.expect("watching from a place");
        let mut found = Vec::new();
        while found.len() < all.len() - at {
            let batch = reader.next().await.expect("the next changes");
            found.extend(seen(&batch));
            // A reply's place is as good as the reader itself.
            let rest = StartAt::Token(batch.token_after().clone());
            if found.len() == 7 {
                reader = source.watch(small(rest)).await.expect("watching from a reply's place");
            }
        }
        let ids = |seen: &[Seen]| seen.iter().map(|seen| seen.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&found), ids(&all[at..]));
    }
}

/// A stream of everything reports the end of its collections, and outlives it.
pub async fn drops_and_renames_come<S: ChangeSource, W: ChangeWriter>(
    make: impl AsyncFn() -> (S, W, Namespace),
) {
    let (source, writer, namespace) = make().await;
    let (second, other) = (sibling(&namespace, "second"), sibling(&namespace, "other"));
    let watched = [namespace.clone(), second.clone()];
    let mut reader = source.watch(options(Scope::Cluster, &watched)).await.expect("watching");
    let mut changes = inserts(&namespace, 0..1);
    changes.push(Change::Rename(namespace.clone(), other.clone()));
    changes.extend(inserts(&other, 1..2));
    changes.push(Change::Rename(other.clone(), second.clone()));
    changes.push(Change::Drop(second.clone()));
    changes.extend(inserts(&namespace, 0..1));
    changes.push(Change::DropDatabase(namespace.database.clone()));
    changes.extend(inserts(&namespace, 5..6));
    writer.write(changes, false).await;
    let found = read(&mut reader, 8).await;
    let expected = [
        ChangeKind::Insert,
        ChangeKind::Rename,
        ChangeKind::Rename,
        ChangeKind::Drop,
        ChangeKind::Insert,
        ChangeKind::Drop,
        ChangeKind::DropDatabase,
        ChangeKind::Insert,
    ];
    assert_eq!(kinds(&found), expected, "{found:#?}");
    assert_eq!((&found[1].namespace, &found[1].renamed_to), (&namespace, &Some(other.clone())));
    assert_eq!((&found[2].namespace, &found[2].renamed_to), (&other, &Some(second.clone())));
    assert_eq!(found[3].namespace, second);
    assert_eq!(found[6].namespace, Namespace::new(namespace.database.clone(), ""));
}

/// A stream of one collection or database ends with it, and begins again by itself; its last place is good, too.
pub async fn an_invalidated_stream_goes_on<S: ChangeSource, W: ChangeWriter>(
    make: impl AsyncFn() -> (S, W, Namespace),
) {
    let (source, writer, namespace) = make().await;
    let watched = std::slice::from_ref(&namespace);
    writer.write(inserts(&namespace, 0..1), false).await;
    let database = Scope::Database(namespace.database.clone());
    let mut of_database = source.watch(options(database.clone(), watched)).await.expect("watching");
    let collection = Scope::Collection(namespace.clone());
    let mut of_collection = source.watch(options(collection.clone(), watched)).await.expect("watching");
    let mut changes = vec![Change::Drop(namespace.clone())];
    changes.extend(inserts(&namespace, 1..2));
    changes.push(Change::DropDatabase(namespace.database.clone()));
    changes.extend(inserts(&namespace, 2..3));
    writer.write(changes, false).await;
    let found = read(&mut of_collection, 6).await;
    let (drop, invalidate, insert) = (ChangeKind::Drop, ChangeKind::Invalidate, ChangeKind::Insert);
    assert_eq!(kinds(&found), [drop, invalidate, insert, drop, invalidate, insert], "{found:#?}");
    assert_eq!(found[5].id, Some(RawBson::Int32(2)));
    let from = StartAt::Token(found[1].token.clone());
    let options_ = WatchOptions { from, ..options(collection, watched) };
    let mut reader = source.watch(options_).await.expect("watching from an invalidation");
    assert_eq!(read(&mut reader, 4).await[0].id, Some(RawBson::Int32(1)));
    let found = read(&mut of_database, 6).await;
    let dropped = ChangeKind::DropDatabase;
    assert_eq!(kinds(&found), [drop, insert, drop, dropped, invalidate, insert], "{found:#?}");
    let from = StartAt::Token(found[4].token.clone());
    let mut reader =
        source.watch(WatchOptions { from, ..options(database, watched) }).await.expect("watching");
    assert_eq!(read(&mut reader, 1).await[0].id, Some(RawBson::Int32(2)));
}

/// The places of replies of one scope are places of the others, also where the collection was dropped and where the last
/// event was of another one: who follows one collection may follow more later, or fewer.
pub async fn a_place_is_one_in_every_scope<S: ChangeSource, W: ChangeWriter>(
    make: impl AsyncFn() -> (S, W, Namespace),
) {
    let (source, writer, namespace) = make().await;
    let watched = [namespace.clone(), sibling(&namespace, "other")];
    let watch = async |scope: &Scope, from| {
        let watched = if matches!(scope, Scope::Collection(_)) { &watched[..1] } else { &watched };
        let options = WatchOptions { from, batch_bytes: 1, ..options(scope.clone(), watched) };
        source.watch(options).await.expect("watching")
    };
    let database = Scope::Database(namespace.database.clone());
    let scopes = [Scope::Collection(namespace.clone()), database, Scope::Cluster];
    let mut readers = Vec::new();
    for scope in &scopes {
        readers.push(watch(scope, StartAt::Now).await);
    }
    let mut changes = inserts(&namespace, 0..1);
    // The wider streams have places that the stream of one collection has not.
    changes.extend(inserts(&watched[1], 0..1));
    changes.extend(inserts(&namespace, 1..2));
    changes.push(Change::Drop(namespace.clone()));
    changes.extend(inserts(&namespace, 2..3));
    changes.extend(inserts(&watched[1], 1..2));
    changes.extend(inserts(&namespace, 3..4));
    writer.write(changes, false).await;
    let inserted = |found: &[Seen]| -> Vec<Option<RawBson>> {
        let ours = |seen: &&Seen| seen.kind == ChangeKind::Insert && seen.namespace == namespace;
        found.iter().filter(ours).map(|seen| seen.id.clone()).collect()
    };
    let mut places = Vec::new();
    for mut reader in readers {
        let (mut count, deadline) = (0, Instant::now() + TIMEOUT);
        places.push((reader.opened().0, count));
        while count < 4 {
            assert!(Instant::now() < deadline, "{count} changes of 4");
            let batch = reader.next().await.expect("the next changes");
            count += inserted(&seen(&batch)).len();
            places.push((batch.token_after().clone(), count));
        }
    }
    writer.write(inserts(&namespace, 4..5), false).await;
    let all: Vec<_> = (0..5).map(|id| Some(RawBson::Int32(id))).collect();
    for (place, count) in places {
        for scope in &scopes {
            let mut reader = watch(scope, StartAt::Token(place.clone())).await;
            let (mut found, deadline) = (Vec::new(), Instant::now() + TIMEOUT);
            while found.last() != all.last() && Instant::now() < deadline {
                found.extend(inserted(&seen(&reader.next().await.expect("the next changes"))));
            }
            assert_eq!(found, all[count..], "{scope:?} after {place:?}");
        }
    }
}

/// Each update comes with the document of its own time, where images are kept; elsewhere without.
pub async fn images_come_if_asked_for<S: ChangeSource, W: ChangeWriter>(
    make: impl AsyncFn() -> (S, W, Namespace),
) {
    let (source, writer, namespace) = make().await;
    let second = sibling(&namespace, "second");
    writer.write([inserts(&namespace, 1..2), inserts(&second, 2..3)].concat(), false).await;
    writer.keep_images(&namespace).await;
    let watched = [namespace.clone(), second.clone()];
    let asked = WatchOptions { images: true, ..options(Scope::Cluster, &watched) };
    let mut with = source.watch(asked).await.expect("watching with images");
    let mut without = source.watch(options(Scope::Cluster, &watched)).await.expect("watching");
    let of = |namespace: &Namespace, id, text| Change::Update(namespace.clone(), document(id, text));
    writer.write(vec![of(&namespace, 1, "a"), of(&second, 2, "b"), of(&namespace, 1, "c")], false).await;
    let documents = |seen: Vec<Seen>| seen.into_iter().map(|seen| seen.document).collect::<Vec<_>>();
    let expected = [Some(document(1, "a")), None, Some(document(1, "c"))];
    assert_eq!(documents(read(&mut with, 3).await), expected);
    assert_eq!(documents(read(&mut without, 3).await), [None, None, None]);
}

/// As they are now, however many are requested; what is not there is absent.
pub async fn a_look_up_finds_what_is_there<S: ChangeSource, W: ChangeWriter>(
    make: impl AsyncFn() -> (S, W, Namespace),
) {
    let (source, writer, namespace) = make().await;
    let pool = Pool::new(64 * MIB).expect("a pool");
    let reply_budget = ReplyBudget::new(pool.clone());
    let ids = |ids: std::ops::Range<i32>| ids.map(RawBson::Int32).collect::<Vec<_>>();
    let missing = sibling(&namespace, "missing");
    let found = source.lookup(&missing, &ids(0..3), None, &reply_budget).await.expect("a look-up");
    assert!(found.iter().all(|batch| batch.is_empty()));
    assert!(source.lookup(&namespace, &[], None, &reply_budget).await.expect("a look-up").is_empty());
    writer.write(inserts(&namespace, 0..300), false).await;
    writer.write(vec![Change::Update(namespace.clone(), document(7, "changed"))], false).await;
    writer.write(vec![Change::Delete(namespace.clone(), RawBson::Int32(8))], false).await;
    let now = source.now().await.expect("the time");
    for (asked, after) in [(0..20, Some(now)), (0..25_000, None), (400..500, Some(now))] {
        let batches =
            source.lookup(&namespace, &ids(asked.clone()), after, &reply_budget).await.expect("a look-up");
        let whole = |bytes: &[u8]| RawDocumentBuf::from_bytes(bytes.to_vec()).expect("a document");
        let mut found: Vec<RawDocumentBuf> =
            batches.iter().flat_map(|batch| batch.documents().map(whole)).collect();
        let id = |document: &RawDocumentBuf| document.get_i32("_id").expect("an _id");
        found.sort_by_key(id);
        let there = asked.filter(|id| *id < 300 && *id != 8);
        let expected: Vec<_> =
            there.map(|id| document(id, if id == 7 { "changed" } else { "new" })).collect();
        assert!(found == expected, "{} documents instead of {}", found.len(), expected.len());
    }
    assert_eq!(pool.stats().in_use, 0);
}

/// Batches hold memory while they live; readers that stop hold none afterwards.
pub async fn changes_hold_memory_while_they_live<S: ChangeSource, W: ChangeWriter>(
    make: impl AsyncFn() -> (S, W, Namespace),
) {
    let (source, writer, namespace) = make().await;
    let pool = Pool::new(4 * MIB).expect("a pool");
    let options = WatchOptions {
        reply_budget: ReplyBudget::new(pool.clone()),
        batch_bytes: 10_000,
        ..options(Scope::Cluster, std::slice::from_ref(&namespace))
    };
    let mut reader = source.watch(options).await.expect("watching");
    writer.write(inserts(&namespace, 0..500), false).await;
    let (mut held, mut count, mut bytes) = (Vec::new(), 0, 0);
    while count < 500 {
        let batch = reader.next().await.expect("the next changes");
        count += batch.len();
        bytes += batch.byte_len();
        held.push(batch);
    }
    assert!(held.len() > 5, "{} batches of {bytes} bytes", held.len());
    assert!(pool.stats().in_use >= bytes, "batches are not accounted for");
    // What is held can still be read, by others as well.
    let held = std::sync::Arc::new(held);
    let reading = tokio::spawn(async move { held.iter().map(|batch| seen(batch).len()).sum::<usize>() });
    assert_eq!(reading.await.expect("reading"), 500);
    drop(reader);
    for _ in 0..200 {
        if pool.stats().in_use == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} bytes are still held", pool.stats().in_use);
}

/// The dynamic twin gives what the source gives.
pub async fn a_source_of_forgotten_type_is_the_same_source<S: Source + ChangeSource, W: ChangeWriter>(
    make: impl AsyncFn() -> (S, W, Namespace),
) {
    let (source, writer, namespace) = make().await;
    let source = DynSource::new(source);
    let watched = std::slice::from_ref(&namespace);
    let found = source.change_preflight(watched).await.expect("preflight");
    let mut reader = source.watch(options(found.scope, watched)).await.expect("watching");
    writer.write(inserts(&namespace, 0..3), false).await;
    assert_eq!(read(&mut reader, 3).await.len(), 3);
    assert!(source.now().await.expect("the time") > reader.opened().1);
    let reply_budget = ReplyBudget::new(Pool::new(4 * MIB).expect("a pool"));
    let batches =
        source.lookup(&namespace, &[RawBson::Int32(1)], None, &reply_budget).await.expect("a look-up");
    assert_eq!(batches.len(), 1);
    assert_eq!(source.max_id(&namespace).await.expect("the largest _id"), Some(RawBson::Int32(2)));
    assert!(source.id_types(&namespace).await.expect("types of _id").is_some());
    assert!(Source::preflight(&source, &namespace).await.is_ok());
    assert_eq!(source.sample(&namespace, 5).await.expect("a sample").len(), 3);
    let partition = source.partitions(&namespace, 1, crate::PartitionStrategy::IdRanges).await;
    let partition = partition.expect("partitions").remove(0);
    assert_eq!(crate::test_suite::read_all(&source, &partition, 1_000).await.len(), 3);
    // What does not match is not there; of changes there are all.
    if let Ok(filtered) = source.filtered(&bson::rawdoc! { "_id": 1 }) {
        let ids: Vec<RawBson> = (0..3).map(RawBson::Int32).collect();
        let batches = filtered.lookup(&namespace, &ids, None, &reply_budget).await.expect("a look-up");
        assert_eq!(batches.iter().map(crate::DocumentBatch::len).sum::<usize>(), 1);
        let found = filtered.change_preflight(watched).await.expect("preflight");
        let mut reader = filtered.watch(options(found.scope, watched)).await.expect("watching");
        writer.write(inserts(&namespace, 3..5), false).await;
        assert_eq!(read(&mut reader, 2).await.len(), 2);
    }
}
