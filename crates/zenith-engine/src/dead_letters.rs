//! What is kept in a table of dead letters: found, shown and removed.
//!
//! A letter has no name of its own in the table; the hash of what it says names it, so that also those of version 0.1 can
//! be spoken of.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type, UInt64Type};
use zenith_arrow::extended_json;
use zenith_transport::Sink;
use zenith_transport::ddl::{identifier, literal};

use crate::load::refusal::text;
use crate::mismatches::kind;
use crate::{EngineError, Result};

/// Letters of one page, and bytes of the documents that are had together.
const PAGE: u64 = 1_000;
const BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Names a letter.
const NAME: &str = "lower(hex(sipHash64(at, pipeline, namespace, id, document)))";

/// One document that has no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLetter {
    /// What the letter is called.
    pub name: String,
    /// When it was written.
    pub at: SystemTime,
    /// The pipeline; the run of a copy that has no pipeline.
    pub pipeline: String,
    /// The collection.
    pub namespace: String,
    /// `_id` of the document as Extended JSON; empty if it could not be found.
    pub id: String,
    /// Why it has no row.
    pub reason: String,
    /// Bytes of the document.
    pub size: u64,
    /// The version its row would have had; 0 if none is known.
    pub version: u64,
    /// The change it came with; empty if none is known.
    pub operation: String,
    /// Tells changes of one version apart.
    pub index: u32,
    /// The document, if it was asked for.
    pub document: Vec<u8>,
}

impl StoredLetter {
    /// The document as canonical Extended JSON; `None` where its bytes cannot be read.
    #[must_use]
    pub fn json(&self) -> Option<String> {
        zenith_bson::validate(&self.document).ok()?;
        let mut text = Vec::new();
        extended_json::write_document(&mut text, &self.document).ok()?;
        String::from_utf8(text).ok()
    }
}

/// Which letters are meant: those of whom everything said is true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// Those of this pipeline.
    pub pipeline: Option<String>,
    /// Those of these names.
    pub names: Option<Vec<String>>,
    /// Those that are older.
    pub before: Option<SystemTime>,
}

impl LetterFilter {
    fn condition(&self) -> String {
        let mut conditions = vec!["1".to_owned()];
        if let Some(pipeline) = &self.pipeline {
            conditions.push(of_pipeline(pipeline));
        }
        if let Some(names) = &self.names {
            // To ClickHouse no list is empty; no letter has the empty name.
            let names = names.iter().map(|name| literal(&name.to_lowercase()));
            let names: Vec<String> = std::iter::once(literal("")).chain(names).collect();
            conditions.push(format!("{NAME} IN ({})", names.join(", ")));
        }
        if let Some(before) = self.before {
            conditions.push(format!("at < {}", moment(before)));
        }
        conditions.join(" AND ")
    }
}

/// What is true of the letters of a pipeline.
pub(crate) fn of_pipeline(name: &str) -> String {
    // Version 0.1 noted the insert or the load, which begin with the name.
    let name = literal(name);
    format!(
        "(pipeline = {name} OR startsWith(pipeline, {name} || '/') OR \
         match(pipeline, '^' || regexpQuoteMeta({name}) || '-[0-9a-f]+_[0-9a-f]+$'))"
    )
}

/// The letters of one table.
#[derive(Debug)]
pub struct DeadLetters<'a, K> {
    sink: &'a K,
    table: &'a str,
}

