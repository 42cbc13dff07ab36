//! A column as the parts of a block: which bytes go out as they lie, and which are re-laid, and how.
//!
//! | Arrow | in a block |
//! | --- | --- |
//! | validity bitmap | a byte for each row, 1 for NULL, before the values |
//! | numbers, decimals, dates, fixed bytes | the same |
//! | booleans | a byte each |
//! | UUID | each half with its bytes in the other order |
//! | offsets and bytes of texts | a varint and the bytes, one text after another |
//! | offsets of lists | the ends as 64-bit numbers, before the elements |
//! | offsets of maps | as those of lists, before the keys and the values |
//! | structs | their fields one after another; a byte for each row if they have none |
//!
//! What a part says is small; its bytes are made when there is room for them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::ArrowDictionaryKeyType;
use arrow_array::{Array, ArrayRef, GenericByteArray, GenericListArray, MapArray, OffsetSizeTrait};
use arrow_array::{downcast_dictionary_array, types::ByteArrayType};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, Field};

use super::wire::put_len;
use crate::ddl::EXTENSION_NAME;

/// A text from this many bytes on is a piece of its own, not copied.
pub(super) const LONG_TEXT_BYTES: usize = 16 * 1024;

/// Some bytes of a block.
#[derive(Debug)]
pub(super) enum Part {
    /// Bytes made beforehand.
    Bytes(Vec<u8>),
    /// Values as they lie in the column.
    Values(Buffer),
    /// A byte for each row, 1 where it is null.
    Nulls(Option<NullBuffer>, usize),
    /// A byte for each bit.
    Bits(BooleanBuffer),
    /// The ends of lists, as distances from the beginning of the first.
    Ends(Offsets),
    /// Texts.
    Texts(Offsets, Buffer),
    /// Texts of a dictionary.
    Categories(ArrayRef),
    /// UUIDs.
    Uuids(Buffer),
    /// The same byte for so many rows.
    Same(u8, usize),
}

/// Offsets of either width.
#[derive(Clone, Debug)]
pub(super) enum Offsets {
    Small(OffsetBuffer<i32>),
    Large(OffsetBuffer<i64>),
}

/// How far a part has got.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// The next row.
    pub(super) next: usize,
    /// Bytes that follow what was appended.
    pub(super) then: Option<Buffer>,
}

/// Adds the parts of a column to `parts`. Where `outer` is null, so is the column, as far as it can be.
///
/// # Errors
/// If the column has a type or a NULL that the block cannot have.
pub(super) fn parts(
    field: &Field,
    array: &ArrayRef,
    outer: Option<&NullBuffer>,
    parts: &mut Vec<Part>,
) -> Result<(), ArrowError> {
    let nulls =
        || NullBuffer::union(outer, array.logical_nulls().as_ref()).filter(|nulls| nulls.null_count() > 0);
    match array.data_type() {
        DataType::Struct(fields) if fields.is_empty() => parts.push(Part::Same(b'0', array.len())),
        DataType::Struct(fields) => {
            let nulls = nulls();
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                self::parts(field, column, nulls.as_ref(), parts)?;
            }
        }
        DataType::List(element) => list(element, array.as_list::<i32>(), nulls(), parts)?,
        DataType::LargeList(element) => list(element, array.as_list::<i64>(), nulls(), parts)?,
        DataType::Map(entries, _) => map(entries, array.as_map(), nulls(), parts)?,
        data_type => {
            let extension = field.metadata().get(EXTENSION_NAME).map(String::as_str);
            if field.is_nullable() && extension != Some("arrow.json") {
                parts.push(Part::Nulls(nulls(), array.len()));
            } else if array.logical_null_count() > 0 {
                let name = field.name();
                return Err(ArrowError::InvalidArgumentError(format!("{name} is null and must not be")));
            }
            parts.push(values(array, data_type, extension)?);
        }
    }
    Ok(())
}

fn list<O: OffsetSizeTrait>(
    element: &Field,
    list: &GenericListArray<O>,
    nulls: Option<NullBuffer>,
    parts: &mut Vec<Part>,
) -> Result<(), ArrowError>
where
    Offsets: From<OffsetBuffer<O>>,
{
    let offsets = list.offsets();
    // A null list is an empty one in ClickHouse; what Arrow allows to lie under it would become visible.
    let hides = |row: usize| offsets[row] != offsets[row + 1];
    if nulls.is_some_and(|nulls| (0..list.len()).any(|row| nulls.is_null(row) && hides(row))) {
        let name = element.name();
        return Err(ArrowError::InvalidArgumentError(format!("a list of {name} is null but has elements")));
    }
    let (first, last) = (offsets[0].as_usize(), offsets[list.len()].as_usize());
    parts.push(Part::Ends(offsets.clone().into()));
    self::parts(element, &list.values().slice(first, last - first), None, parts)
}

