//! A table to be created.

use std::collections::BTreeMap;

use arrow_schema::{FieldRef, SchemaRef};

use super::{Additions, Dialect, column_type, identifier, literal};
use crate::{Result, TransportError};

/// Stands at the end of a table's comment while it is being loaded; publication takes it away.
///
/// It distinguishes a shadow table from the table it has replaced, so that an interrupted publication can
/// be completed.
pub const LOADING_MARK: &str = "[zenith: being loaded]";

/// The settings of a table while it is being loaded: no merges are scheduled, and each insert is one file instead of one
/// for each column, as merges rewrite it anyway. Of 200 columns, that takes ClickHouse half the processor time.
pub const LOADING_SETTINGS: [(&str, &str); 2] =
    [("max_bytes_to_merge_at_max_space_in_pool", "1"), ("min_rows_for_wide_part", "1000000000000")];

/// How a table stores its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// All rows that were inserted.
    #[default]
    MergeTree,
    /// The row with the highest version for each key, eventually.
    ReplacingMergeTree {
        /// The column with the row's version.
        version: String,
        /// The column that is 1 in rows that stand for a deletion.
        deleted: Option<String>,
    },
}

/// A table to be created.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDefinition {
    /// Its name, without the database.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// The columns of its sorting key; none means no order.
    pub order_by: Vec<String>,
    /// How it stores its rows.
    pub engine: Engine,
    /// How many insert tokens it remembers. Below the number of inserts in flight, a repeat would land
    /// twice.
    pub deduplication_window: u32,
    /// Whether it is a shadow table: marked as being loaded, with merges held back and inserts of one file each.
    pub loading: bool,
    /// Whether an insert is acknowledged only when its files are on the disk.
    pub fsync: bool,
    /// Whether it may exist already.
    pub if_not_exists: bool,
    /// Its comment.
    pub comment: String,
    /// Comments on columns, by name.
    pub column_comments: BTreeMap<String, String>,
    /// Further settings of the table, as name and value.
    pub settings: BTreeMap<String, String>,
    /// The user's additions to the table whose place it takes. Columns of these that are not in `schema` come last.
    pub additions: Additions,
}

impl TableDefinition {
    /// A `MergeTree` table without order that remembers 10,000 insert tokens.
    #[must_use]
    pub fn new(name: impl Into<String>, schema: SchemaRef) -> TableDefinition {
        TableDefinition {
            name: name.into(),
            schema,
            order_by: Vec::new(),
            engine: Engine::default(),
            deduplication_window: 10_000,
            loading: false,
            fsync: false,
            if_not_exists: false,
            comment: String::new(),
            column_comments: BTreeMap::new(),
            settings: BTreeMap::new(),
            additions: Additions::default(),
        }
    }

    /// Sets the sorting key.
    #[must_use]
    pub fn order_by(mut self, columns: impl IntoIterator<Item = impl Into<String>>) -> TableDefinition {
        self.order_by = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the engine.
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> TableDefinition {
        self.engine = engine;
        self
    }

    /// Makes it a shadow table, to be published when it is loaded.
    #[must_use]
    pub fn loading(mut self) -> TableDefinition {
        self.loading = true;
        self
    }

    /// Asks for inserts that are on the disk when they are acknowledged.
    #[must_use]
    pub fn fsync(mut self, fsync: bool) -> TableDefinition {
        self.fsync = fsync;
        self
    }

    /// Accepts a table of this name that is already there.
    #[must_use]
    pub fn if_not_exists(mut self) -> TableDefinition {
        self.if_not_exists = true;
        self
    }

    /// Sets the comment.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> TableDefinition {
        self.comment = comment.into();
        self
    }

