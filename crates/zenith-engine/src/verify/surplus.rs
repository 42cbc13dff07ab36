//! Rows that only the table has, found without asking the source for every key.
//!
//! Both sides count keys by buckets of their hash, which the table tells with each row. Only of buckets whose counts
//! differ the keys are read and looked up.

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema as ArrowSchema};
use bson::{Bson, RawBson};
use std::sync::Arc;
use zenith_arrow::rebuild;
use zenith_arrow::schema::EXTRA_COLUMN;
use zenith_extract::{ChangeSource, Source};
use zenith_state::{Mismatches, StateStore};
use zenith_transport::{Filter, Scalar, Selection, Sink};

use super::rows::{hash, hash_of, table};
use super::{Difference, Differences, Finding, Verifier};
use crate::layout::KEY;
use crate::load::key::key;
use crate::{EngineError, Result};

/// Buckets of keys.
const BUCKETS: u32 = 65_536;
/// Keys that are read together.
const KEYS: u64 = 10_000;
/// Buckets that a condition names; of more, all are looked into.
const NAMED: usize = 5_000;

/// Keys counted by bucket.
pub(super) struct Buckets(Vec<u32>);

impl Default for Buckets {
    fn default() -> Buckets {
        Buckets(vec![0; usize::try_from(BUCKETS).unwrap_or_default()])
    }
}

impl Buckets {
    pub(super) fn add(&mut self, hash: u64) {
        let place = usize::try_from(bucket_of(hash)).unwrap_or_default();
        if let Some(count) = self.0.get_mut(place) {
            *count = count.saturating_add(1);
        }
    }

    fn of(&self, bucket: u32) -> u32 {
        usize::try_from(bucket).ok().and_then(|bucket| self.0.get(bucket)).copied().unwrap_or(0)
    }
}

/// The bucket of a key with this hash.
fn bucket_of(hash: u64) -> u32 {
    u32::try_from(hash % u64::from(BUCKETS)).unwrap_or_default()
}

/// Keys of the table in their order.
#[derive(Default)]
struct Keyed {
    /// The `_id`s they stand for.
    ids: Vec<RawBson>,
    /// The buckets of keys that stand for documents without `_id`.
    without: Vec<u32>,
    /// The last one; none after the end.
    last: Option<Scalar>,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Verifier<S, K, T> {
    /// Rows that the table shows.
    pub(super) async fn count(&self) -> Result<u64> {
        let context = &self.context;
        let shown = table(context);
        context.retrying(|| context.sink.admin().count_rows(&shown)).await
    }

    /// Adds the rows that the source has no document for.
    pub(super) async fn surplus(&self, buckets: &Buckets, differences: &mut Differences) -> Result<()> {
        let there = self.buckets().await?;
        let pairs = (0_u32..).zip(there.0.iter().zip(&buckets.0));
        let others: Vec<u32> =
            pairs.filter(|(_, (there, here))| there != here).map(|(bucket, _)| bucket).collect();
        if others.is_empty() {
            return Ok(());
        }
        let among = if others.len() > NAMED {
            Filter::default()
        } else {
            Filter::HashIn { column: KEY.to_owned(), modulus: BUCKETS, remainders: others }
        };
        let mut after = None;
        loop {
            let Keyed { ids, without, last } = self.ids(&among, after).await?;
            let Some(last) = last else { return Ok(()) };
            for bucket in without {
                let number = |buckets: &Buckets| buckets.of(bucket);
                let finding =
                    if number(&there) > number(buckets) { Finding::Surplus } else { Finding::Fewer };
                for _ in 0..number(&there).abs_diff(number(buckets)) {
                    differences.add(Difference { id: None, finding: finding.clone() });
                }
            }
            // What fits has been counted, and what has other values has been found.
            let mut found = Differences::default();
            self.settle(ids, &mut found, &mut Mismatches::default()).await?;
            differences.add_numbers(found);
            after = Some(last);
        }
    }

    /// The keys of the table.
    async fn buckets(&self) -> Result<Buckets> {
        let context = &self.context;
        let (shown, mut there) = (table(context), Buckets::default());
        let counted = context.retrying(|| context.sink.admin().count_by_hash(&shown, KEY, BUCKETS)).await?;
        for (bucket, rows) in counted {
            if let Some(slot) = usize::try_from(bucket).ok().and_then(|bucket| there.0.get_mut(bucket)) {
                *slot = u32::try_from(rows).unwrap_or(u32::MAX);
            }
        }
        Ok(there)
    }

    /// The next keys of the table.
    async fn ids(&self, among: &Filter, after: Option<Scalar>) -> Result<Keyed> {
        let context = &self.context;
        let after = after.map(|after| Filter::After(KEY.to_owned(), after));
        let selection = Selection {
            columns: vec![KEY.to_owned()],
            hash: hash(),
            filter: Filter::All(std::iter::once(among.clone()).chain(after).collect()),
            order_by: vec![KEY.to_owned()],
            limit: Some(KEYS),
            ..table(context)
        };
        let mut keyed = Keyed::default();
        for batch in context.retrying(|| context.sink.admin().select(&selection)).await?.unwrap_or_default() {
            for row in 0..batch.num_rows() {
                let key = key(&batch, row)?;
                if keyed.last.as_ref() == Some(&key) {
                    continue;
                }
                keyed.last = Some(key);
                match self.id(&batch, row)? {
                    Some(id) => keyed.ids.push(id),
                    None => keyed.without.push(bucket_of(hash_of(&batch, row))),
                }
            }
        }
        Ok(keyed)
    }

    /// The `_id` that a key stands for.
    fn id(&self, batch: &RecordBatch, row: usize) -> Result<Option<RawBson>> {
        let key = batch.column(0).slice(row, 1);
        let fields = vec![
            Field::new(KEY, key.data_type().clone(), true),
            Field::new(EXTRA_COLUMN, DataType::Utf8, false),
        ];
        let columns: Vec<ArrayRef> = vec![key, Arc::new(StringArray::from(vec![""]))];
        let row = RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns)
            .map_err(|_| EngineError::Worker { worker: "the comparison" })?;
        let id = rebuild(self.keys.schema(), &row, 0).ok().and_then(|mut document| document.remove(KEY));
        Ok(id.and_then(|id: Bson| RawBson::try_from(id).ok()))
    }
}
