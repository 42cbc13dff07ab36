//! How one pipeline is kept in step: what people write in `zenith.toml` and what the state keeps.
//!
//! Names, defaults and meanings stand here and in `table_options.rs` alone; what `zenith.toml` and its documentation say of
//! them is made from that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policies::{Deletes, Mode, OnDrop, OnHistoryLost, OnTypeConflict, Operation};
use crate::table_shape::{Refusal, TableShape};
use crate::{ReloadOptions, Strategy, TableOptions};

/// The settings of one pipeline. A missing setting has its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[serde(default, deny_unknown_fields)]
pub struct PipelineSettings {
    /// The collection, as `collection` or `database.collection`.
    ///
    /// One with a dot in its name needs the database.
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME", default_value_t))]
    pub collection: String,
    /// Patterns of collections, such as `["orders*", "!tmp_*"]`, each of which is kept in step by a pipeline of its own; by
    /// default only `collection`.
    ///
    /// The pipelines are called `NAME.COLLECTION`, and come while `zenith run` is running. `table` and `view` are then
    /// templates, with `{collection}` and `{db}` in them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "PATTERN"))]
    pub collections: Vec<String>,
    /// The pipeline of several collections that this one was made for; nobody sets it.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "clap", arg(skip))]
    pub member_of: String,
    /// The table; by default the collection's name.
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME", default_value_t))]
    pub table: String,
    /// The view over the table; by default its name and `_current`, or `_at`.
    ///
    /// In the mode `changes` it shows the documents as they are now; over a change log with a `snapshot`, as they were at a
    /// time.
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME", default_value_t))]
    pub view: String,
    /// The view in the target database that shows how this and other pipelines stand; empty for none.
    ///
    /// It has one row for each pipeline: up to which time the table is complete, how far it lags, what it waits for. It is
    /// written while `zenith run` is running and when that ends; with `--once` only then, and only if it is there.
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME", default_value = "zenith_status"))]
    pub status_table: String,
    /// What the pipeline does.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    pub mode: Mode,
    /// When the mode `full` reads the collection again, as cron writes it: `0 3 * * *`; by default only with a run.
    ///
    /// The fields are minute, hour, day, month and weekday, in `time_zone`. What was missed while no run was under way is made up
    /// for once, by the next one.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "CRON", default_value_t))]
    pub schedule: String,
    /// The time zone of `schedule`, by its name; by default UTC.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "ZONE", default_value_t))]
    pub time_zone: String,
    /// The time between two starts of the mode `full`, instead of a `schedule`; by default only with a run.
    #[serde(with = "humantime_serde::option", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "TIME", value_parser = humantime_serde::re::humantime::parse_duration))]
    pub every: Option<Duration>,
    /// Begin the log with a row for each document that is there, in the mode `change-log`.
    ///
    /// Then the view `TABLE_at` shows the collection as it was at any time since: `SELECT … FROM orders_at(at = '2026-01-01
    /// 00:00:00')`.
    #[cfg_attr(feature = "clap", arg(long, value_name = "BOOL", default_value_t = false, action = clap::ArgAction::Set))]
    pub snapshot: bool,
    /// The longest a change waits for others before it is inserted.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "clap", arg(
        long,
        value_name = "TIME",
        value_parser = humantime_serde::re::humantime::parse_duration,
        default_value = "200ms"
    ))]
    pub flush_interval: Duration,
    /// The number of changes that are inserted without waiting.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = 65_536))]
    pub flush_rows: usize,
    /// The distance of the mode `id-cursor` to the newest `_id`, for clients whose clocks differ.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "clap", arg(
        long,
        value_name = "TIME",
        value_parser = humantime_serde::re::humantime::parse_duration,
        default_value = "5s"
    ))]
    pub settle: Duration,
    /// The pause of the mode `id-cursor` between two queries.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "clap", arg(
        long,
        value_name = "TIME",
        value_parser = humantime_serde::re::humantime::parse_duration,
        default_value = "500ms"
    ))]
    pub poll_interval: Duration,
    /// What happens when the collection is dropped or renamed, or its database dropped.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    pub on_drop: OnDrop,
    /// What happens when a document is deleted, in the modes `changes` and `change-log`.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    pub deletes: Deletes,
    /// How long after its deletion a document leaves the table for good, in the mode `changes`; by default never.
    ///
    /// Until then the table has a row that marks it as deleted, and maybe earlier rows of it, which `FINAL` and the view hide. First
    /// the earlier rows are removed; the mark leaves when no part of the table has any. ClickHouse does it in the background.
    #[serde(with = "humantime_serde::option", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "TIME", value_parser = humantime_serde::re::humantime::parse_duration))]
    pub purge_deleted: Option<Duration>,
    /// The changes that a change log has rows of: `insert`, `update` (replacements as well) and `delete`; by default all.
    ///
    /// A table of current documents needs all of them; there `deletes` says what a deletion does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "clap", arg(long, value_enum, value_name = "OPERATION"))]
    pub operations: Vec<Operation>,
    /// What happens when MongoDB no longer has the changes since the checkpoint.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    pub on_history_lost: OnHistoryLost,
    /// The time until a pipeline loses its place in the oplog of MongoDB, below which `status` and `check` warn.
    ///
    /// An oplog that has not begun to forget changes is no reason to warn.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "clap", arg(
        long,
        value_name = "TIME",
        value_parser = humantime_serde::re::humantime::parse_duration,
        default_value = "6h"
    ))]
    pub min_headroom: Duration,
    /// What happens to a value that the column of its field does not hold, in all modes but `full`.
    ///
    /// A wider type is one of these: `Int32`, `Int64`, then `Float64` or `Decimal`, or `String`. Columns of keys, dates, documents
    /// and arrays, and those of chosen types, stay as they are, and the values go to `_zenith_extra`.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    pub on_type_conflict: OnTypeConflict,
    /// The same for single fields, by their dotted path; by default for none.
    ///
    /// The path has no mark for the elements of an array: `items.price`. In zenith.toml it is a table
    /// `[pipelines.NAME.on_type_conflict_fields]` below the other settings, with lines as `"items.price" = "widen"`.
    #[serde(with = "crate::pairs::values", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "clap", arg(long, value_name = "PATH=VALUE", value_parser = type_conflict))]
    pub on_type_conflict_fields: Vec<(String, OnTypeConflict)>,
    // What an image costs is measured by `examples/change_cost.rs` of zenith-extract.
    /// Take images of documents after a change instead of looking documents up; by default only in the mode `change-log`.
    ///
    /// There are images where the collection keeps them (`changeStreamPreAndPostImages`), which is looked at when the stream
    /// is opened. The rows of a change log are then of exactly their time. A table of current documents becomes the same
    /// either way, and an image costs MongoDB five to ten times as much as a look-up.
    #[cfg_attr(feature = "clap", arg(long, value_name = "BOOL"))]
    pub post_images: Option<bool>,
    /// Create the target database if it does not exist.
    #[cfg_attr(feature = "clap", arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set))]
    pub create_database: bool,
    /// How the table is made and loaded.
    #[serde(flatten)]
    #[cfg_attr(feature = "clap", command(flatten))]
    pub options: TableOptions,
    /// What the table is like.
    #[serde(flatten)]
    #[cfg_attr(feature = "clap", command(flatten))]
    pub shape: TableShape,
}

