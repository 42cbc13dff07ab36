//! A sink that keeps record batches in memory, for tests and examples.
//!
//! It keeps the promises of [`Sink`], tokens and publication included, and fails on purpose on request:
//! [`MemorySink::fail_next`]. It holds clones of the batches it is given, so their buffers do not return to
//! a pool while it lives; [`MemorySink::batches`] returns them.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::{FieldRef, Schema};

use super::{
    Boxed, ColumnInfo, Durable, Insert, Merging, PreflightRequest, Published, ServerInfo, Sink, TableAdmin,
    TableInfo,
};
use crate::ddl::{Dialect, Engine, column_type};
use crate::{Result, TableDefinition, TransportError};

/// How the next write is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written, and it looks as if trying again may help.
    Before,
    /// The batch is written, but its acknowledgement is lost.
    After,
    /// The rows are refused.
    Refuse,
}

/// Tables of record batches.
#[derive(Clone, Debug, Default)]
pub struct MemorySink {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    tables: BTreeMap<String, Table>,
    faults: VecDeque<Fault>,
}

#[derive(Debug)]
struct Table {
    definition: TableDefinition,
    merging: Merging,
    batches: Vec<RecordBatch>,
    tokens: HashSet<String>,
}

impl MemorySink {
    /// A sink without tables.
    #[must_use]
    pub fn new() -> MemorySink {
        MemorySink::default()
    }

    /// The batches of a table, in the order they came; none if there is no such table.
    #[must_use]
    pub fn batches(&self, table: &str) -> Vec<RecordBatch> {
        self.state().tables.get(table).map(|table| table.batches.clone()).unwrap_or_default()
    }

    /// Puts others in the place of a batch, as a mutation does that writes a part of a table again.
    pub fn rewrite(&self, table: &str, batch: usize, others: Vec<RecordBatch>) {
        if let Some(table) = self.state().tables.get_mut(table)
            && batch < table.batches.len()
        {
            table.batches.splice(batch..=batch, others);
        }
    }

    /// How a table was defined.
    #[must_use]
    pub fn definition(&self, table: &str) -> Option<TableDefinition> {
        self.state().tables.get(table).map(|table| table.definition.clone())
    }

    /// Whether merges of a table are held back.
    #[must_use]
    pub fn merging(&self, table: &str) -> Option<Merging> {
        self.state().tables.get(table).map(|table| table.merging)
    }

    /// Makes the writes to come fail, one for each fault, in order.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn table(&mut self, name: &str) -> Result<&mut Table> {
        self.tables.get_mut(name).ok_or_else(|| TransportError::NoTable { table: name.to_owned() })
    }

    fn write(&mut self, insert: Insert) -> Result<Durable> {
        let fault = self.faults.pop_front();
        let failed = |reason: &str, transient| TransportError::Injected { reason: reason.into(), transient };
        match fault {
            Some(Fault::Before) => return Err(failed("nothing was written", true)),
            Some(Fault::Refuse) => return Err(failed("the rows were refused", false)),
            Some(Fault::After) | None => {}
        }
        let table = self.table(&insert.table)?;
        for field in insert.batch.schema_ref().fields() {
            if table.definition.schema.column_with_name(field.name()).is_none() {
                return Err(TransportError::Column {
                    column: format!("{}.{}", insert.table, field.name()),
                    reason: "the table has no such column".into(),
                });
            }
        }
        let rows = u64::try_from(insert.batch.num_rows()).unwrap_or(u64::MAX);
        let bytes = u64::try_from(insert.batch.get_array_memory_size()).unwrap_or(u64::MAX);
        if table.tokens.insert(insert.token) {
            table.batches.push(insert.batch);
        }
        if fault == Some(Fault::After) {
            return Err(failed("the acknowledgement was lost", true));
        }
        Ok(Durable { rows, bytes, ..Durable::default() })
    }

    fn publish(&mut self, shadow: &str, table: &str) -> Result<Published> {
        match self.tables.get(shadow) {
            Some(found) if !found.definition.loading => {
                return Err(TransportError::Publish {
                    shadow: shadow.to_owned(),
                    table: table.to_owned(),
                    reason: "it was not created as a shadow table".into(),
                });
            }
            None if self.tables.contains_key(table) => return Ok(Published::Already),
            _ => {}
        }
        let mut new =
            self.tables.remove(shadow).ok_or_else(|| TransportError::NoTable { table: shadow.to_owned() })?;
        new.definition.loading = false;
        new.definition.name = table.to_owned();
        new.merging = Merging::Running;
        match self.tables.insert(table.to_owned(), new) {
            Some(_) => Ok(Published::Replaced),
            None => Ok(Published::Renamed),
        }
    }
}

impl Table {
    fn info(&self) -> Result<TableInfo> {
        let column = |field: &FieldRef| {
            Ok(ColumnInfo {
                name: field.name().clone(),
                data_type: column_type(field, Dialect::default())?,
                default_kind: String::new(),
            })
        };
        Ok(TableInfo {
            columns: self.definition.schema.fields().iter().map(column).collect::<Result<_>>()?,
            engine: match self.definition.engine {
                Engine::MergeTree => "MergeTree".into(),
                Engine::ReplacingMergeTree { .. } => "ReplacingMergeTree".into(),
            },
            sorting_key: match &self.definition.additions.order_by {
                Some(key) => key.clone(),
                None => self.definition.order_by.join(", "),
            },
            comment: self.definition.full_comment(),
            rows: self.rows(),
            additions: Some(self.definition.additions.clone()),
            hidden_by: match &self.definition.engine {
                Engine::MergeTree => None,
                Engine::ReplacingMergeTree { deleted, .. } => deleted.clone(),
            },
        })
    }

