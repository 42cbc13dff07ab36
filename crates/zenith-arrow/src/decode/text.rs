//! Values that are stored as text made from them.

use zenith_bson::{RawValue, tag};

use super::context::RowError;
use crate::extended_json;
use crate::schema::TextType;

/// The 24 lower-case hex digits of an ObjectId.
#[inline(always)]
pub(super) fn object_id_hex(id: [u8; 12]) -> [u8; 24] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = id;
    let mut hex = [0; 24];
    let words = [[a, b, c, d], [e, f, g, h], [i, j, k, l]];
    for (eight, word) in hex.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *eight = hex_word(word);
    }
    hex
}

/// The hex digits of four bytes, all eight at once in one register.
#[inline(always)]
fn hex_word(bytes: [u8; 4]) -> [u8; 8] {
    // Every byte gets 16 bits, and in them every half of it 8: the upper half first.
    let mut wide = u64::from(u32::from_le_bytes(bytes));
    wide = (wide | wide << 16) & 0x0000_FFFF_0000_FFFF;
    wide = (wide | wide << 8) & 0x00FF_00FF_00FF_00FF;
    let halves = (wide >> 4 & 0x000F_000F_000F_000F) | (wide & 0x000F_000F_000F_000F) << 8;
    // Ten and above carry into bit 4 when 6 is added, and their digits stand 39 further on than those below.
    let letters = (halves + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    (halves + 0x3030_3030_3030_3030 + letters * 39).to_le_bytes()
}

/// The text of a decimal, digits as they are.
pub(super) fn decimal(value: &[u8], out: &mut Vec<u8>) {
    if let Some(bytes) = (RawValue { tag: tag::DECIMAL128, bytes: value }).as_decimal_bytes() {
        out.extend_from_slice(bson::Decimal128::from_bytes(bytes).to_string().as_bytes());
    }
}

pub(super) fn mixed_id(type_tag: u8, value: &[u8], out: &mut Vec<u8>) -> Result<(), RowError> {
    extended_json::mixed_id_text(RawValue { tag: type_tag, bytes: value }, out).map_err(RowError::Malformed)
}

/// The text of a document for a JSON column; whether it says all of it, the rest being in `overlay`.
pub(super) fn json(
    document: &[u8],
    out: &mut Vec<u8>,
    overlay: &mut Vec<u8>,
    keep_nulls: bool,
) -> Result<bool, RowError> {
    let rejected =
        extended_json::split_json_column(out, overlay, document, keep_nulls).map_err(RowError::Malformed)?;
    Ok(!rejected)
}

/// The text of a value of any type, and that type.
pub(super) fn plain(type_tag: u8, value: &[u8], out: &mut Vec<u8>) -> Result<TextType, RowError> {
    extended_json::plain_text(RawValue { tag: type_tag, bytes: value }, out).map_err(RowError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_of_every_byte() {
        for byte in 0..=u8::MAX {
            let id = std::array::from_fn(|index| if index % 2 == 0 { byte } else { !byte });
            let expected: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(object_id_hex(id), *expected.as_bytes());
        }
    }
}
