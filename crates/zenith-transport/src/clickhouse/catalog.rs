//! Which tables there are, and of what shape: questions to the `system` tables.

use serde::Deserialize;

use super::ClickHouseSink;
use crate::Result;
use crate::ddl::{Additions, expressions};
use crate::sink::{ColumnInfo, ObjectInfo, TableInfo};
use crate::statement::Statement;

#[derive(Deserialize)]
struct TableRow {
    engine: String,
    sorting_key: String,
    comment: String,
    total_rows: Option<u64>,
    create_table_query: String,
    engine_full: String,
}

/// Engines of what has no rows of its own; counting those of others may take long, or fail.
const WITHOUT_ROWS: [&str; 5] = ["View", "MaterializedView", "LiveView", "WindowView", "Dictionary"];

#[derive(Deserialize)]
struct ColumnRow {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
    default_kind: String,
}

pub(super) async fn describe(sink: &ClickHouseSink, table: &str) -> Result<Option<TableInfo>> {
    let sql = "SELECT engine, sorting_key, comment, total_rows, create_table_query, engine_full FROM system.tables \
               WHERE database = {database:String} AND name = {table:String}";
    let statement = Statement::new(format!("describing {}", sink.full_name(table)), sql)
        .parameter("database", sink.database())
        .parameter("table", table);
    let Some(found) = sink.session.rows::<TableRow>(statement).await?.into_iter().next() else {
        return Ok(None);
    };
    let columns = columns(sink, table).await?;
    let rows = match found.total_rows {
        Some(rows) => rows,
        None if WITHOUT_ROWS.contains(&found.engine.as_str()) => 0,
        // Some engines do not know.
        None => count(sink, table).await?,
    };
    Ok(Some(TableInfo {
        columns,
        engine: found.engine,
        sorting_key: found.sorting_key,
        comment: found.comment,
        rows,
        additions: Additions::parse(&found.create_table_query),
        hidden_by: hidden_by(&found.engine_full),
    }))
}

/// The column of deletions that a `ReplacingMergeTree` is told of: the second of its arguments that is a column.
fn hidden_by(engine: &str) -> Option<String> {
    let (name, rest) = engine.split_once('(')?;
    let (arguments, _) = rest.split_once(')')?;
    let mut columns = expressions(arguments)?.into_iter().filter(|argument| !argument.starts_with('\''));
    let column = columns.nth(1).filter(|_| name.ends_with("ReplacingMergeTree"))?;
    Some(column.trim_matches('`').to_owned())
}

/// What has this name.
pub(super) async fn object(sink: &ClickHouseSink, name: &str) -> Result<Option<ObjectInfo>> {
    #[derive(Deserialize)]
    struct Row {
        engine: String,
        comment: String,
        as_select: String,
    }
    let sql = "SELECT engine, comment, as_select FROM system.tables \
               WHERE database = {database:String} AND name = {name:String}";
    let statement = Statement::new(format!("looking for {}", sink.full_name(name)), sql)
        .parameter("database", sink.database())
        .parameter("name", name);
    let Some(found) = sink.session.rows::<Row>(statement).await?.into_iter().next() else {
        return Ok(None);
    };
    let Row { engine, comment, as_select: query } = found;
    let (database, columns) = (sink.database().to_owned(), columns(sink, name).await?);
    Ok(Some(ObjectInfo { database, engine, comment, query, columns }))
}

/// The columns of a table in order; none if there is no such table.
pub(super) async fn columns(sink: &ClickHouseSink, table: &str) -> Result<Vec<ColumnInfo>> {
    let sql = "SELECT name, type, default_kind FROM system.columns \
               WHERE database = {database:String} AND table = {table:String} ORDER BY position";
    let statement = Statement::new(format!("describing {}", sink.full_name(table)), sql)
        .parameter("database", sink.database())
        .parameter("table", table);
    let columns = sink.session.rows::<ColumnRow>(statement).await?;
    let info = |ColumnRow { name, data_type, default_kind }| ColumnInfo { name, data_type, default_kind };
    Ok(columns.into_iter().map(info).collect())
}

/// The comments of two tables, each `None` if there is no such table.
pub(super) async fn comments(
    sink: &ClickHouseSink,
    tables: [&str; 2],
) -> Result<(Option<String>, Option<String>)> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
        comment: String,
    }
    let sql = "SELECT name, comment FROM system.tables \
               WHERE database = {database:String} AND name IN ({first:String}, {second:String})";
    let [first, second] = tables;
    let doing = format!("looking for {} and {}", sink.full_name(first), sink.full_name(second));
    let statement = Statement::new(doing, sql)
        .parameter("database", sink.database())
        .parameter("first", first)
        .parameter("second", second);
    let rows = sink.session.rows::<Row>(statement).await?;
    let of = |table: &str| rows.iter().find(|row| row.name == table).map(|row| row.comment.clone());
    Ok((of(first), of(second)))
}

pub(super) async fn tables(sink: &ClickHouseSink, prefix: &str) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
    }
    let sql = "SELECT name FROM system.tables \
               WHERE database = {database:String} AND startsWith(name, {prefix:String}) ORDER BY name";
    let statement = Statement::new("listing tables", sql)
        .parameter("database", sink.database())
        .parameter("prefix", prefix);
    Ok(sink.session.rows::<Row>(statement).await?.into_iter().map(|row| row.name).collect())
}

pub(super) async fn count(sink: &ClickHouseSink, table: &str) -> Result<u64> {
    #[derive(Deserialize)]
    struct Row {
        rows: u64,
    }
    let name = sink.full_name(table);
    let statement = Statement::new(format!("counting {name}"), format!("SELECT count() AS rows FROM {name}"));
    Ok(sink.session.rows::<Row>(statement).await?.first().map_or(0, |row| row.rows))
}

#[cfg(test)]
mod tests {
    use super::hidden_by;

    #[test]
    fn engines_say_which_rows_they_hide() {
        let column = |engine: &str| hidden_by(engine);
        assert_eq!(column("ReplacingMergeTree(v, gone) ORDER BY (a, b)"), Some("gone".to_owned()));
        let replicated =
            "ReplicatedReplacingMergeTree('/tables/{uuid}', '{replica}', `v`, `gone`) ORDER BY a";
        assert_eq!(column(replicated), Some("gone".to_owned()));
        for none in
            ["ReplacingMergeTree(v) ORDER BY (a, b)", "MergeTree ORDER BY (a, b)", "SummingMergeTree(a, b)"]
        {
            assert_eq!(column(none), None, "{none}");
        }
    }
}
