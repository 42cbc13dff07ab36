//! Columns that a table gets while changes are applied to it: for fields of the top level that it has no column for.
//!
//! ```text
//! decode ─▶ fields without a column? ─▶ ALTER TABLE ─▶ schema noted ─▶ decode again
//! ```
//!
//! A crash between these steps does no harm: a column that nobody knows of is found when it is to be added again, and is
//! used if it can hold the values.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use zenith_arrow::infer::NewFields;
use zenith_arrow::schema::{EXTRA_COLUMN, NOTES_COLUMN};
use zenith_arrow::{Decoder, Field, Schema};
use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::{Sink, TableInfo};

use super::context::{Context, DIALECTS, decode_schema};
use crate::error::sentence;
use crate::reload::confine;
use crate::settings::OnNewField;
use crate::{EngineError, Result};

/// How long a batch waits for its columns.
const ALTER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long nothing is added after that took too long.
const LATER: Duration = Duration::from_secs(10);
/// How long nothing is added after that failed.
const PAUSE: Duration = Duration::from_secs(60);
/// The most fields that get a column within [`PAUSE`], but for a table that has none yet.
const BURST: usize = 50;

/// The cause of a schema that has more fields than the one before it.
pub(super) const NEW_FIELDS: &str = "new fields";

/// The columns of a table, and which fields have got none.
#[derive(Debug)]
pub(super) struct Evolution {
    schema: Arc<Schema>,
    /// Fields that cannot have one.
    refused: Arc<HashSet<Vec<u8>>>,
    /// When fields got one, and how many.
    added: VecDeque<(Instant, usize)>,
    /// Nothing is added before.
    paused_until: Option<Instant>,
}

impl Evolution {
    pub(super) fn new(schema: Schema) -> Evolution {
        Evolution {
            schema: Arc::new(schema),
            refused: Arc::default(),
            added: VecDeque::new(),
            paused_until: None,
        }
    }

    pub(super) fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// What a batch is to be searched for.
    pub(super) fn watch<S, K, T>(&self, context: &Context<S, K, T>) -> Option<FieldWatch> {
        let is_paused = self.paused_until.is_some_and(|until| Instant::now() < until);
        if is_paused || context.settings.on_new_field == OnNewField::Extra {
            return None;
        }
        let options = context.settings.options.infer_options(self.schema.dates);
        Some(FieldWatch {
            refused: Arc::clone(&self.refused),
            found: NewFields::new(options),
            names: Vec::new(),
        })
    }

    /// Adds columns for what was found, and says whether there are any.
    ///
    /// # Errors
    /// [`EngineError::NewField`] where that is wished; otherwise if the view over the table or the state cannot be changed.
    pub(super) async fn grow<S, K, T>(
        &mut self,
        context: &Context<S, K, T>,
        watch: FieldWatch,
    ) -> Result<bool>
    where
        S: Source + ChangeSource,
        K: Sink + 'static,
        T: StateStore,
    {
        if watch.names.is_empty() {
            return Ok(false);
        }
        let mut fields = watch.found.fields(&self.schema, context.settings.max_columns);
        let is_found = |name: &Vec<u8>| fields.iter().any(|field| field.name.as_bytes() == name);
        Arc::make_mut(&mut self.refused).extend(watch.names.into_iter().filter(|name| !is_found(name)));
        let Some(first) = fields.first() else { return Ok(false) };
        if context.settings.on_new_field == OnNewField::Fail {
            return Err(EngineError::NewField {
                namespace: context.namespace.to_string(),
                field: first.name.clone(),
                table: context.table.clone(),
            });
        }
        let room = self.room();
        if room == 0 {
            tracing::warn!(
                pipeline = context.name,
                "more than {BURST} new fields in a minute, {} among them: their values go to {EXTRA_COLUMN}",
                first.name
            );
            self.paused_until = Some(Instant::now() + PAUSE);
            return Ok(false);
        }
        fields.truncate(room);
        self.add(context, &fields).await
    }

