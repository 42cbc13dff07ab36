//! Rows of the table, and dead letters, as plain values.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};

use crate::history::{DRIFTED, DRIFTING, NEW_FIELD};
use crate::scenario::{ARRAY_FIELD, ARRAY_INDEX, KEY_FIELD};

/// One row. What its table has no column for is 0 or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: i64,
    /// `None` in rows that stand for no document.
    pub(crate) n: Option<i64>,
    pub(crate) version: u64,
    pub(crate) is_deleted: bool,
    /// Whether it only says that its document stands elsewhere.
    pub(crate) is_moved: bool,
    pub(crate) operation: String,
    pub(crate) index: u32,
    /// What the table may be sorted by.
    pub(crate) key: i64,
    /// The number of the element that the row is of, and the element.
    pub(crate) element: i64,
    pub(crate) item: Option<i64>,
    /// Fields that came up later, or have a value of another type than before, in columns or in the extra column.
    pub(crate) later: BTreeMap<String, i64>,
}

/// The rows of an insert, in order.
pub(crate) fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let integers =
        |name: &str| batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
    let (ids, numbers, keys) = (integers("_id"), integers("n"), integers(KEY_FIELD.as_str()));
    let (elements, items) = (integers(ARRAY_INDEX), integers(ARRAY_FIELD.as_str()));
    let versions = batch.column_by_name("_zenith_version").map(|column| column.as_primitive::<UInt64Type>());
    let deleted = batch.column_by_name("_zenith_deleted").map(|column| column.as_primitive::<UInt8Type>());
    let moved = batch.column_by_name("_zenith_moved").map(|column| column.as_primitive::<UInt8Type>());
    let indexes = batch.column_by_name("_zenith_index").map(|column| column.as_primitive::<UInt32Type>());
    let operations = batch.column_by_name("_zenith_operation").map(|column| column.as_string::<i32>());
    let row = |row: usize| Row {
        id: ids.map_or(i64::MIN, |ids| ids.value(row)),
        n: numbers.filter(|numbers| numbers.is_valid(row)).map(|numbers| numbers.value(row)),
        version: versions.map_or(0, |versions| versions.value(row)),
        is_deleted: deleted.is_some_and(|deleted| deleted.value(row) == 1),
        is_moved: moved.is_some_and(|moved| moved.value(row) == 1),
        operation: operations.map_or_else(String::new, |operations| operations.value(row).to_owned()),
        index: indexes.map_or(0, |indexes| indexes.value(row)),
        key: keys.map_or(0, |keys| keys.value(row)),
        element: elements.map_or(0, |elements| elements.value(row)),
        item: items.filter(|items| items.is_valid(row)).map(|items| items.value(row)),
        later: later(batch, row),
    };
    (0..batch.num_rows()).map(row).collect()
}

fn later(batch: &RecordBatch, row: usize) -> BTreeMap<String, i64> {
    let mut found = BTreeMap::new();
    let inner = batch.column_by_name("d").and_then(|column| column.as_struct_opt());
    let inner = inner.into_iter().flat_map(|inner| inner.fields().iter().zip(inner.columns()));
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()).chain(inner) {
        // A part of a flat document has the name of that in front of its own.
        let name = field.name().strip_prefix("d_").unwrap_or(field.name());
        if name.starts_with(NEW_FIELD)
            && let Some(numbers) =
                column.as_primitive_opt::<Int64Type>().filter(|numbers| numbers.is_valid(row))
        {
            found.insert(name.to_owned(), numbers.value(row));
        }
    }
    let extra = batch.column_by_name("_zenith_extra").and_then(|column| column.as_string_opt::<i32>());
    let text = extra.map_or("", |extra| extra.value(row));
    // The column itself, or the one beside it for values of other types.
    let names = [DRIFTING.as_str().to_owned(), format!("{}_text", DRIFTING.as_str())];
    let shown = names.iter().filter_map(|name| {
        let texts = batch.column_by_name(name)?.as_string_opt::<i32>()?;
        texts.is_valid(row).then(|| texts.value(row))
    });
    // `{"w":"later_w:7"}`
    if let Some((_, number)) = shown.chain([text]).find_map(|text| text.split_once(DRIFTED)) {
        found.insert(DRIFTED.trim_end_matches(':').to_owned(), digits(number).unwrap_or(i64::MIN));
        return found;
    }
    // `{"later_3":{"$numberLong":"7"}}`, `{"d":{"later_4":{"$numberLong":"7"}}}`
    if let Some(at) = text.find(NEW_FIELD) {
        let (name, value) = text[at..].split_once('"').unwrap_or_default();
        found.insert(name.to_owned(), digits(value).unwrap_or(i64::MIN));
    }
    found
}

fn digits(text: &str) -> Option<i64> {
    text.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// Of the rows of each key the newest one, and of equally new ones the last. Documents of a table with a key of its own may
/// have several keys, and those with an array several elements.
pub(crate) fn newest(rows: Vec<Row>, has_key: bool) -> Vec<Row> {
    let mut newest: BTreeMap<(i64, i64, i64), Row> = BTreeMap::new();
    for row in rows {
        let key = (row.id, if has_key { row.key } else { 0 }, row.element);
        if newest.get(&key).is_none_or(|before| before.version <= row.version) {
            newest.insert(key, row);
        }
    }
    newest.into_values().collect()
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    /// The insert or load it is of.
    pub(crate) run: String,
    pub(crate) id: i64,
    /// 0 in those of a load.
    pub(crate) version: u64,
    pub(crate) index: u32,
}

impl DeadLetter {
    /// Whether it is of an insert of changes, and not of a load.
    pub(crate) fn is_of_changes(&self) -> bool {
        self.run.contains('/')
    }
}

/// The dead letters of an insert, in order.
pub(crate) fn dead_letters_of(batch: &RecordBatch) -> Vec<DeadLetter> {
    let texts = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    let (runs, ids) = (texts("run"), texts("id"));
    let versions = batch.column_by_name("version").map(|column| column.as_primitive::<UInt64Type>());
    let indexes = batch.column_by_name("index").map(|column| column.as_primitive::<UInt32Type>());
    // `{"$numberLong":"7"}`
    let letter = |row: usize| DeadLetter {
        run: runs.map_or_else(String::new, |runs| runs.value(row).to_owned()),
        id: ids.and_then(|ids| digits(ids.value(row))).unwrap_or(i64::MIN),
        version: versions.map_or(0, |versions| versions.value(row)),
        index: indexes.map_or(0, |indexes| indexes.value(row)),
    };
    (0..batch.num_rows()).map(letter).collect()
}
