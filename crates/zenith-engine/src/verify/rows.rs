//! The rows of the table that belong to documents: found by their keys, which both ends have in the column's own type.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use zenith_arrow::Schema;
use zenith_arrow::rebuild::gathered;
use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::{HashColumn, Scalar, Selection, Sink};

use crate::layout::KEY;
use crate::load::key::{is_one_of, key};
use crate::load::keys::KEYS_MAX;
use crate::replication::context::Context;
use crate::{EngineError, Result};

/// About how many bytes the keys of one question take.
const KEY_BYTES_MAX: usize = 1024 * 1024;
/// The column with a hash of the key.
pub(super) const HASH_COLUMN: &str = "_zenith_hash";
/// It, as a sink is asked for it.
pub(super) fn hash() -> Option<HashColumn> {
    Some(HashColumn { name: HASH_COLUMN.to_owned(), of: KEY.to_owned() })
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
    Selection { table: context.table.clone(), rows: context.layout().documents(), ..Selection::default() }
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
            let gathered = gathered(schema, &batch).map_err(|error| EngineError::NotPossible {
                doing: format!("reading {}", context.table),
                reason: error.to_string(),
            })?;
            rows.add(gathered)?;
        }
    }
    Ok(rows)
}