    async fn add<S, K, T>(&mut self, context: &Context<S, K, T>, fields: &[Field]) -> Result<bool>
    where
        S: Source + ChangeSource,
        K: Sink + 'static,
        T: StateStore,
    {
        let names = named(fields);
        let (pipeline, table) = (&context.name, &context.table);
        match timeout(ALTER_TIMEOUT, context.add_columns(&self.schema, fields)).await {
            Ok(Ok((schema, statement))) if schema.fields.len() > self.schema.fields.len() => {
                self.added.push_back((Instant::now(), fields.len()));
                context.show_in_view().await;
                let names = named(schema.fields.get(self.schema.fields.len()..).unwrap_or_default());
                tracing::info!(pipeline, table, "added columns for new fields: {names}");
                context.note_schema(&schema, NEW_FIELDS, &statement).await?;
                self.schema = Arc::new(schema);
                return Ok(true);
            }
            Ok(Ok(_)) => {
                let keys = fields.iter().map(|field| field.name.clone().into_bytes());
                Arc::make_mut(&mut self.refused).extend(keys);
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
                self.paused_until = Some(Instant::now() + PAUSE);
            }
            // It may succeed meanwhile, and is found then.
            Err(_) => {
                tracing::info!(
                    pipeline,
                    "adding columns for {names} takes longer than {ALTER_TIMEOUT:?}: their values go to \
                     {EXTRA_COLUMN} until they are there"
                );
                self.paused_until = Some(Instant::now() + LATER);
            }
        }
        Ok(false)
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

/// Fields without a column, in the documents of one batch.
pub(super) struct FieldWatch {
    refused: Arc<HashSet<Vec<u8>>>,
    found: NewFields,
    /// Those that nothing is known of.
    names: Vec<Vec<u8>>,
}

impl FieldWatch {
    /// Looks at documents that have just been decoded.
    pub(super) fn see<'a>(&mut self, decoder: &Decoder, documents: impl Iterator<Item = &'a [u8]>) {
        for name in decoder.fields_without_column() {
            if !self.refused.contains(name) && !self.names.iter().any(|known| known == name) {
                self.names.push(name.to_vec());
            }
        }
        if !self.names.is_empty() {
            documents.for_each(|document| self.found.add(document));
        }
    }
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// Has the view show the columns that the table has now; the rows do not wait for it.
    async fn show_in_view(&self) {
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

    /// Names of fields that got their columns while the table was followed: rows from before may have their values in the
    /// extra column.
    pub(crate) async fn late_fields(&self, schema: &Schema) -> Result<HashSet<String>> {
        let versions = self.state.schemas(&self.name).await?;
        let Some(first) = versions.iter().rev().find(|version| version.change.cause != NEW_FIELDS) else {
            return Ok(HashSet::new());
        };
        let first = decode_schema(first)?;
        let is_late = |field: &&Field| first.fields.iter().all(|earlier| earlier.name != field.name);
        Ok(schema.fields.iter().filter(is_late).map(|field| field.name.clone()).collect())
    }

    /// Adds columns for fields, and gives back the schema with those that the table has a column for afterwards, as somebody
    /// may have added one of the same name; and the statement that added them.
    async fn add_columns(&self, schema: &Schema, fields: &[Field]) -> Result<(Schema, String)> {
        self.own().await?;
        let arrow = Schema { fields: fields.to_vec(), ..schema.clone() }.to_arrow();
        let is_of_fields = |name: &str| name != EXTRA_COLUMN && name != NOTES_COLUMN;
        let columns: Vec<_> =
            arrow.fields().iter().filter(|field| is_of_fields(field.name())).cloned().collect();
        let statement = self.sink.admin().add_columns(&self.table, &columns).await?;
        let Some(table) = self.sink.describe(&self.table).await? else {
            return Err(EngineError::TableGone { table: self.table.clone(), pipeline: self.name.clone() });
        };
        Ok((grown(schema, fields, &table), statement))
    }
}

fn named(fields: &[Field]) -> String {
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    names.join(", ")
}

/// The schema with the fields that the table has a column for.
fn grown(schema: &Schema, fields: &[Field], table: &TableInfo) -> Schema {
    let there = |dialect| {
        let mut new = Schema { fields: fields.to_vec(), ..schema.clone() };
        confine(&mut new, table, dialect);
        new.fields
    };
    // By the dialect that the server speaks there are most.
    let there = DIALECTS.map(there).into_iter().max_by_key(Vec::len).unwrap_or_default();
    Schema { fields: [schema.fields.clone(), there].concat(), ..schema.clone() }
}
