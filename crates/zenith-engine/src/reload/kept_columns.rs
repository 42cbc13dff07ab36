//! Columns that a table of Zenith's has and the sample of its collection does not ask for: those of rare fields, which the next
//! sample may miss as well. They stay, so that one copy after the other has the same columns.

use std::collections::BTreeMap;

use zenith_arrow::schema::{ID_KEY, TextType};
use zenith_arrow::{Field, Kind, Schema, Twin};
use zenith_transport::TableInfo;
use zenith_transport::ddl::{Dialect, TypeParts, parts, same_values};

use super::table_types::{is_column_of, scalar};

/// What the names of columns that are no fields begin with.
const RESERVED: &str = "_zenith_";

/// A table whose columns stay.
pub(crate) struct KeptColumns<'a> {
    pub(crate) table: &'a TableInfo,
    pub(crate) dialect: Dialect,
    /// Names of columns by those of their fields, where they differ.
    pub(crate) renamed: &'a BTreeMap<String, String>,
    /// Fields that are left out of documents.
    pub(crate) is_left_out: &'a dyn Fn(&str) -> bool,
    /// Whether the sample has a field.
    pub(crate) is_sampled: &'a dyn Fn(&str) -> bool,
    /// Whether columns keep the parts that the sample does not have.
    pub(crate) with_parts: bool,
}

impl KeptColumns<'_> {
    /// Adds fields for the columns, and parts to those that the schema has.
    pub(crate) fn add_to(&self, schema: &mut Schema) {
        for field in &mut schema.fields {
            let there = self.table.columns.iter().find(|there| there.name == field.column_name());
            if let Some(there) = there.filter(|_| self.with_parts && field.name != ID_KEY) {
                let kind = self.completed(&field.kind, &there.data_type);
                if self.is_of(&kind, &there.data_type) {
                    field.kind = kind;
                }
            }
        }
        for there in &self.table.columns {
            let is_known = schema.fields.iter().any(|field| {
                let twin = field.twin.as_ref().map(|twin| twin.name.as_str());
                field.column_name() == there.name || twin == Some(&there.name)
            });
            let is_ours = there.name == ID_KEY || there.name.starts_with(RESERVED);
            if is_known || is_ours || !there.default_kind.is_empty() {
                continue;
            }
            let Some(name) = self.field_of(&there.name).filter(|name| !(self.is_left_out)(name)) else {
                continue;
            };
            let is_taken = schema.fields.iter().any(|field| field.name == name);
            if self.is_twin(schema, &there.name, &there.data_type) {
                continue;
            }
            if let Some(kind) = self.kind_of(&there.data_type).filter(|_| !is_taken) {
                let column = Some(there.name.clone()).filter(|column| *column != name);
                schema.fields.push(Field { column, ..Field::new(&name, kind) });
            }
        }
    }

    /// Whether a column is the twin of a kept one, which has it then.
    fn is_twin(&self, schema: &mut Schema, column: &str, there: &str) -> bool {
        let Some(base) = column.strip_suffix("_text").filter(|_| same_values(there, "Nullable(String)"))
        else {
            return false;
        };
        let is_text = |kind: &Kind| matches!(kind, Kind::String | Kind::Category | Kind::Text { .. });
        let of = schema.fields.iter_mut().find(|field| field.column_name() == base && !is_text(&field.kind));
        let Some(field) = of.filter(|field| field.twin.is_none() && !(self.is_sampled)(&field.name)) else {
            return false;
        };
        field.twin = Some(Twin { name: column.to_owned(), usual: TextType::String });
        true
    }

    /// The field that a column is of.
    fn field_of(&self, column: &str) -> Option<String> {
        match self.renamed.iter().find(|(_, name)| *name == column) {
            Some((field, _)) => Some(field.clone()),
            None => (!self.renamed.contains_key(column)).then(|| column.to_owned()),
        }
    }

    /// The kind with the parts that this type has.
    fn completed(&self, kind: &Kind, there: &str) -> Kind {
        match (parts(there), kind) {
            (TypeParts::Fields(there), Kind::Document(fields)) => {
                let completed =
                    there.iter().map(|(name, there)| match fields.iter().find(|field| field.name == *name) {
                        Some(field) => {
                            Some(Field { kind: self.completed(&field.kind, there), ..field.clone() })
                        }
                        None => Some(Field::new(name, self.kind_of(there)?)),
                    });
                let completed: Vec<Field> = completed.flatten().collect();
                let has_all = fields.iter().all(|field| completed.iter().any(|kept| kept.name == field.name));
                if has_all { Kind::Document(completed) } else { kind.clone() }
            }
            (TypeParts::Elements(there), Kind::Array(element)) => {
                Kind::Array(Box::new(self.completed(element, there)))
            }
            _ => kind.clone(),
        }
    }

    /// The kind of a column of this type.
    fn kind_of(&self, there: &str) -> Option<Kind> {
        let kind = match parts(there) {
            TypeParts::Fields(fields) => {
                let field = |(name, there): &(String, &str)| Some(Field::new(name, self.kind_of(there)?));
                Kind::Document(fields.iter().map(field).collect::<Option<_>>()?)
            }
            TypeParts::Elements(there) => Kind::Array(Box::new(self.kind_of(there)?)),
            TypeParts::None | TypeParts::Entries(..) => {
                scalar(there, &|kind, there| self.is_of(kind, there))?
            }
        };
        self.is_of(&kind, there).then_some(kind)
    }

    fn is_of(&self, kind: &Kind, there: &str) -> bool {
        is_column_of(&Field::new("value", kind.clone()), there, self.dialect)
    }
}
