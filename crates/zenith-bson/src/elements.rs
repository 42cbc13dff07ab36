//! The iterator over the elements of one document.

use std::ops::Range;

use super::frame::{short_cstring_len, split_cstring, split_i32};
use super::{RawError, RawValue, tag};

/// One key and its value, and where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// The key without its zero byte; not checked to be UTF-8. In an array, the decimal index.
    pub key: &'a [u8],
    /// The value.
    pub value: RawValue<'a>,
    /// Where its tag stands in the bytes that are walked.
    pub start: usize,
}

impl Element<'_> {
    /// Where all of it lies: tag, key and value.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.value_range().end
    }

    /// Where the value lies.
    #[must_use]
    pub fn value_range(&self) -> Range<usize> {
        // The tag and the zero byte of the key.
        let value = self.start + self.key.len() + 2;
        value..value + self.value.bytes.len()
    }
}

/// The elements of one document or array, in the order of the bytes.
///
/// After an error the iterator ends.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    /// What is left to read, without the document's final zero byte.
    rest: &'a [u8],
    /// Where that byte stands.
    end: usize,
    /// Whether values are checked, too.
    is_strict: bool,
}

impl<'a> Elements<'a> {
    /// Walks over `document`, whose length prefix must count exactly these bytes.
    ///
    /// # Errors
    ///
    /// [`RawError`] when the length or the last byte is wrong.
    pub fn new(document: &'a [u8]) -> Result<Self, RawError> {
        Self::within(document, 0..document.len())
    }

    /// Walks over the document that fills `range` of `bytes`; places of elements are places in `bytes`.
    ///
    /// # Errors
    ///
    /// [`RawError`] when the length or the last byte is wrong, or `bytes` end before the range.
    pub fn within(bytes: &'a [u8], range: Range<usize>) -> Result<Self, RawError> {
        let end = range.end.saturating_sub(1);
        let document = bytes.get(range).ok_or(RawError::Truncated)?;
        let (length, _) = split_i32(document)?;
        if usize::try_from(length) != Ok(document.len()) || length < 5 {
            return Err(RawError::Length(length));
        }
        match document {
            [_, _, _, _, rest @ .., 0] => Ok(Self { rest, end, is_strict: true }),
            _ => Err(RawError::Terminator),
        }
    }

    /// Checks that values lie within the document, and not what is in them.
    ///
    /// For a walk that reads a few values and passes the others on to one that checks them. [`RawValue`]'s accessors
    /// may give `None` for a value of the right type, then.
    #[must_use]
    pub fn lengths_only(self) -> Self {
        Self { is_strict: false, ..self }
    }

    /// The first element of this key, unless there is damage before it.
    pub fn find_key(&mut self, key: &[u8]) -> Option<Element<'a>> {
        self.map_while(Result::ok).find(|element| element.key == key)
    }

    /// The next element, if it has a short key and a value of one of the usual types, without a defect.
    #[inline(always)]
    fn read_usual(&mut self) -> Option<Element<'a>> {
        let rest = self.rest;
        let (&tag, behind) = rest.split_first()?;
        let key_len = short_cstring_len(behind)?;
        let (key, behind) = (behind.get(..key_len)?, behind.get(key_len + 1..)?);
        let usual = USUAL.get(usize::from(tag))?;
        let prefix = u32::from_le_bytes(*behind.first_chunk()?) & usual.prefix;
        let length = usize::from(usual.length) + prefix as usize;
        if length < usual.least as usize {
            return None;
        }
        let bytes = behind.get(..length)?;
        // Of a value without bytes, this is the one that ends the key.
        if *rest.get(key_len + 1 + length)? > usual.last {
            return None;
        }
        self.rest = behind.get(length..)?;
        Some(Element { key, value: RawValue { tag, bytes }, start: self.end - rest.len() })
    }

    /// The next element, whatever it is.
    #[inline(never)]
    fn read(&mut self) -> Result<Element<'a>, RawError> {
        let start = self.end - self.rest.len();
        let (&tag, rest) = self.rest.split_first().ok_or(RawError::Truncated)?;
        let (key, rest) = split_cstring(rest)?;
        let length = value_length(tag, rest)?;
        let (bytes, rest) = rest.split_at_checked(length).ok_or(RawError::Truncated)?;
        if self.is_strict {
            check(tag, bytes)?;
        }
        self.rest = rest;
        Ok(Element { key, value: RawValue { tag, bytes }, start })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, RawError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        if let Some(element) = self.read_usual() {
            return Some(Ok(element));
        }
        let element = self.read();
        if element.is_err() {
            self.rest = &[];
        }
        Some(element)
    }
}

impl std::iter::FusedIterator for Elements<'_> {}

/// How long values of a type are, and what tells that one is whole: the same steps for all types, without a jump.
#[derive(Clone, Copy)]
struct Usual {
    /// Bytes of a value beside those that its length prefix counts.
    length: u8,
    /// All bits where there is a length prefix, none where not.
    prefix: u32,
    /// No value has fewer bytes.
    least: u32,
    /// No value ends in a greater byte.
    last: u8,
}

