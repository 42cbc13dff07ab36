//! Compares a table with its collection, value by value.
//!
//! The collection is loaded once more into a table of its own, beside the one that is checked, and the server compares
//! the two: first a checksum over all values of each range of keys, then, in ranges that differ, row by row. So every
//! value is compared as it would be written today.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use zenith_arrow::{Decoder, DecoderOptions, Schema};
use zenith_extract::{ChangeSource, PartitionStrategy, ReadConcern, Source};
use zenith_state::StateStore;
use zenith_transport::ddl::{Dialect, column_type, identifier};
use zenith_transport::{Insert, Preflight, Sink, TableDefinition};

use super::context::Context;
use super::{Mode, Synchronizer};
use crate::layout::{DELETED_COLUMN, Layout, Stamp};
use crate::progress::to_u64;
use crate::reload::load::{Load, Parts, load};
use crate::reload::run_name;
use crate::{EngineError, Result, StopHandle};

/// Rows of one range, about.
const RANGE_ROWS: u64 = 50_000;
/// Comparisons before a difference counts, while changes go on.
const TRIES: u32 = 4;
/// The pause between them: changes under way arrive meanwhile.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(2);

/// How to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Only so many documents, at random; all, if not said.
    pub sample: Option<u64>,
    /// How many `_id`s of each kind are named.
    pub ids_shown: usize,
}

impl Default for VerifyOptions {
    fn default() -> VerifyOptions {
        VerifyOptions { sample: None, ids_shown: 20 }
    }
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Documents of the collection that were compared.
    pub source_rows: u64,
    /// Rows of the table that were compared.
    pub target_rows: u64,
    /// Ranges of keys, by hash.
    pub ranges: u64,
    /// Those of them in which something differs.
    pub ranges_differing: u64,
    /// `_id`s that only the collection has.
    pub missing: Vec<String>,
    /// `_id`s that only the table has.
    pub surplus: Vec<String>,
    /// `_id`s whose values differ.
    pub differing: Vec<String>,
    /// How many are missing.
    pub missing_count: u64,
    /// How many are surplus.
    pub surplus_count: u64,
    /// How many differ.
    pub differing_count: u64,
}

impl Verification {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.missing_count == 0 && self.surplus_count == 0 && self.differing_count == 0
    }
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Synchronizer<S, K, T> {
    /// Compares. While changes go on, what differs is looked at again a few times: it may be on its way.
    ///
    /// # Errors
    /// When either end cannot be read; for change logs, which hold no documents to compare.
    pub async fn verify(&self, name: &str, options: VerifyOptions) -> Result<Verification> {
        let context = self.context(name)?;
        if context.settings.mode == Mode::ChangeLog {
            return Err(EngineError::Setting {
                setting: "the pipeline",
                value: name.to_owned(),
                reason:
                    "a change log holds changes, and the collection does not: there is nothing to compare"
                        .to_owned(),
            });
        }
        let mut tries = 1;
        loop {
            let found = compare(context, options).await?;
            if found.is_equal() || tries >= TRIES {
                return Ok(found);
            }
            tries += 1;
            context.unless_stopped(tokio::time::sleep(PAUSE)).await?;
        }
    }
}

async fn compare<S, K, T>(context: &Arc<Context<S, K, T>>, options: VerifyOptions) -> Result<Verification>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let schema = match context.schema().await? {
        Some(schema) => schema,
        None => context.reload(true).plan().await?.schema,
    };
    let look = Preflight::default();
    let target = context.retrying(|| context.sink.preflight(&look)).await?;
    let arrow = schema.to_arrow();
    let copy = format!("{}__zenith_verify_{}", context.table, run_name());
    let definition = TableDefinition::new(&copy, Arc::clone(&arrow)).order_by(["_id"]);
    context.retrying(|| context.sink.create(&definition)).await?;
    let compared = async {
        let _turn = context.unless_stopped(context.shares.snapshot()).await?;
        match options.sample {
            None => load_all(context, &schema, &copy).await?,
            Some(documents) => load_sample(context, &schema, &copy, documents).await?,
        }
        let comparison = Comparison {
            context,
            copy: &copy,
            hash: hash(&arrow, Dialect::of_version(target.version_number))?,
            sampled: options.sample.is_some(),
            ids_shown: options.ids_shown,
        };
        comparison.run().await
    };
    let result = compared.await;
    let dropped = context.sink.drop_table(&copy).await;
    let found = result?;
    dropped?;
    Ok(found)
}

