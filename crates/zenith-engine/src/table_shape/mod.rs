//! The table its user wants: sorting key, partitions, indices and the like, as ClickHouse spells them. Zenith passes them on;
//! what it has to know of them is which columns a key is made of, as those are never NULL.
//!
//! Names, defaults and meanings stand here alone, as those of the other options stand in `table_options.rs`.

mod engine;
mod refusal;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use zenith_transport::TableInfo;
use zenith_transport::ddl::{
    Additions, ColumnAdditions, Element, expressions, identifier, literal, names_in, same_type, setting_value,
};

use crate::column_shape::ColumnShape;
use crate::places;
use engine::Engine;
pub(crate) use engine::is_same;
pub use refusal::Refusal;

/// Settings on which the effect of inserts depends.
const SETTINGS_OF_ZENITH: [&str; 4] =
    [WINDOW, REPLICATED_WINDOW, REPLICATED_WINDOW_SECONDS, "allow_nullable_key"];
/// How many inserts a table remembers, so that none of them takes effect twice.
const WINDOW: &str = "non_replicated_deduplication_window";
/// The same of a replicated table, and for how long: an insert may be repeated long after a crash, and not only within the hour
/// that servers remember by default.
const REPLICATED_WINDOW: &str = "replicated_deduplication_window";
const REPLICATED_WINDOW_SECONDS: &str = "replicated_deduplication_window_seconds";
const YEAR_SECONDS: &str = "31536000";
/// The windows of tables, and of those whose inserts are divided into many.
const WINDOW_USUAL: &str = "10000";
const WINDOW_OF_PARTITIONS: &str = "100000";
/// What a table of versions with projections needs.
const PROJECTION_MODE: &str = "deduplicate_merge_projection_mode";

/// Whether columns may be NULL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Nullable {
    /// All that can be, but for those of a key.
    #[default]
    Always,
    /// Only those of fields that a document of the sample lacks: of any other, a document without it shows the default of the
    /// type, with a note in `_zenith_notes`.
    Auto,
}

