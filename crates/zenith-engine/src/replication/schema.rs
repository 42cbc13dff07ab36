//! The schema that the table of a pipeline has: noted with each change, and found again at each start.

use zenith_arrow::Schema;
use zenith_arrow::schema::NOTES_COLUMN;
use zenith_extract::{ChangeSource, Source};
use zenith_state::{SchemaChange, SchemaVersion, StateStore};
use zenith_transport::ddl::{Dialect, column_type, same_values};
use zenith_transport::{Sink, TableInfo};

use super::by_hand::{self, is_written};
use super::context::Context;
use crate::{EngineError, Result, notes};

/// Those of all versions: asking a server for its own asks for privileges that who only looks need not have.
pub(super) const DIALECTS: [Dialect; 2] = [Dialect { json: true }, Dialect { json: false }];

/// The cause of a schema whose new fields show the values of all rows.
pub(super) const PROMOTED: &str = "values in the extra column were moved into columns";

/// The cause of a schema in which columns hold more than in the one before it.
pub(super) const WIDENED: &str = "wider types";

/// The cause of a schema that somebody made by changing columns of the table.
pub(super) const BY_HAND: &str = "columns were changed by hand";

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// The newest schema of the pipeline that is the table's own, if the table is there.
    ///
    /// A reload notes its schema before the new table takes the place of the old one, so after a crash in between the
    /// newest schema is that of a table that never was.
    pub(crate) async fn schema(&self) -> Result<Option<Schema>> {
        Ok(self.schema_and_table().await?.map(|(schema, _)| schema))
    }

    /// The same, for a table that is about to be written to: one of version 0.1 gets the column it lacks.
    pub(crate) async fn schema_to_write(&self) -> Result<Option<Schema>> {
        let Some((schema, table)) = self.schema_and_table().await? else { return Ok(None) };
        if notes::are_missing(&table.columns) {
            tracing::info!(pipeline = self.name, table = self.table, "adding the column {NOTES_COLUMN}");
            let columns = [notes::column()];
            self.retrying(|| self.sink.admin().add_columns(&self.table, &columns, None)).await?;
            self.keep_view().await?;
        }
        self.has_added_columns(&schema, &table)?;
        self.note_by_hand(&schema).await?;
        Ok(Some(schema))
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

    /// Notes a schema that no other run has noted: somebody has changed columns of the table.
    async fn note_by_hand(&self, schema: &Schema) -> Result<()> {
        for version in self.state.schemas(&self.name).await? {
            if decode_schema(&version)? == *schema {
                return Ok(());
            }
        }
        tracing::warn!(
            pipeline = self.name,
            "columns of {} were changed by hand: they are used as they are now; zenith schema {} shows them",
            self.table,
            self.name
        );
        self.note_schema(schema, BY_HAND, "").await
    }

    async fn schema_and_table(&self) -> Result<Option<(Schema, TableInfo)>> {
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
            let schema = decode_schema(version)?;
            let columns = self.layout().schema(&schema.to_arrow());
            if columns.fields().iter().all(fits) {
                return Ok(Some((schema, table)));
            }
        }
        // Somebody may have changed columns.
        if let Some(newest) = versions.last() {
            let newest = decode_schema(newest)?;
            for dialect in DIALECTS {
                let schema = by_hand::adopted(&newest, &table, dialect);
                if self.layout().schema(&schema.to_arrow()).fields().iter().all(fits) {
                    return Ok(Some((schema, table)));
                }
            }
        }
        Err(EngineError::TableGone { table: self.table.clone(), pipeline: self.name.clone() })
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

pub(crate) fn decode_schema(version: &SchemaVersion) -> Result<Schema> {
    serde_json::from_slice(&version.change.schema).map_err(|_| unreadable_schema())
}

fn unreadable_schema() -> EngineError {
    EngineError::Checkpoint {
        reason: "the saved schema cannot be read by this version of Zenith; reload the pipeline".to_owned(),
    }
}
