//! The layout of a table: its engine, its key and its metadata columns follow from its purpose.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{StringBuilder, UInt8Builder, UInt32Builder, UInt64Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{UInt8Type, UInt32Type};
use arrow_array::{
    ArrayRef, RecordBatch, RecordBatchOptions, TimestampMillisecondArray, UInt8Array, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef, TimeUnit};
use zenith_arrow::schema::CATEGORY_METADATA_KEY;
use zenith_transport::ddl::Engine;
use zenith_transport::{RowSet, Scalar, TableInfo};

use crate::table_shape::Rows;
use crate::{EngineError, Result};

/// The column with the version of a row: cluster time, seconds in the upper and increment in the lower 32 bits.
pub const VERSION_COLUMN: &str = "_zenith_version";
/// The column that is 1 in rows that stand for a deletion.
pub const DELETED_COLUMN: &str = "_zenith_deleted";
/// The column that is 1 in rows that have been left: their document stands elsewhere in the sorting key.
pub const MOVED_COLUMN: &str = "_zenith_moved";
/// The column that says what a change did: `insert`, `update`, `replace` or `delete`; `snapshot` in rows of documents that were
/// there before the first change.
pub const OPERATION_COLUMN: &str = "_zenith_operation";
/// The column with the time of a change.
pub const TIME_COLUMN: &str = "_zenith_time";
/// The column with the number of a change within its version.
pub const INDEX_COLUMN: &str = "_zenith_index";

/// What a change can have done, as [`OPERATION_COLUMN`] has it.
pub(crate) const OPERATIONS: [&str; 5] = ["insert", "update", "replace", DELETION, SNAPSHOT];
/// That of a change that takes its document away.
pub(crate) const DELETION: &str = "delete";
/// That of a row of no change: a document that the log begins with.
pub(crate) const SNAPSHOT: &str = "snapshot";

/// The key of every table.
pub(crate) const KEY: &str = "_id";

/// Whether the engine of a table hides rows of documents that are gone, so that merges may take them away; also where there is no
/// table.
#[must_use]
pub fn hides_deletions(table: Option<&TableInfo>) -> bool {
    table.is_none_or(|table| table.hidden_by.as_deref() == Some(DELETED_COLUMN))
}

/// What a table holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// One row for each document, written once.
    #[default]
    Rows,
    /// One row for each state of a document, of which the one with the highest version counts.
    Current,
    /// The same, of which the last row of a document that is gone stays, and says that it is gone.
    Marked {
        /// Whether rows of one document may stand at several places of the sorting key: the engine hides those that are left.
        moves: bool,
    },
    /// One row for each change.
    Log,
}

impl Layout {
    /// The schema of the table for documents that are decoded to `documents`.
    pub(crate) fn schema(self, documents: &SchemaRef) -> SchemaRef {
        let mut fields: Vec<_> = documents.fields().iter().cloned().collect();
        let mut add = |field: Field| fields.push(Arc::new(field));
        match self {
            Layout::Rows => return Arc::clone(documents),
            Layout::Current => {
                add(Field::new(VERSION_COLUMN, DataType::UInt64, false));
                add(Field::new(DELETED_COLUMN, DataType::UInt8, false));
            }
            Layout::Marked { moves } => {
                add(Field::new(VERSION_COLUMN, DataType::UInt64, false));
                add(Field::new(DELETED_COLUMN, DataType::UInt8, false));
                if moves {
                    add(Field::new(MOVED_COLUMN, DataType::UInt8, false));
                }
            }
            Layout::Log => {
                let category = HashMap::from([(CATEGORY_METADATA_KEY.to_owned(), "1".to_owned())]);
                add(Field::new(OPERATION_COLUMN, DataType::Utf8, false).with_metadata(category));
                let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
                add(Field::new(TIME_COLUMN, time, false));
                add(Field::new(VERSION_COLUMN, DataType::UInt64, false));
                add(Field::new(INDEX_COLUMN, DataType::UInt32, false));
            }
        }
        Arc::new(ArrowSchema::new(fields))
    }

    /// The engine of the table.
    pub(crate) fn engine(self) -> Engine {
        match self {
            Layout::Rows | Layout::Log => Engine::MergeTree,
            Layout::Current | Layout::Marked { .. } => Engine::ReplacingMergeTree {
                version: VERSION_COLUMN.to_owned(),
                deleted: self.tombstones().map(str::to_owned),
            },
        }
    }

    /// Whether rows of equal keys replace each other by their versions.
    pub(crate) fn has_versions(self) -> bool {
        matches!(self, Layout::Current | Layout::Marked { .. })
    }

