//! Documents that become columns of their parts: which of them do, and what the columns are called.

use std::collections::BTreeMap;

use super::keys::{self, KeyPosition};
use crate::schema::{Field, ID_KEY, Kind};

/// Which documents become columns of their parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flat {
    /// What stands between the keys in the name of a column.
    pub separator: String,
    /// Levels of documents that become columns; those of the top level are the first.
    pub levels: usize,
    /// Whether arrays become text.
    pub arrays_as_text: bool,
}

/// The names of columns that are asked for, by the dotted paths of their fields.
pub(super) type Names = BTreeMap<String, String>;

impl Flat {
    /// Has the parts of documents be columns of their own. A part whose column cannot have its name goes.
    pub(super) fn apply(&self, fields: &mut Vec<Field>, names: &Names) {
        self.mark_all(fields);
        for field in fields.iter_mut() {
            name(field, "", "", names);
        }
        fields.retain_mut(|field| field.retain_columns(&mut |column| can_be_named(column)));
        let mut taken = Vec::new();
        fields.iter().for_each(|field| names_of(field, &mut taken));
        fields.iter_mut().for_each(|field| free_twins(field, &mut taken));
    }

    /// Marks the documents that become columns of their parts.
    pub(super) fn mark_all(&self, fields: &mut [Field]) {
        self.mark(fields, self.levels);
    }

    fn mark(&self, fields: &mut [Field], levels: usize) {
        for field in fields.iter_mut().filter(|field| levels > 0 && field.name != ID_KEY) {
            if let Kind::Document(parts) = &mut field.kind {
                self.mark(parts, levels - 1);
                field.flat = Some(self.separator.clone());
            }
        }
    }
}

/// Names the columns of a field of the document at a path, which begin with `prefix`.
pub(super) fn name(field: &mut Field, prefix: &str, parent: &str, names: &Names) {
    let path = if parent.is_empty() { field.name.clone() } else { format!("{parent}.{}", field.name) };
    let usual = format!("{prefix}{}", field.name);
    let column = names.get(&path).cloned().unwrap_or(usual);
    if let Some(twin) = &mut field.twin {
        // Behind the name of the column, which may not be that of the field, there is at least one `_text`.
        let before = field.column.as_ref().unwrap_or(&field.name);
        let behind = twin.name.strip_prefix(before.as_str()).unwrap_or("_text");
        twin.name = format!("{column}{behind}");
    }
    field.column = Some(column).filter(|column| *column != field.name);
    if let Some(prefix) = field.prefix()
        && let Some(parts) = field.flat_parts_mut()
    {
        parts.iter_mut().for_each(|part| name(part, &prefix, &path, names));
    }
}

/// Has documents be columns as a whole.
pub(super) fn as_tuple(field: &mut Field) {
    if let Some(parts) = field.flat_parts_mut() {
        parts.iter_mut().for_each(as_tuple);
    }
    field.flat = None;
}

/// Whether a column can have the name that it would have.
pub(super) fn can_be_named(field: &Field) -> bool {
    field.name == ID_KEY || keys::column_name(field.column_name().as_bytes(), KeyPosition::Top).is_some()
}

/// The names of all columns of a field, but for those of twins.
pub(super) fn names_of(field: &Field, names: &mut Vec<String>) {
    match field.flat_parts() {
        Some(parts) => parts.iter().for_each(|part| names_of(part, names)),
        None => names.push(field.column_name().to_owned()),
    }
}

