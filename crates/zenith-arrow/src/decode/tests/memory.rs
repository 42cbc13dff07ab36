//! How much memory batches take, and how many rows that is.

use bson::{Bson, Document};
use zenith_memory::Pool;

use super::{Decoder, DecoderOptions, Reply};

/// Documents of `fields` fields; each lacks those fields of which `lacks` says so.
fn documents(count: i32, fields: i32, lacks: impl Fn(i32) -> bool) -> Reply {
    let documents: Vec<Document> = (0..count)
        .map(|number| {
            let mut document = Document::new();
            document.insert("_id", number);
            for field in (0..fields).filter(|field| !lacks(number + field)) {
                let value: Bson = match field % 4 {
                    0 => format!("text {:08}", number * field).into(),
                    1 => number.into(),
                    2 => f64::from(number).into(),
                    _ => i64::from(number).into(),
                };
                document.insert(format!("field_{field}"), value);
            }
            document
        })
        .collect();
    Reply::of_documents(&documents)
}

/// Rows of each batch, and the most memory that was in use.
fn rows(reply: &Reply, budget: usize, options: DecoderOptions) -> (Vec<usize>, usize) {
    let pool = Pool::new(budget).unwrap();
    let mut decoder = Decoder::new(&reply.schema(), &pool, options);
    decoder.learn(&reply.bytes, reply.ranges.iter().take(100).cloned()).unwrap();
    let mut ranges = reply.ranges.iter().cloned();
    let mut rows = Vec::new();
    while let Some(batch) = decoder.append(&reply.bytes, &mut ranges, &mut |bad| panic!("{bad:?}")).unwrap() {
        rows.push(batch.num_rows());
    }
    rows.extend(decoder.finish().unwrap().map(|batch| batch.num_rows()));
    (rows, pool.stats().in_use_max)
}

/// Two thousand columns in a small share: their buffers' granules fill it, and a batch is still many rows.
#[test]
fn batches_of_many_columns_are_not_of_single_rows() {
    let full = documents(120, 2_000, |_| false);
    let sparse = documents(120, 2_000, |field| field % 3 == 0);
    for (reply, share) in
        [(&full, 1_536), (&full, 2_048), (&sparse, 1_536), (&sparse, 2_048), (&sparse, 3_072)]
    {
        let share = share << 10;
        let (rows, most) = rows(reply, 8 << 20, DecoderOptions { rows_max: 131_072, bytes_max: share });
        assert_eq!(rows.iter().sum::<usize>(), 120);
        assert!(rows.len() <= 4, "{} batches of {share} bytes: {rows:?}", rows.len());
        assert!(most <= 12 << 20, "{most} bytes in use");
    }
}

#[test]
fn a_batch_keeps_within_its_share() {
    let reply = documents(3_000, 20, |field| field % 7 == 0);
    let share = 64 << 10;
    let (rows, most) = rows(&reply, 1 << 20, DecoderOptions { rows_max: 131_072, bytes_max: share });
    assert!(most <= share, "{most} bytes in use");
    assert!(rows.len() < 20, "{rows:?}");
}

/// After the sample nothing is moved to a larger place: every batch begins with room for all of its rows.
#[test]
fn buffers_do_not_move_once_rows_are_known() {
    let reply = documents(4_000, 30, |_| false);
    let pool = Pool::new(8 << 20).unwrap();
    let options = DecoderOptions { rows_max: 131_072, bytes_max: 256 << 10 };
    let mut decoder = Decoder::new(&reply.schema(), &pool, options);
    decoder.learn(&reply.bytes, reply.ranges.iter().cloned()).unwrap();
    let moves = pool.stats().moves;
    let mut ranges = reply.ranges.iter().cloned();
    while decoder.append(&reply.bytes, &mut ranges, &mut |bad| panic!("{bad:?}")).unwrap().is_some() {}
    decoder.finish().unwrap();
    assert_eq!(pool.stats().moves, moves);
}

/// A pool that is all taken by one batch after the other gives every byte back.
#[test]
fn documents_too_large_for_a_batch_get_one_of_their_own() {
    let text = "x".repeat(300_000);
    let reply = Reply::of_documents(&[
        bson::doc! { "_id": 1, "t": "a" },
        bson::doc! { "_id": 2, "t": &text },
        bson::doc! { "_id": 3, "t": "b" },
    ]);
    let (rows, _) = rows(&reply, 1 << 20, DecoderOptions { rows_max: 10, bytes_max: 64 << 10 });
    assert_eq!(rows, [1, 1, 1]);
}

/// A batch has no more rows than it may, also where its memory is beyond its share, or nothing is known of its rows.
#[test]
fn the_limit_of_a_batch_holds_until_the_next_one() {
    let few = documents(60, 20, |_| false);
    let many = documents(60, 2_000, |_| false);
    let texts = [240_000, 1, 1, 1, 1, 1, 1, 1].map(|size| bson::doc! { "_id": 1, "t": "x".repeat(size) });
    let large_before = Reply::of_documents(&texts);
    for (reply, share) in [(&few, 64 << 10), (&many, 1 << 20), (&large_before, 256 << 10)] {
        let pool = Pool::new(8 << 20).unwrap();
        let options = DecoderOptions { rows_max: 1_000, bytes_max: share };
        let mut decoder = Decoder::new(&reply.schema(), &pool, options);
        decoder.learn(&reply.bytes, reply.ranges.iter().take(1).cloned()).unwrap();
        assert!((4..=1_000).contains(&decoder.rows_of_a_batch()), "{share} bytes");
        let mut ranges = reply.ranges.iter().skip(1).cloned();
        for limit in [3, 1, 2] {
            decoder.limit(limit);
            let batch = decoder.append(&reply.bytes, &mut ranges, &mut |bad| panic!("{bad:?}")).unwrap();
            assert_eq!(batch.map(|batch| batch.num_rows()), Some(limit), "{share} bytes");
        }
    }
}
