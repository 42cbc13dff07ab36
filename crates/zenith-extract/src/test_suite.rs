//! What every [`Source`] has to do, as tests that run against any of them.
//!
//! ```text
//! async fn make(documents: Vec<RawDocumentBuf>) -> (MySource, Namespace) { … }
//! zenith_extract::source_test_suite!(my_source, make);
//! ```
//!
//! `make` gets documents in ascending order of `_id` and gives a source with a collection that holds exactly those. The
//! tests need `tokio` with its macros. Each panics with what it found.
//!
//! These are the promises of every source. A source that is divided by ranges of `_id` and knows their types says so, and
//! has to keep those of ranges as well:
//!
//! ```text
//! zenith_extract::source_test_suite!(my_source, make, ranges);
//! ```

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bson::{RawBson, RawDocumentBuf, rawdoc};
use zenith_memory::Pool;

use crate::batch::document_id;
use crate::{
    DocumentBatch, DocumentReader, Namespace, Partition, PartitionStrategy, ReadOptions, ReplyBudget, Source,
};

const MIB: usize = 1024 * 1024;

/// Declares a module of tests for one implementation of [`Source`](crate::Source).
#[macro_export]
macro_rules! source_test_suite {
    ($name:ident, $make:ident $(, $more:ident)?) => {
        mod $name {
            use super::$make;

            $crate::source_test_suite!(@tests $make:
                an_empty_collection_has_no_documents,
                a_natural_scan_gives_every_document_once,
                batches_tell_their_measures,
                memory_returns_to_the_pool,
                readers_share_a_small_pool,
                a_sample_holds_each_document_once,
                a_sample_is_the_same_each_time_and_has_both_ends,
                preflight_finds_the_collection_and_misses_another,
                a_filter_leaves_what_matches_or_is_refused,
            );
            $($crate::source_test_suite!(@$more $make);)?
        }
    };
    (@ranges $make:ident) => {
        $crate::source_test_suite!(@tests $make:
            ranges_give_every_document_once_in_order,
            a_partition_goes_on_after_any_document,
            a_range_leaves_out_its_lower_bound_and_holds_its_upper,
            types_of_id_come_from_both_ends,
        );
    };
    (@tests $make:ident: $($test:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $test() {
                $crate::test_suite::$test($make).await;
            }
        )+
    };
}

/// `count` documents with ascending `_id` and contents of varying size.
#[must_use]
pub fn documents(count: usize) -> Vec<RawDocumentBuf> {
    let document = |i: usize| {
        let id = i64::try_from(i).unwrap_or_default();
        rawdoc! { "_id": id, "text": "x".repeat(i * 7919 % 300), "inner": { "n": id } }
    };
    (0..count).map(document).collect()
}

/// Reads to the end, with batches of about `batch_bytes`.
pub async fn read_all<S: Source>(
    source: &S,
    partition: &Partition,
    batch_bytes: usize,
) -> Vec<RawDocumentBuf> {
    let pool = Pool::new(64 * MIB).expect("a pool");
    let options = ReadOptions::new(ReplyBudget::new(pool)).with_batch_bytes(batch_bytes);
    let mut reader = source.open(partition, options).await.expect("opening a partition");
    let mut found = Vec::new();
    while let Some(batch) = reader.next().await.expect("reading a batch") {
        found.extend(owned(&batch));
    }
    assert!(reader.next().await.expect("reading after the end").is_none(), "the end is not the end");
    found
}

fn owned(batch: &DocumentBatch) -> Vec<RawDocumentBuf> {
    let whole = |bytes: &[u8]| RawDocumentBuf::from_bytes(bytes.to_vec()).expect("a whole document");
    batch.documents().map(whole).collect()
}

fn id_of(document: &RawDocumentBuf) -> RawBson {
    document_id(document.as_bytes()).expect("a document with _id").into()
}

async fn ranges<S: Source>(source: &S, namespace: &Namespace, desired: usize) -> Vec<Partition> {
    let found = source.partitions(namespace, desired, PartitionStrategy::IdRanges).await.expect("partitions");
    assert!((1..=desired.max(1)).contains(&found.len()), "{} partitions of at most {desired}", found.len());
    found
}

/// Compares without regard to order, and says what is missing.
fn assert_same(found: &[RawDocumentBuf], expected: &[RawDocumentBuf]) {
    let mut counts: HashMap<&[u8], usize> = HashMap::new();
    for document in found {
        *counts.entry(document.as_bytes()).or_default() += 1;
    }
    for document in expected {
        assert_eq!(counts.get(document.as_bytes()), Some(&1), "occurrences of {:?}", id_of(document));
    }
    assert_eq!(found.len(), expected.len(), "documents nobody wrote");
}