    /// The `CREATE TABLE` statement.
    ///
    /// # Errors
    /// [`TransportError::Column`] for columns ClickHouse cannot have.
    pub fn to_sql(&self, database: &str, dialect: Dialect) -> Result<String> {
        let fields = self.schema.fields();
        if fields.is_empty() {
            return Err(self.column_error("", "the table would have no columns"));
        }
        let mut columns =
            fields.iter().map(|field| self.column(field, dialect)).collect::<Result<Vec<_>>>()?;
        let more =
            self.additions.columns.iter().filter(|(name, _)| self.schema.column_with_name(name).is_none());
        columns.extend(more.map(|(name, column)| {
            format!("{} {}{}", identifier(name), column.data_type, column.to_sql(None))
        }));
        columns.extend(self.additions.elements.iter().map(|element| element.sql.clone()));
        let columns = columns.join(",\n    ");
        for name in &self.order_by {
            if fields.iter().all(|field| field.name() != name) {
                return Err(self.column_error(name, "the sorting key names it, but there is no such column"));
            }
        }
        let order: Vec<_> = self.order_by.iter().map(|name| identifier(name)).collect();
        let mut sql = format!(
            "CREATE TABLE {}{}.{} (\n    {columns}\n)\nENGINE = {}{}{}\nORDER BY {}{}{}",
            if self.if_not_exists { "IF NOT EXISTS " } else { "" },
            identifier(database),
            identifier(&self.name),
            self.additions.engine.clone().unwrap_or_else(|| self.engine_sql()),
            clause("PARTITION BY", &self.additions.partition_by),
            clause("PRIMARY KEY", &self.additions.primary_key),
            match (&self.additions.order_by, order.as_slice()) {
                (Some(order), _) => order.clone(),
                // Parentheses around one column would be part of the key's text.
                (None, [column]) => column.clone(),
                (None, columns) => format!("({})", columns.join(", ")),
            },
            clause("SAMPLE BY", &self.additions.sample_by),
            clause("TTL", &self.additions.ttl),
        );
        let settings: Vec<_> = self
            .all_settings()
            .iter()
            .map(|(name, value)| format!("{} = {value}", identifier(name)))
            .collect();
        if !settings.is_empty() {
            sql.push_str(&format!("\nSETTINGS {}", settings.join(", ")));
        }
        let comment = self.full_comment();
        if !comment.is_empty() {
            sql.push_str(&format!("\nCOMMENT {}", literal(&comment)));
        }
        Ok(sql)
    }

    /// The comment, with the mark of a shadow table.
    pub(crate) fn full_comment(&self) -> String {
        if self.loading { marked(&self.comment) } else { self.comment.clone() }
    }

    fn column(&self, field: &FieldRef, dialect: Dialect) -> Result<String> {
        let mut sql = column_sql(field, dialect)?;
        let comment = self.column_comments.get(field.name()).map(|text| format!("COMMENT {}", literal(text)));
        match self.additions.column(field.name()) {
            Some(column) => sql.push_str(&column.to_sql(comment.as_ref())),
            None => sql.extend(comment.map(|comment| format!(" {comment}"))),
        }
        Ok(sql)
    }

    fn engine_sql(&self) -> String {
        match &self.engine {
            Engine::MergeTree => "MergeTree".into(),
            Engine::ReplacingMergeTree { version, deleted: None } => {
                format!("ReplacingMergeTree({})", identifier(version))
            }
            Engine::ReplacingMergeTree { version, deleted: Some(deleted) } => {
                format!("ReplacingMergeTree({}, {})", identifier(version), identifier(deleted))
            }
        }
    }

    /// All settings, with their values as they are written.
    fn all_settings(&self) -> BTreeMap<&str, String> {
        let mut settings = BTreeMap::new();
        settings.insert("non_replicated_deduplication_window", self.deduplication_window.to_string());
        let nullable_key = self
            .order_by
            .iter()
            .any(|name| self.schema.fields().iter().any(|field| field.name() == name && field.is_nullable()));
        if nullable_key {
            settings.insert("allow_nullable_key", "1".to_owned());
        }
        if self.fsync {
            settings.insert("fsync_after_insert", "1".to_owned());
            settings.insert("fsync_part_directory", "1".to_owned());
        }
        settings.extend(self.settings.iter().map(|(name, value)| (name.as_str(), setting_value(value))));
        settings.extend(self.additions.settings.iter().map(|(name, value)| (name.as_str(), value.clone())));
        if self.loading {
            settings.extend(LOADING_SETTINGS.map(|(name, value)| (name, value.to_owned())));
        }
        settings
    }

    fn column_error(&self, column: &str, reason: &str) -> TransportError {
        TransportError::Column { column: format!("{}.{column}", self.name), reason: reason.to_owned() }
    }
}

/// The value of a setting as it is written: numbers bare, and anything else as a string.
#[must_use]
pub fn setting_value(value: &str) -> String {
    match value.parse::<f64>() {
        Ok(_) => value.to_owned(),
        Err(_) => literal(value),
    }
}

/// A clause on a line of its own, or nothing.
fn clause(name: &str, sql: &Option<String>) -> String {
    sql.as_ref().map_or_else(String::new, |sql| format!("\n{name} {sql}"))
}

/// A column as `CREATE TABLE` and `ADD COLUMN` have it.
pub(crate) fn column_sql(field: &FieldRef, dialect: Dialect) -> Result<String> {
    if field.name().is_empty() {
        return Err(TransportError::Column {
            column: "``".into(),
            reason: "ClickHouse has no columns with an empty name".into(),
        });
    }
    Ok(format!("{} {}", identifier(field.name()), column_type(field, dialect)?))
}

/// A comment with the mark of a shadow table.
pub(crate) fn marked(comment: &str) -> String {
    if comment.is_empty() { LOADING_MARK.to_owned() } else { format!("{comment} {LOADING_MARK}") }
}
