//! Columns that a table gets while changes are applied to it: for fields that it has no column for, and keys of documents
//! that no part of a column is for.
//!
//! ```text
//! decode ─▶ values without a column? ─▶ ALTER TABLE ─▶ schema noted ─▶ decode again
//! ```
//!
//! A crash between these steps does no harm: the schema is announced in the state before the table gets its columns, and the
//! next start uses what of it is there.
//!
//! A new column costs the target nothing. A column that gains parts has to be written again, in the background: this is done
//! once a minute at most, and not to columns that are large.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use tokio::time::{Instant, timeout};
use zenith_arrow::Schema;
use zenith_arrow::infer::{Promotable, Wanted};
use zenith_arrow::schema::EXTRA_COLUMN;
use zenith_extract::{ChangeSource, Source};
use zenith_state::{NO_COLUMN, OTHER_FIELDS, SchemaVersion, StateStore};
use zenith_transport::Sink;

use super::announced::{is_announced, there};
use super::context::Context;
use super::schema::{NEW_FIELDS, PROMOTED, decode_schema, keeps_rows, with_known};
use crate::error::sentence;
use crate::policies::OnNewField;
use crate::promotion::{LateFields, add_extra, alter, beyond, later};
use crate::{EngineError, Result};

/// How long a batch waits for its columns.
pub(super) const ALTER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long nothing is added after that took too long.
pub(super) const LATER: Duration = Duration::from_secs(10);
/// How long nothing is added after that failed, and between two times that columns gain parts.
const PAUSE: Duration = Duration::from_secs(60);
/// The most fields that get a column within [`PAUSE`], but for a table that has none yet.
const BURST: usize = 50;
/// So many fields without a column are remembered; keys that are data have no end.
pub(super) const REFUSED_MAX: usize = 10_000;

/// The columns of a table, and which fields have got none.
#[derive(Debug)]
pub(super) struct Evolution {
    schema: Arc<Schema>,
    /// Paths that cannot have one.
    refused: HashSet<String>,
    /// When fields got one, and how many.
    added: VecDeque<(Instant, usize)>,
    /// When columns gained parts the last time.
    pub(super) grown: Option<Instant>,
    /// When a batch was searched the last time.
    looked: Option<Instant>,
    /// Nothing is added before.
    paused_until: Option<Instant>,
    /// Paths of fields whose columns keep their types, whatever values come.
    pub(super) kept: HashSet<String>,
    /// Held by each batch that is made and not yet written.
    pub(super) in_flight: Arc<()>,
}

impl Evolution {
    pub(super) fn new(schema: Schema) -> Evolution {
        Evolution {
            schema: Arc::new(schema),
            refused: HashSet::new(),
            added: VecDeque::new(),
            grown: None,
            looked: None,
            paused_until: None,
            kept: HashSet::new(),
            in_flight: Arc::default(),
        }
    }

