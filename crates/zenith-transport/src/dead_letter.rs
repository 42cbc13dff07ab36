//! Documents that could not be loaded, and the table that keeps them.
//!
//! A dead letter is bytes with a reason. What the bytes mean is for those to know who wrote them.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::{ArrayRef, BinaryArray, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::ddl::TableDefinition;

/// One document that could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// When it was given up.
    pub at: SystemTime,
    /// The pipeline that read it.
    pub pipeline: String,
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
}

/// The columns of a dead letter table.
#[must_use]
pub fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![
        Field::new("at", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
        text("pipeline"),
        text("namespace"),
        text("id"),
        text("field"),
        text("reason"),
        Field::new("document", DataType::Binary, false),
    ]))
}

/// The definition of the dead letter table `name`.
#[must_use]
pub fn table(name: &str) -> TableDefinition {
    TableDefinition::new(name, schema())
        .order_by(["at"])
        .if_not_exists()
        .comment("Documents that Zenith could not load, with the reason. The document column has them as they were read.")
}

/// The letters as one record batch.
pub(crate) fn batch(letters: &[DeadLetter]) -> Result<RecordBatch, ArrowError> {
    let text = |part: fn(&DeadLetter) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(letters.iter().map(part)))
    };
    let at = letters.iter().map(|letter| {
        let since = letter.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    });
    RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(TimestampMillisecondArray::from_iter_values(at).with_timezone("UTC")),
            text(|letter| &letter.pipeline),
            text(|letter| &letter.namespace),
            text(|letter| &letter.id),
            text(|letter| &letter.field),
            text(|letter| &letter.reason),
            Arc::new(BinaryArray::from_iter_values(letters.iter().map(|letter| &letter.document))),
        ],
    )
}
