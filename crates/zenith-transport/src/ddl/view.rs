//! The view that shows the current rows of a table of versions.

use super::{identifier, literal};
use crate::sink::ObjectInfo;

/// A view with the newest row of each key, without those that stand for deletions and without the columns that say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentView {
    /// Its name.
    pub name: String,
    /// The table it shows.
    pub table: String,
    /// The column of the table with the version of a row.
    pub version: String,
    /// The column of the table that is 1 in rows that stand for a deletion.
    pub deleted: String,
    /// Further columns that are not shown.
    pub hidden: Vec<String>,
    /// Its comment.
    pub comment: String,
}

impl CurrentView {
    /// The statement that creates it: in the place of an older one, or where nothing is.
    #[must_use]
    pub fn to_sql(&self, replace: bool) -> String {
        let create = if replace { "CREATE OR REPLACE VIEW" } else { "CREATE VIEW IF NOT EXISTS" };
        let (version, deleted) = (identifier(&self.version), identifier(&self.deleted));
        let hidden: String = self.hidden.iter().map(|column| format!(", {}", identifier(column))).collect();
        format!(
            "{create} {} AS SELECT * EXCEPT ({version}, {deleted}{hidden}) FROM {} FINAL WHERE {deleted} = 0 COMMENT {}",
            identifier(&self.name),
            identifier(&self.table),
            literal(&self.comment),
        )
    }

    /// Whether an object is a view that shows the same, as the server spells it.
    #[must_use]
    pub fn is_query_of(&self, object: &ObjectInfo) -> bool {
        let before = format!("SELECT * EXCEPT ({}, {}) FROM ", self.version, self.deleted);
        let after = format!(" FINAL WHERE {} = 0", self.deleted);
        let from = object.query.strip_prefix(&before).and_then(|rest| rest.strip_suffix(&after));
        object.engine == "View"
            && from.is_some_and(|from| {
                // Either name is quoted only where it has to be.
                [object.database.clone(), identifier(&object.database)].iter().any(|database| {
                    let rest = from.strip_prefix(database.as_str()).and_then(|rest| rest.strip_prefix('.'));
                    rest.is_some_and(|rest| rest == self.table || rest == identifier(&self.table))
                })
            })
    }
}
