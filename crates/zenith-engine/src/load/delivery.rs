//! Dead letters on their way into the table: each once, however often their insert is repeated.
//!
//! A token protects an insert, and not each of its letters: a replay may find other documents bad than the first try did,
//! and is another insert then. And ClickHouse notes a token right before its rows are there: killed in between, it takes a
//! repeat for done. So a repeat looks up which letters are in the table, sends the others alone, and looks again.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use zenith_transport::{DeadLetter, Filter, Scalar, Selection, Sink, TransportError};

use super::complete::complete;
use super::context::{LoadContext, Repeats};
use crate::simulation::{self, DeliberateBug};

type Result<T> = std::result::Result<T, TransportError>;

/// What tells the letters of one load or insert apart: the version and number of a change; otherwise the `_id`, or the
/// bytes of a document whose `_id` cannot be read.
///
/// Neither reason nor document of a change are part of it: looked up again, the document may be another one.
#[derive(PartialEq, Eq, Hash)]
struct Identity<'a> {
    version: u64,
    index: u32,
    id: &'a [u8],
    document: &'a [u8],
}

impl<'a> Identity<'a> {
    fn new(version: u64, index: u32, id: &'a [u8], document: &'a [u8]) -> Identity<'a> {
        let is_named = version > 0 || !id.is_empty();
        Identity { version, index, id, document: if is_named { &[] } else { document } }
    }

    fn of(letter: &'a DeadLetter) -> Identity<'a> {
        Identity::new(letter.version, letter.index, letter.id.as_bytes(), &letter.document)
    }
}

/// Puts letters into the table; those that are not there, where an earlier try may have left some.
pub(super) async fn deliver<K: Sink>(
    load: &LoadContext,
    sink: &K,
    letters: &[DeadLetter],
    may_be_there: bool,
) -> Result<()> {
    let table = load.dead_letters.as_str();
    let all = async || sink.write_dead_letters(table, letters, &token(load, letters)).await.map(drop);
    if !may_be_there || simulation::has(DeliberateBug::LettersNotLookedUp) {
        return all().await;
    }
    let missing = || async {
        let absent = absent(load, sink, letters).await?;
        Ok((!absent.is_empty()).then_some(absent))
    };
    let insert = |absent: Vec<DeadLetter>, round| async move {
        // The first time it is that of an earlier try with the same letters, which may still be under way.
        let token = match token(load, &absent) {
            token if round == 0 => token,
            token => format!("{token}.{round}"),
        };
        sink.write_dead_letters(table, &absent, &token).await.map(drop)
    };
    match complete(missing, insert).await {
        // A sink that answers no questions is trusted.
        Err(TransportError::Unsupported { .. }) => all().await,
        Ok(false) => {
            tracing::warn!(
                table,
                "dead letters do not show after several inserts: they expire at once, or a row policy hides them"
            );
            Ok(())
        }
        completed => completed.map(drop),
    }
}

/// Letters that the table does not have, in order.
async fn absent<K: Sink>(load: &LoadContext, sink: &K, letters: &[DeadLetter]) -> Result<Vec<DeadLetter>> {
    let found = match sink.admin().select(&selection(load, letters)).await {
        Ok(found) => found.unwrap_or_default(),
        // A table of version 0.1 has no letters of this run: the first of them add its columns.
        Err(error) if error.is_schema_mismatch() => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut there: HashMap<Identity<'_>, usize> = HashMap::new();
    for identity in found.iter().flat_map(identities) {
        *there.entry(identity).or_default() += 1;
    }
    let mut absent = Vec::new();
    for letter in letters {
        match there.get_mut(&Identity::of(letter)) {
            Some(left) if *left > 0 => *left -= 1,
            _ => absent.push(letter.clone()),
        }
    }
    Ok(absent)
}

/// The letters in the table that may be those of an earlier try.
fn selection(load: &LoadContext, letters: &[DeadLetter]) -> Selection {
    let is = |column: &str, value: Scalar| Filter::In(column.to_owned(), vec![value]);
    let mut columns = vec!["version", "index", "id"];
    if letters.iter().any(|letter| !Identity::of(letter).document.is_empty()) {
        columns.push("document");
    }
    let mut filters = vec![is("run", Scalar::Bytes(load.run.as_bytes().to_vec()))];
    filters.extend(time(load, letters).map(|millis| is("at", Scalar::Millis(millis))));
    Selection {
        table: load.dead_letters.clone(),
        columns: columns.into_iter().map(str::to_owned).collect(),
        filter: Filter::All(filters),
        ..Selection::default()
    }
}

/// The time of the letters, where no other insert of the load has the same: those of changes are written again by another
/// process at another time.
fn time(load: &LoadContext, letters: &[DeadLetter]) -> Option<i64> {
    let first = letters.first().filter(|_| load.repeats == Repeats::ByLoad)?;
    Some(first.millis())
}

fn identities(batch: &RecordBatch) -> impl Iterator<Item = Identity<'_>> {
    let column = |name: &str| batch.column_by_name(name);
    let versions = column("version").and_then(|column| column.as_primitive_opt::<UInt64Type>());
    let indexes = column("index").and_then(|column| column.as_primitive_opt::<UInt32Type>());
    (0..batch.num_rows()).map(move |row| {
        let version = versions.map_or(0, |versions| versions.value(row));
        let index = indexes.map_or(0, |indexes| indexes.value(row));
        Identity::new(version, index, bytes(batch, "id", row), bytes(batch, "document", row))
    })
}

/// Text or bytes in a row; a sink may read text as either.
fn bytes<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> &'a [u8] {
    let Some(column) = batch.column_by_name(column) else { return &[] };
    match column.as_string_opt::<i32>() {
        Some(texts) => texts.value(row).as_bytes(),
        None => column.as_binary_opt::<i32>().map_or(&[], |bytes| bytes.value(row)),
    }
}

/// A token that only an insert of the same letters has.
fn token(load: &LoadContext, letters: &[DeadLetter]) -> String {
    let mut hasher = DefaultHasher::new();
    time(load, letters).hash(&mut hasher);
    letters.iter().for_each(|letter| Identity::of(letter).hash(&mut hasher));
    format!("{}-dead-{:016x}", load.run, hasher.finish())
}
