//! What leaves a table in the end of documents that are gone.

/// The rows of a table of versions that are to leave it: those of keys whose newest row stands for a deletion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purge {
    /// The table.
    pub table: String,
    /// The columns that say which rows replace each other.
    pub key: Vec<String>,
    /// The column with the version of a row.
    pub version: String,
    /// The column that is 1 in rows that stand for a deletion.
    pub deleted: String,
    /// Deletions up to this version count, and no row up to it is still to come.
    pub up_to: u64,
}

/// How far a table is with that. A deletion leaves it only when no part of it has a row that it hides: that one would come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purging {
    /// A mutation of the table is under way, also one of somebody else.
    UnderWay,
    /// A mutation of the table, also one of somebody else, fails again and again: no other one is done before it is mended or
    /// killed.
    Failing {
        /// What it is called by.
        mutation: String,
        /// What it does, and what it last failed with.
        reason: String,
    },
    /// Rows that deletions hide are being removed, so many.
    Hidden(u64),
    /// Deletions that hide nothing are being removed, so many.
    Deletions(u64),
    /// There is nothing to be done.
    Done,
}