/// What a table is like, apart from its columns. A missing option has its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[serde(default)]
pub struct TableShape {
    /// The sorting key, a list of expressions; by default `_id`.
    ///
    /// `_id` comes last in it where it is not in it; in the mode `changes` the columns follow that expressions of it are made
    /// of. In zenith.toml it is `order_by = ["tenant_id", "toDate(created_at)"]`; an argument may be repeated. A column of it is
    /// never NULL: a document without the field shows the default of the type, with a note in `_zenith_notes`.
    #[cfg_attr(feature = "clap", arg(long, value_name = "EXPRESSION", help_heading = "Table"))]
    pub order_by: Vec<String>,
    /// The expression by which rows are divided into partitions; by default none.
    ///
    /// Its columns are never NULL, like those of the sorting key, and in the mode `changes` a part of that. Empty text takes the
    /// partitions of a table away.
    #[cfg_attr(feature = "clap", arg(long, value_name = "EXPRESSION", help_heading = "Table"))]
    pub partition_by: Option<String>,
    /// The engine, which keeps the rows that are written; by default `MergeTree`, and `ReplacingMergeTree` in the mode `changes`.
    ///
    /// One of these two, or one of these with `Replicated` or `Shared` before it, as in
    /// `ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')`. Zenith adds the columns of versions and
    /// deletions.
    #[cfg_attr(feature = "clap", arg(long, value_name = "ENGINE", help_heading = "Table"))]
    pub engine: Option<String>,
    /// The cluster on whose servers tables and views are made, changed and dropped; by default only on that of the target.
    ///
    /// With a `Replicated` or `Shared` engine. ClickHouse runs such statements (`ON CLUSTER`) on all servers of the cluster by
    /// Keeper; rows are written to the target, and replicas get them by themselves. In the library the sink is made for it:
    /// `ClickHouseSink::on_cluster`.
    #[cfg_attr(feature = "clap", arg(long, value_name = "CLUSTER", help_heading = "Table"))]
    pub on_cluster: Option<String>,
    /// The first expressions of the sorting key, which ClickHouse keeps in memory; by default all of them.
    #[cfg_attr(feature = "clap", arg(long, value_name = "EXPRESSION", help_heading = "Table"))]
    pub primary_key: Vec<String>,
    /// When rows expire; by default never.
    ///
    /// It is an expression as in `toDateTime(created_at) + INTERVAL 1 YEAR`. Not in the mode `changes`, in which the row of
    /// before would return.
    #[cfg_attr(feature = "clap", arg(long, value_name = "EXPRESSION", help_heading = "Table"))]
    pub ttl: Option<String>,
    /// Settings of the table; by default those of the server.
    ///
    /// In zenith.toml it is a table `[pipelines.NAME.table.settings]`; an argument is written as `index_granularity=1024`, and
    /// may be repeated.
    #[serde(with = "crate::pairs::texts")]
    #[cfg_attr(feature = "clap", arg(
        long,
        alias = "setting",
        value_name = "NAME=VALUE",
        value_parser = crate::pairs::argument,
        help_heading = "Table"
    ))]
    pub settings: Vec<(String, String)>,
    /// The comment on the table; by default it names the collection.
    #[cfg_attr(feature = "clap", arg(long, value_name = "TEXT", help_heading = "Table"))]
    pub comment: Option<String>,
    /// Secondary indices, each with its expression and type; by default none.
    ///
    /// In zenith.toml it is a table `[pipelines.NAME.table.indexes]` with lines as `by_mail = "email TYPE bloom_filter
    /// GRANULARITY 4"`; an argument is written as `by_mail=email TYPE bloom_filter`, and may be repeated.
    #[serde(with = "crate::pairs::texts")]
    #[cfg_attr(feature = "clap", arg(
        long,
        alias = "index",
        value_name = "NAME=INDEX",
        value_parser = crate::pairs::argument,
        help_heading = "Table"
    ))]
    pub indexes: Vec<(String, String)>,
    /// Projections, each with its query; by default none.
    ///
    /// In zenith.toml it is a table `[pipelines.NAME.table.projections]` with lines as `by_day = "SELECT day, count() GROUP BY
    /// day"`; an argument is written as `by_day=SELECT …`, and may be repeated.
    #[serde(with = "crate::pairs::texts")]
    #[cfg_attr(feature = "clap", arg(
        long,
        alias = "projection",
        value_name = "NAME=SELECT",
        value_parser = crate::pairs::argument,
        help_heading = "Table"
    ))]
    pub projections: Vec<(String, String)>,
    /// Which columns may be NULL.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t, help_heading = "Columns"))]
    pub nullable: Nullable,
    /// What single columns are like, by the names of their fields, and computed columns; by default what the sample says.
    ///
    /// In zenith.toml it is a table `[pipelines.NAME.columns.FIELD]` with `type`, `nullable`, `low_cardinality`, `codec` and
    /// `comment`, and for a computed column `type` and one of `materialized`, `default` and `alias`. An argument is written as
    /// ClickHouse has it, as in `price=Decimal(18, 4) CODEC(ZSTD(1))`, and may be repeated.
    #[serde(with = "crate::pairs::values")]
    #[cfg_attr(feature = "clap", arg(
        long,
        alias = "column",
        value_name = "NAME=COLUMN",
        value_parser = crate::pairs::column,
        help_heading = "Columns"
    ))]
    pub columns: Vec<(String, ColumnShape)>,
    /// Columns that have one text in every row; by default none.
    ///
    /// `{collection}` and `{db}` in it are those of the documents. In zenith.toml it is a table `[pipelines.NAME.constant]` with
    /// lines as `tenant = "eu"`; an argument is written as `tenant=eu`, and may be repeated.
    #[serde(with = "crate::pairs::texts")]
    #[cfg_attr(feature = "clap", arg(
        long,
        value_name = "NAME=TEXT",
        value_parser = crate::pairs::argument,
        help_heading = "Columns"
    ))]
    pub constant: Vec<(String, String)>,
}

/// What the rows of a table are, as far as its shape depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    /// The columns that tell rows apart.
    pub(crate) key: &'static [&'static str],
    /// Of rows with the same key the newest one counts.
    pub(crate) have_versions: bool,
}

