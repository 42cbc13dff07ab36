//! Documents out of rows: the way back, which is what "no value is lost" is measured by.
//!
//! A document is its columns, the notes on what they leave open, and the values of the extra column laid over them
//! ([`extended_json`](crate::extended_json) has the grammar of both). For each field:
//!
//! | the extra column has | the notes column has | the column shows | the document has |
//! | --- | --- | --- | --- |
//! | a value | | anything | that value |
//! | an object, for a column of a document | an object or nothing | anything | the column's document, key by key |
//! | `$elements`, for a column of an array | `$elements` or nothing | anything | the column's array, element by element |
//! | nothing | `"missing"`, `"null"`, `"empty"` | nothing | what the note says |
//! | nothing | the name of a type | a text | the value of that type |
//! | nothing | `"string"` | a number, date or bool | the text that this is written as |
//! | nothing | nothing | nothing | what the field's [`Blank`](crate::schema::Blank) says |
//! | nothing | nothing | something | the column's value |
//!
//! `null` and `{"$missing":true}` in an extra column of version 0.1 are read as the notes they are.
//!
//! Batches may come from the decoder or back from the target, where strings may be binary, dictionaries or
//! views, booleans may be integers, and everything may be nullable. Order of fields is not restored.
//! Earlier values of repeated keys are left out, as a driver leaves them out: [`duplicates`] has them.

mod column;
mod duplicates;
mod equal;
mod gather;
mod place;
mod raw;

pub use duplicates::{Duplicate, duplicates};
pub use equal::{Difference, equal};
pub use gather::gathered;
pub use raw::rebuild_raw;

use arrow_array::RecordBatch;
use bson::Document;

use crate::extended_json::{Container, Json, JsonError};
use crate::schema::{EXTRA_COLUMN, NOTES_COLUMN, Schema};
use place::{Places, Said};

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
    /// The text of the extra or the notes column is not an overlay.
    #[error("the text of `{EXTRA_COLUMN}` or `{NOTES_COLUMN}` is malformed")]
    Extra(#[from] JsonError),
    /// A document that BSON cannot spell, such as one with a zero byte in a key.
    #[error("the document cannot be written as BSON")]
    Bson(#[from] bson::error::Error),
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
/// order; other columns are ignored. Tables of version 0.1 have no notes column.
///
/// # Errors
///
/// [`RebuildError`] where the batch does not fit the schema or a value cannot be read.
pub fn rebuild(schema: &Schema, batch: &RecordBatch, row: usize) -> Result<Document, RebuildError> {
    if row >= batch.num_rows() {
        return Err(RebuildError::NoSuchRow { row, rows: batch.num_rows() });
    }
    if schema.has_flat() {
        return rebuild(&schema.as_tuples(), &gathered(schema, &batch.slice(row, 1))?, 0);
    }
    let text = |name: &str| match batch.column_by_name(name) {
        Some(column) => column::text(column, row).map_err(|fault| fault.named(name)),
        None if name == NOTES_COLUMN => Ok(None),
        None => Err(RebuildError::MissingColumn { path: name.to_owned() }),
    };
    let (extra, notes) = (parsed(text(EXTRA_COLUMN)?)?, parsed(text(NOTES_COLUMN)?)?);
    let said = Said { extra: container(extra.as_ref())?, notes: container(notes.as_ref())? };
    let places = Places { keep_nulls: schema.keep_nulls };
    let column = |name: &str| batch.column_by_name(name);
    places.document(&schema.fields, &column, row, said).map_err(place::Failure::at_top)
}

fn parsed(text: Option<&str>) -> Result<Option<Json<'_>>, JsonError> {
    text.filter(|text| !text.is_empty()).map(Json::parse).transpose()
}

fn container<'j, 'a>(json: Option<&'j Json<'a>>) -> Result<Option<Container<'j, 'a>>, JsonError> {
    let Some(json) = json else { return Ok(None) };
    Container::of(json)?.ok_or(JsonError::NotAnObject).map(Some)
}

#[cfg(test)]
mod tests;
