//! From one database into another: all rows of all tables, as they are.

use super::Sql;
use super::session::Session;
use super::statement::{Row, Statement, Value, query};
use crate::{Result, StateError};

/// Rows that one statement adds.
const ROWS: usize = 100;

/// What a column holds.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Bytes,
    Number,
}

use Kind::{Bytes, Number, Text};

/// A table: its columns, and whether the database numbers its rows by the first of them.
struct Table {
    name: &'static str,
    is_numbered: bool,
    columns: &'static [(&'static str, Kind)],
}

const fn table(name: &'static str, columns: &'static [(&'static str, Kind)]) -> Table {
    Table { name, is_numbered: false, columns }
}

const fn numbered(name: &'static str, columns: &'static [(&'static str, Kind)]) -> Table {
    Table { name, is_numbered: true, columns }
}

/// What others refer to comes before them.
const TABLES: [Table; 15] = [
    table("connectors", &[("name", Text), ("role", Text), ("uri", Text), ("options", Text)]),
    table(
        "pipelines",
        &[("name", Text), ("source", Text), ("target", Text), ("settings", Text), ("state", Text)],
    ),
    table("epochs", &[("pipeline", Text), ("epoch", Number)]),
    table(
        "schemas",
        &[
            ("pipeline", Text),
            ("version", Number),
            ("created_nanoseconds", Number),
            ("schema", Bytes),
            ("cause", Text),
            ("statement", Text),
        ],
    ),
    table(
        "checkpoints",
        &[
            ("pipeline", Text),
            ("position", Bytes),
            ("sort_key", Bytes),
            ("source_nanoseconds", Number),
            ("row_count", Number),
            ("saved_nanoseconds", Number),
        ],
    ),
    numbered(
        "intents",
        &[
            ("number", Number),
            ("pipeline", Text),
            ("token", Text),
            ("from_position", Bytes),
            ("to_position", Bytes),
            ("row_count", Number),
            ("created_nanoseconds", Number),
        ],
    ),
    table(
        "snapshots",
        &[
            ("pipeline", Text),
            ("started_nanoseconds", Number),
            ("version", Number),
            ("read_from", Bytes),
            ("consistent_after", Bytes),
        ],
    ),
    table(
        "snapshot_partitions",
        &[
            ("pipeline", Text),
            ("number", Number),
            ("partition", Bytes),
            ("done", Number),
            ("row_count", Number),
        ],
    ),
    table(
        "misfits",
        &[
            ("pipeline", Text),
            ("slot", Number),
            ("kind", Text),
            ("field", Text),
            ("reason", Text),
            ("amount", Number),
        ],
    ),
    numbered(
        "runs",
        &[
            ("id", Number),
            ("pipeline", Text),
            ("mode", Text),
            ("zenith_version", Text),
            ("started_nanoseconds", Number),
            ("ended_nanoseconds", Number),
            ("outcome", Text),
            ("row_count", Number),
            ("byte_count", Number),
            ("error", Text),
            ("extra_count", Number),
            ("letter_count", Number),
        ],
    ),
    table(
        "conditions",
        &[
            ("pipeline", Text),
            ("waiting_for", Text),
            ("waiting_nanoseconds", Number),
            ("detached_by", Text),
            ("detached_nanoseconds", Number),
            ("source_ahead_nanoseconds", Number),
            ("oplog_nanoseconds", Number),
            ("part_count", Number),
            ("noted_nanoseconds", Number),
            ("applied_nanoseconds", Number),
        ],
    ),
    numbered(
        "requests",
        &[
            ("id", Number),
            ("pipeline", Text),
            ("action", Text),
            ("arguments", Text),
            ("requested_nanoseconds", Number),
            ("taken_nanoseconds", Number),
            ("is_cancelled", Number),
            ("progress", Text),
            ("ended_nanoseconds", Number),
            ("outcome", Text),
            ("result", Text),
        ],
    ),
    table("identities", &[("pipeline", Text), ("source", Text), ("target", Text)]),
    table("alerts", &[("id", Number), ("told", Text)]),
    numbered(
        "audit",
        &[
            ("id", Number),
            ("at_nanoseconds", Number),
            ("who", Text),
            ("address", Text),
            ("action", Text),
            ("subject", Text),
            ("details", Text),
        ],
    ),
];

/// Copies everything in one transaction, and returns how many rows that are.
pub(crate) async fn copy(from: &Sql, to: &Sql) -> Result<u64> {
    let mut reading = from.read("copy the state").await?;
    let mut contents = Vec::new();
    for table in &TABLES {
        contents.push(table.read(&mut reading).await?);
    }
    reading.commit().await?;
    let mut writing = to.write("copy the state").await?;
    let mut rows = 0;
    for (table, values) in TABLES.iter().zip(contents) {
        if table.count(&mut writing).await? > 0 {
            return Err(StateError::NotEmpty { path: writing.path().to_owned() });
        }
        rows += u64::try_from(values.len()).unwrap_or(u64::MAX);
        table.write(&mut writing, values).await?;
    }
    writing.commit().await?;
    Ok(rows)
}

/// How many rows there are.
pub(crate) async fn count(of: &Sql) -> Result<u64> {
    let mut session = of.read("count what the state has").await?;
    let mut rows = 0;
    for table in &TABLES {
        rows += table.count(&mut session).await?;
    }
    session.commit().await?;
    Ok(rows)
}

impl Table {
    async fn count(&self, session: &mut Session<'_>) -> Result<u64> {
        let count = session.row(query(format!("SELECT count(*) FROM {}", self.name))).await?;
        let count = count.map_or(Ok(0), |row| row.try_get::<i64>(0)).map_err(|error| session.fault(error))?;
        Ok(count.cast_unsigned())
    }

    async fn read(&self, session: &mut Session<'_>) -> Result<Vec<Vec<Value>>> {
        let rows = session.rows(query(format!("SELECT {} FROM {}", self.names(), self.name))).await?;
        let read = rows.iter().map(|row| self.values(row)).collect::<sqlx::Result<_>>();
        read.map_err(|error| session.fault(error))
    }

    fn values(&self, row: &Row) -> sqlx::Result<Vec<Value>> {
        let value = |(column, (_, kind)): (usize, &(&str, Kind))| {
            Ok(match kind {
                Text => Value::Text(row.try_get(column)?),
                Bytes => Value::Bytes(row.try_get(column)?),
                Number => Value::Number(row.try_get(column)?),
            })
        };
        self.columns.iter().enumerate().map(value).collect()
    }

    async fn write(&self, session: &mut Session<'_>, rows: Vec<Vec<Value>>) -> Result<()> {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let some: Vec<_> = rows.by_ref().take(ROWS).collect();
            let places = format!("({})", vec!["?"; self.columns.len()].join(", "));
            let places = vec![places; some.len()].join(", ");
            let add = format!("INSERT INTO {} ({}) VALUES {places}", self.name, self.names());
            let add = some.into_iter().flatten().fold(query(add), Statement::bind);
            session.execute(add).await?;
        }
        match session.numbering(self.name, self.columns[0].0) {
            Some(numbering) if self.is_numbered => session.rows(numbering).await.map(drop),
            _ => Ok(()),
        }
    }

    fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

/// All tables and their columns, sorted.
#[cfg(test)]
pub(crate) fn columns() -> Vec<(String, String)> {
    let of = |table: &Table| {
        let name = table.name.to_owned();
        table.columns.iter().map(move |(column, _)| (name.clone(), (*column).to_owned())).collect::<Vec<_>>()
    };
    let mut columns: Vec<_> = TABLES.iter().flat_map(of).collect();
    columns.sort();
    columns
}
