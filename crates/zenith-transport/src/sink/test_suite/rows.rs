//! What a sink promises that looks up, counts and removes rows and dead letters.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{
    ArrayRef, BinaryArray, Decimal128Array, FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMillisecondArray, UInt8Array, UInt64Array,
};

use super::{definition, holds, ids, letter, rows, write};
use crate::TableDefinition;
use crate::ddl::Engine;
use crate::sink::{
    Filter, HashColumn, LetterFilter, LetterQuery, LetterSubject, LiveRows, RowSet, Scalar, Selection, Sink,
};

/// A table `t` with the rows `0..10`.
async fn ten(sink: &impl Sink) {
    sink.create(&definition("t")).await.expect("created");
    write(sink, "t", rows(0..10), "a").await.expect("written");
}

fn these(filter: Filter) -> Selection {
    Selection { table: "t".into(), columns: vec!["id".into()], filter, ..Selection::default() }
}

fn with_ids(ids: impl IntoIterator<Item = i64>) -> Filter {
    Filter::In("id".into(), ids.into_iter().map(Scalar::Int64).collect())
}

/// Filters mean what they say, alone and within each other; order and limit are kept.
pub async fn rows_are_selected(sink: &impl Sink) {
    ten(sink).await;
    let at_least = |number| Filter::AtLeast("id".into(), number);
    let at_most = |number| Filter::AtMost("id".into(), number);
    let text = |text: &str| Filter::In("text".into(), vec![Scalar::Bytes(text.into())]);
    let expected: [(Filter, &[i64]); 11] = [
        (Filter::default(), &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (Filter::Any(Vec::new()), &[]),
        (with_ids([]), &[]),
        (with_ids([3]), &[3]),
        (with_ids([7, 3, 70]), &[3, 7]),
        (text("row 4"), &[4]),
        (Filter::In("text".into(), vec![Scalar::Null]), &[0, 3, 6, 9]),
        (Filter::After("id".into(), Scalar::Int64(7)), &[8, 9]),
        (Filter::All(vec![at_least(3), at_most(5)]), &[3, 4, 5]),
        (Filter::Any(vec![at_most(1), Filter::All(vec![at_least(8), with_ids([1, 9])])]), &[0, 1, 9]),
        (Filter::All(vec![Filter::Any(vec![at_most(1), at_least(8)]), with_ids([1, 5])]), &[1]),
    ];
    for (filter, expected) in expected {
        let selection = these(filter);
        let found = sink.admin().select(&selection).await.expect("selected").expect("a table");
        assert_eq!(ids(&found), expected, "{:?}", selection.filter);
        let counted = sink.admin().count_rows(&selection).await.expect("counted");
        assert_eq!(counted, expected.len() as u64, "{:?}", selection.filter);
    }
    let first = Selection { order_by: vec!["id".into()], limit: Some(3), ..these(Filter::default()) };
    let found = sink.admin().select(&first).await.expect("selected").expect("a table");
    assert_eq!(ids(&found), [0, 1, 2]);
    write(sink, "t", rows(0..10), "b").await.expect("written");
    let once = Selection { distinct: true, ..these(with_ids([2, 3])) };
    let found = sink.admin().select(&once).await.expect("selected").expect("a table");
    assert_eq!(ids(&found), [2, 3]);
    let absent = Selection { table: "absent".into(), ..these(Filter::default()) };
    assert_eq!(sink.admin().select(&absent).await.expect("an answer"), None);
}

/// A row is found by its key, of any type, and the key that is read is the one that was written.
pub async fn keys_of_every_kind_are_found(sink: &impl Sink) {
    let fixed = |values: [&[u8]; 2]| FixedSizeBinaryArray::try_from_iter(values.into_iter()).expect("bytes");
    let decimals = Decimal128Array::from(vec![-1250, 7]).with_precision_and_scale(38, 3).expect("decimals");
    let keys: [ArrayRef; 9] = [
        Arc::new(StringArray::from(vec!["a'\\`", ""])),
        Arc::new(BinaryArray::from_vec(vec![b"\x00\xff", b"b"])),
        Arc::new(fixed([&[7; 12], &[8; 12]])),
        Arc::new(Int32Array::from(vec![i32::MIN, 1])),
        Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX])),
        Arc::new(UInt64Array::from(vec![u64::MAX, 1 << 63])),
        Arc::new(Float64Array::from(vec![0.1, -1e300])),
        Arc::new(decimals),
        Arc::new(TimestampMillisecondArray::from(vec![-1, 1_700_000_000_123]).with_timezone("UTC")),
    ];
    for (number, keys) in keys.into_iter().enumerate() {
        let (table, expected) =
            (format!("t{number}"), [0, 1].map(|row| Scalar::of(&keys, row).expect("a key")));
        let batch = RecordBatch::try_from_iter([("k", keys)]).expect("a batch");
        let made = TableDefinition::new(&table, batch.schema()).order_by(["k"]);
        sink.create(&made).await.expect("created");
        write(sink, &table, batch, "a").await.expect("written");
        for key in expected {
            let filter = Filter::In("k".into(), vec![key.clone()]);
            let selection =
                Selection { table: table.clone(), columns: vec!["k".into()], filter, ..Selection::default() };
            let found = sink.admin().select(&selection).await.expect("selected").expect("a table");
            let found: Vec<_> = found
                .iter()
                .flat_map(|batch| (0..batch.num_rows()).map(|row| Scalar::of(batch.column(0), row)))
                .collect();
            assert_eq!(found, [Some(key)], "in {table}");
        }
    }
}

