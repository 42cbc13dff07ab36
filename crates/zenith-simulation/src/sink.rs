//! The target: tables in memory that keep what ClickHouse keeps. An insert is in the table whole or not at all, a repeated
//! token has no effect, and an answer may be lost after the effect.
//!
//! It answers the questions that the engine asks after repeated inserts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::FieldRef;
use zenith_engine::transport::{
    Boxed, Durable, FailureKind, Filter, Insert, LiveRows, MemorySink, Merging, PreflightRequest, Published,
    Purge, Purging, RowSet, Scalar, Selection, ServerInfo, Sink, TableAdmin, TableDefinition, TableInfo,
    TransportError,
};

use crate::calls::Call;
use crate::purge::Mutations;
use crate::rows::{DeadLetter, Row, dead_letters_of, newest, rows_of};
use crate::scenario::{ARRAY_INDEX, KEY_FIELD, Kind};
use crate::world::{Fate, World};

type Result<T> = std::result::Result<T, TransportError>;

/// The table that is kept in step.
pub(crate) const TABLE: &str = "items";

/// Inserts of one seed that take long: a load whose source fails meanwhile begins again.
const SLOW_MAX: u32 = 4;

/// The target of a world.
#[derive(Debug)]
pub(crate) struct SimulatedSink {
    world: Arc<World>,
    pub(crate) memory: MemorySink,
    /// By which insert the rows of a version came.
    inserts: Mutex<HashMap<u64, String>>,
    /// The versions of rows that were loaded.
    loads: Mutex<BTreeSet<u64>>,
    /// Parts of inserts that have landed, of a table that is divided.
    parts: Mutex<HashSet<(String, i64)>>,
    /// How often the table was made.
    created: AtomicU32,
    mutations: Mutations,
    /// Inserts of loads that took long.
    slow_loads: AtomicU32,
}

fn failure(is_done: bool) -> TransportError {
    let message = if is_done { "the answer was lost" } else { "the target did not answer" };
    TransportError::other(FailureKind::Transient, message)
}

impl SimulatedSink {
    pub(crate) fn new(world: Arc<World>) -> SimulatedSink {
        SimulatedSink {
            world,
            memory: MemorySink::new(),
            inserts: Mutex::default(),
            loads: Mutex::default(),
            parts: Mutex::default(),
            created: AtomicU32::new(0),
            mutations: Mutations::default(),
            slow_loads: AtomicU32::new(0),
        }
    }

    /// Whether the table was made more than once: each time of what its collection had then.
    pub(crate) fn was_made_again(&self) -> bool {
        self.created.load(Ordering::Relaxed) > 1
    }

    async fn call<T>(&self, call: Call, name: &str, effect: impl Future<Output = Result<T>>) -> Result<T> {
        let detail = |_: &World| if name == TABLE { name.to_owned() } else { "another table".to_owned() };
        self.mutations.go_on(&self.world, &self.memory);
        self.world.call(call, detail, effect, failure).await
    }

    /// All rows of a table, in the order in which they came.
    pub(crate) fn rows(&self, table: &str) -> Vec<Row> {
        self.memory.batches(table).iter().flat_map(rows_of).collect()
    }

    fn text(&self, insert: &Insert, world: &World) -> String {
        let named = |id: i64, version: u64, is_deleted: bool| match version {
            0 => id.to_string(),
            version => {
                let deleted = if is_deleted { "-" } else { "" };
                format!("{id}@{}{deleted}", version & u64::from(u32::MAX))
            }
        };
        let row = |row: &Row| match row.element {
            0 => named(row.id, row.version, row.is_deleted),
            element => format!("{}[{element}]", named(row.id, row.version, row.is_deleted)),
        };
        let letter = |letter: &DeadLetter| named(letter.id, letter.version, false);
        let (table, all): (_, Vec<String>) = match is_of_letters(insert) {
            true => ("", dead_letters_of(&insert.batch).iter().map(letter).collect()),
            false if insert.table == TABLE => ("", rows_of(&insert.batch).iter().map(row).collect()),
            false => (" into another table", rows_of(&insert.batch).iter().map(row).collect()),
        };
        format!("{}{table}: {}", world.name_of(&insert.token), all.join(" "))
    }

