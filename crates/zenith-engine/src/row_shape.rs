//! What documents become in a table: a column for each field, one column of the whole document, or columns of the parts of
//! documents, too.

use serde::{Deserialize, Serialize};
use zenith_arrow::infer::Flat;
use zenith_arrow::{Blank, Field, Kind, Schema, WHOLE_KEY};

/// What documents become in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// A column for each field of the top level; documents inside are tuples.
    #[default]
    Columns,
    /// Two columns: `_id`, and `doc` with the whole document as `JSON`.
    Document,
    /// As `columns`, but documents inside become columns of their parts: `customer_address_city`.
    Flat,
}

/// What arrays become where documents become columns of their parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum FlatArrays {
    /// Arrays, of tuples where their elements are documents.
    #[default]
    Nested,
    /// JSON as text.
    Json,
}

/// All that is said about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'a> {
    pub(crate) shape: Shape,
    pub(crate) separator: &'a str,
    pub(crate) depth: Option<usize>,
    pub(crate) arrays: FlatArrays,
}

impl Said<'_> {
    /// Which documents become columns of their parts.
    pub(crate) fn flat(self) -> Option<Flat> {
        (self.shape == Shape::Flat).then(|| Flat {
            separator: self.separator.to_owned(),
            levels: self.depth.unwrap_or(usize::MAX),
            arrays_as_text: self.arrays == FlatArrays::Json,
        })
    }

    /// The first setting that cannot be used, its value, and what is wrong with it in words that follow these.
    pub(crate) fn mistake(self, rename: &[(String, String)]) -> Option<(&'static str, String, &'static str)> {
        let separator = self.separator;
        if self.depth == Some(0) {
            return Some(("flat_depth", "0".to_owned(), "is too small: 1 is the documents of the top level"));
        }
        if separator.is_empty() || separator.contains('\0') {
            return Some((
                "flat_separator",
                format!("{separator:?}"),
                "does not tell the keys in the name of a column apart",
            ));
        }
        if separator.contains('.') && (self.arrays == FlatArrays::Nested || self.depth.is_some()) {
            return Some((
                "flat_separator",
                format!("{separator:?}"),
                "makes names with a dot in them, and ClickHouse takes arrays and tuples of such names for parts of one \
                 another: take it with flat_arrays = \"json\" and without flat_depth",
            ));
        }
        match rename.first() {
            Some((field, column)) if self.shape == Shape::Document => Some((
                "rename",
                format!("{field}={column}"),
                "renames a field, and with shape = \"document\" none has a column of its own",
            )),
            _ => None,
        }
    }
}

/// The columns of whole documents: that of the documents takes any.
pub(crate) fn whole(schema: &mut Schema) {
    schema.fields.retain(|field| field.name != WHOLE_KEY);
    schema.fields.push(Field { blank: Blank::Missing, ..Field::new(WHOLE_KEY, Kind::Json) });
    schema.whole = true;
}

/// The first two fields whose columns would have one name, and that name.
pub(crate) fn equal_names(schema: &Schema) -> Option<(String, String, String)> {
    let mut names: Vec<(&str, String)> = Vec::new();
    for field in schema.columns() {
        let path = path_of(schema, field);
        let twin = field.twin.as_ref().map(|twin| (twin.name.as_str(), format!("the text of {path}")));
        for (name, path) in std::iter::once((field.column_name(), path)).chain(twin) {
            if let Some((_, other)) = names.iter().find(|(known, _)| *known == name) {
                return Some((other.clone(), path, name.to_owned()));
            }
            names.push((name, path));
        }
    }
    None
}

fn path_of(schema: &Schema, column: &Field) -> String {
    fn find(fields: &[Field], column: &Field) -> Option<String> {
        fields.iter().find_map(|field| match field.flat_parts() {
            Some(parts) => find(parts, column).map(|path| format!("{}.{path}", field.name)),
            None => std::ptr::eq(field, column).then(|| field.name.clone()),
        })
    }
    find(&schema.fields, column).unwrap_or_else(|| column.name.clone())
}
