//! Columns that get a wider type while changes are applied to their table, for values that they do not hold.
//!
//! ```text
//! decode ─▶ values that do not fit? ─▶ wait for earlier batches ─▶ ALTER TABLE ─▶ schema noted ─▶ decode again
//! ```
//!
//! Only such types are taken as ClickHouse's own conversion leads to what Zenith would have written. Rows that are there show
//! what they did; values of theirs in the extra column stay there until they are moved
//! ([`Replicator::promotable`](super::Replicator::promotable)).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use tokio::time::timeout;
use zenith_arrow::infer::{Conflict, Conflicts};
use zenith_arrow::schema::{EXTRA_COLUMN, ID_KEY};
use zenith_arrow::{Field, Kind, Schema};
use zenith_extract::{ChangeSource, Source};
use zenith_state::{StateStore, is_shown};
use zenith_transport::ddl::names_in;
use zenith_transport::{Filter, Scalar, Selection, Sink};

use super::column_place::place;
use super::context::Context;
use super::evolution::{ALTER_TIMEOUT, Evolution, LATER, REFUSED_MAX};
use super::schema::{DIALECTS, WIDENED};
use crate::error::sentence;
use crate::policies::OnTypeConflict;
use crate::promotion::column_type_of;
use crate::reload::is_column_of;
use crate::{EngineError, Result};

/// Why most columns stay as they are.
const NO_WIDER: &str = "ClickHouse cannot change its type so that all values are as Zenith writes them; zenith reload chooses \
                        columns anew";
/// Why a column of a key stays as it is.
const OF_A_KEY: &str = "the sorting key or the partition is made of it, and ClickHouse does not change its type; zenith reload \
                        chooses columns anew";
/// How often it is looked whether earlier batches are written.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A field whose column is to hold more.
struct Choice<'c> {
    conflict: &'c Conflict,
    kind: Kind,
}

/// What became of a column.
enum Altered {
    Widened,
    /// It stays as it is, for this reason.
    Kept(String),
    /// It may be tried again.
    Later,
}

impl Evolution {
    /// Makes the columns such that they hold more of the values that have been decoded without a place in them, and says
    /// whether they do: the batch is to be decoded again then.
    ///
    /// # Errors
    /// Those of [`Evolution::widen`] and [`Evolution::grow`].
    pub(super) async fn evolve<S, K, T>(
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
        let before = self.grown;
        let has_widened = self.widen(context, extra, batch).await?;
        // What is written again for one batch is written again at once.
        let rewritten = std::mem::replace(&mut self.grown, before);
        let has_grown = self.grow(context, extra, batch).await?;
        self.grown = self.grown.max(rewritten);
        Ok(has_widened || has_grown)
    }

    /// Gives columns a wider type for values that have been decoded without a place in theirs, by field and reason, and says
    /// whether any has one now: the batch is to be decoded again then.
    ///
    /// # Errors
    /// [`EngineError::TypeConflict`] where that is wished; otherwise if the state cannot be changed.
    async fn widen<S, K, T>(
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
        let settings = &context.settings;
        let is_ours = |path: &str| match settings.on_type_conflict(path) {
            OnTypeConflict::Extra => false,
            OnTypeConflict::Widen => !self.kept.contains(path) && !self.is_paused(),
            OnTypeConflict::Fail => true,
        };
        let is_worth_a_look = extra
            .iter()
            .any(|(path, reasons)| is_ours(path) && reasons.keys().any(|reason| is_conflict(reason)));
        let Some(batch) = batch.filter(|_| is_worth_a_look) else { return Ok(false) };
        let mut conflicts = self.conflicts(batch).await?;
        conflicts.retain(|conflict| is_ours(&conflict.path()));
        let fails =
            |conflict: &&Conflict| settings.on_type_conflict(&conflict.path()) == OnTypeConflict::Fail;
        if let Some(first) = conflicts.iter().find(fails) {
            return Err(self.refused(context, first, batch));
        }
        // Rows of the snapshot that is being read have the types of before.
        if context.layout().has_versions() && context.is_being_read().await? {
            return Ok(false);
        }
        // Rows of earlier batches have the types of before, too, and numbers that may be odd.
        if self.may_rewrite(&conflicts) && timeout(ALTER_TIMEOUT, self.all_written()).await.is_err() {
            self.pause(LATER);
            return Ok(false);
        }
        let choices = self.choices(context, &conflicts).await;
        self.apply(context, choices).await
    }

