//! What to do about an insert that was refused for its rows.
//!
//! A refusal says that the insert failed, not that nothing of it is in the table: a materialized view is given the rows
//! when the table has them, and of a table with partitions one may be written before the next is refused. Under the same
//! name the insert may be repeated all the same; under others only what is certain not to be in the table may be sent.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_schema::{FieldRef, Schema};
use zenith_transport::ddl::{Dialect, column_type, same_values};
use zenith_transport::{Filter, InsertPath, Scalar, Selection, Sink, TransportError};

use super::key::{is_one_of, key, number};
use crate::layout::{
    DELETED_COLUMN, INDEX_COLUMN, KEY, Layout, OPERATION_COLUMN, RowMetadata, SNAPSHOT, VERSION_COLUMN,
};
use crate::progress::to_u64;
use crate::{EngineError, Result};

/// Keys of one question, and about how many bytes they take.
const KEYS_MAX: usize = 1000;
const KEY_BYTES_MAX: usize = 128 * 1024;

/// A table, and what tells its rows apart.
#[derive(Clone, Copy)]
pub(crate) struct RowsOf<'a> {
    pub(crate) table: &'a str,
    pub(crate) layout: Layout,
    /// Beside the `_id`, where a document may have several rows.
    pub(crate) index: Option<&'a str>,
}

/// A single row that the table refused.
pub(crate) struct Refused {
    pub(crate) row: RecordBatch,
    /// The name it was sent under.
    pub(crate) token: String,
    pub(crate) reason: String,
}

impl RowsOf<'_> {
    /// The number of a row among those of its document.
    pub(crate) fn number(&self, batch: &RecordBatch, row: usize) -> Option<i64> {
        number(batch, self.index?, row)
    }
}

impl Refused {
    /// Whether the row has no values, and stands for nothing but that another one is gone.
    pub(crate) fn is_tombstone(&self, layout: Layout) -> bool {
        layout.tombstones().is_some_and(|column| self.says(column))
    }

    /// Whether the row stands for a document that is gone.
    pub(crate) fn is_deletion(&self) -> bool {
        self.says(DELETED_COLUMN)
    }

    fn says(&self, column: &str) -> bool {
        let says = self.row.column_by_name(column);
        says.is_some_and(|column| column.as_primitive::<arrow_array::types::UInt8Type>().value(0) == 1)
    }

    pub(crate) fn version(&self) -> u64 {
        let version = self.row.column_by_name(VERSION_COLUMN);
        version.map_or(0, |column| column.as_primitive::<UInt64Type>().value(0))
    }

    pub(crate) fn index(&self) -> u32 {
        let index = self.row.column_by_name(INDEX_COLUMN);
        index.map_or(0, |column| column.as_primitive::<UInt32Type>().value(0))
    }

    pub(crate) fn operation(&self) -> String {
        let operation = self.row.column_by_name(OPERATION_COLUMN);
        operation.map_or_else(String::new, |column| column.as_string::<i32>().value(0).to_owned())
    }
}

/// Whether it is certain that a refused insert has left nothing behind, so that parts of it may be sent under names of
/// their own.
pub(crate) async fn left_nothing<K: Sink>(
    sink: &K,
    table: &str,
    error: TransportError,
) -> Result<TransportError> {
    if let Some(view) = error.view() {
        let view = view.to_owned();
        return Err(EngineError::ViewFailed { table: table.to_owned(), view, source: Box::new(error) });
    }
    let InsertPath { views, partition_key } = match sink.admin().insert_path(table).await {
        Ok(path) => path,
        // What cannot say where rows go has no views either.
        Err(TransportError::Unsupported { .. }) => return Ok(error),
        Err(failed) => return Err(EngineError::Sink(failed)),
    };
    // A constraint is looked at before any partition is written.
    let in_parts = !partition_key.is_empty() && !error.is_constraint_violated();
    match (views.is_empty(), in_parts) {
        (true, false) => Ok(error),
        (false, _) => Err(EngineError::RefusedWhole {
            table: table.to_owned(),
            why: format!("{views} takes its rows"),
            source: Box::new(error),
        }),
        (true, true) => Err(EngineError::RefusedWhole {
            table: table.to_owned(),
            why: format!("it is written by partitions ({partition_key})"),
            source: Box::new(error),
        }),
    }
}

