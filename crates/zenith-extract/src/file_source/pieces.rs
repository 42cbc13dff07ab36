//! Whole documents out of a stream of bytes, a buffer at a time; and what is wrong where there is none.

use std::io::{ErrorKind, Read};

use super::input::{DataFile, unreadable};
use super::parts::Span;
use crate::ExtractError;
use crate::batch::{FramingError, SequenceFrame, sequence_frame};

/// The largest document MongoDB has: 16 MiB of a user's, and 16 KiB around it (`BSONObjMaxInternalSize`).
const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024 + 16 * 1024;
/// The length field and the type of the first element.
const HEAD_BYTES: usize = 5;

/// What a buffer was filled with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// Whole documents, at its start.
    Documents(SequenceFrame),
    /// Nothing: the next document has so many bytes.
    Larger(usize),
    /// Nothing: there are no more documents.
    End,
}

/// The documents of a part of a file.
pub(super) struct Pieces {
    file: DataFile,
    input: Box<dyn Read + Send>,
    /// The beginning of a document of which the last buffer did not hold the rest.
    begun: Vec<u8>,
    /// Where the first document begins that has not been given out.
    offset: u64,
    /// Documents given out.
    documents: u64,
}

impl Pieces {
    /// Begins to read.
    pub(super) fn open(file: DataFile, span: Span) -> Result<Pieces, ExtractError> {
        let input = file.read(span)?;
        Ok(Pieces { file, input, begun: Vec::new(), offset: span.start, documents: 0 })
    }

    /// Where the first document begins that has not been given out.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads into `buffer`, until it is full or there is no more.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<Filled, ExtractError> {
        let Some(place) = buffer.get_mut(..self.begun.len()) else {
            return Ok(Filled::Larger(self.begun.len()));
        };
        place.copy_from_slice(&self.begun);
        let mut filled = self.begun.len();
        self.begun.clear();
        let mut is_end = false;
        while filled < buffer.len() {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) => {
                    is_end = true;
                    break;
                }
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.cannot_read(error, &buffer[..filled])),
            }
        }
        let bytes = &buffer[..filled];
        let (frame, rest) = sequence_frame(bytes);
        if frame.len > 0 {
            self.begun.extend_from_slice(&bytes[frame.byte_len..]);
            self.offset += to_u64(frame.byte_len);
            self.documents += to_u64(frame.len);
            return Ok(Filled::Documents(frame));
        }
        match rest {
            None => Ok(Filled::End),
            Some(FramingError::Truncated) => match declared(bytes) {
                Some(len) if len > DOCUMENT_BYTES_MAX => Err(self.damaged(&says(len), bytes)),
                len if is_end => Err(self.cut_off(len, bytes)),
                len => {
                    self.begun.extend_from_slice(bytes);
                    Ok(Filled::Larger(len.unwrap_or(HEAD_BYTES)))
                }
            },
            Some(FramingError::Length(len)) => Err(self.damaged(&says(len), bytes)),
            Some(_) => Err(self.damaged("does not end where it says", bytes)),
        }
    }

    /// The file ends within a document, of which `bytes` are there.
    fn cut_off(&self, len: Option<usize>, bytes: &[u8]) -> ExtractError {
        if self.offset == 0 && !begins_like_a_document(bytes) {
            return self.not_bson("its first element is of no type there is", bytes);
        }
        let (there, name) = (bytes.len(), self.file.name());
        let there = len.map_or_else(|| format!("{there} bytes"), |len| format!("{there} of {len} bytes"));
        self.dump(format!(
            "is cut off: only {there} are there of the document that begins at byte {}, after {} whole documents; \
             dump the collection again{}",
            self.offset,
            self.documents,
            match self.file.is_compressed {
                true => String::new(),
                false => format!(", or keep the whole ones by truncate -s {} {name}", self.offset),
            }
        ))
    }

    /// There is no document where one should begin. `what` continues "the document that begins here …".
    fn damaged(&self, what: &str, bytes: &[u8]) -> ExtractError {
        if self.offset == 0 {
            return self.not_bson(&format!("its first document {what}"), bytes);
        }
        self.dump(format!(
            "is damaged: the document that begins at byte {} {what}, after {} whole documents; dump the collection again",
            self.offset, self.documents
        ))
    }

    fn not_bson(&self, why: &str, bytes: &[u8]) -> ExtractError {
        let advice = match bytes {
            [0x1F, 0x8B, ..] => "it looks compressed by gzip, and then its name has to end in .bson.gz",
            [b'{' | b'[', ..] => "it looks like JSON, and only what mongodump writes can be read",
            _ => "name a file that mongodump has written",
        };
        self.dump(format!("holds no BSON documents, as {why}; {advice}"))
    }

    fn cannot_read(&self, error: std::io::Error, bytes: &[u8]) -> ExtractError {
        let is_gzip = matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput
        );
        if !self.file.is_compressed || !is_gzip {
            return unreadable(&self.file.path)(error);
        }
        let (frame, _) = sequence_frame(bytes);
        let (documents, offset) = (self.documents + to_u64(frame.len), self.offset + to_u64(bytes.len()));
        if offset == 0 && error.kind() != ErrorKind::UnexpectedEof {
            return self.dump(format!(
                "is not compressed by gzip ({error}); give it a name that ends in .bson if it is plain BSON"
            ));
        }
        let what = match error.kind() {
            ErrorKind::UnexpectedEof => "is cut off: its compressed data end".to_owned(),
            _ => format!("is damaged ({error}): it can be unpacked"),
        };
        self.dump(format!(
            "{what} after {offset} bytes of BSON and {documents} whole documents; dump the collection again"
        ))
    }

    fn dump(&self, reason: String) -> ExtractError {
        ExtractError::Dump { path: self.file.name(), reason }
    }
}

