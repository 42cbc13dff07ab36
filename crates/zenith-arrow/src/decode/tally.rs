//! Counts what goes to the extra column while rows may still be taken back, and keeps witnesses of what is new.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hasher as _};

use zenith_bson::{Element, Elements};

use super::counts::{ExtraCounts, FIELDS_MAX, OTHERS, Surprise, WITNESSES_MAX, keep_witnesses};
use crate::fit::MismatchReason;

/// Kinds of mismatches of which documents are kept.
const SURPRISES_MAX: usize = 64;
/// Fields of the top level without a column that are told apart.
const TOP_FIELDS_MAX: usize = 16 * FIELDS_MAX;
/// Bytes of a document that is kept.
const WITNESS_BYTES_MAX: usize = 64 * 1024;

/// Values in the extra column, by the number of their field and the reason.
#[derive(Debug, Default)]
pub(super) struct Tally {
    fields: Vec<Counted>,
    /// Fields without a column among them, inside documents and at the top level.
    strangers: usize,
    strangers_at_top: usize,
    /// The field that further ones without a column are counted under.
    others: Option<u32>,
    /// Entries of rows not yet known to stay: of the current run, then of the current row.
    run: Vec<(u32, MismatchReason)>,
    run_rows_end: usize,
    watched: Option<Watched>,
    /// Values without a column are left out: they are no mismatches.
    pub(super) ignores: bool,
    /// Fields that were left out.
    ignored: BTreeSet<String>,
}

/// A field.
#[derive(Debug)]
struct Counted {
    /// The dotted path, without positions in arrays.
    path: Box<[u8]>,
    reasons: Vec<(MismatchReason, u64)>,
}

/// The expected mismatches, and counts of the others.
#[derive(Debug, Default)]
struct Watched {
    known: HashSet<(u32, MismatchReason)>,
    witnesses: Vec<Witnesses>,
}

#[derive(Debug)]
struct Witnesses {
    field: u32,
    mismatch: MismatchReason,
    /// Those with the smallest hashes, with these: whichever of them is read first, they are the same.
    documents: Vec<(u64, Vec<u8>)>,
    /// How often it had occurred when it was last reported.
    told: u64,
}

impl Tally {
    /// The number of the field at this path.
    pub(super) fn field(&mut self, path: &[u8]) -> u32 {
        let number = u32::try_from(self.fields.len()).unwrap_or(u32::MAX);
        self.fields.push(Counted { path: path.into(), reasons: Vec::new() });
        number
    }

    /// The number of the field without a column at this path, and whether it is its own.
    ///
    /// Those of the top level have a number of their own for longer: they may get columns.
    pub(super) fn stranger(&mut self, path: &[u8], is_at_top: bool) -> (u32, bool) {
        let (count, most) = match is_at_top {
            true => (&mut self.strangers_at_top, TOP_FIELDS_MAX),
            false => (&mut self.strangers, FIELDS_MAX),
        };
        if *count < most {
            *count += 1;
            return (self.field(path), true);
        }
        let others = self.others.unwrap_or_else(|| self.field(OTHERS.as_bytes()));
        self.others = Some(others);
        (others, false)
    }

    pub(super) fn note(&mut self, field: u32, mismatch: MismatchReason) {
        self.run.push((field, mismatch));
    }

    /// How much has been noted of the current run.
    pub(super) fn counted(&self) -> usize {
        self.run.len()
    }

    /// Takes all back but so much of the current run.
    pub(super) fn undo(&mut self, counted: usize) {
        self.run.truncate(counted.max(self.run_rows_end));
    }

    pub(super) fn row_done(&mut self, document: &[u8]) {
        if let Some(watched) = &mut self.watched
            && document.len() <= WITNESS_BYTES_MAX
        {
            for &(field, mismatch) in &self.run[self.run_rows_end..] {
                if let Some(counted) = self.fields.get(field as usize) {
                    watched.see(field, &counted.path, mismatch, document);
                }
            }
        }
        self.run_rows_end = self.run.len();
    }

    pub(super) fn row_undone(&mut self) {
        self.run.truncate(self.run_rows_end);
    }

    /// Where the rows end that are known to stay.
    pub(super) fn mark(&self) -> usize {
        self.run_rows_end
    }

    /// Takes back all rows since a mark.
    pub(super) fn rewind(&mut self, mark: usize) {
        self.run_rows_end = self.run_rows_end.min(mark);
        self.row_undone();
    }

    /// The run will be decoded again.
    pub(super) fn forget(&mut self) {
        self.run.clear();
        self.run_rows_end = 0;
    }

