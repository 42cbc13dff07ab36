//! Sinks: the destinations of record batches.
//!
//! *Writing one*: six methods of [`Sink`] are enough for copies. Each of the others documents its default.
//! [`TableAdmin`] adds what verification, dead letters and tables kept in step ask of a table.
//!
//! *Using one*: write against [`Sink`], whose futures are not boxed; [`DynSink`] holds a sink that is chosen at run time.
//!
//! What an implementation promises, and [`sink_test_suite!`](crate::sink_test_suite) checks:
//!
//! 1. [`Sink::write`] returns only once the batch is durable: written completely by this insert or by an
//!    earlier one with the same token.
//! 2. A batch is written completely or not at all.
//! 3. A write repeated with the same token has effect once. The caller retries.
//! 4. [`Sink::publish`] lets readers see the old table or the new one, never a mixture, and may be
//!    repeated after a crash at any point.

mod admin;
mod dynamic;
mod letters;
pub mod memory;
pub mod null;
mod owners;
mod purge;
mod scalar;
mod selection;
pub mod test_suite;

use std::future::Future;
use std::time::Duration;

use arrow_array::RecordBatch;

use crate::ddl::{Additions, TableDefinition};
use crate::dead_letter::{self, DeadLetter};
use crate::{Result, TransportError};

pub use admin::{Boxed, InsertPath, NoAdmin, TableAdmin};
pub use dynamic::DynSink;
pub use letters::{LetterFilter, LetterQuery, LetterSubject, LoadedAt, NewestLetter, StoredLetter};
pub use owners::{FoundOwner, OwnerMark};
pub use purge::{Purge, Purging};
pub use scalar::Scalar;
pub use selection::{Filter, HashColumn, LiveRows, Part, RowSet, Selection};

/// A place for tables and record batches.
pub trait Sink: Send + Sync {
    /// Checks that everything a run needs is there, before anything is created.
    ///
    /// # Errors
    /// One clear sentence for: host down, wrong password, no such database, missing privileges.
    fn preflight(&self, wanted: &PreflightRequest) -> impl Future<Output = Result<ServerInfo>> + Send;

    /// Creates a table.
    ///
    /// # Errors
    /// If it exists, unless [`TableDefinition::if_not_exists`] says that it may.
    fn create(&self, definition: &TableDefinition) -> impl Future<Output = Result<()>> + Send;

    /// Writes one record batch as one block, and returns once it is durable.
    ///
    /// # Errors
    /// [`TransportError::NoTable`] if there is no such table. See the predicates of [`TransportError`]: after a
    /// transient error the caller repeats with the same batch and token.
    fn write(&self, insert: Insert) -> impl Future<Output = Result<Durable>> + Send;

    /// Checks that the sink answers, and changes nothing. By default it does, as a sink without a server.
    ///
    /// # Errors
    /// Why it does not.
    fn ping(&self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Number of rows in a table.
    ///
    /// # Errors
    /// [`TransportError::NoTable`] if there is no such table.
    fn count(&self, table: &str) -> impl Future<Output = Result<u64>> + Send;

    /// Makes the loaded table `shadow` the table `table`, and drops the one it replaces.
    ///
    /// May be repeated: a publication that was interrupted is completed, one that was complete is left alone.
    ///
    /// # Errors
    /// [`TransportError::Publish`] if `shadow` was not created with [`TableDefinition::loading`],
    /// [`TransportError::NoTable`] if neither is there.
    fn publish(&self, shadow: &str, table: &str) -> impl Future<Output = Result<Published>> + Send;

    /// Drops a table; no error if it is not there.
    fn drop_table(&self, table: &str) -> impl Future<Output = Result<()>> + Send;

    /// The columns, engine and row count of a table, or `None` if it is not there.
    ///
    /// A sink that leaves this out says that no table is there: a copy then replaces what has the name, with columns
    /// of its own.
    fn describe(&self, table: &str) -> impl Future<Output = Result<Option<TableInfo>>> + Send {
        let _ = table;
        async { Ok(None) }
    }

    /// The table, view or other object of this name; `None` if the name is free.
    ///
    /// A sink that leaves this out has tables only: what [`Sink::describe`] finds.
    fn object(&self, name: &str) -> impl Future<Output = Result<Option<ObjectInfo>>> + Send {
        async move {
            Ok(self.describe(name).await?.map(|table| ObjectInfo {
                database: String::new(),
                engine: table.engine,
                comment: table.comment,
                query: String::new(),
                columns: table.columns,
            }))
        }
    }

    /// Names of the tables that begin with `prefix`, in order: how left-over shadow tables are found.
    ///
    /// A sink that leaves this out returns none.
    fn tables(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>>> + Send {
        let _ = prefix;
        async { Ok(Vec::new()) }
    }

    /// Reads a whole table back, for small tables and for tests.
    ///
    /// Text may come as Binary: a sink need not know that its values are UTF-8.
    ///
    /// # Errors
    /// [`TransportError::Unsupported`] by a sink that leaves this out.
    fn read(&self, table: &str) -> impl Future<Output = Result<Vec<RecordBatch>>> + Send {
        let _ = table;
        async { Err(TransportError::Unsupported { what: "read a table" }) }
    }

    /// Removes all rows of a table.
    ///
    /// # Errors
    /// [`TransportError::Unsupported`] by a sink that leaves this out: it loads tables by replacing them.
    fn truncate(&self, table: &str) -> impl Future<Output = Result<()>> + Send {
        let _ = table;
        async { Err(TransportError::Unsupported { what: "empty a table that it keeps" }) }
    }

    /// Holds background merges of a table back, or lets them run again. A sink without merges leaves this out.
    fn set_merging(&self, table: &str, merging: Merging) -> impl Future<Output = Result<()>> + Send {
        let _ = (table, merging);
        async { Ok(()) }
    }

    /// Puts documents that could not be loaded into the table `table`, creating it when absent, and adding the columns
    /// that one of an earlier version lacks. The default uses `create` and `write`, which suits any sink.
    fn write_dead_letters(
        &self,
        table: &str,
        letters: &[DeadLetter],
        token: &str,
    ) -> impl Future<Output = Result<Durable>> + Send {
        async move {
            self.create(&dead_letter::table(table)).await?;
            let batch = dead_letter::batch(letters).map_err(|source| TransportError::Arrow {
                action: "encode",
                what: format!("the dead letter table {table}"),
                source,
            })?;
            let insert = Insert { table: table.to_owned(), batch, token: token.to_owned() };
            match self.write(insert.clone()).await {
                Err(error) if error.is_schema_mismatch() => {
                    self.admin().add_columns(table, &dead_letter::later_columns(), None).await?;
                    self.write(insert).await
                }
                written => written,
            }
        }
    }

    /// The administration of the tables. A sink that leaves this out copies, and answers with one sentence where more
    /// is asked of it.
    fn admin(&self) -> &dyn TableAdmin {
        &NoAdmin
    }
}

/// The requirements of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PreflightRequest {
    /// Whether to create a missing database.
    pub create_database: bool,
    /// Whether the database may be missing, for looking before anything is created.
    pub missing_database: bool,
    /// Whether tables of versions are made.
    pub versions: bool,
}

/// The server of a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// The version as the server writes it.
    pub version: String,
    /// Major and minor version.
    pub version_number: (u32, u32),
    /// The user of the connection.
    pub user: String,
    /// The first and the last millisecond since 1970-01-01 UTC that a column of dates (`DateTime64(3, 'UTC')`) holds,
    /// shows and compares as they are.
    pub date_range_ms: (i64, i64),
    /// The database tables go to.
    pub database: String,
    /// Whether the database was created just now.
    pub database_created: bool,
    /// Whether the database is there.
    pub database_exists: bool,
    /// Whether one table can take the place of another in one step.
    pub exchanges_atomically: bool,
}

