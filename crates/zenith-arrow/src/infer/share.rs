//! How much of a sample a column that is there already holds.

use crate::fit::fits_leaf;
use crate::raw::{Elements, RawValue};
use crate::schema::{DateRange, Kind};

/// The share of the values at a key of the top level that a column of this kind holds; 1 where there are none.
///
/// Nulls do not count. Of an array each element counts, of a document each value inside; a key for which the kind has
/// no column is a value that is not held, and so is one of another type than the array or document. Empty arrays and
/// documents count as one value, lone values count as a list of one. What a twin would show inside a document counts
/// as held. Documents that are not valid BSON are passed over.
pub fn share_held<'a>(
    samples: impl IntoIterator<Item = &'a [u8]>,
    key: &str,
    kind: &Kind,
    dates: DateRange,
) -> f64 {
    let mut share = Share { dates, held: 0, all: 0 };
    for document in samples {
        let Ok(elements) = Elements::new(document) else { continue };
        for element in elements.flatten() {
            if element.key == key.as_bytes() {
                share.add(kind, element.value, false);
            }
        }
    }
    if share.all == 0 {
        1.0
    } else {
        super::statistics::as_f64(share.held) / super::statistics::as_f64(share.all)
    }
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
            Kind::Document(fields) => match value.as_document_bytes().map(Elements::new) {
                Some(Ok(elements)) => {
                    let before = self.all;
                    for element in elements.flatten() {
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
            Kind::Array(element_kind) => match value.as_array_bytes().map(Elements::new) {
                Some(Ok(elements)) => {
                    let before = self.all;
                    elements.flatten().for_each(|element| self.add(element_kind, element.value, false));
                    if self.all == before {
                        self.count(true);
                    }
                }
                _ if matches!(**element_kind, Kind::Array(_)) => self.count(twin),
                _ => self.add(element_kind, value, twin),
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
        share_held(bytes.iter().map(Vec::as_slice), "v", kind, DateRange::default())
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
        assert_eq!(share_held([&[1, 2, 3][..]], "v", &Kind::Int64, DateRange::default()), 1.0);
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
}
