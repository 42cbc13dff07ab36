//! The keys of rows, by which a sink finds them.

use arrow_array::RecordBatch;
use zenith_transport::{Filter, Scalar};

use crate::layout::KEY;
use crate::{EngineError, Result};

/// The key of a row.
pub(crate) fn key(batch: &RecordBatch, row: usize) -> Result<Scalar> {
    let column = batch.column_by_name(KEY);
    let key = column.and_then(|column| Scalar::of(column, row));
    key.ok_or_else(|| EngineError::Setting {
        setting: "the key column",
        value: column.map_or_else(|| "nothing".to_owned(), |column| column.data_type().to_string()),
        reason: "rows of such a key cannot be looked up: load the table again, with the _id as text"
            .to_owned(),
    })
}

/// A whole number in a column that tells rows of one document apart.
pub(crate) fn number(batch: &RecordBatch, column: &str, row: usize) -> Option<i64> {
    match Scalar::of(&**batch.column_by_name(column)?, row)? {
        Scalar::Int32(number) => Some(number.into()),
        Scalar::Int64(number) => Some(number),
        Scalar::UInt64(number) => number.try_into().ok(),
        _ => None,
    }
}

/// What is true of the rows with one of these keys.
pub(crate) fn is_one_of(keys: Vec<Scalar>) -> Filter {
    Filter::In(KEY.to_owned(), keys)
}
