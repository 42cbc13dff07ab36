//! Fields of events and replies: the walk that finds them, and the server's times.

use std::ops::Range;

use bson::Timestamp;
use zenith_bson::{Elements, RawError};

/// The elements of the document that fills a range. It may hold values of the user's, which others check: here only
/// lengths matter.
pub(crate) fn frames(bytes: &[u8], document: Range<usize>) -> Result<Elements<'_>, RawError> {
    Elements::within(bytes, document).map(Elements::lengths_only)
}

/// Seconds are in the upper half, the increment in the lower.
pub(crate) fn timestamp(bits: u64) -> Timestamp {
    let [a, b, c, d, e, f, g, h] = bits.to_be_bytes();
    Timestamp { time: u32::from_be_bytes([a, b, c, d]), increment: u32::from_be_bytes([e, f, g, h]) }
}