async fn load_all<S, K, T>(context: &Arc<Context<S, K, T>>, schema: &Schema, copy: &str) -> Result<()>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let pipeline = context.reload(true);
    let partitions = context.source.partitions(&context.namespace, 1, PartitionStrategy::Natural).await?;
    let shared = Arc::new(Load {
        run: run_name(),
        pipeline: context.name.clone(),
        dead_letters: context.settings.dead_letters.clone(),
        namespace: context.namespace.clone(),
        pool: context.shares.pool().clone(),
        progress: Arc::default(),
        dead: crate::misfits::DeadLetters::default(),
        on_bad_document: context.settings.on_bad_document,
        stop: context.stop.clone(),
        abort: StopHandle::new(),
    });
    let read_concern =
        if context.settings.mode == Mode::Changes { ReadConcern::Majority } else { ReadConcern::Configured };
    let parts = Parts {
        source: &context.source,
        sink: &context.sink,
        schema,
        sample: Arc::default(),
        partitions,
        documents: None,
        readers: pipeline.options.readers(),
        options: &pipeline.options,
        table: copy,
        stamp: Stamp::None,
        read_concern,
        watched: None,
    };
    load(shared, parts).await.map(|_| ()).map_err(EngineError::while_loading)
}

async fn load_sample<S, K, T>(
    context: &Arc<Context<S, K, T>>,
    schema: &Schema,
    copy: &str,
    documents: u64,
) -> Result<()>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let wanted = usize::try_from(documents).unwrap_or(usize::MAX);
    let sample = context.source.sample(&context.namespace, wanted).await?;
    let failed = |source| EngineError::Decode { namespace: context.namespace.to_string(), source };
    let options = DecoderOptions { rows_max: 65_536, bytes_max: context.shares.batch_bytes() };
    let mut decoder = Decoder::new(schema, context.shares.pool(), options);
    for (number, document) in sample.iter().enumerate() {
        let bytes = document.as_bytes();
        let mut ranges = std::iter::once(0..bytes.len());
        while let Some(batch) = decoder.append(bytes, &mut ranges, &mut |_| {}).map_err(failed)? {
            insert(context, copy, batch, number).await?;
        }
    }
    if let Some(batch) = decoder.finish().map_err(failed)? {
        insert(context, copy, batch, usize::MAX).await?;
    }
    Ok(())
}

async fn insert<S, K, T>(
    context: &Arc<Context<S, K, T>>,
    copy: &str,
    batch: RecordBatch,
    number: usize,
) -> Result<()>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let insert = Insert { table: copy.to_owned(), batch, token: format!("{copy}-{number}") };
    context.retrying(|| context.sink.write(insert.clone())).await.map(|_| ())
}

/// An expression that is equal for rows of equal values, and hardly ever for others.
fn hash(schema: &arrow_schema::Schema, dialect: Dialect) -> Result<String> {
    let mut text = String::from("cityHash64(tuple(");
    for (number, field) in schema.fields().iter().enumerate() {
        let name = identifier(field.name());
        let separator = if number == 0 { "" } else { ", " };
        let plain = !matches!(field.data_type(), DataType::Struct(_) | DataType::List(_))
            && !column_type(field, dialect)?.contains("JSON");
        // A hash of NULL is NULL, and some types have no hash: as text every value has one.
        let _ = match (plain, field.is_nullable()) {
            (true, false) => write!(text, "{separator}{name}"),
            (true, true) => write!(text, "{separator}isNull({name}), assumeNotNull({name})"),
            (false, _) => write!(text, "{separator}toString({name})"),
        };
    }
    text.push_str("))");
    Ok(text)
}

struct Comparison<'a, S, K, T> {
    context: &'a Arc<Context<S, K, T>>,
    copy: &'a str,
    hash: String,
    sampled: bool,
    ids_shown: usize,
}

