//! One document for each element of an array.
//!
//! ```text
//! {_id: 7, customer: "x", items: [{sku: 1}, {sku: 2}]}
//!   ──▶ {_id: 7, customer: "x", items: {sku: 1}, items_index: 1}
//!   ──▶ {_id: 7, customer: "x", items: {sku: 2}, items_index: 2}
//! ```
//!
//! - Elements are counted from 1, as ClickHouse counts them. A document without any, as the array is missing, null or empty, or
//!   is no array, is one document of the index 0. It keeps what it has in the place of the array, and nothing of an empty one.
//! - The path leads through documents; arrays of documents on its way have no array to be found in.
//! - Of keys that come twice the last one counts, as in columns. The index comes last, so that a field of its name is an
//!   earlier value of a repeated key.

use std::ops::Range;

use zenith_bson::{DEPTH_MAX, Element, Elements, RawError, RawValue, tag};

use super::PathError;
use super::path::{Part, Path};

/// The most bytes of all documents that one is made into.
pub(crate) const ALL_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What an index takes beside its name: a tag, a zero byte and eight bytes.
const INDEX_BYTES: usize = 10;

/// Makes a document into one for each element of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwind {
    /// The keys that lead to the array.
    pub(super) path: Vec<Box<[u8]>>,
    /// The name of the field with the number of the element.
    pub(super) index: Box<[u8]>,
}

/// What is at the path, if anything is.
struct Found<'d> {
    /// Where the documents begin that it is in.
    documents: Vec<usize>,
    element: Element<'d>,
}

/// How large the documents are that one is made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) documents: usize,
    pub(crate) bytes: usize,
}

impl Unwind {
    /// That of the array at a dotted path.
    ///
    /// # Errors
    /// [`PathError`] for a path that cannot be used.
    pub fn new(path: &str) -> Result<Unwind, PathError> {
        let error = |reason| PathError { path: path.to_owned(), reason };
        let parts = Path::parse(path).map_err(error)?.parts.into_iter().map(|part| match part {
            Part::Name(name) => Ok(name),
            Part::Any => {
                Err(error("has a *, and one array is unwound: write its path out, as in order.items"))
            }
        });
        Ok(Unwind { path: parts.collect::<Result<_, _>>()?, index: Self::index_of(path).into_bytes().into() })
    }

    /// The name of the field with the number of the element, for an array at a dotted path.
    #[must_use]
    pub fn index_of(path: &str) -> String {
        let name = path.rsplit('.').next().unwrap_or_default();
        format!("{name}_index")
    }

    /// The key of the top level that the path begins with.
    #[must_use]
    pub fn first_key(&self) -> &[u8] {
        self.path.first().map_or(&[], |key| key)
    }

    /// The documents that one is made into, each in memory of its own.
    ///
    /// # Errors
    /// [`RawError`] for a document that is not valid BSON where that had to be known.
    pub fn applied(&self, document: &[u8]) -> Result<Vec<Vec<u8>>, RawError> {
        let mut all = Vec::new();
        self.each(document, |whole| {
            all.push(whole.clone());
            Ok::<(), RawError>(())
        })?;
        Ok(all)
    }

    /// Whether a document has an array at the path.
    #[must_use]
    pub fn finds_array(&self, document: &[u8]) -> bool {
        self.find(document)
            .is_ok_and(|found| found.is_some_and(|found| found.element.value.tag == tag::ARRAY))
    }