fn map(
    entries: &Field,
    maps: &MapArray,
    nulls: Option<NullBuffer>,
    parts: &mut Vec<Part>,
) -> Result<(), ArrowError> {
    if nulls.is_some() {
        return Err(ArrowError::InvalidArgumentError(format!("a map of {} is null", entries.name())));
    }
    let offsets = maps.offsets();
    let (first, last) = (offsets[0].as_usize(), offsets[maps.len()].as_usize());
    parts.push(Part::Ends(offsets.clone().into()));
    let pairs: ArrayRef = Arc::new(maps.entries().slice(first, last - first));
    self::parts(entries, &pairs, None, parts)
}

fn values(array: &ArrayRef, data_type: &DataType, extension: Option<&str>) -> Result<Part, ArrowError> {
    Ok(match data_type {
        DataType::Boolean => Part::Bits(array.as_boolean().values().clone()),
        DataType::Utf8 => texts(array.as_string::<i32>()),
        DataType::LargeUtf8 => texts(array.as_string::<i64>()),
        DataType::Binary => texts(array.as_binary::<i32>()),
        DataType::LargeBinary => texts(array.as_binary::<i64>()),
        DataType::FixedSizeBinary(16) if extension == Some("arrow.uuid") => Part::Uuids(fixed(array, 16)),
        DataType::FixedSizeBinary(width) => {
            Part::Values(fixed(array, usize::try_from(*width).unwrap_or_default()))
        }
        DataType::Dictionary(_, values) if **values == DataType::Utf8 => Part::Categories(array.clone()),
        other => match other.primitive_width() {
            Some(width) => Part::Values(fixed(array, width)),
            None => return Err(ArrowError::NotYetImplemented(format!("{other} in a native block"))),
        },
    })
}

/// The bytes of an array's values of fixed width.
fn fixed(array: &ArrayRef, width: usize) -> Buffer {
    let data = array.to_data();
    data.buffers()[0].slice_with_length(data.offset() * width, data.len() * width)
}

fn texts<T: ByteArrayType>(array: &GenericByteArray<T>) -> Part
where
    Offsets: From<OffsetBuffer<T::Offset>>,
{
    Part::Texts(array.offsets().clone().into(), array.values().clone())
}

impl From<OffsetBuffer<i32>> for Offsets {
    fn from(offsets: OffsetBuffer<i32>) -> Offsets {
        Offsets::Small(offsets)
    }
}

impl From<OffsetBuffer<i64>> for Offsets {
    fn from(offsets: OffsetBuffer<i64>) -> Offsets {
        Offsets::Large(offsets)
    }
}

impl Offsets {
    fn rows(&self) -> usize {
        match self {
            Offsets::Small(offsets) => offsets.len() - 1,
            Offsets::Large(offsets) => offsets.len() - 1,
        }
    }
}

impl Part {
    /// How many rows it has, or bytes, if it has no rows.
    pub(super) fn len(&self) -> usize {
        match self {
            Part::Bytes(bytes) => bytes.len(),
            Part::Values(values) => values.len(),
            Part::Nulls(_, rows) | Part::Same(_, rows) => *rows,
            Part::Bits(bits) => bits.len(),
            Part::Ends(offsets) | Part::Texts(offsets, _) => offsets.rows(),
            Part::Categories(array) => array.len(),
            Part::Uuids(values) => values.len() / 16,
        }
    }

