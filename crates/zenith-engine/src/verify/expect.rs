//! What a person expects to see in a column, from the value in the source.
//!
//! A path of its own, so that a defect of the decoder, or a schema that says something else than the settings, is seen:
//! the source's value, what the column was made for, and the settings lead to a value that the column has to show.
//! Nothing of it goes through the decoder or the way back.

use std::borrow::Cow;

use bson::spec::BinarySubtype;
use bson::{Bson, Decimal128};
use zenith_arrow::extended_json::{mixed_id_text, plain_text};
use zenith_arrow::{DateRange, Kind};
use zenith_bson::{Elements, tag};

use crate::UuidLegacy;

/// The largest integer up to which every one is a double.
const EXACT_DOUBLE: f64 = 9_007_199_254_740_992.0;

/// What the settings say of values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) uuid_legacy: UuidLegacy,
    pub(super) dates: DateRange,
}

/// Whether a column has to show a value.
#[derive(Debug, PartialEq)]
pub(super) enum Expected<'v> {
    /// It has to.
    Shown(Value<'v>),
    /// It may show it so or not at all: a value of another type that is the same.
    Perhaps(Value<'v>),
    /// It cannot, for this reason: the value has to be elsewhere.
    Elsewhere(String),
}

/// What a column without parts shows.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'v> {
    Bool(bool),
    Integer(i64),
    /// An integer without a sign.
    Unsigned(u64),
    Double(f64),
    Decimal(Digits),
    Millis(i64),
    Bytes(Cow<'v, [u8]>),
}

/// A decimal in lowest terms: sign, digits without zeros at either end, and the power of ten they are multiplied with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digits {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Digits {
    /// From plain or scientific notation; `None` for anything that is no finite number.
    pub(super) fn parse(text: &str) -> Option<Digits> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let exponent = exponent - i64::try_from(fraction.len()).ok()?;
        let significant = digits.trim_start_matches('0');
        let trimmed = significant.trim_end_matches('0');
        if trimmed.is_empty() {
            return Some(Digits { negative: false, digits: String::new(), exponent: 0 });
        }
        let zeros = i64::try_from(significant.len() - trimmed.len()).ok()?;
        Some(Digits { negative, digits: trimmed.to_owned(), exponent: exponent + zeros })
    }

    /// Whether a column of 38 digits, so many of them after the point, holds it.
    fn fits(&self, scale: u8) -> bool {
        let scale = i64::from(scale);
        let len = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        self.exponent >= -scale && len.saturating_add(self.exponent).saturating_add(scale) <= 38
    }
}

impl Rules {
    /// What a column without parts that was made for values of a kind has to show of a value that is not null.
    pub(super) fn expected<'v>(&self, kind: &Kind, value: &'v Bson) -> Expected<'v> {
        use Expected::{Elsewhere, Shown};
        let out_of_range = || Elsewhere("out of range".to_owned());
        match (kind, value) {
            (Kind::Text { .. }, value) => text(value).map_or_else(out_of_range, Shown),
            (Kind::MixedId, value) => mixed_id(value).map_or_else(out_of_range, Shown),
            (Kind::ObjectId, Bson::ObjectId(id)) => Shown(owned(id.to_hex().into_bytes())),
            (Kind::ObjectIdFixed, Bson::ObjectId(id)) => Shown(owned(id.bytes().to_vec())),
            (Kind::Bool, Bson::Boolean(value)) => Shown(Value::Bool(*value)),
            (Kind::String | Kind::Category, Bson::String(text) | Bson::Symbol(text)) => {
                Shown(Value::Bytes(Cow::Borrowed(text.as_bytes())))
            }
            (Kind::DecimalText, Bson::Decimal128(value)) => Shown(owned(value.to_string().into_bytes())),
            (Kind::Date, Bson::DateTime(date)) if self.dates.holds(date.timestamp_millis()) => {
                Shown(Value::Millis(date.timestamp_millis()))
            }
            (Kind::Timestamp, Bson::Timestamp(stamp)) => {
                Shown(Value::Unsigned(u64::from(stamp.time) << 32 | u64::from(stamp.increment)))
            }
            (Kind::Uuid(order), Bson::Binary(binary)) => match (binary.subtype, binary.bytes.as_slice()) {
                (subtype, _) if u8::from(subtype) != order.subtype() => Elsewhere(binary_name(subtype)),
                (BinarySubtype::UuidOld, bytes) => {
                    self.uuid(bytes).map_or_else(out_of_range, |uuid| Shown(owned(uuid)))
                }
                (_, bytes) if bytes.len() == 16 => Shown(Value::Bytes(Cow::Borrowed(bytes))),
                _ => out_of_range(),
            },
            (Kind::Binary { subtype }, Bson::Binary(binary)) if u8::from(binary.subtype) == *subtype => {
                Shown(Value::Bytes(Cow::Borrowed(&binary.bytes)))
            }
            (Kind::Binary { .. }, Bson::Binary(binary)) => Elsewhere(binary_name(binary.subtype)),
            (
                Kind::Int32 | Kind::Int64 | Kind::Double | Kind::Decimal { .. },
                Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_),
            ) => number(kind, value).unwrap_or_else(out_of_range),
            (Kind::Date, Bson::DateTime(_)) => out_of_range(),
            _ => Elsewhere(is_other(value)),
        }
    }

    /// A UUID of the old subtype in the order that the settings say it was written in, turned into the usual one.
    fn uuid(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        const PYTHON: [usize; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        const JAVA: [usize; 16] = [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8];
        const CSHARP: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        let order = match self.uuid_legacy {
            UuidLegacy::Python => PYTHON,
            UuidLegacy::Java => JAVA,
            UuidLegacy::Csharp => CSHARP,
        };
        if bytes.len() != order.len() {
            return None;
        }
        order.iter().map(|place| bytes.get(*place).copied()).collect()
    }
}

