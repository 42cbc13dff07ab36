//! What a sample has at a place, and how much of that a column holds which already exists.

use zenith_bson::{Element, Elements, RawValue, tag};

use crate::fit::fits_leaf;
use crate::schema::{DateRange, Kind};

use super::census::{Counting, Values};
use super::keys::KeyPosition;
use super::{InferOptions, choose};

/// The values that a sample has at one place: in its documents, in documents inside them, in arrays.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    values: Vec<RawValue<'a>>,
    /// The place, as dotted keys without marks for arrays.
    path: String,
    /// Levels of documents and arrays around it.
    level: usize,
    /// Whether these are elements of arrays.
    elements: bool,
}

impl<'a> Found<'a> {
    /// The documents themselves. Those that are not valid BSON are skipped.
    pub fn documents(samples: impl IntoIterator<Item = &'a [u8]>) -> Found<'a> {
        let valid = samples.into_iter().filter(|document| zenith_bson::validate(document).is_ok());
        let values = valid.map(|bytes| RawValue { tag: tag::DOCUMENT, bytes }).collect();
        Found { values, path: String::new(), level: 0, elements: false }
    }

    /// What the documents among these have at a key.
    #[must_use]
    pub fn inside(&self, key: &str) -> Found<'a> {
        let elements = self.values.iter().filter_map(|value| inner(value.as_document_bytes()));
        let at_key = elements.flatten().filter(|element| element.key == key.as_bytes());
        let values = at_key.map(|element| element.value).collect();
        let dot = if self.path.is_empty() { "" } else { "." };
        Found { values, path: format!("{}{dot}{key}", self.path), level: self.level + 1, elements: false }
    }

    /// The elements of the arrays among these; with `lone` also every other value, as the list of one that it shows as.
    #[must_use]
    pub fn elements(&self, lone: bool) -> Found<'a> {
        let mut values = Vec::new();
        for value in &self.values {
            match inner(value.as_array_bytes()) {
                Some(elements) => values.extend(elements.map(|element| element.value)),
                None if lone => values.push(*value),
                None => {}
            }
        }
        Found { values, path: self.path.clone(), level: self.level + 1, elements: true }
    }

    /// The documents among these, and nothing else.
    #[must_use]
    pub fn only_documents(&self) -> Found<'a> {
        self.only(tag::DOCUMENT)
    }

    /// The arrays among these, and nothing else.
    #[must_use]
    pub fn only_arrays(&self) -> Found<'a> {
        self.only(tag::ARRAY)
    }

    fn only(&self, tag: u8) -> Found<'a> {
        let values = self.values.iter().copied().filter(|value| value.tag == tag).collect();
        Found { values, path: self.path.clone(), ..*self }
    }

    /// The kind of the type that most of these have, under any rule for several types; `None` where there is no column
    /// for them.
    #[must_use]
    pub fn kind(&self, options: &InferOptions) -> Option<Kind> {
        let mut values = Values::default();
        let mut counting = Counting::new(options);
        for value in &self.values {
            values.add(*value, self.level, &mut counting).ok()?;
        }
        let place = if self.elements { KeyPosition::Element } else { KeyPosition::Embedded };
        choose::most_frequent(&values, place, &self.path, options)
    }

    /// The share of these that a column of this kind holds; 1 where there are none.
    ///
    /// Nulls do not count. Of an array each element counts, of a document each value inside; a key for which the kind has
    /// no column is a value that is not held, and so is one of another type than the array or document. Empty arrays and
    /// documents count as one value, lone values count as a list of one. What a twin would show inside a document counts
    /// as held.
    #[must_use]
    pub fn share_held(&self, kind: &Kind, dates: DateRange) -> f64 {
        match self.held(kind, dates) {
            (_, 0) => 1.0,
            (held, all) => super::statistics::as_f64(held) / super::statistics::as_f64(all),
        }
    }

    /// How many of these a column of this kind does not hold, counted in the same way.
    #[must_use]
    pub fn not_held(&self, kind: &Kind, dates: DateRange) -> u64 {
        let (held, all) = self.held(kind, dates);
        all - held
    }

    /// How many are held, of how many.
    fn held(&self, kind: &Kind, dates: DateRange) -> (u64, u64) {
        let mut share = Share { dates, held: 0, all: 0 };
        self.values.iter().for_each(|value| share.add(kind, *value, false));
        (share.held, share.all)
    }
}

/// The elements of a document or array.
fn inner(bytes: Option<&[u8]>) -> Option<impl Iterator<Item = Element<'_>>> {
    Some(Elements::new(bytes?).ok()?.flatten())
}

struct Share {
    dates: DateRange,
    held: u64,
    all: u64,
}

