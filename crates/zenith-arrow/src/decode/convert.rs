//! Which value fits which scalar column, and as what.
//!
//! The fast paths of the decoder repeat the simplest of these rules; the extra column relies on the
//! two agreeing, which property tests hold them to.

use crate::raw::Decimal;

/// First millisecond ClickHouse's `DateTime64(3)` holds: 1900-01-01T00:00:00Z.
pub(crate) const DATE_MIN_MS: i64 = -2_208_988_800_000;
/// Last millisecond it holds: 2299-12-31T23:59:59.999Z.
pub(crate) const DATE_MAX_MS: i64 = 10_413_791_999_999;
/// Largest magnitude below which every integer is a double.
const EXACT_INTEGER_MAX: i64 = 1 << 53;

/// The integer a double stands for, if it is one within ±2^53. Negative zero is not: its sign would go.
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

/// Whether a date is one the target keeps as it is.
#[inline]
pub(crate) fn date_fits(ms: i64) -> bool {
    (DATE_MIN_MS..=DATE_MAX_MS).contains(&ms)
}

/// An integer as a decimal of the given scale, if 38 digits suffice.
pub(crate) fn integer_as_decimal(value: i64, scale: u8) -> Option<i128> {
    Decimal::Finite { negative: value < 0, coefficient: u128::from(value.unsigned_abs()), exponent: 0 }
        .to_scaled(scale)
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
}