/// What a text says to a person in a column of numbers, dates or bools.
pub(super) fn said(kind: &Kind, text: &str) -> Option<Bson> {
    match kind {
        Kind::Int32 | Kind::Int64 | Kind::Double | Kind::Decimal { .. } => {
            let unsigned = text.trim_start_matches(['+', '-']);
            if !unsigned.starts_with(|digit: char| digit.is_ascii_digit()) {
                return None;
            }
            let integer = text.parse::<i64>().ok().filter(|_| text != "-0").map(Bson::Int64);
            let zero = || (text == "-0").then_some(Bson::Double(-0.0));
            integer.or_else(zero).or_else(|| text.parse().ok().map(Bson::Decimal128))
        }
        Kind::Bool => match text {
            "true" => Some(Bson::Boolean(true)),
            "false" => Some(Bson::Boolean(false)),
            _ => None,
        },
        Kind::Date => {
            let forms = [text.to_owned(), text.replacen(' ', "T", 1), format!("{text}T00:00:00Z")];
            let utc = format!("{}Z", text.replacen(' ', "T", 1));
            let mut dates = forms.iter().chain([&utc]).map(bson::DateTime::parse_rfc3339_str);
            dates.find_map(std::result::Result::ok).map(Bson::DateTime)
        }
        _ => None,
    }
}

/// Why a value is not in a column that was made for another type.
pub(super) fn is_other(value: &Bson) -> String {
    format!("is {}", tag::name(value.element_type() as u8))
}

fn binary_name(subtype: BinarySubtype) -> String {
    format!("is binary({})", u8::from(subtype))
}

/// The text of a value in a column of texts.
pub(super) fn text(value: &Bson) -> Option<Value<'static>> {
    written(value, |value, out| plain_text(value, out).is_ok())
}

fn mixed_id(value: &Bson) -> Option<Value<'static>> {
    written(value, |value, out| mixed_id_text(value, out).is_ok())
}

fn written(
    value: &Bson,
    write: impl FnOnce(zenith_bson::RawValue<'_>, &mut Vec<u8>) -> bool,
) -> Option<Value<'static>> {
    let document = bson::doc! { "v": value.clone() }.to_vec().ok()?;
    let element = Elements::new(&document).ok()?.next()?.ok()?;
    let mut out = Vec::new();
    write(element.value, &mut out).then(|| owned(out))
}

fn owned(bytes: Vec<u8>) -> Value<'static> {
    Value::Bytes(Cow::Owned(bytes))
}

/// The integer that a number is equal to. A negative zero has a sign that no integer has.
#[expect(clippy::cast_possible_truncation)]
fn integer(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(value) => Some((*value).into()),
        Bson::Int64(value) => Some(*value),
        Bson::Double(value) => {
            let is_whole = value.fract() == 0.0 && value.abs() <= EXACT_DOUBLE;
            (is_whole && !(*value == 0.0 && value.is_sign_negative())).then_some(*value as i64)
        }
        Bson::Decimal128(value) => {
            let Digits { negative, digits, exponent } = decimal(value)?;
            let zeros = usize::try_from(exponent).ok().filter(|zeros| *zeros < 20)?;
            let text = format!("{}0{digits}{}", if negative { "-" } else { "" }, "0".repeat(zeros));
            text.parse().ok()
        }
        _ => None,
    }
}

fn decimal(value: &Decimal128) -> Option<Digits> {
    Digits::parse(&value.to_string())
}

/// The digits that a number is written with.
fn digits(value: &Bson) -> Option<Digits> {
    match value {
        Bson::Int32(value) => Digits::parse(&value.to_string()),
        Bson::Int64(value) => Digits::parse(&value.to_string()),
        Bson::Double(value) => Digits::parse(&value.to_string()),
        Bson::Decimal128(value) => decimal(value),
        _ => None,
    }
}

/// The double that is the same number.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn exact_double(value: i64) -> Option<f64> {
    let double = value as f64;
    (double as i128 == i128::from(value)).then_some(double)
}

