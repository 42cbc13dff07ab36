//! What applying a configuration over another one changes, shown before it is done.
//!
//! Settings are compared as JSON, so that a state written by another version can be compared as well.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use zenith_engine::PipelineSettings;
use zenith_engine::state::Role;

use super::applied::{self, Applied};
use super::reference;
use crate::text::Paint;

/// A thing that is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A database that is read.
    Source,
    /// A database that is written.
    Target,
    /// A pipeline, of one collection or of several.
    Pipeline,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Source => "source",
            Kind::Target => "target",
            Kind::Pipeline => "pipeline",
        }
    }
}

/// What happens to one thing.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is new.
    Add,
    /// It goes away.
    Remove,
    /// Settings with their old and new values; `None` where there was or will be none.
    Alter(Vec<Altered>),
}

/// A setting with its old and its new value.
type Altered = (String, Option<Value>, Option<Value>);

/// A change as machines are told of it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ChangeJson {
    /// `add`, `change` or `remove`.
    pub what: &'static str,
    /// `source`, `target` or `pipeline`.
    pub kind: &'static str,
    /// The name of the thing.
    pub name: String,
    /// Settings and consequences, a sentence each.
    pub details: Vec<String>,
}

/// A change that is told of.
struct Shown<'d> {
    key: &'d (Kind, String),
    kind: Kind,
    name: &'d str,
    change: &'d Change,
}

/// Everything that changes, sources first and pipelines last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// What changes, by kind and name.
    pub changes: BTreeMap<(Kind, String), Change>,
    /// What is shown of things that come or go.
    settings: BTreeMap<(Kind, String), Settings>,
}

type Settings = BTreeMap<String, Value>;

/// Settings that say which rows a table holds: what was written with other ones is of no use.
const IDENTITY: [&str; 5] = ["source", "target", "collection", "table", "mode"];

/// Settings that say which documents have rows, and how many.
const ROWS: [&str; 2] = ["filter", "unwind"];

/// Compares.
pub fn between(now: &Applied, then: &Applied) -> Difference {
    let (now, then) = (things(now), things(then));
    let mut difference = Difference::default();
    for (key, old) in &now {
        let change = match then.get(key) {
            None => Change::Remove,
            Some(new) if new == old => continue,
            Some(new) => Change::Alter(altered(old, new)),
        };
        difference.changes.insert(key.clone(), change);
        difference.settings.insert(key.clone(), old.clone());
    }
    for (key, new) in then.iter().filter(|(key, _)| !now.contains_key(*key)) {
        difference.changes.insert(key.clone(), Change::Add);
        difference.settings.insert(key.clone(), new.clone());
    }
    difference
}

impl Difference {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Pipelines that go.
    pub fn removed_pipelines(&self) -> Vec<&str> {
        self.pipelines(|change| matches!(change, Change::Remove))
    }

    /// Pipelines that have to be read again from their beginning.
    pub fn anew(&self) -> Vec<&str> {
        let pipelines = self.pipelines(|change| matches!(change, Change::Alter(it) if begins_anew(it)));
        pipelines.into_iter().filter(|name| !self.stays_template(name)).collect()
    }

    fn pipelines(&self, wanted: impl Fn(&Change) -> bool) -> Vec<&str> {
        let pipelines = self.changes.iter().filter(|((kind, _), _)| *kind == Kind::Pipeline);
        pipelines.filter(|(_, change)| wanted(change)).map(|((_, name), _)| name.as_str()).collect()
    }

    /// Whether a pipeline is of several collections before and after: it has no progress of its own.
    fn stays_template(&self, name: &str) -> bool {
        let key = (Kind::Pipeline, name.to_owned());
        let becomes_other = |change: &Change| match change {
            Change::Alter(altered) => altered.iter().any(|(setting, ..)| setting == "collection"),
            Change::Add | Change::Remove => false,
        };
        let was_template = self.settings.get(&key).is_some_and(|settings| !patterns(settings).is_empty());
        was_template && !self.changes.get(&key).is_some_and(becomes_other)
    }

    /// Whether a change of a pipeline only follows that of the pipeline of several collections that it is of.
    fn follows_template(&self, key: &(Kind, String), change: &Change) -> bool {
        let Change::Alter(altered) = change else { return false };
        let template = self.settings.get(key).and_then(|settings| settings.get("member_of")?.as_str());
        let changes = |template: &str| self.changes.contains_key(&(Kind::Pipeline, template.to_owned()));
        !begins_anew(altered) && template.is_some_and(changes)
    }

