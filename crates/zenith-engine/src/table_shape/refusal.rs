//! Which settings of a shape cannot be used, and which setting a part of a statement comes of.

use zenith_transport::ddl::expressions;

use super::{Engine, SETTINGS_OF_ZENITH, TableShape};
use crate::{places, suggest};

/// Why rows that are kept in step cannot expire.
const TTL_OF_CHANGES: &str = "in the mode changes the newest row of a document may expire before an older one, which would then \
    return: delete at the source, or take mode = \"change-log\", \"id-cursor\" or \"full\"";

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its name.
    pub setting: &'static str,
    /// Its value, or the part of it that is wrong.
    pub value: String,
    /// Why.
    pub reason: String,
}

impl TableShape {
    /// The first setting that cannot be used for a table, of which the newest row with a key counts if `has_versions`, and
    /// which is loaded `in_place` or beside the one before it.
    pub(crate) fn refusal(&self, has_versions: bool, in_place: bool) -> Option<Refusal> {
        let refusal = |setting, value: &str, reason: &str| {
            Some(Refusal { setting, value: value.to_owned(), reason: reason.to_owned() })
        };
        for (setting, sql) in self.texts() {
            if expressions(sql).is_none() {
                return refusal(
                    setting,
                    sql,
                    "a bracket or a quotation mark is open, or a part of it is empty",
                );
            }
        }
        if let Some(engine) = &self.engine
            && let Some(reason) = refused_engine(engine, has_versions)
        {
            return refusal("engine", engine, reason);
        }
        if let Some(ttl) = self.ttl.as_ref().filter(|ttl| !ttl.is_empty() && has_versions) {
            return refusal("ttl", ttl, TTL_OF_CHANGES);
        }
        if has_versions && let Some((setting, sql, reason)) = self.refused_key() {
            return refusal(setting, sql, reason);
        }
        if let Some(ttl) = self.ttl.as_ref().filter(|ttl| !ttl.is_empty() && in_place) {
            let reason = "rows that expire while a table is loaded in place could not be counted: take strategy = \"swap\"";
            return refusal("ttl", ttl, reason);
        }
        if let Some((name, _)) =
            self.settings.iter().find(|(name, _)| SETTINGS_OF_ZENITH.contains(&name.as_str()))
        {
            return refusal(
                "settings",
                name,
                "Zenith sets it itself, so that a repeated insert has no effect",
            );
        }
        let refused = self.columns.iter().find_map(|(name, column)| {
            let reason = column.refusal(name)?;
            refusal("columns", name, &reason)
        });
        refused.or_else(|| self.refused_constant())
    }

    /// Why the table cannot be on a cluster, if it is to be.
    pub(crate) fn refused_cluster(&self) -> Option<Refusal> {
        let cluster =
            self.on_cluster.as_ref().filter(|_| !self.engine().is_some_and(Engine::is_distributed))?;
        Some(Refusal {
            setting: "on_cluster",
            value: cluster.clone(),
            reason: "its servers would all have the table, and only one of them rows: say an engine with replicas, as \
                ReplicatedMergeTree or ReplicatedReplacingMergeTree"
                .to_owned(),
        })
    }

    /// The first constant that cannot be.
    pub(crate) fn refused_constant(&self) -> Option<Refusal> {
        let is_said = |name: &String| self.columns.iter().any(|(column, _)| column == name);
        let constants = TableShape { constant: self.constant.clone(), ..TableShape::default() };
        constants.with_constants("", "").columns.into_iter().find_map(|(name, column)| {
            let reason = match is_said(&name) {
                true => Some("columns says something of the same column".to_owned()),
                false if unknown_name(&self.constant, &name).is_some() => {
                    unknown_name(&self.constant, &name).map(|unknown| {
                        format!(
                            "its text has {{{unknown}}}, and there are only {{db}} and {{collection}}, which stand for those of \
                             the documents{}",
                            suggest::nearest(unknown, ["db", "collection"])
                                .map_or_else(String::new, |meant| format!("; did you mean {{{meant}}}?"))
                        )
                    })
                }
                false => column.refusal(&name),
            };
            Some(Refusal { setting: "constant", value: name, reason: reason? })
        })
    }

    /// The part of the key that rows of changes cannot be found by, and why.
    fn refused_key(&self) -> Option<(&'static str, &String, &'static str)> {
        let is_computed = |name: &str| {
            self.constant.iter().any(|(constant, _)| constant == name)
                || self.columns.iter().any(|(column, shape)| column == name && shape.is_computed())
        };
        self.keys().find_map(|(setting, sql)| Some((setting, sql, places::refusal(sql, is_computed)?)))
    }

    /// All that becomes a part of the statement.
    fn texts(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let primary = self.primary_key.iter().map(|sql| ("primary_key", sql));
        let ttl = self.ttl.iter().filter(|sql| !sql.is_empty()).map(|sql| ("ttl", sql));
        let indexes = self.indexes.iter().map(|(_, sql)| ("indexes", sql));
        let projections = self.projections.iter().map(|(_, sql)| ("projections", sql));
        self.keys().chain(primary).chain(ttl).chain(indexes).chain(projections)
    }

    /// The setting that a step of [`Additions::steps`] comes of; `None` if it comes of none.
    pub(crate) fn setting_of(&self, step: &str) -> Option<&'static str> {
        let of_columns = |name: &str| self.columns.iter().any(|(column, _)| column == name);
        let clause = step
            .split_once(" BY ")
            .map_or_else(|| step.split_whitespace().next().unwrap_or_default(), |(clause, _)| clause);
        match clause {
            "ORDER" if self.order_by.is_empty() => self.partition_by.is_some().then_some("partition_by"),
            "ORDER" => Some("order_by"),
            "PARTITION" => self.partition_by.is_some().then_some("partition_by"),
            "PRIMARY" => (!self.primary_key.is_empty()).then_some("primary_key"),
            "ENGINE" => self.engine.is_some().then_some("engine"),
            "TTL" => self.ttl.is_some().then_some("ttl"),
            _ => {
                let setting = step.strip_prefix("the setting ").and_then(|rest| rest.split(' ').next());
                let column = step.rsplit_once(" of the column ").map(|(_, name)| name);
                let named = |kind: &str, all: &[(String, String)]| {
                    let name = step.strip_prefix(kind);
                    name.is_some_and(|name| all.iter().any(|(known, _)| known == name))
                };
                if setting.is_some_and(|name| self.settings.iter().any(|(known, _)| known == name)) {
                    Some("settings")
                } else if column.is_some_and(of_columns) {
                    Some("columns")
                } else if named("the index ", &self.indexes) {
                    Some("indexes")
                } else {
                    named("the projection ", &self.projections).then_some("projections")
                }
            }
        }
    }
}

/// What the text of a constant has in braces that stands for nothing, if it is a name.
fn unknown_name<'c>(constants: &'c [(String, String)], column: &str) -> Option<&'c str> {
    let (_, text) = constants.iter().find(|(name, _)| name == column)?;
    let names = text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
    let is_name =
        |name: &&str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    names.filter(is_name).find(|name| !matches!(*name, "db" | "collection"))
}

/// Why a table cannot have an engine, if it cannot.
fn refused_engine(engine: &str, has_versions: bool) -> Option<&'static str> {
    match Engine::parse(engine) {
        Some(engine) => engine.refusal(has_versions),
        None => Some(
            "it is written as a name with its arguments, as in ReplicatedMergeTree('/{shard}/{table}', '{replica}')",
        ),
    }
}
