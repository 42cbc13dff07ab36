//! Columns that somebody changed by hand: the schema that fits the table again.
//!
//! A column that was dropped shows nothing any more. One of another type is used as what it is now, if there is a kind that
//! has the type: numbers that were widened, or anything that became text. A column that was added is used by the first values
//! that come for it.

use zenith_arrow::schema::{ID_KEY, TextType};
use zenith_arrow::{Field, Kind, Schema};
use zenith_transport::ddl::{Dialect, TypeParts, parts};
use zenith_transport::{ColumnInfo, TableInfo};

use crate::reload::{is_column_of, scalars, text_type};

/// The schema with the columns that the table has now.
pub(super) fn adopted(schema: &Schema, table: &TableInfo, dialect: Dialect) -> Schema {
    let adoption = Adoption { dialect };
    let there: Vec<(String, &str)> = table
        .columns
        .iter()
        .filter(|column| is_written(column))
        .map(|column| (column.name.clone(), column.data_type.as_str()))
        .collect();
    let fields = schema.fields.iter().filter_map(|field| match field.name.as_str() {
        // Rows are found by it.
        ID_KEY => Some(field.clone()),
        _ => adoption.field(field, &there),
    });
    Schema { fields: fields.collect(), ..schema.clone() }
}

/// Whether an insert may have values for a column.
pub(super) fn is_written(column: &ColumnInfo) -> bool {
    column.default_kind.is_empty() || column.default_kind == "DEFAULT"
}

struct Adoption {
    dialect: Dialect,
}

impl Adoption {
    /// A field as it continues; `None` if there is nothing of it, or nothing that could be written.
    fn field(&self, field: &Field, there: &[(String, &str)]) -> Option<Field> {
        let type_of =
            |name: &str| there.iter().find(|(known, _)| known == name).map(|(_, data_type)| *data_type);
        if let Some(parts) = field.flat_parts() {
            let parts: Vec<Field> = parts.iter().filter_map(|part| self.field(part, there)).collect();
            let kept = Field { kind: Kind::Document(parts), ..field.clone() };
            return kept
                .flat_parts()
                .is_some_and(|parts| !parts.is_empty())
                .then(|| self.with_twin(kept, &type_of));
        }
        let there = type_of(field.column_name())?;
        if is_column_of(field, there, self.dialect) {
            return Some(self.with_twin(field.clone(), &type_of));
        }
        // What the column was given is gone with its type.
        let field = Field { required: false, given: None, ..field.clone() };
        let kind = self.kind(&field.kind, there)?;
        Some(self.with_twin(Field { kind, ..field }, &type_of))
    }

    /// The field with its twin, if that is there and something is left for it.
    fn with_twin<'t>(&self, field: Field, type_of: &dyn Fn(&str) -> Option<&'t str>) -> Field {
        let text = |usual| Kind::Text { usual };
        let twin = field.twin.clone().filter(|twin| {
            type_of(&twin.name).is_some_and(|there| self.is_of(&text(twin.usual), there))
                && !matches!(field.kind, Kind::Text { .. })
        });
        Field { twin, ..field }
    }

    fn kind(&self, known: &Kind, there: &str) -> Option<Kind> {
        if self.is_of(known, there) {
            return Some(known.clone());
        }
        match (parts(there), known) {
            (TypeParts::Fields(there), Kind::Document(fields)) => {
                let kept: Vec<Field> = fields.iter().filter_map(|field| self.field(field, &there)).collect();
                // A part that is not ours could not be written.
                let is_ours = |name: &String| {
                    kept.iter().any(|field| {
                        field.name == *name || field.twin.as_ref().is_some_and(|twin| twin.name == *name)
                    })
                };
                let is_whole = !kept.is_empty() && there.iter().all(|(name, _)| is_ours(name));
                is_whole.then_some(Kind::Document(kept))
            }
            (TypeParts::Elements(there), Kind::Array(element)) => {
                Some(Kind::Array(Box::new(self.kind(element, there)?)))
            }
            (TypeParts::None, known) => {
                let usual = text_type(known);
                let text = Some(Kind::Text { usual }).filter(|_| usual != TextType::String);
                text.into_iter().chain(scalars(usual)).find(|kind| self.is_of(kind, there))
            }
            _ => None,
        }
    }

    fn is_of(&self, kind: &Kind, there: &str) -> bool {
        is_column_of(&Field::new("value", kind.clone()), there, self.dialect)
    }
}

#[cfg(test)]
mod tests {
    use zenith_arrow::Twin;

    use super::*;

