//! The shapes of documents that make copying easy or hard.
//!
//! A document is a function of the collection's seed and its number, so that parts of a collection can be made in any
//! order, in parallel, and again for comparison.

use bson::RawDocumentBuf;

use super::bson_writer::DocumentWriter;
use super::events::{self, object_id};
use super::random::Random;

/// What the documents of a collection look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The standard collection, see [`events`]: 12 fields, 288 bytes.
    Events,
    /// `_id` and 200 scalar fields of six types.
    Wide,
    /// `_id` and two integers.
    Tiny,
    /// Five levels of documents and arrays of documents.
    Deep,
    /// `_id` and two texts of 1 to 4 KiB.
    Strings,
    /// About 1 MiB a document: an array of some 20,000 documents.
    Large,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 6] = [Self::Events, Self::Wide, Self::Tiny, Self::Deep, Self::Strings, Self::Large];

    /// The name, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Wide => "wide",
            Self::Tiny => "tiny",
            Self::Deep => "deep",
            Self::Strings => "strings",
            Self::Large => "large",
        }
    }

    /// The shape of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shape| shape.name() == name)
    }

    /// Appends the BSON of the document of this number to `bytes`.
    pub fn write(self, seed: u64, number: u64, bytes: &mut Vec<u8>) {
        if self == Self::Events {
            return events::write(seed, number, bytes);
        }
        let mut random = Random::of_document(seed, number);
        let mut document = DocumentWriter::begin(bytes);
        document.object_id("_id", object_id(seed, number));
        match self {
            Self::Events => {}
            Self::Wide => wide(&mut random, &mut document),
            Self::Tiny => {
                document.int32("a", int32(&mut random));
                document.int64("b", int64(&mut random));
            }
            Self::Deep => deep(&mut random, &mut document, 1),
            Self::Strings => {
                for name in ["title", "body"] {
                    document.string(name, &prose(&mut random));
                }
            }
            Self::Large => document.array("points", 20_400, |array, _, name| {
                array.document(name, |point| {
                    point.double("x", random.fraction());
                    point.double("y", random.fraction());
                    point.string("label", random.pick(&WORDS));
                });
            }),
        }
        document.end();
    }

    /// The document of this number.
    ///
    /// # Panics
    ///
    /// Never: what is written is BSON.
    #[must_use]
    pub fn document(self, seed: u64, number: u64) -> RawDocumentBuf {
        let mut bytes = Vec::new();
        self.write(seed, number, &mut bytes);
        RawDocumentBuf::from_bytes(bytes).expect("the generators write BSON")
    }
}

const WORDS: [&str; 12] = [
    "river", "mountain", "signal", "garden", "bridge", "winter", "engine", "silver", "harbour", "naïve",
    "日本", "copper",
];

fn int32(random: &mut Random) -> i32 {
    i32::from_le_bytes(random.below(u32::MAX).to_le_bytes())
}

fn int64(random: &mut Random) -> i64 {
    i64::from_le_bytes(random.next_u64().to_le_bytes())
}

fn wide(random: &mut Random, document: &mut DocumentWriter<'_>) {
    for field in 0..200_u32 {
        let name = format!("field_{field:03}");
        match field % 6 {
            0 => document.int32(&name, int32(random)),
            1 => document.int64(&name, int64(random)),
            2 => document.double(&name, random.fraction()),
            3 => document.string(&name, random.pick(&WORDS)),
            4 => document.bool(&name, random.below(2) == 1),
            _ => document.date(&name, 1_700_000_000_000 + i64::from(random.below(u32::MAX))),
        }
    }
}

/// Each level has two scalars, one document and an array of one or two documents, down to level five.
fn deep(random: &mut Random, document: &mut DocumentWriter<'_>, level: u32) {
    document.int32("level", i32::try_from(level).unwrap_or_default());
    document.string("label", random.pick(&WORDS));
    if level == 5 {
        return;
    }
    document.document("child", |child| deep(random, child, level + 1));
    let count = 1 + random.index(2);
    document.array("items", count, |array, _, name| {
        array.document(name, |item| {
            item.double("weight", random.fraction());
            item.document("inner", |inner| {
                inner.int64("value", int64(random));
            });
        });
    });
}

/// Words until 1 to 4 KiB are full.
fn prose(random: &mut Random) -> String {
    let length = 1_024 + random.index(3 * 1_024);
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        text.push_str(random.pick(&WORDS));
        text.push(' ');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_bson_and_the_same_again() {
        for shape in Shape::ALL {
            let document = shape.document(5, 9);
            let decoded = bson::Document::try_from(document.as_ref()).unwrap();
            assert_eq!(decoded.get_object_id("_id").unwrap().bytes(), object_id(5, 9));
            assert_eq!(document, shape.document(5, 9));
            assert_ne!(document, shape.document(5, 10));
            assert_ne!(document, shape.document(6, 9));
            assert_eq!(Shape::from_name(shape.name()), Some(shape));
        }
        assert_eq!(bson::Document::try_from(Shape::Wide.document(1, 1).as_ref()).unwrap().len(), 201);
        let large = Shape::Large.document(1, 1).as_bytes().len();
        assert!((1_040_000..1_060_000).contains(&large), "{large}");
    }
}
