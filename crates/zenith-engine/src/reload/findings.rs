//! What a load found that its plan did not expect, and what the next plan makes of it.
//!
//! A plan is made from a sample. A load may meet an `_id` that its key column does not hold, or a kind of value that no
//! document of the sample had, in more rows than can be called rare. Then it ends before anything is published, and is
//! planned anew with what was found.

use std::ops::Range;
use std::sync::Arc;

use zenith_arrow::infer::{InferOptions, infer};
use zenith_arrow::{Field, Kind, Schema, Surprise};

use crate::progress::to_u64;
use crate::{EngineError, Result};

/// One row in so many has a value of an unexpected kind: as rare as it may be.
const RARE: u64 = 1_000;
/// Documents of a sample from which on one document more is no more than one row in [`RARE`].
const SAMPLE_LEAST: usize = 1_000;

/// What loads of one table have found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// A kind of key that holds more than that of the plan before.
    key: Option<Kind>,
    /// Documents with what the sample had not, each as often as its share of the collection makes it in the sample.
    documents: Vec<Vec<u8>>,
}

/// What one load found.
enum Found {
    /// An `_id` that the key column does not hold; a key of this kind does.
    Key(Kind),
    /// Values of kinds that the sample did not have.
    Values(Vec<Vec<u8>>),
}

impl Findings {
    fn learn(&mut self, found: Found) {
        match found {
            Found::Key(kind) => self.key = Some(kind),
            Found::Values(documents) => self.documents.extend(documents),
        }
    }

    /// Takes what a load that failed found, for another one by another plan, and says so.
    ///
    /// # Errors
    /// The failure itself, where another plan would not help.
    pub(crate) fn take(&mut self, error: EngineError, schema: &Schema, table: &str) -> Result<()> {
        let what = error.to_string();
        let found = match error {
            EngineError::Key { namespace, id, found } => {
                let key = schema.fields.iter().find(|field| field.name == "_id").map(|field| &field.kind);
                let wider = wider_key(key, found);
                if key == Some(&wider) {
                    return Err(EngineError::Key { namespace, id, found });
                }
                Found::Key(wider)
            }
            EngineError::Surprise { documents, .. } => Found::Values(documents),
            error => return Err(error),
        };
        self.learn(found);
        tracing::warn!(table, "the load begins anew with other columns: {what}");
        Ok(())
    }

    /// Whether unexpected values are still to be looked for.
    pub(super) fn may_surprise(&self) -> bool {
        self.documents.is_empty()
    }

    pub(super) fn key(&self) -> Option<Kind> {
        self.key.clone()
    }

    /// The documents to infer from: those of the sample, and those found.
    pub(super) fn with<'a>(&'a self, sample: &[&'a [u8]]) -> Vec<&'a [u8]> {
        weighted(sample, &self.documents)
    }
}

/// The sample, as often as it takes for one document to be rare in it, and `found` besides, if there are any.
fn weighted<'a>(sample: &[&'a [u8]], found: &'a [Vec<u8>]) -> Vec<&'a [u8]> {
    let mut documents = sample.to_vec();
    if !found.is_empty() {
        documents = documents.repeat(repeats(sample.len()));
        documents.extend(found.iter().map(Vec::as_slice));
    }
    documents
}

fn repeats(sample: usize) -> usize {
    SAMPLE_LEAST.div_ceil(sample.max(1))
}

/// The documents that a plan was made from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    pub(super) bytes: Vec<u8>,
    /// Where each lies.
    pub(super) ranges: Vec<Range<usize>>,
}

impl Sample {
    /// Those of `documents` that come to no more than `bytes_max`, and at least one.
    pub(super) fn of<'a>(documents: impl IntoIterator<Item = &'a [u8]>, bytes_max: usize) -> Sample {
        let mut sample = Sample::default();
        for document in documents {
            let start = sample.bytes.len();
            if start + document.len() > bytes_max && start > 0 {
                break;
            }
            sample.bytes.extend_from_slice(document);
            sample.ranges.push(start..sample.bytes.len());
        }
        sample
    }

    fn documents(&self) -> Vec<&[u8]> {
        self.ranges.iter().filter_map(|range| self.bytes.get(range.clone())).collect()
    }
}

/// Looks at what does not fit while a table is loaded.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(super) sample: Arc<Sample>,
    /// How columns are chosen from it.
    pub(super) options: InferOptions,
    /// Documents there are thought to be.
    pub(super) expected: Option<u64>,
    /// Decoders that look.
    pub(super) decoders: usize,
}

