//! Columns that a program computes of its rows, beside those of the documents.
//!
//! ```text
//! decoder ──▶ rows of documents ──▶ rows with columns of the program ──▶ insert
//! ```
//!
//! The columns of documents stay as they are: `_zenith_extra`, rebuilt documents, moves of values into columns and
//! `zenith verify` rest on them. What is to be left out of documents or masked goes before the decoder
//! ([`TableOptions`](crate::TableOptions)).

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{FieldRef, Schema, SchemaRef};

use crate::{EngineError, Result};

/// What a transform fails with.
pub type TransformError = Box<dyn Error + Send + Sync>;

/// Adds columns to the rows of a table, in loads as well as in changes that are followed.
///
/// An insert is repeated after a crash, with whatever rows are together then: so the values of a row depend on that row alone,
/// and are the same each time. There are also rows that stand for deletions, with `_zenith_deleted = 1` and blanks in all columns
/// but those of the key. `batch_transform_test_suite!` proves a transform.
pub trait BatchTransform: fmt::Debug + Send + Sync {
    /// The columns that are added to rows of these columns, at least those that the table has. More columns of documents may
    /// come while a table is followed; the added ones stay the same.
    ///
    /// # Errors
    /// Where a column is missing that is needed: nothing is written then.
    fn fields(&self, rows: &Schema) -> std::result::Result<Vec<FieldRef>, TransformError>;

    /// The values of these columns, one for each row.
    ///
    /// # Errors
    /// What ends the load, or the run of the pipeline. A value that cannot be computed is better a null.
    fn columns(&self, rows: &RecordBatch) -> std::result::Result<Vec<ArrayRef>, TransformError>;
}

/// The columns that are added to rows, if there are any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Added(pub(crate) Option<Arc<dyn BatchTransform>>);

impl Added {
    /// The columns of the table of rows with these columns.
    pub(crate) fn schema(&self, rows: SchemaRef) -> Result<SchemaRef> {
        let Some(transform) = &self.0 else { return Ok(rows) };
        let added = transform.fields(&rows).map_err(failed)?;
        let mut names: HashSet<&str> = rows.fields().iter().map(|field| field.name().as_str()).collect();
        for field in &added {
            let name = field.name().as_str();
            if name.starts_with("_zenith_") {
                return Err(failed(
                    format!("it adds a column {name}, and such names are those of Zenith").into(),
                ));
            }
            if !names.insert(name) {
                return Err(failed(
                    format!(
                        "it adds a column {name}, of which there is one already: exclude or rename the field"
                    )
                    .into(),
                ));
            }
        }
        let all: Vec<FieldRef> = rows.fields().iter().cloned().chain(added.iter().cloned()).collect();
        Ok(Arc::new(Schema::new(all)))
    }

    /// Whether a column of the table of rows with these columns is an added one.
    pub(crate) fn has(&self, rows: &Schema, column: &str) -> bool {
        let added = self.0.as_ref().and_then(|transform| transform.fields(rows).ok());
        added.is_some_and(|added| added.iter().any(|field| field.name() == column))
    }

    /// The rows as they are inserted; those that have the columns already stay as they are.
    pub(crate) fn rows(&self, rows: RecordBatch) -> Result<RecordBatch> {
        let Some(transform) = &self.0 else { return Ok(rows) };
        let added = transform.fields(rows.schema_ref()).map_err(failed)?;
        let columns = rows.schema_ref().fields();
        if !added.is_empty() && columns.len() > added.len() && columns.ends_with(&added) {
            return Ok(rows);
        }
        let schema = self.schema(rows.schema())?;
        let added = transform.columns(&rows).map_err(failed)?;
        let all: Vec<ArrayRef> = rows.columns().iter().cloned().chain(added).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(schema, all, &options).map_err(|error| failed(Box::new(error)))
    }
}

fn failed(error: TransformError) -> EngineError {
    EngineError::NotPossible {
        doing: "adding the columns of a transform".to_owned(),
        reason: crate::sentence(&*error),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Int64Array;
    use arrow_schema::{DataType, Field};

    use super::*;

    /// Adds columns of these names, each with so many values.
    #[derive(Debug)]
    struct Adds(&'static [&'static str], usize);

    impl BatchTransform for Adds {
        fn fields(&self, _: &Schema) -> std::result::Result<Vec<FieldRef>, TransformError> {
            Ok(self.0.iter().map(|name| Arc::new(Field::new(*name, DataType::Int64, false))).collect())
        }

        fn columns(&self, _: &RecordBatch) -> std::result::Result<Vec<ArrayRef>, TransformError> {
            Ok(self.0.iter().map(|_| Arc::new(Int64Array::from(vec![7; self.1])) as ArrayRef).collect())
        }
    }

    fn added(names: &'static [&'static str], values: usize) -> Result<RecordBatch> {
        let schema = Arc::new(Schema::new(vec![Field::new("_id", DataType::Int64, false)]));
        let rows = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![1, 2]))]).unwrap();
        Added(Some(Arc::new(Adds(names, values)))).rows(rows)
    }

    #[test]
    fn columns_are_added_behind_those_of_documents() {
        let rows = added(&["a", "b"], 2).unwrap();
        let names: Vec<&str> = rows.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!((names, rows.num_rows()), (vec!["_id", "a", "b"], 2));
        for (names, values, part) in [
            (&["_zenith_a"][..], 2, "those of Zenith"),
            (&["_id"], 2, "one already"),
            (&["a", "a"], 2, "one already"),
            (&["a"], 1, "row count"),
        ] {
            let error = added(names, values).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
