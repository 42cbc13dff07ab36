//! Blocks of results as record batches.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, ListArray, NullArray, RecordBatch, RecordBatchOptions, StructArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};

use super::types::{self, Type};
use super::wire::{Reader, WireError};

/// The version of JSON columns that are sent as text.
const JSON_AS_TEXT: u64 = 1;

/// Reads a block; `None` if it has no rows. Texts become Binary if `binary`, else Utf8.
pub(super) fn block(reader: &mut Reader<'_>, binary: bool) -> Result<Option<RecordBatch>, WireError> {
    block_info(reader)?;
    let (columns, rows) = (reader.len()?, reader.len()?);
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for _ in 0..columns {
        let (name, type_name) = (reader.text()?, reader.text()?);
        if reader.byte()? != 0 {
            return Err(WireError::Bad(format!("the column {name} is laid out in an unknown way")));
        }
        if rows == 0 {
            continue;
        }
        let data_type = types::parse(&type_name).map_err(WireError::Unreadable)?;
        prefix(reader, &data_type)?;
        let array = column(reader, &data_type, rows, binary)?;
        fields.push(field(&name, &data_type, &array));
        arrays.push(array);
    }
    if arrays.is_empty() {
        return Ok(None);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options);
    batch.map(Some).map_err(|error| WireError::Bad(error.to_string()))
}

fn block_info(reader: &mut Reader<'_>) -> Result<(), WireError> {
    loop {
        match reader.varint()? {
            0 => return Ok(()),
            1 => drop(reader.byte()?),
            2 => drop(reader.array::<4>()?),
            other => return Err(WireError::Bad(format!("a block's head has the unknown field {other}"))),
        }
    }
}

fn field(name: &str, data_type: &Type, array: &ArrayRef) -> Field {
    let nullable = matches!(data_type, Type::Nullable(_) | Type::Nothing);
    Field::new(name, array.data_type().clone(), nullable)
}

/// Reads what stands before the values of a column and all columns inside it.
fn prefix(reader: &mut Reader<'_>, data_type: &Type) -> Result<(), WireError> {
    match data_type {
        Type::Json => match u64::from_le_bytes(reader.array()?) {
            JSON_AS_TEXT => Ok(()),
            _ => Err(WireError::Unreadable(
                "a JSON column does not come as text: cast it to String".to_owned(),
            )),
        },
        Type::Nullable(inner) | Type::Array(inner) => prefix(reader, inner),
        Type::Tuple(elements) => elements.iter().try_for_each(|(_, element)| prefix(reader, element)),
        _ => Ok(()),
    }
}

fn column(
    reader: &mut Reader<'_>,
    data_type: &Type,
    rows: usize,
    binary: bool,
) -> Result<ArrayRef, WireError> {
    match data_type {
        Type::Nullable(inner) => {
            let map = reader.values(rows, 1)?;
            let nulls = NullBuffer::new(BooleanBuffer::collect_bool(rows, |row| map[row] == 0));
            // As most columns of results have it, the bitmap is left out where there is nothing to say.
            values(reader, inner, rows, binary, Some(nulls).filter(|nulls| nulls.null_count() > 0))
        }
        other => values(reader, other, rows, binary, None),
    }
}

