//! Marks by which those who write one table see each other.

use std::time::Duration;

/// A mark of a writer of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerMark {
    /// The table.
    pub table: String,
    /// The writer: the same after each restart. An owner has one mark for each table.
    pub owner: String,
    /// The current life of it.
    pub life: String,
    /// The pipeline, for people.
    pub pipeline: String,
    /// The machine it runs on, for people.
    pub host: String,
    /// The process there, for people.
    pub process: u32,
    /// When it took the table, in microseconds of the sink's clock; `None` means now.
    pub taken: Option<i64>,
    /// Whether it has given the table back.
    pub is_released: bool,
}

/// A mark as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundOwner {
    /// The mark; when it was taken is known.
    pub mark: OwnerMark,
    /// For how long it has not been renewed, by the sink's clock, as far as it could have been: not while the sink was
    /// down.
    pub silent_for: Duration,
}
