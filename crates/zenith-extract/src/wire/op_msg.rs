//! OP_MSG: flags and sections, one of which is the command or its reply.
//!
//! <https://github.com/mongodb/specifications/blob/master/source/message/OP_MSG.md>

use std::ops::Range;

use super::header::MessageError;

/// A checksum follows the sections. This client does not ask for one, but it may come.
const CHECKSUM_PRESENT: u32 = 1;
/// Flags in the lower half must be understood, those in the upper half may be ignored.
const REQUIRED: u32 = 0xFFFF;

const NO_FLAGS: u32 = 0;
const BODY: u8 = 0;
const DOCUMENT_SEQUENCE: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// What a received message says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OpMsg {
    /// Where in the payload the reply's document is.
    pub(crate) body: Range<usize>,
}

impl OpMsg {
    /// The payload of a request.
    pub(crate) fn request(body: &[u8]) -> Vec<u8> {
        let mut payload = Vec::with_capacity(5 + body.len());
        payload.extend_from_slice(&NO_FLAGS.to_le_bytes());
        payload.push(BODY);
        payload.extend_from_slice(body);
        payload
    }

    /// Reads the payload of a reply: what follows the header. The body's own contents are not read.
    pub(crate) fn parse(payload: &[u8]) -> Result<OpMsg, MessageError> {
        let flags = u32::from_le_bytes(*payload.first_chunk::<4>().ok_or(MessageError::Truncated)?);
        if flags & REQUIRED & !CHECKSUM_PRESENT != 0 {
            return Err(MessageError::Flags(flags));
        }
        let checksum = if flags & CHECKSUM_PRESENT != 0 { CHECKSUM_BYTES } else { 0 };
        let end = payload.len().checked_sub(checksum).ok_or(MessageError::Truncated)?;
        let mut at = 4;
        let mut bodies = Vec::with_capacity(1);
        while at < end {
            let kind = payload[at];
            at += 1;
            let section = section(payload.get(at..end).ok_or(MessageError::Truncated)?)?;
            match kind {
                BODY => bodies.push(at..at + section),
                DOCUMENT_SEQUENCE => {}
                other => return Err(MessageError::Section(other)),
            }
            at += section;
        }
        match <[Range<usize>; 1]>::try_from(bodies) {
            Ok([body]) => Ok(OpMsg { body }),
            Err(bodies) => Err(MessageError::Bodies(bodies.len())),
        }
    }
}

/// The size of a section, which either kind begins with.
fn section(bytes: &[u8]) -> Result<usize, MessageError> {
    let size = i32::from_le_bytes(*bytes.first_chunk::<4>().ok_or(MessageError::Truncated)?);
    match usize::try_from(size) {
        Ok(len) if len < 5 => Err(MessageError::Length(size)),
        Ok(len) if len <= bytes.len() => Ok(len),
        Ok(_) => Err(MessageError::Truncated),
        Err(_) => Err(MessageError::Length(size)),
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;
    use proptest::prelude::*;

    use super::*;

    fn message(flags: u32, sections: &[&[u8]]) -> Vec<u8> {
        let mut payload = flags.to_le_bytes().to_vec();
        payload.extend(sections.concat());
        payload
    }

    #[test]
    fn a_request_is_read_back() {
        let body = rawdoc! { "ping": 1 };
        let payload = OpMsg::request(body.as_bytes());
        let read = OpMsg::parse(&payload).unwrap();
        assert_eq!(&payload[read.body], body.as_bytes());
    }

    #[test]
    fn sections_and_checksums_are_stepped_over() {
        let body = [&[0][..], rawdoc! { "ok": 1 }.as_bytes()].concat();
        let sequence = [1, 12, 0, 0, 0, b'd', b'o', b'c', 0, 0, 0, 0, 0];
        let read = OpMsg::parse(&message(0, &[&sequence, &body])).unwrap();
        assert_eq!(read.body.len(), body.len() - 1);
        assert_eq!(OpMsg::parse(&message(CHECKSUM_PRESENT, &[&body, &[1, 2, 3, 4]])).unwrap().body.start, 5);
    }

    #[test]
    fn says_what_is_wrong() {
        let body = [&[0][..], rawdoc! {}.as_bytes()].concat();
        assert_eq!(OpMsg::parse(&[0, 0]), Err(MessageError::Truncated));
        assert_eq!(OpMsg::parse(&message(4, &[&body])), Err(MessageError::Flags(4)));
        assert_eq!(OpMsg::parse(&message(0, &[])), Err(MessageError::Bodies(0)));
        assert_eq!(OpMsg::parse(&message(0, &[&body, &body])), Err(MessageError::Bodies(2)));
        assert_eq!(OpMsg::parse(&message(0, &[&[2], &body[1..]])), Err(MessageError::Section(2)));
        assert_eq!(OpMsg::parse(&message(0, &[&body[..4]])), Err(MessageError::Truncated));
        assert_eq!(OpMsg::parse(&message(0, &[&[0, 255, 255, 255, 255]])), Err(MessageError::Length(-1)));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(read) = OpMsg::parse(&bytes) {
                prop_assert!(read.body.end <= bytes.len());
            }
        }

        #[test]
        fn damaged_messages_never_panic(at in 0usize..100, to in any::<u8>(), cut in 0usize..100) {
            let mut payload = OpMsg::request(rawdoc! { "ok": 1, "text": "some text" }.as_bytes());
            let len = payload.len();
            payload[at % len] = to;
            payload.truncate(cut);
            let _ = OpMsg::parse(&payload);
        }
    }
}