/// By tag. No value is long enough for a type that is not usual.
const USUAL: [Usual; 32] = {
    let mut usual = [Usual { length: 0, prefix: 0, least: u32::MAX, last: 0 }; 32];
    // Of strings, the length that the prefix counts includes the zero byte; of documents, the prefix as well.
    usual[tag::STRING as usize] = Usual { length: 4, prefix: u32::MAX, least: 5, last: 0 };
    usual[tag::DOCUMENT as usize] = Usual { length: 0, prefix: u32::MAX, least: 5, last: 0 };
    usual[tag::ARRAY as usize] = usual[tag::DOCUMENT as usize];
    usual[tag::BOOLEAN as usize] = Usual { last: 1, ..Usual::fixed(1) };
    usual[tag::NULL as usize] = Usual::fixed(0);
    usual[tag::INT32 as usize] = Usual::fixed(4);
    usual[tag::INT64 as usize] = Usual::fixed(8);
    usual[tag::DOUBLE as usize] = Usual::fixed(8);
    usual[tag::DATE as usize] = Usual::fixed(8);
    usual[tag::TIMESTAMP as usize] = Usual::fixed(8);
    usual[tag::OBJECT_ID as usize] = Usual::fixed(12);
    usual[tag::DECIMAL128 as usize] = Usual::fixed(16);
    usual
};

impl Usual {
    /// Any so many bytes.
    const fn fixed(length: u8) -> Usual {
        Usual { length, prefix: 0, least: 0, last: u8::MAX }
    }
}

/// How many bytes the value at the front of `rest` takes, its length prefix included.
fn value_length(tag: u8, rest: &[u8]) -> Result<usize, RawError> {
    Ok(match tag {
        tag::UNDEFINED | tag::NULL | tag::MIN_KEY | tag::MAX_KEY => 0,
        tag::BOOLEAN => 1,
        tag::INT32 => 4,
        tag::DOUBLE | tag::DATE | tag::TIMESTAMP | tag::INT64 => 8,
        tag::OBJECT_ID => 12,
        tag::DECIMAL128 => 16,
        tag::STRING | tag::SYMBOL | tag::CODE => 4 + prefix(rest, 1)?,
        tag::DB_POINTER => 4 + prefix(rest, 1)? + 12,
        tag::BINARY => 5 + prefix(rest, 0)?,
        tag::DOCUMENT | tag::ARRAY => prefix(rest, 5)?,
        // Its own length, an empty string and an empty document.
        tag::CODE_WITH_SCOPE => prefix(rest, 14)?,
        tag::REGEX => {
            let (pattern, after) = split_cstring(rest)?;
            let (options, _) = split_cstring(after)?;
            pattern.len() + options.len() + 2
        }
        unknown => return Err(RawError::UnknownTag(unknown)),
    })
}

/// What the length alone does not say: terminators, the value of a boolean, lengths inside.
fn check(tag: u8, bytes: &[u8]) -> Result<(), RawError> {
    match tag {
        tag::BOOLEAN => match bytes {
            [0 | 1] => Ok(()),
            [other, ..] => Err(RawError::Boolean(*other)),
            [] => Err(RawError::Truncated),
        },
        tag::STRING | tag::SYMBOL | tag::CODE | tag::DOCUMENT | tag::ARRAY => ends_in_zero(bytes),
        tag::DB_POINTER => ends_in_zero(bytes.split_last_chunk::<12>().ok_or(RawError::Truncated)?.0),
        tag::BINARY => {
            // Subtype 2 repeats its length inside; a driver refuses a value where the two disagree.
            let (length, rest) = split_i32(bytes)?;
            let Some((&2, data)) = rest.split_first() else { return Ok(()) };
            let (inner, _) = split_i32(data)?;
            if i64::from(inner) + 4 == i64::from(length) { Ok(()) } else { Err(RawError::Length(inner)) }
        }
        tag::CODE_WITH_SCOPE => {
            let (_, rest) = split_i32(bytes)?;
            let (code, scope) = rest.split_at_checked(4 + prefix(rest, 1)?).ok_or(RawError::Truncated)?;
            ends_in_zero(code)?;
            Elements::new(scope).map(|_| ())
        }
        _ => Ok(()),
    }
}

fn ends_in_zero(bytes: &[u8]) -> Result<(), RawError> {
    if bytes.last() == Some(&0) { Ok(()) } else { Err(RawError::Terminator) }
}

/// A length prefix that is at least `least`.
fn prefix(bytes: &[u8], least: usize) -> Result<usize, RawError> {
    let (length, _) = split_i32(bytes)?;
    match usize::try_from(length) {
        Ok(size) if size >= least => Ok(size),
        _ => Err(RawError::Length(length)),
    }
}
