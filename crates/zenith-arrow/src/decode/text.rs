//! Values that are stored as text made from them.

use super::context::Stop;
use crate::extended_json;
use crate::raw::{RawValue, tag};

/// How much of a value its text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// All of it.
    Whole,
    /// Not all of it: the rest is for the extra column.
    Partly,
    /// There is no such text for a value of this type.
    Not,
}

const HEX: [[u8; 2]; 256] = {
    let digits = *b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};

/// The 24 lower-case hex digits of an ObjectId.
#[inline(always)]
pub(super) fn object_id_hex(id: [u8; 12], out: &mut [u8; 24]) {
    for (pair, byte) in out.chunks_exact_mut(2).zip(id) {
        pair.copy_from_slice(&HEX[usize::from(byte)]);
    }
}

pub(super) fn decimal(type_tag: u8, value: &[u8], out: &mut Vec<u8>) -> Result<Made, Stop> {
    let Some(bytes) = (RawValue { tag: type_tag, bytes: value }).as_decimal_bytes() else {
        return Ok(Made::Not);
    };
    out.extend_from_slice(bson::Decimal128::from_bytes(bytes).to_string().as_bytes());
    Ok(Made::Whole)
}

pub(super) fn mixed_id(type_tag: u8, value: &[u8], out: &mut Vec<u8>) -> Result<Made, Stop> {
    extended_json::mixed_id_text(RawValue { tag: type_tag, bytes: value }, out).map_err(Stop::Malformed)?;
    Ok(Made::Whole)
}

pub(super) fn json(type_tag: u8, value: &[u8], out: &mut Vec<u8>, keep_nulls: bool) -> Result<Made, Stop> {
    if type_tag != tag::DOCUMENT {
        return Ok(Made::Not);
    }
    let rejected =
        extended_json::split_json_column(out, &mut Vec::new(), value, keep_nulls).map_err(Stop::Malformed)?;
    Ok(if rejected { Made::Partly } else { Made::Whole })
}
