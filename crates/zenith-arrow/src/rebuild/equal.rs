//! Equality in value between a document and what was rebuilt of it.
//!
//! Not kept, and so not compared: the order of fields; whether a number is an int32, an int64, a double or a
//! decimal, as long as it is exactly the same number (against a decimal, a double is the one it is written as);
//! symbol against string; null against missing, unless explicit nulls are kept apart. A double's `-0.0` is not
//! `0`, and NaN is NaN.

use std::fmt;

use bson::{Bson, Document};
use zenith_bson::Decimal;

use crate::decode::convert;

/// The first place where two documents differ.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub struct Difference {
    /// Keys, and positions in arrays, from the top.
    pub path: Vec<String>,
    /// The value in the first document, if it has one there.
    pub left: Option<Bson>,
    /// The value in the second document, if it has one there.
    pub right: Option<Bson>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "differ at `{}`: {:?} against {:?}", self.path.join("."), self.left, self.right)
    }
}

/// Whether two documents are equal in value; explicit nulls count if `keep_nulls`.
///
/// # Errors
///
/// The first [`Difference`], in the order of the first document's fields.
pub fn equal(left: &Document, right: &Document, keep_nulls: bool) -> Result<(), Box<Difference>> {
    Comparison { keep_nulls, path: Vec::new() }.documents(left, right)
}

struct Comparison {
    keep_nulls: bool,
    path: Vec<String>,
}

impl Comparison {
    fn documents(&mut self, left: &Document, right: &Document) -> Result<(), Box<Difference>> {
        for (key, value) in left {
            self.field(key, Some(value), right.get(key))?;
        }
        for (key, value) in right.iter().filter(|(key, _)| !left.contains_key(key)) {
            self.field(key, None, Some(value))?;
        }
        Ok(())
    }

    fn field(&mut self, key: &str, left: Option<&Bson>, right: Option<&Bson>) -> Result<(), Box<Difference>> {
        let there = |value: &&Bson| self.keep_nulls || !matches!(value, Bson::Null);
        let (left, right) = (left.filter(there), right.filter(there));
        self.path.push(key.to_owned());
        match (left, right) {
            (None, None) => {}
            (Some(left), Some(right)) => self.values(left, right)?,
            _ => return Err(self.difference(left, right)),
        }
        self.path.pop();
        Ok(())
    }

    fn values(&mut self, left: &Bson, right: &Bson) -> Result<(), Box<Difference>> {
        let equal = match (left, right) {
            (Bson::Document(left), Bson::Document(right)) => return self.documents(left, right),
            (Bson::Array(left), Bson::Array(right)) => return self.arrays(left, right),
            (Bson::JavaScriptCodeWithScope(left), Bson::JavaScriptCodeWithScope(right))
                if left.code == right.code =>
            {
                return self.documents(&left.scope, &right.scope);
            }
            (Bson::String(left) | Bson::Symbol(left), Bson::String(right) | Bson::Symbol(right)) => {
                left == right
            }
            (Bson::RegularExpression(left), Bson::RegularExpression(right)) => {
                left.pattern == right.pattern
                    && sorted(left.options.as_str()) == sorted(right.options.as_str())
            }
            _ => match (Number::of(left), Number::of(right)) {
                (Some(left), Some(right)) => left.same(right),
                _ => left == right,
            },
        };
        if equal { Ok(()) } else { Err(self.difference(Some(left), Some(right))) }
    }

    /// Elements count by position, nulls included.
    fn arrays(&mut self, left: &[Bson], right: &[Bson]) -> Result<(), Box<Difference>> {
        for index in 0..left.len().max(right.len()) {
            self.path.push(index.to_string());
            match (left.get(index), right.get(index)) {
                (Some(left), Some(right)) => self.values(left, right)?,
                (left, right) => return Err(self.difference(left, right)),
            }
            self.path.pop();
        }
        Ok(())
    }

    fn difference(&self, left: Option<&Bson>, right: Option<&Bson>) -> Box<Difference> {
        Box::new(Difference { path: self.path.clone(), left: left.cloned(), right: right.cloned() })
    }
}

/// Options of a regular expression are a set of characters, which a driver puts in alphabetical order.
fn sorted(options: &str) -> Vec<char> {
    let mut letters: Vec<char> = options.chars().collect();
    letters.sort_unstable();
    letters
}

#[derive(Clone, Copy)]
enum Number {
    Integer(i64),
    Double(f64),
    Decimal(Decimal),
}

impl Number {
    fn of(value: &Bson) -> Option<Self> {
        Some(match value {
            Bson::Int32(value) => Number::Integer(i64::from(*value)),
            Bson::Int64(value) => Number::Integer(*value),
            Bson::Double(value) => Number::Double(*value),
            Bson::Decimal128(value) => Number::Decimal(Decimal::from_bytes(value.bytes())),
            _ => return None,
        })
    }

    fn same(self, other: Self) -> bool {
        match (self, other) {
            (Number::Double(left), Number::Double(right)) => {
                left.to_bits() == right.to_bits() || left.is_nan() && right.is_nan()
            }
            (Number::Integer(integer), Number::Double(double))
            | (Number::Double(double), Number::Integer(integer)) => {
                convert::exact_double(integer).is_some_and(|exact| exact.to_bits() == double.to_bits())
            }
            _ => self.exact().is_some_and(|left| Some(left) == other.exact()),
        }
    }

    /// In lowest terms, so that equal numbers are equal values; `None` for doubles that are not written as a decimal.
    fn exact(self) -> Option<Decimal> {
        let integer = match self {
            Number::Decimal(decimal) => return Some(decimal.lowest_terms()),
            Number::Integer(value) => value,
            Number::Double(value) => return convert::double_as_decimal(value).map(Decimal::lowest_terms),
        };
        let coefficient = integer.unsigned_abs().into();
        Some(Decimal::Finite { negative: integer < 0, coefficient, exponent: 0 }.lowest_terms())
    }
}
