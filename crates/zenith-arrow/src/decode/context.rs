//! What the columns see of the document being decoded, and the ways decoding one can stop.

use zenith_bson::{RawError, cstring_len, tag};

use super::buffers::Arena;
use super::overflow::OverflowWriter;

/// Why the current document was not (wholly) appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowError {
    /// The memory of this batch is used up: seal it and try the document again.
    Full,
    /// The pool has no address range left.
    OutOfMemory,
    /// The key column does not hold the key, which is of the type with this tag, or is not there.
    Key(Option<u8>),
    /// A key occurs twice: the document has to be decoded with care.
    Duplicate,
    /// The bytes are not BSON.
    Malformed(RawError),
    /// The document is unwound into more than there is room for.
    TooManyRows,
}

/// The binary subtype whose data begins with its own length.
const BINARY_OLD: u8 = 0x02;

/// Bytes behind the end of a document or array that the fast path may read past it; their values do not matter.
///
/// With them a key or a short string is read with one load of fixed width, without a check of how much is
/// left. Only what lies this close to the end of a reply takes the slow path.
pub(super) const SLACK: usize = 32;

/// The input and the state of one row.
pub(super) struct Context<'a> {
    /// The input. Documents lie in it one after another, so reading a little past the end of
    /// one of them is harmless and saves checks.
    pub(super) bytes: &'a [u8],
    pub(super) arena: &'a mut Arena,
    /// What the columns do not show.
    pub(super) overflow: &'a mut OverflowWriter,
    /// Check each string separately, to find the document that failed the check of a run.
    pub(super) strict: bool,
    /// Look for keys that are repeated or reserved, at each level.
    pub(super) is_careful: bool,
    /// Neither: keys and values may take the fast path.
    pub(super) is_fast: bool,
    /// Explicit nulls are noted.
    pub(super) keep_nulls: bool,
    /// Keys that no column is for are left out.
    pub(super) ignores: bool,
    /// Text made of a value before it is appended; kept between rows to be reused.
    pub(super) scratch: &'a mut Vec<u8>,
}