impl Default for PipelineSettings {
    fn default() -> PipelineSettings {
        PipelineSettings {
            collection: String::new(),
            collections: Vec::new(),
            member_of: String::new(),
            table: String::new(),
            view: String::new(),
            status_table: "zenith_status".to_owned(),
            mode: Mode::default(),
            schedule: String::new(),
            time_zone: String::new(),
            every: None,
            snapshot: false,
            flush_interval: Duration::from_millis(200),
            flush_rows: 65_536,
            settle: Duration::from_secs(5),
            poll_interval: Duration::from_millis(500),
            on_drop: OnDrop::default(),
            deletes: Deletes::default(),
            purge_deleted: None,
            operations: Vec::new(),
            on_history_lost: OnHistoryLost::default(),
            min_headroom: Duration::from_secs(6 * 3600),
            on_type_conflict: OnTypeConflict::default(),
            on_type_conflict_fields: Vec::new(),
            post_images: None,
            create_database: true,
            options: TableOptions::default(),
            shape: TableShape::default(),
        }
    }
}

impl PipelineSettings {
    /// The name of the view over `table`, if there is to be one.
    #[must_use]
    pub fn view_of(&self, table: &str) -> Option<String> {
        let suffix = match self.mode {
            Mode::Changes => "current",
            Mode::ChangeLog if self.snapshot => "at",
            Mode::ChangeLog | Mode::Full | Mode::IdCursor => return None,
        };
        Some(if self.view.is_empty() { format!("{table}_{suffix}") } else { self.view.clone() })
    }

