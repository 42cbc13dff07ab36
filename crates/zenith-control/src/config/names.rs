//! Names in ClickHouse, of which each can be one thing only: the table of a pipeline, the view over it, the table of dead
//! letters.

use std::collections::BTreeMap;

use super::applied::{self, Applied};
use super::{Connector, Pipeline};

/// A name that two things would have.
#[derive(Clone, Debug, PartialEq)]
pub struct Collision {
    /// The pipelines that cannot be run because of it; dead letters are of so many that they are not among them.
    pub pipelines: Vec<String>,
    /// What would have the name, and the setting that changes it.
    pub sentence: String,
}

/// What a pipeline has a name for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Use {
    Table,
    View,
}

impl Use {
    fn word(self) -> &'static str {
        match self {
            Use::Table => "table",
            Use::View => "view",
        }
    }

    /// What people write to have another name.
    fn setting(self) -> &'static str {
        match self {
            Use::Table => "table = \"NAME\"",
            Use::View => "view = \"NAME\"",
        }
    }
}

/// The names that would be of two things; `database` says which database a target leads to.
pub fn collisions<'c>(
    pipelines: impl IntoIterator<Item = (&'c str, &'c Pipeline)>,
    database: impl Fn(&str) -> Option<String>,
) -> Vec<Collision> {
    let mut collisions = Vec::new();
    let mut claims: BTreeMap<(String, String), (Claim, &str)> = BTreeMap::new();
    let mut letters: BTreeMap<(String, String), &str> = BTreeMap::new();
    for (name, pipeline) in pipelines {
        let table = pipeline.table();
        if table.is_empty() {
            continue;
        }
        let database = database(&pipeline.target).unwrap_or_else(|| pipeline.target.clone());
        let key = |object: &str| (database.clone(), object.to_owned());
        let view = pipeline.settings.view_of(table);
        for (object, is) in [(Some(table), Use::Table), (view.as_deref(), Use::View)] {
            let Some(object) = object else { continue };
            let claim = Claim { name, is, template: &pipeline.settings.member_of };
            let Some((other, target)) = claims.get(&key(object)).copied() else {
                claims.insert(key(object), (claim, &pipeline.target));
                continue;
            };
            let place = match pipeline.target.as_str() {
                same if same == target => same.to_owned(),
                second => format!("{target}, the database that {second} leads to as well"),
            };
            let pipelines = if other.name == name { vec![name] } else { vec![other.name, name] };
            collisions.push(Collision {
                pipelines: pipelines.into_iter().map(str::to_owned).collect(),
                sentence: sentence(other, claim, object, &place),
            });
            // Where the tables are one, so are their views.
            break;
        }
        letters.entry(key(&pipeline.settings.options.dead_letters)).or_insert(name);
    }
    for (key, of) in letters {
        if let Some((Claim { name, is, .. }, _)) = claims.get(&key) {
            collisions.push(Collision {
                pipelines: vec![(*name).to_owned()],
                sentence: format!(
                    "the {} of the pipeline {name} and the table of dead letters of {of} would both be {}: choose \
                     another name with {}, or with dead_letters = \"NAME\"",
                    is.word(),
                    key.1,
                    is.setting()
                ),
            });
        }
    }
    collisions
}

/// Those of what was applied; `database` says which database a target leads to.
pub fn of_applied(applied: &Applied, database: impl Fn(&str, &Connector) -> String) -> Vec<Collision> {
    // What this version does not understand is told where it is to be run.
    let pipelines: Vec<(&str, Pipeline)> = applied
        .pipelines
        .iter()
        .filter_map(|record| Some((record.name.as_str(), applied::pipeline(record).ok()?)))
        .collect();
    let targets = targets(applied);
    collisions(pipelines.iter().map(|(name, pipeline)| (*name, pipeline)), |name| {
        targets.get(name).map(|connector| database(name, connector))
    })
}

/// The targets of what was applied.
pub fn targets(applied: &Applied) -> BTreeMap<String, Connector> {
    applied
        .connectors
        .iter()
        .filter(|record| record.role == zenith_engine::state::Role::Target)
        .filter_map(|record| Some((record.name.clone(), applied::connector(record).ok()?)))
        .collect()
}

/// A pipeline that has a name.
#[derive(Clone, Copy)]
struct Claim<'c> {
    name: &'c str,
    is: Use,
    /// The pipeline of several collections that it is of; empty if it is of none.
    template: &'c str,
}

impl Claim<'_> {
    /// Where its settings stand.
    fn section(&self) -> &str {
        if self.template.is_empty() { self.name } else { self.template }
    }
}

