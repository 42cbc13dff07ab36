//! The findings of a load that its plan did not expect, and their effect on the next plan.
//!
//! A plan is made from a sample. A load may meet an `_id` that its key column does not hold, or a kind of value that no
//! document of the sample had, in more rows than can be called rare. Then it ends before anything is published, and is
//! planned anew with what was found.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use zenith_arrow::decode::keep_witnesses;
use zenith_arrow::infer::{InferOptions, infer};
use zenith_arrow::{Decoder, Field, Kind, Schema, Surprise};

use crate::progress::to_u64;
use crate::transforms::LeftOut;
use crate::{EngineError, Result};

/// One row in so many has a value of an unexpected kind: as rare as it may be.
const RARE: u64 = 1_000;
/// How often columns are chosen again for what a load has met so far; once more when it has met everything.
const JUDGEMENTS_MAX: u32 = 8;
/// Documents of a sample from which on one document more is no more than one row in [`RARE`].
const SAMPLE_LEAST: usize = 1_000;

/// What loads of one table have found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// A kind of key that holds more than that of the plan before.
    key: Option<Kind>,
    /// Documents with what the sample had not, and how often each comes in a sample that has them.
    documents: Vec<Witness>,
}

/// A document, and how often it is to be counted.
pub(crate) type Witness = (Vec<u8>, usize);

/// What one load found.
enum Found {
    /// An `_id` that the key column does not hold; a key of this kind does.
    Key(Kind),
    /// Values of kinds that the sample did not have.
    Values(Vec<Witness>),
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
        tracing::warn!(table, "the load starts over with other columns: {what}");
        Ok(())
    }

    /// Whether unexpected values are still to be looked for.
    pub(crate) fn may_surprise(&self) -> bool {
        self.documents.is_empty()
    }

    /// A load has succeeded: the next one is planned from a sample of its own, with no smaller key.
    pub(crate) fn loaded(&mut self) {
        self.documents.clear();
    }

    pub(crate) fn key(&self) -> Option<Kind> {
        self.key.clone()
    }

    /// The documents to infer from: those of the sample, and those found.
    pub(crate) fn with<'a>(&'a self, sample: &[&'a [u8]]) -> Vec<&'a [u8]> {
        weighted(sample, &self.documents)
    }
}

/// The sample, as often as it takes for one document to be rare in it, and `found` besides, if there are any.
fn weighted<'a>(sample: &[&'a [u8]], found: &'a [Witness]) -> Vec<&'a [u8]> {
    let mut documents = sample.to_vec();
    if !found.is_empty() {
        documents = documents.repeat(repeats(sample.len()));
        documents.extend(
            found.iter().flat_map(|(document, times)| std::iter::repeat_n(document.as_slice(), *times)),
        );
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
    /// Keys that were left out of them.
    pub(super) left_out: LeftOut,
}

impl Sample {
    /// Those of `documents` that come to no more than `bytes_max`, and at least one.
    pub(crate) fn of<'a>(documents: impl IntoIterator<Item = &'a [u8]>, bytes_max: usize) -> Sample {
        let mut sample = Sample::default();
        for document in documents {
            let start = sample.bytes.len();
            if start + document.len() > bytes_max && start > 0 {
                break;
            }
            sample.bytes.extend_from_slice(document);
            sample.ranges.push(start..sample.bytes.len());
        }
        // It may be kept for a while.
        sample.bytes.shrink_to_fit();
        sample
    }

    /// What it takes of the memory.
    pub(crate) fn size(&self) -> usize {
        self.bytes.capacity() + self.ranges.capacity() * size_of::<Range<usize>>()
    }

    /// The same, of which these keys were left out.
    pub(crate) fn without(self, left_out: LeftOut) -> Sample {
        Sample { left_out, ..self }
    }

    /// Each as its bytes.
    pub(crate) fn documents(&self) -> Vec<&[u8]> {
        self.ranges.iter().filter_map(|range| self.bytes.get(range.clone())).collect()
    }
}

/// What a load is held against.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) sample: Arc<Sample>,
    /// How columns are chosen from it.
    pub(crate) infer: InferOptions,
    /// Fields whose columns have types that were not chosen from it.
    pub(crate) given: Vec<String>,
    /// Whether the columns of the table were chosen from it, and not from one of before.
    pub(crate) is_of_table: bool,
}

/// Looks at what does not fit while a table is loaded.
///
/// Once it is certain that columns have to be others, the load only reads on, to see everything there is: nothing more is
/// inserted, and the next plan knows it all.
#[derive(Debug)]
pub(crate) struct Watch {
    planned: Planned,
    /// Documents there are thought to be.
    expected: Option<u64>,
    /// Decoders that look.
    decoders: usize,
    /// Whether nothing more is inserted.
    in_vain: AtomicBool,
    /// How often there was a reason to judge that, and how often it was judged.
    begun: AtomicU32,
    judged: AtomicU32,
    /// Documents decoded.
    read: AtomicU64,
    /// The columns of the sample alone; those of the table, where it was made of another sample.
    before: OnceLock<Vec<Field>>,
    /// What the decoders that have ended have found.
    found: Mutex<BTreeMap<(String, String), Surprise>>,
}

