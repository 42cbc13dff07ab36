//! What a sample holds: counts of types and sizes for every path, before anything is decided.
//!
//! Memory is bounded by the number of distinct paths, which has a limit of its own, and not by the number
//! of documents.

use std::collections::{BTreeMap, HashMap, HashSet};

use zenith_bson::{Decimal, Elements, RawError, RawValue, tag};

use super::numbers::{self, Thinned};
use super::{InferOptions, LEVEL_MAX};
use crate::decode::convert;
use crate::schema::DateRange;

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
    /// Whether there were too many distinct keys for columns.
    pub(super) unbounded: bool,
}

/// The most distinct strings of a field that are counted separately.
const DISTINCT_MAX: usize = 256;
/// Strings a field must have had before their repetition is judged.
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
    /// Doubles that no integer column holds: fractions, infinities, NaN, −0, and beyond ±2^53.
    pub(super) fractional: u64,
    /// Some of these.
    pub(super) fractions: Thinned,
    pub(super) decimals: u64,
    /// Decimals that are 64-bit integers.
    pub(super) decimal_integers: u64,
    /// Decimals that are written as a double is.
    pub(super) decimal_doubles: u64,
    /// Numbers by how many digits they have before and after the point: finite decimals, integers, and the
    /// doubles that are integers.
    pub(super) digits: BTreeMap<(u32, u32), u64>,
    pub(super) dates: u64,
    /// Dates that the target does not hold.
    pub(super) far_dates: u64,
    pub(super) strings: u64,
    /// The distinct strings, until there are too many to call them few.
    pub(super) distinct: HashSet<Box<[u8]>>,
    pub(super) timestamps: u64,
    pub(super) object_ids: u64,
    /// Binary values by subtype and whether they have 16 bytes.
    pub(super) binaries: BTreeMap<(u8, bool), u64>,
    pub(super) documents: u64,
    /// Documents in which nothing but null is found.
    pub(super) blank_documents: u64,
    pub(super) inside: Option<Box<Level>>,
    pub(super) arrays: u64,
    /// Arrays without an element.
    pub(super) empty_arrays: u64,
    pub(super) elements: Option<Box<Values>>,
    /// Values of types that have no column.
    pub(super) others: u64,
    /// Encoded bytes of all values of variable size: text, binary data, documents, without prefixes.
    pub(super) bytes: u64,
}

/// What holds for a whole sample while it is counted.
#[derive(Debug)]
pub(super) struct Counting {
    /// How many more distinct paths may be remembered.
    pub(super) paths_left: usize,
    /// The dates that the target holds.
    pub(super) dates: DateRange,
}

impl Counting {
    pub(super) fn new(options: &InferOptions) -> Counting {
        // Distinct paths that are remembered: enough to choose columns from, and a bound on memory and time.
        let paths_left = options.leaves_max.saturating_mul(8).max(1_024);
        Counting { paths_left, dates: options.dates }
    }
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
        self.integers() + self.doubles
    }

    pub(super) fn integers(&self) -> u64 {
        self.int32s + self.int64s
    }

    /// How many documents have the key, with any value.
    pub(super) fn occurrences(&self) -> u64 {
        self.count() + self.nulls
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

    /// Counts one document, whose bytes have been validated. Embedded documents whose keys find no room among
    /// the paths that may be remembered count as unbounded.
    pub(super) fn add(
        &mut self,
        document: &[u8],
        depth: usize,
        counting: &mut Counting,
    ) -> Result<(), RawError> {
        self.documents += 1;
        if self.unbounded {
            return Ok(());
        }
        // Documents mostly have their keys in the same order.
        let mut expected = 0;
        for element in Elements::new(document)? {
            let element = element?;
            let there = match self.keys.get(expected) {
                Some((key, _)) if **key == *element.key => Some(expected),
                _ => self.index.get(element.key).copied(),
            };
            let index = match there {
                Some(index) => index,
                None => {
                    if counting.paths_left == 0 || (depth > 1 && self.keys.len() == KEYS_MAX) {
                        if depth > 1 {
                            counting.paths_left += self.paths();
                            *self = Level { documents: self.documents, unbounded: true, ..Level::default() };
                            return Ok(());
                        }
                        continue;
                    }
                    counting.paths_left -= 1;
                    self.index.insert(element.key.into(), self.keys.len());
                    self.keys.push((element.key.into(), Values::default()));
                    self.keys.len() - 1
                }
            };
            expected = index + 1;
            if let Some((_, values)) = self.keys.get_mut(index) {
                values.add(element.value, depth, counting)?;
            }
        }
        Ok(())
    }
}

impl Values {
    pub(super) fn add(
        &mut self,
        value: RawValue<'_>,
        depth: usize,
        counting: &mut Counting,
    ) -> Result<(), RawError> {
        match value.tag {
            tag::NULL => self.nulls += 1,
            tag::BOOLEAN => self.booleans += 1,
            tag::INT32 | tag::INT64 => self.add_integer(value),
            tag::DOUBLE => self.add_double(value),
            tag::DECIMAL128 => self.add_decimal(value),
            tag::DATE => {
                self.dates += 1;
                let held = value.as_date_ms().is_some_and(|ms| counting.dates.holds(ms));
                self.far_dates += u64::from(!held);
            }
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
                self.blank_documents += u64::from(is_blank(value.bytes)?);
                if depth < LEVEL_MAX {
                    self.inside.get_or_insert_default().add(value.bytes, depth + 1, counting)?;
                }
            }
            tag::ARRAY => {
                self.arrays += 1;
                let mut elements = Elements::new(value.bytes)?.peekable();
                self.empty_arrays += u64::from(elements.peek().is_none());
                if depth < LEVEL_MAX {
                    let values = self.elements.get_or_insert_default();
                    for element in elements {
                        values.add(element?.value, depth + 1, counting)?;
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
        *self.digits.entry(numbers::digits(magnitude.into(), 0)).or_default() += 1;
    }

    fn add_double(&mut self, value: RawValue<'_>) {
        self.doubles += 1;
        let Some(value) = value.as_f64() else { return };
        if let Some(integer) = convert::integral(value) {
            *self.digits.entry(numbers::digits(integer.unsigned_abs().into(), 0)).or_default() += 1;
        } else {
            self.fractional += 1;
            self.fractions.add(value);
        }
    }

    fn add_decimal(&mut self, value: RawValue<'_>) {
        self.decimals += 1;
        // The longest text of a decimal; an average is not worth making the text for.
        self.bytes += 16;
        let Some(value) = value.as_decimal() else { return };
        self.decimal_integers += u64::from(convert::decimal_as_integer(value).is_some());
        self.decimal_doubles += u64::from(numbers::is_written_as_double(value));
        if let Decimal::Finite { coefficient, exponent, .. } = value {
            *self.digits.entry(numbers::digits(coefficient, exponent)).or_default() += 1;
        }
    }
}

/// Whether nothing but null is in a document.
fn is_blank(document: &[u8]) -> Result<bool, RawError> {
    for element in Elements::new(document)? {
        if !element?.value.is_null() {
            return Ok(false);
        }
    }
    Ok(true)
}
