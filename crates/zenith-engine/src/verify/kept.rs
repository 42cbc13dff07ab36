//! What of a document its row has to have, where keys that no column is for are left out.
//!
//! A row may be of a time when such keys were kept, and has them then; and of a time before a column came, when its field was
//! left out.

use bson::{Bson, Document};
use zenith_arrow::rebuild::Duplicate;
use zenith_arrow::{Field, Kind};

use crate::promotion::LateFields;

/// The document without the keys that have no column and are not in its row.
pub(super) fn document(
    document: &Document,
    fields: &[Field],
    late: &LateFields,
    there: &Document,
) -> Document {
    Pruning { late, path: Vec::new() }.document(document, fields, there)
}

/// The earlier values of keys that have a column.
pub(super) fn repeated(repeated: &[Duplicate], fields: &[Field]) -> Vec<Duplicate> {
    let has_column = |duplicate: &&Duplicate| {
        let path = duplicate.path.iter().chain([&duplicate.key]).map(String::as_str);
        has_column(fields, path)
    };
    repeated.iter().filter(has_column).cloned().collect()
}

fn has_column<'p>(fields: &[Field], mut path: impl Iterator<Item = &'p str>) -> bool {
    let Some(key) = path.next() else { return true };
    let Some(field) = fields.iter().find(|field| field.name == key) else { return false };
    let mut kind = &field.kind;
    while let Kind::Array(element) = kind {
        // The place of the element.
        let Some(_) = path.next() else { return true };
        kind = element;
    }
    match kind {
        Kind::Document(fields) => has_column(fields, path),
        _ => true,
    }
}

struct Pruning<'a> {
    late: &'a LateFields,
    path: Vec<String>,
}

impl Pruning<'_> {
    fn document(&mut self, document: &Document, fields: &[Field], there: &Document) -> Document {
        let mut kept = Document::new();
        for (key, value) in document {
            let field = fields.iter().find(|field| field.name == *key);
            self.path.push(key.clone());
            let may_lack = field.is_none() || self.came_late();
            if there.contains_key(key) || !may_lack {
                let value = match field {
                    Some(field) => self.value(value, &field.kind, there.get(key)),
                    None => value.clone(),
                };
                kept.insert(key, value);
            }
            self.path.pop();
        }
        kept
    }

    fn value(&mut self, value: &Bson, kind: &Kind, there: Option<&Bson>) -> Bson {
        match (value, kind) {
            (Bson::Document(document), Kind::Document(fields)) => {
                let empty = Document::new();
                let there = there.and_then(Bson::as_document).unwrap_or(&empty);
                self.document(document, fields, there).into()
            }
            (Bson::Array(values), Kind::Array(element)) => {
                let there = there.and_then(Bson::as_array);
                let there = |place: usize| there.and_then(|there| there.get(place));
                let values = values.iter().enumerate();
                Bson::Array(values.map(|(place, value)| self.value(value, element, there(place))).collect())
            }
            (value, _) => value.clone(),
        }
    }

    /// Whether the field at hand had no column when the table was loaded.
    fn came_late(&self) -> bool {
        self.late.get(&self.path.join(".")).is_some_and(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn keys_without_a_column_are_compared_where_their_row_has_them() {
        let inner = Kind::Document(vec![Field::new("a", Kind::Int64)]);
        let fields = [
            Field::new("_id", Kind::Int64),
            Field::new("d", inner.clone()),
            Field::new("items", Kind::Array(Box::new(inner))),
            Field::new("late", Kind::Bool),
        ];
        let late = LateFields::from([("late".to_owned(), None)]);
        let source = doc! {
            "_id": 1, "d": { "a": 1, "b": 2 }, "items": [{ "a": 1 }, { "b": 2 }], "late": true, "new": 5, "old": 6,
        };
        let there = doc! { "_id": 1, "d": { "a": 1 }, "items": [{ "a": 1 }, {}], "old": 6 };
        assert_eq!(document(&source, &fields, &late, &there), there);
        let there = doc! { "_id": 1, "d": { "a": 1, "b": 2 }, "items": [], "late": true, "new": 5, "old": 6 };
        let kept = document(&source, &fields, &late, &there);
        let mut expected = there.clone();
        expected.insert("items", Bson::from(vec![doc! { "a": 1 }, doc! {}]));
        assert_eq!(kept, expected);
        let of = |path: &[&str], key: &str| Duplicate {
            path: path.iter().map(|&step| step.to_owned()).collect(),
            key: key.to_owned(),
            value: Bson::Null,
        };
        let all = [
            of(&[], "new"),
            of(&[], "late"),
            of(&["items", "0"], "a"),
            of(&["items", "0"], "b"),
            of(&["d"], "b"),
        ];
        assert_eq!(repeated(&all, &fields).len(), 2);
    }
}
