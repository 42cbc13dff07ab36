//! The schema that the table of a pipeline has: noted with each change, and found again at each start.

use std::collections::HashSet;

use zenith_arrow::schema::NOTES_COLUMN;
use zenith_arrow::{Field, Schema};
use zenith_extract::{ChangeSource, Source};
use zenith_state::{SchemaChange, SchemaVersion, StateStore};
use zenith_transport::ddl::{Dialect, column_type, same_values};
use zenith_transport::{Sink, TableInfo};

use super::by_hand::{self, is_written};
use super::context::Context;
use crate::layout::{Layout, MOVED_COLUMN};
use crate::reload::{KeptColumns, confine};
use crate::row_shape::Shape;
use crate::{EngineError, Result, notes};

/// Those of all versions: asking a server for its own asks for privileges that who only looks need not have.
pub(super) const DIALECTS: [Dialect; 2] = [Dialect { json: true }, Dialect { json: false }];

/// The cause of a schema of rows that are all new.
pub(super) const LOADED_AGAIN: &str = "the collection was loaded again";

/// The cause of a schema that has more fields than the one before it.
pub(super) const NEW_FIELDS: &str = "new fields";

/// The cause of a schema whose new fields show the values of all rows.
pub(super) const PROMOTED: &str = "values in the extra column were moved into columns";

/// The cause of a schema in which columns hold more than in the one before it.
pub(super) const WIDENED: &str = "wider types";

/// The cause of a schema that somebody made by changing columns of the table.
pub(super) const BY_HAND: &str = "columns were changed by hand";

/// A table, and the schema it has.
struct OfTable {
    schema: Schema,
    table: TableInfo,
    /// Whether somebody made it by changing columns.
    is_by_hand: bool,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// The newest schema of the pipeline that is the table's own, if the table is there.
    ///
    /// A reload notes its schema before the new table takes the place of the old one, so after a crash in between the
    /// newest schema is that of a table that never was.
    pub(crate) async fn schema(&self) -> Result<Option<Schema>> {
        Ok(self.of_table().await?.map(|of_table| of_table.schema))
    }

    /// The same, for a table that is about to be written to: one of version 0.1 gets the column it lacks.
    pub(crate) async fn schema_to_write(&self) -> Result<Option<Schema>> {
        let Some(OfTable { schema, table, is_by_hand }) = self.of_table().await? else { return Ok(None) };
        if notes::are_missing(&table.columns) {
            tracing::info!(pipeline = self.name, table = self.table, "adding the column {NOTES_COLUMN}");
            let columns = [notes::column()];
            self.retrying(|| self.sink.admin().add_columns(&self.table, &columns, None)).await?;
            self.keep_view().await?;
        }
        self.has_added_columns(&schema, &table)?;
        if !is_by_hand && !self.is_noted(&schema).await? {
            self.note_schema(&schema, NEW_FIELDS, "").await?;
        }
        let schema = self.with_columns_by_hand(schema, &table).await?;
        self.note_by_hand(&schema).await?;
        Ok(Some(schema))
    }