/// What a column of numbers shows of a number; `None` where it is out of range.
fn number<'v>(kind: &Kind, value: &Bson) -> Option<Expected<'v>> {
    use Expected::{Perhaps, Shown};
    match (kind, value) {
        (Kind::Double, Bson::Double(double)) => Some(Shown(Value::Double(*double))),
        (Kind::Double, Bson::Int32(integer)) => Some(Shown(Value::Double(f64::from(*integer)))),
        (Kind::Double, Bson::Int64(integer)) => Some(Shown(Value::Double(exact_double(*integer)?))),
        (Kind::Double, Bson::Decimal128(decimal)) => {
            let double: f64 = decimal.to_string().parse().ok()?;
            // A zero has a sign as a decimal, which the double that it becomes has not.
            Some(Perhaps(Value::Double(if double == 0.0 { 0.0 } else { double })))
        }
        (Kind::Decimal { scale }, value) => {
            let digits = Value::Decimal(digits(value).filter(|digits| digits.fits(*scale))?);
            Some(if matches!(value, Bson::Double(_)) { Perhaps(digits) } else { Shown(digits) })
        }
        (kind, value) => {
            let fits = |integer: &i64| *kind != Kind::Int32 || i32::try_from(*integer).is_ok();
            let integer = Value::Integer(integer(value).filter(fits)?);
            Some(if matches!(value, Bson::Decimal128(_)) { Perhaps(integer) } else { Shown(integer) })
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::Binary;
    use zenith_arrow::UuidOrder;

    use super::Expected::Perhaps;
    use super::*;

    fn rules(uuid_legacy: UuidLegacy) -> Rules {
        Rules { uuid_legacy, dates: DateRange::WIDE }
    }

    #[test]
    fn the_settings_say_how_old_uuids_are_read_whatever_the_schema_says() {
        let bytes: Vec<u8> = (0..16).collect();
        let value = Bson::Binary(Binary { subtype: BinarySubtype::UuidOld, bytes });
        for (legacy, first) in [(UuidLegacy::Python, 0), (UuidLegacy::Java, 7), (UuidLegacy::Csharp, 3)] {
            let expected = rules(legacy).expected(&Kind::Uuid(UuidOrder::PythonLegacy), &value);
            let Expected::Shown(Value::Bytes(bytes)) = expected else { panic!("{expected:?}") };
            assert_eq!(bytes.first(), Some(&first));
        }
        let kind = Kind::Uuid(UuidOrder::Standard);
        assert_eq!(
            rules(UuidLegacy::Java).expected(&kind, &value),
            Expected::Elsewhere("is binary(3)".into())
        );
    }

    #[test]
    fn numbers_are_shown_where_they_are_the_same_number() {
        use Expected::{Elsewhere, Shown};
        let rules = rules(UuidLegacy::Python);
        let out = || Elsewhere("out of range".to_owned());
        let decimal = |text: &str| Bson::Decimal128(text.parse().unwrap());
        let digits = |text: &str| Value::Decimal(Digits::parse(text).unwrap());
        for (kind, value, expected) in [
            (Kind::Int32, Bson::Int64(1 << 31), out()),
            (Kind::Int64, Bson::Int64(1 << 31), Shown(Value::Integer(1 << 31))),
            (Kind::Int64, Bson::Double(-5.0), Shown(Value::Integer(-5))),
            (Kind::Int64, Bson::Double(-0.0), out()),
            (Kind::Int64, Bson::Double(0.5), out()),
            (Kind::Int64, decimal("-12E+2"), Perhaps(Value::Integer(-1200))),
            (Kind::Int64, decimal("1.5"), out()),
            (Kind::Int64, Bson::String("5".into()), Elsewhere("is string".to_owned())),
            (Kind::Double, Bson::Int64((1 << 53) + 1), out()),
            (Kind::Double, Bson::Int64(i64::MAX), out()),
            (Kind::Double, Bson::Int64(i64::MIN), Shown(Value::Double(-9_223_372_036_854_775_808.0))),
            (Kind::Double, decimal("-0"), Perhaps(Value::Double(0.0))),
            (Kind::Decimal { scale: 2 }, decimal("1.50"), Shown(digits("1.5"))),
            (Kind::Decimal { scale: 2 }, decimal("1.505"), out()),
            (Kind::Decimal { scale: 2 }, Bson::Int32(-7), Shown(digits("-7.00"))),
            (Kind::Decimal { scale: 2 }, Bson::Double(0.25), Perhaps(digits("0.25"))),
            (Kind::Decimal { scale: 6 }, decimal("1E+32"), out()),
            (Kind::Decimal { scale: 6 }, decimal("NaN"), out()),
        ] {
            assert_eq!(rules.expected(&kind, &value), expected, "{kind:?} {value:?}");
        }
    }

    #[test]
    fn digits_are_those_of_the_number() {
        for (one, other) in [("1.50", "15E-1"), ("0", "-0.000"), ("1200", "12e2"), ("-0.00012", "-1.2E-4")] {
            assert_eq!(Digits::parse(one), Digits::parse(other));
        }
        assert_ne!(Digits::parse("1.5"), Digits::parse("-1.5"));
        for none in ["", "NaN", "Infinity", "1.2.3", "e5"] {
            assert_eq!(Digits::parse(none), None, "{none}");
        }
    }
}
