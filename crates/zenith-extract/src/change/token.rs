//! Places in a change stream, as the server writes them.
//!
//! A token is a document whose `_data` is a key string in upper-case hexadecimal digits: compared byte by byte, tokens
//! are in the order of the stream. It begins with the cluster time; the rest is the server's own.
//! (`src/mongo/db/pipeline/resume_token.h` of MongoDB describes it.)

use std::fmt;
use std::ops::Range;

use bson::{RawDocument, RawDocumentBuf, Timestamp};
use zenith_bson::tag;

use super::fields::frames;
use crate::ExtractError;

/// The type byte of a timestamp in a key string.
const TIMESTAMP: u8 = 0x82;

/// A place in a change stream: after an event, or between events that concern the stream.
#[derive(Clone, PartialEq)]
pub struct ResumeToken {
    document: RawDocumentBuf,
    /// Where the text of `_data` lies.
    data: Range<usize>,
}

impl ResumeToken {
    /// Takes the document the server sent.
    ///
    /// # Errors
    /// [`ExtractError::InvalidResumeToken`] unless it has a string `_data`.
    pub fn new(document: RawDocumentBuf) -> Result<ResumeToken, ExtractError> {
        match data_within(document.as_bytes(), 0..document.as_bytes().len()) {
            Some(data) => Ok(ResumeToken { document, data }),
            None => Err(invalid("it has no _data")),
        }
    }

    /// Encodes the token for [`ResumeToken::decode`]: the BSON the server sent.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.document.as_bytes().to_vec()
    }

    /// Reads what [`ResumeToken::encode`] wrote.
    ///
    /// # Errors
    /// [`ExtractError::InvalidResumeToken`] for any other bytes.
    pub fn decode(bytes: &[u8]) -> Result<ResumeToken, ExtractError> {
        let document =
            RawDocumentBuf::from_bytes(bytes.to_vec()).map_err(|error| invalid(&error.to_string()))?;
        ResumeToken::new(document)
    }

    /// The text of `_data`: of two tokens, the one with the larger bytes is later in the stream.
    #[must_use]
    pub fn order(&self) -> &[u8] {
        self.document.as_bytes().get(self.data.clone()).unwrap_or_default()
    }

    /// The cluster time it begins with. A token between events lies one increment ahead of the last event it is after.
    #[must_use]
    pub fn cluster_time(&self) -> Option<Timestamp> {
        cluster_time(self.order())
    }

    pub(crate) fn as_document(&self) -> &RawDocument {
        &self.document
    }
}

impl Eq for ResumeToken {}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResumeToken({})", String::from_utf8_lossy(self.order()))
    }
}

fn invalid(reason: &str) -> ExtractError {
    ExtractError::InvalidResumeToken { reason: reason.to_owned() }
}

/// Where the text of `_data` lies in the token that fills `token` of `bytes`.
pub(super) fn data_within(bytes: &[u8], token: Range<usize>) -> Option<Range<usize>> {
    for element in frames(bytes, token).ok()? {
        let element = element.ok()?;
        if element.key == b"_data" && element.value.tag == tag::STRING {
            // The text stands between its length and its zero byte.
            let (text, place) = (element.value.as_str_bytes()?, element.value_range());
            return Some(place.start + 4..place.start + 4 + text.len());
        }
    }
    None
}

/// The cluster time a key string in hexadecimal digits begins with.
pub(crate) fn cluster_time(data: &[u8]) -> Option<Timestamp> {
    let byte = |at: usize| Some(digit(*data.get(2 * at)?)? << 4 | digit(*data.get(2 * at + 1)?)?);
    if byte(0)? != TIMESTAMP {
        return None;
    }
    let word = |at: usize| Some(u32::from_be_bytes([byte(at)?, byte(at + 1)?, byte(at + 2)?, byte(at + 3)?]));
    Some(Timestamp { time: word(1)?, increment: word(5)? })
}

fn digit(text: u8) -> Option<u8> {
    match text {
        b'0'..=b'9' => Some(text - b'0'),
        b'A'..=b'F' => Some(text - b'A' + 10),
        b'a'..=b'f' => Some(text - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_cluster_time_is_read_and_the_token_comes_back() {
        let document = rawdoc! { "_data": "8263A1B2C300000007292B0429296E04", "_typeBits": 1 };
        let token = ResumeToken::new(document).unwrap();
        assert_eq!(token.cluster_time(), Some(Timestamp { time: 0x63A1_B2C3, increment: 7 }));
        assert_eq!(ResumeToken::decode(&token.encode()).unwrap(), token);
        assert_eq!(format!("{token:?}"), "ResumeToken(8263A1B2C300000007292B0429296E04)");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for bytes in [vec![], vec![5, 0, 0, 0, 0], rawdoc! { "_data": 1 }.into_bytes()] {
            assert!(ResumeToken::decode(&bytes).is_err());
        }
        for data in ["", "82", "8263A1B2C30000000", "8363A1B2C300000007", "82xxA1B2C300000007"] {
            assert_eq!(ResumeToken::new(rawdoc! { "_data": data }).unwrap().cluster_time(), None, "{data}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = ResumeToken::decode(&bytes);
            let _ = cluster_time(&bytes);
        }
    }
}