/// The length that a document says it has.
fn declared(bytes: &[u8]) -> Option<usize> {
    usize::try_from(i32::from_le_bytes(*bytes.first_chunk::<4>()?)).ok()
}

fn says(len: impl std::fmt::Display) -> String {
    format!("says it is {len} bytes long")
}

/// Whether the type of the first element is one that there is.
fn begins_like_a_document(bytes: &[u8]) -> bool {
    let kind = bytes.get(HEAD_BYTES - 1).copied();
    kind.is_none_or(zenith_bson::tag::is_known)
}

pub(super) fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use bson::{RawDocumentBuf, rawdoc};
    use proptest::prelude::*;

    use super::*;

    /// Gives few bytes at a time.
    struct Slowly {
        bytes: io::Cursor<Vec<u8>>,
        most: usize,
    }

    impl Read for Slowly {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = self.most.min(buffer.len());
            self.bytes.read(&mut buffer[..most])
        }
    }

    /// Reads to the end, with buffers of `size` where those are enough.
    fn read(bytes: Vec<u8>, size: usize, most: usize) -> (Vec<Vec<u8>>, Result<(), ExtractError>) {
        let input = Box::new(Slowly { bytes: io::Cursor::new(bytes), most });
        let file = DataFile::new(Path::new("orders.bson"));
        let mut pieces = Pieces { file, input, begun: Vec::new(), offset: 0, documents: 0 };
        let (mut found, mut needed) = (Vec::new(), 0);
        loop {
            let mut buffer = vec![0; size.max(needed)];
            match pieces.fill(&mut buffer) {
                Ok(Filled::Documents(frame)) => {
                    needed = 0;
                    found.extend(frame.documents(&buffer).map(<[u8]>::to_vec));
                }
                Ok(Filled::Larger(bytes)) => {
                    assert!(bytes > buffer.len(), "{bytes} of {}", buffer.len());
                    needed = bytes;
                }
                Ok(Filled::End) => return (found, Ok(())),
                Err(error) => return (found, Err(error)),
            }
        }
    }

    fn documents(sizes: &[usize]) -> Vec<RawDocumentBuf> {
        let document = |(id, size): (i32, &usize)| rawdoc! { "_id": id, "text": "x".repeat(*size) };
        (0..).zip(sizes).map(document).collect()
    }

    proptest! {
        #[test]
        fn documents_come_whole_however_they_are_read_and_wherever_they_end(
            sizes in prop::collection::vec(0usize..3_000, 0..40),
            size in 8usize..5_000,
            most in 1usize..4_000,
            cut in any::<prop::sample::Index>(),
        ) {
            let expected: Vec<Vec<u8>> =
                documents(&sizes).into_iter().map(RawDocumentBuf::into_bytes).collect();
            let mut bytes = expected.concat();
            let (found, end) = read(bytes.clone(), size, most);
            prop_assert!(end.is_ok(), "{end:?}");
            prop_assert_eq!(&found, &expected);

            bytes.truncate(cut.index(bytes.len() + 1));
            let left = bytes.len();
            let (found, end) = read(bytes, size, most);
            let whole: usize = found.iter().map(Vec::len).sum();
            prop_assert_eq!(&found[..], &expected[..found.len()]);
            prop_assert_eq!(end.is_ok(), whole == left);
            if let Err(error) = end {
                let said = error.to_string();
                let place = format!("begins at byte {whole}, after {} whole documents", found.len());
                prop_assert!(said.contains("is cut off") && said.contains(&place), "{}", said);
            }
        }

        #[test]
        fn arbitrary_bytes_end_in_documents_or_a_sentence(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            size in 8usize..100,
        ) {
            let (found, end) = read(bytes.clone(), size, 7);
            prop_assert!(end.is_err() || found.concat() == bytes);
        }
    }
}
