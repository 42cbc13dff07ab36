//! The decoder against a slow, obvious one, and what it does with memory.

mod copies;
mod equal;
mod ignoring;
mod memory;
mod slow;
mod transformed;
mod unwound;

use std::ops::Range;

use zenith_memory::Pool;

use slow::Row;

use super::{BadDocument, Decoder, DecoderOptions};
use crate::Schema;
use crate::infer::{InferOptions, infer};

/// Documents one after the other, as a reply has them.
#[derive(Clone, Debug, Default)]
struct Reply {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Reply {
    fn of<'a>(documents: impl IntoIterator<Item = &'a [u8]>) -> Reply {
        let mut reply = Reply::default();
        for document in documents {
            let start = reply.bytes.len();
            reply.bytes.extend_from_slice(document);
            reply.ranges.push(start..reply.bytes.len());
        }
        reply
    }

    fn of_documents<'a>(documents: impl IntoIterator<Item = &'a bson::Document>) -> Reply {
        let documents: Vec<_> = documents.into_iter().map(|document| document.to_vec().unwrap()).collect();
        Reply::of(documents.iter().map(Vec::as_slice))
    }

    fn documents(&self) -> impl Iterator<Item = &[u8]> {
        self.ranges.iter().map(|range| &self.bytes[range.clone()])
    }

    fn schema(&self) -> Schema {
        infer(self.documents(), &InferOptions::default()).schema
    }
}

/// Rows of all `replies`, and the bad documents of each reply.
///
/// No batch outlives the next one: those of large documents are overdrafts of the pool, of which there are few.
fn decode(
    schema: &Schema,
    replies: &[Reply],
    pool: &Pool,
    options: DecoderOptions,
) -> (Vec<Row>, Vec<Vec<BadDocument>>) {
    decode_by(Decoder::new(schema, pool, options), replies)
}

/// The same by a decoder that may do more.
fn decode_by(mut decoder: Decoder, replies: &[Reply]) -> (Vec<Row>, Vec<Vec<BadDocument>>) {
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    for reply in replies {
        let mut rejected = Vec::new();
        let mut ranges = reply.ranges.iter().cloned();
        while let Some(batch) =
            decoder.append(&reply.bytes, &mut ranges, &mut |document| rejected.push(document)).unwrap()
        {
            rows.extend((0..batch.num_rows()).map(|row| Row::of(&batch, row)));
        }
        bad.push(rejected);
    }
    let last = decoder.finish().unwrap();
    rows.extend(last.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| Row::of(batch, row))));
    (rows, bad)
}
