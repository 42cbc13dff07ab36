//! The keys of documents, as the rows have them that they are decoded to.

use arrow_array::RecordBatch;
use bson::{RawBson, RawDocumentBuf};
use zenith_arrow::{DecodeError, Decoder, DecoderOptions, Schema};
use zenith_bson::Elements;
use zenith_memory::Pool;
use zenith_transport::Scalar;

use super::key::key;
use crate::layout::KEY;
use crate::{EngineError, Result};

/// Keys of one batch.
pub(crate) const KEYS_MAX: usize = 5_000;

/// Makes keys of documents as statements have them.
pub(crate) struct Keys {
    schema: Schema,
    pool: Pool,
    options: DecoderOptions,
}

impl Keys {
    pub(crate) fn new(schema: &Schema, pool: &Pool, bytes_max: usize) -> Keys {
        let fields = schema.fields.iter().filter(|field| field.name == KEY).cloned().collect();
        Keys {
            schema: Schema { fields, ..schema.clone() },
            pool: pool.clone(),
            options: DecoderOptions { rows_max: KEYS_MAX, bytes_max },
        }
    }

    /// The schema of the key alone.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The key of each document; `None` for one that the key column cannot hold, and so has no row.
    pub(crate) fn of(&self, documents: &[&[u8]]) -> Result<Vec<Option<Scalar>>> {
        let documents: Vec<Option<RawDocumentBuf>> = documents.iter().map(|bytes| only_id(bytes)).collect();
        match self.decode(&documents) {
            Err(EngineError::Decode { source: DecodeError::Key { .. }, .. }) => {}
            keys => return keys,
        }
        let each = documents.iter().map(|document| match self.decode(std::slice::from_ref(document)) {
            Ok(mut keys) => Ok(keys.pop().flatten()),
            Err(EngineError::Decode { source: DecodeError::Key { .. }, .. }) => Ok(None),
            Err(error) => Err(error),
        });
        each.collect()
    }

    fn decode(&self, documents: &[Option<RawDocumentBuf>]) -> Result<Vec<Option<Scalar>>> {
        let failed = |source| EngineError::Decode { namespace: "the keys".to_owned(), source };
        let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
        for document in documents.iter().flatten() {
            let start = bytes.len();
            bytes.extend_from_slice(document.as_bytes());
            ranges.push(start..bytes.len());
        }
        let mut decoder = Decoder::new(&self.schema, &self.pool, self.options);
        let (mut keys, mut ranges) = (Vec::new(), ranges.into_iter());
        let mut take = |batch: RecordBatch| -> Result<()> {
            for row in 0..batch.num_rows() {
                keys.push(key(&batch, row)?);
            }
            Ok(())
        };
        while let Some(batch) = decoder.append(&bytes, &mut ranges, &mut |_| {}).map_err(failed)? {
            take(batch)?;
        }
        if let Some(batch) = decoder.finish().map_err(failed)? {
            take(batch)?;
        }
        let mut keys = keys.into_iter();
        Ok(documents.iter().map(|document| document.as_ref().and_then(|_| keys.next())).collect())
    }
}

/// A document with nothing but the `_id` of another; `None` where that cannot be read.
fn only_id(document: &[u8]) -> Option<RawDocumentBuf> {
    let mut only = RawDocumentBuf::new();
    if let Some(id) = id_of(document) {
        only.append(bson::cstr!("_id"), id);
    } else if Elements::new(document)
        .ok()?
        .any(|element| element.is_ok_and(|element| element.key == KEY.as_bytes()))
    {
        return None;
    }
    zenith_bson::validate(only.as_bytes()).ok().map(|()| only)
}

/// The `_id` of a document.
pub(crate) fn id_of(document: &[u8]) -> Option<RawBson> {
    let element = Elements::new(document)
        .ok()?
        .map_while(std::result::Result::ok)
        .filter(|element| element.key == KEY.as_bytes())
        .last()?;
    let wrapped = element.value.in_document(KEY.as_bytes())?;
    let wrapped = RawDocumentBuf::from_bytes(wrapped).ok()?;
    wrapped.get(KEY).ok()?.map(Into::into)
}
