//! The administration of tables: rows looked up, counted and removed; columns, views and settings of tables.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_schema::FieldRef;
use serde::Deserialize;

use super::catalog::comments;
use super::{ClickHouseSink, filter, letters, owners, purge, read, trial};
use crate::ddl::{Additions, TableDefinition, View, column_sql, identifier, literal, marked};
use crate::sink::{
    Boxed, FoundOwner, InsertPath, LetterFilter, LetterQuery, LetterSubject, LiveRows, NewestLetter,
    OwnerMark, Purge, Purging, Selection, Sink, StoredLetter, TableAdmin, TableInfo,
};
use crate::statement::Statement;
use crate::{FailureKind, Result, TransportError};

/// Waits for the replicas of a table, and 2 s at most for those that are away.
const ALTER_OF_REPLICAS: &str = " SETTINGS alter_sync = 2, replication_wait_for_inactive_replica_timeout = 2";
/// What ClickHouse answers where a change is made, and replicas that are away have it to do yet.
const UNFINISHED: u32 = 341;
/// What ClickHouse answers to a lightweight `DELETE` from a table with projections.
const SUPPORT_IS_DISABLED: u32 = 344;

impl TableAdmin for ClickHouseSink {
    fn add_columns<'a>(
        &'a self,
        table: &'a str,
        fields: &'a [FieldRef],
        after: Option<&'a str>,
    ) -> Boxed<'a, String> {
        Box::pin(add_columns(self, table, fields, after))
    }

    fn modify_columns<'a>(&'a self, table: &'a str, fields: &'a [FieldRef]) -> Boxed<'a, String> {
        Box::pin(modify_columns(self, table, fields))
    }

    fn column_bytes<'a>(&'a self, table: &'a str, columns: &'a [String]) -> Boxed<'a, u64> {
        Box::pin(column_bytes(self, table, columns))
    }

    fn clone_table<'a>(&'a self, table: &'a str, shadow: &'a str) -> Boxed<'a, ()> {
        Box::pin(clone_table(self, table, shadow))
    }

    fn try_table<'a>(&'a self, definition: &'a TableDefinition, filled: &'a str) -> Boxed<'a, TableInfo> {
        Box::pin(trial::try_table(self, definition, filled))
    }

    fn select<'a>(&'a self, selection: &'a Selection) -> Boxed<'a, Option<Vec<RecordBatch>>> {
        Box::pin(read::select(self, selection))
    }

    fn select_live<'a>(&'a self, rows: &'a LiveRows) -> Boxed<'a, Vec<RecordBatch>> {
        Box::pin(read::select_live(self, rows))
    }

    fn count_rows<'a>(&'a self, selection: &'a Selection) -> Boxed<'a, u64> {
        Box::pin(count_rows(self, selection))
    }

    fn count_by_hash<'a>(
        &'a self,
        selection: &'a Selection,
        column: &'a str,
        modulus: u32,
    ) -> Boxed<'a, Vec<(u32, u64)>> {
        Box::pin(count_by_hash(self, selection, column, modulus))
    }

    fn delete<'a>(&'a self, selection: &'a Selection) -> Boxed<'a, ()> {
        Box::pin(delete(self, selection))
    }

    fn purge<'a>(&'a self, purge: &'a Purge) -> Boxed<'a, Purging> {
        Box::pin(purge::step(self, purge))
    }

    fn create_view<'a>(&'a self, view: &'a View, replace: bool) -> Boxed<'a, ()> {
        let doing = format!("creating the view {}", self.full_name(view.name()));
        let statement = self.for_all(doing, &view.to_sql(replace), &identifier(view.name()));
        Box::pin(self.session.execute(Statement { in_database: true, ..statement }))
    }

    fn insert_path<'a>(&'a self, table: &'a str) -> Boxed<'a, InsertPath> {
        Box::pin(insert_path(self, table))
    }

    fn parts<'a>(&'a self, table: &'a str) -> Boxed<'a, u64> {
        Box::pin(parts(self, table))
    }

    fn set_ttl<'a>(&'a self, table: &'a str, additions: &'a Additions, present: bool) -> Boxed<'a, ()> {
        let change = if present { additions.with_ttl() } else { additions.without_ttl() };
        Box::pin(alter(self, table, change))
    }

    fn set_settings<'a>(&'a self, table: &'a str, settings: &'a BTreeMap<String, String>) -> Boxed<'a, ()> {
        let settings: Vec<String> =
            settings.iter().map(|(name, value)| format!("{} = {value}", identifier(name))).collect();
        let change = (!settings.is_empty()).then(|| format!("MODIFY SETTING {}", settings.join(", ")));
        Box::pin(alter(self, table, change))
    }

    fn owners<'a>(&'a self, marks: &'a str, tables: &'a [String]) -> Boxed<'a, Vec<FoundOwner>> {
        Box::pin(owners::find(self, marks, tables))
    }

    fn mark_owners<'a>(&'a self, marks: &'a str, owners: &'a [OwnerMark]) -> Boxed<'a, ()> {
        Box::pin(owners::mark(self, marks, owners))
    }

    fn dead_letters<'a>(&'a self, table: &'a str, query: &'a LetterQuery) -> Boxed<'a, Vec<StoredLetter>> {
        Box::pin(letters::read(self, table, query))
    }

    fn count_dead_letters<'a>(&'a self, table: &'a str, filter: &'a LetterFilter) -> Boxed<'a, u64> {
        Box::pin(letters::count(self, table, filter))
    }

    fn dead_letter_reasons<'a>(
        &'a self,
        table: &'a str,
        filter: &'a LetterFilter,
    ) -> Boxed<'a, Vec<(String, u64)>> {
        Box::pin(letters::reasons(self, table, filter))
    }

    fn newest_dead_letters<'a>(
        &'a self,
        table: &'a str,
        filter: &'a LetterFilter,
        subjects: &'a [LetterSubject],
        bytes_max: usize,
    ) -> Boxed<'a, Vec<NewestLetter>> {
        Box::pin(letters::newest(self, table, filter, subjects, bytes_max))
    }

    fn remove_dead_letters<'a>(&'a self, table: &'a str, filter: &'a LetterFilter) -> Boxed<'a, ()> {
        Box::pin(letters::remove(self, table, filter))
    }
}