impl<'a, K: Sink> DeadLetters<'a, K> {
    /// Those in the table of this name, which need not be there.
    pub fn new(sink: &'a K, table: &'a str) -> DeadLetters<'a, K> {
        DeadLetters { sink, table }
    }

    /// The newest first, without their documents unless `documents`.
    ///
    /// # Errors
    /// When the target cannot be asked.
    pub async fn list(
        &self,
        filter: &LetterFilter,
        limit: Option<u64>,
        documents: bool,
    ) -> Result<Vec<StoredLetter>> {
        self.select(&filter.condition(), "at DESC", limit, documents).await
    }

    /// The oldest letters that come behind one, in the order of the table, as many as one page holds and without their
    /// documents; none if there are no more.
    pub(crate) async fn page(
        &self,
        filter: &LetterFilter,
        behind: Option<&StoredLetter>,
    ) -> Result<Vec<StoredLetter>> {
        let mut condition = filter.condition();
        if let Some(letter) = behind {
            let (at, name) = (moment(letter.at), literal(&letter.name));
            condition.push_str(&format!(" AND (at > {at} OR (at = {at} AND {NAME} > {name}))"));
        }
        self.select(&condition, "at", Some(PAGE), false).await
    }

    /// Letters of a page once more, with their documents.
    pub(crate) async fn with_documents(&self, letters: &[StoredLetter]) -> Result<Vec<StoredLetter>> {
        self.select(&these(letters), "at", None, true).await
    }

    /// Removes letters of a page for good.
    pub(crate) async fn remove_these(&self, letters: &[StoredLetter]) -> Result<()> {
        self.remove_where(&these(letters)).await
    }

    async fn select(
        &self,
        condition: &str,
        order: &str,
        limit: Option<u64>,
        documents: bool,
    ) -> Result<Vec<StoredLetter>> {
        let Some(later) = self.has_later_columns().await? else { return Ok(Vec::new()) };
        let later = if later { "version, operation, index" } else { "toUInt64(0), '', toUInt32(0)" };
        let document = if documents { "hex(document)" } else { "''" };
        let limit = limit.map_or_else(String::new, |limit| format!(" LIMIT {limit}"));
        // The size is part of the order so that it is computed before: what is put in order has no documents then.
        let statement = format!(
            "SELECT {NAME}, toUnixTimestamp64Milli(at), pipeline, namespace, id, reason, toUInt64(length(document)), \
             {document}, {later} FROM {} WHERE {condition} ORDER BY {order}, {NAME}, length(document){limit}",
            identifier(self.table)
        );
        let mut letters = Vec::new();
        for batch in self.sink.query(&statement).await? {
            letters.extend((0..batch.num_rows()).map(|row| letter(&batch, row)));
        }
        Ok(letters)
    }

    /// How many there are.
    ///
    /// # Errors
    /// When the target cannot be asked.
    pub async fn count(&self, filter: &LetterFilter) -> Result<u64> {
        if self.has_later_columns().await?.is_none() {
            return Ok(0);
        }
        let condition = filter.condition();
        let statement = format!("SELECT count() FROM {} WHERE {condition}", identifier(self.table));
        let found = self.sink.query(&statement).await?;
        Ok(found.iter().find(|batch| batch.num_rows() > 0).map_or(0, |batch| number(batch, 0, 0)))
    }

    /// How many there are of each of these pipelines, by the reasons they are counted by.
    ///
    /// # Errors
    /// When the target cannot be asked.
    pub async fn reasons(
        &self,
        filter: &LetterFilter,
        pipelines: &[String],
    ) -> Result<BTreeMap<String, BTreeMap<String, u64>>> {
        let mut found = BTreeMap::new();
        if self.has_later_columns().await?.is_none() {
            return Ok(found);
        }
        for pipeline in pipelines {
            let condition = format!("{} AND {}", filter.condition(), of_pipeline(pipeline));
            let statement = format!(
                "SELECT reason, count() FROM {} WHERE {condition} GROUP BY reason",
                identifier(self.table)
            );
            let reasons: &mut BTreeMap<String, u64> = found.entry(pipeline.clone()).or_default();
            for batch in self.sink.query(&statement).await? {
                for row in 0..batch.num_rows() {
                    *reasons.entry(kind(&text(batch.column(0).as_ref(), row))).or_default() +=
                        number(&batch, 1, row);
                }
            }
        }
        Ok(found)
    }

    /// Removes letters for good.
    ///
    /// # Errors
    /// When the target does not let it be.
    pub async fn remove(&self, filter: &LetterFilter) -> Result<()> {
        if self.count(filter).await? == 0 {
            return Ok(());
        }
        self.remove_where(&filter.condition()).await
    }

    async fn remove_where(&self, condition: &str) -> Result<()> {
        let statement = format!("DELETE FROM {} WHERE {condition}", identifier(self.table));
        Ok(self.sink.execute(&statement).await?)
    }

    /// Whether the table has the columns that those of version 0.1 lack; `None` if there is no table.
    async fn has_later_columns(&self) -> Result<Option<bool>> {
        let table = self.sink.describe(self.table).await.map_err(EngineError::Sink);
        let table = match table {
            Err(EngineError::Sink(error)) if error.is_unknown_database() => None,
            other => other?,
        };
        Ok(table.map(|table| table.columns.iter().any(|column| column.name == "operation")))
    }
}