    /// What happens to a value of a field that its column does not hold.
    pub(crate) fn on_type_conflict(&self, path: &str) -> OnTypeConflict {
        let own = self.on_type_conflict_fields.iter().find(|(field, _)| field == path);
        own.map_or(self.on_type_conflict, |(_, policy)| *policy)
    }

    /// The options of a reload or snapshot with these settings and this much memory.
    #[must_use]
    pub fn reload_options(&self, memory: usize) -> ReloadOptions {
        ReloadOptions {
            memory,
            create_database: self.create_database,
            shape: self.options.shape_of(&self.shape),
            ..self.options.clone().into()
        }
    }

    /// What is wrong with settings that exclude each other: the setting, its value, and why it cannot work.
    #[must_use]
    pub fn contradiction(&self) -> Option<Refusal> {
        const NOT_TOLD: &str = "the mode id-cursor has no change stream and is not told that a collection was dropped; the mode changes is";
        if self.mode == Mode::IdCursor && self.on_drop == OnDrop::Reload {
            let (value, reason) = ("reload".to_owned(), NOT_TOLD.to_owned());
            return Some(Refusal { setting: "on_drop", value, reason });
        }
        if let Some(refusal) = self.unwind_refusal().or_else(|| self.schedule_refusal()) {
            return Some(refusal);
        }
        if let Some(reason) = self.deletes_refusal() {
            return Some(Refusal {
                setting: "deletes",
                value: if self.deletes == Deletes::Mark { "mark" } else { "ignore" }.to_owned(),
                reason: reason.to_owned(),
            });
        }
        if let (Some(purge), Some(reason)) = (self.purge_deleted, self.purge_refusal()) {
            return Some(Refusal {
                setting: "purge_deleted",
                value: humantime_serde::re::humantime::format_duration(purge).to_string(),
                reason: reason.to_owned(),
            });
        }
        if let Some(reason) = self.operations_refusal() {
            let names = self.operations.iter().map(|operation| format!("{operation:?}").to_lowercase());
            let value = names.collect::<Vec<_>>().join(", ");
            return Some(Refusal { setting: "operations", value, reason: reason.to_owned() });
        }
        if let Some(reason) = self.snapshot_refusal() {
            return Some(Refusal {
                setting: "snapshot",
                value: "true".to_owned(),
                reason: reason.to_owned(),
            });
        }
        let has_versions = self.mode == Mode::Changes;
        let in_place = !has_versions && self.options.strategy == Strategy::Truncate;
        self.shape.refusal(has_versions, in_place)
    }

    /// Why it cannot begin again by itself, if it is to.
    fn schedule_refusal(&self) -> Option<Refusal> {
        let every =
            self.every.map(|every| humantime_serde::re::humantime::format_duration(every).to_string());
        let set = [
            ("schedule", Some(&self.schedule)),
            ("every", every.as_ref()),
            ("time_zone", Some(&self.time_zone)),
        ];
        let mut set = set.into_iter().filter_map(|(setting, value)| Some((setting, value?)));
        let (setting, value) = set.find(|(_, value)| !value.is_empty())?;
        let reason = if self.mode != Mode::Full {
            "only the mode full begins again, the others go on without an end"
        } else if self.every.is_some() && !self.schedule.is_empty() {
            "every says when it begins again as well: leave one of the two out"
        } else if !self.time_zone.is_empty() && self.schedule.is_empty() {
            let reason = "there is no schedule whose times could be of that zone".to_owned();
            return Some(Refusal { setting: "time_zone", value: self.time_zone.clone(), reason });
        } else {
            return None;
        };
        Some(Refusal { setting, value: value.clone(), reason: reason.to_owned() })
    }

