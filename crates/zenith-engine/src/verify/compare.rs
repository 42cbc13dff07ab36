//! One document of the source held against one row of the table.
//!
//! Two comparisons: columns, notes and extra column together give the document back, and each single column shows the
//! expected value. Values that a column does not show and need not show are counted.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use bson::{Bson, Document};
use zenith_arrow::rebuild::{Duplicate, duplicates};
use zenith_arrow::schema::{EXTRA_COLUMN, Schema};
use zenith_arrow::{PlainTransform, Unwind, equal, rebuild};
use zenith_bson::{Elements, RawValue, tag};
use zenith_state::Mismatches;

use super::cell;
use super::expect::Rules;
use super::kept;
use super::mismatch::{Mismatch, count, in_words};
use super::part::Part;
use super::walk::Walk;
use crate::load::dead_letters::only_key;
use crate::load::key::number;
use crate::promotion::LateFields;
use crate::table_options::TableOptions;

/// What is the same for all documents.
#[derive(Debug)]
pub(super) struct Comparer {
    pub(super) schema: Schema,
    /// The same, of rows in which each document is one column.
    pub(super) tuples: Schema,
    /// Fields whose values rows from before their columns have in the extra column.
    pub(super) late: LateFields,
    /// Whether columns have come since the table was loaded.
    pub(super) has_grown: bool,
    pub(super) rules: Rules,
    /// What is done to documents before they become rows.
    pub(super) transform: Option<PlainTransform>,
    /// Whether rows lack keys that there was no column for.
    pub(super) ignores: bool,
    pub(super) unwinding: Option<Unwinding>,
}

/// An array that is unwound, and what tells the rows of a document apart.
#[derive(Debug)]
pub(super) struct Unwinding {
    unwind: Arc<Unwind>,
    field: String,
    column: String,
}

impl Unwinding {
    pub(super) fn of(options: &TableOptions, schema: &Schema) -> crate::Result<Option<Unwinding>> {
        let column = options.index_column_of(schema).map(str::to_owned);
        let (unwind, names) = (options.unwinding()?, options.index_field().zip(column));
        Ok(unwind.zip(names).map(|(unwind, (field, column))| Unwinding { unwind, field, column }))
    }
}

/// A document as the source has it.
#[derive(Debug)]
pub(super) struct SourceDocument {
    document: Document,
    /// Earlier values of keys that come again.
    repeated: Vec<Duplicate>,
}

impl SourceDocument {
    /// Reads a document as it is to be in the table; what is wrong with it where it cannot be read.
    fn read(bytes: &[u8], transform: Option<&PlainTransform>) -> Result<SourceDocument, String> {
        let changed = transform.map(|transform| transform.apply(bytes)).transpose();
        let changed = changed.map_err(|error| error.to_string())?;
        let bytes = changed.as_deref().unwrap_or(bytes);
        zenith_bson::validate(bytes).map_err(|error| error.to_string())?;
        let document = Document::from_reader(bytes).map_err(|error| error.to_string())?;
        let mut repeated = Vec::new();
        find_duplicates(bytes, &mut Vec::new(), &mut repeated);
        Ok(SourceDocument { document, repeated })
    }
}

impl Comparer {
    /// Adds a document to a part: by itself or, where an array is unwound, the documents of its rows. One that cannot be unwound
    /// has no row, and is added with its `_id` alone.
    pub(super) fn add(&self, part: &mut Part, document: &[u8]) {
        let Some(Unwinding { unwind, .. }) = &self.unwinding else { return part.push(document) };
        let changed = self.transform.as_ref().map_or(Ok(document.to_vec()), |plain| plain.apply(document));
        // Of a document that cannot be decoded no element has a row.
        let whole = changed.and_then(|changed| zenith_bson::validate(&changed).map(|()| changed));
        match whole.and_then(|changed| unwind.plain(&changed)) {
            Ok(Some(rows)) => rows.iter().for_each(|row| part.push(row)),
            Ok(None) | Err(_) => part.push(&only_key(document)),
        }
    }

    /// Reads a document of a part.
    pub(super) fn read(&self, document: &[u8]) -> Result<SourceDocument, String> {
        // Unwound ones have been changed before.
        let transform = self.transform.as_ref().filter(|_| self.unwinding.is_none());
        SourceDocument::read(document, transform)
    }

    /// The number of an unwound document among those of its `_id`.
    pub(super) fn number(&self, source: &SourceDocument) -> Option<i64> {
        source.document.get_i64(&self.unwinding.as_ref()?.field).ok()
    }

    /// The same of a row.
    pub(super) fn number_of_row(&self, batch: &RecordBatch, row: usize) -> Option<i64> {
        number(batch, &self.unwinding.as_ref()?.column, row)
    }