    /// The column that is 1 in rows which stand for nothing but that another one is gone.
    pub(crate) fn tombstones(self) -> Option<&'static str> {
        match self {
            Layout::Current => Some(DELETED_COLUMN),
            Layout::Marked { moves: true } => Some(MOVED_COLUMN),
            Layout::Rows | Layout::Log | Layout::Marked { moves: false } => None,
        }
    }

    /// The columns that the engine of the table is given.
    pub(crate) fn versions(self) -> &'static [&'static str] {
        match self {
            Layout::Rows | Layout::Log => &[],
            Layout::Current => &[VERSION_COLUMN, DELETED_COLUMN],
            Layout::Marked { moves: true } => &[VERSION_COLUMN, MOVED_COLUMN],
            Layout::Marked { moves: false } => &[VERSION_COLUMN],
        }
    }

    /// The engine as the server names it.
    pub(crate) fn engine_name(self) -> &'static str {
        match self {
            Layout::Rows | Layout::Log => "MergeTree",
            Layout::Current | Layout::Marked { .. } => "ReplacingMergeTree",
        }
    }

    /// The column of so many rows that stand where their documents do, in tables that have it.
    fn moved(self, rows: usize) -> Option<ArrayRef> {
        (self == Layout::Marked { moves: true })
            .then(|| Arc::new(UInt8Array::from_value(0, rows)) as ArrayRef)
    }

    /// The rows that a table of this layout shows.
    pub(crate) fn shown(self) -> RowSet {
        match self {
            Layout::Current | Layout::Marked { .. } => RowSet::Current { deleted: DELETED_COLUMN.to_owned() },
            Layout::Rows | Layout::Log => RowSet::All,
        }
    }

    /// The rows of a table of this layout that have values: those that it shows, and those of documents that are gone.
    pub(crate) fn with_values(self) -> RowSet {
        match self {
            Layout::Marked { .. } => RowSet::Merged,
            layout => layout.shown(),
        }
    }

    /// The rows of a table of this layout that are documents as they are now.
    pub(crate) fn documents(self) -> RowSet {
        match self {
            Layout::Rows | Layout::Current | Layout::Marked { .. } => self.shown(),
            Layout::Log => RowSet::Newest {
                key: KEY.to_owned(),
                order: vec![VERSION_COLUMN.to_owned(), INDEX_COLUMN.to_owned()],
                operation: OPERATION_COLUMN.to_owned(),
                deletion: DELETION.to_owned(),
            },
        }
    }

    /// What the shape of the table depends on.
    pub(crate) fn rows(self) -> Rows {
        Rows { key: self.sorting_key(), have_versions: self.has_versions() }
    }

    /// The columns of the sorting key.
    pub(crate) fn sorting_key(self) -> &'static [&'static str] {
        match self {
            Layout::Rows | Layout::Current | Layout::Marked { .. } => &[KEY],
            Layout::Log => &[KEY, VERSION_COLUMN, INDEX_COLUMN],
        }
    }
}

/// The metadata columns of every row of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadMetadata {
    /// Nothing.
    None,
    /// This version, in a table of this layout, and that it is not deleted.
    Version(u64, Layout),
    /// This version, and that it is of no change of a log.
    Snapshot(u64),
}

impl LoadMetadata {
    /// The layout of the table of such rows.
    pub(crate) fn layout(self) -> Layout {
        match self {
            LoadMetadata::None => Layout::Rows,
            LoadMetadata::Version(_, layout) => layout,
            LoadMetadata::Snapshot(_) => Layout::Log,
        }
    }

    /// The batch with the columns of its table.
    pub(crate) fn apply(self, batch: RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        match self {
            LoadMetadata::None => Ok(batch),
            LoadMetadata::Version(version, layout) => {
                let version: ArrayRef = Arc::new(UInt64Array::from_value(version, rows));
                let no: ArrayRef = Arc::new(UInt8Array::from_value(0, rows));
                append(&batch, layout, [version, no].into_iter().chain(layout.moved(rows)))
            }
            LoadMetadata::Snapshot(version) => {
                let mut columns = MetadataColumns::new(Layout::Log, rows);
                for _ in 0..rows {
                    columns.push(RowMetadata { operation: SNAPSHOT, version, index: 0, deleted: false });
                }
                columns.append_to(&batch)
            }
        }
    }
}

/// Builds the metadata columns, row by row.
pub(crate) struct MetadataColumns {
    layout: Layout,
    version: UInt64Builder,
    deleted: UInt8Builder,
    operation: StringBuilder,
    time: Vec<i64>,
    index: UInt32Builder,
}

/// One row's part of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowMetadata {
    pub(crate) operation: &'static str,
    pub(crate) version: u64,
    pub(crate) index: u32,
    pub(crate) deleted: bool,
}

