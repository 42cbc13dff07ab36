//! Which file of a crate may import which: no circles, and in the engine from higher folders to lower ones.
//!
//! Imports are read from the text: `crate::…` and `super::…` paths outside comments, strings and tests. A path is
//! followed through the `pub use` of a `mod.rs` or `lib.rs`. A file may import what its own folder's `mod.rs` re-exports,
//! and `mod.rs` its children.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::Finding;
use super::code::without_text;

/// The parts of the engine, lower ones first: each may import those before it.
const ENGINE_ORDER: &[&str] = &[
    "simulation",
    "sentence",
    "suggest",
    "size",
    "offload",
    "timings",
    "progress",
    "usage",
    "masks",
    "renames",
    "row_shape",
    "column_shape",
    "pairs",
    "places",
    "policies",
    "table_shape",
    "table_options",
    "error",
    "stop",
    "options",
    "settings",
    "advice",
    "notes",
    "layout",
    "batch_transform",
    "batch_test_suite",
    "transforms",
    "unwind",
    "filters",
    "mismatches",
    "summary",
    "retry",
    "names",
    "pipeline",
    "load",
    "dead_letters",
    "promotion",
    "reload",
    "replication",
    "verify",
];
/// Parts of the engine that need each other, and why: an error names the options it is about.
const ENGINE_TOGETHER: [&str; 3] = ["error", "options", "settings"];

/// Circles that are there, by the files they go through, and why.
const CIRCLES: &[(&str, &[&str], &str)] = &[
    (
        "crates/zenith-arrow",
        &[
            "append", "map", "cast", "column", "document", "expected", "list", "overflow", "context", "seal",
            "twin",
        ],
        "documents hold documents, and what is written about them goes along",
    ),
    ("crates/zenith-bson", &["elements", "value"], "values hold elements"),
    ("crates/zenith-arrow", &["plain_text", "write"], "texts hold texts"),
    ("crates/zenith-arrow", &["census", "numbers"], "numbers are counted by the census they are part of"),
    (
        "crates/zenith-state",
        &["postgres", "sql", "history", "session", "values"],
        "a transaction of either database runs the statements of both",
    ),
    ("crates/zenith-memory", &["buffer", "pool"], "a buffer returns to the pool it is made by"),
    (
        "crates/zenith-extract",
        &["error", "namespace"],
        "an error names a namespace, and parsing one fails with an error",
    ),
    ("crates/zenith-extract", &["state", "event"], "a source in memory keeps its events"),
    ("crates/zenith-extract", &["dynamic", "dynamic_changes"], "one erased source of documents and changes"),
    ("crates/zenith-extract", &["input", "parts", "pieces", "survey"], "one file, read in two passes"),
    ("crates/zenith-extract", &["sample", "parts"], "a part samples itself"),
    (
        "crates/zenith-extract",
        &["authentication", "connection", "handshake"],
        "a connection begins with a conversation",
    ),
    ("crates/zenith-transport", &["frame", "send"], "frames are what is sent"),
    ("crates/zenith-transport", &["error", "target"], "an error names its target"),
    ("crates/zenith-transport", &["exchange", "in_flight"], "an exchange leaves its pages behind"),
    (
        "crates/zenith-transport",
        &["block", "compress", "packet", "query"],
        "packets hold blocks, blocks are compressed packets",
    ),
    (
        "crates/zenith-transport",
        &["catalog", "convert", "insert", "publish", "read", "sink"],
        "one sink, its methods by what they do",
    ),
    ("crates/zenith-testkit", &["fault_proxy", "pump"], "the proxy and its pumps share their state"),
    ("bins/zenith", &["build", "group"], "groups are built of what they keep"),
];

/// Files of a crate by their module path (`reload/plan`, empty for the crate itself), with what they import.
struct Modules {
    imports: BTreeMap<String, BTreeSet<String>>,
}

/// Checks every crate below `crates` and `bins`.
pub(super) fn check(root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    for folder in ["crates", "bins"] {
        for entry in fs::read_dir(root.join(folder)).into_iter().flatten().flatten() {
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            let modules = Modules::read(&entry.path().join("src"));
            findings.extend(modules.circles(&name));
            if name == "crates/zenith-engine" {
                findings.extend(modules.upward(&name));
            }
        }
    }
    findings
}