impl TableShape {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == TableShape::default()
    }

    /// Has constants be columns like any other that ClickHouse fills, for documents of a collection.
    pub(crate) fn with_constants(mut self, db: &str, collection: &str) -> TableShape {
        for (name, text) in self.constants(db, collection) {
            let column = ColumnShape {
                data_type: Some("LowCardinality(String)".to_owned()),
                default: Some(literal(&text)),
                ..ColumnShape::default()
            };
            self.columns.push((name, column));
        }
        self.constant.clear();
        self
    }

    /// The columns that are constants, with their texts for documents of a collection.
    pub(crate) fn constants(&self, db: &str, collection: &str) -> Vec<(String, String)> {
        let text = |text: &String| text.replace("{db}", db).replace("{collection}", collection);
        self.constant.iter().map(|(name, said)| (name.clone(), text(said))).collect()
    }

    /// Columns that are never NULL.
    pub(crate) fn required(&self) -> BTreeSet<String> {
        let keys = self.order_by.iter().chain(&self.primary_key).chain(&self.partition_by);
        let said = self.columns.iter().filter(|(_, column)| column.nullable == Some(false));
        keys.flat_map(|key| names_in(key)).chain(said.map(|(name, _)| name.clone())).collect()
    }

    /// The expressions of the sorting key of a table; none where it is the usual one.
    fn sorting_key(&self, rows: Rows) -> Option<String> {
        let mut key = match list(&self.order_by) {
            Some(key) => key,
            None if self.has_places(rows) => Vec::new(),
            None => return None,
        };
        for name in rows.key {
            let is_it = |part: &String| *part == *name || *part == identifier(name);
            if !key.iter().any(is_it) {
                key.push(identifier(name));
            }
        }
        if rows.have_versions {
            places::complete(&mut key, self.partition_by.as_deref());
        }
        Some(written(&key))
    }

    /// Whether something is said about the sorting key.
    pub(crate) fn says_key(&self, rows: Rows) -> bool {
        self.sorting_key(rows).is_some()
    }

    /// Whether rows of one document, of which the newest one counts, may stand at several places of the key.
    pub(crate) fn has_places(&self, rows: Rows) -> bool {
        rows.have_versions && self.keys().any(|(_, sql)| !places::others(sql).is_empty())
    }

    /// What the table gets, beside what it keeps of the one before it.
    pub(crate) fn over(&self, mut kept: Additions, rows: Rows) -> Additions {
        if let Some(key) = self.sorting_key(rows) {
            kept.order_by = Some(key);
            // It was the beginning of the key of before.
            kept.primary_key = None;
        }
        if let Some(key) = list(&self.primary_key) {
            kept.primary_key = Some(written(&key));
        }
        for (said, clause) in [(&self.partition_by, &mut kept.partition_by), (&self.ttl, &mut kept.ttl)] {
            if let Some(said) = said {
                *clause = Some(said.clone()).filter(|said| !said.is_empty());
            }
        }
        // Each part of an insert is remembered by itself.
        let is_divided = self.partition_by.as_ref().is_some_and(|by| !by.is_empty());
        let window = if is_divided { WINDOW_OF_PARTITIONS } else { WINDOW_USUAL };
        if is_divided {
            kept.settings.insert(WINDOW.to_owned(), window.to_owned());
        }
        if self.engine().is_some_and(Engine::is_distributed) {
            kept.settings.insert(REPLICATED_WINDOW.to_owned(), window.to_owned());
            kept.settings.insert(REPLICATED_WINDOW_SECONDS.to_owned(), YEAR_SECONDS.to_owned());
        }
        for (name, value) in &self.settings {
            kept.settings.insert(name.clone(), setting_value(value));
        }
        let index = places::index_name();
        kept.elements.retain(|element| element.name != index);
        for element in self.elements().chain(self.has_places(rows).then(places::index)) {
            match kept.elements.iter_mut().find(|kept| kept.name == element.name) {
                Some(kept) => *kept = element,
                None => kept.elements.push(element),
            }
        }
        let has_projections = kept.elements.iter().any(|element| element.name.starts_with("projection "));
        if rows.have_versions && has_projections {
            kept.settings.entry(PROJECTION_MODE.to_owned()).or_insert_with(|| literal("rebuild"));
        }
        for (name, column) in &self.columns {
            let additions = column.additions();
            match kept.columns.iter_mut().find(|(kept, _)| kept == name) {
                Some((_, kept)) => overlay(kept, additions),
                None => kept.columns.push((name.clone(), additions)),
            }
        }
        kept
    }

    fn engine(&self) -> Option<Engine<'_>> {
        self.engine.as_deref().and_then(Engine::parse)
    }

    /// The engine as a statement has it, with these columns of versions; none where it is the usual one.
    pub(crate) fn engine_with(&self, versions: &[&str]) -> Option<String> {
        Some(self.engine()?.to_sql(versions))
    }

    fn elements(&self) -> impl Iterator<Item = Element> {
        let element = |kind: &str, name: &str, sql: String| Element {
            name: format!("{} {name}", kind.to_lowercase()),
            sql: format!("{kind} {} {sql}", identifier(name)),
        };
        let indexes = self.indexes.iter().map(move |(name, sql)| element("INDEX", name, sql.clone()));
        let projections =
            self.projections.iter().map(move |(name, sql)| element("PROJECTION", name, format!("({sql})")));
        indexes.chain(projections)
    }

    /// How a table differs from this one, in words.
    pub(crate) fn differences(&self, table: &TableInfo, rows: Rows) -> Vec<String> {
        let mut differences = Vec::new();
        if let Some(engine) = self.engine.as_ref().filter(|engine| !is_same(&table.engine, engine)) {
            differences.push(format!("the engine {}, not {engine}", table.engine));
        }
        if let Some(key) = self.sorting_key(rows)
            && !same_type(&key, &table.sorting_key)
            && !same_type(&key, &format!("({})", table.sorting_key))
        {
            differences.push(format!("the sorting key ({}), not {key}", table.sorting_key));
        }
        let there = table.additions.as_ref().and_then(|additions| additions.partition_by.as_deref());
        if let Some(said) = &self.partition_by
            && !same_type(said, there.unwrap_or_default())
        {
            let words = |partitions: &str| match partitions {
                "" => "no partitions".to_owned(),
                by => format!("partitions by {by}"),
            };
            differences.push(format!("{}, not {}", words(there.unwrap_or_default()), words(said)));
        }
        differences
    }

    /// The expressions that say where a row goes.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let order = self.order_by.iter().map(|sql| ("order_by", sql));
        let partition = self.partition_by.iter().filter(|sql| !sql.is_empty());
        order.chain(partition.map(|sql| ("partition_by", sql)))
    }
}