/// Nothing is found in nothing, and it is no error.
pub async fn an_empty_collection_has_no_documents<S: Source>(
    make: impl AsyncFn(Vec<RawDocumentBuf>) -> (S, Namespace),
) {
    let (source, namespace) = make(Vec::new()).await;
    for strategy in [PartitionStrategy::Natural, PartitionStrategy::IdRanges] {
        let partitions = source.partitions(&namespace, 4, strategy).await.expect("partitions");
        assert_eq!(partitions.len(), 1);
        assert_eq!(read_all(&source, &partitions[0], MIB).await, []);
    }
    assert_eq!(source.sample(&namespace, 10).await.expect("a sample"), []);
    assert_eq!(source.id_types(&namespace).await.expect("types of _id"), None);
    assert_eq!(source.max_id(&namespace).await.expect("the largest _id"), None);
    let found = source.preflight(&namespace).await.expect("preflight");
    assert_eq!(found.collection.size.map_or(0, |size| size.documents), 0);
}

/// Every document, with any number of scans and any size of batches.
pub async fn a_natural_scan_gives_every_document_once<S: Source>(
    make: impl AsyncFn(Vec<RawDocumentBuf>) -> (S, Namespace),
) {
    let expected = documents(3_000);
    let (source, namespace) = make(expected.clone()).await;
    for (desired, batch_bytes) in [(1, 1), (1, 10_000), (1, 4 * MIB), (2, 1), (3, 10_000), (2, 4 * MIB)] {
        let parts =
            source.partitions(&namespace, desired, PartitionStrategy::Natural).await.expect("partitions");
        assert!((1..=desired).contains(&parts.len()), "{} of {desired}", parts.len());
        let mut found = Vec::new();
        for partition in parts {
            found.extend(read_all(&source, &partition, batch_bytes).await);
        }
        assert_same(&found, &expected);
    }
}

/// Ranges neither overlap nor leave gaps, and each is in order.
pub async fn ranges_give_every_document_once_in_order<S: Source>(
    make: impl AsyncFn(Vec<RawDocumentBuf>) -> (S, Namespace),
) {
    let expected = documents(10_000);
    let (source, namespace) = make(expected.clone()).await;
    for desired in 1..=16 {
        let mut found = Vec::new();
        for partition in ranges(&source, &namespace, desired).await {
            found.extend(read_all(&source, &partition, 100_000).await);
        }
        assert!(
            found == expected,
            "{desired} partitions one after the other are not the collection in order"
        );
    }
}

/// What is left after a document is everything behind it, also when encoded in between.
pub async fn a_partition_goes_on_after_any_document<S: Source>(
    make: impl AsyncFn(Vec<RawDocumentBuf>) -> (S, Namespace),
) {
    let expected = documents(500);
    let (source, namespace) = make(expected.clone()).await;
    let whole = ranges(&source, &namespace, 1).await.remove(0);
    for at in [0, 1, 250, 498, 499] {
        let rest = whole.after(id_of(&expected[at])).expect("a range can be resumed");
        let rest = Partition::decode(&rest.encode()).expect("a partition that was written down");
        assert!(read_all(&source, &rest, 5_000).await == expected[at + 1..], "after document {at}");
    }
}

/// `(lower, upper]`, as an insert that has to be repeated is described.
pub async fn a_range_leaves_out_its_lower_bound_and_holds_its_upper<S: Source>(
    make: impl AsyncFn(Vec<RawDocumentBuf>) -> (S, Namespace),
) {
    let expected = documents(300);
    let (source, namespace) = make(expected.clone()).await;
    let id = |at: Option<usize>| at.map(|at| id_of(&expected[at]));
    for (lower, upper) in [
        (None, None),
        (None, Some(0)),
        (None, Some(120)),
        (Some(0), Some(1)),
        (Some(10), Some(20)),
        (Some(298), Some(299)),
        (Some(299), Some(299)),
        (Some(200), None),
        (Some(299), None),
    ] {
        let partition = Partition::between(namespace.clone(), id(lower), id(upper));
        let wanted = &expected[lower.map_or(0, |at| at + 1)..upper.map_or(expected.len(), |at| at + 1)];
        assert!(read_all(&source, &partition, 2_000).await == wanted, "({lower:?}, {upper:?}]");
    }
}