    /// What the extra column of a batch has that columns do not hold.
    async fn conflicts(&self, batch: &RecordBatch) -> Result<Vec<Conflict>> {
        let (schema, batch) = (Arc::clone(self.schema()), batch.clone());
        let read = move || {
            let mut conflicts = Conflicts::new(schema.dates);
            for row in 0..batch.num_rows() {
                let Some(Scalar::Bytes(text)) = value(&batch, EXTRA_COLUMN, row) else { continue };
                if let Ok(text) = std::str::from_utf8(&text)
                    && !text.is_empty()
                {
                    // What has just been decoded is ours.
                    let _ = conflicts.add(&schema, text, row);
                }
            }
            conflicts.found().cloned().collect()
        };
        let read = crate::offload::run(read).await;
        read.map_err(|_| EngineError::Worker { worker: "a search for values that do not fit" })
    }

    fn refused<S, K, T>(
        &self,
        context: &Context<S, K, T>,
        conflict: &Conflict,
        batch: &RecordBatch,
    ) -> EngineError
    where
        S: Source + ChangeSource,
        K: Sink + 'static,
        T: StateStore,
    {
        EngineError::TypeConflict {
            namespace: context.namespace.to_string(),
            field: conflict.path().into(),
            found: conflict.types.iter().copied().collect::<Vec<_>>().join(" or ").into(),
            id: value(batch, ID_KEY, conflict.row).map(|id| id.to_string()).unwrap_or_default().into(),
            table: context.table.clone(),
            holds: self.type_of(self.schema(), conflict).into(),
        }
    }

    /// The type of the column that a field is in.
    fn type_of(&self, schema: &Schema, conflict: &Conflict) -> String {
        let path = conflict.path();
        let field = schema.column_at(&path);
        field.and_then(|(field, _)| column_type_of(schema, field)).unwrap_or_default()
    }

    /// Whether a column may be written again now for one of these.
    fn may_rewrite(&self, conflicts: &[Conflict]) -> bool {
        let is_rewritten = |conflict: &Conflict| {
            conflict.wider().first().is_some_and(|wider| self.is_rewritten(conflict, &wider.kind))
        };
        self.may_grow() && conflicts.iter().any(is_rewritten)
    }

    /// Whether ClickHouse writes the column again for a field to have this kind.
    fn is_rewritten(&self, conflict: &Conflict, kind: &Kind) -> bool {
        let then = conflict.with_kind(self.schema(), kind);
        self.type_of(&then, conflict) != self.type_of(self.schema(), conflict)
    }