/// An existing table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// Its columns, in order.
    pub columns: Vec<ColumnInfo>,
    /// Its engine, as in `MergeTree`.
    pub engine: String,
    /// Its sorting key, as in `_id`.
    pub sorting_key: String,
    /// Its comment.
    pub comment: String,
    /// Number of its rows; 0 for what only shows rows of others.
    pub rows: u64,
    /// The user's additions; `None` if they are unknown.
    pub additions: Option<Additions>,
    /// The column that is 1 in rows which the engine takes for deletions, and hides.
    pub hidden_by: Option<String>,
}

impl TableInfo {
    /// An empty table ordered by `_id` that has these columns, each with its type, and nothing else: for tests of what
    /// depends on the columns of a table.
    #[must_use]
    pub fn of_columns<'a>(columns: impl IntoIterator<Item = (&'a str, &'a str)>) -> TableInfo {
        let column = |(name, data_type): (&str, &str)| ColumnInfo {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            default_kind: String::new(),
        };
        TableInfo {
            columns: columns.into_iter().map(column).collect(),
            engine: "MergeTree".to_owned(),
            sorting_key: "_id".to_owned(),
            comment: String::new(),
            rows: 0,
            additions: None,
            hidden_by: None,
        }
    }
}

/// An object with a name: tables, views and dictionaries share one space of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The database it is in, as statements name it; empty where there are none.
    pub database: String,
    /// Its engine, as in `MergeTree` or `View`.
    pub engine: String,
    /// Its comment.
    pub comment: String,
    /// The query of a view as the sink writes it; empty for anything else.
    pub query: String,
    /// Its columns, in order.
    pub columns: Vec<ColumnInfo>,
}

/// An existing column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Its type, as the sink writes it; compare with [`crate::ddl::same_type`].
    pub data_type: String,
    /// How it is computed, as in `MATERIALIZED`; empty or `DEFAULT` for one that can be written.
    pub default_kind: String,
}

/// One insert: one record batch, one block, one token.
#[derive(Clone, Debug)]
pub struct Insert {
    /// The table.
    pub table: String,
    /// The rows.
    pub batch: RecordBatch,
    /// The token: a second insert with the same token has no effect.
    pub token: String,
}

/// The acknowledgement of a durable insert, of now or of earlier with the same token.
///
/// The acknowledgement does not distinguish the two: ClickHouse (26.7) reports the rows of a dropped repeat as
/// written. [`Sink::count`] has the number of rows in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// Rows of the batch.
    pub rows: u64,
    /// Bytes sent for it.
    pub bytes: u64,
    /// From the first byte sent to the acknowledgement.
    pub elapsed: Duration,
}

/// Whether background merges of a table run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merging {
    /// Merges wait, and inserts are written the way that is cheapest: loading takes less CPU, and parts pile up.
    Held,
    /// Merges run as the server sees fit.
    Running,
}

/// The result of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// The name was free.
    Renamed,
    /// Another table had the name, and was dropped.
    Replaced,
    /// The table had been published before; only the cleanup was done.
    Already,
}