/// Number, sizes and ends of a batch are those of its documents.
pub async fn batches_tell_their_measures<S: Source>(
    make: impl AsyncFn(Vec<RawDocumentBuf>) -> (S, Namespace),
) {
    let (source, namespace) = make(documents(2_000)).await;
    let partition = ranges(&source, &namespace, 1).await.remove(0);
    let pool = Pool::new(64 * MIB).expect("a pool");
    let options = ReadOptions::new(ReplyBudget::new(pool)).with_batch_bytes(20_000);
    let mut reader = source.open(&partition, options).await.expect("opening a partition");
    let mut batches = 0;
    while let Some(batch) = reader.next().await.expect("reading a batch") {
        let documents = owned(&batch);
        assert!(!batch.is_empty(), "an empty batch");
        assert_eq!(batch.len(), documents.len());
        assert_eq!(batch.documents().len(), documents.len());
        assert_eq!(
            batch.byte_len(),
            documents.iter().map(|document| document.as_bytes().len()).sum::<usize>()
        );
        assert!(batch.documents_bytes().len() >= batch.byte_len());
        assert_eq!(batch.first_id().map(RawBson::from), documents.first().map(id_of));
        assert_eq!(batch.last_id().map(RawBson::from), documents.last().map(id_of));
        batches += 1;
    }
    assert!(batches > 5, "batches do not follow the size asked for: {batches}");
}

/// Batches hold memory while they live, readers that stop early hold none afterwards.
pub async fn memory_returns_to_the_pool<S: Source>(
    make: impl AsyncFn(Vec<RawDocumentBuf>) -> (S, Namespace),
) {
    let (source, namespace) = make(documents(5_000)).await;
    let partition = ranges(&source, &namespace, 1).await.remove(0);
    let pool = Pool::new(64 * MIB).expect("a pool");
    let options = ReadOptions::new(ReplyBudget::new(pool.clone())).with_batch_bytes(50_000);
    let mut reader = source.open(&partition, options).await.expect("opening a partition");
    let first = reader.next().await.expect("reading a batch").expect("a batch");
    let second = reader.next().await.expect("reading a batch").expect("a batch");
    assert!(pool.stats().in_use >= first.byte_len() + second.byte_len(), "batches are not accounted for");
    drop((first, second, reader));
    for _ in 0..200 {
        if pool.stats().in_use == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} bytes are still held", pool.stats().in_use);
}

/// Many readers and slow consumers draw on one small share: all come to their end, within the budget.
pub async fn readers_share_a_small_pool<S: Source>(
    make: impl AsyncFn(Vec<RawDocumentBuf>) -> (S, Namespace),
) {
    let expected = documents(10_000);
    let (source, namespace) = make(expected.clone()).await;
    let pool = Pool::new(MIB).expect("a pool");
    let options = ReadOptions::new(ReplyBudget::new(pool.clone())).with_batch_bytes(200_000);
    let mut tasks = Vec::new();
    for partition in ranges(&source, &namespace, 6).await {
        let mut reader = source.open(&partition, options.clone()).await.expect("opening a partition");
        tasks.push(tokio::spawn(async move {
            let mut found = Vec::new();
            while let Some(batch) = reader.next().await.expect("reading a batch") {
                tokio::time::sleep(Duration::from_millis(1)).await;
                found.extend(owned(&batch));
            }
            found
        }));
    }
    let mut found = Vec::new();
    for task in tasks {
        found.extend(task.await.expect("a reader's task"));
    }
    assert_same(&found, &expected);
    assert!(pool.stats().in_use_max <= MIB / 2, "{:?}", pool.stats());
}

/// No `_id` twice, no document of its own making.
pub async fn a_sample_holds_each_document_once<S: Source>(
    make: impl AsyncFn(Vec<RawDocumentBuf>) -> (S, Namespace),
) {
    let expected = documents(1_000);
    let (source, namespace) = make(expected.clone()).await;
    let known: HashSet<&[u8]> = expected.iter().map(|document| document.as_bytes()).collect();
    for wanted in [1, 2, 90, 5_000] {
        let sample = source.sample(&namespace, wanted).await.expect("a sample");
        let distinct: HashSet<&[u8]> = sample.iter().map(|document| document.as_bytes()).collect();
        assert_eq!(distinct.len(), sample.len(), "a document twice");
        assert!(distinct.is_subset(&known), "an unknown document");
        assert!((1..=wanted).contains(&sample.len()), "{} documents of {wanted}", sample.len());
    }
}

/// No lottery: the same documents in the same order, the first and the last among them.
pub async fn a_sample_is_the_same_each_time_and_has_both_ends<S: Source>(
    make: impl AsyncFn(Vec<RawDocumentBuf>) -> (S, Namespace),
) {
    let expected = documents(5_000);
    let (source, namespace) = make(expected.clone()).await;
    for wanted in [2, 90, 1_000, 5_000, 20_000] {
        let sample = source.sample(&namespace, wanted).await.expect("a sample");
        let again = source.sample(&namespace, wanted).await.expect("a sample");
        assert!(sample == again, "two samples of {wanted} differ");
        for end in [&expected[0], &expected[4_999]] {
            assert!(sample.contains(end), "a sample of {wanted} without {:?}", id_of(end));
        }
        let least = wanted.min(expected.len()) * 9 / 10;
        assert!(sample.len() >= least.min(5_000), "{} documents of {wanted}", sample.len());
    }
}

