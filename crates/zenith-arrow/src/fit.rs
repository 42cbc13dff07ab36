//! Whether a value fits a column without parts: the rules, spelled out one by one.

use zenith_bson::{Decimal, RawValue, tag};

use crate::Kind;
use crate::decode::convert;
use crate::schema::{DateRange, Limit};

/// Why a value went to the extra column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum MismatchReason {
    /// The field has no column.
    NoColumn,
    /// The value is of another BSON type than its column; the tag is the value's.
    OtherType(u8),
    /// The value is binary data of another subtype than its column.
    OtherSubtype(u8),
    /// The value is of the right type, but the column cannot hold it exactly.
    OutOfRange,
    /// The value is no array, and its column shows it as an array of one.
    Lone,
    /// The field has no column, and the document or array holds nothing but nulls and empty ones.
    OnlyNulls,
    /// An earlier value of a key that occurs again.
    Duplicate,
    /// A JSON column would not return the value as it was.
    NotPlainJson,
    /// A text that says the value which the column shows, in another form than that is written in.
    OtherForm,
}

impl MismatchReason {
    /// Whether the column shows the value nevertheless.
    #[must_use]
    pub fn is_shown(self) -> bool {
        matches!(self, MismatchReason::Lone | MismatchReason::OtherForm)
    }
}

impl std::fmt::Display for MismatchReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MismatchReason::NoColumn => f.write_str("no column"),
            MismatchReason::OtherType(value) => write!(f, "is {}", tag::name(*value)),
            MismatchReason::OtherSubtype(subtype) => write!(f, "is binary({subtype})"),
            MismatchReason::OutOfRange => f.write_str("out of range"),
            MismatchReason::Lone => f.write_str("is no array"),
            MismatchReason::OnlyNulls => f.write_str("only nulls"),
            MismatchReason::Duplicate => f.write_str("repeated key"),
            MismatchReason::NotPlainJson => f.write_str("not plain JSON"),
            MismatchReason::OtherForm => f.write_str("another form"),
        }
    }
}

/// Whether a value that is not null fits a column of a kind without parts.
pub(crate) fn fits_leaf(kind: &Kind, value: RawValue<'_>, dates: DateRange) -> bool {
    leaf(kind, value, dates).is_none()
}

/// Why a value that is not null does not fit a column of a kind without parts; `None` if it does.
pub(crate) fn leaf(kind: &Kind, value: RawValue<'_>, dates: DateRange) -> Option<MismatchReason> {
    let fits = match (kind, value.tag) {
        (Kind::ObjectId | Kind::ObjectIdFixed, tag::OBJECT_ID)
        | (Kind::Bool, tag::BOOLEAN)
        | (Kind::DecimalText, tag::DECIMAL128)
        | (Kind::String | Kind::Category, tag::STRING | tag::SYMBOL)
        | (Kind::Timestamp, tag::TIMESTAMP)
        | (Kind::MixedId | Kind::Text { .. }, _) => true,
        (Kind::Int32, tag::INT32 | tag::INT64 | tag::DOUBLE | tag::DECIMAL128) => {
            integer(value).is_some_and(|value| i32::try_from(value).is_ok())
        }
        (Kind::Int64, tag::INT32 | tag::INT64 | tag::DOUBLE | tag::DECIMAL128) => integer(value).is_some(),
        (Kind::Double, tag::DOUBLE | tag::INT32) => true,
        (Kind::Double, tag::INT64) => value.as_i64().and_then(convert::exact_double).is_some(),
        (Kind::Double, tag::DECIMAL128) => value.as_decimal().and_then(convert::decimal_as_double).is_some(),
        (Kind::Decimal { scale }, tag::INT32 | tag::INT64 | tag::DOUBLE | tag::DECIMAL128) => {
            decimal(value).and_then(|value| value.to_scaled(*scale)).is_some()
        }
        (Kind::Date, tag::DATE) => value.as_date_ms().is_some_and(|ms| dates.holds(ms)),
        (Kind::Uuid(order), tag::BINARY) => match value.as_binary() {
            Some((subtype, _)) if subtype != order.subtype() => {
                return Some(MismatchReason::OtherSubtype(subtype));
            }
            binary => binary.is_some_and(|(_, bytes)| bytes.len() == 16),
        },
        (Kind::Binary { subtype: column }, tag::BINARY) => match value.as_binary() {
            Some((subtype, _)) if subtype != *column => return Some(MismatchReason::OtherSubtype(subtype)),
            binary => binary.is_some(),
        },
        _ => return Some(MismatchReason::OtherType(value.tag)),
    };
    (!fits).then_some(MismatchReason::OutOfRange)
}

/// Whether a value that fits a kind is within the limit of a column.
#[must_use]
pub fn is_within(limit: &Limit, value: RawValue<'_>) -> bool {
    match limit {
        Limit::Integers { first, last } => {
            integer(value).is_some_and(|value| (*first..=*last).contains(&value))
        }
        Limit::Digits { precision, scale } => {
            let scaled = decimal(value).and_then(|value| value.to_scaled(*scale));
            let most = 10_u128.checked_pow(u32::from(*precision)).unwrap_or(u128::MAX);
            scaled.is_some_and(|scaled| scaled.unsigned_abs() < most)
        }
        Limit::Dates { step_ms, first_ms, last_ms } => value
            .as_date_ms()
            .is_some_and(|ms| ms.rem_euclid(*step_ms) == 0 && (*first_ms..=*last_ms).contains(&ms)),
        of_texts => {
            let text = value.as_str_bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
            text.is_some_and(|text| of_texts.holds_text(text))
        }
    }
}

/// The integer that a number is equal to.
fn integer(value: RawValue<'_>) -> Option<i64> {
    value
        .as_integer()
        .or_else(|| value.as_f64().and_then(convert::integral))
        .or_else(|| value.as_decimal().and_then(convert::decimal_as_integer))
}

/// The decimal that a number is equal to, or written as.
fn decimal(value: RawValue<'_>) -> Option<Decimal> {
    if let Some(value) = value.as_integer() {
        let coefficient = u128::from(value.unsigned_abs());
        return Some(Decimal::Finite { negative: value < 0, coefficient, exponent: 0 });
    }
    value.as_f64().and_then(convert::double_as_decimal).or_else(|| value.as_decimal())
}
