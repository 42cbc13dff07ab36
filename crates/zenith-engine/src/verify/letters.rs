//! Documents that have no row because they are dead letters.

use std::collections::HashMap;

use bson::{Document, RawBson, RawDocumentBuf, cstr};
use zenith_arrow::extended_json::id_text;
use zenith_extract::{ChangeSource, Source};
use zenith_state::{Outcome, StateStore};
use zenith_transport::{LetterFilter, LetterSubject, LoadedAt, NewestLetter, Sink};

use super::Verifier;
use crate::load::dead_letters::only_key;
use crate::policies::Mode;
use crate::replication::context::Context;
use crate::replication::replay::id_of;
use crate::{Result, mismatches};

/// Documents of one question, and the bytes of its text and of its answer.
const TOGETHER: usize = 500;
const BYTES_MAX: usize = 128 * 1024;
const ANSWER_MAX: usize = 4 * 1024 * 1024;
/// Runs among which the last one that loaded the table is looked for.
const RUNS: u32 = 100;

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Verifier<S, K, T> {
    /// What is true of the letters that documents of this pipeline may have today; `None` if there are none.
    ///
    /// A table that was loaded again has letters of its own: those of before say nothing of it.
    pub(super) async fn letters_of_today(context: &Context<S, K, T>) -> Result<Option<LetterFilter>> {
        let table = &context.settings.options.dead_letters;
        if context.retrying(|| context.sink.describe(table)).await?.is_none() {
            return Ok(None);
        }
        let snapshot = context.state.snapshot(&context.name).await?;
        let mut filter = LetterFilter {
            pipeline: Some(context.name.clone()),
            namespace: Some(context.namespace.to_string()),
            loaded: snapshot.map(|snapshot| LoadedAt {
                version: snapshot.version,
                changes: format!("{}/", context.name),
            }),
            ..LetterFilter::default()
        };
        if context.settings.mode == Mode::Full {
            let runs = context.state.runs(Some(&context.name), RUNS).await?;
            if let Some(run) = runs.iter().find(|run| run.outcome == Some(Outcome::Done)) {
                filter.since = Some(run.started);
            }
        }
        Ok(Some(filter))
    }

    /// Of each document why it is a dead letter, if it is one. A document whose `_id` cannot be read is known by its
    /// bytes. The letter of a document that has become another one since is none of it.
    pub(super) async fn letters(&self, documents: &[&[u8]]) -> Result<Vec<Option<String>>> {
        let mut reasons = vec![None; documents.len()];
        let Some(filter) = &self.letters else { return Ok(reasons) };
        // The bytes of a document are not to reach the target by a question either.
        let hides = self.context.settings.options.changes_documents();
        let names = |document| names(document).into_iter().filter(|name| !hides || !is_bytes(name)).collect();
        let names: Vec<Vec<LetterSubject>> = documents.iter().map(|document| names(document)).collect();
        let all: Vec<_> = documents.iter().copied().zip(&names).enumerate().collect();
        let mut rest = all.as_slice();
        while !rest.is_empty() {
            let (mut question, mut answer) = (0, 0);
            let fits = rest.iter().take(TOGETHER).take_while(|(_, (document, names))| {
                let is_first = answer == 0;
                question += names.iter().map(size).sum::<usize>();
                answer += document.len();
                is_first || question <= BYTES_MAX && answer <= ANSWER_MAX
            });
            let (part, after) = rest.split_at(fits.count());
            rest = after;
            let wanted: Vec<LetterSubject> =
                part.iter().flat_map(|(_, (_, names))| names.iter().cloned()).collect();
            let found = self.newest(filter, &wanted, answer).await?;
            for (place, (document, names)) in part {
                let letters = names.iter().filter_map(|name| found.get(name));
                let letter = letters.into_iter().find(|letter| self.is_same(document, &letter.document));
                if let (Some(letter), Some(place)) = (letter, reasons.get_mut(*place)) {
                    *place = Some(mismatches::kind(&letter.reason));
                }
            }
        }
        Ok(reasons)
    }

    /// The reason and the document of the newest letter of each of these names. What is larger than `bytes_max` is none of
    /// the documents that are asked for.
    async fn newest(
        &self,
        filter: &LetterFilter,
        names: &[LetterSubject],
        bytes_max: usize,
    ) -> Result<HashMap<LetterSubject, NewestLetter>> {
        let context = &self.context;
        let table = &context.settings.options.dead_letters;
        // A document that was rebuilt of a row may have wider numbers.
        let bytes_max = bytes_max.saturating_mul(4);
        let newest = context
            .retrying(|| context.sink.admin().newest_dead_letters(table, filter, names, bytes_max))
            .await?;
        Ok(newest.into_iter().map(|letter| (letter.subject.clone(), letter)).collect())
    }

    /// Whether a letter is of the document as it is: of the same bytes, or of equal values, as it was rebuilt of a row.
    fn is_same(&self, document: &[u8], letter: &[u8]) -> bool {
        let keep_nulls = self.context.settings.options.keep_nulls;
        let hides = self.context.settings.options.changes_documents();
        let read = |bytes: &[u8]| {
            zenith_bson::validate(bytes).ok()?;
            Document::from_reader(bytes).ok()
        };
        let is = |document: &[u8]| {
            document == letter
                || read(document).zip(read(letter)).is_some_and(|(document, letter)| {
                    zenith_arrow::equal(&document, &letter, keep_nulls).is_ok()
                })
        };
        is(document) || hides && is(&only_key(document))
    }
}

