//! The header of every message: 16 bytes, little-endian.

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 16;
/// Message with sections, the only kind spoken here.
pub(crate) const OP_MSG: i32 = 2013;
/// A message of another kind, compressed.
pub(crate) const OP_COMPRESSED: i32 = 2012;

/// A header whose length has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Bytes that follow the header.
    pub(crate) payload_bytes: usize,
    /// The sender's number for this message.
    pub(crate) request_id: i32,
    /// The number of the message it answers.
    pub(crate) response_to: i32,
    /// What kind of message it is.
    pub(crate) op_code: i32,
}

/// Why bytes are not a message that can be taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageError {
    #[error("a message says it is {0} bytes long")]
    Length(i32),
    #[error("a message of kind {0} where a reply should be")]
    OpCode(i32),
    #[error("the message ends too early")]
    Truncated,
    #[error("unknown flags {0:#x} that must not be ignored")]
    Flags(u32),
    #[error("a section of unknown kind {0}")]
    Section(u8),
    #[error("{0} documents where one reply should be")]
    Bodies(usize),
    #[error("it answers message {found}, not {expected}")]
    ResponseTo { found: i32, expected: i32 },
    #[error("it is compressed by {0}, which was not agreed on")]
    Compressor(u8),
    #[error("it cannot be decompressed: {0}")]
    Decompression(String),
}

impl Header {
    /// Reads a header; a length below the header's own or above `message_bytes_max` is refused.
    pub(crate) fn parse(
        bytes: &[u8; HEADER_BYTES],
        message_bytes_max: usize,
    ) -> Result<Header, MessageError> {
        let field = |at: usize| i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let length = field(0);
        let payload_bytes = usize::try_from(length)
            .ok()
            .filter(|&length| length <= message_bytes_max)
            .and_then(|length| length.checked_sub(HEADER_BYTES))
            .ok_or(MessageError::Length(length))?;
        Ok(Header { payload_bytes, request_id: field(4), response_to: field(8), op_code: field(12) })
    }

    /// Puts a header before `payload`.
    pub(crate) fn frame(request_id: i32, op_code: i32, payload: &[u8]) -> Result<Vec<u8>, MessageError> {
        let length =
            i32::try_from(HEADER_BYTES + payload.len()).map_err(|_| MessageError::Length(i32::MAX))?;
        let mut message = Vec::with_capacity(HEADER_BYTES + payload.len());
        for field in [length, request_id, 0, op_code] {
            message.extend_from_slice(&field.to_le_bytes());
        }
        message.extend_from_slice(payload);
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_back_and_wrong_lengths_refused() {
        let message = Header::frame(7, OP_MSG, b"payload").unwrap();
        let bytes: [u8; 16] = message[..16].try_into().unwrap();
        let header = Header::parse(&bytes, 100).unwrap();
        assert_eq!(header, Header { payload_bytes: 7, request_id: 7, response_to: 0, op_code: OP_MSG });
        assert_eq!(Header::parse(&bytes, 22), Err(MessageError::Length(23)));
        assert_eq!(Header::parse(&[0; 16], 100), Err(MessageError::Length(0)));
        assert_eq!(Header::parse(&[255; 16], 100), Err(MessageError::Length(-1)));
    }
}
