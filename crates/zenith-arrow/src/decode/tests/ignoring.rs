//! Keys that no column is for, left out.

use bson::{Bson, Document, doc};
use proptest::prelude::*;
use zenith_memory::Pool;

use super::{Decoder, DecoderOptions, Reply, decode_by};
use crate::extended_json::arbitrary::value;
use crate::{Field, Kind};

const OPTIONS: DecoderOptions = DecoderOptions { rows_max: 7, bytes_max: 1 << 20 };

fn documents() -> impl Strategy<Value = Vec<Document>> {
    let fields = prop::collection::vec(("[a-d]", value()), 0..6);
    prop::collection::vec(fields, 2..12).prop_map(|documents| {
        let numbered = documents.into_iter().enumerate().map(|(number, fields)| {
            let mut document = doc! { "_id": i32::try_from(number).unwrap() };
            document.extend(fields);
            document
        });
        numbered.collect()
    })
}

/// The document without the keys that no column is for.
fn pruned(document: &Document, fields: &[Field]) -> Document {
    let of = |(key, value): (&String, &Bson)| {
        let field = fields.iter().find(|field| field.name == *key)?;
        Some((key.clone(), pruned_value(value, &field.kind)))
    };
    document.iter().filter_map(of).collect()
}

fn pruned_value(value: &Bson, kind: &Kind) -> Bson {
    match (value, kind) {
        (Bson::Document(document), Kind::Document(fields)) => pruned(document, fields).into(),
        (Bson::Array(values), Kind::Array(element)) => {
            Bson::Array(values.iter().map(|value| pruned_value(value, element)).collect())
        }
        (value, _) => value.clone(),
    }
}

proptest! {
    /// Rows are those of documents that have no such keys, and no such key is a mismatch.
    #[test]
    fn rows_are_those_of_documents_without_these_keys(documents in documents(), sampled in 1_usize..4) {
        let schema = Reply::of_documents(&documents[..sampled.min(documents.len())]).schema();
        let pruned: Vec<Document> =
            documents.iter().map(|document| pruned(document, &schema.fields)).collect();
        let pool = Pool::new(64 << 20).unwrap();
        let decoder = || Decoder::new(&schema, &pool, OPTIONS);
        let (rows, bad) = decode_by(decoder().ignoring(true), &[Reply::of_documents(&documents)]);
        let (expected, _) = decode_by(decoder(), &[Reply::of_documents(&pruned)]);
        prop_assert_eq!(format!("{rows:?}"), format!("{expected:?}"));
        prop_assert!(bad.iter().all(Vec::is_empty));
        prop_assert_eq!(pool.stats().in_use, 0);
    }
}

/// They are named, are no mismatches, and are a surprise where others had none; a document that is not valid is bad.
#[test]
fn what_is_left_out_is_named_and_checked() {
    let schema = Reply::of_documents(&[doc! { "_id": 1, "d": { "a": 1 } }]).schema();
    let pool = Pool::new(64 << 20).unwrap();
    let mut decoder = Decoder::new(&schema, &pool, OPTIONS).ignoring(true);
    decoder.watch();
    let mut damaged = doc! { "_id": 3, "new": "n@me" }.to_vec().unwrap();
    let at = damaged.iter().position(|byte| *byte == b'@').unwrap();
    damaged[at] = 0xFF;
    let good = [
        doc! { "_id": 1, "d": { "a": 1, "b": 2 }, "new": 1, "null": null },
        doc! { "_id": 2, "new": 2, "d": "x" },
    ];
    let good: Vec<Vec<u8>> = good.iter().map(|document| document.to_vec().unwrap()).collect();
    let reply = Reply::of([&good[0][..], &damaged, &good[1]]);
    let mut bad = Vec::new();
    let mut ranges = reply.ranges.iter().cloned();
    decoder.append(&reply.bytes, &mut ranges, &mut |document| bad.push(document.range)).unwrap();
    assert_eq!(bad, [reply.ranges[1].clone()]);
    let surprises: Vec<_> =
        decoder.all_surprises().into_iter().map(|surprise| (surprise.path, surprise.count)).collect();
    assert_eq!(surprises, [("d.b".to_owned(), 1), ("new".to_owned(), 2), ("d".to_owned(), 1)]);
    let counts = decoder.take_counts();
    assert_eq!(counts.total(), 1);
    assert!(counts.by_field().contains_key("d"));
    assert_eq!(Vec::from_iter(decoder.take_ignored()), ["d.b", "new"]);
    assert!(decoder.take_ignored().is_empty());
}
