//! What every file of the page must have: a first line that says what it is for, and no more lines than a file of code.

use std::fs;
use std::path::Path;

use super::Finding;
use super::sources::LINES_MAX;
use crate::{Result, cannot};

/// Folders with scripts and stylesheets of ours.
const FOLDERS: [&str; 2] = ["crates/zenith-server/assets", "crates/zenith-server/browser"];
/// Folders in them that others have written.
const FOREIGN: [&str; 2] = ["vendor", "node_modules"];
/// How files begin, by the end of their names.
const OPENINGS: [(&str, &str); 3] = [("js", "// "), ("mjs", "// "), ("css", "/* ")];

/// Checks all of them.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for folder in FOLDERS {
        look(root, &root.join(folder), &mut findings)?;
    }
    Ok(findings)
}

fn look(root: &Path, folder: &Path, findings: &mut Vec<Finding>) -> Result<()> {
    for item in fs::read_dir(folder).map_err(cannot("list", folder))? {
        let path = item.map_err(cannot("list", folder))?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && !FOREIGN.iter().any(|foreign| name == *foreign) {
            look(root, &path, findings)?;
        }
        let opening = OPENINGS.iter().find(|(end, _)| path.extension().is_some_and(|found| found == *end));
        if let Some((_, opening)) = opening.filter(|_| path.is_file()) {
            let text = fs::read_to_string(&path).map_err(cannot("read", &path))?;
            check_file(path.strip_prefix(root).unwrap_or(&path), &text, opening, findings);
        }
    }
    Ok(())
}

fn check_file(file: &Path, text: &str, opening: &str, findings: &mut Vec<Finding>) {
    if !text.starts_with(opening) {
        findings.push(Finding::in_line(
            file,
            1,
            format!("must open with {opening}saying what the file is for"),
        ));
    }
    let length = text.lines().count();
    if length > LINES_MAX {
        let complaint = format!("has {length} lines, {LINES_MAX} are allowed: split it by its ideas");
        findings.push(Finding::at(file.to_string_lossy(), complaint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_open_with_their_purpose_and_are_short() {
        let complaints = |text: &str| {
            let mut findings = Vec::new();
            check_file(Path::new("a.js"), text, "// ", &mut findings);
            findings.len()
        };
        assert_eq!(complaints("// For x.\nexport {};\n"), 0);
        assert_eq!(complaints("export {};\n"), 1);
        assert_eq!(complaints(&format!("// x\n{}", "\n".repeat(500))), 1);
    }
}