    /// The versions of rows that came of loads, and not of changes.
    pub(crate) fn versions_of_loads(&self) -> BTreeSet<u64> {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A transaction becomes visible whole, unless it is larger than a batch or came in parts.
    fn look_at_versions(&self, insert: &Insert) {
        let scenario = &self.world.scenario;
        let is_of_changes = insert.token.contains('/');
        if scenario.kind == Kind::Changes && !is_of_changes {
            let versions = rows_of(&insert.batch).into_iter().map(|row| row.version);
            self.loads.lock().unwrap_or_else(PoisonError::into_inner).extend(versions);
        }
        let is_of_changes = is_of_changes && matches!(scenario.kind, Kind::Changes | Kind::ChangeLog);
        if insert.table != TABLE || !is_of_changes || scenario.single_events {
            return;
        }
        let versions: BTreeSet<u64> = rows_of(&insert.batch).iter().map(|row| row.version).collect();
        let mut inserts = self.inserts.lock().unwrap_or_else(PoisonError::into_inner);
        for version in versions {
            let token = inserts.entry(version).or_insert_with(|| insert.token.clone());
            // What is inserted again has the name of the insert it is of, and more.
            if insert.token.starts_with(token.as_str()) {
                continue;
            }
            let changes = |history: &crate::history::History| {
                history.log.iter().find(|entry| entry.version == version).map_or(0, |entry| entry.together)
            };
            if self.world.with_history(changes) <= scenario.settings.flush_rows {
                let version = version & u64::from(u32::MAX);
                self.world.broken(|| format!("the transaction of version {version} came in two inserts"));
            }
        }
    }

    /// Writes an insert into a table that is divided, by parts of which each has its own token. The last ones do not land where
    /// the answer is lost.
    async fn write_parts(&self, insert: Insert, fate: Fate) -> Result<Durable> {
        let rows = rows_of(&insert.batch);
        let mut parts: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            parts.entry(row.key).or_default().push(at);
        }
        let all = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let landing = match fate {
            Fate::CrashAfter | Fate::FailAfter => self.world.between(0, all),
            _ => all,
        };
        self.world.tell(|| format!("    {landing} of {all} parts land"));
        let landing = usize::try_from(landing).unwrap_or(usize::MAX);
        for (key, rows) in parts.into_iter().take(landing) {
            let is_new = {
                let mut known = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
                known.insert((format!("{}/{}", insert.table, insert.token), key))
            };
            for row in rows.into_iter().filter(|_| is_new) {
                let token = format!("{}#{key}#{row}", insert.token);
                let part = Insert { batch: insert.batch.slice(row, 1), token, table: insert.table.clone() };
                self.memory.write(part).await?;
            }
        }
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        Ok(Durable { rows: count, ..Durable::default() })
    }

    /// Where rows of the selected documents stand that count. Merges may or may not have taken other rows away.
    fn live_rows(&self, rows: &LiveRows) -> Result<Vec<RecordBatch>> {
        let all = self.select_rows(&Selection { columns: all_columns(), ..rows.selection.clone() })?;
        let plain: Vec<Row> = all.iter().flat_map(rows_of).collect();
        let merged = newest(plain.clone(), true);
        let seen = if self.world.between(0, 1) == 0 { &plain } else { &merged };
        let mut live: BTreeMap<(i64, i64, i64), (u64, usize)> = BTreeMap::new();
        let is_tombstone =
            |row: &Row| if rows.deleted == "_zenith_moved" { row.is_moved } else { row.is_deleted };
        for (at, row) in plain.iter().enumerate().filter(|(_, row)| !is_tombstone(row) && seen.contains(row))
        {
            let place = place(row);
            let is_gone = |other: &Row| {
                self::place(other) == place && is_tombstone(other) && other.version > row.version
            };
            let is_older = live.get(&place).is_some_and(|(version, _)| *version > row.version);
            if !is_older && !seen.iter().any(is_gone) {
                live.insert(place, (row.version, at));
            }
        }
        let wanted: Vec<&String> = rows.selection.columns.iter().chain([&rows.version]).collect();
        let shown = live.into_values().filter_map(|(_, at)| {
            let batch = all.get(at)?;
            let columns = wanted.iter().filter_map(|name| batch.schema().index_of(name).ok());
            batch.project(&columns.collect::<Vec<_>>()).ok()
        });
        Ok(shown.collect())
    }

