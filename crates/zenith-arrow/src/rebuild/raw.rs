//! Documents as BSON, with the earlier values of repeated keys that a driver would leave out.

use arrow_array::RecordBatch;
use bson::raw::CString;
use bson::{Array, Bson, Document, RawArrayBuf, RawBson, RawDocumentBuf};

use super::duplicates::{Duplicate, duplicates};
use super::{RebuildError, column, rebuild};
use crate::schema::{EXTRA_COLUMN, Schema};

/// Rebuilds the document in one row as [`rebuild`] does, with the earlier values of each repeated key in front of the
/// document that has the key: decoded again, it gives the same row.
///
/// # Errors
///
/// [`RebuildError`] where the batch does not fit the schema or a value cannot be read.
pub fn rebuild_raw(schema: &Schema, batch: &RecordBatch, row: usize) -> Result<RawDocumentBuf, RebuildError> {
    let document = rebuild(schema, batch, row)?;
    let extra = match batch.column_by_name(EXTRA_COLUMN) {
        Some(extra) => column::text(extra, row).map_err(|fault| fault.named(EXTRA_COLUMN))?,
        None => None,
    };
    let earlier = duplicates(extra.unwrap_or_default())?;
    Ok(raw_document(document, &earlier.iter().map(Earlier::of).collect::<Vec<_>>())?)
}

/// The earlier value of a key, below the document that is written.
#[derive(Clone, Copy)]
struct Earlier<'d> {
    path: &'d [String],
    of: &'d Duplicate,
}

impl<'d> Earlier<'d> {
    fn of(of: &'d Duplicate) -> Earlier<'d> {
        Earlier { path: &of.path, of }
    }

    /// The same below `key`, if it is there.
    fn below(self, key: &str) -> Option<Earlier<'d>> {
        let (first, path) = self.path.split_first()?;
        (first == key).then_some(Earlier { path, ..self })
    }
}

fn raw_document(document: Document, earlier: &[Earlier<'_>]) -> Result<RawDocumentBuf, bson::error::Error> {
    let mut raw = RawDocumentBuf::new();
    for Earlier { of, .. } in earlier.iter().filter(|earlier| earlier.path.is_empty()) {
        raw.append(CString::try_from(of.key.as_str())?, RawBson::try_from(of.value.clone())?);
    }
    for (key, value) in document {
        let value = raw_value(value, &below(earlier, &key))?;
        raw.append(CString::try_from(key)?, value);
    }
    Ok(raw)
}

fn raw_array(values: Array, earlier: &[Earlier<'_>]) -> Result<RawArrayBuf, bson::error::Error> {
    let mut raw = RawArrayBuf::new();
    for (position, value) in values.into_iter().enumerate() {
        raw.push(raw_value(value, &below(earlier, &position.to_string()))?);
    }
    Ok(raw)
}

fn raw_value(value: Bson, earlier: &[Earlier<'_>]) -> Result<RawBson, bson::error::Error> {
    match value {
        value if earlier.is_empty() => value.try_into(),
        Bson::Document(document) => Ok(RawBson::Document(raw_document(document, earlier)?)),
        Bson::Array(values) => Ok(RawBson::Array(raw_array(values, earlier)?)),
        value => value.try_into(),
    }
}

fn below<'d>(earlier: &[Earlier<'d>], key: &str) -> Vec<Earlier<'d>> {
    earlier.iter().filter_map(|earlier| earlier.below(key)).collect()
}
