//! Where documents lie in a batch, for decoders that look past the end of one into the next.

use std::ops::Range;

use super::Documents;

/// The documents of a batch as ranges of its bytes, in order.
#[derive(Clone, Debug)]
pub struct Ranges<'a> {
    documents: Documents<'a>,
    /// Length of the bytes the ranges are of.
    total: usize,
}

impl<'a> Ranges<'a> {
    pub(super) fn new(documents: Documents<'a>) -> Ranges<'a> {
        Ranges { total: documents.bytes().len(), documents }
    }
}

impl Iterator for Ranges<'_> {
    type Item = Range<usize>;

    #[inline]
    fn next(&mut self) -> Option<Range<usize>> {
        let len = self.documents.next()?.len();
        let end = self.total - self.documents.bytes().len();
        Some(end - len..end)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.documents.size_hint()
    }
}

impl ExactSizeIterator for Ranges<'_> {}

#[cfg(test)]
mod tests {
    use bson::{RawArrayBuf, rawdoc};

    use super::super::array::{Documents, Framing, array_frame};
    use super::Ranges;

    #[test]
    fn ranges_are_of_the_documents() {
        let mut array = RawArrayBuf::new();
        for i in 0..12 {
            array.push(rawdoc! { "_id": i });
        }
        let frame = array_frame(array.as_bytes()).unwrap();
        let bytes = &array.as_bytes()[frame.elements.clone()];
        let documents = Documents::new(bytes, frame.len, Framing::Array);
        let by_range: Vec<&[u8]> = Ranges::new(documents.clone()).map(|range| &bytes[range]).collect();
        assert_eq!(by_range, documents.collect::<Vec<_>>());
    }
}
