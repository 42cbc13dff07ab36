//! Some `_id`s of both ends, looked at anew.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bson::{RawBson, RawDocumentBuf};
use zenith_extract::{ChangeSource, Source};
use zenith_state::{Mismatches, StateStore};
use zenith_transport::{Scalar, Sink};

use super::part::Part;
use super::pass::{Outcome, blocking, outcome};
use super::{Difference, Differences, Finding, Verifier};
use crate::load::keys::id_of;
use crate::{EngineError, Result};

/// `_id`s that are looked up together.
const TOGETHER: usize = 500;

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Verifier<S, K, T> {
    /// Looks at what differed again, and gives back what still does.
    pub(super) async fn again(
        &self,
        before: Differences,
        mismatches: &mut Mismatches,
    ) -> Result<Differences> {
        let mut left = Differences::default();
        let mut ids = Vec::new();
        for difference in before.first {
            match difference.id {
                Some(id) => ids.push(id),
                // Nobody can ask for it.
                None => left.add(difference),
            }
        }
        self.settle(ids, &mut left, mismatches).await?;
        Ok(left)
    }

    /// Looks at some `_id`s, and adds how they differ.
    pub(super) async fn settle(
        &self,
        ids: Vec<RawBson>,
        differences: &mut Differences,
        mismatches: &mut Mismatches,
    ) -> Result<()> {
        for ids in ids.chunks(TOGETHER) {
            self.settle_some(ids, differences, mismatches).await?;
        }
        Ok(())
    }

    async fn settle_some(
        &self,
        ids: &[RawBson],
        differences: &mut Differences,
        mismatches: &mut Mismatches,
    ) -> Result<()> {
        let keys = self.keys_of(ids).await?;
        let part = Arc::new(self.look_up(ids).await?);
        let (keys_found, _) = self.rows(&Arc::clone(&part)).await?;
        // Also the rows of keys that have no document.
        let wanted: Vec<Scalar> = keys.iter().chain(&keys_found).flatten().cloned().collect();
        let rows = super::rows::read(&self.context, &self.comparer.schema, wanted).await?;
        let comparer = Arc::clone(&self.comparer);
        let compare = {
            let part = Arc::clone(&part);
            move || {
                let documents = part.documents();
                let outcomes: Vec<Outcome> = documents
                    .iter()
                    .zip(&keys_found)
                    .map(|(document, key)| outcome(&comparer, document, key.as_ref(), &rows))
                    .collect();
                (outcomes, keys_found, rows)
            }
        };
        let (outcomes, keys_found, rows) = blocking(compare).await?;
        let documents = part.documents();
        let absent = documents.iter().zip(&outcomes).filter(|(_, outcome)| matches!(outcome, Outcome::NoRow));
        let absent: Vec<&[u8]> = absent.map(|(document, _)| *document).collect();
        let mut letters = self.letters(&absent).await?.into_iter();
        let mut numbers: HashMap<Option<&Scalar>, usize> = HashMap::new();
        for ((document, key), outcome) in documents.iter().zip(&keys_found).zip(outcomes) {
            let finding = match outcome {
                Outcome::NoRow => match letters.next().flatten() {
                    Some(reason) => {
                        *mismatches.documents.entry(reason).or_default() += 1;
                        continue;
                    }
                    None => Finding::Missing,
                },
                Outcome::Same { mismatches: found, .. } => {
                    mismatches.add_bounded(&found);
                    *numbers.entry(key.as_ref()).or_default() += 1;
                    continue;
                }
                Outcome::Differing { mismatch, .. } => {
                    *numbers.entry(key.as_ref()).or_default() += 1;
                    Finding::Differing(mismatch)
                }
            };
            differences.add(Difference { id: id_of(document), finding });
        }
        let counted = |key: &Scalar| (numbers.get(&Some(key)).copied(), rows.count(key));
        compare_all(ids.iter().zip(&keys), counted, self.context.settings.is_archive(), differences);
        Ok(())
    }

    /// The keys of `_id`s.
    async fn keys_of(&self, ids: &[RawBson]) -> Result<Vec<Option<Scalar>>> {
        let mut part = Part::default();
        for id in ids {
            let mut document = RawDocumentBuf::new();
            document.append(bson::cstr!("_id"), id.clone());
            part.push(document.as_bytes());
        }
        let keys = Arc::clone(&self.keys);
        blocking(move || keys.of(&part.documents())).await?
    }

    /// The documents of some `_id`s as they are now.
    async fn look_up(&self, ids: &[RawBson]) -> Result<Part> {
        let context = &self.context;
        let (mut part, mut most, mut rest) = (Part::default(), ids.len(), ids);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(most.min(rest.len()));
            let reply_budget = context.memory.lookups();
            let found =
                context.asking(|| context.source.lookup(&context.namespace, now, None, reply_budget)).await;
            match found {
                Ok(batches) => {
                    batches
                        .iter()
                        .flat_map(|batch| batch.documents())
                        .for_each(|document| self.comparer.add(&mut part, document));
                    rest = later;
                }
                Err(EngineError::Reading(error)) if error.is_lookup_too_large() && now.len() > 1 => {
                    most = now.len() / 2;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(part)
    }
}

/// Adds differences where there are not as many rows of a key as documents that have one; more than one where a view gives an
/// `_id` several times. An archive has rows of documents that are gone.
fn compare_all<'a>(
    ids: impl Iterator<Item = (&'a RawBson, &'a Option<Scalar>)>,
    counted: impl Fn(&Scalar) -> (Option<usize>, usize),
    is_archive: bool,
    differences: &mut Differences,
) {
    let mut seen = HashSet::new();
    for (id, key) in ids {
        let Some(key) = key.as_ref().filter(|key| seen.insert(*key)) else { continue };
        match counted(key) {
            (None, _) if is_archive => {}
            (documents, rows) => compare_numbers(id, documents.unwrap_or(0), rows, differences),
        }
    }
}

/// Adds a difference for each row that a document lacks, or that lacks a document.
fn compare_numbers(id: &RawBson, documents: usize, rows: usize, differences: &mut Differences) {
    let finding = if rows > documents { Finding::Surplus } else { Finding::Fewer };
    for _ in 0..rows.abs_diff(documents) {
        differences.add(Difference { id: Some(id.clone()), finding: finding.clone() });
    }
}