impl Context<'_> {
    /// Where `rest`, a part of the input, begins in it.
    #[inline(always)]
    pub(super) fn position(&self, rest: &[u8]) -> usize {
        rest.as_ptr().addr() - self.bytes.as_ptr().addr()
    }

    #[inline(always)]
    pub(super) fn read<const N: usize>(&self, at: usize, limit: usize) -> Result<[u8; N], RowError> {
        if at + N > limit {
            return Err(RowError::Malformed(RawError::Truncated));
        }
        self.bytes
            .get(at..at + N)
            .and_then(|b| b.try_into().ok())
            .ok_or(RowError::Malformed(RawError::Truncated))
    }

    /// The length prefix at `at`; negative lengths are malformed.
    #[inline(always)]
    pub(super) fn length(&self, at: usize, limit: usize) -> Result<usize, RowError> {
        let raw = u32::from_le_bytes(self.read(at, limit)?);
        if raw > i32::MAX.unsigned_abs() {
            return Err(RowError::Malformed(RawError::Truncated));
        }
        usize::try_from(raw).map_err(|_| RowError::Malformed(RawError::Truncated))
    }

    /// Start and length of the string at `at`, without its NUL.
    #[inline(always)]
    pub(super) fn string(&self, at: usize, limit: usize) -> Result<(usize, usize), RowError> {
        let with_nul = self.length(at, limit)?;
        let start = at + 4;
        if with_nul == 0 || start + with_nul > limit || self.bytes.get(start + with_nul - 1) != Some(&0) {
            return Err(RowError::Malformed(RawError::Terminator));
        }
        Ok((start, with_nul - 1))
    }

    /// Where the document or array at `at` ends, its terminating NUL excluded.
    #[inline(always)]
    pub(super) fn document(&self, at: usize, limit: usize) -> Result<usize, RowError> {
        let size = self.length(at, limit)?;
        if size < 5 || at + size > limit {
            return Err(RowError::Malformed(RawError::Truncated));
        }
        let last = at + size - 1;
        if self.bytes.get(last) != Some(&0) {
            return Err(RowError::Malformed(RawError::Terminator));
        }
        Ok(last)
    }

    /// Position after the NUL of the key at `at`.
    #[inline]
    pub(super) fn skip_key(&self, at: usize, limit: usize) -> Result<usize, RowError> {
        let key = self.bytes.get(at..limit).ok_or(RowError::Malformed(RawError::Truncated))?;
        let len = cstring_len(key).ok_or(RowError::Malformed(RawError::Terminator))?;
        Ok(at + len + 1)
    }

    /// Position after the value of type `tag` at `at`, checked as far as skipping needs it.
    pub(super) fn skip_value(&self, tag: u8, at: usize, limit: usize) -> Result<usize, RowError> {
        let fixed = |n: usize| {
            if at + n > limit { Err(RowError::Malformed(RawError::Truncated)) } else { Ok(at + n) }
        };
        match tag {
            tag::DOUBLE | tag::DATE | tag::TIMESTAMP | tag::INT64 => fixed(8),
            tag::STRING | tag::CODE | tag::SYMBOL => {
                self.string(at, limit).map(|(start, len)| start + len + 1)
            }
            tag::DOCUMENT | tag::ARRAY => self.document(at, limit).map(|last| last + 1),
            tag::BINARY => {
                let next = fixed(5 + self.length(at, limit)?)?;
                self.binary_data(at, next)?;
                Ok(next)
            }
            tag::UNDEFINED | tag::NULL | tag::MIN_KEY | tag::MAX_KEY => Ok(at),
            tag::OBJECT_ID => fixed(12),
            tag::BOOLEAN => match self.read::<1>(at, limit)? {
                [0 | 1] => Ok(at + 1),
                [other] => Err(RowError::Malformed(RawError::Boolean(other))),
            },
            tag::REGEX => self.skip_key(self.skip_key(at, limit)?, limit),
            tag::DB_POINTER => {
                let (start, len) = self.string(at, limit)?;
                let end = start + len + 13;
                if end > limit { Err(RowError::Malformed(RawError::Truncated)) } else { Ok(end) }
            }
            tag::CODE_WITH_SCOPE => {
                let size = self.length(at, limit)?;
                if size < 14 {
                    return Err(RowError::Malformed(RawError::Truncated));
                }
                let next = fixed(size)?;
                let (start, len) = self.string(at + 4, next)?;
                let scope = start + len + 1;
                if self.document(scope, next)? + 1 == next {
                    Ok(next)
                } else {
                    Err(RowError::Malformed(RawError::Truncated))
                }
            }
            tag::INT32 => fixed(4),
            tag::DECIMAL128 => fixed(16),
            unknown => Err(RowError::Malformed(RawError::UnknownTag(unknown))),
        }
    }

    /// Where the data of the binary value at `at..next` begins; subtype 2 repeats its length inside.
    pub(super) fn binary_data(&self, at: usize, next: usize) -> Result<usize, RowError> {
        if self.bytes[at + 4] != BINARY_OLD {
            return Ok(at + 5);
        }
        let inner = self.length(at + 5, next)?;
        if at + 9 + inner == next { Ok(at + 9) } else { Err(RowError::Malformed(RawError::Truncated)) }
    }
}

/// Gives the parts of the document or array at the front of `value`, and [`SLACK`] bytes behind them, to `append`; what
/// follows, if its frame is as it should be.
#[inline(always)]
pub(super) fn parts(
    value: &[u8],
    append: impl FnOnce(&[u8]) -> Result<(), RowError>,
) -> Result<Option<&[u8]>, RowError> {
    let Some((prefix, rest)) = value.split_first_chunk() else { return Ok(None) };
    let size = u32::from_le_bytes(*prefix) as usize;
    // The prefix and the NUL are counted.
    let Some(len) = size.checked_sub(5) else { return Ok(None) };
    let Some(parts) = rest.get(..len + SLACK) else { return Ok(None) };
    if parts[len] != 0 {
        return Ok(None);
    }
    append(parts)?;
    Ok(value.get(size..))
}