fn values(
    reader: &mut Reader<'_>,
    data_type: &Type,
    rows: usize,
    binary: bool,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, WireError> {
    let raw = |arrow: &DataType, bytes: Buffer, nulls: Option<NullBuffer>| {
        array(ArrayData::builder(arrow.clone()).len(rows).add_buffer(bytes).nulls(nulls))
    };
    match data_type {
        Type::Fixed { width, arrow } => raw(arrow, Buffer::from(reader.values(rows, *width)?), nulls),
        Type::Date => {
            let days = reader.values(rows, 2)?.chunks_exact(2);
            let days: Vec<i32> = days.map(|day| u16::from_le_bytes([day[0], day[1]]).into()).collect();
            raw(&DataType::Date32, Buffer::from_vec(days), nulls)
        }
        Type::DateTime(zone) => {
            let seconds = reader.values(rows, 4)?.as_chunks::<4>().0.iter();
            let seconds: Vec<i64> = seconds.map(|second| u32::from_le_bytes(*second).into()).collect();
            let arrow = DataType::Timestamp(TimeUnit::Second, zone.as_deref().map(Into::into));
            raw(&arrow, Buffer::from_vec(seconds), nulls)
        }
        Type::Decimal { width, precision, scale } => {
            let bytes = reader.values(rows, *width)?;
            let wide: Vec<i128> = match width {
                4 => bytes.as_chunks().0.iter().map(|value| i32::from_le_bytes(*value).into()).collect(),
                8 => bytes.as_chunks().0.iter().map(|value| i64::from_le_bytes(*value).into()).collect(),
                16 => bytes.as_chunks().0.iter().map(|value| i128::from_le_bytes(*value)).collect(),
                _ => return raw(&DataType::Decimal256(*precision, *scale), Buffer::from(bytes), nulls),
            };
            raw(&DataType::Decimal128(*precision, *scale), Buffer::from_vec(wide), nulls)
        }
        Type::Bool => {
            let bytes = reader.values(rows, 1)?;
            let values = BooleanBuffer::collect_bool(rows, |row| bytes[row] != 0);
            Ok(Arc::new(BooleanArray::new(values, nulls)))
        }
        Type::String | Type::Json => texts(reader, rows, binary, nulls),
        Type::Uuid => {
            let mut bytes = reader.values(rows, 16)?.to_vec();
            bytes.chunks_exact_mut(8).for_each(<[u8]>::reverse);
            raw(&DataType::FixedSizeBinary(16), Buffer::from_vec(bytes), nulls)
        }
        Type::Nothing => {
            reader.values(rows, 1)?;
            Ok(Arc::new(NullArray::new(rows)))
        }
        // Inside NULL there is no other one: the name of such a type is refused.
        Type::Nullable(inner) => values(reader, inner, rows, binary, nulls),
        Type::Array(inner) => list(reader, inner, rows, binary),
        Type::Tuple(elements) => tuple(reader, elements, rows, binary, nulls),
    }
}

fn tuple(
    reader: &mut Reader<'_>,
    elements: &[(String, Type)],
    rows: usize,
    binary: bool,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, WireError> {
    if elements.is_empty() {
        reader.values(rows, 1)?;
        return Ok(Arc::new(StructArray::new_empty_fields(rows, nulls)));
    }
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (name, element) in elements {
        let array = column(reader, element, rows, binary)?;
        fields.push(field(name, element, &array));
        arrays.push(array);
    }
    let tuple = StructArray::try_new(Fields::from(fields), arrays, nulls);
    Ok(Arc::new(tuple.map_err(|error| WireError::Bad(error.to_string()))?))
}

fn list(reader: &mut Reader<'_>, inner: &Type, rows: usize, binary: bool) -> Result<ArrayRef, WireError> {
    let ends = reader.values(rows, 8)?.as_chunks::<8>().0;
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0_i32);
    let mut last = 0;
    for end in ends {
        let end = i32::try_from(u64::from_le_bytes(*end)).ok().filter(|end| *end >= last);
        last =
            end.ok_or_else(|| WireError::Bad("an array ends before it begins, or is too long".to_owned()))?;
        offsets.push(last);
    }
    let elements = column(reader, inner, usize::try_from(last).unwrap_or_default(), binary)?;
    let element = Arc::new(field("item", inner, &elements));
    let list = ListArray::try_new(element, OffsetBuffer::new(offsets.into()), elements, None);
    Ok(Arc::new(list.map_err(|error| WireError::Bad(error.to_string()))?))
}

fn texts(
    reader: &mut Reader<'_>,
    rows: usize,
    binary: bool,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, WireError> {
    // A row takes a byte at least, so that what is reserved is bounded by what has come.
    if reader.left() < rows {
        return Err(WireError::Short(reader.at().saturating_add(rows)));
    }
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0_i32);
    let mut bytes = Vec::new();
    for _ in 0..rows {
        bytes.extend_from_slice(reader.bytes()?);
        let end = i32::try_from(bytes.len());
        offsets.push(end.map_err(|_| WireError::Bad("a column has more than 2 GiB of text".to_owned()))?);
    }
    let arrow = if binary { DataType::Binary } else { DataType::Utf8 };
    let data = ArrayData::builder(arrow).len(rows).nulls(nulls);
    array(data.add_buffer(Buffer::from_vec(offsets)).add_buffer(Buffer::from_vec(bytes)))
}

/// Checks what an array is made of; texts that are not UTF-8 are found here.
fn array(data: arrow_data::ArrayDataBuilder) -> Result<ArrayRef, WireError> {
    data.build().map(arrow_array::make_array).map_err(|error| WireError::Unreadable(error.to_string()))
}
