//! Columns for fields that the sample of a load missed, and that are too rare for a load with other columns: the shadow table
//! gets them before it is shown, and the rows with their values are written again.
//!
//! ```text
//! shadow table ─▶ clone, to read from
//!      └─▶ ALTER TABLE ─▶ rows with values of the fields deleted ─▶ read from the clone, decoded again, inserted
//! ```
//!
//! Nobody sees either table meanwhile, and a load that fails drops both.

use std::collections::BTreeMap;
use std::sync::Arc;

use zenith_arrow::Schema;
use zenith_arrow::infer::{Promotable, Promoted, Wanted};
use zenith_arrow::schema::EXTRA_COLUMN;
use zenith_state::{Mismatches, NO_COLUMN};
use zenith_transport::{Filter, Merging, RowSet, Scalar, Selection, Sink, TransportError};

use super::shadow;
use super::temporary::run_name;
use crate::error::sentence;
use crate::layout::Layout;
use crate::load::context::{LoadContext, Repeats};
use crate::policies::OnNewField;
use crate::promotion::{
    Backfill, Counts, Growth, Loaded, Pager, add_extra, alter, changed_columns, is_of, with_keys,
};
use crate::row_shape::Shape;
use crate::{EngineError, Pipeline, Result};

/// All rows with values in the extra column are read: no more values than these, or than one row in so many.
const VALUES_MAX: u64 = 10_000;
const SHARE: u64 = 100;
/// The most fields that get a column: more are keys that are data.
const FIELDS_MAX: usize = 50;

/// What a load has put into its table.
pub(super) struct Filled {
    pub(super) schema: Schema,
    pub(super) mismatches: Mismatches,
    /// Fields that got their columns after the load.
    pub(super) added: Vec<String>,
}

/// A loaded table that nobody sees yet.
pub(super) struct Rare<'a, S, K> {
    pub(super) pipeline: &'a Pipeline<S, K>,
    pub(super) shadow: &'a str,
    pub(super) layout: Layout,
    /// Rows of the table.
    pub(super) rows: u64,
}

impl<S, K: Sink + 'static> Rare<'_, S, K> {
    /// Gives rare fields their columns. Where that fails before a row is touched, their values stay in the extra column.
    ///
    /// # Errors
    /// [`EngineError::NewField`] where that is wished; those of the sink.
    pub(super) async fn promote(&self, mut filled: Filled) -> Result<Filled> {
        let counts = filled.mismatches.values.values().flatten();
        let without: u64 = counts.filter(|(reason, _)| *reason == NO_COLUMN).map(|(_, count)| count).sum();
        let all = filled.mismatches.values_total();
        let options = &self.pipeline.options;
        let policy = options.table.on_new_field;
        // The next copy could not tell which fields other flat columns are of.
        let is_kept = options.table.shape == Shape::Columns || options.replace;
        if !is_kept
            || matches!(policy, OnNewField::Extra | OnNewField::Ignore)
            || without == 0
            || all > VALUES_MAX.max(self.rows / SHARE)
        {
            return Ok(filled);
        }
        let load = LoadContext {
            progress: Arc::default(),
            repeats: Repeats::Uncounted,
            ..LoadContext::of(self.pipeline, run_name())
        };
        let growth = match self.growth(&load, &filled.schema).await {
            Ok(Some(growth)) => growth,
            Ok(None) | Err(EngineError::Sink(TransportError::Unsupported { .. })) => return Ok(filled),
            Err(error) => return self.unless_it_matters(filled, error),
        };
        if let Some(first) = growth.promoted.first().filter(|_| policy == OnNewField::Fail) {
            return Err(EngineError::NewField {
                namespace: self.pipeline.namespace.to_string(),
                field: first.path.clone(),
                table: self.pipeline.table.clone(),
            });
        }
        let before = format!("{}_before", self.shadow);
        let moved = async {
            if let Err(error) = self.prepare(&load, &growth, &before).await {
                return Ok(Err(error));
            }
            self.rewrite(&load, &growth, &before).await.map(Ok)
        };
        let moved = moved.await;
        shadow::drop(self.pipeline, &before).await;
        match moved? {
            Ok(left) => filled.take(growth, left),
            Err(error) => return self.unless_it_matters(filled, error),
        }
        Ok(filled)
    }

    /// Goes on with what has been loaded, unless the load is to start over or to end.
    fn unless_it_matters(&self, filled: Filled, error: EngineError) -> Result<Filled> {
        if error.is_passing() || matches!(error, EngineError::Stopped) {
            return Err(error);
        }
        tracing::warn!(
            table = self.pipeline.table,
            "rare fields get no column, and their values stay in {EXTRA_COLUMN}: {}",
            sentence(&error)
        );
        Ok(filled)
    }

