//! Inserts whose columns are converted on their way into the table.
//!
//! **JSON.** Turning text into `JSON` while it reads Arrow, ClickHouse (26.7) heeds none of the settings of the query:
//! strings that look like dates become dates and come back spelled differently (`2024-02-31` as
//! `2024-03-02`), `true` beside numbers becomes 1, and `{"a.b": 1}` becomes `{"a": {"b": 1}}`. A `CAST` in
//! the query does heed them. So such a batch is read as text and cast on its way into the table:
//!
//! ```sql
//! INSERT INTO t (_id, doc) SELECT _id, CAST(doc, 'JSON') FROM input('_id String, doc String') FORMAT …
//! ```
//!
//! What does not come back all the same: nulls and empty objects as values in an object (dropped), integers
//! beyond 2^53 in an array at a path where an array with a double has been (rounded), `%2E` in a key (a
//! dot). Refused, with the whole batch: `null` beside an array in an array, repeated keys, integers beyond
//! 64 bits, texts that are no object. The maker of the texts must keep these out.
//!
//! **Types that columns are given.** The values fit them by then, so that a `CAST` in the query changes none.
//!
//! **Types other than the table's.** Reading Arrow, ClickHouse converts columns. What it does with blocks of
//! the native protocol depends on its version, so there an insert of other types than the table's takes the
//! same way: the query converts them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_schema::{DataType, Field, Schema};

use super::{ClickHouseSink, catalog};
use crate::Result;
use crate::ddl::{
    Dialect, EXTENSION_NAME, column_type, identifier, is_given, literal, same_values, wire_type,
};
use crate::target::Protocol;

/// Settings under which text and JSON mean the same, and NULL stays NULL.
pub(super) const SETTINGS: [(&str, &str); 10] = [
    ("insert_null_as_default", "0"),
    ("input_format_json_infer_array_of_dynamic_from_array_of_different_types", "1"),
    ("input_format_json_read_arrays_as_strings", "0"),
    ("input_format_json_read_bools_as_numbers", "0"),
    ("input_format_json_read_bools_as_strings", "0"),
    ("input_format_json_read_numbers_as_strings", "0"),
    ("input_format_json_try_infer_numbers_from_strings", "0"),
    ("input_format_try_infer_dates", "0"),
    ("input_format_try_infer_datetimes", "0"),
    ("json_type_escape_dots_in_keys", "1"),
];

/// The types of tables' columns, by the names of both.
type Types = HashMap<String, Arc<HashMap<String, String>>>;

/// The types of the tables that are inserted into, asked for once.
#[derive(Debug, Default)]
pub(super) struct ColumnTypes(Mutex<Types>);

impl ColumnTypes {
    /// Forgets a table that may have changed.
    pub(super) fn forget(&self, table: &str) {
        self.tables().remove(table);
    }

    /// Those of a table that is to take columns of this schema. It may have got some since it was asked for them.
    async fn of(
        &self,
        sink: &ClickHouseSink,
        table: &str,
        schema: &Schema,
    ) -> Result<Arc<HashMap<String, String>>> {
        let known = self.tables().get(table).cloned();
        let has_all = |types: &Arc<HashMap<String, String>>| {
            schema.fields().iter().all(|field| types.contains_key(field.name()))
        };
        if let Some(types) = known.filter(has_all) {
            return Ok(types);
        }
        let columns = catalog::columns(sink, table).await?;
        let types: HashMap<_, _> =
            columns.into_iter().map(|column| (column.name, column.data_type)).collect();
        let types = Arc::new(types);
        // A table that is not there may be created by anybody.
        if !types.is_empty() {
            self.tables().insert(table.to_owned(), Arc::clone(&types));
        }
        Ok(types)
    }

    fn tables(&self) -> MutexGuard<'_, Types> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The statement for a batch that needs converting; `None` if it can be inserted as it is.
pub(super) async fn statement(sink: &ClickHouseSink, table: &str, schema: &Schema) -> Result<Option<String>> {
    let native = sink.session.target().protocol == Protocol::Native;
    if !native && !schema.fields().iter().any(|field| holds_json(field) || is_given(field)) {
        return Ok(None);
    }
    let types = sink.column_types.of(sink, table, schema).await?;
    let mut converts = false;
    let (mut names, mut values, mut structure) = (Vec::new(), Vec::new(), Vec::new());
    for field in schema.fields() {
        let name = identifier(field.name());
        let sent = if native || is_given(field) {
            wire_type(field)?
        } else {
            column_type(field, Dialect { json: false })?
        };
        structure.push(format!("{name} {sent}"));
        match types.get(field.name()) {
            Some(data_type) if data_type.contains("JSON") && holds_json(field) => {
                converts = true;
                values.push(format!("CAST({name}, {})", literal(data_type)));
            }
            Some(data_type) if is_given(field) => {
                converts = true;
                values.push(format!("CAST({name}, {})", literal(data_type)));
            }
            Some(data_type) => {
                converts |= native && !same_values(data_type, &sent);
                values.push(name.clone());
            }
            // The server says best what is missing.
            None => values.push(name.clone()),
        }
        names.push(name);
    }
    let statement = || {
        format!(
            "INSERT INTO {} ({}) SELECT {} FROM input({}) FORMAT {}",
            sink.full_name(table),
            names.join(", "),
            values.join(", "),
            literal(&structure.join(", ")),
            sink.session.format(),
        )
    };
    Ok(converts.then(statement))
}

fn holds_json(field: &Field) -> bool {
    match field.data_type() {
        DataType::Struct(fields) => fields.iter().any(|field| holds_json(field)),
        DataType::List(element) | DataType::LargeList(element) => holds_json(element),
        _ => field.metadata().get(EXTENSION_NAME).is_some_and(|name| name == "arrow.json"),
    }
}
