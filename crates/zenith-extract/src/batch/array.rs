//! Walking a BSON array of documents in place: no allocation, no unchecked index.

use std::ops::Range;

use zenith_bson::{RawError, cstring_len, tag};

/// How many documents ahead memory is asked for.
const AHEAD: usize = 4;

/// What is wrong with the framing of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FramingError {
    #[error("it ends in the middle of a document")]
    Truncated,
    #[error("a document says it is {0} bytes long")]
    Length(i32),
    #[error("an element of type {0:#04x} stands where a document should")]
    NotADocument(u8),
    #[error("a document does not end where it says")]
    Terminator,
    #[error("{0} bytes are too many for an array")]
    TooLarge(usize),
}

/// Where the documents of an array are, relative to the array's first byte.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ArrayFrame {
    /// Between the length field and the terminator.
    pub(crate) elements: Range<usize>,
    /// How many documents.
    pub(crate) len: usize,
    /// Their sizes together.
    pub(crate) byte_len: usize,
    /// Where the last one begins; the end of the elements if there is none.
    pub(crate) last: usize,
}

/// Checks that `array` is a BSON array of whole documents, back to back, and finds its measures.
pub(crate) fn array_frame(array: &[u8]) -> Result<ArrayFrame, FramingError> {
    let len = document_len(array)?;
    let elements = 4..len - 1;
    let inside = array.get(elements.clone()).ok_or(FramingError::Truncated)?;
    let mut frame = ArrayFrame { last: elements.end, elements, len: 0, byte_len: 0 };
    let mut rest = inside;
    while !rest.is_empty() {
        let (document, after) = split_element(rest)?;
        frame.last = 4 + (inside.len() - after.len() - document.len());
        frame.len += 1;
        frame.byte_len += document.len();
        rest = after;
        // Where each document begins is known only from the one before, so each would be waited for. If the next ones are
        // about as long, their first bytes are on their way from memory by then.
        std::hint::black_box(rest.get(document.len() * AHEAD).copied());
    }
    Ok(frame)
}

impl From<RawError> for FramingError {
    fn from(error: RawError) -> FramingError {
        match error {
            RawError::Truncated => FramingError::Truncated,
            RawError::Length(length) => FramingError::Length(length),
            _ => FramingError::Terminator,
        }
    }
}

/// The length of the document at the start of `bytes`, if all of it is there.
#[inline]
pub(crate) fn document_len(bytes: &[u8]) -> Result<usize, FramingError> {
    Ok(zenith_bson::document_len(bytes)?)
}

/// Splits the first element into its document and what follows it.
#[inline]
fn split_element(bytes: &[u8]) -> Result<(&[u8], &[u8]), FramingError> {
    let (&kind, rest) = bytes.split_first().ok_or(FramingError::Truncated)?;
    if kind != tag::DOCUMENT {
        return Err(FramingError::NotADocument(kind));
    }
    let name_end = cstring_len(rest).ok_or(FramingError::Truncated)?;
    let value = &rest[name_end + 1..];
    Ok(value.split_at(document_len(value)?))
}

/// What stands between the documents of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Type and name of an element of an array before each of them.
    Array,
    /// Nothing.
    BackToBack,
}

/// The documents of a batch, in order.
#[derive(Clone, Debug)]
pub struct Documents<'a> {
    rest: &'a [u8],
    left: usize,
    framing: Framing,
}

impl<'a> Documents<'a> {
    pub(crate) fn new(bytes: &'a [u8], left: usize, framing: Framing) -> Documents<'a> {
        Documents { rest: bytes, left, framing }
    }

    /// The bytes not read yet.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Documents<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        // The framing was checked when the batch was made, so an error here means the end.
        let split = match self.framing {
            Framing::Array => split_element(self.rest),
            Framing::BackToBack => document_len(self.rest).map(|len| self.rest.split_at(len)),
        };
        let (document, rest) = split.ok()?;
        self.rest = rest;
        self.left -= 1;
        Some(document)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Documents<'_> {}

/// A BSON array of these documents.
pub(crate) fn array_of<'a>(documents: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, FramingError> {
    let mut bytes = vec![0; 4];
    for (index, document) in documents.into_iter().enumerate() {
        append_document(&mut bytes, index, document);
    }
    bytes.push(0);
    let size = i32::try_from(bytes.len()).map_err(|_| FramingError::TooLarge(bytes.len()))?;
    bytes[..4].copy_from_slice(&size.to_le_bytes());
    Ok(bytes)
}

/// Appends a document as element `index` of an array that is being made.
fn append_document(elements: &mut Vec<u8>, index: usize, document: &[u8]) {
    elements.push(tag::DOCUMENT);
    elements.extend_from_slice(index.to_string().as_bytes());
    elements.push(0);
    elements.extend_from_slice(document);
}

#[cfg(test)]
mod tests {
    use bson::{RawArrayBuf, rawdoc};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_what_the_server_would_send() {
        let mut array = RawArrayBuf::new();
        for i in 0..12 {
            array.push(rawdoc! { "_id": i, "text": "x".repeat(usize::try_from(i).unwrap()) });
        }
        let bytes = array.as_bytes();
        let frame = array_frame(bytes).unwrap();
        assert_eq!(frame.len, 12);
        let documents: Vec<_> =
            Documents::new(&bytes[frame.elements.clone()], frame.len, Framing::Array).collect();
        assert_eq!(documents.len(), 12);
        assert_eq!(documents.iter().map(|d| d.len()).sum::<usize>(), frame.byte_len);
        assert_eq!(&bytes[frame.last..frame.elements.end], documents[11]);
        assert_eq!(array_frame(&[5, 0, 0, 0, 0]).unwrap().len, 0);
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(array_frame(&[]), Err(FramingError::Truncated));
        assert_eq!(array_frame(&[4, 0, 0, 0]), Err(FramingError::Length(4)));
        assert_eq!(array_frame(&[255; 8]), Err(FramingError::Length(-1)));
        assert_eq!(array_frame(&[6, 0, 0, 0, 16, 0]), Err(FramingError::NotADocument(16)));
        assert_eq!(array_frame(&[5, 0, 0, 0, 1]), Err(FramingError::Terminator));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = array_frame(&bytes);
        }

        /// Damage to a good array is either harmless to the framing or found; never a panic, never a wrong count.
        #[test]
        fn damage_is_found_or_harmless(at in 0usize..400, to in any::<u8>()) {
            let mut array = RawArrayBuf::new();
            for i in 0..10 {
                array.push(rawdoc! { "_id": i, "text": "some text" });
            }
            let mut bytes = array.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = to;
            if let Ok(frame) = array_frame(&bytes) {
                let count = Documents::new(&bytes[frame.elements.clone()], frame.len, Framing::Array).count();
                prop_assert_eq!(count, frame.len);
            }
        }
    }
}
