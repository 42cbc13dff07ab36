//! User-space copies of a value between the reply and the batch: one.
//!
//! The reply is read where it lies. What is written is written into memory of the pool, and that memory is
//! the batch's: sealing neither copies nor moves it, which its addresses and the pool's counter of moves show.

use arrow_array::{Array, ArrayRef};
use bson::{Bson, doc};
use zenith_memory::Pool;

use super::{Decoder, DecoderOptions, Reply};
use crate::infer::{DecimalAs, IdTypes, InferOptions, ObjectIdAs, infer};
use crate::{Field, Kind, Schema};

const ROWS: i32 = 3_000;

/// A document with a column of every kind, and nulls among them in every other row.
fn document(number: i32) -> bson::Document {
    let there = number % 2 == 0;
    let or_null = |value: Bson| if there { value } else { Bson::Null };
    let id = bson::oid::ObjectId::from_bytes([7; 12]);
    let uuid = bson::Binary { subtype: bson::spec::BinarySubtype::Uuid, bytes: vec![1; 16] };
    let bytes = bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![2; 9] };
    let decimal: bson::Decimal128 = "12.50".parse().unwrap();
    doc! {
        "_id": number,
        "text": or_null(format!("text {number}").into()),
        "long": "a text that is longer than the bytes which are copied at once",
        "small": or_null(number.into()),
        "large": i64::from(number),
        "real": or_null(f64::from(number).into()),
        "flag": or_null(true.into()),
        "at": bson::DateTime::from_millis(i64::from(number)),
        "clock": bson::Timestamp { time: 1, increment: 2 },
        "object": or_null(id.into()),
        "uuid": uuid,
        "bytes": or_null(bytes.into()),
        "decimal": decimal,
        "inner": { "a": number, "b": "text" },
        "list": [number, 2, 3],
        "texts": ["a", "b"],
        "points": [{ "x": 1.0, "label": "p" }, { "x": 2.0, "label": "q" }],
        "other": if there { Bson::from("does not fit") } else { Bson::Int32(1) },
    }
}

fn schemas(reply: &Reply) -> Vec<Schema> {
    let of = |object_id, decimal| {
        let options = InferOptions { object_id, decimal, id: IdTypes::Unknown, ..InferOptions::default() };
        infer(reply.documents(), &options).schema
    };
    let plain = of(ObjectIdAs::Hex, DecimalAs::Decimal);
    let mut texts = of(ObjectIdAs::Fixed, DecimalAs::Text);
    for field in &mut texts.fields {
        match field.name.as_str() {
            "_id" => field.kind = Kind::MixedId,
            "inner" => field.kind = Kind::Json,
            "text" => field.kind = Kind::Category,
            _ => {}
        }
    }
    let seen = |kind: &dyn Fn(&Kind) -> bool| {
        [&plain, &texts].iter().any(|schema| schema.fields.iter().any(|Field { kind: k, .. }| kind(k)))
    };
    assert!(seen(&|kind| matches!(kind, Kind::Decimal { .. })) && seen(&|kind| *kind == Kind::DecimalText));
    assert!(seen(&|kind| *kind == Kind::ObjectId) && seen(&|kind| *kind == Kind::ObjectIdFixed));
    assert!(seen(&|kind| matches!(kind, Kind::Uuid(_))) && seen(&|kind| matches!(kind, Kind::Binary { .. })));
    assert!(seen(&|kind| *kind == Kind::Timestamp) && seen(&|kind| *kind == Kind::Date));
    vec![plain, texts]
}

/// Calls `look` with every buffer of an array and of those inside it, and with its place.
fn buffers(path: &str, array: &ArrayRef, look: &mut dyn FnMut(String, &[u8])) {
    let data = array.to_data();
    let of_use = |(_, buffer): &(usize, &arrow_buffer::Buffer)| !buffer.is_empty();
    for (index, buffer) in data.buffers().iter().enumerate().filter(of_use) {
        look(format!("buffer {index} of {path}"), buffer.as_slice());
    }
    if let Some(nulls) = data.nulls() {
        look(format!("validity of {path}"), nulls.buffer().as_slice());
    }
    for (index, child) in data.child_data().iter().enumerate() {
        buffers(&format!("{path}.{index}"), &arrow_array::make_array(child.clone()), look);
    }
}

#[test]
fn every_buffer_of_every_kind_of_column_is_memory_of_the_pool() {
    let reply = Reply::of_documents(&(0..ROWS).map(document).collect::<Vec<_>>());
    for schema in schemas(&reply) {
        let pool = Pool::new(64 << 20).unwrap();
        let options = DecoderOptions { rows_max: 131_072, bytes_max: 16 << 20 };
        let mut decoder = Decoder::new(&schema, &pool, options);
        decoder.learn(&reply.bytes, reply.ranges.iter().cloned()).unwrap();

        let before = reply.bytes.clone();
        let moves = pool.stats().moves;
        let mut ranges = reply.ranges.iter().cloned();
        assert!(decoder.append(&reply.bytes, &mut ranges, &mut |bad| panic!("{bad:?}")).unwrap().is_none());
        let in_use = pool.stats().in_use;
        let batch = decoder.finish().unwrap().unwrap();
        assert_eq!(batch.num_rows(), usize::try_from(ROWS).unwrap());
        assert_eq!(reply.bytes, before);
        // Nothing was moved while it was written, and sealing has taken no memory, not even for a moment.
        assert_eq!(pool.stats().moves, moves);
        assert_eq!(pool.stats().in_use_max.max(in_use), in_use, "the batch took more when it was sealed");

        let mut places = Vec::new();
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            buffers(field.name(), column, &mut |path, bytes| {
                let place = pool.locate(bytes);
                assert!(place.is_some(), "{path} ({} bytes) is not in the pool", bytes.len());
                places.extend(place.map(|start| (start, bytes.len(), path)));
            });
        }
        // No two of them share a byte: each value stands in one place.
        places.sort();
        for pair in places.windows(2) {
            let end = pair[0].0 + u64::try_from(pair[0].1).unwrap();
            assert!(end <= pair[1].0, "{} and {} overlap", pair[0].2, pair[1].2);
        }
    }
}
