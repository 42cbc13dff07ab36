//! Documents that are unwound before they are decoded.

use std::sync::Arc;

use bson::{Bson, Document, doc};
use proptest::prelude::*;
use zenith_memory::Pool;

use super::{Decoder, DecoderOptions, Reply, decode_by};
use crate::extended_json::arbitrary::value;
use crate::{TransformOptions, Unwind};

const OPTIONS: DecoderOptions = DecoderOptions { rows_max: 7, bytes_max: 1 << 20 };

fn documents() -> impl Strategy<Value = Vec<Document>> {
    let items = prop_oneof![
        prop::collection::vec(value(), 0..12).prop_map(|items| Some(Bson::Array(items))),
        value().prop_map(Some),
        Just(None),
    ];
    let fields = (items, prop::collection::vec(("[b-d]", value()), 0..4), "a|a|i");
    prop::collection::vec(fields, 1..12).prop_map(|documents| {
        let numbered = documents.into_iter().enumerate().map(|(number, (items, fields, key))| {
            let mut document = doc! { "_id": i32::try_from(number).unwrap() };
            document.extend(items.map(|items| (key, items)));
            document.extend(fields);
            document
        });
        numbered.collect()
    })
}

proptest! {
    /// Rows are those of documents that have been unwound before, by another way.
    #[test]
    fn rows_are_those_of_unwound_documents(documents in documents(), exclude in prop::collection::vec("[a-d]", 0..2)) {
        let options = TransformOptions { exclude, ..TransformOptions::default() };
        let unwind = Arc::new(Unwind::new("a").unwrap());
        let original = Reply::of_documents(&documents);
        let plain = options.plain().unwrap();
        let unwound: Vec<Vec<u8>> = original
            .documents()
            .flat_map(|document| {
                let changed = plain.as_ref().map_or(document.to_vec(), |plain| plain.apply(document).unwrap());
                unwind.plain(&changed).unwrap().unwrap()
            })
            .collect();
        let unwound = Reply::of(unwound.iter().map(Vec::as_slice));
        let schema = unwound.schema();
        let pool = Pool::new(64 << 20).unwrap();
        let decoder = || Decoder::new(&schema, &pool, OPTIONS);
        let transform = options.of_rows().unwrap().map(Arc::new);
        let unwinding = decoder().transformed(transform).unwound(Some(unwind));
        let (rows, bad) = decode_by(unwinding, std::slice::from_ref(&original));
        let (expected, _) = decode_by(decoder(), &[unwound]);
        prop_assert_eq!(format!("{rows:?}"), format!("{expected:?}"));
        prop_assert!(bad.iter().all(Vec::is_empty));
        prop_assert_eq!(pool.stats().in_use, 0);
    }
}

/// All rows of a document are in one batch, however many they are, and it is known how many.
#[test]
fn rows_of_a_document_stay_together() {
    let order = |id: i32, lines: i32| {
        let items: Vec<Document> = (0..lines).map(|n| doc! { "sku": format!("sku {n}"), "n": n }).collect();
        doc! { "_id": id, "note": "n".repeat(100), "items": items }
    };
    let documents: Vec<Document> =
        [3, 0, 5_000, 1, 2, 40_000, 4].into_iter().zip(0..).map(|(lines, id)| order(id, lines)).collect();
    let reply = Reply::of_documents(&documents);
    let unwind = Arc::new(Unwind::new("items").unwrap());
    let sample =
        Reply::of(unwind.applied(reply.documents().next().unwrap()).unwrap().iter().map(Vec::as_slice));
    let pool = Pool::new(8 << 20).unwrap();
    let options = DecoderOptions { rows_max: 10, bytes_max: 1 << 20 };
    let mut decoder = Decoder::new(&sample.schema(), &pool, options).unwound(Some(unwind));
    let mut ranges = reply.ranges.iter().cloned();
    let (mut batches, mut counted) = (Vec::new(), Vec::new());
    loop {
        let full = decoder.append(&reply.bytes, &mut ranges, &mut |bad| panic!("{bad:?}")).unwrap();
        counted.extend_from_slice(decoder.rows_of_documents().unwrap());
        match full {
            Some(batch) => batches.push(batch.num_rows()),
            None => break,
        }
    }
    batches.extend(decoder.finish().unwrap().map(|batch| batch.num_rows()));
    assert_eq!(counted, [3, 1, 5_000, 1, 2, 40_000, 4]);
    // Whole documents, in order.
    let mut left = counted.iter().copied();
    for rows in &batches {
        let mut taken = 0;
        while taken < *rows {
            taken += left.next().unwrap();
        }
        assert_eq!(taken, *rows, "{batches:?}");
    }
    assert_eq!(left.next(), None);
    assert_eq!(pool.stats().in_use, 0);
}

/// A document with a bad element has no row, and those beside it have all of theirs.
#[test]
fn a_bad_element_takes_its_document_along() {
    let documents: Vec<Vec<u8>> = (0..3)
        .map(|id| {
            let text = if id == 1 { "@" } else { "fine" };
            let document =
                doc! { "_id": id, "items": [{ "a": 1, "odd": true }, { "a": "other" }, { "a": text }] };
            let mut bytes = document.to_vec().unwrap();
            if let Some(at) = bytes.iter().position(|byte| *byte == b'@') {
                bytes[at] = 0xFF;
            }
            bytes
        })
        .collect();
    let reply = Reply::of(documents.iter().map(Vec::as_slice));
    let schema =
        Reply::of_documents(&[doc! { "_id": 1, "items": { "a": 1 }, "items_index": 1_i64 }]).schema();
    let pool = Pool::new(64 << 20).unwrap();
    let mut decoder =
        Decoder::new(&schema, &pool, OPTIONS).unwound(Some(Arc::new(Unwind::new("items").unwrap())));
    let mut bad = Vec::new();
    let mut ranges = reply.ranges.iter().cloned();
    let mut reject = |document: super::BadDocument| bad.push(document.range);
    assert!(decoder.append(&reply.bytes, &mut ranges, &mut reject).unwrap().is_none());
    assert_eq!(bad, [reply.ranges[1].clone()]);
    assert_eq!(decoder.rows_of_documents(), Some(&[3, 3][..]));
    assert_eq!((decoder.rows_unwound(), decoder.rows()), (4, 6));
    // What did not fit is counted of the rows that there are.
    let counts = decoder.take_counts().by_field();
    assert_eq!(counts["items.odd"].values().sum::<u64>(), 2, "{counts:?}");
    assert_eq!(counts["items.a"].values().sum::<u64>(), 4, "{counts:?}");
}

#[test]
fn a_document_that_makes_too_much_is_bad() {
    let items: Vec<i32> = (0..2_000).collect();
    let large = doc! { "_id": 1, "note": "n".repeat(40_000), "items": items };
    let reply = Reply::of_documents(&[doc! { "_id": 0, "items": [1] }, large]);
    let schema =
        Reply::of_documents(&[doc! { "_id": 1, "items": 1, "note": "n", "items_index": 1_i64 }]).schema();
    let pool = Pool::new(64 << 20).unwrap();
    let decoder =
        Decoder::new(&schema, &pool, OPTIONS).unwound(Some(Arc::new(Unwind::new("items").unwrap())));
    let (rows, bad) = decode_by(decoder, std::slice::from_ref(&reply));
    assert_eq!(rows.len(), 1);
    assert!(bad[0][0].reason.to_string().contains("64 MiB"));
}