    /// The selected rows, one in a batch.
    fn select_rows(&self, selection: &Selection) -> Result<Vec<RecordBatch>> {
        let mut found = Vec::new();
        for batch in self.memory.batches(&selection.table) {
            let names = selection.columns.iter().filter_map(|name| batch.schema().index_of(name).ok());
            let columns: Vec<usize> = names.collect();
            for row in 0..batch.num_rows() {
                if is_true(&selection.filter, &batch, row) {
                    let row = batch.slice(row, 1).project(&columns);
                    found.push(row.map_err(|source| TransportError::Arrow {
                        action: "project",
                        what: "an answer".to_owned(),
                        source,
                    })?);
                }
            }
        }
        if selection.rows == RowSet::Merged {
            self.keep_newest(&mut found);
        }
        Ok(found)
    }

    /// Keeps of the rows, one in a batch, the newest one of each place, if it does not only say that its document stands elsewhere.
    fn keep_newest(&self, found: &mut Vec<RecordBatch>) {
        let rows: Vec<Row> = found.iter().flat_map(rows_of).collect();
        let mut newest: BTreeMap<(i64, i64), (u64, usize)> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            let place = (row.id, if self.world.scenario.has_key { row.key } else { 0 });
            if newest.get(&place).is_none_or(|(version, _)| *version <= row.version) {
                newest.insert(place, (row.version, at));
            }
        }
        let kept: BTreeSet<usize> = newest.into_values().map(|(_, at)| at).collect();
        let mut at = 0..;
        found.retain(|_| {
            let at = at.next().unwrap_or_default();
            kept.contains(&at) && rows.get(at).is_some_and(|row| !row.is_moved)
        });
    }
}

/// The columns that rows are made of here.
fn all_columns() -> Vec<String> {
    ["_id", KEY_FIELD.as_str(), ARRAY_INDEX, "n", "_zenith_version", "_zenith_deleted", "_zenith_moved"]
        .map(str::to_owned)
        .into()
}

/// Where a row stands.
fn place(row: &Row) -> (i64, i64, i64) {
    (row.id, row.key, row.element)
}

/// Whether an insert is one of dead letters.
fn is_of_letters(insert: &Insert) -> bool {
    insert.batch.column_by_name("reason").is_some()
}

/// Whether the filter is true of a row. What no question of the engine has is true of none.
fn is_true(filter: &Filter, batch: &RecordBatch, row: usize) -> bool {
    let value = |column: &str| Scalar::of(&**batch.column_by_name(column)?, row);
    let number = |column: &str| match value(column) {
        Some(Scalar::UInt64(number)) => Some(number),
        _ => None,
    };
    match filter {
        Filter::All(filters) => filters.iter().all(|filter| is_true(filter, batch, row)),
        Filter::Any(filters) => filters.iter().any(|filter| is_true(filter, batch, row)),
        Filter::In(column, values) => value(column).is_some_and(|value| values.contains(&value)),
        Filter::AtLeast(column, least) => number(column).is_some_and(|number| number >= *least),
        Filter::AtMost(column, most) => number(column).is_some_and(|number| number <= *most),
        Filter::After(..) | Filter::HasKey(..) | Filter::HasOddNumber(..) | Filter::HashIn { .. } => false,
    }
}

impl TableAdmin for SimulatedSink {
    fn select<'a>(&'a self, selection: &'a Selection) -> Boxed<'a, Option<Vec<RecordBatch>>> {
        Box::pin(self.call(Call::Query, "", async { self.select_rows(selection).map(Some) }))
    }

    fn select_live<'a>(&'a self, rows: &'a LiveRows) -> Boxed<'a, Vec<RecordBatch>> {
        Box::pin(self.call(Call::Query, "", async { self.live_rows(rows) }))
    }

