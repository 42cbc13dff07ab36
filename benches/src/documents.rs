//! Input for the benches: documents of every shape as one run of bytes, as a reply of the server has them.

use std::ops::Range;

use arrow_array::RecordBatch;
use zenith_arrow::infer::{InferOptions, infer};
use zenith_arrow::{Decoder, DecoderOptions, Schema};
use zenith_memory::Pool;
use zenith_testkit::Shape;
use zenith_testkit::data::bson_writer::DocumentWriter;

/// The pool that batches are made in, in bytes; the default of the command.
pub const POOL_BYTES: usize = 64 << 20;
/// Limits of a batch; the defaults of the command.
pub const BATCH: DecoderOptions = DecoderOptions { rows_max: 131_072, bytes_max: 16 << 20 };

/// Documents one after another.
pub struct Documents {
    /// Their BSON.
    pub bytes: Vec<u8>,
    /// Where each lies.
    pub ranges: Vec<Range<usize>>,
}

impl Documents {
    /// Documents of a shape, about `bytes` in all and at least one.
    #[must_use]
    pub fn of(shape: Shape, bytes: usize) -> Documents {
        let mut documents = Documents { bytes: Vec::new(), ranges: Vec::new() };
        let mut number = 0;
        while documents.bytes.len() < bytes {
            let start = documents.bytes.len();
            shape.write(1, number, &mut documents.bytes);
            documents.ranges.push(start..documents.bytes.len());
            number += 1;
        }
        documents
    }

    /// Orders with four lines each, about `bytes` in all. Of a thousand lines, `odd` have a key that the others lack, and
    /// that has no column.
    #[must_use]
    pub fn orders(bytes: usize, odd: i32) -> Documents {
        let mut documents = Documents { bytes: Vec::new(), ranges: Vec::new() };
        let mut line = 0_i32;
        while documents.bytes.len() < bytes {
            let start = documents.bytes.len();
            let mut order = DocumentWriter::begin(&mut documents.bytes);
            order.int64("_id", i64::from(line));
            order.string("customer", "a customer of the shop");
            order.array("items", 4, |items, _, name| {
                items.document(name, |item| {
                    item.string("sku", "tea-0123");
                    item.double("price", f64::from(line % 100) + 0.25);
                    item.int32("quantity", line % 7);
                    // The first thousand, which the schema is inferred from, have none.
                    if line > 4_000 && line * 37 % 1_000 < odd {
                        item.string("gift", "yes");
                    }
                });
                line = line.wrapping_add(1);
            });
            order.end();
            documents.ranges.push(start..documents.bytes.len());
        }
        documents
    }

    /// The schema inferred from the first thousand.
    #[must_use]
    pub fn schema(&self) -> Schema {
        let sample = self.ranges.iter().take(1000).map(|range| &self.bytes[range.clone()]);
        infer(sample, &InferOptions::default()).schema
    }

    /// A decoder that knows these documents, as it does after the first reply.
    ///
    /// # Panics
    ///
    /// If they cannot be decoded.
    #[must_use]
    pub fn decoder(&self, pool: &Pool) -> Decoder {
        let mut decoder = Decoder::new(&self.schema(), pool, BATCH);
        decoder.learn(&self.bytes, self.ranges.iter().cloned()).expect("the generated documents are learnt");
        decoder
    }

    /// All of them as one batch, or as many as a batch takes.
    ///
    /// # Panics
    ///
    /// If they cannot be decoded.
    #[must_use]
    pub fn batch(&self, pool: &Pool) -> RecordBatch {
        let mut decoder = self.decoder(pool);
        let mut ranges = self.ranges.iter().cloned();
        let full = decoder
            .append(&self.bytes, &mut ranges, &mut |bad| panic!("{bad:?}"))
            .expect("the generated documents are decoded");
        let batch = full.or_else(|| decoder.finish().expect("a batch is finished"));
        batch.expect("there is at least one document")
    }
}
