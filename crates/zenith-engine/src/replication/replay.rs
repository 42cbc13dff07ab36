//! Dead letters tried again, with their documents as they are now.
//!
//! **Documents as they are.** The row gets the cluster time of right before the document was read. It holds every change up
//! to then, so that it wins over the row that marks the document as deleted; whatever changes later has a higher version
//! and wins over it, whether or not the pipeline runs meanwhile.
//!
//! **A change log** tells what was, so there the letter's own document is written, as the change it came with. Tables of
//! either other kind hold a document once; whatever already exists is left alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::RecordBatch;
use bson::{RawBson, RawDocument, RawDocumentBuf, Timestamp, cstr};
use zenith_arrow::Schema;
use zenith_arrow::extended_json::id_text;
use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::{LetterFilter, Scalar, Sink, StoredLetter};

use super::Replicator;
use super::context::Context;
use super::removal::remove_older;
use super::version::version_of;
use crate::dead_letters::{DeadLetters, bounded, parts};
use crate::layout::{DELETION, Layout, OPERATIONS, RowMetadata, SNAPSHOT};
use crate::load::context::{LoadContext, Repeats};
use crate::load::dead_letters::only_key;
use crate::load::insert::Inserter;
use crate::load::key::key;
use crate::load::refusal::{self, RowsOf};
use crate::mismatches::kind;
use crate::places::Places;
use crate::policies::Mode;
use crate::promotion;
use crate::reload::run_name;
use crate::{EngineError, OnBadDocument, Result};

/// Letters that are tried together.
const TOGETHER: usize = 200;
/// Dead letters that stay, for which the reason is reported.
const FAILED_TOLD: usize = 1_000;

/// What became of dead letters that were tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterRetry {
    /// Letters that were tried.
    pub letters: u64,
    /// Rows that were written, or would be.
    pub written: u64,
    /// Letters of documents that are gone by now.
    pub gone: u64,
    /// Letters of documents that the table has already.
    pub there: u64,
    /// Letters that stay.
    pub left: u64,
    /// The first of these without their documents, with the reason.
    pub failed: Vec<(StoredLetter, String)>,
}

/// With the places of the letters that are settled by it.
type Piece = promotion::Piece<Vec<usize>>;

/// The outcome of each letter.
enum Fate {
    Written,
    Gone,
    There,
    Failed(String),
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Replicator<S, K, T> {
    /// Tries dead letters of a pipeline again, all or those of some names, and removes those that are settled. With
    /// `dry_run` nothing is written or removed.
    ///
    /// # Errors
    /// When an end cannot be reached; a pipeline that has not begun. Letters before that may be settled.
    pub async fn retry_letters(
        &self,
        name: &str,
        names: Option<Vec<String>>,
        dry_run: bool,
    ) -> Result<DeadLetterRetry> {
        // Nobody waits for ever for an answer.
        let context = &self.context(name)?.in_mode(self.catch_up());
        if context.settings.mode == Mode::Full {
            return Err(EngineError::NotPossible {
                doing: format!("retrying dead letters of the pipeline {name}"),
                reason: "each run loads its table anew, and tries all documents again".to_owned(),
            });
        }
        let table = &context.settings.options.dead_letters;
        let kept = DeadLetters::new(&*context.sink, table);
        let filter = LetterFilter { pipeline: Some(name.to_owned()), names, ..LetterFilter::default() };
        let mut replay = DeadLetterRetry::default();
        let mut page = kept.page(&filter, None).await?;
        if page.is_empty() {
            return Ok(replay);
        }
        let schema = if dry_run { context.schema().await? } else { context.schema_to_write().await? };
        let Some(schema) = schema else {
            return Err(EngineError::NotPossible {
                doing: format!("retrying dead letters of the pipeline {name}"),
                reason: "it has not begun yet, and has no table: run it first".to_owned(),
            });
        };
        if !dry_run {
            // A run of the same state may hold the table.
            context.refuse_others().await?;
        }
        let places = context.places_of_letters(dry_run).await?;
        let (run, mut number) = (format!("{name}/retry/{}", run_name()), 0);
        // Not those that come meanwhile.
        let all = kept.count(&filter).await?;
        while let Some(last) = page.last().filter(|_| replay.letters < all) {
            for part in parts(&page, TOGETHER) {
                let letters = kept.with_documents(part).await?;
                let token = format!("{run}/{number}");
                let fates =
                    Box::pin(again(context, (&schema, places.as_deref()), &letters, token, dry_run)).await?;
                number += 1;
                let settled = replay.count(letters, fates);
                if !dry_run && !settled.is_empty() {
                    kept.remove_these(&settled).await?;
                    let mut reasons = BTreeMap::new();
                    for letter in &settled {
                        *reasons.entry(kind(&letter.reason)).or_default() += 1;
                    }
                    context.state.settle_letters(name, &reasons).await?;
                }
            }
            page = kept.page(&filter, Some(last)).await?;
        }
        Ok(replay)
    }
}

/// Tries some letters, and says what became of each.
async fn again<S, K, T>(
    context: &Arc<Context<S, K, T>>,
    (schema, places): (&Schema, Option<&Places>),
    letters: &[StoredLetter],
    token: String,
    dry_run: bool,
) -> Result<Vec<Fate>>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let mut fates: Vec<Option<Fate>> = letters.iter().map(|_| None).collect();
    let pieces = if context.layout() == Layout::Log {
        logged(context, letters, &mut fates).await?
    } else {
        current(context, letters, &mut fates).await?
    };
    let mut number = 0;
    // No more at once than one batch holds: there may be memory for little more.
    let bytes_max = context.decoding(schema).bytes_max as u64;
    for some in bounded(&pieces, usize::MAX, bytes_max, |piece| piece.document.len() as u64) {
        let tried = Tried { pieces: some, token: &token, dry_run };
        write(context, (schema, places), tried, &mut number, &mut fates).await?;
    }
    let untold = || Fate::Failed("it could not be tried".to_owned());
    Ok(fates.into_iter().map(|fate| fate.unwrap_or_else(untold)).collect())
}