    fn rows(&self) -> u64 {
        self.batches.iter().map(|batch| u64::try_from(batch.num_rows()).unwrap_or(u64::MAX)).sum()
    }
}

impl Sink for MemorySink {
    async fn preflight(&self, _: &PreflightRequest) -> Result<ServerInfo> {
        Ok(ServerInfo {
            version: env!("CARGO_PKG_VERSION").into(),
            version_number: (0, 0),
            user: String::new(),
            date_range_ms: (i64::MIN, i64::MAX),
            database: "memory".into(),
            database_created: false,
            database_exists: true,
            exchanges_atomically: true,
        })
    }

    async fn describe(&self, table: &str) -> Result<Option<TableInfo>> {
        self.state().tables.get(table).map(Table::info).transpose()
    }

    async fn tables(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.state().tables.keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    async fn create(&self, definition: &TableDefinition) -> Result<()> {
        // The statement is made to refuse what ClickHouse would refuse.
        definition.to_sql("memory", Dialect::default())?;
        let mut state = self.state();
        if state.tables.contains_key(&definition.name) {
            return match definition.if_not_exists {
                true => Ok(()),
                false => Err(TransportError::Column {
                    column: definition.name.clone(),
                    reason: "there is a table of this name".into(),
                }),
            };
        }
        let table = Table {
            definition: definition.clone(),
            merging: if definition.loading { Merging::Held } else { Merging::Running },
            batches: Vec::new(),
            tokens: HashSet::new(),
        };
        state.tables.insert(definition.name.clone(), table);
        Ok(())
    }

    async fn write(&self, insert: Insert) -> Result<Durable> {
        self.state().write(insert)
    }

    async fn count(&self, table: &str) -> Result<u64> {
        self.state().table(table).map(|table| table.rows())
    }

    async fn publish(&self, shadow: &str, table: &str) -> Result<Published> {
        self.state().publish(shadow, table)
    }

    async fn set_merging(&self, table: &str, merging: Merging) -> Result<()> {
        self.state().table(table)?.merging = merging;
        Ok(())
    }

    async fn truncate(&self, table: &str) -> Result<()> {
        self.state().table(table)?.batches.clear();
        Ok(())
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        self.state().tables.remove(table);
        Ok(())
    }

    async fn read(&self, table: &str) -> Result<Vec<RecordBatch>> {
        self.state().table(table).map(|table| table.batches.clone())
    }

    fn admin(&self) -> &dyn TableAdmin {
        self
    }
}

/// Its tables can get columns and be cloned. It has no query language.
impl TableAdmin for MemorySink {
    fn add_columns<'a>(
        &'a self,
        table: &'a str,
        fields: &'a [FieldRef],
        after: Option<&'a str>,
    ) -> Boxed<'a, String> {
        let added = self.state().table(table).map(|table| {
            let schema = &mut table.definition.schema;
            let new = fields.iter().filter(|field| schema.column_with_name(field.name()).is_none());
            let mut all: Vec<FieldRef> = schema.fields().to_vec();
            let place = all.iter().position(|field| Some(field.name().as_str()) == after);
            let place = place.map_or(all.len(), |place| place + 1);
            all.splice(place..place, new.cloned().collect::<Vec<_>>());
            *schema = Arc::new(Schema::new(all));
            String::new()
        });
        Box::pin(std::future::ready(added))
    }

    fn modify_columns<'a>(&'a self, table: &'a str, fields: &'a [FieldRef]) -> Boxed<'a, String> {
        let modified = self.state().table(table).map(|table| {
            let schema = &mut table.definition.schema;
            let changed = |there: &FieldRef| {
                fields.iter().find(|field| field.name() == there.name()).unwrap_or(there).clone()
            };
            *schema = Arc::new(Schema::new(schema.fields().iter().map(changed).collect::<Vec<_>>()));
            String::new()
        });
        Box::pin(std::future::ready(modified))
    }

    fn column_bytes<'a>(&'a self, table: &'a str, columns: &'a [String]) -> Boxed<'a, u64> {
        let bytes = self.state().table(table).map(|table| {
            let of_batch = |batch: &RecordBatch| -> usize {
                let arrays = columns.iter().filter_map(|name| batch.column_by_name(name));
                arrays.map(|array| array.get_array_memory_size()).sum()
            };
            u64::try_from(table.batches.iter().map(of_batch).sum::<usize>()).unwrap_or(u64::MAX)
        });
        Box::pin(std::future::ready(bytes))
    }

    fn clone_table<'a>(&'a self, table: &'a str, shadow: &'a str) -> Boxed<'a, ()> {
        let mut state = self.state();
        let cloned = state.table(table).map(|table| Table {
            definition: TableDefinition {
                name: shadow.to_owned(),
                loading: true,
                ..table.definition.clone()
            },
            merging: Merging::Running,
            batches: table.batches.clone(),
            tokens: HashSet::new(),
        });
        let cloned = cloned.map(|table| drop(state.tables.insert(shadow.to_owned(), table)));
        Box::pin(std::future::ready(cloned))
    }
}
