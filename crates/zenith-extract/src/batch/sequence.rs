//! Documents back to back, with nothing between them: how a dump holds them.

use super::array::{Documents, Framing, FramingError, document_len};

/// Where the whole documents at the start of some bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SequenceFrame {
    /// How many documents.
    pub(crate) len: usize,
    /// Their sizes together, which is where the last one ends.
    pub(crate) byte_len: usize,
    /// Where the last one begins.
    pub(crate) last: usize,
}

impl SequenceFrame {
    /// The documents, out of the bytes that the frame is of.
    pub(crate) fn documents<'a>(&self, bytes: &'a [u8]) -> Documents<'a> {
        Documents::new(bytes.get(..self.byte_len).unwrap_or_default(), self.len, Framing::BackToBack)
    }
}

/// Finds the whole documents that `bytes` begin with, and what is wrong with the bytes after them, if there are any.
pub(crate) fn sequence_frame(bytes: &[u8]) -> (SequenceFrame, Option<FramingError>) {
    let mut frame = SequenceFrame::default();
    loop {
        let rest = bytes.get(frame.byte_len..).unwrap_or_default();
        if rest.is_empty() {
            return (frame, None);
        }
        match document_len(rest) {
            Ok(len) => {
                frame.last = frame.byte_len;
                frame.byte_len += len;
                frame.len += 1;
            }
            Err(error) => return (frame, Some(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_documents_are_found_and_the_rest_is_judged() {
        let documents = [rawdoc! { "_id": 1 }, rawdoc! {}, rawdoc! { "text": "abc" }];
        let bytes: Vec<u8> = documents.iter().flat_map(|document| document.as_bytes().to_vec()).collect();
        let (frame, rest) = sequence_frame(&bytes);
        assert_eq!((frame.len, frame.byte_len, rest), (3, bytes.len(), None));
        assert_eq!(&bytes[frame.last..], documents[2].as_bytes());
        let found: Vec<&[u8]> = frame.documents(&bytes).collect();
        assert_eq!(found, documents.iter().map(|document| document.as_bytes()).collect::<Vec<_>>());
        for cut in 1..documents[2].as_bytes().len() {
            let (frame, rest) = sequence_frame(&bytes[..bytes.len() - cut]);
            assert_eq!((frame.len, rest), (2, Some(FramingError::Truncated)), "without the last {cut} bytes");
        }
        assert_eq!(sequence_frame(&[]), (SequenceFrame::default(), None));
        assert_eq!(sequence_frame(&[4, 0, 0, 0, 0]).1, Some(FramingError::Length(4)));
        assert_eq!(sequence_frame(&[5, 0, 0, 0, 1]).1, Some(FramingError::Terminator));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(0u8..8, 0..200)) {
            let (frame, _) = sequence_frame(&bytes);
            prop_assert_eq!(frame.documents(&bytes).count(), frame.len);
        }
    }
}