async fn add_columns(
    sink: &ClickHouseSink,
    table: &str,
    fields: &[FieldRef],
    after: Option<&str>,
) -> Result<String> {
    let dialect = sink.dialect().await?;
    let (mut changes, mut after) = (Vec::new(), after.map(identifier));
    for field in fields {
        let place = after.as_ref().map(|after| format!(" AFTER {after}")).unwrap_or_default();
        changes.push(format!("ADD COLUMN IF NOT EXISTS {}{place}", column_sql(field, dialect)?));
        after = after.map(|_| identifier(field.name()));
    }
    alter_columns(sink, table, &changes, "").await
}

/// The engine of a table that is there.
async fn engine_of(sink: &ClickHouseSink, table: &str) -> Result<String> {
    match sink.describe(table).await? {
        Some(found) => Ok(found.engine),
        None => Err(TransportError::NoTable { table: sink.full_name(table) }),
    }
}

/// Readers see the new types at once, as parts of before are converted while they are read.
async fn modify_columns(sink: &ClickHouseSink, table: &str, fields: &[FieldRef]) -> Result<String> {
    if fields.is_empty() {
        return Ok(String::new());
    }
    let dialect = sink.dialect().await?;
    let change = |field: &FieldRef| Ok(format!("MODIFY COLUMN {}", column_sql(field, dialect)?));
    let changes = fields.iter().map(change).collect::<Result<Vec<_>>>()?;
    let altered = alter_columns(sink, table, &changes, " SETTINGS alter_sync = 0").await;
    // They are known by the names of columns, and not of their parts.
    sink.column_types.forget(table);
    altered
}