    /// In words, a paragraph for each thing.
    pub fn text(&self, paint: Paint) -> String {
        let mut text = String::new();
        for shown in self.shown() {
            let (kind, name) = (shown.kind, shown.name);
            let summary = self.settings.get(shown.key).map_or_else(String::new, |of| summary(kind, of));
            let line = match shown.change {
                Change::Add => paint.green(&format!("+ {} {name}  {summary}", kind.name())),
                Change::Remove => paint.red(&format!("- {} {name}  {summary}", kind.name())),
                Change::Alter(_) => paint.yellow(&format!("~ {} {name}", kind.name())),
            };
            let _ = writeln!(text, "{}", line.trim_end());
            for detail in self.details(&shown) {
                let _ = writeln!(text, "    {detail}");
            }
        }
        text
    }

    /// For machines, in the order of the text.
    pub fn listed(&self) -> Vec<ChangeJson> {
        let listed = self.shown().map(|shown| ChangeJson {
            what: match shown.change {
                Change::Add => "add",
                Change::Remove => "remove",
                Change::Alter(_) => "change",
            },
            kind: shown.kind.name(),
            name: shown.name.to_owned(),
            details: self.details(&shown),
        });
        listed.collect()
    }

    /// What is told of: members that only follow their template are left out.
    fn shown(&self) -> impl Iterator<Item = Shown<'_>> {
        let shown = self.changes.iter().filter(|(key, change)| !self.follows_template(key, change));
        shown.map(|(key, change)| Shown { key, kind: key.0, name: &key.1, change })
    }

    /// What there is to say of a change, a line each.
    fn details(&self, shown: &Shown<'_>) -> Vec<String> {
        let (kind, name, settings) = (shown.kind, shown.name, self.settings.get(shown.key));
        let is_template = settings.is_some_and(|settings| !patterns(settings).is_empty());
        match shown.change {
            Change::Add => {
                let stated = settings.into_iter().flat_map(|settings| stated(kind, settings));
                stated.map(|(setting, value)| format!("{setting}: {value}")).collect()
            }
            Change::Remove if kind == Kind::Pipeline && !is_template => {
                vec!["its progress is forgotten; the table stays as it is".to_owned()]
            }
            Change::Remove => Vec::new(),
            Change::Alter(altered) => {
                let lines = altered.iter().map(|(setting, old, new)| {
                    format!("{setting}: {} -> {}", shown_value(old.as_ref()), shown_value(new.as_ref()))
                });
                lines.chain(self.consequence(kind, name, altered)).collect()
            }
        }
    }

    /// What an altered pipeline does with what is in its table.
    fn consequence(&self, kind: Kind, name: &str, altered: &[Altered]) -> Option<String> {
        if self.stays_template(name) {
            return Some("so do the pipelines of its collections".to_owned());
        }
        if kind != Kind::Pipeline {
            return None;
        }
        if begins_anew(altered) {
            return Some("it starts over: the collection is read from its beginning".to_owned());
        }
        let stays = if is_of(&[reference::TRANSFORMS], altered) {
            "rows that are in the table stay as they are"
        } else if is_of(&[reference::COLUMNS, reference::TABLE], altered) {
            "the table keeps its columns and their values"
        } else {
            return None;
        };
        let settings = self.settings.get(&(kind, name.to_owned()));
        Some(format!("{stays}: {}", remedy(settings, name)))
    }

    /// "1 to add, 2 to change, 1 to remove".
    pub fn counts(&self) -> String {
        let count =
            |wanted: fn(&Change) -> bool| self.changes.values().filter(|change| wanted(change)).count();
        let parts = [
            (count(|change| matches!(change, Change::Add)), "to add"),
            (count(|change| matches!(change, Change::Alter(_))), "to change"),
            (count(|change| matches!(change, Change::Remove)), "to remove"),
        ];
        let parts: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        parts.join(", ")
    }
}

/// What makes the rows of a table anew: a load, but of one whose rows the collection does not have any more.
fn remedy(settings: Option<&Settings>, name: &str) -> String {
    let said = |setting: &str| settings.and_then(|settings| settings.get(setting)?.as_str());
    if said("mode") == Some("change-log") || matches!(said("deletes"), Some("ignore" | "mark")) {
        return "another table (table = \"…\") has them from its beginning".to_owned();
    }
    format!("zenith reload {name} makes them anew")
}

fn begins_anew(altered: &[Altered]) -> bool {
    altered.iter().any(|(setting, ..)| [&ROWS[..], &IDENTITY].concat().contains(&setting.as_str()))
}

/// Whether settings change that have one of these headings. A table keeps the columns and rows it was made with.
fn is_of(headings: &[&str], altered: &[Altered]) -> bool {
    reference::settings::<PipelineSettings>()
        .iter()
        .filter(|option| option.heading.as_deref().is_some_and(|heading| headings.contains(&heading)))
        .any(|option| altered.iter().any(|(setting, ..)| *setting == option.name))
}

