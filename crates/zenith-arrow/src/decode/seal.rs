//! From a filled column to an Arrow array: the buffers change hands, no value moves.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType,
    UInt64Type,
};
use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, ListArray, MapArray, PrimitiveArray, StringArray,
    StructArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, FieldRef, Fields};
use zenith_memory::Pool;

use super::buffers::Bytes;
use super::column::{Column, Storage};

impl Column {
    /// Takes the items as an Arrow array of type `data_type`, leaving the column empty.
    ///
    /// What a row took is remembered as that of `rows` rows; of none, it is not.
    pub(super) fn freeze(
        &mut self,
        pool: &Pool,
        data_type: &DataType,
        nullable: bool,
        rows: usize,
    ) -> Result<ArrayRef, ArrowError> {
        let len = std::mem::take(&mut self.len);
        let nulls = self
            .validity
            .freeze(pool, len, rows)
            .filter(|_| nullable)
            .map(|bits| NullBuffer::new(BooleanBuffer::new(bits, 0, len)));
        Ok(match &mut self.storage {
            Storage::ObjectId(buf)
            | Storage::MixedId(buf)
            | Storage::DecimalText(buf)
            | Storage::String(buf)
            | Storage::Json(buf)
            | Storage::Text(buf, _) => Arc::new(text(buf, pool, nulls, rows)?),
            Storage::Binary(buf, _) => Arc::new(buf.freeze_binary(pool, nulls, rows)),
            Storage::ObjectIdFixed(buf) => {
                Arc::new(FixedSizeBinaryArray::new(12, buf.freeze(pool, len, rows), nulls))
            }
            Storage::Uuid(buf, _) => {
                Arc::new(FixedSizeBinaryArray::new(16, buf.freeze(pool, len, rows), nulls))
            }
            Storage::Bool(buf) => Arc::new(booleans(buf.freeze(pool, len, rows), len, nulls)),
            Storage::Int32(buf) => scalars::<Int32Type>(buf.freeze(pool, len, rows), len, nulls, data_type),
            Storage::Int64(buf, _) => {
                scalars::<Int64Type>(buf.freeze(pool, len, rows), len, nulls, data_type)
            }
            Storage::Double(buf) => {
                scalars::<Float64Type>(buf.freeze(pool, len, rows), len, nulls, data_type)
            }
            Storage::Timestamp(buf) => {
                scalars::<UInt64Type>(buf.freeze(pool, len, rows), len, nulls, data_type)
            }
            Storage::Date(buf, _) => {
                scalars::<TimestampMillisecondType>(buf.freeze(pool, len, rows), len, nulls, data_type)
            }
            Storage::Decimal(buf, _) => {
                scalars::<Decimal128Type>(buf.freeze(pool, len, rows), len, nulls, data_type)
            }
            Storage::Document(node) => {
                let DataType::Struct(fields) = data_type else {
                    unreachable!("a document column is a struct")
                };
                let arrays = node.freeze(pool, fields, rows)?;
                Arc::new(struct_array(fields, arrays, len))
            }
            Storage::List(node) => {
                let DataType::List(item) = data_type else { unreachable!("an array column is a list") };
                let (offsets, values) = node.freeze(pool, item, rows)?;
                Arc::new(ListArray::new(FieldRef::clone(item), offset_buffer(offsets, len), values, None))
            }
            Storage::Map(node) => Arc::new(maps(node.freeze(pool, data_type, rows)?, data_type, len)?),
        })
    }
}

/// The items of `buf` as text.
pub(super) fn text(
    buf: &mut Bytes,
    pool: &Pool,
    nulls: Option<NullBuffer>,
    rows: usize,
) -> Result<StringArray, ArrowError> {
    buf.freeze_text(pool, nulls, rows)
        .ok_or_else(|| ArrowError::InvalidArgumentError("text of a column is not UTF-8".to_owned()))
}

/// The first `len` items of `buffer` as an array of type `data_type`.
fn scalars<T: ArrowPrimitiveType>(
    buffer: Buffer,
    len: usize,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> ArrayRef {
    let values = if len == 0 { ScalarBuffer::from(Vec::new()) } else { ScalarBuffer::new(buffer, 0, len) };
    Arc::new(PrimitiveArray::<T>::new(values, nulls).with_data_type(data_type.clone()))
}

/// The first `len` of `bits`, all of them false where there are none.
fn booleans(bits: Option<Buffer>, len: usize, nulls: Option<NullBuffer>) -> BooleanArray {
    let bits = bits.unwrap_or_else(|| Buffer::from_vec(vec![0u8; len.div_ceil(8)]));
    BooleanArray::new(BooleanBuffer::new(bits, 0, len), nulls)
}

fn maps(
    (offsets, entries): (Buffer, StructArray),
    data_type: &DataType,
    len: usize,
) -> Result<MapArray, ArrowError> {
    let DataType::Map(field, _) = data_type else { unreachable!("a map column is a map") };
    MapArray::try_new(FieldRef::clone(field), offset_buffer(offsets, len), entries, None, false)
}

fn struct_array(fields: &Fields, arrays: Vec<ArrayRef>, len: usize) -> StructArray {
    // Lengths and types agree by construction: every child got one item a row.
    if arrays.is_empty() {
        StructArray::new_empty_fields(len, None)
    } else {
        StructArray::new(fields.clone(), arrays, None)
    }
}

fn offset_buffer(buffer: Buffer, len: usize) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::new(buffer, 0, len + 1))
}
