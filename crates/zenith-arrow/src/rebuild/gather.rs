//! The columns of the parts of documents, gathered to columns of these documents.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, StructArray};
use arrow_schema::{ArrowError, Field as ArrowField, Fields, Schema as ArrowSchema};

use super::RebuildError;
use crate::schema::{Field, Schema};

/// A batch in which each document has one column. Its columns are those of [`Schema::as_tuples`] then.
///
/// # Errors
///
/// [`RebuildError`] where the batch lacks a column of the schema.
pub fn gathered(schema: &Schema, batch: &RecordBatch) -> Result<RecordBatch, RebuildError> {
    if !schema.has_flat() {
        return Ok(batch.clone());
    }
    let names: Vec<&str> = schema.columns().map(Field::column_name).collect();
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if !names.contains(&field.name().as_str()) {
            fields.push(Arc::clone(field));
            arrays.push(Arc::clone(array));
        }
    }
    for field in &schema.fields {
        let (field, array) = of_field(field, batch)?;
        fields.push(Arc::new(field));
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let schema = Arc::new(ArrowSchema::new(fields));
    RecordBatch::try_new_with_options(schema, arrays, &options).map_err(unfitting)
}

fn of_field(field: &Field, batch: &RecordBatch) -> Result<(ArrowField, ArrayRef), RebuildError> {
    let missing = || RebuildError::MissingColumn { path: field.column_name().to_owned() };
    let Some(parts) = field.flat_parts() else {
        let index = batch.schema_ref().index_of(field.column_name()).map_err(|_| missing())?;
        return Ok((batch.schema_ref().field(index).clone(), Arc::clone(batch.column(index))));
    };
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for part in parts {
        let (field, array) = of_field(part, batch)?;
        fields.push(field);
        arrays.push(array);
        if let Some(twin) = &part.twin {
            let index = batch.schema_ref().index_of(&twin.name).map_err(|_| missing())?;
            fields.push(batch.schema_ref().field(index).clone());
            arrays.push(Arc::clone(batch.column(index)));
        }
    }
    let fields = Fields::from(fields);
    let array = StructArray::try_new_with_length(fields.clone(), arrays, None, batch.num_rows());
    let array: ArrayRef = Arc::new(array.map_err(unfitting)?);
    Ok((ArrowField::new(field.column_name(), array.data_type().clone(), false), array))
}

fn unfitting(error: ArrowError) -> RebuildError {
    RebuildError::MissingColumn { path: error.to_string() }
}
