//! Decimal128 taken apart into sign, coefficient and exponent.
//!
//! Layout: IEEE 754-2008 decimal128 in binary integer encoding, little-endian, as the BSON Decimal128
//! specification has it. Nothing is rounded here.

/// A Decimal128 value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimal {
    /// `±coefficient × 10^exponent`.
    Finite {
        /// Whether the sign bit is set; zero has a sign, too.
        negative: bool,
        /// At most 34 decimal digits; a coefficient beyond that is not canonical and counts as zero.
        coefficient: u128,
        /// −6176 to 6111.
        exponent: i32,
    },
    /// Infinity.
    Infinity {
        /// Whether it is −∞.
        negative: bool,
    },
    /// Not a number, quiet or signalling.
    NaN,
}

/// What is subtracted from the stored exponent.
const EXPONENT_BIAS: i32 = 6176;
/// The largest coefficient, 34 nines.
const COEFFICIENT_MAX: u128 = 10_u128.pow(34) - 1;

impl Decimal {
    /// From the 16 bytes of BSON.
    #[must_use]
    #[inline]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let bits = u128::from_le_bytes(bytes);
        let negative = bits >> 127 == 1;
        // The five bits after the sign tell finite from special values.
        match (bits >> 122) & 0b11111 {
            0b11111 => return Decimal::NaN,
            0b11110 => return Decimal::Infinity { negative },
            _ => {}
        }
        // With both leading bits set the coefficient would start with 0b100, which is above 10^34 − 1.
        let large = (bits >> 125) & 0b11 == 0b11;
        let stored = (bits >> if large { 111 } else { 113 }) & 0x3FFF;
        let coefficient = bits & ((1 << 113) - 1);
        Decimal::Finite {
            negative,
            coefficient: if large || coefficient > COEFFICIENT_MAX { 0 } else { coefficient },
            exponent: i32::try_from(stored).unwrap_or(EXPONENT_BIAS) - EXPONENT_BIAS,
        }
    }

    /// As an integer with `scale` decimal digits after the point; `None` when it is not finite, has more
    /// digits after the point than that (trailing zeros aside) or more than 38 digits in all.
    #[must_use]
    #[inline]
    pub fn to_scaled(self, scale: u8) -> Option<i128> {
        let Decimal::Finite { negative, mut coefficient, exponent } = self else { return None };
        if coefficient == 0 {
            return Some(0);
        }
        let mut shift = exponent.saturating_add(i32::from(scale));
        while shift < 0 {
            if !coefficient.is_multiple_of(10) {
                return None;
            }
            coefficient /= 10;
            shift += 1;
        }
        let power = 10_u128.checked_pow(u32::try_from(shift).ok()?)?;
        let scaled = i128::try_from(coefficient.checked_mul(power)?).ok()?;
        if scaled >= 10_i128.pow(38) {
            return None;
        }
        Some(if negative { -scaled } else { scaled })
    }

    /// The same number without zeros at the end of its coefficient, so that equal numbers are equal values; a zero
    /// has no sign then.
    #[must_use]
    pub fn lowest_terms(self) -> Self {
        let Decimal::Finite { negative, mut coefficient, mut exponent } = self else { return self };
        if coefficient == 0 {
            return Decimal::Finite { negative: false, coefficient: 0, exponent: 0 };
        }
        while coefficient.is_multiple_of(10) {
            coefficient /= 10;
            exponent += 1;
        }
        Decimal::Finite { negative, coefficient, exponent }
    }

    /// To the 16 bytes of BSON; `None` when the coefficient or the exponent is out of range.
    #[must_use]
    pub fn to_bytes(self) -> Option<[u8; 16]> {
        let bits = match self {
            Decimal::NaN => 0b11111 << 122,
            Decimal::Infinity { negative } => (u128::from(negative) << 127) | (0b11110 << 122),
            Decimal::Finite { negative, coefficient, exponent } => {
                let stored = u128::try_from(exponent.checked_add(EXPONENT_BIAS)?).ok()?;
                if coefficient > COEFFICIENT_MAX || stored > 12_287 {
                    return None;
                }
                (u128::from(negative) << 127) | (stored << 113) | coefficient
            }
        };
        Some(bits.to_le_bytes())
    }
}
