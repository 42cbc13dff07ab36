//! Tables of dead letters: what is in them, and its removal.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{PrimitiveArray, RecordBatch};

use super::key_set::hex;
use super::{ClickHouseSink, catalog, read};
use crate::Result;
use crate::ddl::literal;
use crate::sink::{LetterFilter, LetterQuery, LetterSubject, NewestLetter, StoredLetter};
use crate::statement::Statement;

/// Names a dead letter: also those of version 0.1, which have no name in the table.
const NAME: &str = "lower(hex(sipHash64(at, pipeline, namespace, id, document)))";

/// Whether the table has the columns that those of version 0.1 lack; `None` if there is no table.
async fn has_later_columns(sink: &ClickHouseSink, table: &str) -> Result<Option<bool>> {
    let columns = match catalog::columns(sink, table).await {
        Err(error) if error.is_unknown_database() => return Ok(None),
        columns => columns?,
    };
    let is_there = !columns.is_empty();
    Ok(is_there.then(|| columns.iter().any(|column| column.name == "operation")))
}

pub(super) async fn read(
    sink: &ClickHouseSink,
    table: &str,
    query: &LetterQuery,
) -> Result<Vec<StoredLetter>> {
    let Some(later) = has_later_columns(sink, table).await? else { return Ok(Vec::new()) };
    let columns = if later { "version, operation, index" } else { "toUInt64(0), '', toUInt32(0)" };
    let document = if query.documents { "hex(document)" } else { "''" };
    let order = if query.newest_first { "at DESC" } else { "at" };
    let limit = query.limit.map_or_else(String::new, |limit| format!(" LIMIT {limit}"));
    let (name, condition) = (sink.full_name(table), condition(&query.filter, later));
    // The size is part of the order so that it is computed before: what is put in order has no documents then.
    let sql = format!(
        "SELECT {NAME}, toUnixTimestamp64Milli(at), pipeline, namespace, id, reason, toUInt64(length(document)), \
         {document}, {columns} FROM {name} WHERE {condition} ORDER BY {order}, {NAME}, length(document){limit}"
    );
    let mut letters = Vec::new();
    for batch in ask(sink, table, sql).await? {
        letters.extend((0..batch.num_rows()).map(|row| letter(&batch, row)));
    }
    Ok(letters)
}

pub(super) async fn count(sink: &ClickHouseSink, table: &str, filter: &LetterFilter) -> Result<u64> {
    let Some(later) = has_later_columns(sink, table).await? else { return Ok(0) };
    let (name, condition) = (sink.full_name(table), condition(filter, later));
    let found = ask(sink, table, format!("SELECT count() FROM {name} WHERE {condition}")).await?;
    Ok(found.iter().find(|batch| batch.num_rows() > 0).map_or(0, |batch| number(batch, 0, 0)))
}

pub(super) async fn reasons(
    sink: &ClickHouseSink,
    table: &str,
    filter: &LetterFilter,
) -> Result<Vec<(String, u64)>> {
    let Some(later) = has_later_columns(sink, table).await? else { return Ok(Vec::new()) };
    let (name, condition) = (sink.full_name(table), condition(filter, later));
    let sql = format!("SELECT reason, count() FROM {name} WHERE {condition} GROUP BY reason");
    let mut reasons = Vec::new();
    for batch in ask(sink, table, sql).await? {
        reasons.extend((0..batch.num_rows()).map(|row| (text(&batch, 0, row), number(&batch, 1, row))));
    }
    Ok(reasons)
}

pub(super) async fn newest(
    sink: &ClickHouseSink,
    table: &str,
    filter: &LetterFilter,
    subjects: &[LetterSubject],
    bytes_max: usize,
) -> Result<Vec<NewestLetter>> {
    let Some(later) = has_later_columns(sink, table).await? else { return Ok(Vec::new()) };
    let (name, condition) = (sink.full_name(table), condition(filter, later));
    let named = |subject: &LetterSubject| match subject {
        LetterSubject::Id(id) => format!("id {id}"),
        LetterSubject::Bytes(bytes) => format!("bytes {}", hex(bytes)),
    };
    let subjects: Vec<(String, &LetterSubject)> =
        subjects.iter().map(|subject| (named(subject), subject)).collect();
    let literals: Vec<String> = subjects.iter().map(|(name, _)| literal(name)).collect();
    if literals.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT if(id = '', 'bytes ' || lower(hex(document)), 'id ' || id) AS name, argMax(reason, at), \
         argMax(if(length(document) <= {bytes_max}, hex(document), ''), at) FROM {name} \
         WHERE {condition} AND name IN ({}) GROUP BY name",
        literals.join(", ")
    );
    let by_name: std::collections::HashMap<&str, &LetterSubject> =
        subjects.iter().map(|(name, subject)| (name.as_str(), *subject)).collect();
    let mut letters = Vec::new();
    for batch in ask(sink, table, sql).await? {
        letters.extend((0..batch.num_rows()).filter_map(|row| {
            let subject = by_name.get(text(&batch, 0, row).as_str())?;
            let document = unhex(&text(&batch, 2, row));
            Some(NewestLetter { subject: (*subject).clone(), reason: text(&batch, 1, row), document })
        }));
    }
    Ok(letters)
}

