//! Which value fits which scalar column, and as what.
//!
//! The fast paths of the decoder repeat the simplest of these rules; the extra column relies on the
//! two agreeing, which property tests hold them to.

use zenith_bson::Decimal;

/// Largest magnitude below which every integer is a double.
const EXACT_INTEGER_MAX: i64 = 1 << 53;

/// The integer a double stands for, if it is one within ±2^53. Negative zero is not: its sign would be lost.
#[inline]
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub(crate) fn integral(value: f64) -> Option<i64> {
    let limit = EXACT_INTEGER_MAX as f64;
    if !(-limit..=limit).contains(&value) || (value == 0.0 && value.is_sign_negative()) {
        return None;
    }
    let integer = value as i64;
    (integer as f64 == value).then_some(integer)
}

/// The double equal to an integer, if there is one.
#[inline]
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub(crate) fn exact_double(value: i64) -> Option<f64> {
    let double = value as f64;
    // i64::MAX rounds up to 2^63, which saturates back to i64::MAX: the range check catches it.
    (double < 9_223_372_036_854_775_808.0 && double as i64 == value).then_some(double)
}

/// An integer as a decimal of the given scale, if 38 digits suffice.
pub(crate) fn integer_as_decimal(value: i64, scale: u8) -> Option<i128> {
    Decimal::Finite { negative: value < 0, coefficient: u128::from(value.unsigned_abs()), exponent: 0 }
        .to_scaled(scale)
}

/// The decimal that a double is written as: its shortest digits that read back to it, or all of them where it has no
/// fraction. `None` where that is not finite, has more than 38 digits, or is a zero with a sign.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn double_as_decimal(value: f64) -> Option<Decimal> {
    let negative = value.is_sign_negative();
    let magnitude = value.abs();
    if !value.is_finite() || (value == 0.0 && negative) {
        return None;
    }
    if magnitude.fract() == 0.0 {
        // Below 10^38, which is below 2^128: the cast is exact.
        return (magnitude < 1e38).then_some(Decimal::Finite {
            negative,
            coefficient: magnitude as u128,
            exponent: 0,
        });
    }
    let text = format!("{magnitude:e}");
    let (mantissa, exponent) = text.split_once('e')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let coefficient = format!("{whole}{fraction}").parse().ok()?;
    let exponent = exponent.parse::<i32>().ok()? - i32::try_from(fraction.len()).ok()?;
    Some(Decimal::Finite { negative, coefficient, exponent })
}

/// The double that is written as a decimal is, if there is one. A zero's sign is not kept.
pub(crate) fn decimal_as_double(value: Decimal) -> Option<f64> {
    let Decimal::Finite { negative, coefficient, exponent } = value else { return None };
    if coefficient == 0 {
        return Some(0.0);
    }
    let double: f64 = format!("{}{coefficient}e{exponent}", if negative { "-" } else { "" }).parse().ok()?;
    let written = double_as_decimal(double)?;
    (written.lowest_terms() == value.lowest_terms()).then_some(double)
}

/// The integer that is equal to a decimal, if there is one.
pub(crate) fn decimal_as_integer(value: Decimal) -> Option<i64> {
    value.to_scaled(0).and_then(|value| i64::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_doubles_cross_only_where_exact() {
        assert_eq!(integral(5.0), Some(5));
        assert_eq!(integral(9_007_199_254_740_992.0), Some(1 << 53));
        for double in [0.5, -0.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(integral(double), None, "{double}");
        }
        assert_eq!(exact_double(i64::MIN), Some(-9_223_372_036_854_775_808.0));
        assert_eq!(exact_double(i64::MAX), None);
        assert_eq!(exact_double((1 << 53) + 1), None);
        assert_eq!(exact_double(1 << 60), Some(1_152_921_504_606_846_976.0));
    }

    #[test]
    fn doubles_and_decimals_cross_by_how_they_are_written() {
        let finite = |negative, coefficient, exponent| Decimal::Finite { negative, coefficient, exponent };
        assert_eq!(double_as_decimal(0.1), Some(finite(false, 1, -1)));
        assert_eq!(double_as_decimal(-12.5), Some(finite(true, 125, -1)));
        assert_eq!(double_as_decimal(1e22), Some(finite(false, 10_u128.pow(22), 0)));
        assert_eq!(double_as_decimal(2_f64.powi(60)), Some(finite(false, 1 << 60, 0)));
        assert_eq!(double_as_decimal(5e-324), Some(finite(false, 5, -324)));
        for double in [-0.0, f64::NAN, f64::INFINITY, 1e38] {
            assert_eq!(double_as_decimal(double), None, "{double}");
        }
        assert_eq!(decimal_as_double(finite(false, 100, -3)), Some(0.1));
        assert_eq!(decimal_as_double(finite(true, 0, 5)), Some(0.0));
        assert_eq!(decimal_as_double(finite(false, (1 << 53) + 1, 0)), None);
        assert_eq!(decimal_as_double(finite(false, 10_u128.pow(17) + 1, -17)), None);
        assert_eq!(decimal_as_double(finite(false, 1, 6000)), None);
        assert_eq!(decimal_as_integer(finite(true, 500, -2)), Some(-5));
        assert_eq!(decimal_as_integer(finite(true, 501, -2)), None);
    }
}
