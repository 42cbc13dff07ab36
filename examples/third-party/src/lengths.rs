//! A column with the length of a text, beside the columns of the documents.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use zenith_engine::{BatchTransform, TransformError};

/// Adds `NAME_length`, the number of characters of the text column `NAME`; null where there is no text.
#[derive(Debug)]
pub struct Lengths {
    name: String,
}

impl Lengths {
    /// That of a column.
    pub fn of(name: &str) -> Lengths {
        Lengths { name: name.to_owned() }
    }
}

impl BatchTransform for Lengths {
    fn fields(&self, rows: &Schema) -> Result<Vec<FieldRef>, TransformError> {
        match rows.field_with_name(&self.name) {
            Ok(field) if *field.data_type() == DataType::Utf8 => {
                let name = format!("{}_length", self.name);
                Ok(vec![Arc::new(Field::new(name, DataType::Int64, true))])
            }
            _ => Err(format!("there is no text column {} to measure", self.name).into()),
        }
    }

    fn columns(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, TransformError> {
        let texts = rows.column_by_name(&self.name).and_then(|column| column.as_string_opt::<i32>());
        let texts = texts.ok_or_else(|| format!("the column {} is gone", self.name))?;
        let lengths = texts.iter().map(|text| i64::try_from(text?.chars().count()).ok());
        Ok(vec![Arc::new(Int64Array::from_iter(lengths))])
    }
}
