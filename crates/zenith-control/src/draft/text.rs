//! The file that is drafted.

use std::collections::BTreeSet;

use indicatif::{HumanBytes, HumanCount};
use zenith_engine::Mode;

use super::{Collection, Found, Planned};
use crate::failure;
use crate::mismatches::counted;

const BEFORE: &str = "\
# Zenith: which MongoDB collections become which ClickHouse tables; drafted from what was found at both ends.
#
#   zenith check     looks at both ends and says what is missing
#   zenith apply     shows what changes, and takes it over
#   zenith run       keeps the tables in step until stopped
#
# Tables can have another sorting key, types of columns, masked and excluded fields: `zenith init` without addresses
# writes a file with every setting there is.
";

/// The names of both ends.
const SOURCE: &str = "mongodb";
const TARGET: &str = "clickhouse";
/// Collections that get a pipeline of their own; more are one pipeline of a pattern.
const OWN_MAX: usize = 50;
/// Columns of a collection that are listed.
const COLUMNS_MAX: usize = 40;

/// A configuration. The addresses are written as they are, so they have no passwords; `patterns` are those that were
/// asked for.
pub fn draft(found: &Found, from: &str, to: &str, patterns: &[String]) -> String {
    let mut text = BEFORE.to_owned();
    let server = found.collections.iter().find_map(|collection| collection.plan.as_ref().ok());
    if let Some(planned) = server {
        text.push_str(&format!("\n# {}.", planned.server));
    }
    text.push_str(&format!("\n[sources.{SOURCE}]\nuri = {}\n", quoted(from)));
    text.push_str(&format!("\n[targets.{TARGET}]\nuri = {}\n", quoted(to)));
    let ends = format!("source = \"{SOURCE}\"\ntarget = \"{TARGET}\"\n");
    if found.collections.len() > OWN_MAX {
        text.push_str(&together(found, &ends, patterns));
    } else {
        let mut taken = BTreeSet::new();
        for collection in &found.collections {
            let name = name(&collection.namespace.collection, &mut taken);
            text.push_str(&alone(collection, &name, &ends, found.database.as_deref()));
        }
    }
    for (namespace, reason) in &found.left_out {
        let line = comment(&format!("{namespace} is left out: {reason}; --collection {namespace} takes it."));
        text.push_str(&format!("\n{line}"));
    }
    text
}

/// One pipeline of many collections.
fn together(found: &Found, ends: &str, patterns: &[String]) -> String {
    let mut text = format!("\n# {}:\n", counted(found.collections.len() as u64, "collection"));
    for collection in &found.collections {
        let what = match &collection.plan {
            Ok(planned) => size(planned),
            Err(error) => failure::in_words(error),
        };
        text.push_str(&comment(&format!("  {}: {what}", collection.namespace)));
    }
    let failed = found.collections.iter().filter(|collection| collection.plan.is_err());
    let failed = failed.map(|collection| format!("!{}", collection.namespace));
    let patterns: Vec<String> = patterns.iter().cloned().chain(failed).map(|each| quoted(&each)).collect();
    let mut planned = found.collections.iter().filter_map(|collection| collection.plan.as_ref().ok());
    let mode = match planned.all(|planned| planned.changes.is_err()) {
        true => format!("mode = {}\n", quoted(Mode::Full.name())),
        false => String::new(),
    };
    let tables_differ =
        found.collections.iter().any(|collection| collection.table != collection.namespace.collection);
    let table = if tables_differ { "table = \"{db}_{collection}\"\n" } else { "" };
    text + &format!("[pipelines.all]\n{ends}collections = [{}]\n{table}{mode}", patterns.join(", "))
}

/// A pipeline of its own for a collection.
fn alone(collection: &Collection, name: &str, ends: &str, database: Option<&str>) -> String {
    let namespace = &collection.namespace;
    let planned = match &collection.plan {
        Ok(planned) => planned,
        Err(error) => {
            return format!(
                "\n{}",
                comment(&format!("{namespace} is left out: {}", failure::in_words(error)))
            );
        }
    };
    let mut text = format!("\n{}", comment(&format!("{namespace}: {}.", size(planned))));
    text.push_str(&columns(planned));
    // What stands before a dot would be taken for a database.
    let is_short = database == Some(namespace.database.as_str()) && !namespace.collection.contains('.');
    let written = if is_short { namespace.collection.clone() } else { namespace.to_string() };
    text.push_str(&format!("[pipelines.{}]\n{ends}collection = {}\n", name, quoted(&written)));
    if !is_short || collection.table != namespace.collection {
        text.push_str(&format!("table = {}\n", quoted(&collection.table)));
    }
    if let Err(reason) = planned.changes {
        text.push_str(&format!(
            "mode = {}  # the whole collection at each run: {reason}\n",
            quoted(Mode::Full.name())
        ));
    }
    if !planned.key.is_empty() {
        let key: Vec<String> = planned.key.iter().map(|column| quoted(column)).collect();
        text.push_str(
            "# A sorting key for questions about what many documents share; _id comes last by itself:\n",
        );
        text.push_str(&format!("# order_by = [{}]\n", key.join(", ")));
    }
    text
}

/// How much there is of a collection.
fn size(planned: &Planned) -> String {
    match planned.size {
        Some((documents, bytes)) => format!("{}, {}", counted(documents, "document"), HumanBytes(bytes)),
        None => "of unknown size".to_owned(),
    }
}

/// The columns that a sample suggests, a line each.
fn columns(planned: &Planned) -> String {
    let own: Vec<_> = planned.columns.iter().filter(|column| !column.name.starts_with("_zenith_")).collect();
    if planned.sampled == 0 {
        return "# Nothing is in it yet: columns come with its first documents.\n".to_owned();
    }
    let width = own.iter().take(COLUMNS_MAX).map(|column| column.name.chars().count()).max().unwrap_or(0);
    let mut text = format!("# Its columns, from a sample of {}:\n", HumanCount(planned.sampled as u64));
    for column in own.iter().take(COLUMNS_MAX) {
        let share = match column.present {
            present if present >= 1.0 => String::new(),
            present => format!(", in {:.0} % of the documents", (present * 100.0).floor()),
        };
        text.push_str(&comment(&format!("  {:<width$}  {}{share}", column.name, column.target_type)));
    }
    if own.len() > COLUMNS_MAX {
        text.push_str(&format!("#   and {} more: `zenith check` shows them\n", own.len() - COLUMNS_MAX));
    }
    text
}

/// Lines of a comment. What comes from the databases may have line ends in it.
fn comment(text: &str) -> String {
    let line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    format!("# {}\n", line.trim_end())
}

/// A name that can be written without quotation marks, and has not been taken.
fn name(of: &str, taken: &mut BTreeSet<String>) -> String {
    let plain =
        |letter: char| if letter.is_ascii_alphanumeric() || "_-".contains(letter) { letter } else { '_' };
    let base: String = of.chars().map(plain).collect();
    let names = std::iter::once(base.clone()).chain((2..).map(|number| format!("{base}_{number}")));
    let free = names.into_iter().find(|name| !taken.contains(name)).unwrap_or(base);
    taken.insert(free.clone());
    free
}

/// A text of TOML. JSON escapes what TOML wants escaped, and in the same way.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