/// Changes columns by one statement, and gives it back; empty where there is nothing to change. `settings` are those for a table
/// that is not replicated. A replicated one waits for its replicas, as the next insert may reach any of them, but not for those
/// that are away: they follow when they are back.
async fn alter_columns(
    sink: &ClickHouseSink,
    table: &str,
    changes: &[String],
    settings: &str,
) -> Result<String> {
    if changes.is_empty() {
        return Ok(String::new());
    }
    let engine = engine_of(sink, table).await?;
    let settings = match engine.as_str() {
        replicated if replicated.starts_with("Replicated") => ALTER_OF_REPLICAS,
        shared if shared.starts_with("Shared") => "",
        _ => settings,
    };
    let name = sink.full_name(table);
    let sql = format!("ALTER TABLE {name} {}", changes.join(", "));
    match sink.change(format!("changing the columns of {name}"), &format!("{sql}{settings}"), &name).await {
        Err(TransportError::Server(error)) if error.code == UNFINISHED => {}
        done => done?,
    }
    Ok(sql)
}

async fn column_bytes(sink: &ClickHouseSink, table: &str, columns: &[String]) -> Result<u64> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
        bytes: u64,
    }
    let sql = "SELECT name, data_compressed_bytes AS bytes FROM system.columns \
               WHERE database = {database:String} AND table = {table:String}";
    let doing = format!("asking how large columns of {} are", sink.full_name(table));
    let statement =
        Statement::new(doing, sql).parameter("database", sink.database()).parameter("table", table);
    let rows = sink.session.rows::<Row>(statement).await?;
    Ok(rows.iter().filter(|row| columns.contains(&row.name)).map(|row| row.bytes).sum())
}

/// The parts of the new table are those of the old one until either changes them.
async fn clone_table(sink: &ClickHouseSink, table: &str, shadow: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Row {
        partition_id: String,
    }
    let (name, shadow_name) = (sink.full_name(table), sink.full_name(shadow));
    let doing = format!("making {shadow_name} of the rows of {name}");
    let (Some(comment), _) = comments(sink, [table, shadow]).await? else {
        return Err(TransportError::NoTable { table: name });
    };
    if engine_of(sink, table).await?.starts_with("Replicated") {
        let message = format!(
            "{name} is replicated, and a table of its rows would need a path of its own in Keeper: columns are added to its next \
             rows, and zenith reload makes a table of them where the mode has one"
        );
        return Err(TransportError::other(FailureKind::Input, message));
    }
    // The parts of the clone would not know that some of their rows are to change, or to go.
    if let Some(mutation) = pending_mutation(sink, table).await? {
        let message = format!(
            "{name} has a mutation that is not done yet ({mutation}), which {shadow_name} would lose: wait until \
             system.mutations says that it is done"
        );
        return Err(TransportError::other(FailureKind::Input, message));
    }
    let comment = marked(&comment);
    let sql = format!("CREATE TABLE {shadow_name} AS {name} COMMENT {}", literal(&comment));
    sink.change(&*doing, &sql, &shadow_name).await?;
    let sql = "SELECT DISTINCT partition_id FROM system.parts \
               WHERE active AND database = {database:String} AND table = {table:String}";
    let statement =
        Statement::new(&*doing, sql).parameter("database", sink.database()).parameter("table", table);
    for Row { partition_id } in sink.session.rows::<Row>(statement).await? {
        let partition = literal(&partition_id);
        let sql = format!("ALTER TABLE {shadow_name} ATTACH PARTITION ID {partition} FROM {name}");
        sink.run(&*doing, &sql).await?;
    }
    Ok(())
}

/// A mutation of the rows of a table that is not done yet. Parts are read right before columns of theirs are written again.
async fn pending_mutation(sink: &ClickHouseSink, table: &str) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Row {
        command: String,
    }
    let sql = "SELECT command FROM system.mutations WHERE NOT is_done AND database = {database:String} \
               AND table = {table:String} AND command NOT LIKE '%MODIFY COLUMN%' LIMIT 1";
    let statement = Statement::new(format!("asking for mutations of {}", sink.full_name(table)), sql)
        .parameter("database", sink.database())
        .parameter("table", table);
    Ok(sink.session.rows::<Row>(statement).await?.pop().map(|row| row.command))
}

