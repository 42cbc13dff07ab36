//! Input for the benches: documents of every shape as one run of bytes, as a reply of the server has them.

use std::ops::Range;

use zenith_arrow::Schema;
use zenith_arrow::infer::{InferOptions, infer};
use zenith_testkit::Shape;

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

    /// The schema inferred from the first thousand.
    #[must_use]
    pub fn schema(&self) -> Schema {
        let sample = self.ranges.iter().take(1000).map(|range| &self.bytes[range.clone()]);
        infer(sample, &InferOptions::default()).schema
    }
}