impl Watch {
    /// How often a decoder has to meet an unexpected kind of value for it to be more than rare in the whole collection;
    /// `None` while that cannot be said.
    pub(super) fn least(&self) -> Option<u64> {
        self.expected.map(|documents| documents / RARE / to_u64(self.decoders.max(1)) + 1)
    }

    /// The same at the end, when so many documents have been read.
    pub(super) fn least_of(&self, read: u64) -> u64 {
        read / RARE / to_u64(self.decoders.max(1)) + 1
    }

    /// Whether columns would be others had the sample had these documents, of which there are so many in `read`.
    pub(super) fn judge(&self, surprises: Vec<Surprise>, read: u64) -> Option<EngineError> {
        let mut found = Vec::new();
        let mut what = Vec::new();
        let sample = self.sample.documents();
        let total = sample.len() * repeats(sample.len());
        for surprise in surprises {
            let share = u128::from(surprise.count) * u128::from(to_u64(total)) / u128::from(read.max(1));
            let wanted = usize::try_from(share).unwrap_or(total).clamp(1, total.max(1));
            found.extend(surprise.documents.iter().cycle().take(wanted).cloned());
            what.push(format!("{} ({}, {} so far)", surprise.path, surprise.reason, surprise.count));
        }
        let columns = |documents: Vec<&[u8]>| essence(&infer(documents, &self.options).schema);
        let before = columns(weighted(&sample, &found));
        if found.is_empty() || columns(sample) == before {
            return None;
        }
        Some(EngineError::Surprise { what: what.join(", "), documents: found })
    }
}

/// What of a schema decides where values go.
fn essence(schema: &Schema) -> Vec<Field> {
    schema.fields.iter().map(essence_of).collect()
}

fn essence_of(field: &Field) -> Field {
    Field { twin: field.twin.clone(), ..Field::new(&field.name, essence_of_kind(&field.kind)) }
}

fn essence_of_kind(kind: &Kind) -> Kind {
    match kind {
        Kind::Category => Kind::String,
        Kind::Document(fields) => Kind::Document(fields.iter().map(essence_of).collect()),
        Kind::Array(element) => Kind::Array(Box::new(essence_of_kind(element))),
        other => other.clone(),
    }
}

/// The next wider kind of key for an `_id` of a type that the key column does not hold.
fn wider_key(key: Option<&Kind>, found: &str) -> Kind {
    match (key, found) {
        (Some(Kind::Int32), "long") => Kind::Int64,
        (Some(Kind::Int32 | Kind::Int64), "double") => Kind::Double,
        _ => Kind::MixedId,
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn documents(of: impl Iterator<Item = bson::Document>) -> Vec<Vec<u8>> {
        of.map(|document| document.to_vec().unwrap()).collect()
    }

    #[test]
    fn values_that_change_no_column_are_no_reason_to_plan_anew() {
        let documents = documents((0..2_000).map(|n| doc! { "_id": n, "n": n }));
        let sample = Arc::new(Sample::of(documents.iter().map(Vec::as_slice), usize::MAX));
        let options = InferOptions::default();
        let watch = Watch { sample: Arc::clone(&sample), options, expected: Some(100_000), decoders: 1 };
        assert_eq!(watch.least(), Some(101));
        let surprise = |count, document: bson::Document| {
            let documents = vec![document.to_vec().unwrap()];
            vec![Surprise { path: "n".into(), reason: "is something".into(), count, documents }]
        };
        // Half a percent of texts stays in the extra column; as many fractions make a column of fractions.
        assert!(watch.judge(surprise(500, doc! { "_id": 1, "n": "x" }), 100_000).is_none());
        let error = watch.judge(surprise(500, doc! { "_id": 1, "n": 0.5 }), 100_000).unwrap();
        assert!(error.to_string().contains("n (is something, 500 so far)"), "{error}");
        assert!(watch.judge(surprise(5_000, doc! { "_id": 1, "n": "x" }), 100_000).is_some());
        assert!(watch.judge(surprise(500, doc! { "_id": 1, "n": 1, "new": true }), 100_000).is_some());
        let EngineError::Surprise { documents: found, .. } = error else { panic!("{error}") };
        let mut findings = Findings::default();
        assert!(findings.may_surprise());
        findings.learn(Found::Values(found));
        assert!(!findings.may_surprise());
        assert!(findings.with(&sample.documents()).len() > documents.len());
    }

    #[test]
    fn keys_grow_until_they_hold_everything() {
        assert_eq!(wider_key(Some(&Kind::Int64), "double"), Kind::Double);
        assert_eq!(wider_key(Some(&Kind::Double), "decimal"), Kind::MixedId);
        assert_eq!(wider_key(Some(&Kind::ObjectId), "string"), Kind::MixedId);
    }
}
