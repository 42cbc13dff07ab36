//! One value, and what it is as a Rust type.

use super::frame::{split_cstring, split_i32};
use super::{Decimal, Elements, tag};

/// A value as its type tag and its encoded bytes, length prefix and terminator included.
///
/// The bytes of a document or array are a complete BSON document. Accessors give `None` for a value of
/// another type; values that [`Elements`](super::Elements) yields always have bytes of the right shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawValue<'a> {
    /// BSON type tag, see [`tag`].
    pub tag: u8,
    /// The encoded value, without tag and key.
    pub bytes: &'a [u8],
}

impl<'a> RawValue<'a> {
    #[inline]
    fn fixed<const N: usize>(self, tag: u8) -> Option<[u8; N]> {
        if self.tag == tag { self.bytes.try_into().ok() } else { None }
    }

    /// A document or array taken as a value.
    #[must_use]
    #[inline]
    pub const fn document(bytes: &'a [u8]) -> Self {
        Self { tag: tag::DOCUMENT, bytes }
    }

    /// A document with nothing but this value, under `key`, which has no zero byte in it; `None` where it would be too
    /// long for one.
    #[must_use]
    pub fn in_document(self, key: &[u8]) -> Option<Vec<u8>> {
        // The length, the tag, the zero byte of the key, and the terminator.
        let length = 4 + 1 + key.len() + 1 + self.bytes.len() + 1;
        let mut document = Vec::with_capacity(length);
        document.extend_from_slice(&i32::try_from(length).ok()?.to_le_bytes());
        document.push(self.tag);
        document.extend_from_slice(key);
        document.push(0);
        document.extend_from_slice(self.bytes);
        document.push(0);
        Some(document)
    }

    /// Whether it is null.
    #[must_use]
    #[inline]
    pub const fn is_null(self) -> bool {
        self.tag == tag::NULL
    }

    /// Whether it is null, or a document or array in which nothing else is, however deep.
    #[must_use]
    pub fn holds_only_nulls(self) -> bool {
        match self.tag {
            tag::NULL => true,
            tag::DOCUMENT | tag::ARRAY => Elements::new(self.bytes).is_ok_and(|mut elements| {
                elements.all(|element| element.is_ok_and(|element| element.value.holds_only_nulls()))
            }),
            _ => false,
        }
    }

    /// 64-bit float.
    #[must_use]
    #[inline]
    pub fn as_f64(self) -> Option<f64> {
        self.fixed(tag::DOUBLE).map(f64::from_le_bytes)
    }

    /// 32-bit integer.
    #[must_use]
    #[inline]
    pub fn as_i32(self) -> Option<i32> {
        self.fixed(tag::INT32).map(i32::from_le_bytes)
    }

    /// 64-bit integer; a 32-bit one is another type.
    #[must_use]
    #[inline]
    pub fn as_i64(self) -> Option<i64> {
        self.fixed(tag::INT64).map(i64::from_le_bytes)
    }

    /// Integer of either width.
    #[must_use]
    #[inline]
    pub fn as_integer(self) -> Option<i64> {
        self.as_i32().map(i64::from).or_else(|| self.as_i64())
    }

    /// Boolean.
    #[must_use]
    #[inline]
    pub fn as_bool(self) -> Option<bool> {
        self.fixed::<1>(tag::BOOLEAN).map(|[byte]| byte != 0)
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    #[inline]
    pub fn as_date_ms(self) -> Option<i64> {
        self.fixed(tag::DATE).map(i64::from_le_bytes)
    }

    /// Timestamp: seconds in the upper, increment in the lower 32 bits.
    #[must_use]
    #[inline]
    pub fn as_timestamp(self) -> Option<u64> {
        self.fixed(tag::TIMESTAMP).map(u64::from_le_bytes)
    }

    /// ObjectId.
    #[must_use]
    #[inline]
    pub fn as_object_id(self) -> Option<[u8; 12]> {
        self.fixed(tag::OBJECT_ID)
    }

    /// Decimal128 as its 16 bytes.
    #[must_use]
    #[inline]
    pub fn as_decimal_bytes(self) -> Option<[u8; 16]> {
        self.fixed(tag::DECIMAL128)
    }

    /// Decimal128 taken apart.
    #[must_use]
    #[inline]
    pub fn as_decimal(self) -> Option<Decimal> {
        self.as_decimal_bytes().map(Decimal::from_bytes)
    }

    /// Text of a string or symbol, without prefix and terminator; not checked to be UTF-8.
    #[must_use]
    #[inline]
    pub fn as_str_bytes(self) -> Option<&'a [u8]> {
        if matches!(self.tag, tag::STRING | tag::SYMBOL) {
            self.bytes.get(4..)?.strip_suffix(&[0])
        } else {
            None
        }
    }

    /// Text of JavaScript code without scope.
    #[must_use]
    #[inline]
    pub fn as_code_bytes(self) -> Option<&'a [u8]> {
        if self.tag == tag::CODE { self.bytes.get(4..)?.strip_suffix(&[0]) } else { None }
    }

    /// Bytes of an embedded document.
    #[must_use]
    #[inline]
    pub fn as_document_bytes(self) -> Option<&'a [u8]> {
        (self.tag == tag::DOCUMENT).then_some(self.bytes)
    }

    /// Bytes of an array, itself a document with the keys `0`, `1`, ….
    #[must_use]
    #[inline]
    pub fn as_array_bytes(self) -> Option<&'a [u8]> {
        (self.tag == tag::ARRAY).then_some(self.bytes)
    }

    /// Subtype and data of a binary value; the inner length of subtype 2 is left out.
    #[must_use]
    #[inline]
    pub fn as_binary(self) -> Option<(u8, &'a [u8])> {
        if self.tag != tag::BINARY {
            return None;
        }
        let (&subtype, data) = self.bytes.get(4..)?.split_first()?;
        Some((subtype, if subtype == 2 { data.get(4..)? } else { data }))
    }

    /// Pattern and options of a regular expression.
    #[must_use]
    #[inline]
    pub fn as_regex(self) -> Option<(&'a [u8], &'a [u8])> {
        if self.tag != tag::REGEX {
            return None;
        }
        let (pattern, rest) = split_cstring(self.bytes).ok()?;
        let (options, _) = split_cstring(rest).ok()?;
        Some((pattern, options))
    }

    /// Namespace and ObjectId of a DBPointer.
    #[must_use]
    #[inline]
    pub fn as_db_pointer(self) -> Option<(&'a [u8], [u8; 12])> {
        if self.tag != tag::DB_POINTER {
            return None;
        }
        let (namespace, id) = self.bytes.get(4..)?.split_last_chunk::<12>()?;
        Some((namespace.split_last()?.1, *id))
    }

    /// Code and scope document.
    #[must_use]
    #[inline]
    pub fn as_code_with_scope(self) -> Option<(&'a [u8], &'a [u8])> {
        if self.tag != tag::CODE_WITH_SCOPE {
            return None;
        }
        let (length, rest) = split_i32(self.bytes.get(4..)?).ok()?;
        let (code, scope) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        Some((code.split_last()?.1, scope))
    }
}
