//! Columns for fields that a table does not have, from the documents in which they occur.

use super::InferOptions;
use super::census::{Counting, Level};
use super::choose;
use super::forms::Forms;
use super::keys::KeyPosition;
use super::limit;
use crate::schema::{Blank, Field, ID_KEY, Kind, Schema};

/// What documents hold beyond the columns of a table. Memory is bounded by the number of distinct paths.
#[derive(Debug)]
pub struct NewFields {
    level: Level,
    counting: Counting,
    options: InferOptions,
}

impl NewFields {
    /// Of no documents yet.
    #[must_use]
    pub fn new(options: InferOptions) -> NewFields {
        NewFields { level: Level::default(), counting: Counting::new(&options), options }
    }

    /// Counts one document. One that is not valid BSON is skipped.
    pub fn add(&mut self, document: &[u8]) {
        if zenith_bson::validate(document).is_ok() {
            // A validated document can be walked.
            let _ = self.level.add(document, 1, &mut self.counting);
        }
    }

    /// The fields of the top level that `schema` has no column for and that can have one, in order of first appearance, so
    /// that all columns together have no more than `leaves_max` leaves.
    ///
    /// The rules are those of [`infer`](super::infer()), and three more: keys that look like data are left out one by one; a
    /// name with dots is left out beside any part of it; and what shows nothing is missing, as it is in all earlier rows.
    #[must_use]
    pub fn fields(&self, schema: &Schema, leaves_max: usize) -> Vec<Field> {
        let twins = schema.fields.iter().filter_map(|field| field.twin.as_ref());
        let mut taken: Vec<String> = twins.map(|twin| twin.name.clone()).collect();
        taken.extend(schema.fields.iter().map(|field| field.name.clone()));
        let leaves: usize = schema.fields.iter().map(Field::leaves).sum();
        // The bound is kept as that of a sample is: what is large becomes JSON first.
        let mut fields = vec![Field::new(ID_KEY, Kind::MixedId)];
        for mut field in choose::fields_of(&self.level, KeyPosition::Top, "", &self.options) {
            if taken.contains(&field.name) || is_data(&field.name) || is_ambiguous(&field.name, &taken) {
                continue;
            }
            taken.push(field.name.clone());
            set_missing(&mut field);
            free_twin(&mut field, &mut taken);
            fields.push(field);
        }
        limit::limit(&mut fields, &self.level, leaves_max.saturating_sub(leaves) + 1);
        fields.remove(0);
        fields
    }
}

/// What shows nothing is missing: earlier rows have the whole value in the extra column, with no note of what it lacks.
pub(super) fn set_missing(field: &mut Field) {
    field.blank = Blank::Missing;
    if let Kind::Document(fields) = &mut field.kind {
        fields.iter_mut().for_each(set_missing);
    }
}

/// Gives the twin of a field a name that is not taken, and takes it.
pub(super) fn free_twin(field: &mut Field, taken: &mut Vec<String>) {
    if let Some(twin) = &mut field.twin {
        while taken.contains(&twin.name) {
            twin.name.push_str("_text");
        }
        taken.push(twin.name.clone());
    }
}

/// Whether a key alone looks like data.
pub(super) fn is_data(name: &str) -> bool {
    let forms = Forms::of([name]);
    forms.data + forms.numbers > 0
}

/// Whether a name with dots spells a path through another one.
pub(super) fn is_ambiguous(name: &str, others: &[String]) -> bool {
    let spells = |long: &str, short: &str| long.strip_prefix(short).is_some_and(|rest| rest.starts_with('.'));
    others.iter().any(|other| spells(name, other) || spells(other, name))
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, rawdoc};

    use super::*;
    use crate::infer::infer;

    fn names(known: &[RawDocumentBuf], new: &[RawDocumentBuf], leaves_max: usize) -> Vec<(String, Kind)> {
        let options = InferOptions::default();
        let schema = infer(known.iter().map(|document| document.as_bytes()), &options).schema;
        let mut found = NewFields::new(options);
        new.iter().for_each(|document| found.add(document.as_bytes()));
        found.fields(&schema, leaves_max).into_iter().map(|field| (field.name, field.kind)).collect()
    }

    #[test]
    fn new_fields_get_the_kind_of_all_their_values() {
        let known = [rawdoc! { "_id": 1, "a": 1 }];
        let new = [
            rawdoc! { "_id": 2, "a": "x", "price": 3 },
            rawdoc! { "_id": 3, "price": 2.5, "at": null },
            rawdoc! { "_id": 4, "customer": { "name": "n" }, "tags": ["x"] },
        ];
        let customer = Kind::Document(vec![Field::new("name", Kind::String)]);
        let expected =
            [("price", Kind::Double), ("customer", customer), ("tags", Kind::Array(Box::new(Kind::String)))];
        assert_eq!(names(&known, &new, 1000), expected.map(|(name, kind)| (name.to_owned(), kind)));
    }

    #[test]
    fn keys_that_are_data_or_would_name_two_things_get_none() {
        let known = [rawdoc! { "_id": 1, "a": { "b": 1 }, "m": 1 }, rawdoc! { "_id": 2, "m": "x" }];
        let new = [rawdoc! {
            "_id": 3,
            "507f1f77bcf86cd799439011": 1,
            "2024-05-06": 1,
            "12": 1,
            "a.b": 1,
            "_zenith_x": 1,
            "fine": true,
        }];
        assert_eq!(names(&known, &new, 1000), [("fine".to_owned(), Kind::Bool)]);
    }

    #[test]
    fn columns_have_a_bound() {
        let known = [rawdoc! { "_id": 1, "a": 1 }];
        let new = [rawdoc! { "_id": 2, "often": 1, "seldom": 1 }, rawdoc! { "_id": 3, "often": 1 }];
        assert_eq!(names(&known, &new, 3), [("often".to_owned(), Kind::Int64)]);
        assert_eq!(names(&known, &new, 2), []);
    }

    #[test]
    fn twins_take_names_that_are_free() {
        let known = [rawdoc! { "_id": 1, "x_text": 1 }];
        let new =
            [rawdoc! { "_id": 2, "x": 1 }, rawdoc! { "_id": 3, "x": 2 }, rawdoc! { "_id": 4, "x": "n" }];
        let options = InferOptions::default();
        let schema = infer(known.iter().map(|document| document.as_bytes()), &options).schema;
        let mut found = NewFields::new(options);
        new.iter().for_each(|document| found.add(document.as_bytes()));
        let fields = found.fields(&schema, 1000);
        assert_eq!(fields[0].twin.as_ref().map(|twin| &twin.name[..]), Some("x_text_text"));
    }
}