/// Gives twins names that nothing else has, and takes these.
pub(super) fn free_twins(field: &mut Field, taken: &mut Vec<String>) {
    if let Some(twin) = &mut field.twin {
        while taken.contains(&twin.name) {
            twin.name.push_str("_text");
        }
        taken.push(twin.name.clone());
    }
    if let Some(parts) = field.flat_parts_mut() {
        parts.iter_mut().for_each(|part| free_twins(part, taken));
    }
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, rawdoc};

    use super::*;
    use crate::infer::{InferOptions, Promotable, Wanted, infer};
    use crate::schema::Schema;

    fn options(separator: &str, levels: usize, names: &[(&str, &str)]) -> InferOptions {
        let flat = Flat { separator: separator.to_owned(), levels, arrays_as_text: false };
        let columns = names.iter().map(|(path, name)| ((*path).to_owned(), (*name).to_owned())).collect();
        InferOptions { flat: Some(flat), columns, ..InferOptions::default() }
    }

    fn orders() -> Vec<RawDocumentBuf> {
        let customer = |n: i32| match n % 3 {
            0 => rawdoc! { "name": n, "address": { "city": "c", "geo": { "lat": 1.5 } } },
            _ => rawdoc! { "name": "n", "address": { "city": "c" }, "_zenith_x": 1 },
        };
        (0..9)
            .map(|n| rawdoc! { "_id": { "a": n }, "customer": customer(n), "lines": [{ "a": { "b": n } }] })
            .collect()
    }

    fn schema(options: &InferOptions) -> Schema {
        infer(orders().iter().map(|document| document.as_bytes()), options).schema
    }

    fn names(schema: &Schema) -> Vec<String> {
        schema
            .to_arrow()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .filter(|name| !name.starts_with("_zenith"))
            .collect()
    }

    #[test]
    fn columns_are_named_by_the_keys_that_lead_to_them() {
        for (separator, levels, renamed, expected) in [
            (
                "_",
                usize::MAX,
                &[][..],
                "_id customer_name customer_name_text customer_address_city \
                customer_address_geo_lat lines",
            ),
            ("__", 1, &[], "_id customer__name customer__name_text customer__address lines"),
            (
                ".",
                2,
                &[("customer.name", "who"), ("customer.address", "at")],
                "_id who who_text at.city at.geo lines",
            ),
            (
                "_",
                2,
                &[("customer", "c"), ("lines", "items")],
                "_id c_name c_name_text c_address_city c_address_geo items",
            ),
        ] {
            let found = names(&schema(&options(separator, levels, renamed))).join(" ");
            assert_eq!(found, expected.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }

    #[test]
    fn new_fields_are_columns_where_documents_are_flat_and_parts_where_they_are_not() {
        let extra = r#"{"customer":{"vip":true,"address":{"zip":"z","geo":{"lon":{"$numberInt":"1"}}},"_zenith_x":true},
            "new":{"a":{"b":true},"c":true},"customer_vip":true,"lines":{"$elements":{"0":{"a":{"c":true}}}}}"#;
        let grown = |schema: &Schema, options: InferOptions| {
            let mut found = Promotable::new(options, &[]);
            found.add(schema, extra).unwrap();
            found.promote(schema, Wanted::All, 100).0
        };
        let deep = options("_", usize::MAX, &[("new.c", "see")]);
        let mut flat = names(&grown(&schema(&deep), deep.clone()));
        let before = names(&schema(&deep));
        flat.retain(|name| !before.contains(name));
        // Of customer.vip and customer_vip one can have the column.
        let new = ["customer_address_geo_lon", "customer_address_zip", "customer_vip", "new_a_b", "see"];
        assert_eq!(flat, new);
        // A table of before has its documents as they were, whatever the settings say meanwhile.
        let tuples = schema(&InferOptions::default());
        let grown = grown(&tuples, deep);
        assert_eq!(names(&grown)[..3], ["_id", "customer", "lines"]);
        assert!(grown.fields[1].flat.is_none() && grown.fields[1].leaves() > tuples.fields[1].leaves());
    }

    #[test]
    fn arrays_can_be_text() {
        let mut options = options("_", usize::MAX, &[]);
        if let Some(flat) = &mut options.flat {
            flat.arrays_as_text = true;
        }
        let schema = schema(&options);
        let lines = schema.column("lines").unwrap();
        assert!(matches!(lines.kind, Kind::Text { usual: crate::TextType::Array }));
    }
}