    /// Why nothing can leave the table for good.
    fn purge_refusal(&self) -> Option<&'static str> {
        let is_replicated =
            |engine: &String| engine.starts_with("Replicated") || engine.starts_with("Shared");
        match (self.mode, self.deletes) {
            (Mode::Changes, Deletes::Tombstone) if self.shape.engine.as_ref().is_some_and(is_replicated) => {
                Some("replicas would not agree on which rows they are: take an engine that is not replicated")
            }
            (Mode::Changes, Deletes::Tombstone) => None,
            (Mode::Changes, _) => {
                Some("deletes keeps the rows of documents that are gone: take deletes = \"tombstone\"")
            }
            (Mode::ChangeLog, _) => Some("a change log keeps what was: a ttl of the table lets old rows go"),
            (Mode::IdCursor | Mode::Full, _) => Some("this mode has no rows of documents that are gone"),
        }
    }

    /// Why changes cannot be left out, if some are to be.
    fn operations_refusal(&self) -> Option<&'static str> {
        let all = [Operation::Insert, Operation::Update, Operation::Delete];
        if all.iter().all(|operation| self.takes(*operation)) {
            return None;
        }
        match self.mode {
            Mode::ChangeLog
                if self.operations.contains(&Operation::Delete) && self.deletes == Deletes::Ignore =>
            {
                Some("deletes = \"ignore\" leaves deletions out: leave one of the two out")
            }
            Mode::ChangeLog => None,
            Mode::Changes if !self.takes(Operation::Delete) && self.takes(Operation::Update) => Some(
                "a table of current documents is kept by all changes: deletes = \"ignore\" keeps the rows of deleted documents, \
                 and mode = \"change-log\" has a row for each change",
            ),
            Mode::Changes => Some(
                "a table of current documents is kept by all changes, and would have others without some: mode = \"change-log\" \
                 has a row for each change",
            ),
            Mode::IdCursor | Mode::Full => {
                Some("this mode is not told of changes: mode = \"change-log\" has a row for each of them")
            }
        }
    }

    /// Whether changes of this kind count.
    pub(crate) fn takes(&self, operation: Operation) -> bool {
        self.operations.is_empty() || self.operations.contains(&operation)
    }

    /// Why the rows of deleted documents cannot stay, if they are to.
    fn deletes_refusal(&self) -> Option<&'static str> {
        match (self.deletes, self.mode) {
            (Deletes::Tombstone, _) => None,
            (_, Mode::Full) => Some(
                "the mode full has the documents that there are, each time it runs: take mode = \"changes\"",
            ),
            (_, Mode::IdCursor) => {
                Some("the mode id-cursor is not told of deletions, and keeps all rows in any case")
            }
            (Deletes::Mark, Mode::ChangeLog) => Some(
                "a change log has a row for each deletion, and keeps those from before: take deletes = \"tombstone\"",
            ),
            (_, Mode::ChangeLog) => None,
            (Deletes::Mark, Mode::Changes) if self.options.unwind.is_some() => Some(
                "with unwind a row that leaves may be that of an element which is gone from a document that is still there: take \
                 deletes = \"tombstone\"",
            ),
            (_, Mode::Changes) if self.on_drop == OnDrop::Reload || self.on_drop == OnDrop::Truncate => Some(
                "on_drop would take the rows out with the collection: take on_drop = \"ignore\" or \"stop\"",
            ),
            (_, Mode::Changes) if self.on_history_lost == OnHistoryLost::Reload => Some(
                "on_history_lost = \"reload\" would load the table again, and documents that are gone have no row then",
            ),
            (_, Mode::Changes) if self.options.filter.is_some() => Some(
                "with a filter a document that is gone cannot be told from one that matches no more, and its row would go",
            ),
            (_, Mode::Changes) => None,
        }
    }

    /// Why a log cannot begin with a snapshot, if it is to: the view over it would show documents that are gone.
    fn snapshot_refusal(&self) -> Option<&'static str> {
        match (self.mode, self.deletes, self.on_drop) {
            _ if !self.snapshot => None,
            (Mode::Changes | Mode::Full | Mode::IdCursor, ..) => {
                Some("only a change log can begin with one: take mode = \"change-log\"")
            }
            (Mode::ChangeLog, ..) if !self.operations.is_empty() => Some(
                "with operations the log does not have every change, and its view would not show documents as they were",
            ),
            (Mode::ChangeLog, Deletes::Ignore, _) => Some(
                "with deletes = \"ignore\" the log does not have every change, and its view would show documents that are gone",
            ),
            (Mode::ChangeLog, _, OnDrop::Ignore | OnDrop::Reload | OnDrop::Truncate) => Some(
                "a log does not have the drop of a collection, and its view would go on showing the documents: take on_drop = \
                 \"stop\"",
            ),
            (Mode::ChangeLog, Deletes::Tombstone | Deletes::Mark, OnDrop::Stop) => None,
        }
    }

    /// Whether the table shows rows of documents that are gone.
    #[must_use]
    pub fn is_archive(&self) -> bool {
        self.deletes == Deletes::Ignore && self.mode == Mode::Changes
    }

    /// Why the table is not loaded again, if it is not.
    #[must_use]
    pub fn refused_load(&self) -> Option<&'static str> {
        match self.deletes {
            _ if self.mode != Mode::Changes => None,
            Deletes::Tombstone => None,
            Deletes::Ignore => Some(
                "with deletes = \"ignore\" it keeps rows of documents that are gone, which a load would take out: name another \
                 table (table = \"…\") for the documents of now, or let these rows go with deletes = \"tombstone\" and a load",
            ),
            Deletes::Mark => Some(
                "with deletes = \"mark\" it keeps rows of documents that are gone, which a load would take out: name another \
                 table (table = \"…\") for the documents of now, or let these rows go with deletes = \"tombstone\" and a load",
            ),
        }
    }

    /// The numbers that cannot be used, by the names of the settings, and what is wrong with them.
    pub fn unusable_numbers(&self) -> impl Iterator<Item = (&'static str, usize, &'static str)> {
        let flush_rows = (self.flush_rows == 0).then_some(("flush_rows", 0, "at least 1 is needed"));
        flush_rows.into_iter().chain(self.options.unusable_numbers())
    }
}

