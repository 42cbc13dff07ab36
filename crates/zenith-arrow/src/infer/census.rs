//! What a sample holds: counts of types and sizes for every path, before anything is decided.
//!
//! Memory is bounded by the number of distinct paths, which has a limit of its own, and not by the number
//! of documents.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::LEVEL_MAX;
use crate::raw::{Decimal, Elements, RawError, RawValue, tag};

/// Distinct keys of an embedded document from which on they count as unbounded.
const KEYS_MAX: usize = 256;

/// The keys of the documents found at one path.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// How many documents were seen.
    pub(super) documents: u64,
    /// Every key in order of first appearance; empty once they are unbounded.
    pub(super) keys: Vec<(Box<[u8]>, Values)>,
    index: HashMap<Box<[u8]>, usize>,
    /// Whether there were more distinct keys than anybody would want as columns.
    pub(super) unbounded: bool,
}

/// Distinct strings of a field that are told apart.
const DISTINCT_MAX: usize = 256;
/// Strings a field must have had before anything is said of how they repeat.
const FEW_STRINGS_SEEN: u64 = 100;
/// How often each of them must have come on average to be called few.
const FEW_STRINGS_REPEAT: u64 = 10;

/// The values found at one path.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// Values that are null.
    pub(super) nulls: u64,
    pub(super) booleans: u64,
    pub(super) int32s: u64,
    pub(super) int64s: u64,
    /// Integers that no double holds exactly.
    pub(super) inexact: u64,
    pub(super) doubles: u64,
    /// Doubles that are not integers.
    pub(super) fractional: u64,
    pub(super) decimals: u64,
    /// Finite decimals and integers by how many digits they have before and after the point.
    pub(super) digits: BTreeMap<(u32, u32), u64>,
    pub(super) dates: u64,
    pub(super) strings: u64,
    /// The distinct strings, until there are too many to call them few.
    pub(super) distinct: HashSet<Box<[u8]>>,
    pub(super) timestamps: u64,
    pub(super) object_ids: u64,
    /// Binary values by subtype and whether they have 16 bytes.
    pub(super) binaries: BTreeMap<(u8, bool), u64>,
    pub(super) documents: u64,
    pub(super) inside: Option<Box<Level>>,
    pub(super) arrays: u64,
    pub(super) elements: Option<Box<Values>>,
    /// Values of types that have no column.
    pub(super) others: u64,
    /// Encoded bytes of all values of variable size: text, binary data, documents, without prefixes.
    pub(super) bytes: u64,
}

impl Values {
    /// How many values are not null.
    pub(super) fn count(&self) -> u64 {
        let binaries: u64 = self.binaries.values().sum();
        self.booleans
            + self.numbers()
            + self.decimals
            + self.dates
            + self.strings
            + self.timestamps
            + self.object_ids
            + binaries
            + self.documents
            + self.arrays
            + self.others
    }

    /// Whether the strings repeat so much that a dictionary of them pays: at least a hundred, each on average
    /// ten times.
    pub(super) fn few_strings(&self) -> bool {
        self.strings >= FEW_STRINGS_SEEN
            && self.distinct.len() <= DISTINCT_MAX
            && u64::try_from(self.distinct.len()).unwrap_or(u64::MAX) * FEW_STRINGS_REPEAT <= self.strings
    }

    fn notice(&mut self, text: &[u8]) {
        // One more than may be tells that there are too many, and the set grows no further.
        if self.distinct.len() <= DISTINCT_MAX && !self.distinct.contains(text) {
            self.distinct.insert(text.into());
        }
    }

    fn paths(&self) -> usize {
        self.inside.as_ref().map_or(0, |level| level.paths())
            + self.elements.as_ref().map_or(0, |elements| elements.paths())
    }

    /// Integers and doubles.
    pub(super) fn numbers(&self) -> u64 {
        self.int32s + self.int64s + self.doubles
    }
}