    /// Appends rows from `from` on until `out` has `limit` bytes or slightly more, or all are there.
    pub(super) fn append(&self, from: usize, out: &mut Vec<u8>, limit: usize) -> Step {
        let room = limit.saturating_sub(out.len()).max(1);
        let upto = |width: usize| self.len().min(from + (room / width).max(1));
        let next = match self {
            Part::Bytes(bytes) => {
                out.extend_from_slice(&bytes[from..upto(1)]);
                upto(1)
            }
            Part::Values(values) => {
                out.extend_from_slice(&values[from..upto(1)]);
                upto(1)
            }
            Part::Nulls(None, _) => {
                out.resize(out.len() + upto(1) - from, 0);
                upto(1)
            }
            Part::Nulls(Some(nulls), _) => {
                append_bits(nulls.inner(), from..upto(1), 1, out);
                upto(1)
            }
            Part::Bits(bits) => {
                append_bits(bits, from..upto(1), 0, out);
                upto(1)
            }
            Part::Same(byte, _) => {
                out.resize(out.len() + upto(1) - from, *byte);
                upto(1)
            }
            Part::Ends(Offsets::Small(offsets)) => {
                append_ends(offsets, from..upto(8), out);
                upto(8)
            }
            Part::Ends(Offsets::Large(offsets)) => {
                append_ends(offsets, from..upto(8), out);
                upto(8)
            }
            Part::Uuids(values) => {
                for uuid in values[from * 16..upto(16) * 16].chunks_exact(16) {
                    out.extend(uuid[..8].iter().rev());
                    out.extend(uuid[8..].iter().rev());
                }
                upto(16)
            }
            Part::Texts(Offsets::Small(offsets), values) => {
                return append_texts(offsets, values, from, out, limit);
            }
            Part::Texts(Offsets::Large(offsets), values) => {
                return append_texts(offsets, values, from, out, limit);
            }
            Part::Categories(array) => append_categories(array, from, out, limit),
        };
        Step { next, then: None }
    }
}

/// The bytes of eight bits, for each byte there is.
const BYTES_OF_BITS: [[u8; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut bits = 0;
    while bits < 256 {
        let mut bit = 0;
        while bit < 8 {
            if bits >> bit & 1 == 1 {
                table[bits][bit] = 1;
            }
            bit += 1;
        }
        bits += 1;
    }
    table
};

/// Appends a byte for each bit, 1 where the bit is not `zero`.
fn append_bits(bits: &BooleanBuffer, rows: std::ops::Range<usize>, zero: u8, out: &mut Vec<u8>) {
    let start = out.len();
    out.reserve(rows.len() + 8);
    let bytes = bits.values();
    let mut bit = bits.offset() + rows.start;
    let end = bits.offset() + rows.end;
    while bit < end {
        let eight = BYTES_OF_BITS[usize::from(bytes[bit / 8])];
        let here = (8 - bit % 8).min(end - bit);
        out.extend_from_slice(&eight[bit % 8..][..here]);
        bit += here;
    }
    if zero == 1 {
        out[start..].iter_mut().for_each(|byte| *byte ^= 1);
    }
}

fn append_ends<O: OffsetSizeTrait>(
    offsets: &OffsetBuffer<O>,
    rows: std::ops::Range<usize>,
    out: &mut Vec<u8>,
) {
    let first = offsets[0].as_usize();
    for end in &offsets[rows.start + 1..=rows.end] {
        let end = u64::try_from(end.as_usize() - first).unwrap_or(u64::MAX);
        out.extend_from_slice(&end.to_le_bytes());
    }
}

fn append_texts<O: OffsetSizeTrait>(
    offsets: &OffsetBuffer<O>,
    values: &Buffer,
    from: usize,
    out: &mut Vec<u8>,
    limit: usize,
) -> Step {
    let mut start = offsets[from].as_usize();
    for (row, end) in (from..).zip(&offsets[from + 1..]) {
        let end = end.as_usize();
        put_len(out, end - start);
        if end - start >= LONG_TEXT_BYTES {
            return Step { next: row + 1, then: Some(values.slice_with_length(start, end - start)) };
        }
        out.extend_from_slice(&values[start..end]);
        start = end;
        if out.len() >= limit {
            return Step { next: row + 1, then: None };
        }
    }
    Step { next: offsets.len() - 1, then: None }
}

fn append_categories(array: &ArrayRef, from: usize, out: &mut Vec<u8>, limit: usize) -> usize {
    fn append<K: ArrowDictionaryKeyType>(
        dictionary: &arrow_array::DictionaryArray<K>,
        from: usize,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> usize {
        let values = dictionary.values().as_string::<i32>();
        for row in from..dictionary.len() {
            let text =
                dictionary.key(row).filter(|key| values.is_valid(*key)).map_or("", |key| values.value(key));
            put_len(out, text.len());
            out.extend_from_slice(text.as_bytes());
            if out.len() >= limit {
                return row + 1;
            }
        }
        dictionary.len()
    }
    downcast_dictionary_array!(
        array => append(array, from, out, limit),
        // Only dictionaries become this part.
        _ => array.len()
    )
}
