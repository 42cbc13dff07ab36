//! The collection from its beginning to its end, part by part, each with the rows that belong to it.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use zenith_extract::{ChangeSource, DocumentReader, PartitionStrategy, ReadConcern, ReadOptions, Source};
use zenith_state::{Mismatches, StateStore};
use zenith_transport::{Scalar, Sink};

use super::compare::Comparer;
use super::mismatch::Mismatch;
use super::part::Part;
use super::rows::{self, Rows, hash_of};
use super::surplus::Buckets;
use super::{Difference, Differences, Finding, Verification, Verifier, VerifyOptions};
use crate::layout::Layout;
use crate::load::keys::id_of;
use crate::progress::to_u64;
use crate::{EngineError, Result};

/// Parts under way: one is asked for while another is compared.
const SIDE_BY_SIDE: usize = 2;

/// What was found of a part.
#[derive(Debug, Default)]
struct Found {
    documents: u64,
    mismatches: Mismatches,
    /// Hashes of the keys that have rows, one for each document.
    hashes: Vec<u64>,
    differences: Vec<Difference>,
}

/// A document held against the rows of its key.
pub(super) enum Outcome {
    /// One of them is the document.
    Same { hash: u64, mismatches: Mismatches },
    /// There is one row, and it is not.
    Differing { hash: u64, mismatch: Box<Mismatch> },
    /// There is none of it.
    NoRow,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Verifier<S, K, T> {
    /// Compares all documents, or a sample.
    pub(super) async fn pass(&self, options: VerifyOptions) -> Result<(Verification, Differences)> {
        let (mut differences, mut buckets) = (Differences::default(), Buckets::default());
        let mut found = Verification { is_of_sample: options.sample.is_some(), ..Verification::default() };
        let parts = match options.sample {
            Some(documents) => self.sample(documents).await?.boxed(),
            None => self.collection().await?.boxed(),
        };
        let mut compared = parts.map_ok(|part| self.part(Arc::new(part))).try_buffered(SIDE_BY_SIDE).boxed();
        while let Some(part) = self.context.unless_stopped(compared.try_next()).await?? {
            found.source_rows += part.documents;
            found.target_rows += to_u64(part.hashes.len());
            found.mismatches.add_bounded(&part.mismatches);
            part.hashes.iter().for_each(|hash| buckets.add(*hash));
            part.differences.into_iter().for_each(|difference| differences.add(difference));
        }
        drop(compared);
        if options.sample.is_none() {
            found.target_rows = self.count().await?;
            if !self.context.settings.is_archive() {
                self.surplus(&buckets, &mut differences).await?;
            }
        }
        Ok((found, differences))
    }

    async fn sample(
        &self,
        documents: u64,
    ) -> Result<impl stream::Stream<Item = Result<Part>> + Send + use<S, K, T>> {
        let wanted = usize::try_from(documents).unwrap_or(usize::MAX);
        let context = &self.context;
        let sample = context.asking(|| context.source.sample(&context.namespace, wanted)).await?;
        let mut parts = vec![Part::default()];
        for document in &sample {
            if parts.last().is_none_or(Part::is_full) {
                parts.push(Part::default());
            }
            if let Some(part) = parts.last_mut() {
                self.comparer.add(part, document.as_bytes());
            }
        }
        Ok(stream::iter(parts.into_iter().map(Ok)))
    }

    /// The collection by `_id`, so that the rows of a part lie together in the table, too.
    async fn collection(&self) -> Result<impl stream::Stream<Item = Result<Part>> + Send + use<S, K, T>> {
        let context = Arc::clone(&self.context);
        let namespace = &context.namespace;
        let partitions =
            context.asking(|| context.source.partitions(namespace, 1, PartitionStrategy::IdRanges)).await?;
        let read_concern = if context.settings.mode.follows_changes() {
            ReadConcern::Majority
        } else {
            ReadConcern::Configured
        };
        let options = ReadOptions { read_concern, ..ReadOptions::new(context.memory.cursor()) };
        let mut readers = Vec::new();
        for partition in &partitions {
            readers.push(context.asking(|| context.source.open(partition, options.clone())).await?);
        }
        let comparer = Arc::clone(&self.comparer);
        let begin = (context, comparer, readers, Part::default());
        Ok(stream::try_unfold(begin, |(context, comparer, mut readers, mut part)| async move {
            while let Some(reader) = readers.last_mut() {
                let batch = context.unless_stopped(reader.next()).await?.map_err(EngineError::Reading)?;
                let Some(batch) = batch else {
                    readers.pop();
                    continue;
                };
                context.live.counters.read(batch.len(), batch.byte_len());
                batch.documents().for_each(|document| comparer.add(&mut part, document));
                if part.is_full() {
                    return Ok(Some((part, (context, comparer, readers, Part::default()))));
                }
            }
            let is_empty = part.is_empty();
            Ok((!is_empty).then(|| (part, (context, comparer, readers, Part::default()))))
        }))
    }

    async fn part(&self, part: Arc<Part>) -> Result<Found> {
        let (keys, rows) = self.rows(&part).await?;
        let comparer = Arc::clone(&self.comparer);
        let outcomes = {
            let part = Arc::clone(&part);
            let compare = move || {
                let documents = part.documents();
                let of = |(document, key): (&&[u8], &Option<Scalar>)| {
                    outcome(&comparer, document, key.as_ref(), &rows)
                };
                documents.iter().zip(&keys).map(of).collect::<Vec<Outcome>>()
            };
            blocking(compare).await?
        };
        let documents = part.documents();
        // A log keeps the rows of before where a change is a dead letter.
        let is_log = self.context.layout() == Layout::Log;
        let may_be_letter = |outcome: &Outcome| match outcome {
            Outcome::Same { .. } => false,
            Outcome::Differing { .. } => is_log,
            Outcome::NoRow => true,
        };
        let absent = documents.iter().zip(&outcomes).filter(|(_, outcome)| may_be_letter(outcome));
        let absent: Vec<&[u8]> = absent.map(|(document, _)| *document).collect();
        let mut letters = self.letters(&absent).await?.into_iter();
        let mut found = Found { documents: to_u64(documents.len()), ..Found::default() };
        for (document, outcome) in documents.iter().zip(outcomes) {
            let letter = if may_be_letter(&outcome) { letters.next().flatten() } else { None };
            if let (Outcome::Differing { hash, .. }, true) = (&outcome, letter.is_some()) {
                found.hashes.push(*hash);
            }
            if let Some(reason) = letter {
                *found.mismatches.documents.entry(reason).or_default() += 1;
                continue;
            }
            let finding = match outcome {
                Outcome::Same { hash, mismatches } => {
                    found.hashes.push(hash);
                    found.mismatches.add_bounded(&mismatches);
                    continue;
                }
                Outcome::Differing { hash, mismatch } => {
                    found.hashes.push(hash);
                    Finding::Differing(mismatch)
                }
                Outcome::NoRow => Finding::Missing,
            };
            found.differences.push(Difference { id: id_of(document), finding });
        }
        Ok(found)
    }

    /// The keys of documents and the rows of these keys.
    pub(super) async fn rows(&self, part: &Arc<Part>) -> Result<(Vec<Option<Scalar>>, Rows)> {
        let keys = {
            let (maker, part) = (Arc::clone(&self.keys), Arc::clone(part));
            blocking(move || maker.of(&part.documents())).await??
        };
        let rows = rows::read(&self.context, &self.comparer.schema, keys.iter().flatten().cloned()).await?;
        Ok((keys, rows))
    }
}

/// Runs what would keep others from running.
pub(super) async fn blocking<V: Send + 'static>(work: impl FnOnce() -> V + Send + 'static) -> Result<V> {
    tokio::task::spawn_blocking(work).await.map_err(|_| EngineError::Worker { worker: "the comparison" })
}

/// Compares a document with the rows of its key, of which views may give several; of an unwound one with that of its number.
pub(super) fn outcome(comparer: &Comparer, document: &[u8], key: Option<&Scalar>, rows: &Rows) -> Outcome {
    let Some(key) = key else { return Outcome::NoRow };
    let read = comparer.read(document);
    let number = read.as_ref().ok().and_then(|read| comparer.number(read));
    let mut differing = None;
    let same = rows.find(key, |batch, row| {
        if number.is_some() && comparer.number_of_row(batch, row) != number {
            return None;
        }
        let hash = hash_of(batch, row);
        let compared = match &read {
            Ok(read) => comparer.compare(read, batch, row),
            Err(reason) => Err(Box::new(Mismatch {
                path: String::new(),
                source: format!("a document that cannot be read: {reason}"),
                target: "a row".to_owned(),
            })),
        };
        match compared {
            Ok(mismatches) => Some(Outcome::Same { hash, mismatches }),
            Err(mismatch) => {
                differing.get_or_insert(Outcome::Differing { hash, mismatch });
                None
            }
        }
    });
    // Of several rows nobody knows which would be the document's.
    same.or(differing.filter(|_| number.is_some() || rows.count(key) == 1)).unwrap_or(Outcome::NoRow)
}
