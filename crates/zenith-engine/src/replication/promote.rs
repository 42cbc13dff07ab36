//! Columns for what gathered in the extra column.
//!
//! ```text
//! extra column ─▶ fields that could have a column ─▶ ALTER TABLE ─▶ schema noted ─▶ rows with their values decoded again
//! ```
//!
//! A table of current documents is changed where it is: a row that is written again, with its own version, takes the place
//! of the row it was made of. A crash in between leaves a table that is right, in which fewer rows show the new columns. In
//! other tables nothing would take the row away: a clone of the table is changed, and put in its place in one step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use zenith_arrow::infer::{Promotable, Wanted};
use zenith_arrow::schema::EXTRA_COLUMN;
use zenith_arrow::{Field, Schema};
use zenith_extract::{ChangeSource, Source};
use zenith_state::{Mismatches, NO_COLUMN, StateStore};
use zenith_transport::ddl::{LOADING_SETTINGS, identifier};
use zenith_transport::{Filter, Scalar, Selection, Sink};

use super::Replicator;
use super::by_hand::is_written;
use super::context::Context;
use super::schema::{NEW_FIELDS, PROMOTED};
use super::widening::is_conflict;
use crate::error::sentence;
use crate::layout::Layout;
use crate::load::context::{LoadContext, Repeats};
use crate::policies::Mode;
use crate::promotion::{
    Backfill, Counts, Growth, Pager, Promotion, add_extra, has_twin, is_of, key_of, with_keys,
};
use crate::reload::{run_name, shadow_prefix};
use crate::{EngineError, Result};

