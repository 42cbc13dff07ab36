//! Some documents beside their rows, for people who look whether a table is what they want.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use zenith_arrow::{DecoderOptions, Schema, extended_json};
use zenith_bson::{RawValue, tag};
use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::{Selection, Sink};

use super::pass::blocking;
use super::{Verifier, cell, rows};
use crate::load::key::{is_one_of, key};
use crate::replication::Replicator;
use crate::replication::context::Context;
use crate::{EngineError, Result};

/// Characters of a value or a document that are shown.
const TEXT_MAX: usize = 8_000;
/// Rows of a document that are shown: an unwound one may have many.
const ROWS_MAX: usize = 20;

/// A document and the rows that are made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// As the source has it, as relaxed Extended JSON.
    pub document: String,
    /// Its rows: the first few, each with its columns and their values as people write them.
    pub rows: Vec<Vec<(String, String)>>,
    /// Why it has no row, if that is known.
    pub refused: Option<String>,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Replicator<S, K, T> {
    /// Some documents of a collection, from all over it, with the rows that the table has of them now.
    ///
    /// # Errors
    /// When either end cannot be read.
    pub async fn beside(&self, name: &str, documents: usize) -> Result<Vec<Beside>> {
        let context = self.context(name)?;
        let verifier = Verifier::new(&context).await?;
        let sample = context.asking(|| context.source.sample(&context.namespace, documents)).await?;
        let keys = {
            let (maker, sample) = (Arc::clone(&verifier.keys), sample.clone());
            let of = move || maker.of(&sample.iter().map(|document| document.as_bytes()).collect::<Vec<_>>());
            blocking(of).await??
        };
        let schema = &verifier.comparer.schema;
        let columns = schema.to_arrow().fields().iter().map(|field| field.name().clone()).collect();
        let selection = Selection {
            columns,
            texts: schema.texts_in_other_forms(),
            filter: is_one_of(keys.iter().flatten().cloned().collect()),
            ..rows::table(&context)
        };
        let found = context.retrying(|| context.sink.admin().select(&selection)).await?.unwrap_or_default();
        let mut beside = Vec::with_capacity(sample.len());
        for (document, of) in sample.iter().take(documents).zip(&keys) {
            let mut shown = Vec::new();
            for batch in &found {
                for row in 0..batch.num_rows() {
                    if shown.len() < ROWS_MAX && Some(key(batch, row)?) == *of {
                        shown.push(cells(batch, row));
                    }
                }
            }
            beside.push(Beside { document: json(document.as_bytes()), rows: shown, refused: None });
        }
        Ok(beside)
    }

    /// Some documents of a collection, with the rows that the first run of a pipeline would make of them. Writes nothing.
    ///
    /// # Errors
    /// As [`Replicator::plan`].
    pub async fn beside_planned(&self, name: &str, documents: usize) -> Result<Vec<Beside>> {
        let schema = Box::pin(self.plan(name)).await?.schema;
        let context = self.context(name)?;
        let sample = context.asking(|| context.source.sample(&context.namespace, documents)).await?;
        let work = move || {
            let each =
                sample.iter().take(documents).map(|document| made(&context, &schema, document.as_bytes()));
            each.collect()
        };
        blocking(work).await?
    }
}

/// A document with the rows that are made of it.
fn made<S, K, T>(context: &Context<S, K, T>, schema: &Schema, document: &[u8]) -> Result<Beside>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let failed = |source| EngineError::decoding(&context.namespace, source);
    let options = DecoderOptions { rows_max: ROWS_MAX, bytes_max: context.memory.batch_bytes() };
    let mut decoder = context.settings.options.decoder(schema, context.memory.pool(), options)?;
    let (mut refused, mut ranges) = (None, std::iter::once(0..document.len()));
    let mut bad = |bad: zenith_arrow::BadDocument| refused = Some(bad.reason.to_string());
    let full = decoder.append(document, &mut ranges, &mut bad).map_err(failed)?;
    let batch = match full {
        Some(batch) => Some(batch),
        None => decoder.finish().map_err(failed)?,
    };
    let rows = batch.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| cells(batch, row)));
    Ok(Beside { document: json(document), rows: rows.take(ROWS_MAX).collect(), refused })
}

/// The columns of a row with their values.
fn cells(batch: &RecordBatch, row: usize) -> Vec<(String, String)> {
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    let cell = |(field, column): (&arrow_schema::FieldRef, &arrow_array::ArrayRef)| {
        debug_assert!(row < column.len());
        (field.name().clone(), cut(cell::text(column, row)))
    };
    columns.map(cell).collect()
}

/// A document as text.
fn json(document: &[u8]) -> String {
    let mut text = Vec::new();
    let whole = RawValue { tag: tag::DOCUMENT, bytes: document };
    match zenith_bson::validate(document).map(|()| extended_json::write_relaxed(&mut text, whole)) {
        Ok(Ok(())) => cut(String::from_utf8_lossy(&text).into_owned()),
        Ok(Err(error)) | Err(error) => format!("not BSON: {error}"),
    }
}

/// The beginning of a long text.
fn cut(text: String) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_shown_as_people_write_them() {
        let document = bson::rawdoc! { "_id": 7, "at": bson::DateTime::from_millis(0), "of": ["tea"] };
        let text = json(document.as_bytes());
        assert_eq!(text, r#"{"_id":7,"at":{"$date":"1970-01-01T00:00:00Z"},"of":["tea"]}"#);
        assert!(json(b"nothing").starts_with("not BSON"));
        assert_eq!(cut("é".repeat(TEXT_MAX + 1)).chars().count(), TEXT_MAX + 1);
    }
}