/// What a document may be called among the letters; nothing for one that could only be called by bytes that are too many.
///
/// A document that was rebuilt of a row has the number of its key column in the place of an equal one.
fn names(document: &[u8]) -> Vec<LetterSubject> {
    match id_text(document) {
        id if !id.is_empty() => {
            let equal = id_of(document).map(equal_numbers).unwrap_or_default();
            let equal = equal.into_iter().map(|id| {
                let mut document = RawDocumentBuf::new();
                document.append(cstr!("_id"), id);
                id_text(document.as_bytes())
            });
            let mut names: Vec<LetterSubject> =
                std::iter::once(id).chain(equal).map(LetterSubject::Id).collect();
            names.sort_unstable();
            names.dedup();
            names
        }
        _ if document.len() <= BYTES_MAX / 2 => vec![LetterSubject::Bytes(document.to_vec())],
        _ => Vec::new(),
    }
}

fn is_bytes(name: &LetterSubject) -> bool {
    matches!(name, LetterSubject::Bytes(_))
}

/// About how many bytes it takes to ask for it.
fn size(name: &LetterSubject) -> usize {
    match name {
        LetterSubject::Id(id) => id.len() + 7,
        LetterSubject::Bytes(bytes) => 2 * bytes.len() + 10,
    }
}

/// The numbers of other types that are equal to a number.
fn equal_numbers(id: RawBson) -> Vec<RawBson> {
    let text = match id {
        RawBson::Int32(number) => number.to_string(),
        RawBson::Int64(number) => number.to_string(),
        RawBson::Double(number) if number.is_finite() => number.to_string(),
        _ => return Vec::new(),
    };
    let double = text.parse::<f64>().ok().filter(|number| number.to_string() == text);
    [
        text.parse().ok().map(RawBson::Int32),
        text.parse().ok().map(RawBson::Int64),
        double.map(RawBson::Double),
        text.parse().ok().map(RawBson::Decimal128),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn a_key_is_known_by_every_number_that_it_is_equal_to() {
        let of = |document: RawDocumentBuf| names(document.as_bytes());
        assert_eq!(of(rawdoc! { "_id": 5 }), of(rawdoc! { "_id": 5.0 }));
        assert_eq!(of(rawdoc! { "_id": 5 }), of(rawdoc! { "a": 1, "_id": 5_i64 }));
        assert_eq!(of(rawdoc! { "_id": 5 }).len(), 4);
        assert_eq!(of(rawdoc! { "_id": i64::MAX }).len(), 2, "no double is equal to it");
        assert_eq!(of(rawdoc! { "_id": "5" }).len(), 1);
        assert_eq!(of(rawdoc! { "a": 5 }).len(), 1);
    }
}