/// Whether a table lacks a column of these, or has one that is no more of its type: somebody has changed it.
pub(crate) async fn has_other_columns<K: Sink>(sink: &K, table: &str, columns: &Schema) -> Result<bool> {
    let Some(there) = sink.describe(table).await? else { return Ok(false) };
    let is_there = |field: &FieldRef| {
        let column = there.columns.iter().find(|column| column.name == *field.name());
        column.filter(|column| ["", "DEFAULT"].contains(&&*column.default_kind)).is_some_and(|column| {
            [true, false].iter().any(|json| {
                let wanted = column_type(field, Dialect { json: *json });
                wanted.is_ok_and(|wanted| same_values(&column.data_type, &wanted))
            })
        })
    };
    Ok(!columns.fields().iter().all(is_there))
}

/// Of rows that an earlier try may have put into the table those that are not in it, in order.
pub(crate) async fn absent<K: Sink>(
    sink: &K,
    of: RowsOf<'_>,
    batch: &RecordBatch,
) -> Result<Vec<RecordBatch>> {
    let there = match of.layout {
        // Rows of equal versions replace each other.
        Layout::Current | Layout::Marked { .. } => return Ok(vec![batch.clone()]),
        Layout::Log => {
            let mut there = logged(sink, of.table, batch).await?;
            // All rows of a snapshot have one version and one number.
            let snapshot: Vec<usize> =
                (0..batch.num_rows()).filter(|row| is_of_snapshot(batch, *row)).collect();
            if !snapshot.is_empty() {
                let also = Filter::In(OPERATION_COLUMN.to_owned(), vec![Scalar::Bytes(SNAPSHOT.into())]);
                let keyed = keyed(sink, of, batch, &snapshot, also).await?;
                for (row, is_there) in snapshot.into_iter().zip(keyed) {
                    if let Some(place) = there.get_mut(row) {
                        *place = is_there;
                    }
                }
            }
            there
        }
        Layout::Rows => {
            keyed(sink, of, batch, &(0..batch.num_rows()).collect::<Vec<_>>(), Filter::default()).await?
        }
    };
    let mut absent = Vec::new();
    let mut start = 0;
    for (row, is_there) in there.iter().copied().chain(std::iter::once(true)).enumerate() {
        if is_there {
            if row > start {
                absent.push(batch.slice(start, row - start));
            }
            start = row + 1;
        }
    }
    Ok(absent)
}

/// Of rows that the table has acknowledged those that it does not have all the same, in order.
pub(crate) async fn lost<K: Sink>(sink: &K, of: RowsOf<'_>, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
    if !of.layout.has_versions() {
        return absent(sink, of, batch).await;
    }
    // An insert lands whole, and nothing newer than the newest of its rows can have taken the place of that. With their keys:
    // rows of one version may come in several inserts, as those of a snapshot do.
    let versions = batch.column_by_name(VERSION_COLUMN).map(|column| column.as_primitive::<UInt64Type>());
    let versions = versions.map_or(&[][..], |versions| versions.values());
    let Some(newest) = versions.iter().max() else { return Ok(Vec::new()) };
    let rows = versions.iter().zip(0..).filter(|(version, _)| *version == newest).map(|(_, row)| row);
    let also = Filter::In(VERSION_COLUMN.to_owned(), vec![(*newest).into()]);
    // Of a document any row of that version says it.
    let of = RowsOf { index: None, ..of };
    let there = keyed(sink, of, batch, &rows.collect::<Vec<usize>>(), also).await?;
    Ok(if there.contains(&false) { vec![batch.clone()] } else { Vec::new() })
}

/// Whether rows of a log are of no change.
fn is_of_snapshot(batch: &RecordBatch, row: usize) -> bool {
    RowMetadata::of(batch, row).is_some_and(|row| row.operation == SNAPSHOT)
}