/// Many rows are found together by their keys, of any type, and none that is not asked for.
pub async fn many_keys_are_found_together(sink: &impl Sink) {
    let odd =
        |number: u8| [&[number, b',', b'\'', b'\\', 0xff][..], &vec![b','; usize::from(number % 3)]].concat();
    let fixed =
        FixedSizeBinaryArray::try_from_iter((0..60_u8).map(|number| [[number; 6], *b"\0,'\\ \n"].concat()));
    let keys: [ArrayRef; 6] = [
        Arc::new(StringArray::from_iter_values((0..60).map(|number| format!("{number:024x}")))),
        // One of them is empty.
        Arc::new(StringArray::from_iter_values((0..60).map(|number| "é, '\\".repeat(number)))),
        Arc::new(BinaryArray::from_iter_values((0..60).map(odd))),
        Arc::new(fixed.expect("bytes")),
        Arc::new(Int32Array::from_iter_values((0..60).map(|number| i32::MIN + number))),
        Arc::new(Int64Array::from_iter_values((0..60).map(|number| i64::MAX - number))),
    ];
    for (number, keys) in keys.into_iter().enumerate() {
        let table = format!("t{number}");
        let all: Vec<Scalar> = (0..60).map(|row| Scalar::of(&keys, row).expect("a key")).collect();
        let batch = RecordBatch::try_from_iter([("k", keys)]).expect("a batch");
        let (there, absent) = (batch.slice(0, 40), all[40..].to_vec());
        sink.create(&TableDefinition::new(&table, batch.schema()).order_by(["k"])).await.expect("created");
        write(sink, &table, there, "a").await.expect("written");
        let mut expected = all[..20].to_vec();
        let filter = Filter::In("k".into(), [expected.clone(), absent].concat());
        let selection = Selection { table, columns: vec!["k".into()], filter, ..Selection::default() };
        let found = sink.admin().select(&selection).await.expect("selected").expect("a table");
        let keys = |batch: &RecordBatch| {
            (0..batch.num_rows()).filter_map(|row| Scalar::of(batch.column(0), row)).collect::<Vec<_>>()
        };
        let mut found: Vec<Scalar> = found.iter().flat_map(keys).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "in {}", selection.table);
    }
}

