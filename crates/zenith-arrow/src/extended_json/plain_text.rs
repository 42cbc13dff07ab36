//! The texts of columns of several types: what a person would write, and each the text of one value of its type.

use bson::Bson;
use zenith_bson::{Decimal, RawError, RawValue, tag, utf8};

use super::parse::parse_value;
use super::text::{write_display, write_double};
use super::write::{write_relaxed, write_value};
use crate::decode::convert;
use crate::schema::{DateRange, Kind, TextType};

/// Digits that a decimal may have before it is written with an exponent.
const DIGITS_MAX: usize = 34;

/// Appends the text of a value, and says of which type it is. [`plain_value`] is the way back.
///
/// # Errors
///
/// [`RawError`] where the value is malformed or not UTF-8; cut off what has been appended then.
pub fn plain_text(value: RawValue<'_>, out: &mut Vec<u8>) -> Result<TextType, RawError> {
    if let Some(text) = value.as_str_bytes() {
        utf8(text)?;
        out.extend_from_slice(text);
        return Ok(TextType::String);
    }
    if number(value, out) {
        return Ok(TextType::Number);
    }
    if let Some(value) = value.as_bool() {
        out.extend_from_slice(if value { b"true" } else { b"false" });
        return Ok(TextType::Bool);
    }
    if let Some(text) = value.as_date_ms().and_then(iso_date) {
        out.extend_from_slice(text.as_bytes());
        return Ok(TextType::Date);
    }
    if let Some(id) = value.as_object_id() {
        write_display(out, format_args!("{}", bson::oid::ObjectId::from_bytes(id)));
        return Ok(TextType::ObjectId);
    }
    if let Some((4, bytes)) = value.as_binary()
        && let Ok(bytes) = bytes.try_into()
    {
        write_display(out, format_args!("{}", bson::Uuid::from_bytes(bytes)));
        return Ok(TextType::Uuid);
    }
    match value.tag {
        tag::DOCUMENT => write_relaxed(out, value).map(|()| TextType::Object),
        tag::ARRAY => write_relaxed(out, value).map(|()| TextType::Array),
        _ => write_value(out, value).map(|()| TextType::Other),
    }
}

/// The value that a text of this type stands for; numbers as whichever type they are exact in.
#[must_use]
pub fn plain_value(text_type: TextType, text: &str) -> Option<Bson> {
    match text_type {
        TextType::String => Some(Bson::String(text.to_owned())),
        TextType::Number => number_value(text),
        TextType::Bool => text.parse().ok().map(Bson::Boolean),
        TextType::Date => bson::DateTime::parse_rfc3339_str(text).ok().map(Bson::DateTime),
        TextType::ObjectId => bson::oid::ObjectId::parse_str(text).ok().map(Bson::ObjectId),
        TextType::Uuid => bson::Uuid::parse_str(text).ok().map(|uuid| Bson::Binary(uuid.into())),
        TextType::Object | TextType::Array | TextType::Other => parse_value(text).ok(),
    }
}

/// The value that a text says in a column of numbers, dates or bools; `None` if it says none, or for another kind.
///
/// Numbers are in decimal, dates in ISO 8601: with a time and a zone, with a time of UTC, or a day alone.
#[must_use]
pub fn text_of_kind(kind: &Kind, text: &str) -> Option<Bson> {
    match kind {
        Kind::Int32 | Kind::Int64 | Kind::Double | Kind::Decimal { .. } => {
            let begins =
                text.trim_start_matches(['-', '+']).starts_with(|first: char| first.is_ascii_digit());
            if begins { plain_value(TextType::Number, text) } else { None }
        }
        Kind::Bool => plain_value(TextType::Bool, text),
        Kind::Date => {
            let written = match (text.len(), text.ends_with(['Z', 'z'])) {
                (10, _) => format!("{text}T00:00:00Z"),
                (19.., false)
                    if text
                        .as_bytes()
                        .get(19..)
                        .is_some_and(|rest| !rest.iter().any(|byte| b"+-".contains(byte))) =>
                {
                    format!("{}Z", text.replacen(' ', "T", 1))
                }
                _ => text.replacen(' ', "T", 1),
            };
            plain_value(TextType::Date, &written)
        }
        _ => None,
    }
}

/// A date as ISO 8601, where its year has four digits.
pub(super) fn iso_date(ms: i64) -> Option<String> {
    // Beyond them the bson crate writes the last one there is.
    let date = DateRange::WIDE.holds(ms).then(|| bson::DateTime::from_millis(ms))?;
    date.try_to_rfc3339_string().ok()
}

/// Appends a number in plain decimal; `false`, and nothing done, for anything else, and for decimals that are not
/// finite.
fn number(value: RawValue<'_>, out: &mut Vec<u8>) -> bool {
    if let Some(value) = value.as_integer() {
        write_display(out, format_args!("{value}"));
    } else if let Some(value) = value.as_f64() {
        double(value, out);
    } else if let Some(Decimal::Finite { negative, coefficient, exponent }) = value.as_decimal() {
        decimal(negative, coefficient, exponent, out);
    } else {
        return false;
    }
    true
}

fn double(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        write_double(out, value);
    } else if value.fract() == 0.0 {
        // All digits: the shortest ones that read back may be those of another integer.
        write_display(out, format_args!("{value:.0}"));
    } else {
        write_display(out, format_args!("{value}"));
    }
}

