//! How many values went to the extra column, by field and reason.

use std::collections::BTreeMap;
use std::collections::HashMap;

use crate::extra::Misfit;

/// Fields told apart; collections with unbounded keys would otherwise grow the report without end.
const FIELDS_MAX: usize = 1000;
/// The name under which further fields are counted together.
const OTHERS: &str = "(other fields)";

/// Values in the extra column, counted by field and reason.
#[derive(Clone, Debug, Default)]
pub struct ExtraCounts {
    fields: HashMap<Vec<u8>, HashMap<Misfit, u64>>,
    /// Notes of rows not yet known to stay: of the run at hand, then of the row at hand.
    run: Vec<(Vec<u8>, Misfit)>,
    run_rows_end: usize,
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

    pub(super) fn note(&mut self, path: &[u8], misfit: Misfit) {
        self.run.push((path.to_vec(), misfit));
    }

    pub(super) fn row_done(&mut self) {
        self.run_rows_end = self.run.len();
    }

    pub(super) fn row_undone(&mut self) {
        self.run.truncate(self.run_rows_end);
    }

    /// The run will be decoded again.
    pub(super) fn forget(&mut self) {
        self.run.clear();
        self.run_rows_end = 0;
    }

    /// The run stays.
    pub(super) fn commit(&mut self) {
        for (path, misfit) in std::mem::take(&mut self.run) {
            self.add(&path, misfit, 1);
        }
        self.run_rows_end = 0;
    }

    fn add(&mut self, path: &[u8], misfit: Misfit, count: u64) {
        let path = if self.fields.len() >= FIELDS_MAX && !self.fields.contains_key(path) {
            OTHERS.as_bytes()
        } else {
            path
        };
        if let Some(reasons) = self.fields.get_mut(path) {
            *reasons.entry(misfit).or_default() += count;
        } else {
            self.fields.insert(path.to_vec(), HashMap::from([(misfit, count)]));
        }
    }
}