/// The hash of a key is the same wherever it is asked for.
pub async fn rows_are_counted_by_the_hash_of_their_keys(sink: &impl Sink) {
    ten(sink).await;
    let hash = Some(HashColumn { name: "hash".into(), of: "id".into() });
    let all = Selection { hash, ..these(Filter::default()) };
    let mut expected = [0; 4];
    for batch in sink.admin().select(&all).await.expect("selected").expect("a table") {
        let hashes = batch.column_by_name("hash").expect("the hash").as_primitive::<UInt64Type>();
        for hash in hashes.values() {
            expected[usize::try_from(hash % 4).expect("small")] += 1;
        }
    }
    assert_eq!(expected.iter().sum::<u64>(), 10);
    let mut counted = [0; 4];
    for (remainder, rows) in sink.admin().count_by_hash(&all, "id", 4).await.expect("counted") {
        counted[remainder as usize] = rows;
    }
    assert_eq!(counted, expected);
    let of = |remainders| Filter::HashIn { column: "id".into(), modulus: 4, remainders };
    let some = sink.admin().count_rows(&these(of(vec![1, 2]))).await.expect("counted");
    assert_eq!(some, expected[1] + expected[2]);
    assert_eq!(sink.admin().count_rows(&these(of(Vec::new()))).await.expect("counted"), 0);
}

/// Of several rows of a key the one of the highest version counts, and none if that stands for a deletion.
pub async fn of_a_key_the_current_row_counts(sink: &impl Sink) {
    let versions = |ids: Vec<i64>, version: u64, deleted: u8| {
        let rows = ids.len();
        RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from(ids)) as ArrayRef),
            ("version", Arc::new(UInt64Array::from_value(version, rows))),
            ("gone", Arc::new(UInt8Array::from_value(deleted, rows))),
        ])
        .expect("a batch")
    };
    let engine = Engine::ReplacingMergeTree { version: "version".into(), deleted: Some("gone".into()) };
    let made = TableDefinition { engine, ..TableDefinition::new("t", versions(vec![1], 1, 0).schema()) };
    sink.create(&made.order_by(["id"])).await.expect("created");
    for (batch, token) in [
        (versions(vec![1, 2, 3], 1, 0), "a"),
        (versions(vec![2], 3, 0), "b"),
        (versions(vec![2], 2, 1), "late"),
        (versions(vec![3], 2, 1), "c"),
    ] {
        write(sink, "t", batch, token).await.expect("written");
    }
    let current = RowSet::Current { deleted: "gone".into() };
    let selection = Selection { rows: current, ..these(Filter::default()) };
    let found = sink.admin().select(&selection).await.expect("selected").expect("a table");
    assert_eq!(ids(&found), [1, 2]);
    assert_eq!(sink.admin().count_rows(&selection).await.expect("counted"), 2);
    let newest = Selection { rows: RowSet::Merged, ..selection };
    let found = sink.admin().select(&newest).await.expect("selected").expect("a table");
    assert_eq!(ids(&found), [1, 2], "a deletion is hidden by the engine");
    let engine = Engine::ReplacingMergeTree { version: "version".into(), deleted: None };
    let made = TableDefinition { engine, ..TableDefinition::new("t2", versions(vec![1], 1, 0).schema()) };
    sink.create(&made.order_by(["id"])).await.expect("created");
    for (batch, token) in
        [(versions(vec![1], 1, 0), "a"), (versions(vec![1], 3, 1), "b"), (versions(vec![1], 2, 0), "late")]
    {
        write(sink, "t2", batch, token).await.expect("written");
    }
    let newest = Selection { table: "t2".into(), columns: vec!["version".into()], ..newest };
    let found = sink.admin().select(&newest).await.expect("selected").expect("a table");
    let version = |batch: &RecordBatch| Scalar::of(&**batch.column(0), 0);
    assert_eq!(found.iter().filter_map(version).collect::<Vec<_>>(), [Scalar::UInt64(3)]);
}

