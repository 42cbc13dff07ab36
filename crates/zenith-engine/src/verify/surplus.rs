//! Rows that only the table has, found without asking the source for every key.
//!
//! Both sides count keys by buckets of their hash, which the table tells with each row. Only of buckets whose counts
//! differ the keys are read and looked up.

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema as ArrowSchema};
use bson::{Bson, RawBson};
use std::sync::Arc;
use zenith_arrow::rebuild;
use zenith_arrow::schema::EXTRA_COLUMN;
use zenith_extract::{ChangeSource, Source};
use zenith_state::{Mismatches, StateStore};
use zenith_transport::{Selection, Sink};

use super::rows::{alive, hash, table, visible};
use super::{Difference, Differences, Finding, Verifier};
use crate::layout::KEY;
use crate::load::literal;
use crate::{EngineError, Result};

/// Buckets of keys.
const BUCKETS: u64 = 65_536;
/// Keys that are read together.
const KEYS: u64 = 10_000;
/// Buckets that a condition names; of more, all are looked into.
const NAMED: usize = 5_000;

/// The column with the bucket of a key.
const BUCKET_COLUMN: &str = "_zenith_bucket";

/// What is in it.
fn bucket() -> String {
    format!("toUInt32({} % {BUCKETS})", hash())
}

/// Keys counted by bucket.
pub(super) struct Buckets(Vec<u32>);

impl Default for Buckets {
    fn default() -> Buckets {
        Buckets(vec![0; usize::try_from(BUCKETS).unwrap_or_default()])
    }
}

impl Buckets {
    pub(super) fn add(&mut self, hash: u64) {
        let place = usize::try_from(hash % BUCKETS).unwrap_or_default();
        if let Some(count) = self.0.get_mut(place) {
            *count = count.saturating_add(1);
        }
    }

    fn of(&self, bucket: u32) -> u32 {
        usize::try_from(bucket).ok().and_then(|bucket| self.0.get(bucket)).copied().unwrap_or(0)
    }
}

/// Keys of the table in their order.
#[derive(Default)]
struct Keyed {
    /// The `_id`s they stand for.
    ids: Vec<RawBson>,
    /// The buckets of keys that stand for documents without `_id`.
    without: Vec<u32>,
    /// The last one as statements have it; none after the end.
    last: Option<String>,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Verifier<S, K, T> {
    /// Rows that the table shows.
    pub(super) async fn count(&self) -> Result<u64> {
        let context = &self.context;
        let statement = format!("SELECT count() FROM {}", visible(context.layout(), &context.table));
        let found = context.retrying(|| context.sink.query(&statement)).await?;
        let count = found.iter().find(|batch| batch.num_rows() > 0).map(|batch| batch.column(0));
        Ok(count.and_then(|count| count.as_primitive_opt::<UInt64Type>()).map_or(0, |count| count.value(0)))
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
            String::new()
        } else {
            let others: Vec<String> = others.iter().map(u32::to_string).collect();
            format!(" AND {} IN ({})", bucket(), others.join(", "))
        };
        let mut after = None;
        loop {
            let Keyed { ids, without, last } = self.ids(&among, after.as_deref()).await?;
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
        let statement = format!(
            "SELECT {} AS bucket, count() FROM {} GROUP BY bucket",
            bucket(),
            visible(context.layout(), &context.table)
        );
        let mut there = Buckets::default();
        for batch in context.retrying(|| context.sink.query(&statement)).await? {
            let columns = (
                batch.column(0).as_primitive_opt::<UInt32Type>(),
                batch.column(1).as_primitive_opt::<UInt64Type>(),
            );
            let (Some(places), Some(counts)) = columns else { continue };
            for (place, count) in places.values().iter().zip(counts.values()) {
                if let Some(slot) = usize::try_from(*place).ok().and_then(|place| there.0.get_mut(place)) {
                    *slot = u32::try_from(*count).unwrap_or(u32::MAX);
                }
            }
        }
        Ok(there)
    }

    /// The next keys of the table.
    async fn ids(&self, among: &str, after: Option<&str>) -> Result<Keyed> {
        let context = &self.context;
        let after = after.map_or_else(String::new, |after| format!(" AND {KEY} > {after}"));
        let selection = Selection {
            columns: vec![KEY.to_owned()],
            computed: vec![(BUCKET_COLUMN.to_owned(), bucket())],
            condition: format!("{}{among}{after}", alive(context.layout())),
            order_by: vec![KEY.to_owned()],
            limit: Some(KEYS),
            ..table(context)
        };
        let mut keyed = Keyed::default();
        for batch in context.retrying(|| context.sink.read_where(&selection)).await?.unwrap_or_default() {
            for row in 0..batch.num_rows() {
                let key = literal::key(&batch, row)?;
                if keyed.last.as_ref() == Some(&key) {
                    continue;
                }
                keyed.last = Some(key);
                match self.id(&batch, row)? {
                    Some(id) => keyed.ids.push(id),
                    None => {
                        let buckets = batch.column_by_name(BUCKET_COLUMN);
                        let buckets = buckets.and_then(|column| column.as_primitive_opt::<UInt32Type>());
                        keyed.without.extend(buckets.map(|buckets| buckets.value(row)));
                    }
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