pub(super) async fn remove(sink: &ClickHouseSink, table: &str, filter: &LetterFilter) -> Result<()> {
    let Some(later) = has_later_columns(sink, table).await? else { return Ok(()) };
    let (name, condition) = (sink.full_name(table), condition(filter, later));
    let statement = Statement::new(
        format!("removing dead letters of {name}"),
        format!("DELETE FROM {name} WHERE {condition}"),
    );
    sink.session.execute(read::long(statement)).await
}

async fn ask(sink: &ClickHouseSink, table: &str, sql: String) -> Result<Vec<RecordBatch>> {
    let doing = format!("reading the dead letters of {}", sink.full_name(table));
    sink.session.arrow(read::long(Statement::new(doing, sql))).await
}

/// A filter as a condition; `later` if the table has the columns that those of version 0.1 lack.
fn condition(filter: &LetterFilter, later: bool) -> String {
    let mut conditions = vec!["1".to_owned()];
    if let Some(pipeline) = &filter.pipeline {
        conditions.push(of_pipeline(pipeline));
    }
    if let Some(namespace) = &filter.namespace {
        conditions.push(format!("namespace = {}", literal(namespace)));
    }
    if let Some(names) = &filter.names {
        // To ClickHouse no list is empty; no letter has the empty name.
        let names = names.iter().map(|name| literal(&name.to_lowercase()));
        let names: Vec<String> = std::iter::once(literal("")).chain(names).collect();
        conditions.push(format!("{NAME} IN ({})", names.join(", ")));
    }
    let times = [(&filter.before, "<"), (&filter.since, ">="), (&filter.until, "<=")];
    for (at, compared) in times {
        conditions.extend(at.map(|at| format!("at {compared} {}", moment(at))));
    }
    if let Some((at, name)) = &filter.behind {
        let (at, name) = (moment(*at), literal(name));
        conditions.push(format!("(at > {at} OR (at = {at} AND {NAME} > {name}))"));
    }
    if let Some(loaded) = filter.loaded.as_ref().filter(|_| later) {
        // The rows of a load have the version right before the time that it begins at. Changes up to that time are in it;
        // their letters name an insert, and those of loads do not.
        let (version, changes) = (loaded.version, literal(&loaded.changes));
        conditions.push(format!(
            "(version = 0 OR version > {} OR version = {version} AND NOT startsWith(run, {changes}))",
            version.saturating_add(1)
        ));
    }
    conditions.join(" AND ")
}

/// The condition that selects the dead letters of a pipeline.
fn of_pipeline(name: &str) -> String {
    // Version 0.1 noted the insert or the load, which begin with the name.
    let name = literal(name);
    format!(
        "(pipeline = {name} OR startsWith(pipeline, {name} || '/') OR \
         match(pipeline, '^' || regexpQuoteMeta({name}) || '-[0-9a-f]+_[0-9a-f]+$'))"
    )
}

/// A time in a statement.
fn moment(at: SystemTime) -> String {
    let millis = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("fromUnixTimestamp64Milli(toInt64('{millis}'))")
}

fn letter(batch: &RecordBatch, row: usize) -> StoredLetter {
    let text_of = |column: usize| text(batch, column, row);
    let millis = primitive::<Int64Type>(batch, 1).map_or(0, |column| column.value(row));
    StoredLetter {
        name: text_of(0),
        at: UNIX_EPOCH + Duration::from_millis(millis.max(0).cast_unsigned()),
        pipeline: text_of(2),
        namespace: text_of(3),
        id: text_of(4),
        reason: text_of(5),
        size: number(batch, 6, row),
        document: unhex(&text_of(7)),
        version: number(batch, 8, row),
        operation: text_of(9),
        index: primitive::<UInt32Type>(batch, 10).map_or(0, |column| column.value(row)),
    }
}

pub(super) fn primitive<T: ArrowPrimitiveType>(
    batch: &RecordBatch,
    column: usize,
) -> Option<&PrimitiveArray<T>> {
    batch.columns().get(column)?.as_primitive_opt::<T>()
}

fn number(batch: &RecordBatch, column: usize, row: usize) -> u64 {
    primitive::<UInt64Type>(batch, column).map_or(0, |column| column.value(row))
}

fn text(batch: &RecordBatch, column: usize, row: usize) -> String {
    let column = batch.column(column);
    if let Some(strings) = column.as_string_opt::<i32>() {
        return strings.value(row).to_owned();
    }
    let bytes = column.as_binary_opt::<i32>();
    bytes.map_or_else(String::new, |bytes| String::from_utf8_lossy(bytes.value(row)).into_owned())
}

fn unhex(text: &str) -> Vec<u8> {
    let digit =
        |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    text.as_bytes().as_chunks::<2>().0.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_conditions() {
        assert_eq!(condition(&LetterFilter::default(), true), "1");
        let filter = LetterFilter { names: Some(vec!["AB".to_owned()]), ..LetterFilter::default() };
        assert!(condition(&filter, true).ends_with("IN ('', 'ab')"), "{}", condition(&filter, true));
        let none = LetterFilter { names: Some(Vec::new()), ..LetterFilter::default() };
        assert!(condition(&none, true).ends_with("IN ('')"), "{}", condition(&none, true));
        assert_eq!(unhex("00fFa1"), [0, 255, 161]);
    }
}