/// The smallest and the largest decide.
pub async fn types_of_id_come_from_both_ends<S: Source>(
    make: impl AsyncFn(Vec<RawDocumentBuf>) -> (S, Namespace),
) {
    let ids = [RawBson::Null, RawBson::Int32(1), RawBson::Int64(2), RawBson::String("a".to_owned())];
    let documents: Vec<_> = ids.iter().map(|id| rawdoc! { "_id": id.clone() }).collect();
    let (source, namespace) = make(documents[1..3].to_vec()).await;
    let types =
        source.id_types(&namespace).await.expect("types of _id").expect("a collection with documents");
    assert!(types.one_class() && types.is_numeric(), "{types:?}");
    let (source, namespace) = make(documents.clone()).await;
    let types =
        source.id_types(&namespace).await.expect("types of _id").expect("a collection with documents");
    assert!(!types.one_class(), "{types:?}");
    let (source, namespace) = make(documents[3..].to_vec()).await;
    let types =
        source.id_types(&namespace).await.expect("types of _id").expect("a collection with documents");
    assert_eq!(types.single(), Some(bson::spec::ElementType::String));
    assert_eq!(source.max_id(&namespace).await.expect("the largest _id"), Some(ids[3].clone()));
}

/// The collection is described; one that is not there is an error of input.
pub async fn preflight_finds_the_collection_and_misses_another<S: Source>(
    make: impl AsyncFn(Vec<RawDocumentBuf>) -> (S, Namespace),
) {
    let expected = documents(100);
    let bytes: usize = expected.iter().map(|document| document.as_bytes().len()).sum();
    let (source, namespace) = make(expected).await;
    let found = source.preflight(&namespace).await.expect("preflight");
    let size = found.collection.size.expect("a size");
    assert_eq!((size.documents, usize::try_from(size.bytes).ok()), (100, Some(bytes)));
    let missing = Namespace::new(namespace.database, "no such collection");
    let error = source.preflight(&missing).await.expect_err("a collection that is not there");
    assert!(error.is_input() && error.to_string().contains("no such collection"), "{error}");
}

/// Of whatever is asked there is only what a query matches; a source that cannot judge documents says so.
pub async fn a_filter_leaves_what_matches_or_is_refused<S: Source>(
    make: impl AsyncFn(Vec<RawDocumentBuf>) -> (S, Namespace),
) {
    let all = documents(3_000);
    let (source, namespace) = make(all.clone()).await;
    let filtered = match source.filtered(&rawdoc! { "text": "xx" }) {
        Ok(filtered) => filtered,
        Err(error) => {
            assert!(error.is_input() && error.to_string().contains("filter"), "{error}");
            return;
        }
    };
    let matches = |document: &&RawDocumentBuf| document.get_str("text").is_ok_and(|text| text == "xx");
    let expected: Vec<RawDocumentBuf> = all.iter().filter(matches).cloned().collect();
    assert_eq!(expected.len(), 10);
    let found = filtered.preflight(&namespace).await.expect("preflight").collection.size;
    assert_eq!(found.map(|size| size.documents), Some(10));
    for (desired, strategy) in
        [(1, PartitionStrategy::Natural), (4, PartitionStrategy::Natural), (4, PartitionStrategy::IdRanges)]
    {
        let mut found = Vec::new();
        for partition in filtered.partitions(&namespace, desired, strategy).await.expect("partitions") {
            found.extend(read_all(&filtered, &partition, 1_000).await);
        }
        assert_same(&found, &expected);
    }
    for wanted in [1, 5, 300, 5_000] {
        let sample = filtered.sample(&namespace, wanted).await.expect("a sample");
        assert!((1..=wanted).contains(&sample.len()), "{} documents of {wanted}", sample.len());
        assert!(sample.iter().all(|document| expected.contains(document)), "a sample of what does not match");
        assert!(wanted < 300 || sample.len() == 10, "{} of a sample of {wanted}", sample.len());
    }
    if source.max_id(&namespace).await.expect("the largest _id").is_some() {
        let largest = filtered.max_id(&namespace).await.expect("the largest _id");
        assert_eq!(largest, expected.last().map(id_of));
    }
    let again =
        filtered.filtered(&rawdoc! { "inner": { "n": id_of(&expected[3]) } }).expect("one more query");
    let whole = again.partitions(&namespace, 1, PartitionStrategy::Natural).await.expect("partitions");
    assert_same(&read_all(&again, &whole[0], MIB).await, &expected[3..4]);
    let whole = source.partitions(&namespace, 1, PartitionStrategy::Natural).await.expect("partitions");
    assert_same(&read_all(&source, &whole[0], MIB).await, &all);
}
