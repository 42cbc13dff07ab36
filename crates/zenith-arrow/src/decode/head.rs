//! What stands before a value, compared at once with what is expected there.

/// Bytes of a type tag and key that are compared at once.
const HEAD_WORD: usize = 16;

/// What stands before a value: its type tag, its key and a NUL, made for comparing with one load.
#[repr(C)]
pub(super) struct Head {
    word: [u8; HEAD_WORD],
    mask: [u8; HEAD_WORD],
    len: usize,
}

impl Head {
    pub(super) fn new(tag: u8, name: &str) -> Head {
        let mut head = vec![tag];
        head.extend_from_slice(name.as_bytes());
        head.push(0);
        let len = head.len();
        head.resize(len.max(HEAD_WORD), 0);
        let word = head.first_chunk().copied().unwrap_or_default();
        let mask: u128 = if len < HEAD_WORD { (1 << (8 * len)) - 1 } else { u128::MAX };
        Head { word, mask: mask.to_le_bytes(), len }
    }

    /// One that nothing begins with.
    pub(super) fn never() -> Head {
        // No key is as long.
        Head { word: [0; HEAD_WORD], mask: [0; HEAD_WORD], len: usize::MAX }
    }

    /// What follows this tag and `key` in `bytes`, if they begin with it.
    #[inline(always)]
    pub(super) fn split<'a>(&self, key: &[u8], bytes: &'a [u8]) -> Option<&'a [u8]> {
        let word = u128::from_le_bytes(*bytes.first_chunk()?);
        let differs = (word ^ u128::from_le_bytes(self.word)) & u128::from_le_bytes(self.mask) != 0;
        if differs || (self.len > HEAD_WORD && !self.ends_as(key, bytes)) {
            return None;
        }
        bytes.get(self.len..)
    }

    /// Compares with this type from now on.
    pub(super) fn expect(&mut self, tag: u8) {
        self.word[0] = tag;
    }

    #[inline(never)]
    fn ends_as(&self, key: &[u8], bytes: &[u8]) -> bool {
        let found = bytes.get(1..self.len);
        found.and_then(<[u8]>::split_last) == Some((&0, key))
    }
}
