//! How many values went to the extra column, by field and reason.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hasher as _};

use crate::extra::Misfit;
use crate::raw::Elements;

/// Fields told apart; collections with unbounded keys would otherwise grow the report without end.
const FIELDS_MAX: usize = 1000;
/// The name under which further fields are counted together.
const OTHERS: &str = "(other fields)";

/// Documents kept of each kind of misfit that is a surprise.
const WITNESSES_MAX: usize = 16;
/// Kinds of misfits of which documents are kept.
const SURPRISES_MAX: usize = 64;
/// Bytes of a document that is kept.
const WITNESS_BYTES_MAX: usize = 64 * 1024;

/// Values in the extra column, counted by field and reason.
#[derive(Clone, Debug, Default)]
pub struct ExtraCounts {
    fields: HashMap<Vec<u8>, HashMap<Misfit, u64>>,
    /// Notes of rows not yet known to stay: of the run at hand, then of the row at hand.
    run: Vec<(Vec<u8>, Misfit)>,
    run_rows_end: usize,
    watched: Option<Watched>,
}

/// What is expected, and what came beside it.
#[derive(Clone, Debug, Default)]
struct Watched {
    known: HashSet<(Vec<u8>, Misfit)>,
    witnesses: Vec<Witnesses>,
}

#[derive(Clone, Debug)]
struct Witnesses {
    path: Vec<u8>,
    misfit: Misfit,
    /// Those with the smallest hashes, with these: whichever of them is read first, they are the same.
    documents: Vec<(u64, Vec<u8>)>,
    /// How often it had come when it was told last.
    told: u64,
}

/// A kind of misfit that was not expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surprise {
    /// The dotted path of the field.
    pub path: String,
    /// Why its values do not fit, in words.
    pub reason: String,
    /// How often it came.
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

    pub(super) fn note(&mut self, path: &[u8], misfit: Misfit) {
        self.run.push((path.to_vec(), misfit));
    }

    pub(super) fn row_done(&mut self, document: &[u8]) {
        if let Some(watched) = &mut self.watched
            && document.len() <= WITNESS_BYTES_MAX
        {
            self.run[self.run_rows_end..]
                .iter()
                .for_each(|(path, misfit)| watched.see(path, *misfit, document));
        }
        self.run_rows_end = self.run.len();
    }

    /// What has been counted so far is what is to be expected, and counts no more.
    pub(super) fn learned(&mut self) {
        let fields = std::mem::take(&mut self.fields);
        if let Some(watched) = &mut self.watched {
            for (path, reasons) in fields {
                watched.known.extend(reasons.into_keys().map(|misfit| (path.clone(), misfit)));
            }
            watched.witnesses.clear();
        }
        self.forget();
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watched.is_some()
    }

    pub(super) fn watch(&mut self) {
        self.watched.get_or_insert_default();
    }

    /// Those that came at least so often, and twice as often as when they were told last.
    pub(super) fn surprises(&mut self, least: u64) -> Vec<Surprise> {
        let Some(watched) = &mut self.watched else { return Vec::new() };
        let mut surprises = Vec::new();
        for witnesses in &mut watched.witnesses {
            let reasons = self.fields.get(&witnesses.path);
            let count = reasons.and_then(|reasons| reasons.get(&witnesses.misfit)).copied().unwrap_or(0);
            if count < least.max(1).max(witnesses.told.saturating_mul(2)) {
                continue;
            }
            witnesses.told = count;
            surprises.push(witnesses.surprise(count));
        }
        surprises
    }

    /// All of them.
    pub(super) fn all_surprises(&mut self) -> Vec<Surprise> {
        if let Some(watched) = &mut self.watched {
            watched.witnesses.iter_mut().for_each(|witnesses| witnesses.told = 0);
        }
        self.surprises(1)
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

impl Watched {
    /// Keeps the document of a misfit that is not expected, and that columns of other types could mend.
    fn see(&mut self, path: &[u8], misfit: Misfit, document: &[u8]) {
        if matches!(misfit, Misfit::Duplicate | Misfit::NotPlainJson | Misfit::Lone) {
            return;
        }
        let Some(document) = alone(path, document) else { return };
        let hash = hash(&document);
        let known = self.witnesses.iter_mut().find(|known| known.misfit == misfit && known.path == path);
        if let Some(witnesses) = known {
            let is_wanted = witnesses.documents.last().is_none_or(|(last, _)| hash < *last);
            if is_wanted || witnesses.documents.len() < WITNESSES_MAX {
                witnesses.documents.push((hash, document));
                keep_witnesses(&mut witnesses.documents);
            }
        } else if self.witnesses.len() < SURPRISES_MAX && !self.known.contains(&(path.to_vec(), misfit)) {
            let documents = vec![(hash, document)];
            self.witnesses.push(Witnesses { path: path.to_vec(), misfit, documents, told: 0 });
        }
    }
}

impl Witnesses {
    fn surprise(&self, count: u64) -> Surprise {
        Surprise {
            path: String::from_utf8_lossy(&self.path).into_owned(),
            reason: self.misfit.to_string(),
            count,
            documents: self.documents.clone(),
        }
    }
}

/// A document with nothing but the key at the top of `path`: what the other fields have is no matter of this one.
fn alone(path: &[u8], document: &[u8]) -> Option<Vec<u8>> {
    let of_path = |key: &[u8]| path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest[0] == b'.');
    let element = Elements::new(document).ok()?.map_while(Result::ok).find(|element| of_path(element.key))?;
    let mut alone = vec![0; 4];
    alone.push(element.value.tag);
    alone.extend_from_slice(element.key);
    alone.push(0);
    alone.extend_from_slice(element.value.bytes);
    alone.push(0);
    let length = u32::try_from(alone.len()).ok()?;
    alone[..4].copy_from_slice(&length.to_le_bytes());
    Some(alone)
}

/// The same for the same bytes, in every run.
fn hash(document: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(document);
    hasher.finish()
}