fn things(applied: &Applied) -> BTreeMap<(Kind, String), Settings> {
    let connectors = applied.connectors.iter().map(|connector| {
        let kind = match connector.role {
            Role::Source => Kind::Source,
            Role::Target => Kind::Target,
        };
        let mut settings = object(&connector.options);
        settings.insert("uri".to_owned(), connector.uri.clone().into());
        ((kind, connector.name.clone()), settings)
    });
    let pipelines = applied.pipelines.iter().chain(&applied.templates).map(|pipeline| {
        let settings = applied::settings(pipeline).map(|settings| settings.into_iter().collect());
        let mut settings = settings.unwrap_or_else(|| object(&pipeline.settings));
        settings.insert("source".to_owned(), pipeline.source.clone().into());
        settings.insert("target".to_owned(), pipeline.target.clone().into());
        ((Kind::Pipeline, pipeline.name.clone()), settings)
    });
    connectors.chain(pipelines).collect()
}

/// What is no JSON object is shown as one setting.
fn object(text: &str) -> Settings {
    match serde_json::from_str(text) {
        Ok(Value::Object(settings)) => settings.into_iter().collect(),
        Ok(_) | Err(_) if text.is_empty() => Settings::new(),
        Ok(_) | Err(_) => Settings::from([("settings".to_owned(), text.into())]),
    }
}

fn altered(old: &Settings, new: &Settings) -> Vec<Altered> {
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let both = names.into_iter().map(|name| (name.clone(), old.get(name).cloned(), new.get(name).cloned()));
    both.filter(|(_, old, new)| old != new).collect()
}