    /// The run stays.
    pub(super) fn commit(&mut self) {
        for (field, mismatch) in self.run.drain(..) {
            let Some(counted) = self.fields.get_mut(field as usize) else { continue };
            match counted.reasons.iter_mut().find(|(reason, _)| *reason == mismatch) {
                Some((_, count)) => *count += 1,
                None => counted.reasons.push((mismatch, 1)),
            }
        }
        self.run_rows_end = 0;
    }

    /// Whether something has been noted of the current row.
    pub(super) fn has_noted(&self) -> bool {
        self.run.len() > self.run_rows_end
    }

    /// What has been counted since the last call.
    pub(super) fn take(&mut self) -> ExtraCounts {
        let mut counts = ExtraCounts::default();
        for counted in &mut self.fields {
            for (mismatch, count) in counted.reasons.drain(..) {
                if !self.ignores || mismatch != MismatchReason::NoColumn {
                    counts.add(&counted.path, mismatch, count);
                } else if self.ignored.len() < FIELDS_MAX {
                    self.ignored.insert(String::from_utf8_lossy(&counted.path).into_owned());
                }
            }
        }
        counts
    }

    /// The fields that were left out of what has been taken since the last call.
    pub(super) fn take_ignored(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.ignored)
    }

    pub(super) fn watch(&mut self) {
        self.watched.get_or_insert_default();
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watched.is_some()
    }

    /// What has been counted so far is what is to be expected, and counts no more.
    pub(super) fn learned(&mut self) {
        for (field, counted) in (0..).zip(&mut self.fields) {
            let reasons = std::mem::take(&mut counted.reasons);
            if let Some(watched) = &mut self.watched {
                watched.known.extend(reasons.into_iter().map(|(mismatch, _)| (field, mismatch)));
            }
        }
        if let Some(watched) = &mut self.watched {
            watched.witnesses.clear();
        }
        self.forget();
    }

    /// Those that occurred at least so often, and twice as often as when they were last reported.
    pub(super) fn surprises(&mut self, least: u64) -> Vec<Surprise> {
        let Some(watched) = &mut self.watched else { return Vec::new() };
        let mut surprises = Vec::new();
        for witnesses in &mut watched.witnesses {
            let Some(counted) = self.fields.get(witnesses.field as usize) else { continue };
            let reason = counted.reasons.iter().find(|(reason, _)| *reason == witnesses.mismatch);
            let count = reason.map_or(0, |(_, count)| *count);
            if count < least.max(1).max(witnesses.told.saturating_mul(2)) {
                continue;
            }
            witnesses.told = count;
            surprises.push(Surprise {
                path: String::from_utf8_lossy(&counted.path).into_owned(),
                reason: witnesses.mismatch.to_string(),
                count,
                documents: witnesses.documents.clone(),
            });
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
}

impl Watched {
    /// Keeps the document of a mismatch that is not expected, and that columns of other types could hold.
    fn see(&mut self, field: u32, path: &[u8], mismatch: MismatchReason, document: &[u8]) {
        let is_beyond_columns = matches!(
            mismatch,
            MismatchReason::Duplicate
                | MismatchReason::NotPlainJson
                | MismatchReason::Lone
                | MismatchReason::OnlyNulls
        );
        if is_beyond_columns || self.known.contains(&(field, mismatch)) {
            return;
        }
        let index =
            self.witnesses.iter().position(|known| known.field == field && known.mismatch == mismatch);
        if index.is_none() && self.witnesses.len() >= SURPRISES_MAX {
            return;
        }
        let Some(element) = top(path, document) else { return };
        let hash = hash(element);
        let Some(witnesses) = index.and_then(|index| self.witnesses.get_mut(index)) else {
            let documents = alone(element).map(|alone| (hash, alone)).into_iter().collect();
            return self.witnesses.push(Witnesses { field, mismatch, documents, told: 0 });
        };
        let is_wanted = witnesses.documents.last().is_none_or(|(last, _)| hash < *last);
        if is_wanted || witnesses.documents.len() < WITNESSES_MAX {
            witnesses.documents.extend(alone(element).map(|alone| (hash, alone)));
            keep_witnesses(&mut witnesses.documents);
        }
    }
}

/// The element of `document` that `path` leads into.
fn top<'d>(path: &[u8], document: &'d [u8]) -> Option<Element<'d>> {
    let of_path = |key: &[u8]| path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest[0] == b'.');
    Elements::new(document).ok()?.map_while(Result::ok).find(|element| of_path(element.key))
}

/// A document with nothing but this element: the other fields do not matter.
fn alone(element: Element<'_>) -> Option<Vec<u8>> {
    element.value.in_document(element.key)
}

/// The same for the same element, in every run.
fn hash(element: Element<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u8(element.value.tag);
    hasher.write(element.key);
    hasher.write(element.value.bytes);
    hasher.finish()
}