/// How often rows are written again that do not show their values yet.
const ROUNDS: usize = 3;

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// What could be moved from the extra column into columns; of these paths alone, if there are any.
    pub(super) async fn promotable(&self, paths: &[String]) -> Result<Promotion> {
        let growth = self.growth(paths).await?;
        growth.promotion(self.rows_with(&growth.keys()).await?)
    }

    /// Moves values from the extra column into columns, of these paths alone, if there are any.
    pub(super) async fn promote(self: &Arc<Self>, paths: &[String]) -> Result<Promotion> {
        // One reads from the table like a snapshot.
        let _turn = self.unless_stopped(self.memory.snapshot()).await?;
        self.claim().await?;
        self.refuse_open_intents().await?;
        // Columns that somebody has added may be those of these fields.
        if self.settings.mode != Mode::Full {
            self.schema_to_write().await?;
        }
        let growth = self.growth(paths).await?;
        let rows = self.rows_with(&growth.keys()).await?;
        let mut promotion = growth.promotion(rows)?;
        if promotion.is_empty() {
            return Ok(promotion);
        }
        self.live.counters.expect(rows);
        let (statement, extra) = match self.layout() {
            Layout::Current | Layout::Marked { .. } => Box::pin(self.promote_in_place(&growth)).await?,
            Layout::Rows | Layout::Log => Box::pin(self.promote_aside(&growth, rows)).await?,
        };
        promotion.statement = statement;
        let fields = promotion.fields.iter().map(|field| field.path.clone()).collect::<Vec<_>>();
        let of = |paths: &[String]| {
            let is_of = |path: &str| paths.iter().any(|field| is_of(path, field));
            extra.clone().into_iter().filter(|(path, _)| is_of(path)).collect::<Counts>()
        };
        // Those of late fields that do not fit were counted when they came.
        let instead = Mismatches { values: of(&fields), ..Mismatches::default() };
        let moved = [fields, growth.late].concat();
        promotion.mismatches = of(&moved);
        self.state.recount_values(&self.name, &moved, NO_COLUMN, &instead).await?;
        self.recount_widened(&growth.widened, of(&growth.widened)).await?;
        Ok(promotion)
    }

    /// Values of columns that hold more than when these were counted; `left` is what still does not fit.
    async fn recount_widened(&self, widened: &[String], left: Counts) -> Result<()> {
        let counted = self.state.mismatches(&self.name, None).await?.values;
        let of_widened = counted.iter().filter(|(path, _)| widened.contains(path));
        let reasons: BTreeSet<&String> =
            of_widened.flat_map(|(_, reasons)| reasons.keys()).filter(|reason| is_conflict(reason)).collect();
        let mut instead = Mismatches { values: left, ..Mismatches::default() };
        instead.values.values_mut().for_each(|reasons| reasons.retain(|reason, _| is_conflict(reason)));
        instead.values.retain(|_, reasons| !reasons.is_empty());
        for (at, reason) in reasons.iter().enumerate().rev() {
            // What is counted last stays.
            let instead = if at == 0 { std::mem::take(&mut instead) } else { Mismatches::default() };
            self.state.recount_values(&self.name, widened, reason, &instead).await?;
        }
        Ok(())
    }

    pub(super) async fn growth(&self, paths: &[String]) -> Result<Growth> {
        if self.settings.mode == Mode::Full {
            return Err(self.cannot_promote(
                "each run loads its table anew, with the columns that its sample asks for: raise sample instead",
            ));
        }
        let Some(now) = self.schema().await? else {
            return Err(self.cannot_promote("it has not begun yet, and has no table: run it first"));
        };
        let mut found = Promotable::new(self.settings.options.infer_options(now.dates), paths);
        let selection = Selection {
            columns: vec![EXTRA_COLUMN.to_owned()],
            filter: Filter::After(EXTRA_COLUMN.to_owned(), Scalar::Bytes(Vec::new())),
            table: self.table.clone(),
            rows: self.layout().with_values(),
            ..Selection::default()
        };
        let mut pager = Pager::new(selection, self.layout());
        while let Some(page) = pager.next(self).await? {
            for batch in &page {
                add_extra(&mut found, &now, batch)
                    .map_err(|error| self.cannot_promote(&error.to_string()))?;
            }
        }
        let late_fields = self.late_fields(&now).await?;
        let all_late = late_fields
            .keys()
            .filter(|path| key_of(&now, path).is_some_and(|column| found.has_values_of(column)))
            .cloned();
        let (mut late, left_late): (Vec<String>, Vec<String>) =
            all_late.partition(|path| paths.is_empty() || paths.contains(path));
        late.sort_unstable();
        let wanted = if paths.is_empty() { Wanted::All } else { Wanted::Only(paths) };
        let (then, promoted) = found.promote(&now, wanted, self.settings.options.max_columns);
        let is_promoted = |path: &str| promoted.iter().any(|field| field.path == path);
        if let Some(missing) = paths.iter().find(|path| !is_promoted(path) && !late.contains(path)) {
            return Err(self.cannot_promote(&format!(
                "{missing} can get no column: {}",
                self.why_not(&found, &now, missing)
            )));
        }
        let left_out = found.values().clone().into_iter().filter(|(path, _)| !is_promoted(path)).collect();
        let is_widened = |path: &&String| late_fields.get(*path).is_some_and(Option::is_some);
        let widened = late.iter().filter(is_widened).cloned().collect();
        // What a twin shows stays there.
        let mut all_widened = late_fields.iter().filter(|(_, before)| before.is_some());
        let is_complete = left_late.is_empty() && !all_widened.any(|(path, _)| has_twin(&now.fields, path));
        Ok(Growth { now, then, promoted, late, widened, left_out, is_complete })
    }

    fn why_not(&self, found: &Promotable, schema: &Schema, path: &str) -> String {
        if !found.values().contains_key(path) {
            let known: Vec<&str> = found.values().keys().take(10).map(String::as_str).collect();
            return match known.as_slice() {
                [] => format!("{EXTRA_COLUMN} has no values of fields without a column"),
                known => format!("{EXTRA_COLUMN} has values of {}, but none of it", known.join(", ")),
            };
        }
        let leaves: usize = schema.fields.iter().map(Field::leaves).sum();
        if leaves >= self.settings.options.max_columns {
            return format!(
                "the table has {leaves} columns, and max_columns = {}",
                self.settings.options.max_columns
            );
        }
        "no column can have its name or hold its values".to_owned()
    }

    fn cannot_promote(&self, reason: &str) -> EngineError {
        EngineError::NotPossible {
            doing: format!("promoting fields of the pipeline {}", self.name),
            reason: reason.to_owned(),
        }
    }

    /// The rows that are written again, into the table itself or a clone of it.
    fn backfill<'a>(
        &'a self,
        growth: &'a Growth,
        load: &'a LoadContext,
        table: &'a str,
    ) -> Backfill<'a, Self, K> {
        let (name, layout) = (self.table.as_str(), self.layout());
        let (sink, bytes_max) = (&*self.sink, self.memory.batch_bytes());
        Backfill { from: self, name, growth, load, sink, table, layout, bytes_max }
    }

    /// How many rows have one of these keys in the extra column.
    async fn rows_with(&self, keys: &[String]) -> Result<u64> {
        if keys.is_empty() {
            return Ok(0);
        }
        let selection = with_keys(&self.table, self.layout(), keys);
        self.retrying(|| self.sink.admin().count_rows(&selection)).await
    }

    async fn promote_in_place(self: &Arc<Self>, growth: &Growth) -> Result<(String, Counts)> {
        self.announce(&growth.now, &growth.then).await?;
        let statement = self.alter(&self.table, &growth.now, &growth.then).await?;
        if growth.then != growth.now {
            self.note_schema(&growth.then, NEW_FIELDS, &statement).await?;
            self.keep_view().await?;
        }
        self.expect_columns(&growth.then).await?;
        for _ in 0..ROUNDS {
            let load = self.load(format!("{}/promote/{}", self.name, run_name()), Repeats::Uncounted);
            let done = self.backfill(growth, &load, &self.table).run().await?;
            // A row that an insert has not left cannot be told from the one it was to replace.
            if self.rows_with(&growth.keys()).await? <= done.left {
                if growth.is_complete {
                    self.note_schema(&growth.then, PROMOTED, "").await?;
                }
                return Ok((statement, done.extra));
            }
        }
        Err(self.cannot_promote(&format!(
            "{} has still rows that were written again and do not show their values: the same command tries again",
            self.table
        )))
    }

    async fn promote_aside(self: &Arc<Self>, growth: &Growth, rows: u64) -> Result<(String, Counts)> {
        let settings = self.refuse_what_a_clone_would_lose(&growth.now).await?;
        let run = run_name();
        let shadow = format!("{}{run}", shadow_prefix(&self.table));
        let load = self.load(format!("{}/promote/{run}", self.name), Repeats::Uncounted);
        let promoted = Box::pin(self.promote_clone(growth, &load, &shadow, rows)).await;
        if promoted.is_err() && self.sink.drop_table(&shadow).await.is_err() {
            tracing::warn!(pipeline = self.name, "{}", super::context::left_behind(&shadow));
        }
        let promoted = promoted?;
        if let Err(error) = self.sink.admin().set_settings(&self.table, &settings).await {
            let why = sentence(&error);
            tracing::warn!(
                pipeline = self.name,
                "settings of {} were reset: {settings:?} ({why})",
                self.table
            );
        }
        Ok(promoted)
    }

    async fn promote_clone(
        self: &Arc<Self>,
        growth: &Growth,
        load: &LoadContext,
        shadow: &str,
        rows: u64,
    ) -> Result<(String, Counts)> {
        let admin = self.sink.admin();
        self.unless_stopped(admin.clone_table(&self.table, shadow)).await??;
        let statement = self.unless_stopped(self.alter(shadow, &growth.now, &growth.then)).await??;
        let statement = statement.replace(&identifier(shadow), &identifier(&self.table));
        self.unless_stopped(admin.delete(&with_keys(shadow, self.layout(), &growth.keys()))).await??;
        let done = self.backfill(growth, load, shadow).run().await?;
        if done.rows != rows {
            return Err(self.cannot_promote(&format!(
                "{rows} rows of {} were to be written again, and {} were read: did somebody else change it?",
                self.table, done.rows
            )));
        }
        if growth.then != growth.now {
            self.note_schema(&growth.then, NEW_FIELDS, "").await?;
        }
        self.claim().await?;
        load.repeat(|| self.sink.publish(shadow, &self.table)).await?;
        self.expect_columns(&growth.then).await?;
        let cause = if growth.is_complete { PROMOTED } else { NEW_FIELDS };
        self.note_schema(&growth.then, cause, &statement).await?;
        Ok((statement, done.extra))
    }

    /// An insert whose end is unknown may land after the rows have been read, and may only be repeated in the table it was
    /// sent to.
    async fn refuse_open_intents(&self) -> Result<()> {
        if self.state.open_intents(&self.name).await?.is_empty() {
            return Ok(());
        }
        Err(self
            .cannot_promote("an insert is under way whose end is unknown: let zenith run finish it first"))
    }

    /// Rows are written again as Zenith knows them. Gives back settings of the table that publication resets.
    async fn refuse_what_a_clone_would_lose(&self, schema: &Schema) -> Result<BTreeMap<String, String>> {
        let Some(table) = self.retrying(|| self.sink.describe(&self.table)).await? else {
            return Ok(BTreeMap::new());
        };
        let ours = self.added.schema(self.layout().schema(&schema.to_arrow()))?;
        let others = table.columns.iter().filter(|column| is_written(column));
        match others.map(|column| &column.name).find(|name| ours.column_with_name(name).is_none()) {
            None => {
                let mut settings = table.additions.unwrap_or_default().settings;
                settings.retain(|name, _| LOADING_SETTINGS.iter().any(|(loading, _)| name == loading));
                Ok(settings)
            }
            Some(column) => Err(self.cannot_promote(&format!(
                "{} has a column {column} that Zenith does not know, whose values would be lost: drop it, or make it \
                 MATERIALIZED",
                self.table
            ))),
        }
    }

    /// # Errors
    /// Where a column of that name was there and is of another type.
    async fn expect_columns(&self, schema: &Schema) -> Result<()> {
        if self.schema().await?.as_ref() == Some(schema) {
            return Ok(());
        }
        Err(self.cannot_promote(&format!(
            "{} has a column of one of these names, which cannot hold the values: drop or rename it",
            self.table
        )))
    }
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Replicator<S, K, T> {
    /// What could be moved from the extra column of a table into columns, and writes nothing: of these paths alone, if there
    /// are any.
    ///
    /// # Errors
    /// [`EngineError::Setting`] if there is no pipeline of that name, [`EngineError::NotPossible`] for a path that can get no
    /// column; those of the target.
    pub async fn promotable(&self, name: &str, paths: &[String]) -> Result<Promotion> {
        // Nobody waits for ever for an answer.
        self.context(name)?.in_mode(self.catch_up()).promotable(paths).await
    }
}
