//! What a pipeline does, and what it does about events that its user has to decide: deletions, new fields, values that do
//! not fit, collections that are dropped, changes that are lost.

use serde::{Deserialize, Serialize};

/// What a pipeline does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The whole collection, once for each `zenith run`.
    Full,
    /// The table holds each document as it is now: a snapshot and the change stream, which needs a replica set.
    #[default]
    Changes,
    /// One row for each change, of the change stream.
    ChangeLog,
    /// New documents by ascending `_id`, for collections that only grow and servers without change streams.
    IdCursor,
}

impl Mode {
    /// The name of the mode in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mode::Full => "full",
            Mode::Changes => "changes",
            Mode::ChangeLog => "change-log",
            Mode::IdCursor => "id-cursor",
        }
    }

    /// Whether it follows the change stream.
    #[must_use]
    pub fn follows_changes(self) -> bool {
        matches!(self, Mode::Changes | Mode::ChangeLog)
    }
}

/// What happens when the collection is dropped, renamed, or its database dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum OnDrop {
    /// The pipeline stops with an error; the table stays as it is.
    #[default]
    Stop,
    /// The table is emptied, and the pipeline continues.
    Truncate,
    /// The table keeps its rows, and the pipeline continues.
    Ignore,
    /// The table keeps its rows until a collection of that name is there, which is then loaded in their place in one step;
    /// a change log keeps its rows and continues.
    Reload,
}

/// What happens to the table when a document is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Deletes {
    /// Its row is marked as deleted and shown no more; a change log has a row that says so.
    #[default]
    Tombstone,
    /// Nothing: the table is an archive, and keeps the row as it was last. It cannot be loaded again.
    Ignore,
    /// Its row stays with its values and `_zenith_deleted = 1`; the view shows it no more. The table cannot be loaded again. In the
    /// mode `changes`.
    Mark,
}

/// What changes do to documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// They make new ones.
    Insert,
    /// They update or replace them.
    Update,
    /// They delete them.
    Delete,
}

/// What happens to a field that the table has no column for, after its columns have been chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum OnNewField {
    /// The table gets a column for it, which has its values from then on.
    #[default]
    Add,
    /// Its values go to the column `_zenith_extra`.
    Extra,
    /// It is left out, and so is a key of a document that no part of its column is for.
    Ignore,
    /// The pipeline stops with an error.
    Fail,
}

/// What happens to a value that the column of its field does not hold, after its columns have been chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum OnTypeConflict {
    /// It goes to the column `_zenith_extra`.
    #[default]
    Extra,
    /// The column gets a type that holds it, where ClickHouse can change the type and keep every value as it is shown.
    Widen,
    /// The pipeline stops with an error.
    Fail,
}

/// What happens when the server no longer has the changes since the checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum OnHistoryLost {
    /// The pipeline stops with an error.
    #[default]
    Stop,
    /// The collection is reloaded, and the pipeline continues from there.
    Reload,
}