/// Settings that a table needs, of which it is not known that it has them: without them a repeated insert takes effect twice.
pub(crate) fn missing_windows(table: &TableInfo) -> BTreeMap<String, String> {
    let name = match Engine::parse(&table.engine).is_some_and(Engine::is_distributed) {
        true => REPLICATED_WINDOW_SECONDS,
        false if table.engine.ends_with("MergeTree") => WINDOW,
        false => return BTreeMap::new(),
    };
    let value = if name == WINDOW { WINDOW_USUAL } else { YEAR_SECONDS };
    let known = table.additions.as_ref().and_then(|additions| additions.settings.get(name));
    match known.is_some_and(|known| known != "0") {
        true => BTreeMap::new(),
        false => BTreeMap::from([(name.to_owned(), value.to_owned())]),
    }
}

/// The expressions of a list that is not empty.
fn list(said: &[String]) -> Option<Vec<String>> {
    let all = said.iter().flat_map(|said| expressions(said).unwrap_or_else(|| vec![said]));
    let all: Vec<String> = all.map(str::to_owned).collect();
    (!all.is_empty()).then_some(all)
}

fn written(key: &[String]) -> String {
    match key {
        // Parentheses around one column would be part of the key's text.
        [one] => one.clone(),
        several => format!("({})", several.join(", ")),
    }
}

