//! Documents out of rows: the way back, which is what "no value is lost" is measured by.
//!
//! A document is its columns with the overlay of the extra column laid over them
//! ([`extended_json`](crate::extended_json) has its grammar). The overlay wins:
//!
//! | the columns show | the overlay has | the document has |
//! | --- | --- | --- |
//! | NULL | nothing | no such key |
//! | a document without any value | nothing | no such key |
//! | a document without any value | `{}` | an empty document |
//! | `[]` | nothing | an empty array |
//! | anything | `null` | no such key, or null where explicit nulls are kept apart |
//! | anything | `{"$missing":true}` | no such key |
//! | a document | an object | both, key by key |
//! | anything else | a value | the overlay's value |
//!
//! Batches may come from the decoder or back from the target, where strings may be binary, dictionaries or
//! views, booleans may be integers, and everything may be nullable. Order of fields is not restored.
//! Earlier values of repeated keys are left out, as a driver leaves them out: [`duplicates`] has them.

mod column;
mod duplicates;
mod equal;
mod overlay;

pub use duplicates::{Duplicate, duplicates};
pub use equal::{Difference, equal};

use arrow_array::RecordBatch;
use bson::Document;

use crate::extended_json::JsonError;
use crate::schema::{EXTRA_COLUMN, Schema};

/// Why a row does not give a document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// The batch lacks a column of the schema.
    #[error("there is no column `{path}`")]
    MissingColumn {
        /// Names from the top, with `.` between them.
        path: String,
    },
    /// A column has an Arrow type that its kind is never stored as.
    #[error("column `{path}` is {found}, which holds no {expected}")]
    ColumnType {
        /// Names from the top, with `.` between them.
        path: String,
        /// The kind the schema has.
        expected: String,
        /// The Arrow type of the batch.
        found: String,
    },
    /// A value of the right Arrow type that is not a value of its kind.
    #[error("column `{path}` has a value that is no {expected}")]
    Value {
        /// Names from the top, with `.` between them.
        path: String,
        /// The kind the schema has.
        expected: String,
    },
    /// The text of the extra column is not an overlay.
    #[error("the text of `{EXTRA_COLUMN}` is malformed")]
    Extra(#[from] JsonError),
    /// The batch has fewer rows than that.
    #[error("there is no row {row} in a batch of {rows}")]
    NoSuchRow {
        /// The row asked for.
        row: usize,
        /// The rows there are.
        rows: usize,
    },
}

/// Rebuilds the document in one row of a batch that has the columns of `schema` and the extra column, in any
/// order; other columns are not looked at.
///
/// # Errors
///
/// [`RebuildError`] where the batch does not fit the schema or a value cannot be read.
pub fn rebuild(schema: &Schema, batch: &RecordBatch, row: usize) -> Result<Document, RebuildError> {
    if row >= batch.num_rows() {
        return Err(RebuildError::NoSuchRow { row, rows: batch.num_rows() });
    }
    let missing = |name: &str| RebuildError::MissingColumn { path: name.to_owned() };
    let extra = batch.column_by_name(EXTRA_COLUMN).ok_or_else(|| missing(EXTRA_COLUMN))?;
    let overlay = column::text(extra, row).map_err(|fault| fault.named(EXTRA_COLUMN))?.unwrap_or_default();
    let mut document = Document::new();
    for field in &schema.fields {
        let array = batch.column_by_name(&field.name).ok_or_else(|| missing(&field.name))?;
        match column::value(&field.kind, array, row).map_err(|fault| fault.named(&field.name)) {
            Ok(Some(value)) => drop(document.insert(field.name.clone(), value)),
            Ok(None) => {}
            // A key column cannot be NULL: where it has no value it is blank, and the overlay says so.
            Err(RebuildError::Value { .. }) if field.name == "_id" && overlay.contains("\"_id\"") => {}
            Err(error) => return Err(error),
        }
    }
    if !overlay.is_empty() {
        overlay::lay_over(&mut document, schema, overlay)?;
    }
    Ok(document)
}

#[cfg(test)]
mod tests;