/// `PATH=VALUE`; keys may have `=` in them.
#[cfg(feature = "clap")]
fn type_conflict(text: &str) -> Result<(String, OnTypeConflict), String> {
    let (path, policy) = text
        .rsplit_once('=')
        .filter(|(path, _)| !path.is_empty())
        .ok_or_else(|| "write it as PATH=VALUE, as in items.price=widen".to_owned())?;
    let policy = <OnTypeConflict as clap::ValueEnum>::from_str(policy, false)
        .map_err(|_| format!("{policy:?} is none of extra, widen and fail"))?;
    Ok((path.to_owned(), policy))
}

#[cfg(test)]
mod tests {
    use super::{Deletes, Mode, OnDrop, PipelineSettings};

    #[test]
    fn a_cursor_is_told_of_no_drop() {
        let settings =
            |mode| PipelineSettings { mode, on_drop: OnDrop::Reload, ..PipelineSettings::default() };
        assert_eq!(settings(Mode::IdCursor).contradiction().map(|refusal| refusal.setting), Some("on_drop"));
        for mode in [Mode::Full, Mode::Changes, Mode::ChangeLog] {
            assert_eq!(settings(mode).contradiction(), None);
        }
    }

    #[test]
    fn a_snapshot_is_of_a_log_that_has_every_change() {
        let log = PipelineSettings { mode: Mode::ChangeLog, snapshot: true, ..PipelineSettings::default() };
        assert_eq!((log.contradiction(), log.view_of("t").as_deref()), (None, Some("t_at")));
        for settings in [
            PipelineSettings { mode: Mode::Changes, ..log.clone() },
            PipelineSettings { deletes: Deletes::Ignore, ..log.clone() },
            PipelineSettings { on_drop: OnDrop::Ignore, ..log.clone() },
        ] {
            assert_eq!(settings.contradiction().map(|refusal| refusal.setting), Some("snapshot"));
        }
        assert_eq!(PipelineSettings { snapshot: false, ..log }.view_of("t"), None);
    }

    #[test]
    fn settings_are_one_table_and_unknown_ones_are_refused() {
        let settings = PipelineSettings::default();
        let written = serde_json::to_string(&settings).unwrap();
        assert!(written.contains("\"uuid_legacy\":\"python\"") && !written.contains("options"), "{written}");
        assert_eq!(serde_json::from_str::<PipelineSettings>(&written).unwrap(), settings);
        let text = r#"{"collection":"c","uuid_legacy":"java","object_id_fixed":true,"flush_rows":7}"#;
        let read: PipelineSettings = serde_json::from_str(text).unwrap();
        assert_eq!((read.flush_rows, &read.collection[..]), (7, "c"));
        assert_eq!(read.options.uuid_legacy, crate::UuidLegacy::Java);
        let error = serde_json::from_str::<PipelineSettings>(r#"{"uuid_legasy":"java"}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `uuid_legasy`"), "{error}");
    }
}