impl Watch {
    /// For so many decoders that fill a table of this schema and, as far as that is known, documents.
    pub(super) fn new(planned: Planned, schema: &Schema, expected: Option<u64>, decoders: usize) -> Watch {
        let before = OnceLock::new();
        if !planned.is_of_table {
            before.get_or_init(|| essence(schema));
        }
        Watch {
            planned,
            expected,
            decoders,
            in_vain: AtomicBool::new(false),
            begun: AtomicU32::new(0),
            judged: AtomicU32::new(0),
            read: AtomicU64::new(0),
            before,
            found: Mutex::default(),
        }
    }

    /// Whether the load is in vain.
    pub(super) fn is_in_vain(&self) -> bool {
        self.in_vain.load(Ordering::Relaxed)
    }

    /// Looks at what a decoder has met so far, when it has decoded so many documents more.
    pub(super) fn look(&self, decoder: &mut Decoder, documents: usize) {
        self.read.fetch_add(to_u64(documents), Ordering::Relaxed);
        // As often in each decoder as makes it more than rare in the whole collection.
        let Some(documents) = self.expected.filter(|_| !self.is_in_vain()) else { return };
        let surprises = decoder.surprises(documents / RARE / to_u64(self.decoders.max(1)) + 1);
        if surprises.is_empty() || self.begun.fetch_add(1, Ordering::Relaxed) >= JUDGEMENTS_MAX {
            return;
        }
        if self.judge(surprises.iter(), documents).is_some() {
            self.in_vain.store(true, Ordering::Relaxed);
        }
    }

    /// Takes what a decoder has met in all.
    pub(super) fn ended(&self, decoder: &mut Decoder) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        for surprise in decoder.all_surprises() {
            match found.entry((surprise.path.clone(), surprise.reason.clone())) {
                Entry::Vacant(place) => drop(place.insert(surprise)),
                Entry::Occupied(mut place) => {
                    let known = place.get_mut();
                    known.count += surprise.count;
                    known.documents.extend(surprise.documents);
                    keep_witnesses(&mut known.documents);
                }
            }
        }
    }

    /// The reason to plan anew, when everything has been decoded.
    pub(super) fn verdict(&self) -> Option<EngineError> {
        let read = self.read.load(Ordering::Relaxed);
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = self.judge(found.values().filter(|surprise| surprise.count > read / RARE), read);
        if verdict.is_some() || !self.is_in_vain() {
            return verdict;
        }
        // There were more documents than expected. What has not been inserted has to be read again all the same.
        let documents = found.values().flat_map(|surprise| &surprise.documents);
        let documents = documents.map(|(_, document)| (document.clone(), 1)).collect();
        Some(EngineError::Surprise { what: "some fields".to_owned(), documents })
    }

    /// Whether columns would be others had the sample had these documents, of which there are so many in `read`.
    fn judge<'a>(&self, surprises: impl Iterator<Item = &'a Surprise>, read: u64) -> Option<EngineError> {
        self.judged.fetch_add(1, Ordering::Relaxed);
        let (mut found, mut what) = (Vec::new(), Vec::new());
        let sample = self.planned.sample.documents();
        let total = sample.len() * repeats(sample.len());
        let is_of = |path: &str, name: &String| {
            path.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        for surprise in surprises {
            // Its column stays what its user wants.
            if self.planned.given.iter().any(|name| is_of(&surprise.path, name)) {
                continue;
            }
            // As many beside the sample as make their share in all what it is in the collection.
            let others = u128::from(read.saturating_sub(surprise.count).max(1));
            let wanted = u128::from(surprise.count) * u128::from(to_u64(total)) / others;
            let most = total.saturating_mul(4).max(1);
            let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).clamp(1, most);
            let witnesses = surprise.documents.len().max(1);
            let times = |number: usize| wanted / witnesses + usize::from(number < wanted % witnesses);
            let documents = surprise.documents.iter().enumerate();
            found.extend(documents.map(|(number, (_, document))| (document.clone(), times(number))));
            what.push(format!("{} ({}, {})", surprise.path, surprise.reason, surprise.count));
        }
        if found.is_empty() {
            return None;
        }
        let columns = |documents: Vec<&[u8]>| essence(&infer(documents, &self.planned.infer).schema);
        let before = self.before.get_or_init(|| columns(sample.clone()));
        let others = columns(weighted(&sample, &found)) != *before;
        others.then(|| EngineError::Surprise { what: what.join(", "), documents: found })
    }
}

/// What of a schema decides where values go.
fn essence(schema: &Schema) -> Vec<Field> {
    schema.fields.iter().map(essence_of).collect()
}

