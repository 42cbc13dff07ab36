//! Documents that could not be loaded, and the table that keeps them.
//!
//! A dead letter is bytes with a reason. Only their writer knows what the bytes mean.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::{
    ArrayRef, BinaryArray, RecordBatch, StringArray, TimestampMillisecondArray, UInt32Array, UInt64Array,
};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};

use crate::ddl::TableDefinition;

/// One document that could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// When it was given up.
    pub at: SystemTime,
    /// The pipeline that read it; the run, where there is no pipeline.
    pub pipeline: String,
    /// The insert or load it was part of.
    pub run: String,
    /// Where it came from, as in `shop.orders`.
    pub namespace: String,
    /// Its key, as text.
    pub id: String,
    /// The field that could not be loaded, if it is known; empty otherwise.
    pub field: String,
    /// Why.
    pub reason: String,
    /// The document as it was read.
    pub document: Vec<u8>,
    /// The version its row would have had; 0 if it would have had none.
    pub version: u64,
    /// The change it came with, as in `update`; empty if it did not come with one.
    pub operation: String,
    /// Distinguishes changes of one version.
    pub index: u32,
}

impl DeadLetter {
    /// When it was given up, in milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn millis(&self) -> i64 {
        let since = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// The columns of a dead letter table.
#[must_use]
pub fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let mut fields = vec![
        Field::new("at", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
        text("pipeline"),
        text("namespace"),
        text("id"),
        text("field"),
        text("reason"),
        Field::new("document", DataType::Binary, false),
    ];
    fields.extend(later_fields());
    Arc::new(Schema::new(fields))
}

/// The columns that tables of version 0.1 lack.
fn later_fields() -> [Field; 4] {
    [
        Field::new("run", DataType::Utf8, false),
        Field::new("version", DataType::UInt64, false),
        Field::new("operation", DataType::Utf8, false),
        Field::new("index", DataType::UInt32, false),
    ]
}

/// The columns that a dead letter table may lack: [`Sink::write_dead_letters`](crate::Sink::write_dead_letters) adds them.
#[must_use]
pub fn later_columns() -> Vec<FieldRef> {
    later_fields().into_iter().map(Arc::new).collect()
}

/// The definition of the dead letter table `name`.
#[must_use]
pub fn table(name: &str) -> TableDefinition {
    TableDefinition::new(name, schema())
        .order_by(["at"])
        .if_not_exists()
        .comment("Documents that Zenith could not load, with the reason. The document column has them as they were read.")
}

/// The dead letters as one record batch.
pub(crate) fn batch(letters: &[DeadLetter]) -> Result<RecordBatch, ArrowError> {
    let text = |part: fn(&DeadLetter) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(letters.iter().map(part)))
    };
    RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(
                TimestampMillisecondArray::from_iter_values(letters.iter().map(DeadLetter::millis))
                    .with_timezone("UTC"),
            ),
            text(|letter| &letter.pipeline),
            text(|letter| &letter.namespace),
            text(|letter| &letter.id),
            text(|letter| &letter.field),
            text(|letter| &letter.reason),
            Arc::new(BinaryArray::from_iter_values(letters.iter().map(|letter| &letter.document))),
            text(|letter| &letter.run),
            Arc::new(UInt64Array::from_iter_values(letters.iter().map(|letter| letter.version))),
            text(|letter| &letter.operation),
            Arc::new(UInt32Array::from_iter_values(letters.iter().map(|letter| letter.index))),
        ],
    )
}