impl Modules {
    fn read(source: &Path) -> Modules {
        let mut texts = BTreeMap::new();
        collect(source, source, &mut texts);
        let mut shown = BTreeMap::new();
        for (module, text) in &texts {
            for (path, names) in uses(text, "pub") {
                let Some(target) = resolve(&texts, module, &path) else { continue };
                for name in names {
                    shown.insert((module.clone(), name), target.clone());
                }
            }
        }
        let imports = texts.iter().map(|(module, text)| {
            let mut imported = BTreeSet::new();
            for path in paths(text) {
                let Some(mut target) = resolve(&texts, module, &path) else { continue };
                let rest: Vec<&String> =
                    path.iter().filter(|part| !["crate", "super"].contains(&part.as_str())).collect();
                for name in rest {
                    while let Some(behind) =
                        shown.get(&(target.clone(), name.clone())).filter(|behind| **behind != target)
                    {
                        target.clone_from(behind);
                    }
                }
                let is_parent = target.is_empty() || module.starts_with(&format!("{target}/"));
                if target != *module && !is_parent {
                    imported.insert(target);
                }
            }
            (module.clone(), imported)
        });
        Modules { imports: imports.collect() }
    }

    /// Files that import each other, be it through others.
    fn circles(&self, name: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut told: BTreeSet<&str> = BTreeSet::new();
        for module in self.imports.keys() {
            if told.contains(module.as_str()) {
                continue;
            }
            let reached = self.reached(module);
            let circle: Vec<&str> = reached
                .iter()
                .copied()
                .filter(|other| *other == module || self.reached(other).contains(module.as_str()))
                .collect();
            if !circle.contains(&module.as_str()) {
                continue;
            }
            told.extend(&circle);
            let is_known = CIRCLES.iter().any(|(place, files, _)| {
                *place == name && circle.iter().all(|file| files.contains(&last(file)))
            }) || (name == "crates/zenith-engine"
                && circle.iter().all(|file| ENGINE_TOGETHER.contains(file)));
            if !is_known {
                let complaint = format!("these files import each other: {}", circle.join(", "));
                findings.push(Finding::at(format!("{name}/src"), complaint));
            }
        }
        findings
    }

    /// What a file imports, be it through others.
    fn reached(&self, module: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut left: Vec<&str> = vec![module];
        while let Some(module) = left.pop() {
            for other in self.imports.get(module).into_iter().flatten() {
                if reached.insert(other.as_str()) {
                    left.push(other);
                }
            }
        }
        reached
    }

    /// Imports against [`ENGINE_ORDER`].
    fn upward(&self, name: &str) -> Vec<Finding> {
        let rank = |module: &str| {
            let part = module.split('/').next().unwrap_or_default();
            ENGINE_ORDER.iter().position(|known| *known == part)
        };
        let mut findings = Vec::new();
        for (module, imported) in self.imports.iter().filter(|(module, _)| !module.is_empty()) {
            let place = format!("{name}/src/{module}.rs");
            let Some(own) = rank(module) else {
                findings
                    .push(Finding::at(place, "is not in the order of the engine's parts: add it to xtask"));
                continue;
            };
            for other in imported {
                let together = |file: &String| ENGINE_TOGETHER.contains(&file.as_str());
                if rank(other).is_some_and(|other| other > own) && !(together(module) && together(other)) {
                    let complaint =
                        format!("must not import {other}, which stands above it (see ARCHITECTURE.md)");
                    findings.push(Finding::at(place.clone(), complaint));
                }
            }
        }
        findings
    }
}

fn last(module: &str) -> &str {
    module.rsplit('/').next().unwrap_or(module)
}

/// The code of every file, without its tests, by module path.
fn collect(root: &Path, folder: &Path, texts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path: PathBuf = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "tests" && name != "bin" {
                collect(root, &path, texts);
            }
        } else if name.ends_with(".rs") && name != "tests.rs" && !name.ends_with("test_suite.rs") {
            let module = path.strip_prefix(root).unwrap_or(&path).with_extension("");
            let module = module.to_string_lossy().into_owned();
            let module = module.strip_suffix("/mod").map_or(module.clone(), str::to_owned);
            let module =
                if matches!(module.as_str(), "lib" | "main" | "mod") { String::new() } else { module };
            let code = without_text(&fs::read_to_string(&path).unwrap_or_default());
            let code = code.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
            texts.insert(module, code);
        }
    }
}