    /// The type of what a document has at the path, if that is another value than an array or null.
    #[must_use]
    pub fn finds_other(&self, document: &[u8]) -> Option<&'static str> {
        let value = self.find(document).ok()??.element.value;
        (!matches!(value.tag, tag::ARRAY | tag::NULL)).then(|| tag::name(value.tag))
    }

    /// Hands over one document after the other, at least one.
    pub(crate) fn each<E: From<RawError>>(
        &self,
        document: &[u8],
        mut take: impl FnMut(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut whole = Vec::with_capacity(document.len() + self.index.len() + INDEX_BYTES);
        let Some(found) = self.find(document)? else {
            whole.extend_from_slice(document);
            self.end(&mut whole, 0)?;
            return take(&mut whole);
        };
        let array = found.element.value;
        if array.tag != tag::ARRAY {
            self.write(document, &found, Some(array), 0, &mut whole)?;
            return take(&mut whole);
        }
        let mut number = 0;
        for element in Elements::new(array.bytes)? {
            number += 1;
            self.write(document, &found, Some(element?.value), number, &mut whole)?;
            take(&mut whole)?;
        }
        if number == 0 {
            self.write(document, &found, None, 0, &mut whole)?;
            take(&mut whole)?;
        }
        Ok(())
    }

    /// How large the documents will be.
    pub(crate) fn extent(&self, document: &[u8]) -> Result<Extent, RawError> {
        let one = document.len() + self.index.len() + INDEX_BYTES;
        let alone = Extent { documents: 1, bytes: one };
        let Some(array) = self.find(document)?.map(|found| found.element.value) else { return Ok(alone) };
        if array.tag != tag::ARRAY {
            return Ok(alone);
        }
        let rest = one - array.bytes.len();
        let mut extent = Extent { documents: 0, bytes: 0 };
        for element in Elements::new(array.bytes)? {
            extent.documents += 1;
            extent.bytes = extent.bytes.saturating_add(rest + element?.value.bytes.len());
        }
        Ok(if extent.documents == 0 { alone } else { extent })
    }

    fn find<'d>(&self, document: &'d [u8]) -> Result<Option<Found<'d>>, RawError> {
        let Some((last, outer)) = self.path.split_last() else { return Ok(None) };
        let mut documents = vec![0];
        let mut within = 0..document.len();
        for key in outer {
            let found = last_of(document, within, key)?.filter(|found| found.value.tag == tag::DOCUMENT);
            let Some(found) = found else { return Ok(None) };
            if documents.len() >= DEPTH_MAX {
                return Err(RawError::TooDeep);
            }
            within = found.value_range();
            documents.push(within.start);
        }
        Ok(last_of(document, within, last)?.map(|element| Found { documents, element }))
    }

    /// Writes a document with another value in the place of what was found, or with nothing.
    fn write(
        &self,
        document: &[u8],
        found: &Found<'_>,
        value: Option<RawValue<'_>>,
        number: i64,
        out: &mut Vec<u8>,
    ) -> Result<(), RawError> {
        let range = found.element.range();
        out.clear();
        out.extend_from_slice(document.get(..range.start).unwrap_or_default());
        if let Some(value) = value {
            out.push(value.tag);
            out.extend_from_slice(found.element.key);
            out.push(0);
            out.extend_from_slice(value.bytes);
        }
        let end = out.len();
        out.extend_from_slice(document.get(range.end..).unwrap_or_default());
        // All of these documents begin before the value and end behind it.
        for start in &found.documents {
            let prefix = document.get(*start..).and_then(|rest| rest.first_chunk()).copied();
            let before = i64::from(i32::from_le_bytes(prefix.ok_or(RawError::Truncated)?));
            let grown = signed(end)? - signed(range.end)?;
            let length = i32::try_from(before + grown).map_err(|_| RawError::Truncated)?;
            set_length(*start, length, out);
        }
        self.end(out, number)
    }

    /// Appends the index to a document.
    fn end(&self, out: &mut Vec<u8>, number: i64) -> Result<(), RawError> {
        out.pop();
        out.push(tag::INT64);
        out.extend_from_slice(&self.index);
        out.push(0);
        out.extend_from_slice(&number.to_le_bytes());
        out.push(0);
        let length = i32::try_from(out.len()).map_err(|_| RawError::Truncated)?;
        set_length(0, length, out);
        Ok(())
    }
}

/// The last element of a key in the document that fills a range.
fn last_of<'d>(bytes: &'d [u8], within: Range<usize>, key: &[u8]) -> Result<Option<Element<'d>>, RawError> {
    let mut last = None;
    for element in Elements::within(bytes, within)? {
        let element = element?;
        if element.key == key {
            last = Some(element);
        }
    }
    Ok(last)
}

fn signed(length: usize) -> Result<i64, RawError> {
    i64::try_from(length).map_err(|_| RawError::Truncated)
}

fn set_length(start: usize, length: i32, out: &mut [u8]) {
    if let Some(prefix) = out.get_mut(start..).and_then(|document| document.first_chunk_mut()) {
        *prefix = length.to_le_bytes();
    }
}
