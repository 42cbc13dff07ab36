//! Counts of values in the extra column, by field and reason; and kinds of mismatches that were not expected.

use std::collections::{BTreeMap, HashMap};

use crate::fit::MismatchReason;

/// Fields that are counted separately; collections with unbounded keys would otherwise grow the report without bound.
pub(crate) const FIELDS_MAX: usize = 1000;
/// The name under which further fields are counted together.
pub(crate) const OTHERS: &str = "(other fields)";
/// Documents kept of each kind of mismatch that is a surprise.
pub(super) const WITNESSES_MAX: usize = 16;

/// Values in the extra column, counted by field and reason.
#[derive(Clone, Debug, Default)]
pub struct ExtraCounts {
    fields: HashMap<Vec<u8>, HashMap<MismatchReason, u64>>,
}

/// A kind of mismatch that was not expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surprise {
    /// The dotted path of the field.
    pub path: String,
    /// Why its values do not fit, in words.
    pub reason: String,
    /// How often it occurred.
    pub count: u64,
    /// The field in some of the documents, as documents of it alone, by their hashes: those with the smallest ones.
    pub documents: Vec<(u64, Vec<u8>)>,
}

/// Keeps those of the documents that have the smallest hashes, in their order.
pub fn keep_witnesses(documents: &mut Vec<(u64, Vec<u8>)>) {
    documents.sort_unstable();
    documents.dedup();
    documents.truncate(WITNESSES_MAX);
}

impl ExtraCounts {
    /// Counts by dotted path, then by reason in words; both in order.
    #[must_use]
    pub fn by_field(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let mut out = BTreeMap::new();
        for (path, reasons) in &self.fields {
            let reasons = reasons.iter().map(|(reason, count)| (reason.to_string(), *count)).collect();
            out.insert(String::from_utf8_lossy(path).into_owned(), reasons);
        }
        out
    }

    /// All values counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.fields.values().flat_map(HashMap::values).sum()
    }

    /// Adds the counts of another decoder.
    pub fn merge(&mut self, other: &ExtraCounts) {
        for (path, reasons) in &other.fields {
            for (reason, count) in reasons {
                self.add(path, *reason, *count);
            }
        }
    }

    pub(super) fn add(&mut self, path: &[u8], mismatch: MismatchReason, count: u64) {
        let path = if self.fields.len() >= FIELDS_MAX && !self.fields.contains_key(path) {
            OTHERS.as_bytes()
        } else {
            path
        };
        if let Some(reasons) = self.fields.get_mut(path) {
            *reasons.entry(mismatch).or_default() += count;
        } else {
            self.fields.insert(path.to_vec(), HashMap::from([(mismatch, count)]));
        }
    }
}
