//! What is kept in a table of dead letters: found, shown and removed.

use std::collections::BTreeMap;

use zenith_arrow::extended_json;
use zenith_transport::{LetterFilter, LetterQuery, Sink, StoredLetter};

use crate::Result;
use crate::mismatches::kind;

/// Letters of one page, and bytes of the documents that are had together.
const PAGE: u64 = 1_000;
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The document of a letter as canonical Extended JSON; `None` where its bytes cannot be read.
#[must_use]
pub fn letter_json(letter: &StoredLetter) -> Option<String> {
    zenith_bson::validate(&letter.document).ok()?;
    let mut text = Vec::new();
    extended_json::write_document(&mut text, &letter.document).ok()?;
    String::from_utf8(text).ok()
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
        self.read(LetterQuery { filter: filter.clone(), newest_first: true, limit, documents }).await
    }

    /// The oldest letters that come behind one, in the order of the table, as many as one page holds and without their
    /// documents; none if there are no more.
    pub(crate) async fn page(
        &self,
        filter: &LetterFilter,
        behind: Option<&StoredLetter>,
    ) -> Result<Vec<StoredLetter>> {
        let behind = behind.map(|letter| (letter.at, letter.name.clone()));
        let filter = LetterFilter { behind, ..filter.clone() };
        self.read(LetterQuery { filter, limit: Some(PAGE), ..LetterQuery::default() }).await
    }

    /// Letters of a page once more, with their documents.
    pub(crate) async fn with_documents(&self, letters: &[StoredLetter]) -> Result<Vec<StoredLetter>> {
        self.read(LetterQuery { filter: these(letters), documents: true, ..LetterQuery::default() }).await
    }

    async fn read(&self, query: LetterQuery) -> Result<Vec<StoredLetter>> {
        Ok(self.sink.admin().dead_letters(self.table, &query).await?)
    }

    /// How many there are.
    ///
    /// # Errors
    /// When the target cannot be asked.
    pub async fn count(&self, filter: &LetterFilter) -> Result<u64> {
        Ok(self.sink.admin().count_dead_letters(self.table, filter).await?)
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
        let meant = |name: &&String| filter.pipeline.as_ref().is_none_or(|meant| meant == *name);
        for pipeline in pipelines.iter().filter(meant) {
            let of_pipeline = LetterFilter { pipeline: Some(pipeline.clone()), ..filter.clone() };
            let reasons: &mut BTreeMap<String, u64> = found.entry(pipeline.clone()).or_default();
            for (reason, letters) in self.sink.admin().dead_letter_reasons(self.table, &of_pipeline).await? {
                *reasons.entry(kind(&reason)).or_default() += letters;
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
        Ok(self.sink.admin().remove_dead_letters(self.table, filter).await?)
    }

    /// Removes letters of a page for good.
    pub(crate) async fn remove_these(&self, letters: &[StoredLetter]) -> Result<()> {
        Ok(self.sink.admin().remove_dead_letters(self.table, &these(letters)).await?)
    }
}

/// Cuts letters of a page into parts whose documents can be had together: so many at most, and few where they are large.
pub(crate) fn parts(letters: &[StoredLetter], most: usize) -> impl Iterator<Item = &[StoredLetter]> {
    bounded(letters, most, BYTES_MAX, |letter| letter.size)
}

/// In order, in parts of at most so many and so many bytes, or of one.
pub(crate) fn bounded<T>(
    mut all: &[T],
    most: usize,
    bytes_max: u64,
    size: impl Fn(&T) -> u64,
) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = all.iter().take(most).take_while(|one| {
            let is_first = bytes == 0;
            bytes += size(one).max(1);
            is_first || bytes <= bytes_max
        });
        let (part, rest) = all.split_at(fits.count());
        all = rest;
        (!part.is_empty()).then_some(part)
    })
}

/// What is true of these letters alone, with their times, by which the table is ordered.
fn these(letters: &[StoredLetter]) -> LetterFilter {
    LetterFilter {
        names: Some(letters.iter().map(|letter| letter.name.clone()).collect()),
        since: letters.iter().map(|letter| letter.at).min(),
        until: letters.iter().map(|letter| letter.at).max(),
        ..LetterFilter::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

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
