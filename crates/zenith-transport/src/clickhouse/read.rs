//! A whole table as Arrow; `String` columns come as Binary.

use arrow_array::RecordBatch;

use super::{ClickHouseSink, catalog, filter};
use crate::ddl::{TypeParts, identifier, literal, parts};
use crate::sink::{ColumnInfo, LiveRows, Selection};
use crate::statement::Statement;
use crate::{Result, TransportError};

/// What a statement with many keys may come to, in bytes and in parts; the server's own limits are meant for people.
const STATEMENT_BYTES_MAX: &str = "16777216";
const STATEMENT_PARTS_MAX: &str = "1000000";

/// Reads a table. Its JSON columns come as text, with keys spelled as they were inserted: the Arrow writer
/// of ClickHouse (26.7) would leave dots in keys escaped, where a cast in the query does not.
pub(super) async fn read(sink: &ClickHouseSink, table: &str) -> Result<Vec<RecordBatch>> {
    let name = sink.full_name(table);
    let columns = catalog::columns(sink, table).await?;
    if columns.is_empty() {
        return Err(TransportError::NoTable { table: name });
    }
    let columns: Vec<String> = columns
        .iter()
        .filter(|column| !matches!(column.default_kind.as_str(), "ALIAS" | "EPHEMERAL"))
        .map(|column| expression(column, &[]))
        .collect();
    let sql = format!("SELECT {} FROM {name}", columns.join(", "));
    run(sink, Statement::new(format!("reading {name}"), sql)).await
}

/// Reads some rows.
pub(super) async fn select(sink: &ClickHouseSink, selection: &Selection) -> Result<Option<Vec<RecordBatch>>> {
    let name = sink.full_name(&selection.table);
    let there = catalog::columns(sink, &selection.table).await?;
    if there.is_empty() {
        return Ok(None);
    }
    let chosen = there
        .iter()
        .filter(|column| selection.columns.contains(&column.name))
        .map(|column| expression(column, &selection.texts));
    let hash =
        selection.hash.iter().map(|hash| format!("{} AS {}", filter::hash(&hash.of), identifier(&hash.name)));
    let columns: Vec<String> = chosen.chain(hash).collect();
    let distinct = if selection.distinct { "DISTINCT " } else { "" };
    let from = filter::rows(&name, &selection.rows, &selection.filter, &there);
    let mut sql = format!("SELECT {distinct}{} FROM {from}", columns.join(", "));
    if !selection.order_by.is_empty() {
        let order: Vec<String> = selection.order_by.iter().map(|column| identifier(column)).collect();
        sql += &format!(" ORDER BY {}", order.join(", "));
    }
    if let Some(limit) = selection.limit {
        sql += &format!(" LIMIT {limit}");
    }
    run(sink, long(Statement::new(format!("reading {name}"), sql))).await.map(Some)
}

/// Reads where rows of documents stand that count.
///
/// By groups and not by `FINAL`: merged ranges would be read that no row of these documents is in.
pub(super) async fn select_live(sink: &ClickHouseSink, rows: &LiveRows) -> Result<Vec<RecordBatch>> {
    let LiveRows { selection, version, deleted } = rows;
    let name = sink.full_name(&selection.table);
    let there = catalog::columns(sink, &selection.table).await?;
    let columns: Vec<&ColumnInfo> =
        there.iter().filter(|column| selection.columns.contains(&column.name)).collect();
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let place: Vec<String> = columns.iter().map(|column| identifier(&column.name)).collect();
    let shown: Vec<String> = columns.iter().map(|column| expression(column, &selection.texts)).collect();
    let (place, shown, condition) =
        (place.join(", "), shown.join(", "), filter::condition(&selection.filter, &there));
    let (version, deleted) = (identifier(version), identifier(deleted));
    let sql = format!(
        "SELECT {shown}, `zenith newest` AS {version} FROM (SELECT {place}, maxIf({version}, {deleted} = 0) AS `zenith \
         newest`, maxIf({version}, {deleted} != 0) AS `zenith gone` FROM {name} WHERE {condition} GROUP BY {place}) WHERE \
         `zenith newest` > 0 AND `zenith newest` >= `zenith gone`"
    );
    // Else `maxIf` of no rows could be NULL, and no place would count.
    let statement =
        Statement::new(format!("reading {name}"), sql).set("aggregate_functions_null_for_empty", "0");
    run(sink, long(statement)).await
}