impl RowMetadata {
    /// That of a row of a table, whatever its layout; `None` where a column of it is no longer what it was made as.
    pub(crate) fn of(batch: &RecordBatch, row: usize) -> Option<RowMetadata> {
        let number = |name: &str| batch.column_by_name(name).map(|column| Scalar::of(&**column, row));
        let version = match number(VERSION_COLUMN) {
            None => 0,
            Some(Some(Scalar::UInt64(version))) => version,
            Some(_) => return None,
        };
        let index = match batch.column_by_name(INDEX_COLUMN) {
            None => 0,
            Some(column) => column.as_primitive_opt::<UInt32Type>()?.value(row),
        };
        let deleted = match batch.column_by_name(DELETED_COLUMN) {
            None => false,
            Some(column) => column.as_primitive_opt::<UInt8Type>()?.value(row) != 0,
        };
        let operation = match number(OPERATION_COLUMN) {
            None => "insert",
            Some(Some(Scalar::Bytes(name))) => {
                OPERATIONS.into_iter().find(|known| known.as_bytes() == name)?
            }
            Some(_) => return None,
        };
        Some(RowMetadata { operation, version, index, deleted })
    }
}

impl MetadataColumns {
    pub(crate) fn new(layout: Layout, rows: usize) -> MetadataColumns {
        let log = if layout == Layout::Log { rows } else { 0 };
        let current = if layout.has_versions() { rows } else { 0 };
        MetadataColumns {
            layout,
            version: UInt64Builder::with_capacity(rows),
            deleted: UInt8Builder::with_capacity(current),
            operation: StringBuilder::with_capacity(log, log * 6),
            time: Vec::with_capacity(log),
            index: UInt32Builder::with_capacity(log),
        }
    }

    pub(crate) fn push(&mut self, metadata: RowMetadata) {
        self.version.append_value(metadata.version);
        match self.layout {
            Layout::Rows => {}
            Layout::Current | Layout::Marked { .. } => {
                self.deleted.append_value(u8::from(metadata.deleted));
            }
            Layout::Log => {
                self.operation.append_value(metadata.operation);
                self.time.push(version_millis(metadata.version));
                self.index.append_value(metadata.index);
            }
        }
    }

    /// Appends the metadata columns to `batch`, whose rows they were pushed for in order.
    pub(crate) fn append_to(mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let version: ArrayRef = Arc::new(self.version.finish());
        match self.layout {
            Layout::Rows => Ok(batch.clone()),
            Layout::Current | Layout::Marked { .. } => {
                let deleted: ArrayRef = Arc::new(self.deleted.finish());
                let moved = self.layout.moved(batch.num_rows());
                append(batch, self.layout, [version, deleted].into_iter().chain(moved))
            }
            Layout::Log => {
                let time = TimestampMillisecondArray::from(self.time).with_timezone("UTC");
                let columns: [ArrayRef; 4] = [
                    Arc::new(self.operation.finish()),
                    Arc::new(time),
                    version,
                    Arc::new(self.index.finish()),
                ];
                append(batch, self.layout, columns)
            }
        }
    }
}

/// Milliseconds since 1970 of a version.
pub(crate) fn version_millis(version: u64) -> i64 {
    i64::try_from(version >> 32).unwrap_or(0) * 1000
}

fn append(
    batch: &RecordBatch,
    layout: Layout,
    columns: impl IntoIterator<Item = ArrayRef>,
) -> Result<RecordBatch> {
    let schema = layout.schema(&batch.schema());
    let all = batch.columns().iter().cloned().chain(columns).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema, all, &options)
        .map_err(|_| EngineError::Worker { worker: "the metadata columns of a batch" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents() -> RecordBatch {
        let schema = Arc::new(ArrowSchema::new(vec![Field::new(KEY, DataType::UInt64, false)]));
        RecordBatch::try_new(schema, vec![Arc::new(UInt64Array::from(vec![7, 8]))]).unwrap()
    }

    #[test]
    fn batches_get_the_columns_of_their_table() {
        for layout in [Layout::Current, Layout::Marked { moves: false }, Layout::Marked { moves: true }] {
            let loaded = LoadMetadata::Version(5, layout).apply(documents()).unwrap();
            assert_eq!(loaded.schema(), layout.schema(&documents().schema()));
            let mut metadata = MetadataColumns::new(layout, 2);
            for index in 0..2 {
                metadata.push(RowMetadata { operation: "insert", version: 5, index, deleted: false });
            }
            assert_eq!(metadata.append_to(&documents()).unwrap(), loaded);
        }
        let snapshot = LoadMetadata::Snapshot(5 << 32).apply(documents()).unwrap();
        assert_eq!(snapshot.schema(), Layout::Log.schema(&documents().schema()));
        let first = RowMetadata { operation: SNAPSHOT, version: 5 << 32, index: 0, deleted: false };
        assert_eq!([0, 1].map(|row| RowMetadata::of(&snapshot, row)), [Some(first), Some(first)]);
        let mut metadata = MetadataColumns::new(Layout::Log, 2);
        for index in 0..2 {
            metadata.push(RowMetadata { operation: "insert", version: 3 << 32, index, deleted: false });
        }
        let logged = metadata.append_to(&documents()).unwrap();
        assert_eq!(logged.num_columns(), 5);
        let times = logged.column_by_name(TIME_COLUMN).unwrap();
        let times = times.as_any().downcast_ref::<TimestampMillisecondArray>().unwrap();
        assert_eq!(times.values(), &[3000, 3000]);
    }
}