fn sentence(first: Claim<'_>, second: Claim<'_>, object: &str, place: &str) -> String {
    let (a, b) = (first.name, second.name);
    let together = !first.template.is_empty() && first.template == second.template;
    let leave = "or leave the collection of one of the two out by a pattern";
    match (first.is, second.is) {
        (Use::Table, Use::Table) if together => format!(
            "the pipelines {a} and {b} both write the table {object} of {place}: write table = \"{{db}}_{{collection}}\" in \
             {}, {leave}",
            first.template
        ),
        (Use::Table, Use::Table) => format!(
            "the pipelines {a} and {b} both write the table {object} of {place}: give one another table with {}",
            Use::Table.setting()
        ),
        (is, _) if a == b => format!(
            "the table of the pipeline {a} and its view would both be {object}: choose another name with {}",
            if is == Use::View { is } else { second.is }.setting()
        ),
        (is, other) if together => format!(
            "the {} of the pipeline {a} and the {} of the pipeline {b} would both be {object} of {place}: write view = \
             \"{{collection}}_now\" in {}, {leave}",
            is.word(),
            other.word(),
            first.template
        ),
        (is, other) => format!(
            "the {} of the pipeline {a} and the {} of the pipeline {b} would both be {object} of {place}: choose \
             another name with {} in {}, or with {} in {}",
            is.word(),
            other.word(),
            is.setting(),
            first.section(),
            other.setting(),
            second.section()
        ),
    }
}

/// The database of a target, as far as its address tells it.
pub fn database_of(target: &Connector) -> String {
    let uri = target.uri.as_str();
    let Some((scheme, rest)) = uri.split_once("://") else { return uri.to_owned() };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_lowercase();
    // One server has both protocols, each on its port.
    let usual = match scheme {
        "http" => ":8123",
        "https" => ":8443",
        "clickhouse" => ":9000",
        _ => ":9440",
    };
    let database = if database.is_empty() { "default" } else { database };
    format!("{}/{database}", host.strip_suffix(usual).unwrap_or(&host))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::file;

    /// The mistakes of a file with pipelines of these settings, all into one target.
    fn told(pipelines: &[(&str, &str)]) -> String {
        let mut text = "[sources.s]\nuri = \"mongodb://h/d\"\n[targets.t]\nuri = \"http://u@H:8123/d\"\n\
                        [targets.same]\nuri = \"clickhouse://h/d\"\n[targets.other]\nuri = \"http://h:8124/d\"\n"
            .to_owned();
        for (name, settings) in pipelines {
            let target = if settings.contains("target") { "" } else { "target = \"t\"\n" };
            text += &format!("[pipelines.{name}]\nsource = \"s\"\n{target}{settings}\n");
        }
        file::parse(&text, Path::new("zenith.toml"))
            .map_or_else(|mistakes| mistakes.to_string(), |_| String::new())
    }

    #[test]
    fn names_that_would_be_of_two_things_are_told() {
        let orders = ("orders", "collection = \"orders\"");
        for (pipelines, part) in [
            (
                &[orders, ("b", "collection = \"orders_current\"")][..],
                "table of the pipeline b and the view of the pipeline orders",
            ),
            (&[("b", "collection = \"orders_current\""), orders], "in orders"),
            (&[orders, ("b", "collection = \"b\"\ntable = \"orders\"")], "both write the table orders of t"),
            (&[orders, ("b", "collection = \"b\"\nview = \"orders_current\"")], "view = \"NAME\" in b"),
            (
                &[("b", "collection = \"b\"\nview = \"b\"")],
                "table of the pipeline b and its view would both be b",
            ),
            (
                &[orders, ("b", "collection = \"b\"\ntable = \"zenith_dead_letters\"")],
                "dead letters of b would both be",
            ),
            (&[("b", "collection = \"b\"\ndead_letters = \"b_current\"")], "dead_letters = \"NAME\""),
            (
                &[orders, ("b", "target = \"same\"\ncollection = \"orders_current\"")],
                "would both be orders_current",
            ),
        ] {
            let text = told(pipelines);
            assert!(text.contains(part) && text.lines().count() == 1, "{text}");
        }
        for (settings, part) in [
            ("mode = \"full\"\nview = \"v\"", "the mode full has no view"),
            ("dead_letters = \"\"", "dead_letters of [pipelines.b] is empty"),
        ] {
            let text = told(&[("b", &format!("collection = \"b\"\n{settings}"))]);
            assert!(text.contains(part) && text.lines().count() == 1, "{text}");
        }
    }

    #[test]
    fn names_of_their_own_are_not() {
        let orders = ("orders", "collection = \"orders\"");
        for pipelines in [
            &[orders, ("b", "collection = \"orders_current\"\ntable = \"b\"")][..],
            &[
                ("orders", "collection = \"orders\"\nview = \"now\""),
                ("b", "collection = \"orders_current\""),
            ],
            &[
                ("orders", "collection = \"orders\"\nmode = \"full\""),
                ("b", "collection = \"orders_current\""),
            ],
            &[orders, ("b", "target = \"other\"\ncollection = \"orders_current\"")],
        ] {
            assert_eq!(told(pipelines), "");
        }
    }
}