/// Lets a statement name many keys.
pub(super) fn long(statement: Statement) -> Statement {
    statement
        .set("max_query_size", STATEMENT_BYTES_MAX)
        .set("max_ast_elements", STATEMENT_PARTS_MAX)
        .set("max_expanded_ast_elements", STATEMENT_PARTS_MAX)
}

/// A String may hold any bytes: read as text, one that is not UTF-8 would spoil the whole result.
async fn run(sink: &ClickHouseSink, statement: Statement) -> Result<Vec<RecordBatch>> {
    let statement = Statement { binary: true, ..statement };
    sink.session.arrow(sink.server().await?.set(statement, "json_type_escape_dots_in_keys", "1")).await
}

/// What is asked for to get a column. `texts` are the columns, and parts of columns, that are read as texts.
fn expression(column: &ColumnInfo, texts: &[String]) -> String {
    let name = identifier(&column.name);
    match other_type(&column.data_type, &column.name, texts) {
        Some(data_type) => format!("CAST({name}, {}) AS {name}", literal(&data_type)),
        None => name,
    }
}

/// The type that a column, or a part of it at this path, is read as, if it is another one than its own.
fn other_type(data_type: &str, path: &str, texts: &[String]) -> Option<String> {
    const DATES: &str = "DateTime64(3, 'UTC')";
    match parts(data_type) {
        TypeParts::Elements(element) => Some(format!("Array({})", other_type(element, path, texts)?)),
        TypeParts::Fields(fields) => {
            let other = |(name, data_type): &(String, &str)| {
                let other = other_type(data_type, &format!("{path}.{name}"), texts);
                (other.is_some(), format!("{} {}", identifier(name), other.as_deref().unwrap_or(data_type)))
            };
            let fields: Vec<(bool, String)> = fields.iter().map(other).collect();
            let is_other = fields.iter().any(|(is_other, _)| *is_other);
            let fields: Vec<String> = fields.into_iter().map(|(_, field)| field).collect();
            is_other.then(|| format!("Tuple({})", fields.join(", ")))
        }
        TypeParts::Entries(key, value) => Some(format!("Map({key}, {})", other_type(value, path, texts)?)),
        TypeParts::None if texts.iter().any(|text| text == path) => Some(read_as(data_type, "String")),
        TypeParts::None => {
            let inside = data_type.strip_prefix("Nullable(").unwrap_or(data_type);
            // Whatever dates are made of, Arrow has them as milliseconds.
            let is_other_date = inside.starts_with("Date") && !inside.starts_with("DateTime64(3");
            match data_type {
                "JSON" => Some("String".to_owned()),
                _ => is_other_date.then(|| read_as(data_type, DATES)),
            }
        }
    }
}

/// The type, which may be NULL if this one may.
fn read_as(data_type: &str, wanted: &str) -> String {
    match data_type.contains("Nullable(") {
        true => format!("Nullable({wanted})"),
        false => wanted.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::other_type;

    #[test]
    fn types_are_read_as_others_at_any_depth() {
        let of = |data_type| other_type(data_type, "c", &["c.b.x".to_owned(), "c.u".to_owned()]);
        assert_eq!(of("JSON").as_deref(), Some("String"));
        assert_eq!(
            of("Tuple(a JSON, JSON2 Int8, `b` Array(JSON))").as_deref(),
            Some("Tuple(`a` String, `JSON2` Int8, `b` Array(String))")
        );
        assert_eq!(
            of("Tuple(b Array(Tuple(x Nullable(UUID), y UUID)), u Enum8('a' = 1), d Nullable(Date))")
                .as_deref(),
            Some(
                "Tuple(`b` Array(Tuple(`x` Nullable(String), `y` UUID)), `u` String, `d` Nullable(DateTime64(3, 'UTC')))"
            )
        );
        assert_eq!(of("Tuple(JSONs Int8, d DateTime64(3, 'UTC'))"), None);
    }
}