fn decimal(negative: bool, coefficient: u128, exponent: i32, out: &mut Vec<u8>) {
    let Decimal::Finite { coefficient, exponent, .. } =
        (Decimal::Finite { negative, coefficient, exponent }).lowest_terms()
    else {
        return;
    };
    if negative && coefficient != 0 {
        out.push(b'-');
    }
    let digits = coefficient.to_string();
    let places = exponent.unsigned_abs() as usize;
    if places > DIGITS_MAX || exponent > 0 && digits.len() + places > DIGITS_MAX {
        write_display(out, format_args!("{digits}E{exponent:+}"));
    } else if exponent >= 0 {
        out.extend_from_slice(digits.as_bytes());
        out.resize(out.len() + places, b'0');
    } else {
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        write_display(out, format_args!("{whole}.{fraction}"));
    }
}

fn number_value(text: &str) -> Option<Bson> {
    if text != "-0"
        && let Ok(integer) = text.parse::<i64>()
    {
        return Some(i32::try_from(integer).map_or(Bson::Int64(integer), Bson::Int32));
    }
    let value = match text {
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        _ => text.parse().ok()?,
    };
    let mut written = Vec::new();
    double(value, &mut written);
    if written == text.as_bytes() {
        return Some(Bson::Double(value));
    }
    let decimal: bson::Decimal128 = text.parse().ok()?;
    // The double that is written as this decimal is the same number, and the more usual one.
    Some(
        convert::decimal_as_double(Decimal::from_bytes(decimal.bytes()))
            .map_or(Bson::Decimal128(decimal), Bson::Double),
    )
}

#[cfg(test)]
mod tests {
    use bson::doc;
    use proptest::prelude::*;

    use super::*;
    use crate::equal;
    use crate::extended_json::arbitrary;
    use zenith_bson::Elements;

    fn text_of(value: &Bson) -> (TextType, String) {
        let document = doc! { "v": value.clone() }.to_vec().unwrap();
        let element = Elements::new(&document).unwrap().next().unwrap().unwrap();
        let mut text = Vec::new();
        let text_type = plain_text(element.value, &mut text).unwrap();
        (text_type, String::from_utf8(text).unwrap())
    }

    #[test]
    fn texts_are_what_a_person_would_write() {
        let decimal = |text: &str| Bson::Decimal128(text.parse().unwrap());
        for (value, text_type, text) in [
            ("5".into(), TextType::String, "5"),
            (5.into(), TextType::Number, "5"),
            ((-5_i64).into(), TextType::Number, "-5"),
            (0.1.into(), TextType::Number, "0.1"),
            (1e21.into(), TextType::Number, "1000000000000000000000"),
            (2_f64.powi(60).into(), TextType::Number, "1152921504606846976"),
            ((-0.0).into(), TextType::Number, "-0"),
            (f64::NEG_INFINITY.into(), TextType::Number, "-Infinity"),
            (decimal("1.50"), TextType::Number, "1.5"),
            (decimal("12E+2"), TextType::Number, "1200"),
            (decimal("-0.00012"), TextType::Number, "-0.00012"),
            (decimal("1E+6000"), TextType::Number, "1E+6000"),
            (decimal("NaN"), TextType::Other, r#"{"$numberDecimal":"NaN"}"#),
            (true.into(), TextType::Bool, "true"),
            (Bson::DateTime(bson::DateTime::from_millis(1)), TextType::Date, "1970-01-01T00:00:00.001Z"),
            (
                Bson::DateTime(bson::DateTime::MAX),
                TextType::Other,
                r#"{"$date":{"$numberLong":"9223372036854775807"}}"#,
            ),
            (
                Bson::ObjectId(bson::oid::ObjectId::from_bytes([10; 12])),
                TextType::ObjectId,
                "0a0a0a0a0a0a0a0a0a0a0a0a",
            ),
            (
                Bson::Binary(bson::Uuid::from_bytes([1; 16]).into()),
                TextType::Uuid,
                "01010101-0101-0101-0101-010101010101",
            ),
            (doc! { "a": 1, "b": [1.5, "x"] }.into(), TextType::Object, r#"{"a":1,"b":[1.5,"x"]}"#),
            (vec![1, 2].into(), TextType::Array, "[1,2]"),
            (Bson::MinKey, TextType::Other, r#"{"$minKey":1}"#),
        ] {
            assert_eq!(text_of(&value), (text_type, text.to_owned()));
        }
    }

    #[test]
    fn texts_say_values_of_a_kind() {
        let date = |ms| Some(Bson::DateTime(bson::DateTime::from_millis(ms)));
        for (kind, text, said) in [
            (Kind::Int64, "12", Some(12.into())),
            (Kind::Int64, "007", Some(7.into())),
            (Kind::Int64, "12 ", None),
            (Kind::Double, "1.50", Some(1.5.into())),
            (Kind::Double, "inf", None),
            (Kind::Decimal { scale: 2 }, "-1e2", Some((-100.0).into())),
            (Kind::Bool, "true", Some(true.into())),
            (Kind::Bool, "yes", None),
            (Kind::Date, "1970-01-02", date(86_400_000)),
            (Kind::Date, "1970-01-01 00:00:01", date(1_000)),
            (Kind::Date, "1970-01-01T00:00:01.5Z", date(1_500)),
            (Kind::Date, "1970-01-01T02:00:00+02:00", date(0)),
            (Kind::Date, "soon", None),
            (Kind::String, "x", None),
        ] {
            assert_eq!(text_of_kind(&kind, text), said, "{kind:?} {text}");
        }
    }

    proptest! {
        #[test]
        fn every_text_stands_for_its_value(value in arbitrary::value()) {
            let (text_type, text) = text_of(&value);
            let back = plain_value(text_type, &text);
            prop_assert!(back.is_some(), "{value:?} {text}");
            let (left, right) = (doc! { "v": value }, doc! { "v": back.unwrap_or(Bson::Null) });
            prop_assert!(equal(&left, &right, true).is_ok(), "{left:?} {right:?} {text}");
        }
    }
}