/// The patterns of a pipeline of several collections.
fn patterns(settings: &Settings) -> Vec<&str> {
    let patterns = settings.get("collections").and_then(Value::as_array);
    patterns.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn summary(kind: Kind, settings: &Settings) -> String {
    let text = |name: &str| settings.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    match kind {
        Kind::Source | Kind::Target => text("uri"),
        Kind::Pipeline => {
            let (mut collection, table) = (text("collection"), text("table"));
            if collection.is_empty() {
                collection = format!("({})", patterns(settings).join(", "));
            }
            let table = if table.is_empty() { String::new() } else { format!(".{table}") };
            format!("{}.{collection} -> {}{table}, {}", text("source"), text("target"), text("mode"))
        }
    }
}

/// The settings that are not in the summary and not what they would be anyway.
fn stated(kind: Kind, settings: &Settings) -> Vec<(&String, String)> {
    let default = match kind {
        Kind::Pipeline => serde_json::to_value(PipelineSettings::default()).unwrap_or_default(),
        Kind::Source | Kind::Target => Value::Null,
    };
    let in_summary = |name: &str| ["uri", "collections"].contains(&name) || IDENTITY.contains(&name);
    settings
        .iter()
        .filter(|(name, value)| !in_summary(name) && default.get(name.as_str()) != Some(*value))
        .map(|(name, value)| (name, shown_value(Some(value))))
        .collect()
}

fn shown_value(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "(not set)".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "(not set)".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{applied, file};

    fn applied(text: &str) -> Applied {
        applied::records(&file::parse(text, Path::new("/etc/zenith.toml")).unwrap(), &BTreeMap::new())
    }

    const FIRST: &str = r#"
        [sources.shop]
        uri = "mongodb://app:${P}@h/shop"
        [targets.warehouse]
        uri = "http://h/shop"
        ca_file = "ca.pem"
        [pipelines.orders]
        source = "shop"
        target = "warehouse"
        collection = "orders"
        flush_rows = 10
        [pipelines.users]
        source = "shop"
        target = "warehouse"
        collection = "users"
        mode = "change-log"
        table = "user_log"
    "#;

    #[test]
    fn what_comes_is_shown_with_what_was_said_of_it() {
        let difference = between(&Applied::default(), &applied(FIRST));
        assert_eq!(
            difference.text(Paint::plain()),
            "+ source shop  mongodb://app:${P}@h/shop\n\
             + target warehouse  http://h/shop\n    ca_file: /etc/ca.pem\n\
             + pipeline orders  shop.orders -> warehouse, changes\n    flush_rows: 10\n\
             + pipeline users  shop.users -> warehouse.user_log, change-log\n"
        );
        assert_eq!(difference.counts(), "4 to add");
        assert!(difference.removed_pipelines().is_empty() && difference.anew().is_empty());
    }

    #[test]
    fn what_changes_is_shown_with_both_values() {
        let then = FIRST
            .replace("flush_rows = 10", "flush_interval = \"1s\"")
            .replace("mongodb://app:${P}@h", "mongodb://h2")
            .replace("mode = \"change-log\"", "mode = \"full\"");
        let difference = between(&applied(FIRST), &applied(&then));
        assert_eq!(
            difference.text(Paint::plain()),
            "~ source shop\n    uri: mongodb://app:${P}@h/shop -> mongodb://h2/shop\n\
             ~ pipeline orders\n    flush_interval: 200ms -> 1s\n    flush_rows: 10 -> 65536\n\
             ~ pipeline users\n    mode: change-log -> full\n    \
             it starts over: the collection is read from its beginning\n"
        );
        assert_eq!((difference.anew(), difference.counts()), (vec!["users"], "3 to change".to_owned()));
        assert!(between(&applied(FIRST), &applied(FIRST)).is_empty());
    }

    #[test]
    fn settings_of_an_earlier_version_are_the_same_settings() {
        let now = applied(FIRST);
        let mut before = now.clone();
        before.pipelines[0].settings =
            r#"{"collection":"orders","flush_rows":10,"object_id_fixed":false}"#.to_owned();
        assert!(between(&before, &now).is_empty());
        before.pipelines[0].settings =
            r#"{"collection":"orders","flush_rows":10,"object_id_fixed":true}"#.to_owned();
        let text = between(&before, &now).text(Paint::plain());
        assert!(text.contains("    object_id: fixed -> hex\n    the table keeps its columns"), "{text}");
    }

    #[test]
    fn columns_change_with_a_reload() {
        let then = FIRST.replace("flush_rows = 10", "flush_rows = 10\nuuid_legacy = \"java\"");
        let text = between(&applied(FIRST), &applied(&then)).text(Paint::plain());
        assert_eq!(
            text,
            "~ pipeline orders\n    uuid_legacy: python -> java\n    \
             the table keeps its columns and their values: zenith reload orders makes them anew\n"
        );
    }

    #[test]
    fn tables_that_are_not_loaded_again_keep_their_columns() {
        let altered = |more: &str| {
            let first = FIRST.replace("flush_rows = 10", &format!("flush_rows = 10\n{more}"));
            let then = first.replace("flush_rows = 10", "flush_rows = 10\nuuid_legacy = \"java\"");
            between(&applied(&first), &applied(&then)).text(Paint::plain())
        };
        for more in ["mode = \"change-log\"", "deletes = \"mark\"", "deletes = \"ignore\""] {
            let text = altered(more);
            assert!(text.contains("table = \"…\"") && !text.contains("reload"), "{more}: {text}");
        }
        assert!(altered("deletes = \"tombstone\"").contains("zenith reload orders"));
    }

    #[test]
    fn rows_that_are_there_keep_what_is_left_out_from_now_on() {
        let then = FIRST.replace("flush_rows = 10", "flush_rows = 10\nexclude = [\"a.b\", \"*.c\"]");
        let text = between(&applied(FIRST), &applied(&then)).text(Paint::plain());
        assert_eq!(
            text,
            "~ pipeline orders\n    exclude: [] -> [\"a.b\",\"*.c\"]\n    \
             rows that are in the table stay as they are: zenith reload orders makes them anew\n"
        );
    }

    #[test]
    fn another_filter_asks_for_other_rows() {
        let filter = "flush_rows = 10\nfilter = '{\"a\": 1}'";
        let filtered = applied(&FIRST.replace("flush_rows = 10", filter));
        let text = between(&Applied::default(), &filtered).text(Paint::plain());
        assert!(text.contains("    filter: {\"a\": 1}\n"), "{text}");
        let difference = between(&applied(FIRST), &filtered);
        assert_eq!(difference.anew(), ["orders"]);
        assert_eq!(
            difference.text(Paint::plain()),
            "~ pipeline orders\n    filter: (not set) -> {\"a\": 1}\n    \
             it starts over: the collection is read from its beginning\n"
        );
    }

    #[test]
    fn what_goes_is_told_and_what_nobody_understands_is_compared_all_the_same() {
        let now = applied(FIRST);
        let mut then = now.clone();
        then.pipelines.remove(1);
        then.pipelines[0].settings = r#"{"collection":"orders","later":{"a":1}}"#.to_owned();
        let difference = between(&then, &now);
        assert!(difference.text(Paint::plain()).contains("    later: {\"a\":1} -> (not set)\n"));
        let difference = between(&now, &then);
        assert_eq!(difference.removed_pipelines(), ["users"]);
        assert!(difference.text(Paint::plain()).contains("- pipeline users  shop.users"));
        assert!(difference.counts().ends_with("1 to remove"));
    }
}
