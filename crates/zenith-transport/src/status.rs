//! The status of pipelines, for readers of the tables: a table of versions, and a view with one row for each pipeline.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::{
    ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt8Array, UInt64Array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::ddl::{CurrentView, Engine, TableDefinition};

const VERSION: &str = "version";
const REMOVED: &str = "removed";

/// A pipeline at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineStatus {
    /// Its name.
    pub pipeline: String,
    /// Its table.
    pub table: String,
    /// The source's time up to which the table is complete; `None` before it ever was.
    pub complete_to: Option<SystemTime>,
    /// The source's clock minus that, in seconds.
    pub lag_seconds: Option<f64>,
    /// What it is doing, in a word.
    pub state: String,
    /// What it waits for; empty if it does not.
    pub waiting_for: String,
    /// Rows written since the pipeline began.
    pub rows: u64,
    /// Values in the extra column since the table was loaded.
    pub extra_values: u64,
    /// Documents without a row since then.
    pub dead_letters: u64,
    /// When this was so.
    pub updated: SystemTime,
}

/// The columns of the table.
fn schema() -> SchemaRef {
    let time = || DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("pipeline", DataType::Utf8, false),
        Field::new("table", DataType::Utf8, false),
        Field::new("complete_to", time(), true),
        Field::new("lag_seconds", DataType::Float64, true),
        Field::new("state", DataType::Utf8, false),
        Field::new("waiting_for", DataType::Utf8, false),
        Field::new("rows", DataType::UInt64, false),
        Field::new("extra_values", DataType::UInt64, false),
        Field::new("dead_letters", DataType::UInt64, false),
        Field::new("updated", time(), false),
        Field::new(VERSION, DataType::UInt64, false),
        Field::new(REMOVED, DataType::UInt8, false),
    ]))
}

/// The table behind the view `name`.
#[must_use]
pub fn table(name: &str) -> TableDefinition {
    let mut definition = TableDefinition::new(format!("{name}_versions"), schema())
        .order_by(["pipeline"])
        .if_not_exists()
        .comment("How pipelines of Zenith stand, each time that was written. The view has one row for each.");
    definition.engine =
        Engine::ReplacingMergeTree { version: VERSION.to_owned(), deleted: Some(REMOVED.to_owned()) };
    definition
}

/// The view with one row for each pipeline.
#[must_use]
pub fn view(name: &str) -> CurrentView {
    CurrentView {
        hidden: Vec::new(),
        name: name.to_owned(),
        table: table(name).name,
        version: VERSION.to_owned(),
        deleted: REMOVED.to_owned(),
        comment: "How pipelines of Zenith stand: one row for each, renewed every few seconds.".to_owned(),
    }
}

/// The rows of some pipelines.
///
/// # Errors
/// None that is known: the columns are those of the table.
pub fn batch(pipelines: &[PipelineStatus]) -> Result<RecordBatch, ArrowError> {
    let millis = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    };
    let text = |part: fn(&PipelineStatus) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(pipelines.iter().map(part)))
    };
    let number = |part: fn(&PipelineStatus) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(pipelines.iter().map(part)))
    };
    let complete_to = pipelines.iter().map(|pipeline| pipeline.complete_to.map(millis));
    let updated = pipelines.iter().map(|pipeline| millis(pipeline.updated));
    let versions = pipelines.iter().map(|pipeline| millis(pipeline.updated).unsigned_abs());
    RecordBatch::try_new(
        schema(),
        vec![
            text(|pipeline| &pipeline.pipeline),
            text(|pipeline| &pipeline.table),
            Arc::new(TimestampMillisecondArray::from_iter(complete_to).with_timezone("UTC")),
            Arc::new(Float64Array::from_iter(pipelines.iter().map(|pipeline| pipeline.lag_seconds))),
            text(|pipeline| &pipeline.state),
            text(|pipeline| &pipeline.waiting_for),
            number(|pipeline| pipeline.rows),
            number(|pipeline| pipeline.extra_values),
            number(|pipeline| pipeline.dead_letters),
            Arc::new(TimestampMillisecondArray::from_iter_values(updated).with_timezone("UTC")),
            Arc::new(UInt64Array::from_iter_values(versions)),
            Arc::new(UInt8Array::from_value(0, pipelines.len())),
        ],
    )
}
