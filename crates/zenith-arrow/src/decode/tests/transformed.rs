//! Documents that are changed before they are decoded.

use std::sync::Arc;

use bson::{Document, doc};
use proptest::prelude::*;
use zenith_memory::Pool;

use super::{Decoder, DecoderOptions, Reply, decode_by};
use crate::extended_json::arbitrary::value;
use crate::{Mask, Salt, TransformOptions};

const OPTIONS: DecoderOptions = DecoderOptions { rows_max: 7, bytes_max: 1 << 20 };

fn documents() -> impl Strategy<Value = Vec<Document>> {
    let fields = prop::collection::vec(("[a-d]", value()), 0..6);
    prop::collection::vec(fields, 1..12).prop_map(|documents| {
        let numbered = documents.into_iter().enumerate().map(|(number, fields)| {
            let mut document = doc! { "_id": i32::try_from(number).unwrap() };
            document.extend(fields);
            document
        });
        numbered.collect()
    })
}

fn paths() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-d](\\.([a-d]|\\*)){0,2}", 0..3)
}

proptest! {
    /// Rows, and what of them no column shows, are those of documents that have been changed before, whatever the columns
    /// were made for.
    #[test]
    fn rows_are_those_of_changed_documents(
        documents in documents(),
        include in paths(),
        exclude in paths(),
        masked in paths(),
        sample_is_changed: bool,
    ) {
        let masks = [Mask::Redact, Mask::Null, Mask::Hash64(Salt::new(b"s"))];
        let mask = masked.into_iter().zip(masks).collect();
        let options = TransformOptions { include, exclude, mask, whole: false };
        prop_assume!(!options.is_empty() && options.of_rows().is_ok());
        let original = Reply::of_documents(&documents);
        let plain = options.plain().unwrap().unwrap();
        let changed: Vec<Vec<u8>> =
            original.documents().map(|document| plain.apply(document).unwrap()).collect();
        let changed = Reply::of(changed.iter().map(Vec::as_slice));
        let schema = if sample_is_changed { changed.schema() } else { original.schema() };
        let pool = Pool::new(64 << 20).unwrap();
        let transform = options.of_rows().unwrap().map(Arc::new);
        let decoder = || Decoder::new(&schema, &pool, OPTIONS);
        let (rows, bad) = decode_by(decoder().transformed(transform), std::slice::from_ref(&original));
        let (expected, _) = decode_by(decoder(), &[changed]);
        prop_assert_eq!(format!("{rows:?}"), format!("{expected:?}"));
        prop_assert!(bad.iter().all(Vec::is_empty));
        prop_assert_eq!(pool.stats().in_use, 0);
    }
}

/// Text that is no UTF-8 is of no interest where it is left out; elsewhere its document is bad, with its own place.
#[test]
fn damage_is_told_where_it_is_not_left_out() {
    let documents = [("p", b'x'), ("p", 0xFF), ("q", 0xFF), ("q", b'x')].map(|(key, byte)| {
        let mut bytes = doc! { "_id": 1, key: "n@me", "s": "fine" }.to_vec().unwrap();
        let at = bytes.iter().position(|byte| *byte == b'@').unwrap();
        bytes[at] = byte;
        bytes
    });
    let reply = Reply::of(documents.iter().map(Vec::as_slice));
    let exclude = vec!["p".to_owned()];
    let options = TransformOptions { exclude, ..TransformOptions::default() };
    let schema = Reply::of_documents(&[doc! { "_id": 1, "q": "a", "s": "b" }]).schema();
    let pool = Pool::new(64 << 20).unwrap();
    let decoder = Decoder::new(&schema, &pool, OPTIONS).transformed(options.of_rows().unwrap().map(Arc::new));
    let (rows, bad) = decode_by(decoder, std::slice::from_ref(&reply));
    assert_eq!(rows.len(), 3);
    let bad: Vec<_> = bad.iter().flatten().map(|bad| bad.range.clone()).collect();
    assert_eq!(bad, [reply.ranges[2].clone()]);
}

/// A sample has been changed before it is learned from.
#[test]
fn what_is_learned_from_is_taken_as_it_is() {
    let reply = Reply::of_documents(&[doc! { "_id": 1, "p": "x" }]);
    let options = TransformOptions { exclude: vec!["p".to_owned()], ..TransformOptions::default() };
    let pool = Pool::new(64 << 20).unwrap();
    let schema = Reply::of_documents(&[doc! { "_id": 1 }]).schema();
    let mut decoder =
        Decoder::new(&schema, &pool, OPTIONS).transformed(options.of_rows().unwrap().map(Arc::new));
    decoder.watch();
    decoder.learn(&reply.bytes, reply.ranges.iter().cloned()).unwrap();
    assert!(decoder.transform().is_some());
    decoder.append(&reply.bytes, &mut reply.ranges.iter().cloned(), &mut |_| {}).unwrap();
    assert!(decoder.all_surprises().is_empty() && decoder.take_counts().total() == 0);
}