    fn add_columns<'a>(
        &'a self,
        table: &'a str,
        fields: &'a [FieldRef],
        after: Option<&'a str>,
    ) -> Boxed<'a, String> {
        Box::pin(self.call(Call::AddColumns, table, self.memory.admin().add_columns(table, fields, after)))
    }

    fn modify_columns<'a>(&'a self, table: &'a str, fields: &'a [FieldRef]) -> Boxed<'a, String> {
        Box::pin(self.call(Call::ModifyColumns, table, self.memory.admin().modify_columns(table, fields)))
    }

    fn purge<'a>(&'a self, purge: &'a Purge) -> Boxed<'a, Purging> {
        let step = async { Ok(self.mutations.step(&self.world, &self.memory, purge)) };
        Box::pin(self.call(Call::Purge, &purge.table, step))
    }

    fn column_bytes<'a>(&'a self, table: &'a str, columns: &'a [String]) -> Boxed<'a, u64> {
        Box::pin(self.call(Call::Query, "", self.memory.admin().column_bytes(table, columns)))
    }
}

impl Sink for SimulatedSink {
    async fn preflight(&self, wanted: &PreflightRequest) -> Result<ServerInfo> {
        self.call(Call::Describe, "", self.memory.preflight(wanted)).await
    }

    async fn describe(&self, table: &str) -> Result<Option<TableInfo>> {
        self.call(Call::Describe, table, self.memory.describe(table)).await
    }

    async fn tables(&self, prefix: &str) -> Result<Vec<String>> {
        self.call(Call::Describe, "", self.memory.tables(prefix)).await
    }

    async fn create(&self, definition: &TableDefinition) -> Result<()> {
        if definition.name == TABLE {
            self.created.fetch_add(1, Ordering::Relaxed);
        }
        self.call(Call::Create, &definition.name, self.memory.create(definition)).await
    }

    async fn write(&self, insert: Insert) -> Result<Durable> {
        let call = if is_of_letters(&insert) { Call::InsertLetters } else { Call::Insert };
        let is_of_load = insert.table == TABLE && !insert.token.contains('/');
        let slow = |slow: u32| (slow < SLOW_MAX).then_some(slow + 1);
        if self.world.scenario.slow_loads
            && is_of_load
            && self.slow_loads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, slow).is_ok()
        {
            tokio::time::sleep(Duration::from_secs(self.world.between(0, 20).into())).await;
        }
        self.mutations.go_on(&self.world, &self.memory);
        let fate = self.world.fate_of_insert(call, |world| self.text(&insert, world)).await;
        match fate {
            Fate::FailBefore => return Err(failure(false)),
            Fate::Torn => {
                let none = insert.batch.slice(0, 0);
                self.memory.write(Insert { batch: none, ..insert }).await?;
                return Err(failure(true));
            }
            _ => self.look_at_versions(&insert),
        }
        let written = match self.world.scenario.has_partitions && insert.token.contains('/') {
            true if !is_of_letters(&insert) => self.write_parts(insert, fate).await,
            _ => self.memory.write(insert).await,
        };
        match fate {
            Fate::CrashAfter => self.world.die().await,
            Fate::FailAfter if written.is_ok() => return Err(failure(true)),
            _ => {}
        }
        written
    }

    async fn count(&self, table: &str) -> Result<u64> {
        self.call(Call::Count, table, self.memory.count(table)).await
    }

    async fn publish(&self, shadow: &str, table: &str) -> Result<Published> {
        let publish = async {
            let published = self.memory.publish(shadow, table).await;
            self.mutations.forget();
            self.inserts.lock().unwrap_or_else(PoisonError::into_inner).clear();
            published
        };
        self.call(Call::Publish, table, publish).await
    }

    async fn set_merging(&self, table: &str, merging: Merging) -> Result<()> {
        self.call(Call::Describe, table, self.memory.set_merging(table, merging)).await
    }

    async fn truncate(&self, table: &str) -> Result<()> {
        self.call(Call::Truncate, table, self.memory.truncate(table)).await
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        self.call(Call::Drop, table, self.memory.drop_table(table)).await
    }

    async fn read(&self, table: &str) -> Result<Vec<RecordBatch>> {
        self.call(Call::Query, table, self.memory.read(table)).await
    }

    fn admin(&self) -> &dyn TableAdmin {
        self
    }
}