/// Which changes a log has, by version and number.
async fn logged<K: Sink>(sink: &K, table: &str, batch: &RecordBatch) -> Result<Vec<bool>> {
    let (Some(versions), Some(indexes)) =
        (batch.column_by_name(VERSION_COLUMN), batch.column_by_name(INDEX_COLUMN))
    else {
        return Ok(vec![false; batch.num_rows()]);
    };
    let (versions, indexes) = (versions.as_primitive::<UInt64Type>(), indexes.as_primitive::<UInt32Type>());
    let least = versions.values().iter().min().copied().unwrap_or(0);
    let most = versions.values().iter().max().copied().unwrap_or(0);
    let between = Selection {
        table: table.to_owned(),
        columns: vec![VERSION_COLUMN.to_owned(), INDEX_COLUMN.to_owned()],
        filter: Filter::All(vec![
            Filter::AtLeast(VERSION_COLUMN.to_owned(), least),
            Filter::AtMost(VERSION_COLUMN.to_owned(), most),
        ]),
        ..Selection::default()
    };
    let mut there = HashSet::new();
    for found in select(sink, &between).await? {
        let (Some(versions), Some(indexes)) =
            (found.column_by_name(VERSION_COLUMN), found.column_by_name(INDEX_COLUMN))
        else {
            continue;
        };
        let columns = (versions.as_primitive::<UInt64Type>(), indexes.as_primitive::<UInt32Type>());
        there.extend(columns.0.values().iter().copied().zip(columns.1.values().iter().copied()));
    }
    Ok(versions.values().iter().zip(indexes.values()).map(|(v, i)| there.contains(&(*v, *i))).collect())
}

/// The keys of which of these rows a table has, in rows that fulfil the rest of the condition, too.
async fn keyed<K: Sink>(
    sink: &K,
    of: RowsOf<'_>,
    batch: &RecordBatch,
    rows: &[usize],
    also: Filter,
) -> Result<Vec<bool>> {
    let mut there = vec![false; rows.len()];
    let mut begin = 0;
    while begin < rows.len() {
        let (mut keys, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.get(begin + keys.len())
            && keys.len() < KEYS_MAX
            && bytes < KEY_BYTES_MAX
        {
            let key = key(batch, *row)?;
            bytes += key.size();
            keys.push(key);
        }
        let of_keys = Selection {
            table: of.table.to_owned(),
            columns: std::iter::once(KEY).chain(of.index).map(str::to_owned).collect(),
            filter: Filter::All(vec![is_one_of(keys.clone()), also.clone()]),
            distinct: true,
            ..Selection::default()
        };
        let mut found = HashSet::new();
        for batch in select(sink, &of_keys).await? {
            for row in 0..batch.num_rows() {
                found.insert((key(&batch, row)?, of.number(&batch, row)));
            }
        }
        let asked = keys.len();
        for ((is_there, row), key) in there.iter_mut().zip(rows).skip(begin).zip(keys) {
            *is_there = found.contains(&(key, of.number(batch, *row)));
        }
        begin += asked;
    }
    Ok(there)
}

/// Rows of a table that is there.
async fn select<K: Sink>(sink: &K, selection: &Selection) -> Result<Vec<RecordBatch>> {
    let found = sink.admin().select(selection).await?;
    Ok(found.ok_or_else(|| TransportError::NoTable { table: selection.table.clone() })?)
}

/// A name for a part of an insert that only the same rows bear: were it one of the place alone, a replay with other
/// rows in that place would lose them.
pub(crate) fn name(token: &str, of: RowsOf<'_>, part: &RecordBatch) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for column in [VERSION_COLUMN, INDEX_COLUMN] {
        match part.column_by_name(column) {
            Some(numbers) if column == VERSION_COLUMN => {
                numbers.as_primitive::<UInt64Type>().values().hash(&mut hasher);
            }
            Some(numbers) => numbers.as_primitive::<UInt32Type>().values().hash(&mut hasher),
            None => {}
        }
    }
    for row in 0..part.num_rows() {
        key(part, row)?.hash(&mut hasher);
        if of.index.is_some() {
            of.number(part, row).hash(&mut hasher);
        }
    }
    if part.column_by_name(DELETED_COLUMN).is_some() {
        // Rows of one document and version may stand at several places of a sorting key, whose columns are never NULL.
        for (field, column) in part.schema_ref().fields().iter().zip(part.columns()) {
            let values = (0..part.num_rows()).filter(|_| !field.is_nullable());
            values.for_each(|row| Scalar::of(&**column, row).hash(&mut hasher));
        }
    }
    Ok(format!("{token}.{:x}.{:016x}", to_u64(part.num_rows()), hasher.finish()))
}