    /// The fields whose columns can hold more now, and what.
    async fn choices<'c, S, K, T>(
        &mut self,
        context: &Context<S, K, T>,
        conflicts: &'c [Conflict],
    ) -> Vec<Choice<'c>>
    where
        S: Source + ChangeSource,
        K: Sink + 'static,
        T: StateStore,
    {
        let (mut choices, may_rewrite) = (Vec::new(), self.may_grow());
        let Some(fixed) = context.columns_of_keys().await else { return choices };
        'conflicts: for conflict in conflicts {
            if place(self.schema(), &conflict.keys).is_some_and(|(column, _)| fixed.contains(&column)) {
                self.keep(&context.name, conflict.path(), OF_A_KEY);
                continue;
            }
            let mut why = NO_WIDER.to_owned();
            let mut chosen = None;
            for wider in conflict.wider() {
                if !may_rewrite && self.is_rewritten(conflict, &wider.kind) {
                    continue 'conflicts;
                }
                if wider.of_plain_numbers {
                    match self.are_plain(context, conflict).await {
                        Ok(true) => {}
                        Ok(false) => {
                            "it has numbers that would change or be written in another way"
                                .clone_into(&mut why);
                            continue;
                        }
                        Err(None) => continue 'conflicts,
                        Err(Some(error)) => {
                            why =
                                format!("whether it has numbers that would change cannot be asked ({error})");
                            continue;
                        }
                    }
                }
                chosen = Some(Choice { conflict, kind: wider.kind });
                break;
            }
            match chosen {
                Some(choice) => choices.push(choice),
                None => self.keep(&context.name, conflict.path(), &why),
            }
        }
        choices
    }

    /// Whether a column has no numbers that another type would round, or that are written in another way than Zenith does. The
    /// error is why that cannot be asked, where it is no passing one.
    async fn are_plain<S, K, T>(
        &self,
        context: &Context<S, K, T>,
        conflict: &Conflict,
    ) -> std::result::Result<bool, Option<String>>
    where
        S: Source + ChangeSource,
        K: Sink + 'static,
        T: StateStore,
    {
        let Some((column, parts)) = place(self.schema(), &conflict.keys) else { return Ok(false) };
        let selection = Selection {
            table: context.table.clone(),
            filter: Filter::HasOddNumber(column, parts),
            ..Selection::default()
        };
        match timeout(ALTER_TIMEOUT, context.sink.admin().count_rows(&selection)).await {
            Ok(Ok(rows)) => Ok(rows == 0),
            Ok(Err(error)) if error.is_transient() => Err(None),
            Ok(Err(error)) => Err(Some(sentence(&error))),
            Err(_) => Err(Some(format!("not within {ALTER_TIMEOUT:?}"))),
        }
    }

    /// Tells once that a column stays as it is.
    fn keep(&mut self, pipeline: &str, path: String, why: &str) {
        if self.kept.len() < REFUSED_MAX && !self.kept.contains(&path) {
            tracing::warn!(
                pipeline,
                "values that the column of {path} does not hold go to {EXTRA_COLUMN}, although on_type_conflict = \
                 \"widen\": {why}"
            );
            self.kept.insert(path);
        }
    }

    /// Waits until every batch that was made is written: its rows have the types of before.
    pub(super) async fn all_written(&self) {
        while Arc::strong_count(&self.in_flight) > 1 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Widens one column after the other.
    async fn apply<S, K, T>(&mut self, context: &Context<S, K, T>, choices: Vec<Choice<'_>>) -> Result<bool>
    where
        S: Source + ChangeSource,
        K: Sink + 'static,
        T: StateStore,
    {
        let mut by_column: BTreeMap<&String, Vec<Choice<'_>>> = BTreeMap::new();
        for choice in choices {
            if let Some(column) = choice.conflict.keys.first() {
                by_column.entry(column).or_default().push(choice);
            }
        }
        let mut has_widened = false;
        for choices in by_column.into_values() {
            let then = choices.iter().fold(Schema::clone(self.schema()), |schema, choice| {
                choice.conflict.with_kind(&schema, &choice.kind)
            });
            let is_rewritten = choices.iter().any(|choice| self.is_rewritten(choice.conflict, &choice.kind));
            let paths: Vec<String> = choices.iter().map(|choice| choice.conflict.path()).collect();
            let altered = match is_rewritten {
                true => self.rewrite(context, &then, &choices, &paths).await?,
                false => {
                    context.note_schema(&then, WIDENED, "").await?;
                    self.set_schema(then);
                    tracing::warn!(
                        pipeline = context.name,
                        "{} shows values of all types as text from now on: {}",
                        context.table,
                        paths.join(", ")
                    );
                    Altered::Widened
                }
            };
            match altered {
                Altered::Widened => has_widened = true,
                Altered::Kept(why) => {
                    paths.into_iter().for_each(|path| self.keep(&context.name, path, &why));
                }
                Altered::Later => break,
            }
        }
        Ok(has_widened)
    }

    /// Says that a column has another type now.
    fn tell<S, K, T>(&self, context: &Context<S, K, T>, then: &Schema, choices: &[Choice<'_>], names: &str)
    where
        S: Source + ChangeSource,
        K: Sink + 'static,
        T: StateStore,
    {
        let types: BTreeSet<String> = choices
            .iter()
            .map(|choice| {
                let [before, after] =
                    [self.schema(), then].map(|schema| self.type_of(schema, choice.conflict));
                format!("{before} is {after} now")
            })
            .collect();
        let types = types.into_iter().collect::<Vec<_>>().join(", ");
        let pipeline = &context.name;
        tracing::warn!(
            pipeline,
            table = context.table,
            "the column of {names} got a wider type, {types}: values that earlier rows have in {EXTRA_COLUMN} stay \
             there until zenith schema promote {pipeline} --apply moves them"
        );
    }

    /// Gives a column another type, which ClickHouse writes again.
    async fn rewrite<S, K, T>(
        &mut self,
        context: &Context<S, K, T>,
        then: &Schema,
        choices: &[Choice<'_>],
        paths: &[String],
    ) -> Result<Altered>
    where
        S: Source + ChangeSource,
        K: Sink + 'static,
        T: StateStore,
    {
        if let Some(why) = self.too_large(context, paths).await {
            return Ok(Altered::Kept(why));
        }
        let (pipeline, table, names) = (&context.name, &context.table, paths.join(", "));
        context.note_schema(then, WIDENED, "").await?;
        match timeout(ALTER_TIMEOUT, context.widen_columns(self.schema(), then)).await {
            Ok(Ok(Some(statement))) => {
                self.tell(context, then, choices, &names);
                context.note_schema(then, WIDENED, &statement).await?;
                self.set_schema(then.clone());
                self.note_rewritten();
                context.show_in_view().await;
                Ok(Altered::Widened)
            }
            Ok(Ok(None)) => Ok(Altered::Kept(format!("somebody has changed {table} meanwhile"))),
            // Whoever writes the batch waits for the target.
            Ok(Err(error)) if error.is_passing() => Ok(Altered::Later),
            Ok(Err(error)) => Ok(Altered::Kept(sentence(&error))),
            // It may succeed meanwhile, and is found by the next try.
            Err(_) => {
                tracing::info!(
                    pipeline,
                    "widening the column of {names} takes longer than {ALTER_TIMEOUT:?}"
                );
                self.pause(LATER);
                Ok(Altered::Later)
            }
        }
    }
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// Gives columns their types, and gives back the statement; `None` if the table has others afterwards.
    async fn widen_columns(&self, now: &Schema, then: &Schema) -> Result<Option<String>> {
        self.own().await?;
        let statement = self.alter(&self.table, now, then).await?;
        let Some(table) = self.sink.describe(&self.table).await? else {
            return Err(EngineError::TableGone { table: self.table.clone(), pipeline: self.name.clone() });
        };
        let before: Vec<&Field> = now.columns().collect();
        let is_there = then.columns().filter(|field| !before.contains(field)).all(|field| {
            let there = table.columns.iter().find(|there| there.name == field.column_name());
            let is_of =
                |data_type: &str| DIALECTS.iter().any(|dialect| is_column_of(field, data_type, *dialect));
            there.is_some_and(|there| is_of(&there.data_type))
        });
        Ok(is_there.then_some(statement))
    }

    /// The columns that the sorting key, the primary key and the partition of the table are made of; `None` where they cannot be
    /// asked.
    async fn columns_of_keys(&self) -> Option<BTreeSet<String>> {
        let table = timeout(ALTER_TIMEOUT, self.sink.describe(&self.table)).await.ok()?.ok()??;
        let mut columns = names_in(&table.sorting_key);
        if let Some(additions) = table.additions {
            let others = [additions.partition_by, additions.primary_key, additions.sample_by];
            columns.extend(others.iter().flatten().flat_map(|expression| names_in(expression)));
        }
        Some(columns)
    }

    /// Whether the first load is under way: rows of it may still arrive.
    pub(super) async fn is_being_read(&self) -> Result<bool> {
        let snapshot = self.state.snapshot(&self.name).await?;
        Ok(snapshot.is_some_and(|snapshot| snapshot.consistent_after.is_none()))
    }
}

/// Whether values are counted for this reason that a column of another type could hold.
pub(super) fn is_conflict(reason: &str) -> bool {
    reason == "out of range" || reason.starts_with("is ") && !is_shown(reason)
}

fn value(batch: &RecordBatch, column: &str, row: usize) -> Option<Scalar> {
    batch.column_by_name(column).and_then(|column| Scalar::of(column, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_no_column_could_show_are_no_conflicts() {
        for (reason, expected) in [
            ("is string", true),
            ("is binary(3)", true),
            ("out of range", true),
            ("no column", false),
            ("is no array", false),
            ("only nulls", false),
            ("repeated key", false),
        ] {
            assert_eq!(is_conflict(reason), expected, "{reason}");
        }
    }
}
