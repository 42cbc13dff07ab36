//! Where documents and names end, and the front of some bytes as what it is.

use super::RawError;

/// The length prefix and the terminator.
const DOCUMENT_BYTES_MIN: usize = 5;

/// The length of the document at the start of `bytes`, if all of it is there; its contents are not checked.
///
/// # Errors
///
/// [`RawError::Length`] for a length that no document has, [`RawError::Truncated`] when `bytes` are shorter,
/// [`RawError::Terminator`] when the last byte is not zero.
#[inline]
pub fn document_len(bytes: &[u8]) -> Result<usize, RawError> {
    let (length, _) = split_i32(bytes)?;
    let len = usize::try_from(length).map_err(|_| RawError::Length(length))?;
    if len < DOCUMENT_BYTES_MIN {
        return Err(RawError::Length(length));
    }
    match bytes.get(len - 1) {
        Some(0) => Ok(len),
        Some(_) => Err(RawError::Terminator),
        None => Err(RawError::Truncated),
    }
}

/// Where the first zero byte is: the end of a name.
///
/// Names are short, so eight bytes at a time nearly always hold it.
#[inline]
#[must_use]
pub fn cstring_len(bytes: &[u8]) -> Option<usize> {
    short_cstring_len(bytes).or_else(|| bytes.iter().position(|&byte| byte == 0))
}

/// As [`cstring_len`], if it is among the first eight bytes and there are so many.
///
/// They are searched at once, as in "Bit Twiddling Hacks", "Determine if a word has a zero byte".
#[inline]
pub(super) fn short_cstring_len(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(*bytes.first_chunk()?);
    let zeros = word.wrapping_sub(ONES) & !word & HIGHS;
    if zeros == 0 { None } else { usize::try_from(zeros.trailing_zeros() / 8).ok() }
}

pub(super) fn split_i32(bytes: &[u8]) -> Result<(i32, &[u8]), RawError> {
    let (head, rest) = bytes.split_first_chunk::<4>().ok_or(RawError::Truncated)?;
    Ok((i32::from_le_bytes(*head), rest))
}

pub(super) fn split_cstring(bytes: &[u8]) -> Result<(&[u8], &[u8]), RawError> {
    let end = cstring_len(bytes).ok_or(RawError::Terminator)?;
    let (text, rest) = bytes.split_at_checked(end).ok_or(RawError::Terminator)?;
    Ok((text, rest.get(1..).unwrap_or_default()))
}
