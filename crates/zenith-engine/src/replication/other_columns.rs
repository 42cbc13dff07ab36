//! Settings of columns that a table which is there does not follow: it keeps those it was made with until it is loaded again.

use zenith_arrow::{Kind, Schema};
use zenith_extract::Namespace;
use zenith_transport::TableInfo;
use zenith_transport::ddl::{literal, text_of};

use crate::row_shape::Shape;
use crate::settings::PipelineSettings;

/// What the table has instead of what the settings say, in words.
pub(super) fn other_columns(
    settings: &PipelineSettings,
    namespace: &Namespace,
    schema: &Schema,
    table: &TableInfo,
) -> Vec<String> {
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
    for (name, said) in settings.shape.constants(&namespace.database, &namespace.collection) {
        if !table.columns.iter().any(|column| column.name == name) {
            differences.push(format!("no column {name}, which constant says"));
        } else if let Some(text) = constant_of(table, &name).filter(|text| *text != said) {
            differences.push(format!("{} in the column {name}, not {}", literal(&text), literal(&said)));
        }
    }
    differences
}

/// The text that a column has in rows which bring none.
fn constant_of(table: &TableInfo, column: &str) -> Option<String> {
    let columns = table.additions.iter().flat_map(|additions| &additions.columns);
    let default = columns.filter(|(name, _)| name == column).find_map(|(_, column)| column.default.as_ref());
    text_of(default?.strip_prefix("DEFAULT")?)
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
    use zenith_transport::ddl::{Additions, ColumnAdditions};

    use super::*;

    #[test]
    fn what_a_load_would_change_is_told() {
        let column = |name: &str| {
            let default = Some("DEFAULT 'y of db.items'".to_owned());
            (name.to_owned(), ColumnAdditions { default, ..ColumnAdditions::default() })
        };
        let table = |names: &[&str]| TableInfo {
            additions: Some(Additions {
                columns: names.iter().map(|name| column(name)).collect(),
                ..Additions::default()
            }),
            ..TableInfo::of_columns(names.iter().map(|name| (*name, "String")))
        };
        let other_columns = |settings: &PipelineSettings, schema: &Schema, table: &TableInfo| {
            other_columns(settings, &Namespace::new("db", "items"), schema, table)
        };
        let schema = Schema::new(vec![
            Field::new("_id", Kind::Int64),
            Field::new("d", Kind::Document(vec![Field::new("x", Kind::Int64)])),
            Field { column: Some("was".to_owned()), ..Field::new("a", Kind::Int64) },
        ]);
        let of_texts = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
        let mut settings = PipelineSettings::default();
        settings.options.rename = vec![("a".to_owned(), "was".to_owned())];
        assert_eq!(other_columns(&settings, &schema, &table(&[])), Vec::<String>::new());
        settings.options.rename = vec![("d".to_owned(), "document".to_owned())];
        settings.options.shape = Shape::Flat;
        settings.shape.constant =
            [("origin", "x"), ("there", "y of {db}.{collection}"), ("other", "it's z")].map(of_texts).into();
        assert_eq!(
            other_columns(&settings, &schema, &table(&["there", "other"])),
            [
                "columns of another shape than shape = \"flat\" makes",
                "d in the column d, not document",
                "a in the column was, not a",
                "no column origin, which constant says",
                "'y of db.items' in the column other, not 'it\\'s z'",
            ]
        );
    }
}
