//! The administration of tables: what goes beyond loading and publishing them.
//!
//! A copy needs nothing of it. Everything else that does fails with one sentence where the sink does not have it:
//! [`TransportError::Unsupported`].

use std::collections::BTreeMap;
use std::pin::Pin;

use arrow_array::RecordBatch;
use arrow_schema::FieldRef;

use super::{
    FoundOwner, LetterFilter, LetterQuery, LetterSubject, LiveRows, NewestLetter, OwnerMark, Purge, Purging,
    Selection, StoredLetter, TableInfo,
};
use crate::ddl::{Additions, TableDefinition, View};
use crate::{Result, TransportError};

/// A boxed future of a sink.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Reads and changes the tables of a sink. [`Sink::admin`](super::Sink::admin) returns it.
///
/// | method | who needs it |
/// | --- | --- |
/// | `try_table` | tables of the user's own design |
/// | `add_columns` | tables whose documents have new fields; those of earlier versions, also of dead letters |
/// | `modify_columns`, `column_bytes` | documents that gain parts, columns that get wider types |
/// | `clone_table`, and `select`, `count_rows` and `delete` | values of the extra column that move into columns |
/// | `select`, `count_rows`, `count_by_hash` | verification; `select` also after a refused insert, `count_rows` before numbers become wider ones |
/// | `select_live` | tables kept in step whose sorting key has more than `_id` |
/// | `delete` | rows of documents whose newer rows the table refuses |
/// | `purge` | rows of documents that have been gone for long |
/// | `create_view` | the view of documents as they are, or were |
/// | `insert_path`, `parts` | inserts that are refused; the pace of inserts |
/// | `owners`, `mark_owners` | noticing that two write one table |
/// | `set_ttl`, `set_settings` | replacing a table that has them |
/// | `dead_letters` and the like | listing, retrying and removing dead letters; verification |
///
/// Every method may be left out: its default answers that the sink cannot do it.
pub trait TableAdmin: Send + Sync {
    /// Adds the columns that a table lacks behind one of its columns, or behind all of them, and gives back the statement that
    /// did; empty where no statement is needed.
    fn add_columns<'a>(
        &'a self,
        _table: &'a str,
        _fields: &'a [FieldRef],
        _after: Option<&'a str>,
    ) -> Boxed<'a, String> {
        cannot("add columns to a table")
    }

    /// Gives columns the types of these fields, and gives back the statement; empty where no statement is needed. Returns once
    /// rows can be written and read with them; the sink may go on writing earlier rows again.
    ///
    /// The fields differ from the columns by parts that documents and arrays of documents have gained, which no row shows yet, or
    /// by types that hold more: rows show the same values with them.
    fn modify_columns<'a>(&'a self, _table: &'a str, _fields: &'a [FieldRef]) -> Boxed<'a, String> {
        cannot("change columns of a table")
    }

    /// The bytes that columns of a table take where they are kept, as far as the sink knows.
    fn column_bytes<'a>(&'a self, _table: &'a str, _columns: &'a [String]) -> Boxed<'a, u64> {
        cannot("say how large columns are")
    }

    /// Makes a table like another one, with its rows, that [`Sink::publish`](super::Sink::publish) may put in its place. No
    /// row is copied where the sink can share them.
    fn clone_table<'a>(&'a self, _table: &'a str, _shadow: &'a str) -> Boxed<'a, ()> {
        cannot("make a table of the rows of another one")
    }

    /// Creates a table, puts a row into it of which only the column `filled` has a value, the default of its type, describes the table and
    /// removes it: whether it can be made, and how the sink spells it.
    fn try_table<'a>(&'a self, _definition: &'a TableDefinition, _filled: &'a str) -> Boxed<'a, TableInfo> {
        cannot("try a table")
    }

    /// Reads rows; `None` where a table of that name is missing.
    ///
    /// Text may come as Binary: a sink need not know that its values are UTF-8.
    fn select<'a>(&'a self, _selection: &'a Selection) -> Boxed<'a, Option<Vec<RecordBatch>>> {
        cannot("look rows up")
    }

    /// Reads where rows of documents stand that count; none where a table of that name is missing.
    ///
    /// As in `select`, text may come as Binary.
    fn select_live<'a>(&'a self, _rows: &'a LiveRows) -> Boxed<'a, Vec<RecordBatch>> {
        cannot("say where rows of documents stand")
    }

    /// The number of rows that are selected.
    fn count_rows<'a>(&'a self, _selection: &'a Selection) -> Boxed<'a, u64> {
        cannot("count rows by a condition")
    }

    /// The selected rows, counted by the remainder that the hash of a column leaves, as
    /// [`HashColumn`](super::HashColumn) has it.
    fn count_by_hash<'a>(
        &'a self,
        _selection: &'a Selection,
        _column: &'a str,
        _modulus: u32,
    ) -> Boxed<'a, Vec<(u32, u64)>> {
        cannot("count rows by their keys")
    }

    /// Removes the selected rows and returns once no query sees them.
    fn delete<'a>(&'a self, _selection: &'a Selection) -> Boxed<'a, ()> {
        cannot("remove rows")
    }

    /// Takes the next step towards a table without these rows, and does not wait for it.
    fn purge<'a>(&'a self, _purge: &'a Purge) -> Boxed<'a, Purging> {
        cannot("remove rows of documents that have been gone for long")
    }

    /// Creates a view; `replace` an older one of its name, or leaves what has it.
    fn create_view<'a>(&'a self, _view: &'a View, _replace: bool) -> Boxed<'a, ()> {
        cannot("create a view")
    }

    /// Where rows go that are inserted into a table.
    fn insert_path<'a>(&'a self, _table: &'a str) -> Boxed<'a, InsertPath> {
        cannot("say where inserted rows go")
    }

    /// Parts of a table that merges have not joined yet.
    fn parts<'a>(&'a self, _table: &'a str) -> Boxed<'a, u64> {
        cannot("count the parts of a table")
    }

    /// Takes every expiry of rows and values away, or (`present`) puts those of `additions` back.
    fn set_ttl<'a>(&'a self, _table: &'a str, _additions: &'a Additions, _present: bool) -> Boxed<'a, ()> {
        cannot("change when rows of a table expire")
    }

    /// Changes settings of a table.
    fn set_settings<'a>(&'a self, _table: &'a str, _settings: &'a BTreeMap<String, String>) -> Boxed<'a, ()> {
        cannot("change the settings of a table")
    }

    /// The owners that have marked these tables in the table `marks`; none if there is no such table.
    fn owners<'a>(&'a self, _marks: &'a str, _tables: &'a [String]) -> Boxed<'a, Vec<FoundOwner>> {
        cannot("tell who writes a table")
    }

    /// Writes such marks, each in place of its owner's earlier one of the table, and renewed now. Creates `marks`
    /// when absent.
    fn mark_owners<'a>(&'a self, _marks: &'a str, _owners: &'a [OwnerMark]) -> Boxed<'a, ()> {
        cannot("mark a table as written")
    }

    /// Reads dead letters; none if there is no such table.
    fn dead_letters<'a>(&'a self, _table: &'a str, _query: &'a LetterQuery) -> Boxed<'a, Vec<StoredLetter>> {
        cannot("look dead letters up")
    }

    /// How many dead letters there are; 0 if there is no such table.
    fn count_dead_letters<'a>(&'a self, _table: &'a str, _filter: &'a LetterFilter) -> Boxed<'a, u64> {
        cannot("count dead letters")
    }

    /// How many dead letters there are of each reason, as it is written in them.
    fn dead_letter_reasons<'a>(
        &'a self,
        _table: &'a str,
        _filter: &'a LetterFilter,
    ) -> Boxed<'a, Vec<(String, u64)>> {
        cannot("count dead letters by their reasons")
    }

    /// The newest dead letter of each of these documents that has one, without documents of more than `bytes_max`.
    fn newest_dead_letters<'a>(
        &'a self,
        _table: &'a str,
        _filter: &'a LetterFilter,
        _subjects: &'a [LetterSubject],
        _bytes_max: usize,
    ) -> Boxed<'a, Vec<NewestLetter>> {
        cannot("look dead letters up")
    }

    /// Removes dead letters for good.
    fn remove_dead_letters<'a>(&'a self, _table: &'a str, _filter: &'a LetterFilter) -> Boxed<'a, ()> {
        cannot("remove dead letters")
    }
}

/// Where rows go that are inserted into a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InsertPath {
    /// The views that are given every inserted row, separated by commas; empty if there are none.
    pub views: String,
    /// The expression by which rows are divided into parts that are written one after the other; empty if they are not.
    pub partition_key: String,
}

/// The administration of a sink that has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAdmin;

impl TableAdmin for NoAdmin {}

fn cannot<'a, T: Send + 'a>(what: &'static str) -> Boxed<'a, T> {
    Box::pin(std::future::ready(Err(TransportError::Unsupported { what })))
}