/// What is said of a column counts more than what it had.
fn overlay(kept: &mut ColumnAdditions, said: ColumnAdditions) {
    if !said.data_type.is_empty() {
        kept.data_type = said.data_type;
    }
    let clauses =
        [(&mut kept.default, said.default), (&mut kept.comment, said.comment), (&mut kept.codec, said.codec)];
    for (kept, said) in clauses {
        if said.is_some() {
            *kept = said;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTS: Rows = Rows { key: &["_id"], have_versions: false };
    const VERSIONS: Rows = Rows { have_versions: true, ..DOCUMENTS };

    fn ordered(order_by: &[&str]) -> TableShape {
        TableShape {
            order_by: order_by.iter().map(|&part| part.to_owned()).collect(),
            ..TableShape::default()
        }
    }

    #[test]
    fn the_key_ends_with_what_tells_rows_apart() {
        let log = Rows { key: &["_id", "_version"], have_versions: false };
        let key = |order_by: &[&str], rows| ordered(order_by).sorting_key(rows);
        assert_eq!(key(&[], DOCUMENTS), None);
        assert_eq!(key(&["tenant", "toDate(at)"], DOCUMENTS).as_deref(), Some("(tenant, toDate(at), `_id`)"));
        assert_eq!(key(&["tenant, at"], DOCUMENTS).as_deref(), Some("(tenant, at, `_id`)"));
        assert_eq!(key(&["`_id`"], DOCUMENTS).as_deref(), Some("`_id`"));
        assert_eq!(key(&["_id", "tenant"], log).as_deref(), Some("(_id, tenant, `_version`)"));
    }

    #[test]
    fn columns_of_keys_and_partitions_are_never_null() {
        let shape = TableShape {
            partition_by: Some("toYYYYMM(created)".to_owned()),
            ..ordered(&["tenant", "lower(name)"])
        };
        assert_eq!(shape.required().into_iter().collect::<Vec<_>>(), ["created", "name", "tenant"]);
    }

    #[test]
    fn what_cannot_be_kept_in_step_is_refused() {
        let refused = |shape: &TableShape, has_versions| {
            shape.refusal(has_versions, false).map(|refusal| (refusal.setting, refusal.value))
        };
        let by = |order: &[&str], partition: &str| TableShape {
            partition_by: Some(partition.to_owned()),
            ..ordered(order)
        };
        assert_eq!(refused(&by(&["tenant"], ""), false), None);
        assert_eq!(refused(&by(&["tenant"], "toDate(at)"), true), None);
        let shape = by(&["_zenith_version"], "");
        assert_eq!(refused(&shape, true), Some(("order_by", "_zenith_version".to_owned())));
        let day = vec![("day".to_owned(), "Date MATERIALIZED toDate(at)".parse().unwrap())];
        let shape = TableShape { columns: day, ..by(&["_id"], "day") };
        assert_eq!(refused(&shape, true), Some(("partition_by", "day".to_owned())));
        assert_eq!(refused(&shape, false), None);
        assert_eq!(refused(&by(&["f(a"], ""), false), Some(("order_by", "f(a".to_owned())));
        let shape = TableShape { ttl: Some("at".to_owned()), ..TableShape::default() };
        assert_eq!(refused(&shape, true), Some(("ttl", "at".to_owned())));
        assert!(shape.refusal(false, true).is_some());
        let window = vec![("non_replicated_deduplication_window".to_owned(), "0".to_owned())];
        let shape = TableShape { settings: window, ..TableShape::default() };
        assert_eq!(refused(&shape, false).map(|(setting, _)| setting), Some("settings"));
    }

    #[test]
    fn what_is_said_takes_the_place_of_what_a_table_has() {
        let there = "CREATE TABLE d.t (`_id` String, `n` Int8 CODEC(LZ4), INDEX i n TYPE minmax GRANULARITY 1, INDEX j n TYPE \
                     minmax GRANULARITY 1) ENGINE = MergeTree PARTITION BY n PRIMARY KEY n ORDER BY (n, _id) TTL d SETTINGS \
                     index_granularity = 1, merge_max_block_size = 2";
        let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let shape = TableShape {
            partition_by: Some(String::new()),
            settings: pair("index_granularity", "64"),
            indexes: pair("i", "n TYPE set(10)"),
            projections: pair("p", "SELECT n ORDER BY n"),
            columns: vec![("n".to_owned(), "Int64 CODEC(ZSTD(1))".parse().unwrap())],
            ..ordered(&["m"])
        };
        let made = shape.over(Additions::parse(there).unwrap(), DOCUMENTS);
        assert_eq!(made.elements.len(), 3);
        let made = shape.over(made, VERSIONS);
        assert_eq!(made.order_by.as_deref(), Some("(m, `_id`)"));
        assert_eq!((made.partition_by, made.primary_key, made.ttl.as_deref()), (None, None, Some("d")));
        assert_eq!(made.settings["index_granularity"], "64");
        assert_eq!(made.settings["merge_max_block_size"], "2");
        assert_eq!(made.settings[PROJECTION_MODE], "'rebuild'");
        let elements: Vec<&str> = made.elements.iter().map(|element| element.sql.as_str()).collect();
        assert_eq!(
            elements,
            [
                "INDEX `i` n TYPE set(10)",
                "INDEX j n TYPE minmax GRANULARITY 1",
                "PROJECTION `p` (SELECT n ORDER BY n)",
                "INDEX zenith_by_id `_id` TYPE bloom_filter(0.01) GRANULARITY 1"
            ]
        );
        assert_eq!(made.columns[0].1.codec.as_deref(), Some("CODEC(ZSTD(1))"));
        let steps = [
            "ORDER BY (m, `_id`)",
            "the index i",
            "the setting index_granularity = 64",
            "TTL d",
            "the index j",
        ];
        let settings = steps.map(|step| shape.setting_of(step));
        assert_eq!(settings, [Some("order_by"), Some("indexes"), Some("settings"), None, None]);
        assert_eq!(shape.setting_of("CODEC(ZSTD(1)) of the column n"), Some("columns"));
    }
}