/// The module that a path of `module` leads into: the longest beginning of it that is a file.
fn resolve(texts: &BTreeMap<String, String>, module: &str, path: &[String]) -> Option<String> {
    let mut at: Vec<&str> = module.split('/').filter(|part| !part.is_empty()).collect();
    let mut rest = path;
    match path.first().map(String::as_str) {
        Some("crate") => {
            at.clear();
            rest = &path[1..];
        }
        Some("super") => {
            while rest.first().is_some_and(|part| part == "super") {
                at.pop();
                rest = &rest[1..];
            }
        }
        _ => {}
    }
    (0..=rest.len()).rev().find_map(|length| {
        let all: Vec<&str> = at.iter().copied().chain(rest[..length].iter().map(String::as_str)).collect();
        Some(all.join("/")).filter(|module| texts.contains_key(module))
    })
}

/// All paths that begin with `crate` or `super`, those in braces one by one.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back();
            if before
                .is_some_and(|character| character.is_alphanumeric() || character == '_' || character == ':')
            {
                continue;
            }
            expand(&text[at..], &mut Vec::new(), &mut found);
        }
    }
    found
}

/// `use` declarations with this visibility: the path, and the names it gives.
fn uses(text: &str, visibility: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("use ") {
        let line = text[..at].rsplit('\n').next().unwrap_or_default().trim();
        if !line.starts_with(visibility) {
            continue;
        }
        let mut all = Vec::new();
        expand(&text[at + 4..], &mut Vec::new(), &mut all);
        found.extend(all.into_iter().filter_map(|mut path| path.pop().map(|name| (path, vec![name]))));
    }
    found
}

/// Splits a path, and goes into braces. Returns how much of the text it was.
fn expand(text: &str, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let depth = before.len();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        if let Some(inner) = rest.strip_prefix('{') {
            let mut inside = at + 1;
            let mut left = inner;
            loop {
                let blank = left.len() - left.trim_start_matches([' ', '\n', ',']).len();
                inside += blank;
                left = &left[blank..];
                if left.is_empty() || left.starts_with('}') {
                    break;
                }
                let length = expand(left, before, found).max(1);
                inside += length;
                left = text.get(inside..).unwrap_or_default();
            }
            at = inside + 1;
            break;
        }
        let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if length == 0 {
            break;
        }
        before.push(rest[..length].to_owned());
        at += length;
        match text[at..].strip_prefix("::") {
            Some(_) => at += 2,
            None => {
                if let Some(renamed) = text[at..].strip_prefix(" as ") {
                    let name =
                        renamed.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(renamed.len());
                    at += 4 + name;
                }
                found.push(before.clone());
                break;
            }
        }
    }
    before.truncate(depth);
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(files: &[(&str, &str)]) -> Modules {
        let folder =
            std::env::temp_dir().join(format!("zenith-modules-{}-{}", std::process::id(), files.len()));
        let _ = fs::remove_dir_all(&folder);
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let modules = Modules::read(&folder);
        fs::remove_dir_all(&folder).unwrap();
        modules
    }

    #[test]
    fn circles_are_found_also_through_what_a_folder_shows() {
        let found = modules(&[
            ("lib.rs", "mod a;\nmod b;\npub use b::{Thing, other::Part};"),
            ("a.rs", "use crate::Thing;"),
            ("b/mod.rs", "mod other;\nmod thing;\npub use thing::Thing;"),
            ("b/thing.rs", "use super::other::Part;\nuse crate::a::{self, X};"),
            ("b/other.rs", "// use crate::a::X;\n#[cfg(test)]\nmod tests { use crate::a::X; }"),
        ]);
        assert!(found.imports["a"].contains("b/thing"), "{:?}", found.imports);
        let circles = found.circles("crates/x");
        assert_eq!(circles.len(), 1, "{circles:?}");
        assert!(circles[0].complaint.contains("a, b/thing"), "{circles:?}");
    }

    #[test]
    fn paths_in_braces_are_taken_one_by_one() {
        let found = paths("use crate::{a::B, c::{D as E, f}, G};\nfn x(y: super::z::W) {}");
        let joined: Vec<String> = found.iter().map(|path| path.join("::")).collect();
        assert_eq!(joined, ["crate::a::B", "crate::c::D", "crate::c::f", "crate::G", "super::z::W"]);
    }

    #[test]
    fn the_engine_imports_one_way() {
        let found = modules(&[
            ("lib.rs", ""),
            ("load/mod.rs", "use crate::reload::plan;"),
            ("reload/mod.rs", "use crate::load::run;"),
            ("other.rs", ""),
        ]);
        let upward = found.upward("crates/zenith-engine");
        assert_eq!(upward.len(), 2, "{upward:?}");
    }
}
