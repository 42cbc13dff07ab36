//! Numbers of all kinds, and the one column that holds them.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use zenith_bson::Decimal;

use super::census::Values;
use super::{DecimalAs, InferOptions, Integers};
use crate::decode::convert;
use crate::schema::Kind;

/// The most digits of a decimal column.
const DECIMAL_DIGITS: u32 = 38;
/// Digits after the point beyond those of the sample, if there is room for as many before it.
const ROOM: u32 = 6;
/// Zeros at the end of a decimal count up to this many digits after the point.
const ZEROS_MAX: u32 = 6;
/// Every decimal of so many digits is written as the double is that it reads as.
const DOUBLE_DIGITS: u32 = 15;
/// How many doubles are kept of one field.
const KEPT_MAX: usize = 1_024;

/// Doubles at even distances: all of them until there are too many, then every second, fourth, …
#[derive(Debug, Default)]
pub(super) struct Thinned {
    kept: Vec<f64>,
    /// How many were skipped since one was kept.
    skipped: usize,
    /// How many are skipped between two that are kept.
    skip: usize,
    /// The digits of those kept, worked out when all are there.
    digits: OnceCell<Vec<Option<(u32, u32)>>>,
}

impl Thinned {
    pub(super) fn add(&mut self, value: f64) {
        if self.skipped < self.skip {
            self.skipped += 1;
            return;
        }
        self.skipped = 0;
        self.kept.push(value);
        if self.kept.len() == KEPT_MAX {
            let mut keep = false;
            self.kept.retain(|_| {
                keep = !keep;
                keep
            });
            self.skip = 2 * self.skip + 1;
            self.skipped = self.skip.div_ceil(2);
        }
    }

    /// The digits of each double kept before and after its point; `None` for those that are no decimals.
    fn digits(&self) -> &[Option<(u32, u32)>] {
        self.digits.get_or_init(|| {
            let kept = self.kept.iter().map(|&value| match convert::double_as_decimal(value)? {
                Decimal::Finite { coefficient, exponent, .. } => Some(digits(coefficient, exponent)),
                _ => None,
            });
            kept.collect()
        })
    }
}

/// How many digits `coefficient × 10^exponent` has before and after the point; zero has none before it.
pub(super) fn digits(mut coefficient: u128, exponent: i32) -> (u32, u32) {
    let mut places = exponent.min(0).unsigned_abs();
    if coefficient == 0 {
        return (0, places.min(ZEROS_MAX));
    }
    let whole = length(coefficient).saturating_add_signed(exponent);
    while places > ZEROS_MAX && coefficient.is_multiple_of(10) {
        coefficient /= 10;
        places -= 1;
    }
    (whole, places)
}

fn length(value: u128) -> u32 {
    value.checked_ilog10().map_or(0, |log| log + 1)
}

/// Whether a column of doubles holds a decimal: its digits are the shortest of some double.
pub(super) fn is_written_as_double(value: Decimal) -> bool {
    match value {
        // So few digits always are, far from the smallest doubles.
        Decimal::Finite { coefficient, exponent: -250..=0, .. } if length(coefficient) <= DOUBLE_DIGITS => {
            true
        }
        _ => convert::decimal_as_double(value).is_some(),
    }
}

/// The column that takes the numbers among the values.
pub(super) fn number(values: &Values, options: &InferOptions) -> Kind {
    if values.doubles + values.decimals == 0 {
        let narrow = options.integers == Integers::Narrow && values.int64s == 0;
        return if narrow { Kind::Int32 } else { Kind::Int64 };
    }
    let mut candidates = vec![Kind::Double, Kind::Int64];
    match options.decimal {
        // Exact text takes nothing but decimals.
        DecimalAs::Text if values.decimals > 0 => {
            if values.decimals >= values.numbers() {
                return Kind::DecimalText;
            }
        }
        _ if values.decimals > 0 => candidates.insert(0, Kind::Decimal { scale: scale(values) }),
        _ if values.inexact > 0 => candidates.push(Kind::Decimal { scale: scale(values) }),
        _ => return Kind::Double,
    }
    // Of those that hold equally many the first.
    let best = candidates.into_iter().rev().max_by_key(|kind| held(values, kind));
    best.unwrap_or(Kind::Double)
}