    /// The columns that there are and those there could be, if that is more.
    async fn growth(&self, load: &LoadContext, now: &Schema) -> Result<Option<Growth>> {
        let options = &self.pipeline.options.table;
        let mut found = Promotable::new(options.infer_options(now.dates), &[]);
        let selection = Selection {
            columns: vec![EXTRA_COLUMN.to_owned()],
            filter: Filter::After(EXTRA_COLUMN.to_owned(), Scalar::Bytes(Vec::new())),
            table: self.shadow.to_owned(),
            rows: RowSet::All,
            ..Selection::default()
        };
        let table = Loaded { load, sink: &*self.pipeline.sink };
        let mut pager = Pager::new(selection, self.layout);
        while let Some(page) = pager.next(&table).await? {
            for batch in &page {
                // What has just been written is ours.
                let _ = add_extra(&mut found, now, batch);
            }
        }
        let (_, mut promoted) = found.promote(now, Wanted::All, options.max_columns);
        promoted.sort_by_key(|field| std::cmp::Reverse(field.values));
        if promoted.len() > FIELDS_MAX {
            tracing::warn!(
                "more than {FIELDS_MAX} fields of {} are rare and have no column: the most frequent of them get one, and the \
                 values of the {} others stay in {EXTRA_COLUMN}",
                self.pipeline.table,
                promoted.len() - FIELDS_MAX
            );
            promoted.truncate(FIELDS_MAX);
        }
        let mut paths = Vec::new();
        for Promoted { path, .. } in promoted {
            let (then, _) =
                found.promote(now, Wanted::Only(std::slice::from_ref(&path)), options.max_columns);
            if self.may_have_columns(load, now, &then, &path).await? {
                paths.push(path);
            }
        }
        let (then, promoted) = found.promote(now, Wanted::Only(&paths), options.max_columns);
        if promoted.is_empty() {
            return Ok(None);
        }
        let (late, widened) = (Vec::new(), Vec::new());
        let (now, left_out) = (now.clone(), BTreeMap::new());
        Ok(Some(Growth { now, then, promoted, late, widened, left_out, is_complete: true }))
    }

    /// Whether a field may have its columns: its user may have given the table one of that name, and a column that gains a part is
    /// written again, which one of a key cannot be.
    async fn may_have_columns(
        &self,
        load: &LoadContext,
        now: &Schema,
        then: &Schema,
        path: &str,
    ) -> Result<bool> {
        let sink = &self.pipeline.sink;
        let (added, grown) = changed_columns(now, then);
        let table = load.repeat(|| sink.describe(self.shadow)).await?;
        let there = table.iter().flat_map(|table| &table.columns);
        if there.map(|column| &column.name).any(|name| added.iter().any(|column| column.name() == name)) {
            return Ok(false);
        }
        let Some((field, _)) = now.column_at(path).filter(|_| !grown.is_empty()) else { return Ok(true) };
        if self.pipeline.options.shape.required().contains(field.column_name()) {
            return Ok(false);
        }
        let columns = [field.column_name().to_owned()];
        let bytes = load.repeat(|| sink.admin().column_bytes(self.shadow, &columns)).await?;
        Ok(bytes <= self.pipeline.options.table.max_rewrite.as_u64())
    }

    /// Makes the clone and the columns.
    async fn prepare(&self, load: &LoadContext, growth: &Growth, before: &str) -> Result<()> {
        let (sink, shadow) = (&*self.pipeline.sink, self.shadow);
        load.unless_stopped(sink.admin().clone_table(shadow, before)).await??;
        // Columns are written again in the background, like merges.
        load.repeat(|| sink.set_merging(shadow, Merging::Running)).await?;
        // A table that is made with them from the start has them there, too.
        let last = growth.now.columns().last();
        let last = last.map(|field| field.twin.as_ref().map_or(field.column_name(), |twin| &twin.name));
        load.unless_stopped(alter(sink, shadow, &growth.now, &growth.then, last)).await??;
        Ok(())
    }

    /// Writes the rows with values of the fields again; gives back what no column shows of these.
    async fn rewrite(&self, load: &LoadContext, growth: &Growth, before: &str) -> Result<Counts> {
        let sink = &*self.pipeline.sink;
        let rows = Selection { rows: RowSet::All, ..with_keys(self.shadow, self.layout, &growth.keys()) };
        let wanted = load.repeat(|| sink.admin().count_rows(&rows)).await?;
        load.unless_stopped(sink.admin().delete(&rows)).await??;
        let backfill = Backfill {
            from: &Loaded { load, sink },
            name: before,
            growth,
            load,
            sink,
            table: self.shadow,
            layout: self.layout,
            bytes_max: self.pipeline.options.batch_bytes(),
        };
        let done = backfill.run().await?;
        if done.rows == wanted {
            return Ok(done.extra);
        }
        Err(EngineError::Reconcile {
            namespace: self.pipeline.namespace.to_string(),
            table: self.shadow.to_owned(),
            read: wanted,
            written: done.rows,
            dead_letters: 0,
            counted: self.rows,
        })
    }
}

impl Filled {
    /// Notes that fields have their columns; `left` is what no column shows of the rows written again.
    fn take(&mut self, growth: Growth, left: Counts) {
        self.added = growth.promoted.into_iter().map(|field| field.path).collect();
        self.schema = growth.then;
        let is_moved = |path: &String| self.added.iter().any(|field| is_of(path, field));
        for (_, reasons) in self.mismatches.values.iter_mut().filter(|(path, _)| is_moved(path)) {
            reasons.remove(NO_COLUMN);
        }
        for (path, reasons) in left.into_iter().filter(|(path, _)| is_moved(path)) {
            self.mismatches.values.entry(path).or_default().extend(reasons);
        }
        self.mismatches.values.retain(|_, reasons| !reasons.is_empty());
    }
}