async fn count_rows(sink: &ClickHouseSink, selection: &Selection) -> Result<u64> {
    #[derive(Deserialize)]
    struct Row {
        rows: u64,
    }
    let name = sink.full_name(&selection.table);
    let from = filter::rows(&name, &selection.rows, &selection.filter, &[]);
    let sql = format!("SELECT count() AS rows FROM {from}");
    let statement = read::long(Statement::new(format!("counting rows of {name}"), sql));
    Ok(sink.session.rows::<Row>(statement).await?.first().map_or(0, |row| row.rows))
}

async fn count_by_hash(
    sink: &ClickHouseSink,
    selection: &Selection,
    column: &str,
    modulus: u32,
) -> Result<Vec<(u32, u64)>> {
    let name = sink.full_name(&selection.table);
    let from = filter::rows(&name, &selection.rows, &selection.filter, &[]);
    let remainder = filter::remainder(column, modulus);
    let sql = format!("SELECT {remainder} AS remainder, count() AS rows FROM {from} GROUP BY remainder");
    let statement = read::long(Statement::new(format!("counting keys of {name}"), sql));
    let mut counts = Vec::new();
    for batch in sink.session.arrow(statement).await? {
        let remainders = letters::primitive::<UInt32Type>(&batch, 0);
        let rows = letters::primitive::<UInt64Type>(&batch, 1);
        if let (Some(remainders), Some(rows)) = (remainders, rows) {
            counts.extend(remainders.values().iter().copied().zip(rows.values().iter().copied()));
        }
    }
    Ok(counts)
}

async fn delete(sink: &ClickHouseSink, selection: &Selection) -> Result<()> {
    let name = sink.full_name(&selection.table);
    let condition = filter::condition(&selection.filter, &[]);
    let server = sink.server().await?;
    let run = |sql: String| {
        let statement = read::long(Statement::new(format!("removing rows of {name}"), sql));
        sink.session.execute(server.set(statement, "lightweight_deletes_sync", "2"))
    };
    match run(format!("DELETE FROM {name} WHERE {condition}")).await {
        // A table with projections has parts rewritten for it.
        Err(TransportError::Server(error)) if error.code == SUPPORT_IS_DISABLED => {
            run(format!("ALTER TABLE {name} DELETE WHERE {condition} SETTINGS mutations_sync = 2")).await
        }
        done => done,
    }
}

async fn insert_path(sink: &ClickHouseSink, table: &str) -> Result<InsertPath> {
    #[derive(Deserialize)]
    struct Row {
        views: String,
        partition_key: String,
    }
    let sql = "SELECT arrayStringConcat(arrayMap((d, t) -> d || '.' || t, dependencies_database, \
               dependencies_table), ', ') AS views, partition_key FROM system.tables \
               WHERE database = {database:String} AND name = {table:String}";
    let statement = Statement::new(format!("asking where rows of {} go", sink.full_name(table)), sql)
        .parameter("database", sink.database())
        .parameter("table", table);
    let found = sink.session.rows::<Row>(statement).await?.into_iter().next();
    Ok(found
        .map_or_else(InsertPath::default, |Row { views, partition_key }| InsertPath { views, partition_key }))
}

async fn parts(sink: &ClickHouseSink, table: &str) -> Result<u64> {
    #[derive(Deserialize)]
    struct Row {
        parts: u64,
    }
    let sql = "SELECT count() AS parts FROM system.parts \
               WHERE active AND database = {database:String} AND table = {table:String}";
    let statement = Statement::new(format!("counting parts of {}", sink.full_name(table)), sql)
        .parameter("database", sink.database())
        .parameter("table", table);
    Ok(sink.session.rows::<Row>(statement).await?.first().map_or(0, |row| row.parts))
}

async fn alter(sink: &ClickHouseSink, table: &str, change: Option<String>) -> Result<()> {
    let Some(change) = change else { return Ok(()) };
    let name = sink.full_name(table);
    sink.change(format!("changing {name}"), &format!("ALTER TABLE {name} {change}"), &name).await
}