impl<S, K, T> Comparison<'_, S, K, T>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    async fn run(&self) -> Result<Verification> {
        let copied = self.context.retrying(|| self.context.sink.count(self.copy)).await?;
        let ranges = (copied / RANGE_ROWS).clamp(1, 65_536);
        // One row a range: whether it differs, and how many rows either side has.
        let checksums = format!(
            "SELECT toUInt64(sum(left)), toUInt64(sum(right)), toUInt64(countIf(left != right OR left_sum != right_sum)) FROM \
             (SELECT cityHash64(_id) % {ranges} AS bucket, countIf(side = 0) AS left, countIf(side = 1) AS right, \
             sumIf(hash, side = 0) AS left_sum, sumIf(hash, side = 1) AS right_sum FROM {} GROUP BY bucket)",
            self.both_sides()
        );
        let totals = self.numbers(&checksums).await?;
        let mut found = Verification {
            source_rows: totals.first().copied().unwrap_or(0),
            target_rows: totals.get(1).copied().unwrap_or(0),
            ranges,
            ranges_differing: totals.get(2).copied().unwrap_or(0),
            ..Verification::default()
        };
        if found.ranges_differing == 0 {
            return Ok(found);
        }
        for (kind, condition) in
            [(0, "left > right"), (1, "right > left"), (2, "left = right AND left_sum != right_sum")]
        {
            let (count, ids) = self.differing(ranges, condition).await?;
            match kind {
                0 => (found.missing_count, found.missing) = (count, ids),
                1 => (found.surplus_count, found.surplus) = (count, ids),
                _ => (found.differing_count, found.differing) = (count, ids),
            }
        }
        Ok(found)
    }

    /// How many keys differ in one way, and some of them; only ranges that differ are looked into.
    async fn differing(&self, ranges: u64, condition: &str) -> Result<(u64, Vec<String>)> {
        let sides = self.both_sides();
        let sums = "countIf(side = 0) AS left, countIf(side = 1) AS right, sumIf(hash, side = 0) AS left_sum, \
                    sumIf(hash, side = 1) AS right_sum";
        let statement = format!(
            "SELECT toString(_id) AS id, toUInt64(count() OVER ()) AS total FROM (SELECT _id, {sums} FROM {sides} WHERE \
             cityHash64(_id) % {ranges} IN (SELECT cityHash64(_id) % {ranges} AS bucket FROM (SELECT _id, {sums} FROM {sides} \
             GROUP BY _id) GROUP BY bucket HAVING sum(left) != sum(right) OR sum(left_sum) != sum(right_sum)) GROUP BY _id) \
             WHERE {condition} ORDER BY id LIMIT {}",
            self.ids_shown.max(1)
        );
        let batches = self.context.retrying(|| self.context.sink.query(&statement)).await?;
        let (mut total, mut ids) = (0, Vec::new());
        for batch in &batches {
            total = batch
                .column(1)
                .as_primitive_opt::<UInt64Type>()
                .and_then(|column| column.values().first())
                .copied()
                .unwrap_or(total);
            ids.extend((0..batch.num_rows()).map(|row| text(batch.column(0).as_ref(), row)));
        }
        Ok((total, ids))
    }

    /// Keys and hashes of both tables, as one.
    fn both_sides(&self) -> String {
        let (table, copy) = (identifier(&self.context.table), identifier(self.copy));
        let visible = match self.context.layout() {
            Layout::Current => format!("{table} FINAL WHERE {} = 0", identifier(DELETED_COLUMN)),
            Layout::Rows | Layout::Log => format!("{table} WHERE 1"),
        };
        let among =
            if self.sampled { format!(" AND _id IN (SELECT _id FROM {copy})") } else { String::new() };
        let hash = &self.hash;
        format!(
            "(SELECT 0 AS side, _id, {hash} AS hash FROM {copy} UNION ALL SELECT 1 AS side, _id, {hash} AS hash FROM {visible}{among})"
        )
    }

    async fn numbers(&self, statement: &str) -> Result<Vec<u64>> {
        let batches = self.context.retrying(|| self.context.sink.query(statement)).await?;
        let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) else { return Ok(Vec::new()) };
        Ok(batch
            .columns()
            .iter()
            .map(|column| {
                let values = column.as_primitive_opt::<UInt64Type>();
                values.and_then(|values| values.values().first()).copied().unwrap_or(0)
            })
            .collect())
    }
}

/// Text of a sink, which need not know that it is UTF-8.
fn text(column: &dyn Array, row: usize) -> String {
    if let Some(strings) = column.as_string_opt::<i32>() {
        return strings.value(row).to_owned();
    }
    match column.as_binary_opt::<i32>() {
        Some(bytes) => String::from_utf8_lossy(bytes.value(row)).into_owned(),
        None => to_u64(row).to_string(),
    }
}
