//! Going through the top level of a BSON document in place: names, types and ranges, never values.
//!
//! An event of a change stream holds a document of the user's, which others decode; here only its frame matters. So this
//! walk checks that lengths stay within the document and looks at nothing deeper.

use std::ops::Range;

use crate::batch::{document_len, name_len};

/// Types of elements that events are made of; numbers of the BSON specification.
pub(super) mod kind {
    pub(crate) const STRING: u8 = 0x02;
    pub(crate) const DOCUMENT: u8 = 0x03;
    pub(crate) const DATE_TIME: u8 = 0x09;
    pub(crate) const INT32: u8 = 0x10;
    pub(crate) const TIMESTAMP: u8 = 0x11;
    pub(crate) const INT64: u8 = 0x12;
}

/// The walk left the document, or met a type there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a BSON document")]
pub(crate) struct NotADocument;

/// One element, by places in the bytes that are walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    pub(crate) kind: u8,
    pub(crate) name: &'a [u8],
    /// All of it: type, name and value.
    pub(crate) whole: Range<usize>,
    pub(crate) value: Range<usize>,
}

/// The elements of the document at a place of `bytes`.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the terminator stands.
    end: usize,
}

impl<'a> Elements<'a> {
    /// The document has to fill `document` of `bytes` exactly.
    pub(crate) fn new(bytes: &'a [u8], document: Range<usize>) -> Result<Elements<'a>, NotADocument> {
        let slice = bytes.get(document.clone()).ok_or(NotADocument)?;
        match document_len(slice) {
            Ok(len) if len == slice.len() => {
                Ok(Elements { bytes, at: document.start + 4, end: document.end - 1 })
            }
            _ => Err(NotADocument),
        }
    }

    fn read(&mut self) -> Option<Element<'a>> {
        let rest = self.bytes.get(self.at..self.end)?;
        let (&kind, named) = rest.split_first()?;
        let name_bytes = name_len(named)?;
        let name = named.get(..name_bytes)?;
        let value_at = self.at + 1 + name_bytes + 1;
        let value = value_at..value_at.checked_add(value_len(kind, named.get(name_bytes + 1..)?)?)?;
        if value.end > self.end {
            return None;
        }
        let whole = self.at..value.end;
        self.at = value.end;
        Some(Element { kind, name, whole, value })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, NotADocument>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.end {
            return None;
        }
        let element = self.read().ok_or(NotADocument);
        if element.is_err() {
            self.at = self.end;
        }
        Some(element)
    }
}

/// How long a value is that `rest` begins with.
fn value_len(kind: u8, rest: &[u8]) -> Option<usize> {
    let counted = |more: usize| {
        let len = i32::from_le_bytes(*rest.first_chunk::<4>()?);
        usize::try_from(len).ok()?.checked_add(more)
    };
    match kind {
        kind::STRING | 0x0D | 0x0E => counted(4),
        kind::DOCUMENT | 0x04 | 0x0F => counted(0).filter(|&len| len >= 5),
        0x05 => counted(5),
        0x0C => counted(4 + 12),
        0x0B => {
            let pattern = name_len(rest)? + 1;
            Some(pattern + name_len(rest.get(pattern..)?)? + 1)
        }
        0x06 | 0x0A | 0x7F | 0xFF => Some(0),
        0x08 => Some(1),
        kind::INT32 => Some(4),
        0x01 | kind::DATE_TIME | kind::TIMESTAMP | kind::INT64 => Some(8),
        0x07 => Some(12),
        0x13 => Some(16),
        _ => None,
    }
}

/// The text of a string value.
pub(super) fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value.get(4..)?.strip_suffix(&[0])?).ok()
}

/// The bytes of a string value, without a look at what they are.
pub(super) fn text_bytes(value: &[u8]) -> Option<&[u8]> {
    value.get(4..)?.strip_suffix(&[0])
}

/// The eight bytes of a date, a timestamp or an int64.
pub(super) fn eight_bytes(value: &[u8]) -> Option<[u8; 8]> {
    value.try_into().ok()
}

#[cfg(test)]
mod tests {
    use bson::{Bson, doc, oid::ObjectId, spec::BinarySubtype};
    use proptest::prelude::*;

    use super::*;

    fn every_type() -> Vec<u8> {
        let document = doc! {
            "double": 1.5, "string": "text", "document": { "a": 1 }, "array": [1, 2], "null": null,
            "binary": bson::Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2, 3] },
            "undefined": Bson::Undefined, "id": ObjectId::new(), "bool": true,
            "date": bson::DateTime::from_millis(7), "regex": bson::Regex {
                pattern: "a.b".try_into().unwrap(), options: "i".try_into().unwrap(),
            },
            "code": Bson::JavaScriptCode("f()".to_owned()), "symbol": Bson::Symbol("s".to_owned()),
            "scope": bson::JavaScriptCodeWithScope { code: "f()".to_owned(), scope: doc! { "x": 1 } },
            "int32": 7, "timestamp": bson::Timestamp { time: 1, increment: 2 }, "int64": 7_i64,
            "decimal": "1.5".parse::<bson::Decimal128>().unwrap(), "min": Bson::MinKey, "max": Bson::MaxKey,
        };
        bson::serialize_to_vec(&document).unwrap()
    }

    #[test]
    fn every_type_is_stepped_over() {
        let bytes = every_type();
        let document = bson::RawDocument::from_bytes(&bytes).unwrap();
        let expected: Vec<_> = document.iter_elements().map(|element| element.unwrap()).collect();
        let found: Vec<_> =
            Elements::new(&bytes, 0..bytes.len()).unwrap().map(|found| found.unwrap()).collect();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.name, expected.key().as_str().as_bytes());
            assert_eq!(found.kind, expected.element_type() as u8);
        }
        assert!(found.windows(2).all(|pair| pair[0].whole.end == pair[1].whole.start));
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..1000, to in any::<u8>(), cut in 0usize..1000) {
            let mut bytes = every_type();
            let len = bytes.len();
            bytes[at % len] = to;
            bytes.truncate(cut.max(5));
            for range in [0..bytes.len(), 0..len] {
                let Ok(elements) = Elements::new(&bytes, range) else { continue };
                for element in elements.flatten() {
                    prop_assert!(bytes.get(element.whole).is_some() && bytes.get(element.value).is_some());
                }
            }
        }
    }
}
