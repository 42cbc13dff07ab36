//! What every source file must have and must not have.

use std::fs;
use std::path::{Path, PathBuf};

use super::code::{without_text, words};
use super::{Finding, functions};
use crate::{Result, cannot};

/// Longest a file may be, in lines.
pub(super) const LINES_MAX: usize = 500;
/// Files that may be longer until somebody splits them, with their length. A ratchet: lengths only go down, and no file
/// is added.
const LONG_FILES: &[(&str, usize)] = &[];

/// The only places with `unsafe`.
const UNSAFE_PLACES: [&str; 4] = [
    "crates/zenith-memory/",
    "crates/zenith-transport/src/send/",
    "crates/zenith-transport/src/send.rs",
    "crates/zenith-testkit/src/bin/zenith-server-host.rs",
];

/// Words that must not occur in identifiers below a path, in lower case, and why.
const FOREIGN_WORDS: [(&str, &str, &str); 3] = [
    ("crates/zenith-extract/src/", "clickhouse", "only zenith-engine knows both ends"),
    ("crates/zenith-transport/src/", "bson", "only zenith-engine knows both ends"),
    ("crates/zenith-state/src/", "bson", "positions are opaque bytes to the state store"),
];

/// Unfinished work and tests that do not run.
const UNFINISHED: [&str; 3] = ["todo!", "unimplemented!", "#[ignore"];

/// Checks every Rust file of the workspace.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in rust_files(root)? {
        let source = fs::read_to_string(&file).map_err(cannot("read", &file))?;
        check_file(file.strip_prefix(root).unwrap_or(&file), &source, &mut findings);
    }
    Ok(findings)
}

fn check_file(file: &Path, source: &str, findings: &mut Vec<Finding>) {
    let path = file.to_string_lossy();
    if !source.starts_with("//!") {
        findings.push(Finding::in_line(file, 1, "must open with //! saying what the file is for"));
    }
    let length = source.lines().count();
    let allowed = LONG_FILES.iter().find(|(long, _)| *long == path).map_or(LINES_MAX, |&(_, lines)| lines);
    if length > allowed {
        let complaint = format!("has {length} lines, {allowed} are allowed: split it by its ideas");
        findings.push(Finding::at(path.clone(), complaint));
    }
    let code = without_text(source);
    functions::check(file, &code, findings);
    let lines: Vec<&str> = source.lines().collect();
    for (index, line) in code.lines().enumerate() {
        let mut complain = |complaint: String| findings.push(Finding::in_line(file, index + 1, complaint));
        if words(line).any(|word| word == "unsafe") {
            if !UNSAFE_PLACES.iter().any(|place| path.starts_with(place)) {
                complain(
                    "unsafe is for zenith-memory, zenith-transport's send module and the server host"
                        .to_owned(),
                );
            }
            if needs_justification(line) && !is_justified(&lines[..=index]) {
                complain("unsafe needs a // SAFETY: line before it".to_owned());
            }
        }
        for (place, foreign, why) in FOREIGN_WORDS {
            if path.starts_with(place) && words(line).any(|word| word.to_lowercase().contains(foreign)) {
                complain(format!("names {foreign:?}, but {why}"));
            }
        }
        let dense: String = line.split_whitespace().collect();
        for unfinished in UNFINISHED.iter().filter(|unfinished| dense.contains(**unfinished)) {
            complain(format!("contains {unfinished}"));
        }
    }
}

/// Blocks and implementations claim that something holds; functions and foreign declarations demand it.
fn needs_justification(line: &str) -> bool {
    let dense = line.split_whitespace().collect::<Vec<_>>().join(" ");
    dense.contains("unsafe {")
        || dense.contains("unsafe{")
        || dense.contains("unsafe impl")
        || dense.ends_with("unsafe")
}

/// Whether the last line, the comment before it, or the comment before the statement it belongs to says why.
fn is_justified(lines: &[&str]) -> bool {
    let Some((last, before)) = lines.split_last() else { return false };
    let mut statement_lines = 0;
    for line in std::iter::once(last).chain(before.iter().rev()) {
        if line.contains("SAFETY:") {
            return true;
        }
        let text = line.trim();
        if !text.starts_with("//") && !text.starts_with("#[") {
            statement_lines += 1;
            // A statement that began further up, or another one: its reasons are not those of this one.
            if statement_lines > 3 || (statement_lines > 1 && text.ends_with([';', '}'])) {
                return false;
            }
        }
    }
    false
}

/// All Rust files below the root except those cargo makes, in order.
fn rust_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(&folder).map_err(cannot("list", &folder))? {
            let item = item.map_err(cannot("list", &folder))?;
            let (path, name) = (item.path(), item.file_name());
            let kind = item.file_type().map_err(cannot("look at", &path))?;
            if kind.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, source: &str) -> usize {
        let mut findings = Vec::new();
        check_file(Path::new(path), source, &mut findings);
        findings.len()
    }

    #[test]
    fn opening_length_and_unfinished_work() {
        assert_eq!(complaints("a.rs", "//! For x.\nfn a() {}\n"), 0);
        assert_eq!(complaints("a.rs", "fn a() {}\n"), 1);
        assert_eq!(complaints("a.rs", &format!("//! x\n{}", "\n".repeat(500))), 1);
        assert_eq!(complaints("a.rs", "//! x\nfn a() { todo!() } // todo!\n#[ignore = \"slow\"]\n"), 2);
    }

    #[test]
    fn unsafe_has_its_places_and_its_reasons() {
        let reasoned = "//! x\n// SAFETY: y\n// and z\nlet a =\n    unsafe { b() };\n";
        assert_eq!(complaints("crates/zenith-memory/src/a.rs", reasoned), 0);
        assert_eq!(complaints("crates/zenith-arrow/src/a.rs", reasoned), 1);
        let reason_of_another = "//! x\n// SAFETY: y\nlet a = unsafe { b() };\nlet c = unsafe { d() };\n";
        assert_eq!(complaints("crates/zenith-memory/src/a.rs", reason_of_another), 1);
        assert_eq!(complaints("crates/zenith-memory/src/a.rs", "//! x\nunsafe extern \"C\" {}\n"), 0);
        assert_eq!(complaints("crates/zenith-arrow/src/a.rs", "//! x\n#![deny(unsafe_code)] // unsafe\n"), 0);
    }

    #[test]
    fn neither_end_names_the_other() {
        let source = "//! Not for ClickHouse.\nstruct ClickHouseThing; // ClickHouse\nconst A: &str = \"ClickHouse\";\n";
        assert_eq!(complaints("crates/zenith-extract/src/a.rs", source), 1);
        assert_eq!(complaints("crates/zenith-transport/src/a.rs", source), 0);
        assert_eq!(complaints("crates/zenith-transport/src/a.rs", "//! x\nuse bson::Document;\n"), 1);
    }
}