/// Documents that are tried together.
#[derive(Clone, Copy)]
struct Tried<'a> {
    pieces: &'a [Piece],
    /// What the tokens of their inserts begin with.
    token: &'a str,
    dry_run: bool,
}

/// Writes the rows of some documents that the table lacks; `number` counts batches, and `fates` is told of each letter.
async fn write<S, K, T>(
    context: &Arc<Context<S, K, T>>,
    (schema, places): (&Schema, Option<&Places>),
    tried: Tried<'_>,
    number: &mut usize,
    fates: &mut [Option<Fate>],
) -> Result<()>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let mut set = |piece: &Piece, fate: fn(String) -> Fate, reason: &str| {
        for letter in &piece.of {
            if let Some(place) = fates.get_mut(*letter) {
                *place = Some(fate(reason.to_owned()));
            }
        }
    };
    let decoded = promotion::decode(context.decoding(schema), &context.settings.options, tried.pieces);
    let decoded = decoded.map_err(|error| context.key_mismatch(error))?;
    for (piece, reason) in &decoded.bad {
        set(piece, Fate::Failed, reason);
    }
    for (batch, of) in decoded.batches {
        let index = context.settings.options.index_column_of(schema);
        let rows = RowsOf { table: &context.table, layout: context.layout(), index };
        let absent = refusal::absent(&*context.sink, rows, &batch).await?;
        let mut by_identity = HashMap::new();
        for (row, piece) in of.iter().enumerate() {
            set(piece, |_| Fate::There, "");
            by_identity.insert(identity(rows, &batch, row)?, *piece);
        }
        // What is not written of these is there.
        for part in &absent {
            for row in 0..part.num_rows() {
                if let Some(piece) = by_identity.get(&identity(rows, part, row)?) {
                    set(piece, |_| Fate::Written, "");
                }
            }
        }
        let token = format!("{}/{number}", tried.token);
        *number += 1;
        if tried.dry_run {
            continue;
        }
        for refused in insert_absent(context, (schema, places), absent, token).await? {
            if let Some(piece) = by_identity.get(&identity(rows, &refused.row, 0)?) {
                set(piece, Fate::Failed, &refused.reason);
            }
        }
    }
    Ok(())
}

/// Inserts the rows that the table lacks, with those that take others of their documents away, and returns those it refuses.
async fn insert_absent<S, K, T>(
    context: &Context<S, K, T>,
    (schema, places): (&Schema, Option<&Places>),
    absent: Vec<RecordBatch>,
    run: String,
) -> Result<Vec<refusal::Refused>>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let load = LoadContext { on_bad_document: OnBadDocument::Keep, ..context.load(run, Repeats::ByLoad) };
    let (sink, table, layout) = (&*context.sink, &context.table, context.layout());
    let inserter = Inserter { load: &load, sink, table, schema, layout };
    let mut refused = Vec::new();
    for (number, mut part) in absent.into_iter().enumerate() {
        if let Some(places) = places {
            part = context.settle(places, schema, part).await?;
            if part.num_rows() == 0 {
                continue;
            }
        }
        let token = format!("{}/{number}", load.run);
        let (tombstones, rows): (Vec<_>, Vec<_>) =
            inserter.insert(part, token, false).await?.into_iter().partition(|row| row.is_tombstone(layout));
        // The row that such a one is to take away goes in another way, and the document's own is written.
        remove_older(context, &inserter, &tombstones, places).await?;
        refused.extend(rows);
    }
    Ok(refused)
}

