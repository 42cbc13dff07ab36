//! Settings of columns that a table which is there does not follow: it keeps those it was made with until it is loaded again.

use zenith_arrow::{Kind, Schema};
use zenith_transport::TableInfo;

use crate::row_shape::Shape;
use crate::settings::PipelineSettings;

/// What the table has instead of what the settings say, in words.
pub(super) fn other_columns(settings: &PipelineSettings, schema: &Schema, table: &TableInfo) -> Vec<String> {
    let mut differences = Vec::new();
    let shape = settings.options.shape;
    if is_other_shape(shape, schema) {
        differences.push(format!("columns of another shape than shape = \"{}\" makes", name(shape)));
    }
    let said = |field: &str| {
        settings.options.rename.iter().find(|(name, _)| name == field).map(|(_, column)| column.as_str())
    };
    for field in schema.fields.iter().filter(|_| !schema.whole) {
        let column = said(&field.name).unwrap_or(&field.name);
        if column != field.column_name() {
            differences.push(format!("{} in the column {}, not {column}", field.name, field.column_name()));
        }
    }
    let is_there = |name: &str| table.columns.iter().any(|column| column.name == name);
    let constants = settings.shape.constant.iter().filter(|(name, _)| !is_there(name));
    differences.extend(constants.map(|(name, _)| format!("no column {name}, which constant says")));
    differences
}

fn name(shape: Shape) -> &'static str {
    match shape {
        Shape::Columns => "columns",
        Shape::Document => "document",
        Shape::Flat => "flat",
    }
}

/// Whether rows of this schema are of another shape. Without documents in them two of the shapes are alike.
fn is_other_shape(shape: Shape, schema: &Schema) -> bool {
    let has_documents =
        schema.fields.iter().any(|field| field.flat.is_none() && matches!(field.kind, Kind::Document(_)));
    match shape {
        Shape::Document => !schema.whole,
        Shape::Columns => schema.whole || schema.has_flat(),
        Shape::Flat => schema.whole || has_documents,
    }
}

#[cfg(test)]
mod tests {
    use zenith_arrow::Field;

    use super::*;

    #[test]
    fn what_a_load_would_change_is_told() {
        let table = |names: &[&str]| TableInfo::of_columns(names.iter().map(|name| (*name, "String")));
        let schema = Schema::new(vec![
            Field::new("_id", Kind::Int64),
            Field::new("d", Kind::Document(vec![Field::new("x", Kind::Int64)])),
            Field { column: Some("was".to_owned()), ..Field::new("a", Kind::Int64) },
        ]);
        let mut settings = PipelineSettings::default();
        settings.options.rename = vec![("a".to_owned(), "was".to_owned())];
        assert_eq!(other_columns(&settings, &schema, &table(&[])), Vec::<String>::new());
        settings.options.rename = vec![("d".to_owned(), "document".to_owned())];
        settings.options.shape = Shape::Flat;
        settings.shape.constant =
            vec![("origin".to_owned(), "x".to_owned()), ("there".to_owned(), "y".to_owned())];
        assert_eq!(
            other_columns(&settings, &schema, &table(&["there"])),
            [
                "columns of another shape than shape = \"flat\" makes",
                "d in the column d, not document",
                "a in the column was, not a",
                "no column origin, which constant says",
            ]
        );
    }
}
