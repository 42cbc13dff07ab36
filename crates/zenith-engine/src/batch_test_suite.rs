//! What every [`BatchTransform`] has to do, as tests that run against any of them.
//!
//! ```text
//! fn make() -> (MyTransform, RecordBatch) { … }
//! zenith_engine::batch_transform_test_suite!(my_transform, make);
//! ```
//!
//! `make` gives a transform and rows that it is for, some of them with blanks where columns may have them. Each test panics
//! with what it found.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, make_array, new_null_array};
use arrow_schema::{DataType, Field, Schema};

use crate::BatchTransform;
use crate::batch_transform::Added;

/// Declares a module of tests for one implementation of [`BatchTransform`](crate::BatchTransform).
#[macro_export]
macro_rules! batch_transform_test_suite {
    ($name:ident, $make:ident) => {
        mod $name {
            use super::$make;

            $crate::batch_transform_test_suite!(@tests $make:
                rows_keep_their_columns_and_get_others,
                the_same_rows_have_the_same_values,
                each_row_is_by_itself,
                no_rows_have_no_values,
                more_columns_of_documents_change_nothing,
                blank_rows_have_values,
            );
        }
    };
    (@tests $make:ident: $($test:ident),+ $(,)?) => {
        $(
            #[test]
            fn $test() {
                $crate::batch_test_suite::$test($make);
            }
        )+
    };
}

/// The rows with the columns of the transform.
fn added<T: BatchTransform + 'static>(transform: &Arc<T>, rows: &RecordBatch) -> RecordBatch {
    let transform: Arc<dyn BatchTransform> = transform.clone();
    match Added(Some(transform)).rows(rows.clone()) {
        Ok(rows) => rows,
        Err(error) => panic!("{}", crate::sentence(&error)),
    }
}

/// The columns of documents come first, as they were.
pub fn rows_keep_their_columns_and_get_others<T: BatchTransform + 'static>(make: fn() -> (T, RecordBatch)) {
    let (transform, rows) = make();
    let with = added(&Arc::new(transform), &rows);
    assert!(with.num_columns() > rows.num_columns(), "no column is added");
    assert_eq!(&with.columns()[..rows.num_columns()], rows.columns());
}

/// An insert that is repeated has the same rows.
pub fn the_same_rows_have_the_same_values<T: BatchTransform + 'static>(make: fn() -> (T, RecordBatch)) {
    let (transform, rows) = make();
    let transform = Arc::new(transform);
    let first = added(&transform, &rows);
    assert_eq!(first, added(&transform, &rows));
    assert_eq!(first, added(&Arc::new(make().0), &rows), "another one computes other values");
}

/// The rows that are in one batch depend on how replies and changes came.
pub fn each_row_is_by_itself<T: BatchTransform + 'static>(make: fn() -> (T, RecordBatch)) {
    let (transform, rows) = make();
    let transform = Arc::new(transform);
    let together = added(&transform, &rows);
    for row in 0..rows.num_rows() {
        let alone = added(&transform, &rows.slice(row, 1));
        assert_eq!(alone, together.slice(row, 1), "row {row} depends on others");
    }
}

/// A batch may be empty.
pub fn no_rows_have_no_values<T: BatchTransform + 'static>(make: fn() -> (T, RecordBatch)) {
    let (transform, rows) = make();
    assert_eq!(added(&Arc::new(transform), &rows.slice(0, 0)).num_rows(), 0);
}

/// Columns of documents may come while a table is followed.
pub fn more_columns_of_documents_change_nothing<T: BatchTransform + 'static>(make: fn() -> (T, RecordBatch)) {
    let (transform, rows) = make();
    let transform = Arc::new(transform);
    let mut fields: Vec<_> = rows.schema_ref().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("zenith_suite_later", DataType::Int64, true)));
    let later: ArrayRef = Arc::new(Int64Array::from(vec![5; rows.num_rows()]));
    let columns = rows.columns().iter().cloned().chain([later]).collect();
    let Ok(more) = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns) else {
        panic!("the rows have a column zenith_suite_later");
    };
    let (few, many) = (added(&transform, &rows), added(&transform, &more));
    assert_eq!(few.columns()[rows.num_columns()..], many.columns()[more.num_columns()..]);
}

/// Rows that stand for deletions have blanks.
pub fn blank_rows_have_values<T: BatchTransform + 'static>(make: fn() -> (T, RecordBatch)) {
    let (transform, rows) = make();
    let columns = rows.schema_ref().fields().iter().map(|field| {
        let nulls = new_null_array(field.data_type(), 2);
        if field.is_nullable() {
            return nulls;
        }
        let nulls = nulls.to_data();
        make_array(nulls.clone().into_builder().nulls(None).build().unwrap_or(nulls))
    });
    let Ok(blank) = RecordBatch::try_new(rows.schema(), columns.collect()) else {
        panic!("there are no blank rows of these columns");
    };
    assert_eq!(added(&Arc::new(transform), &blank).num_rows(), 2);
}