/// Rows of one document stand at several places of a key; those count that no later row has taken away.
pub async fn the_live_places_of_documents_are_known(sink: &impl Sink) {
    let rows = |ids: Vec<i64>, place: &str, version: u64, gone: u8| {
        let count = ids.len();
        RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from(ids)) as ArrayRef),
            ("place", Arc::new(StringArray::from(vec![place; count])) as ArrayRef),
            ("version", Arc::new(UInt64Array::from(vec![version; count])) as ArrayRef),
            ("gone", Arc::new(UInt8Array::from(vec![gone; count])) as ArrayRef),
        ])
        .expect("a batch")
    };
    let engine = Engine::ReplacingMergeTree { version: "version".into(), deleted: Some("gone".into()) };
    let made = TableDefinition { engine, ..TableDefinition::new("t", rows(vec![1], "", 1, 0).schema()) };
    sink.create(&made.order_by(["place", "id"])).await.expect("created");
    for (batch, token) in [
        (rows(vec![1, 2, 3], "a", 1, 0), "a"),
        (rows(vec![1], "b", 5, 0), "b"),
        (rows(vec![1, 2], "a", 5, 1), "c"),
        (rows(vec![3], "a", 4, 0), "d"),
        (rows(vec![3], "a", 3, 1), "late"),
        (rows(vec![3], "b", 4, 1), "e"),
    ] {
        write(sink, "t", batch, token).await.expect("written");
    }
    let ids = |wanted: &[i64]| {
        let ids = wanted.iter().map(|id| Scalar::Int64(*id)).collect();
        LiveRows {
            selection: Selection {
                table: "t".into(),
                columns: vec!["id".into(), "place".into()],
                filter: Filter::In("id".into(), ids),
                ..Selection::default()
            },
            version: "version".into(),
            deleted: "gone".into(),
        }
    };
    let found = sink.admin().select_live(&ids(&[1, 2, 3, 4])).await.expect("selected");
    let mut live = Vec::new();
    for batch in &found {
        let value =
            |column: &str, row| batch.column_by_name(column).and_then(|column| Scalar::of(&**column, row));
        live.extend(
            (0..batch.num_rows()).map(|row| (value("id", row), value("place", row), value("version", row))),
        );
    }
    live.sort();
    let row = |id, place: &str, version| {
        (Some(Scalar::Int64(id)), Some(Scalar::Bytes(place.into())), Some(Scalar::UInt64(version)))
    };
    assert_eq!(live, [row(1, "b", 5), row(3, "a", 4)]);
    let none = sink.admin().select_live(&ids(&[2])).await.expect("selected");
    assert_eq!(none.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
}

/// Keys of objects are looked for at their top, and only in text that there is.
pub async fn rows_are_found_by_keys_in_their_text(sink: &impl Sink) {
    let texts = [r#"{"a":1}"#, "", r#"{"b":{"a":1}}"#, r#"{"$literal":{"it's":[],"c":null}}"#];
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(vec![0, 1, 2, 3])) as ArrayRef),
        ("text", Arc::new(StringArray::from(texts.to_vec()))),
    ])
    .expect("a batch");
    sink.create(&TableDefinition::new("t", batch.schema()).order_by(["id"])).await.expect("created");
    write(sink, "t", batch, "a").await.expect("written");
    for (keys, expected) in [
        (&["a"][..], &[0][..]),
        (&["a", "b"], &[0, 2]),
        (&["it's"], &[3]),
        (&["c"], &[3]),
        (&["d"], &[]),
        (&[], &[]),
    ] {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let selection = these(Filter::HasKey("text".into(), keys));
        let found = sink.admin().select(&selection).await.expect("selected").expect("a table");
        assert_eq!(ids(&found), expected);
        let counted = sink.admin().count_rows(&selection).await.expect("counted");
        assert_eq!(usize::try_from(counted), Ok(expected.len()));
    }
}

/// The selected rows are removed, and no others.
pub async fn rows_are_removed(sink: &impl Sink) {
    ten(sink).await;
    let five = Filter::AtLeast("id".into(), 5);
    sink.admin().delete(&these(five)).await.expect("removed");
    let found = sink.admin().select(&these(Filter::default())).await.expect("selected").expect("a table");
    assert_eq!(ids(&found), [0, 1, 2, 3, 4]);
    sink.admin().delete(&these(with_ids([77]))).await.expect("nothing to remove");
    holds(sink, "t", 0..5).await;
}