fn essence_of(field: &Field) -> Field {
    Field {
        twin: field.twin.clone(),
        column: field.column.clone(),
        flat: field.flat.clone(),
        ..Field::new(&field.name, essence_of_kind(&field.kind))
    }
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

    fn watch(sample: &Arc<Sample>, is_of_table: bool, schema: &Schema) -> Watch {
        let planned = Planned {
            sample: Arc::clone(sample),
            infer: InferOptions::default(),
            given: Vec::new(),
            is_of_table,
        };
        Watch::new(planned, schema, Some(100_000), 1)
    }

    /// A sample that has what the table's own had not: the columns are those of the table all the same.
    #[test]
    fn the_rest_of_a_snapshot_is_held_against_the_columns_there_are() {
        let sampled = |n: i32| doc! { "_id": n, "n": n, "late": n };
        let of =
            |documents: Vec<Vec<u8>>| Arc::new(Sample::of(documents.iter().map(Vec::as_slice), usize::MAX));
        let early = documents((0..1_000).map(|n| doc! { "_id": n, "n": n }));
        let table = infer(early.iter().map(Vec::as_slice), &InferOptions::default()).schema;
        let late = of(documents((0..1_000).map(sampled)));
        let surprise = Surprise {
            path: "late".into(),
            reason: "no column".into(),
            count: 500,
            documents: vec![(0, sampled(1).to_vec().unwrap())],
        };
        let judged = |watch: Watch| watch.judge(std::iter::once(&surprise), 100_000).is_some();
        assert!(judged(watch(&late, false, &table)));
        assert!(
            !judged(watch(&late, true, &table)),
            "were it the sample of the table, it would have the column"
        );
        let rare = Surprise {
            path: "n".into(),
            documents: vec![(0, doc! { "_id": 1, "n": "x" }.to_vec().unwrap())],
            ..surprise.clone()
        };
        assert!(watch(&of(early), false, &table).judge(std::iter::once(&rare), 100_000).is_none());
    }

    /// Kinds of values that are no reason for other columns, one after the other: that is not judged each time.
    #[test]
    fn columns_are_chosen_anew_a_few_times_only() {
        let fields: Vec<String> = (0..30).map(|n| format!("f{n}")).collect();
        let document = |odd: usize| -> bson::Document {
            let value = |at| if at == odd { bson::Bson::from("x") } else { 1.into() };
            std::iter::once(("_id".to_owned(), 1.into()))
                .chain(fields.iter().enumerate().map(|(at, name)| (name.clone(), value(at))))
                .collect()
        };
        let usual = documents((0..1_000).map(|_| document(usize::MAX)));
        let sample = Arc::new(Sample::of(usual.iter().map(Vec::as_slice), usize::MAX));
        let schema = infer(sample.documents(), &InferOptions::default()).schema;
        let watch = watch(&sample, true, &schema);
        let pool = zenith_memory::Pool::new(64 << 20).unwrap();
        let options = zenith_arrow::DecoderOptions { rows_max: 10_000, bytes_max: 16 << 20 };
        let mut decoder = Decoder::new(&schema, &pool, options);
        decoder.watch();
        decoder.learn(&sample.bytes, sample.ranges.iter().cloned()).unwrap();
        for odd in 0..fields.len() {
            let odd = documents((0..150).map(|_| document(odd)));
            let reply = Sample::of(odd.iter().map(Vec::as_slice), usize::MAX);
            let mut ranges = reply.ranges.iter().cloned();
            assert!(
                decoder.append(&reply.bytes, &mut ranges, &mut |bad| panic!("{bad:?}")).unwrap().is_none()
            );
            watch.look(&mut decoder, 150);
        }
        assert!(!watch.is_in_vain());
        assert_eq!(watch.judged.load(Ordering::Relaxed), JUDGEMENTS_MAX);
    }

    #[test]
    fn values_that_change_no_column_are_no_reason_to_plan_anew() {
        let documents = documents((0..2_000).map(|n| doc! { "_id": n, "n": n }));
        let sample = Arc::new(Sample::of(documents.iter().map(Vec::as_slice), usize::MAX));
        let watch = watch(&sample, true, &Schema::default());
        let judge = |count, document: bson::Document| {
            let documents = vec![(0, document.to_vec().unwrap())];
            let surprise = Surprise { path: "n".into(), reason: "is something".into(), count, documents };
            watch.judge(std::iter::once(&surprise), 100_000)
        };
        // Half a percent of texts stays in the extra column; as many fractions make a column of fractions.
        assert!(judge(500, doc! { "_id": 1, "n": "x" }).is_none());
        let error = judge(500, doc! { "_id": 1, "n": 0.5 }).unwrap();
        assert!(error.to_string().contains("n (is something, 500)"), "{error}");
        assert!(judge(5_000, doc! { "_id": 1, "n": "x" }).is_some());
        assert!(judge(500, doc! { "_id": 1, "n": 1, "new": true }).is_some());
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