    pub(super) fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    pub(super) fn set_schema(&mut self, schema: Schema) {
        self.schema = Arc::new(schema);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused_until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn pause(&mut self, pause: Duration) {
        self.paused_until = Some(Instant::now() + pause);
    }

    /// Notes that columns are being written again.
    pub(super) fn note_rewritten(&mut self) {
        self.grown = Some(Instant::now());
    }

    /// Adds columns for values that have been decoded without one, by field and reason, and says whether there are any: the
    /// batch is to be decoded again then.
    ///
    /// # Errors
    /// [`EngineError::NewField`] where that is wished; otherwise if the state cannot be changed.
    pub(super) async fn grow<S, K, T>(
        &mut self,
        context: &Context<S, K, T>,
        extra: &BTreeMap<String, BTreeMap<String, u64>>,
        batch: Option<&RecordBatch>,
    ) -> Result<bool>
    where
        S: Source + ChangeSource,
        K: Sink + 'static,
        T: StateStore,
    {
        let Some(batch) = batch.filter(|_| self.is_worth_a_look(context, extra)) else { return Ok(false) };
        if self.looked.is_none() {
            let dropped = context.dropped_fields(&self.schema).await?;
            self.refuse(dropped);
        }
        self.looked = Some(Instant::now());
        let found = self.read(context, batch).await?;
        let (_, mut promoted) =
            found.promote(&self.schema, Wanted::All, context.settings.options.max_columns);
        promoted.retain(|field| !self.refused.contains(&field.path));
        let is_promoted = |path: &String| promoted.iter().any(|field| field.path == *path);
        self.refuse(
            without_column(extra).filter(|path| *path != OTHER_FIELDS && !is_promoted(path)).cloned(),
        );
        let paths: Vec<String> = promoted.into_iter().map(|field| field.path).collect();
        let Some(first) = paths.first() else { return Ok(false) };
        if context.settings.options.on_new_field == OnNewField::Fail {
            return Err(EngineError::NewField {
                namespace: context.namespace.to_string(),
                field: first.clone(),
                table: context.table.clone(),
            });
        }
        let paths = self.allowed(context, paths).await;
        if paths.is_empty() {
            return Ok(false);
        }
        let (then, _) =
            found.promote(&self.schema, Wanted::Only(&paths), context.settings.options.max_columns);
        self.add(context, &then, &paths).await
    }

    /// Whether there are values without a column that one might be added for now.
    fn is_worth_a_look<S, K, T>(
        &self,
        context: &Context<S, K, T>,
        extra: &BTreeMap<String, BTreeMap<String, u64>>,
    ) -> bool {
        let (may_grow, has_looked) = (self.may_grow(), self.looked.is_some_and(|at| at.elapsed() < LATER));
        let is_new = |path: &String| match path.as_str() {
            OTHER_FIELDS => !has_looked,
            path => !self.refused.contains(path) && (may_grow || !self.is_part(path)),
        };
        !self.is_paused()
            && matches!(context.settings.options.on_new_field, OnNewField::Add | OnNewField::Fail)
            && self.refused.len() < REFUSED_MAX
            && without_column(extra).any(is_new)
    }

    /// What the extra column of a batch has.
    async fn read<S, K, T>(&self, context: &Context<S, K, T>, batch: &RecordBatch) -> Result<Promotable> {
        let options = context.settings.options.infer_options(self.schema.dates);
        let (schema, batch) = (Arc::clone(&self.schema), batch.clone());
        let read = move || {
            let mut found = Promotable::new(options, &[]);
            // What has just been decoded is ours.
            let _ = add_extra(&mut found, &schema, &batch);
            found
        };
        crate::offload::run(read).await.map_err(|_| EngineError::Worker { worker: "a search for new fields" })
    }

    fn refuse(&mut self, paths: impl IntoIterator<Item = String>) {
        let room = REFUSED_MAX.saturating_sub(self.refused.len());
        self.refused.extend(paths.into_iter().take(room));
    }

    /// Whether a path is of a part of a column that is there.
    fn is_part(&self, path: &str) -> bool {
        self.schema.column_at(path).is_some_and(|(_, column)| column != path)
    }

    pub(super) fn may_grow(&self) -> bool {
        self.grown.is_none_or(|at| at.elapsed() >= PAUSE)
    }

    /// Those of the paths that may have their columns now.
    async fn allowed<S, K, T>(&mut self, context: &Context<S, K, T>, paths: Vec<String>) -> Vec<String>
    where
        S: Source + ChangeSource,
        K: Sink + 'static,
        T: StateStore,
    {
        let (parts, mut new): (Vec<String>, Vec<String>) =
            paths.into_iter().partition(|path| self.is_part(path));
        let room = self.room().saturating_sub(context.learned.promoted_within(PAUSE));
        if room == 0
            && let Some(first) = new.first()
        {
            tracing::warn!(
                pipeline = context.name,
                "more than {BURST} new fields in a minute, {first} among them: their values go to {EXTRA_COLUMN}"
            );
            self.pause(PAUSE);
        }
        new.truncate(room);
        if !parts.is_empty() && self.may_grow() {
            match self.too_large(context, &parts).await {
                None => new.extend(parts),
                Some(why) => {
                    tracing::warn!(
                        pipeline = context.name,
                        "{} go to {EXTRA_COLUMN}: {why}; zenith schema promote {} --apply adds them",
                        parts.join(", "),
                        context.name
                    );
                    self.refuse(parts);
                }
            }
        }
        new
    }

    /// Why columns are not to be written again to gain these parts.
    pub(super) async fn too_large<S, K, T>(
        &self,
        context: &Context<S, K, T>,
        parts: &[String],
    ) -> Option<String>
    where
        S: Source + ChangeSource,
        K: Sink + 'static,
        T: StateStore,
    {
        let columns =
            parts.iter().filter_map(|part| Some(self.schema.column_at(part)?.0.column_name().to_owned()));
        let columns: BTreeSet<String> = columns.collect();
        let columns: Vec<String> = columns.into_iter().collect();
        let most = context.settings.options.max_rewrite.as_u64();
        match timeout(ALTER_TIMEOUT, context.sink.admin().column_bytes(&context.table, &columns)).await {
            Ok(Ok(bytes)) if bytes <= most => None,
            Ok(Ok(bytes)) => Some(format!(
                "{} has {} that would be written again, and max_rewrite = \"{}\"",
                columns.join(", "),
                bytesize::ByteSize(bytes),
                context.settings.options.max_rewrite
            )),
            Ok(Err(error)) => Some(format!("how large the column is cannot be asked ({})", sentence(&error))),
            Err(_) => Some(format!("how large the column is cannot be asked within {ALTER_TIMEOUT:?}")),
        }
    }

    async fn add<S, K, T>(
        &mut self,
        context: &Context<S, K, T>,
        then: &Schema,
        paths: &[String],
    ) -> Result<bool>
    where
        S: Source + ChangeSource,
        K: Sink + 'static,
        T: StateStore,
    {
        let names = paths.join(", ");
        let (pipeline, table) = (&context.name, &context.table);
        context.announce(&self.schema, then).await?;
        match timeout(ALTER_TIMEOUT, context.change_columns(&self.schema, then)).await {
            Ok(Ok((schema, statement))) if schema != *self.schema => {
                self.note_added(&schema, paths);
                context.show_in_view().await;
                let there = beyond(&schema, &self.schema);
                let names: Vec<&str> = there.iter().map(String::as_str).collect();
                tracing::info!(pipeline, table, "added columns for new fields: {}", names.join(", "));
                context.note_schema(&schema, NEW_FIELDS, &statement).await?;
                self.schema = Arc::new(schema);
                return Ok(true);
            }
            Ok(Ok(_)) => {
                self.refuse(paths.to_vec());
                tracing::warn!(
                    pipeline,
                    "{table} has columns for {names} that cannot hold their values: they go to {EXTRA_COLUMN}"
                );
            }
            // Whoever writes the batch waits for the target.
            Ok(Err(error)) if error.is_passing() => {}
            Ok(Err(error)) => {
                let why = sentence(&error);
                tracing::warn!(
                    pipeline,
                    "no column can be added for {names}, whose values go to {EXTRA_COLUMN}: {why}"
                );
                self.pause(PAUSE);
            }
            // It may succeed meanwhile, and is found then.
            Err(_) => {
                tracing::info!(
                    pipeline,
                    "adding columns for {names} takes longer than {ALTER_TIMEOUT:?}: their values go to \
                     {EXTRA_COLUMN} until they are there"
                );
                self.pause(LATER);
            }
        }
        Ok(false)
    }

    /// Notes which of the paths have a column in the new schema.
    fn note_added(&mut self, schema: &Schema, paths: &[String]) {
        let there = beyond(schema, &self.schema);
        let (parts, new): (Vec<&String>, Vec<&String>) = there.iter().partition(|path| self.is_part(path));
        let now = Instant::now();
        if !new.is_empty() {
            self.added.push_back((now, new.len()));
        }
        if !parts.is_empty() {
            self.grown = Some(now);
        }
        let missing = paths.iter().filter(|path| !there.contains(*path)).cloned();
        self.refuse(missing);
    }

    /// How many fields may get a column now. A table that was made of an empty collection has none to begin with.
    fn room(&mut self) -> usize {
        while self.added.front().is_some_and(|(at, _)| at.elapsed() > PAUSE) {
            self.added.pop_front();
        }
        let lately: usize = self.added.iter().map(|(_, fields)| fields).sum();
        if self.schema.fields.len() > 1 { BURST.saturating_sub(lately) } else { usize::MAX }
    }
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// Has the view show the columns that the table has now; the rows do not wait for it.
    pub(super) async fn show_in_view(&self) {
        let failed = match timeout(ALTER_TIMEOUT, self.keep_view()).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => sentence(&error),
            Err(_) => format!("it takes longer than {ALTER_TIMEOUT:?}"),
        };
        let view = self.settings.view_of(&self.table).unwrap_or_default();
        tracing::warn!(
            pipeline = self.name,
            "the view {view} shows the new columns only after the next start of zenith run: {failed}"
        );
    }

