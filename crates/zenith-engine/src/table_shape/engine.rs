//! The engine of a table, as its user says it: which ones keep the rows as they are written, and what Zenith adds.

use zenith_transport::ddl::expressions;

/// Parts of a path in Keeper that make it one of each table's own.
const OWN_PATH: [&str; 2] = ["{uuid}", "{table}"];

/// An engine, as in `ReplicatedReplacingMergeTree('/tables/{shard}/{table}', '{replica}')`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Engine<'e> {
    /// Its name.
    name: &'e str,
    /// What stands between the brackets behind it, if there are any.
    arguments: Option<&'e str>,
}

impl<'e> Engine<'e> {
    pub(super) fn parse(text: &'e str) -> Option<Engine<'e>> {
        let text = text.trim();
        let (name, arguments) = match text.split_once('(') {
            Some((name, rest)) => (name.trim_end(), Some(rest.strip_suffix(')')?.trim())),
            None => (text, None),
        };
        let is_name = !name.is_empty() && name.bytes().all(|letter| letter.is_ascii_alphanumeric());
        let arguments_end = arguments.is_none_or(|all| all.is_empty() || expressions(all).is_some());
        (is_name && arguments_end).then_some(Engine { name, arguments })
    }

    /// Its name without what says where its data is.
    fn family(self) -> &'e str {
        let prefix = if self.is_replicated() { "Replicated" } else { "Shared" };
        self.name.strip_prefix(prefix).unwrap_or(self.name)
    }

    pub(super) fn is_replicated(self) -> bool {
        self.name.starts_with("Replicated")
    }

    /// Whether its inserts are remembered in Keeper.
    pub(super) fn is_distributed(self) -> bool {
        self.family() != self.name
    }

    /// Its arguments one by one.
    fn each(self) -> Vec<&'e str> {
        self.arguments.filter(|all| !all.is_empty()).and_then(expressions).unwrap_or_default()
    }

    /// As a statement has it, with the columns of versions.
    pub(super) fn to_sql(self, versions: &[&str]) -> String {
        let mut arguments = self.each();
        arguments.extend(versions);
        match arguments.is_empty() && self.arguments.is_none() {
            true => self.name.to_owned(),
            false => format!("{}({})", self.name, arguments.join(", ")),
        }
    }

    /// Why a table cannot have it, of which the newest row with a key counts if `has_versions`.
    pub(super) fn refusal(self, has_versions: bool) -> Option<&'static str> {
        let is_replacing = match self.family() {
            "ReplacingMergeTree" => true,
            "MergeTree" => false,
            _ => {
                return Some(
                    "the table has to keep the rows that are written: take MergeTree, ReplacingMergeTree, or one of these with \
                     Replicated or Shared before it",
                );
            }
        };
        if has_versions && !is_replacing {
            return Some(
                "in the mode changes the newest row of a document counts: take ReplacingMergeTree, or \
                 ReplicatedReplacingMergeTree",
            );
        }
        let is_text = |argument: &&str| argument.starts_with('\'');
        let each = self.each();
        if has_versions && !each.iter().all(is_text) {
            return Some(
                "in the mode changes Zenith names the columns of versions and deletions itself: leave them out",
            );
        }
        let path = each.first().filter(|path| self.is_replicated() && is_text(path));
        if path.is_some_and(|path| !OWN_PATH.iter().any(|part| path.contains(part))) {
            return Some(
                "each load makes a new table, which needs a path of its own in Keeper: write {table} in it, or {uuid}",
            );
        }
        None
    }
}

/// Whether a table has the engine that it is to have; where its data is kept may be the server's choice.
pub(crate) fn is_same(there: &str, wanted: &str) -> bool {
    let plain = |name| wanted_name(name).trim_start_matches("Shared");
    plain(there) == plain(wanted)
}

/// The name of an engine, without its arguments.
fn wanted_name(engine: &str) -> &str {
    engine.split('(').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "ReplicatedReplacingMergeTree('/tables/{shard}/{table}', '{replica}')";

    #[test]
    fn versions_come_behind_path_and_replica() {
        let sql = |text: &str, versions: &[&str]| Engine::parse(text).unwrap().to_sql(versions);
        assert_eq!(sql(" MergeTree ", &[]), "MergeTree");
        assert_eq!(sql("MergeTree()", &[]), "MergeTree()");
        assert_eq!(sql("ReplacingMergeTree", &["v", "d"]), "ReplacingMergeTree(v, d)");
        assert_eq!(sql("ReplicatedReplacingMergeTree", &["v", "d"]), "ReplicatedReplacingMergeTree(v, d)");
        assert_eq!(
            sql(PATH, &["v", "d"]),
            "ReplicatedReplacingMergeTree('/tables/{shard}/{table}', '{replica}', v, d)"
        );
        for text in ["", "Merge Tree", "MergeTree(", "MergeTree(a,,b)", "MergeTree) ORDER BY (a"] {
            assert_eq!(Engine::parse(text), None, "{text}");
        }
    }

    #[test]
    fn engines_that_change_rows_are_refused() {
        let refused = |text: &str, has_versions| Engine::parse(text).unwrap().refusal(has_versions);
        for text in ["MergeTree", "ReplacingMergeTree", "ReplacingMergeTree(n)", "SharedMergeTree", PATH] {
            assert_eq!(refused(text, false), None, "{text}");
        }
        for text in ["ReplacingMergeTree", "ReplicatedReplacingMergeTree", "SharedReplacingMergeTree", PATH] {
            assert_eq!(refused(text, true), None, "{text}");
        }
        for (text, has_versions, part) in [
            ("SummingMergeTree", false, "keep the rows"),
            ("Log", false, "keep the rows"),
            ("MergeTree", true, "newest row"),
            ("ReplacingMergeTree(n)", true, "leave them out"),
            ("ReplicatedMergeTree('/one/path', 'r')", false, "path of its own"),
        ] {
            assert!(refused(text, has_versions).unwrap().contains(part), "{text}");
        }
    }

    #[test]
    fn where_the_data_is_may_be_the_choice_of_the_server() {
        assert!(is_same("SharedMergeTree", "MergeTree"));
        assert!(is_same("ReplicatedMergeTree", "ReplicatedMergeTree('/{table}', 'r')"));
        assert!(!is_same("ReplicatedMergeTree", "MergeTree"));
        assert!(!is_same("MergeTree", "ReplacingMergeTree"));
    }
}