/// What tells the rows of one batch apart.
fn identity(of: RowsOf<'_>, batch: &RecordBatch, row: usize) -> Result<(Scalar, u64, u32, Option<i64>)> {
    let single = refusal::Refused { row: batch.slice(row, 1), token: String::new(), reason: String::new() };
    Ok((key(batch, row)?, single.version(), single.index(), of.number(batch, row)))
}

/// The changes of letters as they were, and documents that the log begins with as rows of its snapshot.
async fn logged<S, K, T>(
    context: &Context<S, K, T>,
    letters: &[StoredLetter],
    fates: &mut [Option<Fate>],
) -> Result<Vec<Piece>>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    // Then letters have only the `_id` of a document.
    let hides = context.settings.options.changes_documents();
    let begins = context.state.snapshot(&context.name).await?.map(|snapshot| snapshot.version);
    let mut pieces = Vec::new();
    for (place, (letter, fate)) in letters.iter().zip(fates).enumerate() {
        let mut operation = OPERATIONS.into_iter().find(|known| letter.operation == *known);
        let mut version = letter.version;
        if let (None, 0, Some(begins)) = (operation, version, begins) {
            (operation, version) = (Some(SNAPSHOT), begins);
        }
        match operation {
            Some(operation) if hides && operation != DELETION && is_only_key(&letter.document) => {
                let reason = "the pipeline leaves out or masks fields, so that its letters have nothing of a \
                              document but its _id";
                *fate = Some(Fate::Failed(reason.to_owned()));
            }
            Some(operation) => pieces.push(Piece {
                document: letter.document.clone(),
                metadata: RowMetadata {
                    operation,
                    version,
                    index: letter.index,
                    deleted: operation == DELETION,
                },
                of: vec![place],
            }),
            None => {
                let reason = "it does not say which change it is of, as letters of version 0.1 do not";
                *fate = Some(Fate::Failed(reason.to_owned()));
            }
        }
    }
    Ok(pieces)
}

fn is_only_key(document: &[u8]) -> bool {
    document.is_empty() || document == only_key(document)
}

/// The documents of letters as they are now.
async fn current<S, K, T>(
    context: &Arc<Context<S, K, T>>,
    letters: &[StoredLetter],
    fates: &mut [Option<Fate>],
) -> Result<Vec<Piece>>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let mut wanted: HashMap<String, (RawBson, Vec<usize>)> = HashMap::new();
    for (place, (letter, fate)) in letters.iter().zip(fates.iter_mut()).enumerate() {
        match id_of(&letter.document) {
            Some(id) => wanted.entry(same(&id)).or_insert_with(|| (id, Vec::new())).1.push(place),
            None => *fate = Some(Fate::Failed("its _id cannot be read".to_owned())),
        }
    }
    let follows = context.settings.mode == Mode::Changes;
    // Read after this time, a document is at least as new.
    let time = if follows { Some(context.asking(|| context.source.now()).await?) } else { None };
    let metadata =
        RowMetadata { operation: "replace", version: time.map_or(0, version_of), index: 0, deleted: false };
    let (mut pieces, mut strangers) = (Vec::new(), 0);
    let mut ids: Vec<RawBson> = wanted.values().map(|(id, _)| id.clone()).collect();
    let mut most = TOGETHER;
    while !ids.is_empty() {
        let part: Vec<RawBson> = ids.iter().take(most).cloned().collect();
        let Some(found) = look_up(context, &part, time).await? else {
            most = (part.len() / 2).max(1);
            continue;
        };
        ids.drain(..part.len());
        for document in found {
            match id_of(&document).and_then(|id| wanted.remove(&same(&id))) {
                Some((_, letters)) => pieces.push(Piece { document, metadata, of: letters }),
                None => strangers += 1,
            }
        }
    }
    for place in wanted.into_values().flat_map(|(_, places)| places) {
        if let Some(fate) = fates.get_mut(place) {
            // One of those that came may be it.
            *fate = Some(match strangers {
                0 => Fate::Gone,
                _ => Fate::Failed(
                    "MongoDB has a document whose _id is equal to it, and of another type".to_owned(),
                ),
            });
        }
    }
    Ok(pieces)
}