/// Dead letters are found by their contents, in order, with and without their documents.
pub async fn dead_letters_are_found(sink: &impl Sink) {
    let admin = sink.admin();
    assert_eq!(admin.dead_letters("dead", &LetterQuery::default()).await.expect("an answer"), []);
    assert_eq!(admin.count_dead_letters("dead", &LetterFilter::default()).await.expect("an answer"), 0);
    let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let mut letters = ["1", "2", ""].map(letter);
    for (letter, seconds) in letters.iter_mut().zip(1..) {
        letter.at = begin + Duration::from_secs(seconds);
    }
    letters[1].pipeline = "q".into();
    letters[2].reason = "it's worse".into();
    sink.write_dead_letters("dead", &letters, "a").await.expect("written");

    let query = LetterQuery { newest_first: true, documents: true, ..LetterQuery::default() };
    let all = admin.dead_letters("dead", &query).await.expect("found");
    let of =
        |all: &[super::super::StoredLetter]| all.iter().map(|letter| letter.id.clone()).collect::<Vec<_>>();
    assert_eq!(of(&all), ["", "2", "1"]);
    assert_eq!((all[2].at, all[2].document.as_slice()), (letters[0].at, letters[0].document.as_slice()));
    assert_eq!((all[2].size, all[2].version, all[2].index), (5, 7, 1));
    let behind = Some((all[2].at, all[2].name.clone()));
    let filters = [
        (LetterFilter { pipeline: Some("p".into()), ..LetterFilter::default() }, vec!["1", ""]),
        (LetterFilter { namespace: Some("shop.users".into()), ..LetterFilter::default() }, vec![]),
        (LetterFilter { names: Some(vec![all[1].name.clone()]), ..LetterFilter::default() }, vec!["2"]),
        (LetterFilter { before: Some(all[1].at), ..LetterFilter::default() }, vec!["1"]),
        (LetterFilter { since: Some(all[1].at), ..LetterFilter::default() }, vec!["2", ""]),
        (LetterFilter { until: Some(all[1].at), ..LetterFilter::default() }, vec!["1", "2"]),
        (LetterFilter { behind, ..LetterFilter::default() }, vec!["2", ""]),
    ];
    for (filter, expected) in filters {
        let query = LetterQuery { filter, ..LetterQuery::default() };
        let found = admin.dead_letters("dead", &query).await.expect("found");
        assert_eq!(of(&found), expected, "{query:?}");
        assert!(found.iter().all(|letter| letter.document.is_empty()));
        let counted = admin.count_dead_letters("dead", &query.filter).await.expect("counted");
        assert_eq!(counted, expected.len() as u64, "{query:?}");
    }
    let mut reasons = admin.dead_letter_reasons("dead", &LetterFilter::default()).await.expect("counted");
    reasons.sort();
    assert_eq!(reasons, [("it's bad".to_owned(), 2), ("it's worse".to_owned(), 1)]);
    let subjects = [
        LetterSubject::Id("2".into()),
        LetterSubject::Id("3".into()),
        LetterSubject::Bytes(letters[2].document.clone()),
    ];
    let all = LetterFilter::default();
    let mut newest = admin.newest_dead_letters("dead", &all, &subjects, 100).await.expect("found");
    newest.sort_by(|a, b| a.subject.cmp(&b.subject));
    assert_eq!(newest.len(), 2);
    assert_eq!((&newest[0].subject, newest[0].document.len()), (&subjects[0], 5));
    assert_eq!((&newest[1].subject, newest[1].reason.as_str()), (&subjects[2], "it's worse"));
    let short = admin.newest_dead_letters("dead", &all, &subjects[..1], 4).await.expect("found");
    assert!(short[0].document.is_empty());
}

/// The selected dead letters are removed, and no others.
pub async fn dead_letters_are_removed(sink: &impl Sink) {
    sink.admin().remove_dead_letters("dead", &LetterFilter::default()).await.expect("nothing to remove");
    sink.write_dead_letters("dead", &["1", "2"].map(letter), "a").await.expect("written");
    let found = sink.admin().dead_letters("dead", &LetterQuery::default()).await.expect("found");
    let names = found.iter().filter(|letter| letter.id == "1").map(|letter| letter.name.clone()).collect();
    let filter = LetterFilter { names: Some(names), ..LetterFilter::default() };
    sink.admin().remove_dead_letters("dead", &filter).await.expect("removed");
    let left = sink.admin().dead_letters("dead", &LetterQuery::default()).await.expect("found");
    assert_eq!(left.iter().map(|letter| letter.id.as_str()).collect::<Vec<_>>(), ["2"]);
}
