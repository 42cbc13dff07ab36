//! The rows of the table that belong to documents: found by their keys, which both ends have in the column's own type.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use bson::{RawBson, RawDocumentBuf};
use zenith_arrow::{DecodeError, Decoder, DecoderOptions, Schema};
use zenith_bson::Elements;
use zenith_extract::{ChangeSource, Source};
use zenith_memory::Pool;
use zenith_state::StateStore;
use zenith_transport::{HashColumn, Scalar, Selection, Sink};

use crate::layout::KEY;
use crate::load::key::{is_one_of, key};
use crate::replication::context::Context;
use crate::{EngineError, Result};

/// Keys of one question, and about how many bytes they take.
const KEYS_MAX: usize = 5_000;
const KEY_BYTES_MAX: usize = 1024 * 1024;
/// The column with a hash of the key.
pub(super) const HASH_COLUMN: &str = "_zenith_hash";
/// It, as a sink is asked for it.
pub(super) fn hash() -> Option<HashColumn> {
    Some(HashColumn { name: HASH_COLUMN.to_owned(), of: KEY.to_owned() })
}

/// Makes keys of documents as statements have them.
pub(super) struct Keys {
    schema: Schema,
    pool: Pool,
    options: DecoderOptions,
}

impl Keys {
    pub(super) fn new(schema: &Schema, pool: &Pool, bytes_max: usize) -> Keys {
        let fields = schema.fields.iter().filter(|field| field.name == KEY).cloned().collect();
        Keys {
            schema: Schema { fields, ..schema.clone() },
            pool: pool.clone(),
            options: DecoderOptions { rows_max: KEYS_MAX, bytes_max },
        }
    }

    /// The schema of the key alone.
    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The key of each document; `None` for one that the key column cannot hold, and so has no row.
    pub(super) fn of(&self, documents: &[&[u8]]) -> Result<Vec<Option<Scalar>>> {
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
pub(super) fn id_of(document: &[u8]) -> Option<RawBson> {
    let element = Elements::new(document)
        .ok()?
        .map_while(std::result::Result::ok)
        .filter(|element| element.key == KEY.as_bytes())
        .last()?;
    let wrapped = element.value.in_document(KEY.as_bytes())?;
    let wrapped = RawDocumentBuf::from_bytes(wrapped).ok()?;
    wrapped.get(KEY).ok()?.map(Into::into)
}

/// Rows of the table, by their keys.
#[derive(Default)]
pub(super) struct Rows {
    batches: Vec<RecordBatch>,
    by_key: HashMap<Scalar, OfKey>,
}

/// The rows of one key, by batch and place. Views may give an `_id` to many documents.
#[derive(Default)]
struct OfKey {
    places: Vec<(usize, usize)>,
    /// Where the next document is likely to be: both ends give documents of one key in about the same order.
    next: std::cell::Cell<usize>,
}

impl Rows {
    /// The first row of a key for which `find` has an answer, and that answer.
    pub(super) fn find<V>(
        &self,
        key: &Scalar,
        mut find: impl FnMut(&RecordBatch, usize) -> Option<V>,
    ) -> Option<V> {
        let OfKey { places, next } = self.by_key.get(key)?;
        let begin = next.get() % places.len().max(1);
        let (before, after) = places.split_at(begin);
        after.iter().chain(before).zip(begin..).find_map(|((batch, row), place)| {
            let found = find(self.batches.get(*batch)?, *row)?;
            next.set(place + 1);
            Some(found)
        })
    }

    /// How many rows a key has.
    pub(super) fn count(&self, key: &Scalar) -> usize {
        self.by_key.get(key).map_or(0, |of| of.places.len())
    }

    fn add(&mut self, batch: RecordBatch) -> Result<()> {
        for row in 0..batch.num_rows() {
            let place = (self.batches.len(), row);
            self.by_key.entry(key(&batch, row)?).or_default().places.push(place);
        }
        self.batches.push(batch);
        Ok(())
    }
}

/// The hash of a row's key.
pub(super) fn hash_of(batch: &RecordBatch, row: usize) -> u64 {
    let hashes = batch.column_by_name(HASH_COLUMN).and_then(|column| column.as_primitive_opt::<UInt64Type>());
    hashes.map_or(0, |hashes| hashes.value(row))
}

/// The rows that a table shows.
pub(super) fn table<S, K, T>(context: &Context<S, K, T>) -> Selection
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    Selection { table: context.table.clone(), rows: context.layout().shown(), ..Selection::default() }
}

/// Reads the rows of some keys.
pub(super) async fn read<S, K, T>(
    context: &Arc<Context<S, K, T>>,
    schema: &Schema,
    keys: impl IntoIterator<Item = Scalar>,
) -> Result<Rows>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let columns: Vec<String> = schema.to_arrow().fields().iter().map(|field| field.name().clone()).collect();
    let texts = schema.texts_in_other_forms();
    let mut keys: Vec<Scalar> = keys.into_iter().collect();
    keys.sort_unstable();
    keys.dedup();
    let (mut rows, mut rest) = (Rows::default(), keys.as_slice());
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take(KEYS_MAX).take_while(|key| {
            let is_first = bytes == 0;
            bytes += key.size();
            is_first || bytes <= KEY_BYTES_MAX
        });
        let (part, after) = rest.split_at(fits.count());
        rest = after;
        let selection = Selection {
            columns: columns.clone(),
            texts: texts.clone(),
            hash: hash(),
            filter: is_one_of(part.to_vec()),
            ..table(context)
        };
        let found = context.retrying(|| context.sink.admin().select(&selection)).await?;
        let Some(found) = found else {
            return Err(EngineError::TableGone {
                table: context.table.clone(),
                pipeline: context.name.clone(),
            });
        };
        for batch in found {
            rows.add(batch)?;
        }
    }
    Ok(rows)
}