    /// Fields that got their columns, or wider ones, while the table was followed: rows from before may have their values in
    /// the extra column.
    pub(crate) async fn late_fields(&self, schema: &Schema) -> Result<LateFields> {
        let versions = self.state.schemas(&self.name).await?;
        // Of what was left out there is nothing that could be moved.
        let is_left_out = self.settings.options.ignores_new_fields();
        let keeps =
            |version: &SchemaVersion| keeps_rows(version) || is_left_out && version.change.cause == PROMOTED;
        match versions.iter().rev().find(|version| !keeps(version)) {
            Some(first) => Ok(later(schema, &decode_schema(first)?)),
            None => Ok(LateFields::new()),
        }
    }

    /// Whether columns came or were widened since the table was loaded.
    pub(crate) async fn has_grown(&self) -> Result<bool> {
        let versions = self.state.schemas(&self.name).await?;
        let newest = versions.last();
        Ok(newest.is_some_and(|version| keeps_rows(version) || version.change.cause == PROMOTED))
    }

    /// Paths of fields whose columns somebody has dropped since the table was loaded.
    async fn dropped_fields(&self, schema: &Schema) -> Result<HashSet<String>> {
        let versions = self.state.schemas(&self.name).await?;
        let mut dropped = HashSet::new();
        for version in versions.iter().rev() {
            // What was only announced may never have been there.
            if !is_announced(version) {
                dropped.extend(beyond(&decode_schema(version)?, schema));
            }
            if !keeps_rows(version) {
                break;
            }
        }
        Ok(dropped)
    }

    /// Gives a table the columns of `then`, and gives back the statements that did.
    pub(super) async fn alter(&self, table: &str, now: &Schema, then: &Schema) -> Result<String> {
        Ok(alter(&*self.sink, table, now, then, None).await?)
    }

    /// Changes the columns, and gives back the schema with those fields that the table has a column for afterwards, as
    /// somebody may have added one of the same name; and the statement.
    async fn change_columns(&self, now: &Schema, then: &Schema) -> Result<(Schema, String)> {
        self.own().await?;
        let statement = self.alter(&self.table, now, then).await?;
        let Some(table) = self.sink.describe(&self.table).await? else {
            return Err(EngineError::TableGone { table: self.table.clone(), pipeline: self.name.clone() });
        };
        // An earlier statement that seemed to fail may have been for other values of the same fields.
        let mut schema = there(now, then, &table);
        with_known(&mut schema, &self.state.schemas(&self.name).await?, &table)?;
        Ok((schema, statement))
    }
}

/// Paths of values that have no column.
fn without_column(extra: &BTreeMap<String, BTreeMap<String, u64>>) -> impl Iterator<Item = &String> {
    extra.iter().filter(|(_, reasons)| reasons.contains_key(NO_COLUMN)).map(|(path, _)| path)
}