/// Cuts letters of a page into parts whose documents can be had together: so many at most, and few where they are large.
pub(crate) fn parts(mut letters: &[StoredLetter], most: usize) -> impl Iterator<Item = &[StoredLetter]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = letters.iter().take(most).take_while(|letter| {
            let is_first = bytes == 0;
            bytes += letter.size.max(1);
            is_first || bytes <= BYTES_MAX
        });
        let (part, rest) = letters.split_at(fits.count());
        letters = rest;
        (!part.is_empty()).then_some(part)
    })
}

/// What is true of these letters alone, with their times, by which the table is ordered.
fn these(letters: &[StoredLetter]) -> String {
    let names = Some(letters.iter().map(|letter| letter.name.clone()).collect());
    let mut condition = LetterFilter { names, ..LetterFilter::default() }.condition();
    let times = letters.iter().map(|letter| letter.at);
    if let (Some(first), Some(last)) = (times.clone().min(), times.max()) {
        condition.push_str(&format!(" AND at BETWEEN {} AND {}", moment(first), moment(last)));
    }
    condition
}

/// A time in a statement.
pub(crate) fn moment(at: SystemTime) -> String {
    let millis = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("fromUnixTimestamp64Milli(toInt64('{millis}'))")
}

fn letter(batch: &RecordBatch, row: usize) -> StoredLetter {
    let text_of = |column: usize| text(batch.column(column).as_ref(), row);
    let millis = batch.column(1).as_primitive_opt::<Int64Type>().map_or(0, |column| column.value(row));
    StoredLetter {
        name: text_of(0),
        at: UNIX_EPOCH + Duration::from_millis(millis.max(0).cast_unsigned()),
        pipeline: text_of(2),
        namespace: text_of(3),
        id: text_of(4),
        reason: text_of(5),
        size: number(batch, 6, row),
        document: unhex(&text_of(7)),
        version: number(batch, 8, row),
        operation: text_of(9),
        index: batch.column(10).as_primitive_opt::<UInt32Type>().map_or(0, |column| column.value(row)),
    }
}

fn number(batch: &RecordBatch, column: usize, row: usize) -> u64 {
    batch.column(column).as_primitive_opt::<UInt64Type>().map_or(0, |column| column.value(row))
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digit =
        |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    text.as_bytes().as_chunks::<2>().0.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_conditions() {
        assert_eq!(LetterFilter::default().condition(), "1");
        let filter = LetterFilter { names: Some(vec!["AB".to_owned()]), ..LetterFilter::default() };
        assert!(filter.condition().ends_with("IN ('', 'ab')"), "{}", filter.condition());
        let none = LetterFilter { names: Some(Vec::new()), ..LetterFilter::default() };
        assert!(none.condition().ends_with("IN ('')"), "{}", none.condition());
        assert_eq!(unhex("00fFa1"), [0, 255, 161]);
    }

    #[test]
    fn documents_that_are_had_together_are_few_where_they_are_large() {
        let sizes = [10, 10, 10, BYTES_MAX + 1, 5, BYTES_MAX, 0, 0];
        let letters: Vec<StoredLetter> = sizes
            .iter()
            .map(|size| StoredLetter {
                name: String::new(),
                at: UNIX_EPOCH,
                pipeline: String::new(),
                namespace: String::new(),
                id: String::new(),
                reason: String::new(),
                size: *size,
                version: 0,
                operation: String::new(),
                index: 0,
                document: Vec::new(),
            })
            .collect();
        let cut = |most| parts(&letters, most).map(<[StoredLetter]>::len).collect::<Vec<_>>();
        assert_eq!(cut(2), [2, 1, 1, 1, 1, 2]);
        assert_eq!(cut(100), [3, 1, 1, 1, 2]);
        assert_eq!(parts(&[], 2).count(), 0);
    }
}