/// A key that is the same for `_id`s that are equal to the server: a document rebuilt of its row may have one of another
/// type of number.
fn same(id: &RawBson) -> String {
    let number = match id {
        RawBson::Int32(number) => number.to_string(),
        RawBson::Int64(number) => number.to_string(),
        // Without an exponent, with as many digits as it takes.
        RawBson::Double(number) if number.is_finite() => format!("{}", number + 0.0),
        RawBson::Decimal128(number) => number.to_string(),
        other => {
            let mut document = RawDocumentBuf::new();
            document.append(cstr!("_id"), other.clone());
            return id_text(document.as_bytes());
        }
    };
    if number.contains('.') && !number.contains(['e', 'E']) {
        return number.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    number
}

/// Documents as they are now; `None` if they are too large to be had together.
async fn look_up<S, K, T>(
    context: &Arc<Context<S, K, T>>,
    ids: &[RawBson],
    after: Option<Timestamp>,
) -> Result<Option<Vec<Vec<u8>>>>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let reply_budget = context.memory.lookups();
    let found = context.asking(|| context.source.lookup(&context.namespace, ids, after, reply_budget)).await;
    match found {
        Ok(batches) => {
            let documents = batches.iter().flat_map(|batch| {
                batch.ranges().map(|range| batch.documents_bytes().get(range).unwrap_or_default().to_vec())
            });
            Ok(Some(documents.collect()))
        }
        Err(EngineError::Reading(error)) if error.is_lookup_too_large() && ids.len() > 1 => Ok(None),
        Err(error) => Err(error),
    }
}

/// `_id` of a document that may be damaged behind it, or before it.
pub(crate) fn id_of(document: &[u8]) -> Option<RawBson> {
    let id = zenith_bson::Elements::new(document).ok()?.find_key(b"_id")?;
    let alone = id.value.in_document(b"_id")?;
    zenith_bson::validate(&alone).ok()?;
    let alone = RawDocumentBuf::from_bytes(alone).ok()?;
    let alone: &RawDocument = &alone;
    Some(alone.get("_id").ok()??.into())
}

impl DeadLetterRetry {
    /// How many letters are settled.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.letters - self.left
    }

    /// Counts what became of letters, and gives back those that are settled.
    fn count(&mut self, letters: Vec<StoredLetter>, fates: Vec<Fate>) -> Vec<StoredLetter> {
        let mut settled = Vec::new();
        for (letter, fate) in letters.into_iter().zip(fates) {
            // The document has done its duty.
            let letter = StoredLetter { document: Vec::new(), ..letter };
            self.letters += 1;
            match fate {
                Fate::Written => self.written += 1,
                Fate::Gone => self.gone += 1,
                Fate::There => self.there += 1,
                Fate::Failed(reason) => {
                    self.left += 1;
                    if self.failed.len() < FAILED_TOLD {
                        self.failed.push((letter, reason));
                    }
                    continue;
                }
            }
            settled.push(letter);
        }
        settled
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn ids_are_found_in_damaged_documents() {
        let mut bytes = rawdoc! { "a": "xy", "_id": "k", "b": "z@" }.into_bytes();
        let at = bytes.iter().position(|byte| *byte == b'@').unwrap();
        bytes[at] = 0xFF;
        assert_eq!(id_of(&bytes), Some(RawBson::String("k".to_owned())));
        assert_eq!(id_of(rawdoc! { "_id": 7_i64 }.as_bytes()), Some(RawBson::Int64(7)));
        assert_eq!(id_of(rawdoc! { "b": 7_i64 }.as_bytes()), None);
        assert_eq!(id_of(b""), None);
    }

    #[test]
    fn equal_numbers_are_one_key() {
        let decimal = |text: &str| RawBson::Decimal128(text.parse().unwrap());
        let one = [RawBson::Int32(100), RawBson::Int64(100), RawBson::Double(100.0), decimal("100.00")];
        assert!(one.iter().all(|id| same(id) == "100"), "{one:?}");
        assert_eq!(
            (same(&RawBson::Double(1.25)), same(&decimal("1.250"))),
            ("1.25".to_owned(), "1.25".to_owned())
        );
        assert_ne!(same(&RawBson::Int64(i64::MAX)), same(&RawBson::Int64(i64::MAX - 1)));
        assert_ne!(same(&RawBson::Int32(1)), same(&RawBson::String("1".to_owned())));
    }
}
