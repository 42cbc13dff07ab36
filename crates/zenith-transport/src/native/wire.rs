//! Numbers and texts as the protocol has them: varints, lengths before texts, little-endian numbers.

use crate::socket::exchange::Failure;

/// Bytes of a varint of 64 bits.
const VARINT_BYTES_MAX: usize = 10;

/// Appends a number, seven bits a byte, the lowest first.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        // The mask leaves seven bits.
        out.push(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or_default());
}

/// Appends a length.
pub(super) fn put_len(out: &mut Vec<u8>, len: usize) {
    put_varint(out, u64::try_from(len).unwrap_or(u64::MAX));
}

/// Appends a text with its length.
pub(super) fn put_text(out: &mut Vec<u8>, text: impl AsRef<[u8]>) {
    let text = text.as_ref();
    put_len(out, text.len());
    out.extend_from_slice(text);
}

/// Why bytes cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WireError {
    /// They end too early: so many are needed, counted from the first, and perhaps more.
    Short(usize),
    /// They are nothing the protocol has.
    Bad(String),
    /// They are a result that Arrow has no place for.
    Unreadable(String),
}

impl From<WireError> for Failure {
    fn from(stop: WireError) -> Failure {
        match stop {
            WireError::Short(needed) => Failure::Malformed(format!("it ends before its byte {needed}")),
            WireError::Bad(reason) => Failure::Malformed(reason),
            WireError::Unreadable(reason) => Failure::Unreadable(reason),
        }
    }
}

/// Reads bytes from the first to the last, checking that they are there.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    /// How many bytes have been read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// How many bytes there are still.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let end = self.at.saturating_add(len);
        let taken = self.bytes.get(self.at..end).ok_or(WireError::Short(end))?;
        self.at = end;
        Ok(taken)
    }

    /// `count` values of `width` bytes each.
    pub(super) fn values(&mut self, count: usize, width: usize) -> Result<&'a [u8], WireError> {
        self.take(count.saturating_mul(width))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0_u64;
        for index in 0..VARINT_BYTES_MAX {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shift = 7 * index;
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireError::Bad("a number has more than 64 bits".to_owned()))
    }

    /// A number of things in memory.
    pub(super) fn len(&mut self) -> Result<usize, WireError> {
        usize::try_from(self.varint()?)
            .map_err(|_| WireError::Bad("a length is beyond any memory".to_owned()))
    }

    /// The bytes of a text.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.len()?;
        self.take(len)
    }

    /// A text for people: what is not UTF-8 in it is replaced.
    pub(super) fn text(&mut self) -> Result<String, WireError> {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(Reader::new(&bytes).varint(), Ok(value));
            let cut = &bytes[..bytes.len() - 1];
            assert_eq!(Reader::new(cut).varint(), Err(WireError::Short(bytes.len())));
        }
        assert!(matches!(Reader::new(&[0xff; 10]).varint(), Err(WireError::Bad(_))));
        assert!(matches!(
            Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).varint(),
            Err(WireError::Bad(_))
        ));
    }

    #[test]
    fn texts_say_how_many_bytes_are_missing() {
        let mut bytes = Vec::new();
        put_text(&mut bytes, "hello");
        assert_eq!(Reader::new(&bytes).text(), Ok("hello".to_owned()));
        assert_eq!(Reader::new(&bytes[..3]).bytes(), Err(WireError::Short(6)));
        let mut endless = Vec::new();
        put_varint(&mut endless, u64::MAX);
        assert!(matches!(
            Reader::new(&endless).bytes(),
            Err(WireError::Short(usize::MAX) | WireError::Bad(_))
        ));
    }
}
