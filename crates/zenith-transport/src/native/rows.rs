//! Rows of a result as JSON values, in the form that `FORMAT JSONEachRow` has.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, RecordBatch, downcast_integer_array};
use arrow_schema::DataType;
use serde_json::{Map, Value};

/// The rows of a batch, by column names.
///
/// # Errors
/// What kind of column has no such form.
pub(super) fn rows(batch: &RecordBatch) -> Result<Vec<Value>, String> {
    let fields = batch.schema_ref().fields();
    let row = |row: usize| {
        let columns = fields.iter().zip(batch.columns());
        columns
            .map(|(field, column)| Ok((field.name().clone(), value(column, row)?)))
            .collect::<Result<_, String>>()
    };
    (0..batch.num_rows()).map(|index| row(index).map(Value::Object)).collect()
}

fn value(array: &dyn Array, row: usize) -> Result<Value, String> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Float32 => float(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            (0..list.len()).map(|row| value(&list, row)).collect::<Result<_, _>>().map(Value::Array)?
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let elements = columns.map(|(field, column)| Ok((field.name().clone(), value(column, row)?)));
            elements.collect::<Result<Map<_, _>, String>>().map(Value::Object)?
        }
        other => integer(array, row)
            .ok_or_else(|| format!("{other} cannot be read as a row's value: cast it to String"))?,
    })
}

fn integer(array: &dyn Array, row: usize) -> Option<Value> {
    downcast_integer_array!(array => Some(array.value(row).into()), _ => None)
}

/// Numbers that JSON lacks are text.
fn float(value: f64) -> Value {
    let text = || match value {
        value if value.is_nan() => "nan",
        value if value > 0.0 => "inf",
        _ => "-inf",
    };
    serde_json::Number::from_f64(value).map_or_else(|| text().into(), Value::Number)
}