impl Share {
    /// `twin` is whether there is a column of text for what does not fit.
    fn add(&mut self, kind: &Kind, value: RawValue<'_>, twin: bool) {
        if value.is_null() {
            return;
        }
        match kind {
            Kind::Document(fields) => match inner(value.as_document_bytes()) {
                Some(elements) => {
                    let before = self.all;
                    for element in elements {
                        let name = |name: &str| name.as_bytes() == element.key;
                        match fields.iter().find(|field| name(&field.name)) {
                            Some(field) => self.add(&field.kind, element.value, field.twin.is_some()),
                            None if element.value.is_null() => {}
                            None => self.count(false),
                        }
                    }
                    if self.all == before {
                        self.count(true);
                    }
                }
                _ => self.count(twin),
            },
            Kind::Array(element_kind) => match inner(value.as_array_bytes()) {
                Some(elements) => {
                    let before = self.all;
                    elements.for_each(|element| self.add(element_kind, element.value, false));
                    if self.all == before {
                        self.count(true);
                    }
                }
                _ if matches!(**element_kind, Kind::Array(_)) => self.count(twin),
                _ => self.add(element_kind, value, twin),
            },
            Kind::Map(field) => match inner(value.as_document_bytes()) {
                Some(elements) => {
                    let before = self.all;
                    elements.for_each(|element| self.add(&field.kind, element.value, false));
                    if self.all == before {
                        self.count(true);
                    }
                }
                _ => self.count(twin),
            },
            Kind::Json => self.count(twin || value.as_document_bytes().is_some()),
            Kind::Text { .. } => self.count(true),
            leaf => self.count(twin || fits_leaf(leaf, value, self.dates)),
        }
    }

    fn count(&mut self, held: bool) {
        self.all += 1;
        self.held += u64::from(held);
    }
}

#[cfg(test)]
mod tests {
    use bson::{Bson, Document, bson, doc};

    use super::*;
    use crate::schema::{Field, TextType, Twin};

    fn share(values: impl IntoIterator<Item = Bson>, kind: &Kind) -> f64 {
        let documents: Vec<Document> = values.into_iter().map(|value| doc! { "a": 1, "v": value }).collect();
        let bytes: Vec<Vec<u8>> = documents.iter().map(|document| document.to_vec().unwrap()).collect();
        let found = Found::documents(bytes.iter().map(Vec::as_slice));
        found.inside("v").share_held(kind, DateRange::default())
    }

    #[test]
    fn shares_of_scalars() {
        for (values, kind, expected) in [
            (vec![], Kind::Int64, 1.0),
            (vec![Bson::Null], Kind::Int64, 1.0),
            (vec![1.into(), "a".into(), Bson::Null], Kind::Int64, 0.5),
            (vec![1.into(), 2_i64.into(), 3.0.into(), 0.5.into()], Kind::Int64, 0.75),
            (vec![1.into(), 0.5.into()], Kind::Double, 1.0),
            (vec![1.into(), "a".into(), bson!([1])], Kind::Text { usual: TextType::Number }, 1.0),
            (vec![doc! { "a": 1 }.into(), "a".into()], Kind::Json, 0.5),
            (vec![bson::DateTime::from_millis(1).into(), bson::DateTime::MAX.into()], Kind::Date, 0.5),
        ] {
            assert_eq!(share(values.clone(), &kind), expected, "{values:?} in {kind:?}");
        }
        let broken = Found::documents([&[1, 2, 3][..]]).inside("v");
        assert_eq!(broken.share_held(&Kind::Int64, DateRange::default()), 1.0);
    }

    #[test]
    fn shares_of_arrays_and_documents() {
        let strings = Kind::Array(Box::new(Kind::String));
        assert_eq!(share([bson!(["a", 1, null]), bson!([]), "b".into(), 5.into()], &strings), 0.6);
        let nested = Kind::Array(Box::new(strings.clone()));
        assert_eq!(share([bson!([["a"], "b"])], &nested), 1.0);
        assert_eq!(share(["a".into()], &nested), 0.0);
        let twin = Some(Twin { name: "y_text".into(), usual: TextType::String });
        let fields = vec![Field::new("x", Kind::Int64), Field { twin, ..Field::new("y", Kind::Int64) }];
        let document = Kind::Document(fields);
        assert_eq!(share([doc! { "x": 1, "y": "a" }.into()], &document), 1.0);
        assert_eq!(
            share([doc! { "x": "a", "y": 1, "z": null }.into(), doc! {}.into()], &document),
            2.0 / 3.0
        );
        assert_eq!(share([doc! { "z": 1 }.into(), doc! { "x": 1 }.into(), 1.into()], &document), 1.0 / 3.0);
    }

    #[test]
    fn places_inside_documents_and_arrays() {
        let documents: Vec<Document> = vec![
            doc! { "a": { "b": [{ "c": 1 }, { "c": "x" }, 5] } },
            doc! { "a": { "b": { "c": 2, "size0": 1 } } },
            doc! { "a": 1 },
        ];
        let bytes: Vec<Vec<u8>> = documents.iter().map(|document| document.to_vec().unwrap()).collect();
        let found = Found::documents(bytes.iter().map(Vec::as_slice)).inside("a").inside("b");
        let share = |found: Found<'_>| found.share_held(&Kind::Int64, DateRange::default());
        assert_eq!(share(found.elements(true).inside("c")), 2.0 / 3.0);
        assert_eq!(share(found.elements(false).inside("c")), 0.5);
        let options = InferOptions::default();
        let kind = |names: &[&str]| {
            Some(Kind::Document(names.iter().map(|name| Field::new(*name, Kind::Int64)).collect()))
        };
        assert_eq!(found.only_documents().kind(&options), kind(&["c", "size0"]));
        // In arrays, lengths are stored under names like `size0`.
        assert_eq!(found.only_documents().elements(true).kind(&options), kind(&["c"]));
        assert_eq!(found.elements(true).inside("c").path, "a.b.c");
        assert!(matches!(found.only_arrays().kind(&options), Some(Kind::Array(_))));
        assert_eq!(found.inside("no").kind(&options), None);
    }
}