    /// Compares, and counts what only the extra column has.
    pub(super) fn compare(
        &self,
        source: &SourceDocument,
        batch: &RecordBatch,
        row: usize,
    ) -> Result<Mismatches, Box<Mismatch>> {
        let there = rebuild(&self.tuples, batch, row).map_err(|error| unreadable(&error))?;
        let kept = self.ignores.then(|| SourceDocument {
            document: kept::document(&source.document, &self.tuples.fields, &self.late, &there),
            repeated: kept::repeated(&source.repeated, &self.tuples.fields),
        });
        let source = kept.as_ref().unwrap_or(source);
        self.is_exact(source, &there, batch, row)?;
        let repeats = !source.repeated.is_empty();
        let mut walk = Walk::new(&self.rules, &self.late, self.has_grown, repeats);
        walk.fields(&source.document, &self.tuples.fields, &|name| batch.column_by_name(name), row)?;
        let mut mismatches = walk.into_mismatches();
        for repeated in &source.repeated {
            let keys = repeated.path.iter().filter(|key| key.parse::<usize>().is_err());
            let path: Vec<&str> = keys.map(String::as_str).chain([repeated.key.as_str()]).collect();
            count(&mut mismatches, path.join("."), "repeated key".to_owned());
        }
        Ok(mismatches)
    }

    /// Whether everything that the row says gives the document.
    fn is_exact(
        &self,
        source: &SourceDocument,
        there: &Document,
        batch: &RecordBatch,
        row: usize,
    ) -> Result<(), Box<Mismatch>> {
        equal(&source.document, there, self.schema.keep_nulls).map_err(|found| {
            Mismatch::new(found.path.join("."), in_words(found.left.as_ref()), in_words(found.right.as_ref()))
        })?;
        let extra = batch.column_by_name(EXTRA_COLUMN).and_then(|column| cell::bytes(column, row));
        let extra = std::str::from_utf8(extra.unwrap_or_default()).map_err(|error| unreadable(&error))?;
        if source.repeated.is_empty() && !extra.contains("$duplicates") {
            return Ok(());
        }
        let mut there = duplicates(extra).map_err(|error| unreadable(&error))?;
        if self.ignores {
            there = kept::repeated(&there, &self.schema.fields);
        }
        let there = sorted(there);
        let here = sorted(source.repeated.clone());
        for index in 0..here.len().max(there.len()) {
            let (here, there) = (here.get(index), there.get(index));
            let value = |of: Option<&Duplicate>| bson::doc! { "v": of.map(|of| of.value.clone()) };
            let place = |of: Option<&Duplicate>| of.map(|of| (of.path.clone(), of.key.clone()));
            if place(here) != place(there) || equal(&value(here), &value(there), true).is_err() {
                let path = here.or(there).map_or_else(String::new, |of| {
                    [&of.path[..], std::slice::from_ref(&of.key)].concat().join(".")
                });
                let words = |of: Option<&Duplicate>| match of {
                    Some(of) => format!("{} in an earlier place", in_words(Some(&of.value))),
                    None => "no earlier value".to_owned(),
                };
                return Err(Mismatch::new(path, words(here), words(there)));
            }
        }
        Ok(())
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> Box<Mismatch> {
    Mismatch::new("", "a document", format!("a row of which {error}"))
}

fn sorted(mut found: Vec<Duplicate>) -> Vec<Duplicate> {
    found.sort_by(|left, right| (&left.path, &left.key).cmp(&(&right.path, &right.key)));
    found
}

/// The earlier values of keys that come again, at every level.
fn find_duplicates(document: &[u8], path: &mut Vec<String>, found: &mut Vec<Duplicate>) {
    let Ok(elements) = Elements::new(document) else { return };
    let mut last: HashMap<&[u8], usize> = HashMap::new();
    let elements: Vec<_> = elements.map_while(Result::ok).collect();
    for (position, element) in elements.iter().enumerate() {
        last.insert(element.key, position);
    }
    for (position, element) in elements.iter().enumerate() {
        let key = String::from_utf8_lossy(element.key).into_owned();
        if last.get(element.key) != Some(&position) {
            if let Some(value) = bson_of(element.value) {
                found.push(Duplicate { path: path.clone(), key, value });
            }
            continue;
        }
        path.push(key);
        match element.value.tag {
            tag::DOCUMENT => find_duplicates(element.value.bytes, path, found),
            tag::ARRAY => items(element.value.bytes, path, found),
            _ => {}
        }
        path.pop();
    }
}

/// The same inside the elements of an array, whose keys are places.
fn items(array: &[u8], path: &mut Vec<String>, found: &mut Vec<Duplicate>) {
    let Ok(elements) = Elements::new(array) else { return };
    for (position, element) in elements.map_while(Result::ok).enumerate() {
        path.push(position.to_string());
        match element.value.tag {
            tag::DOCUMENT => find_duplicates(element.value.bytes, path, found),
            tag::ARRAY => items(element.value.bytes, path, found),
            _ => {}
        }
        path.pop();
    }
}

fn bson_of(value: RawValue<'_>) -> Option<Bson> {
    let document = value.in_document(b"v")?;
    Document::from_reader(document.as_slice()).ok()?.remove("v")
}