    async fn is_noted(&self, schema: &Schema) -> Result<bool> {
        for version in self.state.schemas(&self.name).await? {
            if decode_schema(&version)? == *schema {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// # Errors
    /// Where rows that are left cannot be marked so: the table was made for another sorting key.
    fn has_place_of_moved(&self, table: &TableInfo) -> Result<()> {
        let has_column = table.columns.iter().any(|column| column.name == MOVED_COLUMN);
        if has_column || self.layout() != (Layout::Marked { moves: true }) {
            return Ok(());
        }
        Err(EngineError::NotPossible {
            doing: format!("keeping the table {} of the pipeline {} in step", self.table, self.name),
            reason: format!(
                "its sorting key is ({}), and not what order_by or partition_by says by now; as it keeps rows of documents that are \
                 gone, it is not loaded again: say them as they were, or let another table (table = \"…\") be made",
                table.sorting_key
            ),
        })
    }

    /// # Errors
    /// Where the table lacks a column that a program adds to its rows: it was made without.
    fn has_added_columns(&self, schema: &Schema, table: &TableInfo) -> Result<()> {
        let columns = self.added.schema(self.layout().schema(&schema.to_arrow()))?;
        let is_there = |name: &str| table.columns.iter().any(|column| column.name == name);
        // What documents have has been found to be there.
        match columns.fields().iter().rev().find(|field| !is_there(field.name())) {
            Some(field) if field.name() != NOTES_COLUMN => Err(EngineError::NotPossible {
                doing: format!("writing {}", self.table),
                reason: format!("it has no column {}, which a transform adds: load it again", field.name()),
            }),
            _ => Ok(()),
        }
    }

    /// The schema with the columns that somebody has added to the table, where a field could be of their type. A blank is what
    /// they show of rows that nobody gives them.
    async fn with_columns_by_hand(&self, mut schema: Schema, table: &TableInfo) -> Result<Schema> {
        let options = &self.settings.options;
        // What is flat has columns of parts, and a shape that was changed is that of the next load.
        if options.shape != Shape::Columns || schema.whole || schema.has_flat() {
            return Ok(schema);
        }
        let mut twins = HashSet::new();
        for version in self.state.schemas(&self.name).await? {
            let schema = decode_schema(&version)?;
            twins.extend(schema.fields.into_iter().filter_map(|field| Some(field.twin?.name)));
        }
        let transform = options.transform(&schema)?;
        let rows = self.layout().schema(&schema.to_arrow());
        let is_left_out = |name: &str| {
            transform.as_ref().is_some_and(|transform| transform.drops(name.as_bytes()))
                || self.added.has(&rows, name)
                // It has texts of another field.
                || twins.contains(name)
        };
        let known: Vec<String> = schema.fields.iter().map(|field| field.name.clone()).collect();
        let added = KeptColumns {
            table,
            dialect: Dialect { json: true },
            renamed: &options.infer_options(schema.dates).columns,
            is_left_out: &is_left_out,
            is_sampled: &|name| known.iter().any(|known| known == name),
            with_parts: false,
        };
        added.add_to(&mut schema);
        Ok(schema)
    }

    /// Notes a schema that no other run has noted: somebody has changed columns of the table.
    async fn note_by_hand(&self, schema: &Schema) -> Result<()> {
        if self.is_noted(schema).await? {
            return Ok(());
        }
        tracing::warn!(
            pipeline = self.name,
            "columns of {} were changed by hand: they are used as they are now; zenith schema {} shows them",
            self.table,
            self.name
        );
        self.note_schema(schema, BY_HAND, "").await
    }

    async fn of_table(&self) -> Result<Option<OfTable>> {
        let versions = self.state.schemas(&self.name).await?;
        if versions.is_empty() {
            return Ok(None);
        }
        let Some(table) = self.retrying(|| self.sink.describe(&self.table)).await? else {
            return Err(EngineError::TableGone { table: self.table.clone(), pipeline: self.name.clone() });
        };
        let lacks_notes = notes::are_missing(&table.columns);
        let fits = |field: &arrow_schema::FieldRef| {
            if field.name() == NOTES_COLUMN && lacks_notes {
                return true;
            }
            let there = table.columns.iter().find(|there| there.name == *field.name());
            there.filter(|there| is_written(there)).is_some_and(|there| {
                DIALECTS.iter().any(|dialect| {
                    column_type(field, *dialect).is_ok_and(|wanted| same_values(&there.data_type, &wanted))
                })
            })
        };
        for version in versions.iter().rev() {
            let mut schema = decode_schema(version)?;
            let columns = self.layout().schema(&schema.to_arrow());
            if columns.fields().iter().all(fits) {
                with_known(&mut schema, &versions, &table)?;
                return Ok(Some(OfTable { schema, table, is_by_hand: false }));
            }
        }
        self.has_place_of_moved(&table)?;
        // Somebody may have changed columns.
        if let Some(newest) = versions.last() {
            let newest = decode_schema(newest)?;
            for dialect in DIALECTS {
                let schema = by_hand::adopted(&newest, &table, dialect);
                if self.layout().schema(&schema.to_arrow()).fields().iter().all(fits) {
                    return Ok(Some(OfTable { schema, table, is_by_hand: true }));
                }
            }
        }
        Err(EngineError::TableGone { table: self.table.clone(), pipeline: self.name.clone() })
    }

    /// Notes the columns of a table that each run loads anew, if they are others than those of the load before: a comparison could
    /// only guess by another sample which field a column is of.
    pub(super) async fn note_loaded_columns(&self, schema: &Schema) -> Result<()> {
        let versions = self.state.schemas(&self.name).await?;
        match versions.last().map(decode_schema).transpose()? {
            Some(newest) if newest == *schema => Ok(()),
            newest => {
                let cause = if newest.is_none() { "the table was created" } else { LOADED_AGAIN };
                self.note_schema(schema, cause, "").await
            }
        }
    }

    /// Notes the schema that the table has from now on, why, and what changed the table.
    pub(super) async fn note_schema(&self, schema: &Schema, cause: &str, statement: &str) -> Result<()> {
        let change = SchemaChange {
            schema: serde_json::to_vec(schema).map_err(|_| unreadable_schema())?,
            cause: cause.to_owned(),
            statement: statement.to_owned(),
        };
        self.state.add_schema(&self.name, &change).await?;
        Ok(())
    }
}

/// Whether a table has the rows that it had before it got this schema.
pub(super) fn keeps_rows(version: &SchemaVersion) -> bool {
    [NEW_FIELDS, WIDENED, BY_HAND].contains(&version.change.cause.as_str())
}

pub(crate) fn decode_schema(version: &SchemaVersion) -> Result<Schema> {
    serde_json::from_slice(&version.change.schema).map_err(|_| unreadable_schema())
}

/// The schema with those fields of others that the table has columns for: of statements that seemed to fail, and where a load has
/// noted the schema of a table that never took the place of this one.
pub(super) fn with_known(schema: &mut Schema, versions: &[SchemaVersion], table: &TableInfo) -> Result<()> {
    for version in versions.iter().rev() {
        let mut missing = decode_schema(version)?;
        let arrow = schema.to_arrow();
        let is_known = |name: &str| arrow.column_with_name(name).is_some();
        missing.retain_columns(|field| {
            field.twin.take_if(|twin| is_known(&twin.name));
            !is_known(field.column_name())
        });
        for dialect in DIALECTS {
            let mut there = missing.clone();
            confine(&mut there, table, dialect);
            take_missing(&mut schema.fields, &missing.fields, there.fields);
        }
    }
    Ok(())
}

/// Takes over what is missing, of what is there as it is wanted.
fn take_missing(fields: &mut Vec<Field>, wanted: &[Field], there: Vec<Field>) {
    for mut field in there {
        let wanted = wanted.iter().find(|wanted| wanted.name == field.name);
        match fields.iter_mut().find(|known| known.name == field.name) {
            Some(known) => {
                let wanted = wanted.and_then(Field::flat_parts).unwrap_or_default();
                if let (Some(known), Some(parts)) = (known.flat_parts_mut(), field.flat_parts_mut()) {
                    take_missing(known, wanted, std::mem::take(parts));
                }
            }
            None if wanted == Some(&field) => fields.push(field),
            None => {}
        }
    }
}

fn unreadable_schema() -> EngineError {
    EngineError::Checkpoint {
        reason: "the saved schema cannot be read by this version of Zenith; reload the pipeline".to_owned(),
    }
}