impl Level {
    /// The values of one key.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Values> {
        self.index.get(key).and_then(|&index| self.keys.get(index)).map(|(_, values)| values)
    }

    /// How many paths are remembered here and further in.
    fn paths(&self) -> usize {
        self.keys.iter().map(|(_, values)| 1 + values.paths()).sum()
    }

    /// Counts one document, whose bytes have been validated. `paths_left` is how many more distinct paths may
    /// be remembered; embedded documents whose keys find no room count as unbounded.
    pub(super) fn add(
        &mut self,
        document: &[u8],
        depth: usize,
        paths_left: &mut usize,
    ) -> Result<(), RawError> {
        self.documents += 1;
        if self.unbounded {
            return Ok(());
        }
        for element in Elements::new(document)? {
            let element = element?;
            let index = match self.index.get(element.key) {
                Some(&index) => index,
                None => {
                    if *paths_left == 0 || (depth > 1 && self.keys.len() == KEYS_MAX) {
                        if depth > 1 {
                            *paths_left += self.paths();
                            *self = Level { documents: self.documents, unbounded: true, ..Level::default() };
                            return Ok(());
                        }
                        continue;
                    }
                    *paths_left -= 1;
                    self.index.insert(element.key.into(), self.keys.len());
                    self.keys.push((element.key.into(), Values::default()));
                    self.keys.len() - 1
                }
            };
            if let Some((_, values)) = self.keys.get_mut(index) {
                values.add(element.value, depth, paths_left)?;
            }
        }
        Ok(())
    }
}

impl Values {
    fn add(&mut self, value: RawValue<'_>, depth: usize, paths_left: &mut usize) -> Result<(), RawError> {
        match value.tag {
            tag::NULL => self.nulls += 1,
            tag::BOOLEAN => self.booleans += 1,
            tag::INT32 | tag::INT64 => self.add_integer(value),
            tag::DOUBLE => {
                self.doubles += 1;
                self.fractional += u64::from(value.as_f64().is_some_and(|value| value.fract() != 0.0));
            }
            tag::DECIMAL128 => self.add_decimal(value),
            tag::DATE => self.dates += 1,
            tag::STRING | tag::SYMBOL => {
                self.strings += 1;
                self.notice(value.as_str_bytes().unwrap_or_default());
                self.add_bytes(value.as_str_bytes());
            }
            tag::TIMESTAMP => self.timestamps += 1,
            tag::OBJECT_ID => self.object_ids += 1,
            tag::BINARY => {
                if let Some((subtype, bytes)) = value.as_binary() {
                    *self.binaries.entry((subtype, bytes.len() == 16)).or_default() += 1;
                    self.add_bytes(Some(bytes));
                }
            }
            tag::DOCUMENT => {
                self.documents += 1;
                self.add_bytes(Some(value.bytes));
                if depth < LEVEL_MAX {
                    self.inside.get_or_insert_default().add(value.bytes, depth + 1, paths_left)?;
                }
            }
            tag::ARRAY => {
                self.arrays += 1;
                if depth < LEVEL_MAX {
                    let elements = self.elements.get_or_insert_default();
                    for element in Elements::new(value.bytes)? {
                        elements.add(element?.value, depth + 1, paths_left)?;
                    }
                }
            }
            _ => self.others += 1,
        }
        Ok(())
    }

    fn add_bytes(&mut self, bytes: Option<&[u8]>) {
        self.bytes += bytes.map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }

    fn add_integer(&mut self, value: RawValue<'_>) {
        let narrow = value.tag == tag::INT32;
        self.int32s += u64::from(narrow);
        self.int64s += u64::from(!narrow);
        let Some(value) = value.as_integer() else { return };
        let magnitude = value.unsigned_abs();
        // A double holds 53 significant bits.
        let inexact = magnitude != 0 && 64 - magnitude.leading_zeros() - magnitude.trailing_zeros() > 53;
        self.inexact += u64::from(inexact);
        *self.digits.entry((digits(magnitude.into()), 0)).or_default() += 1;
    }

    fn add_decimal(&mut self, value: RawValue<'_>) {
        self.decimals += 1;
        // The longest text of a decimal; an average is not worth making the text for.
        self.bytes += 16;
        let Some(Decimal::Finite { coefficient, exponent, .. }) = value.as_decimal() else { return };
        let places = exponent.min(0).unsigned_abs();
        let whole = digits(coefficient).saturating_add_signed(exponent);
        let whole = if coefficient == 0 { 0 } else { whole };
        *self.digits.entry((whole, places)).or_default() += 1;
    }
}

/// Decimal digits of a number; zero has none.
fn digits(value: u128) -> u32 {
    value.checked_ilog10().map_or(0, |log| log + 1)
}
