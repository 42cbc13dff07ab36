//! Single values, apart from the language that a sink writes them in.

use std::fmt;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMillisecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, TimeUnit};

/// A value of a key column, or a value that a column is compared with.
///
/// Two values of one column are equal here exactly if the sink finds them equal, so it names a row in maps and sets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scalar {
    /// NULL.
    Null,
    /// Text or binary data of any length.
    Bytes(Vec<u8>),
    /// Binary data of a fixed length, other than a UUID.
    FixedBytes(Vec<u8>),
    /// A UUID, or any other 16 bytes of a fixed length.
    Uuid([u8; 16]),
    /// A truth value.
    Boolean(bool),
    /// A number of 32 bits.
    Int32(i32),
    /// A number of 64 bits.
    Int64(i64),
    /// A number of 64 bits without a sign.
    UInt64(u64),
    /// The bits of a number; every NaN has the same ones.
    Float64(u64),
    /// A decimal number of 128 bits.
    Decimal {
        /// The digits, without the point.
        digits: i128,
        /// How many digits the column has.
        precision: u8,
        /// How many of them stand after the point.
        scale: i8,
    },
    /// Milliseconds since 1970-01-01 UTC.
    Millis(i64),
}

impl Scalar {
    /// The value in a row of a column; `None` if no single value of its type can be named.
    #[must_use]
    pub fn of(column: &dyn Array, row: usize) -> Option<Scalar> {
        if column.is_null(row) {
            return Some(Scalar::Null);
        }
        Some(match column.data_type() {
            DataType::Utf8 => Scalar::Bytes(column.as_string::<i32>().value(row).as_bytes().to_vec()),
            DataType::Binary => Scalar::Bytes(column.as_binary::<i32>().value(row).to_vec()),
            DataType::FixedSizeBinary(_) => {
                let bytes = column.as_fixed_size_binary().value(row);
                bytes.try_into().map_or_else(|_| Scalar::FixedBytes(bytes.to_vec()), Scalar::Uuid)
            }
            DataType::Boolean => Scalar::Boolean(column.as_boolean().value(row)),
            DataType::Int8 => Scalar::Int32(column.as_primitive::<Int8Type>().value(row).into()),
            DataType::Int16 => Scalar::Int32(column.as_primitive::<Int16Type>().value(row).into()),
            DataType::Int32 => Scalar::Int32(column.as_primitive::<Int32Type>().value(row)),
            DataType::Int64 => Scalar::Int64(column.as_primitive::<Int64Type>().value(row)),
            DataType::UInt8 => Scalar::UInt64(column.as_primitive::<UInt8Type>().value(row).into()),
            DataType::UInt16 => Scalar::UInt64(column.as_primitive::<UInt16Type>().value(row).into()),
            DataType::UInt32 => Scalar::UInt64(column.as_primitive::<UInt32Type>().value(row).into()),
            DataType::UInt64 => Scalar::UInt64(column.as_primitive::<UInt64Type>().value(row)),
            DataType::Float64 => {
                let number = column.as_primitive::<Float64Type>().value(row);
                Scalar::Float64(if number.is_nan() { f64::NAN } else { number }.to_bits())
            }
            DataType::Decimal128(precision, scale) => Scalar::Decimal {
                digits: column.as_primitive::<Decimal128Type>().value(row),
                precision: *precision,
                scale: *scale,
            },
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                Scalar::Millis(column.as_primitive::<TimestampMillisecondType>().value(row))
            }
            _ => return None,
        })
    }

    /// About how many bytes it takes in a statement.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Scalar::Bytes(bytes) | Scalar::FixedBytes(bytes) => 2 * bytes.len() + 32,
            _ => 64,
        }
    }
}

impl From<u64> for Scalar {
    fn from(number: u64) -> Scalar {
        Scalar::UInt64(number)
    }
}

/// As messages show it.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Null => f.write_str("NULL"),
            Scalar::Bytes(bytes) | Scalar::FixedBytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => write!(f, "{text:?}"),
                Err(_) => hex(f, bytes),
            },
            Scalar::Uuid(bytes) => hex(f, bytes),
            Scalar::Boolean(value) => value.fmt(f),
            Scalar::Int32(number) => number.fmt(f),
            Scalar::Int64(number) | Scalar::Millis(number) => number.fmt(f),
            Scalar::UInt64(number) => number.fmt(f),
            Scalar::Float64(bits) => f64::from_bits(*bits).fmt(f),
            Scalar::Decimal { digits, precision, scale } => {
                use arrow_array::types::DecimalType as _;
                f.write_str(&Decimal128Type::format_decimal(*digits, *precision, *scale))
            }
        }
    }
}

fn hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}