    fn table(columns: &[(&str, &str)]) -> TableInfo {
        TableInfo::of_columns(columns.iter().copied())
    }

    fn kinds(schema: &Schema, columns: &[(&str, &str)]) -> Vec<(String, Kind)> {
        let adopted = adopted(schema, &table(columns), Dialect { json: true });
        adopted.fields.into_iter().map(|field| (field.name, field.kind)).collect()
    }

    #[test]
    fn columns_are_what_they_have_become() {
        let parts = Kind::Document(vec![Field::new("a", Kind::Int32), Field::new("b", Kind::Bool)]);
        let schema = Schema::new(vec![
            Field::new("_id", Kind::Int64),
            Field::new("n", Kind::Int32),
            Field::new("text", Kind::Int64),
            Field::new("gone", Kind::Bool),
            Field::new("d", parts.clone()),
            Field::new("tags", Kind::Array(Box::new(Kind::Int32))),
            Field::new("odd", Kind::Int64),
        ]);
        let there = [
            ("_id", "Int64"),
            ("n", "Nullable(Int64)"),
            ("text", "Nullable(String)"),
            ("d", "Tuple(a Nullable(Float64), b Nullable(Bool))"),
            ("tags", "Array(Nullable(Int64))"),
            ("odd", "Nullable(IPv4)"),
            ("mine", "String"),
        ];
        let widened = Kind::Document(vec![Field::new("a", Kind::Double), Field::new("b", Kind::Bool)]);
        let expected = [
            ("_id", Kind::Int64),
            ("n", Kind::Int64),
            ("text", Kind::Text { usual: TextType::Number }),
            ("d", widened),
            ("tags", Kind::Array(Box::new(Kind::Int64))),
        ];
        assert_eq!(kinds(&schema, &there), expected.map(|(name, kind)| (name.to_owned(), kind)));
        // A part of somebody else's could not be written.
        let grown = [("_id", "Int64"), ("d", "Tuple(a Nullable(Int32), b Nullable(Bool), c UInt8)")];
        assert_eq!(kinds(&schema, &grown), [("_id".to_owned(), Kind::Int64)]);
        let shrunk = [("_id", "Int64"), ("d", "Tuple(b Nullable(Bool))")];
        let left = Kind::Document(vec![Field::new("b", Kind::Bool)]);
        assert_eq!(kinds(&schema, &shrunk)[1], ("d".to_owned(), left));
    }

    #[test]
    fn columns_that_are_as_they_were_made_stay() {
        let limit = Some(zenith_arrow::Limit::Integers { first: 0, last: 255 });
        let given = Some(zenith_arrow::GivenType { name: "UInt8".to_owned(), limit });
        let fields = vec![
            Field::new("_id", Kind::Int64),
            Field { given, ..Field::new("n", Kind::Int64) },
            Field::new("key", Kind::String).required(),
            Field::new("gone", Kind::Bool),
        ];
        let there = [("_id", "Int64"), ("n", "Nullable(UInt8)"), ("key", "String")];
        let schema = Schema::new(fields);
        let kept = adopted(&schema, &table(&there), Dialect { json: true });
        assert_eq!(kept.fields, schema.fields[..3]);
        let there = [("_id", "Int64"), ("n", "Nullable(Int64)"), ("key", "Nullable(String)")];
        let plain = [Field::new("n", Kind::Int64), Field::new("key", Kind::String)];
        assert_eq!(adopted(&schema, &table(&there), Dialect { json: true }).fields[1..], plain);
    }

    #[test]
    fn twins_go_with_the_column_that_they_are_of() {
        let twin = Twin { name: "n_text".to_owned(), usual: TextType::String };
        let field = Field { twin: Some(twin), ..Field::new("n", Kind::Int64) };
        let schema = Schema::new(vec![Field::new("_id", Kind::Int64), field.clone()]);
        let twins = |columns: &[(&str, &str)]| {
            let adopted = adopted(&schema, &table(columns), Dialect { json: true });
            adopted.fields.get(1).map(|field| field.twin.is_some())
        };
        let (id, text) = (("_id", "Int64"), ("n_text", "Nullable(String)"));
        assert_eq!(twins(&[id, ("n", "Nullable(Int64)"), text]), Some(true));
        assert_eq!(twins(&[id, ("n", "Nullable(Float64)"), text]), Some(true));
        assert_eq!(twins(&[id, ("n", "Nullable(Int64)")]), Some(false));
        assert_eq!(twins(&[id, ("n", "Nullable(String)"), text]), Some(false));
        assert_eq!(twins(&[id, text]), None);
    }
}
