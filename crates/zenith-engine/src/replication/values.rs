//! Single values of columns: as a sink gives them, as a batch of changes has them, and as columns again.

use std::sync::Arc;

use arrow_array::builder::FixedSizeBinaryBuilder;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMillisecondArray, UInt64Array,
};
use arrow_schema::{DataType, TimeUnit};
use zenith_transport::Scalar;

/// A value that a sink has given, as a column of this type has it.
pub(super) fn as_type(value: Scalar, data_type: &DataType) -> Option<Scalar> {
    Some(match (value, data_type) {
        (value @ Scalar::Bytes(_), DataType::Utf8 | DataType::Binary)
        | (value @ (Scalar::Uuid(_) | Scalar::FixedBytes(_)), DataType::FixedSizeBinary(_))
        | (value @ Scalar::Boolean(_), DataType::Boolean)
        | (value @ Scalar::Int32(_), DataType::Int32)
        | (value @ Scalar::Int64(_), DataType::Int64)
        | (value @ Scalar::UInt64(_), DataType::UInt64)
        | (value @ Scalar::Float64(_), DataType::Float64)
        | (value @ Scalar::Millis(_), DataType::Timestamp(TimeUnit::Millisecond, _)) => value,
        (Scalar::UInt64(number), DataType::Boolean) => Scalar::Boolean(number != 0),
        (Scalar::Int32(number), DataType::Int64) => Scalar::Int64(number.into()),
        (Scalar::UInt64(number), DataType::Int64) => Scalar::Int64(number.try_into().ok()?),
        (Scalar::UInt64(number), DataType::Int32) => Scalar::Int32(number.try_into().ok()?),
        (Scalar::Decimal { digits, scale: from, .. }, DataType::Decimal128(precision, scale)) => {
            let power = 10_i128.checked_pow(from.abs_diff(*scale).into())?;
            let digits = if scale >= &from { digits.checked_mul(power)? } else { digits / power };
            Scalar::Decimal { digits, precision: *precision, scale: *scale }
        }
        _ => return None,
    })
}

/// What values that are one to the sink have in common: both zeros are.
pub(super) fn equal(value: Scalar) -> Scalar {
    match value {
        Scalar::Float64(bits) if f64::from_bits(bits) == 0.0 => Scalar::Float64(0),
        value => value,
    }
}

/// A column of these values; `None` if one is not of its type.
pub(super) fn array_of(data_type: &DataType, values: &[&Scalar]) -> Option<ArrayRef> {
    macro_rules! numbers {
        ($array:ty, $kind:ident) => {{
            let numbers: Option<Vec<_>> = values
                .iter()
                .map(|value| match value {
                    Scalar::$kind(number) => Some(*number),
                    _ => None,
                })
                .collect();
            <$array>::from(numbers?)
        }};
    }
    Some(match data_type {
        DataType::Utf8 | DataType::Binary | DataType::FixedSizeBinary(_) => {
            array_of_bytes(data_type, values.iter().map(|value| bytes_of(value)))?
        }
        DataType::Boolean => Arc::new(numbers!(BooleanArray, Boolean)),
        DataType::Int32 => Arc::new(numbers!(Int32Array, Int32)),
        DataType::Int64 => Arc::new(numbers!(Int64Array, Int64)),
        DataType::UInt64 => Arc::new(numbers!(UInt64Array, UInt64)),
        DataType::Float64 => {
            let bits = numbers!(UInt64Array, Float64);
            Arc::new(Float64Array::from_iter_values(bits.values().iter().map(|bits| f64::from_bits(*bits))))
        }
        DataType::Timestamp(TimeUnit::Millisecond, zone) => {
            Arc::new(numbers!(TimestampMillisecondArray, Millis).with_timezone_opt(zone.clone()))
        }
        DataType::Decimal128(precision, scale) => {
            let digits = values.iter().map(|value| match value {
                Scalar::Decimal { digits, .. } => Some(*digits),
                _ => None,
            });
            let digits: Vec<i128> = digits.collect::<Option<_>>()?;
            Arc::new(Decimal128Array::from(digits).with_precision_and_scale(*precision, *scale).ok()?)
        }
        _ => return None,
    })
}

fn bytes_of(value: &Scalar) -> Option<&[u8]> {
    match value {
        Scalar::Bytes(bytes) | Scalar::FixedBytes(bytes) => Some(bytes),
        Scalar::Uuid(bytes) => Some(bytes),
        _ => None,
    }
}

fn array_of_bytes<'v>(
    data_type: &DataType,
    values: impl Iterator<Item = Option<&'v [u8]>>,
) -> Option<ArrayRef> {
    let values: Vec<&[u8]> = values.collect::<Option<_>>()?;
    Some(match data_type {
        DataType::FixedSizeBinary(length) => {
            let mut all = FixedSizeBinaryBuilder::new(*length);
            for value in values {
                all.append_value(value).ok()?;
            }
            Arc::new(all.finish())
        }
        DataType::Binary => Arc::new(BinaryArray::from_vec(values)),
        _ => {
            let texts: Vec<&str> =
                values.into_iter().map(std::str::from_utf8).collect::<Result<_, _>>().ok()?;
            Arc::new(StringArray::from(texts))
        }
    })
}

#[cfg(test)]
mod tests {
    use arrow_array::Array as _;

    use super::*;

    #[test]
    fn values_come_back_as_a_column_has_them() {
        let decimal = |digits, precision, scale| Scalar::Decimal { digits, precision, scale };
        assert_eq!(as_type(decimal(125, 18, 2), &DataType::Decimal128(38, 4)), Some(decimal(12_500, 38, 4)));
        assert_eq!(as_type(Scalar::Int32(-3), &DataType::Int64), Some(Scalar::Int64(-3)));
        assert_eq!(as_type(Scalar::UInt64(1), &DataType::Boolean), Some(Scalar::Boolean(true)));
        assert_eq!(as_type(Scalar::Int64(1), &DataType::Utf8), None);
        for (data_type, value) in [
            (DataType::Utf8, Scalar::Bytes(b"x".to_vec())),
            (DataType::FixedSizeBinary(12), Scalar::FixedBytes(vec![7; 12])),
            (DataType::FixedSizeBinary(16), Scalar::Uuid([7; 16])),
            (DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), Scalar::Millis(-5)),
            (DataType::Decimal128(38, 4), decimal(12_500, 38, 4)),
            (DataType::Boolean, Scalar::Boolean(true)),
        ] {
            let array = array_of(&data_type, &[&value]).unwrap();
            assert_eq!((array.data_type(), Scalar::of(&*array, 0)), (&data_type, Some(value)));
        }
        assert!(array_of(&DataType::Utf8, &[&Scalar::Bytes(vec![0xFF])]).is_none());
    }
}