/// How many of the numbers a column of numbers holds.
pub(super) fn held(values: &Values, kind: &Kind) -> u64 {
    match kind {
        Kind::Int32 => values.int32s,
        Kind::Int64 => values.integers() + (values.doubles - values.fractional) + values.decimal_integers,
        Kind::Double => values.integers() - values.inexact + values.doubles + values.decimal_doubles,
        Kind::Decimal { scale } => Digits::of(values).fitting(u32::from(*scale)),
        Kind::DecimalText => values.decimals,
        _ => 0,
    }
}

/// Digits after the point for a decimal column: those of the sample and room on both sides, where one scale fits
/// all; else the scale that most fit, the smallest such.
fn scale(values: &Values) -> u8 {
    let digits = Digits::of(values);
    let (whole, places) = digits.most();
    let scale = match DECIMAL_DIGITS.checked_sub(whole.saturating_add(places)) {
        Some(free) => places + ROOM.min(free / 2),
        None => (0..=DECIMAL_DIGITS).rev().max_by_key(|&scale| digits.fitting(scale)).unwrap_or_default(),
    };
    u8::try_from(scale).unwrap_or_default()
}

/// The digits before and after the point of all numbers of a field.
struct Digits<'a> {
    known: &'a BTreeMap<(u32, u32), u64>,
    /// Those of the doubles kept of all that are not integers.
    kept: &'a [Option<(u32, u32)>],
    /// How many such doubles there were.
    fractional: u64,
}

impl Digits<'_> {
    fn of(values: &Values) -> Digits<'_> {
        Digits { known: &values.digits, kept: values.fractions.digits(), fractional: values.fractional }
    }

    /// The most before and the most after the point.
    fn most(&self) -> (u32, u32) {
        let all = self.known.keys().chain(self.kept.iter().flatten());
        all.fold((0, 0), |most, digits| (most.0.max(digits.0), most.1.max(digits.1)))
    }

    /// How many numbers fit a decimal column of this scale.
    fn fitting(&self, scale: u32) -> u64 {
        let fits =
            |&(whole, places): &(u32, u32)| places <= scale && whole.saturating_add(scale) <= DECIMAL_DIGITS;
        let known: u64 = self.known.iter().filter(|(digits, _)| fits(digits)).map(|(_, count)| count).sum();
        let count = |kept: usize| u64::try_from(kept).unwrap_or(u64::MAX);
        let kept = count(self.kept.iter().flatten().filter(|digits| fits(digits)).count());
        known + self.fractional * kept / count(self.kept.len().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_values_at_even_distances() {
        for count in [0_u32, 1, 1_023, 1_024, 1_025, 100_000] {
            let mut thinned = Thinned::default();
            (0..count).for_each(|value| thinned.add(value.into()));
            let most = usize::try_from(count).unwrap();
            assert!(thinned.kept.len() < KEPT_MAX && thinned.kept.len() >= most.min(KEPT_MAX / 2), "{count}");
            let step = f64::from(u32::try_from(thinned.skip).unwrap() + 1);
            assert!(thinned.kept.windows(2).all(|pair| pair[1] - pair[0] == step), "{count}");
        }
    }

    #[test]
    fn digits_on_both_sides_of_the_point() {
        assert_eq!(digits(0, 0), (0, 0));
        assert_eq!(digits(0, -2), (0, 2));
        assert_eq!(digits(0, -6_000), (0, 6));
        assert_eq!(digits(1_234, -2), (2, 2));
        assert_eq!(digits(1, -3), (0, 3));
        assert_eq!(digits(1, 6_000), (6_001, 0));
        assert_eq!(digits(1_500, -2), (2, 2));
        assert_eq!(digits(15_000_000_000, -10), (1, 6));
        assert_eq!(digits(1, -30), (0, 30));
    }

    #[test]
    fn decimals_of_few_digits_are_written_as_doubles() {
        let decimal = |coefficient, exponent| Decimal::Finite { negative: false, coefficient, exponent };
        for (coefficient, exponent, expected) in [
            (1, -1, true),
            (999_999_999_999_999, -7, true),
            (5, 0, true),
            (1, 22, true),
            (1, 23, false),
            (1, 250, false),
            (1_234_567_890_123_456_789, 0, false),
            (1, -400, false),
        ] {
            assert_eq!(
                is_written_as_double(decimal(coefficient, exponent)),
                expected,
                "{coefficient}e{exponent}"
            );
        }
        assert!(!is_written_as_double(Decimal::NaN));
    }
}
