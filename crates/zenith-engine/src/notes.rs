//! The notes column, which tables of version 0.1 lack: they get it when they are first written to.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef};
use zenith_arrow::schema::{EXTRA_COLUMN, NOTES_COLUMN};
use zenith_transport::ColumnInfo;

/// The column, as every schema has it.
pub(crate) fn column() -> FieldRef {
    Arc::new(Field::new(NOTES_COLUMN, DataType::Utf8, false))
}

/// Whether a table of Zenith's has all but this column.
pub(crate) fn are_missing(columns: &[ColumnInfo]) -> bool {
    let has = |name: &str| columns.iter().any(|column| column.name == name);
    has(EXTRA_COLUMN) && !has(NOTES_COLUMN)
}

#[cfg(test)]
mod tests {
    use zenith_arrow::Schema;

    use super::*;

    #[test]
    fn the_column_is_that_of_schemas() {
        assert_eq!(Schema::new(Vec::new()).to_arrow().fields().last(), Some(&column()));
    }
}
