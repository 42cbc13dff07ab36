//! From a collection's schema to the Arrow schema of its record batches.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field as ArrowField, SchemaRef, TimeUnit};

use super::{
    BSON_METADATA_KEY, CATEGORY_METADATA_KEY, EXTRA_COLUMN, Field, ID_KEY, Kind, NOTES_COLUMN, Schema,
    TYPE_METADATA_KEY,
};

/// Arrow's metadata key for the name of an extension type.
const EXTENSION_NAME: &str = "ARROW:extension:name";

impl Schema {
    /// The Arrow schema of the record batches: a column for each field, behind it that of its twin; the extra and the
    /// notes column last.
    ///
    /// `_id` is never null. UUIDs carry Arrow's canonical extension `arrow.uuid`, JSON text
    /// `arrow.json`; [`BSON_METADATA_KEY`] has the BSON type of every column.
    #[must_use]
    pub fn to_arrow(&self) -> SchemaRef {
        let mut fields: Vec<ArrowField> = columns(&self.fields).collect();
        for field in &mut fields {
            if field.name() == ID_KEY {
                field.set_nullable(false);
            }
        }
        fields.extend([EXTRA_COLUMN, NOTES_COLUMN].map(|name| ArrowField::new(name, DataType::Utf8, false)));
        Arc::new(arrow_schema::Schema::new(fields))
    }
}

/// The columns of fields, each with its twin behind it; in the place of a flat document those of its parts.
fn columns(fields: &[Field]) -> impl Iterator<Item = ArrowField> {
    let mut columns = Vec::with_capacity(fields.len());
    fields.iter().for_each(|field| columns_into(field, &mut columns));
    columns.into_iter()
}

fn columns_into(field: &Field, columns: &mut Vec<ArrowField>) {
    match field.flat_parts() {
        Some(parts) => parts.iter().for_each(|part| columns_into(part, columns)),
        None => columns.push(column(field)),
    }
    columns.extend(field.twin.as_ref().map(|twin| named(&twin.name, &Kind::Text { usual: twin.usual })));
}

fn column(field: &Field) -> ArrowField {
    let mut column = named(field.column_name(), &field.kind);
    if field.required {
        column.set_nullable(false);
    }
    if let Some(given) = &field.given {
        let mut metadata = column.metadata().clone();
        metadata.insert(TYPE_METADATA_KEY.to_owned(), given.name.clone());
        column.set_metadata(metadata);
    }
    column
}

fn named(name: &str, kind: &Kind) -> ArrowField {
    let nullable = !kind.is_never_null();
    let mut metadata = HashMap::from([(BSON_METADATA_KEY.to_owned(), kind.to_string())]);
    if *kind == Kind::Category {
        metadata.insert(CATEGORY_METADATA_KEY.to_owned(), "1".to_owned());
    }
    let extension = match kind {
        Kind::Uuid(_) => Some("arrow.uuid"),
        Kind::Json => Some("arrow.json"),
        _ => None,
    };
    if let Some(extension) = extension {
        metadata.insert(EXTENSION_NAME.to_owned(), extension.to_owned());
    }
    ArrowField::new(name, data_type(kind), nullable).with_metadata(metadata)
}

fn data_type(kind: &Kind) -> DataType {
    match kind {
        Kind::ObjectId
        | Kind::MixedId
        | Kind::String
        | Kind::Category
        | Kind::DecimalText
        | Kind::Json
        | Kind::Text { .. } => DataType::Utf8,
        Kind::ObjectIdFixed => DataType::FixedSizeBinary(12),
        Kind::Bool => DataType::Boolean,
        Kind::Int32 => DataType::Int32,
        Kind::Int64 => DataType::Int64,
        Kind::Double => DataType::Float64,
        Kind::Decimal { scale } => DataType::Decimal128(38, i8::try_from(*scale).unwrap_or(38)),
        Kind::Date => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        Kind::Timestamp => DataType::UInt64,
        Kind::Uuid(_) => DataType::FixedSizeBinary(16),
        Kind::Binary { .. } => DataType::Binary,
        Kind::Document(fields) => DataType::Struct(columns(fields).collect()),
        Kind::Array(element) => DataType::List(Arc::new(named("item", element))),
        Kind::Map(value) => {
            let entries = [ArrowField::new("key", DataType::Utf8, false), column(value)];
            let entries = DataType::Struct(entries.into_iter().collect());
            DataType::Map(Arc::new(ArrowField::new("entries", entries, false)), false)
        }
    }
}
