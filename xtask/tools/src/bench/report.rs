//! `cargo xtask bench report`: puts what was measured into `docs/benchmarks/README.md`, between marks.
//!
//! Numbers in that page are never typed: a table that has no JSON file says which command makes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::de::DeserializeOwned;
use zenith_testkit::{Error, Result};

use super::{cdc, e2e, flat, kept, peers, results};
use crate::Outcome;

/// Where the page is.
#[derive(Args)]
#[command(after_help = "\
Example:
  cargo xtask bench e2e --json docs/benchmarks/e2e.json && cargo xtask bench report")]
pub struct Arguments {
    /// Folder with README.md and the JSON files [default: docs/benchmarks]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Fail if the page is not what the JSON files say, instead of writing it
    #[arg(long)]
    check: bool,
}

/// Fills the page.
pub fn run(arguments: &Arguments) -> Outcome {
    let folder = arguments.folder.clone().unwrap_or_else(results);
    let page = folder.join("README.md");
    let before = fs::read_to_string(&page).map_err(Error::path("read", &page))?;
    let mut text = before.clone();
    for (mark, section) in sections(&folder)? {
        text = filled(&text, mark, &section)?;
    }
    if text == before {
        eprintln!("{} is up to date", page.display());
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.check {
        eprintln!("{} is out of date: run cargo xtask bench report", page.display());
        return Ok(ExitCode::FAILURE);
    }
    fs::write(&page, text).map_err(Error::path("write", &page))?;
    eprintln!("{} written", page.display());
    Ok(ExitCode::SUCCESS)
}

/// The marks of the page and what belongs between them. A mark is the name of the JSON file, too.
fn sections(folder: &Path) -> Result<Vec<(&'static str, String)>> {
    let e2e = |report: &e2e::Report| {
        let (copies, floor) = (report.copies().markdown(), report.floor().markdown());
        format!("{}\n\n{copies}\n{floor}{}", report.sentence(), report.failures())
    };
    let flat =
        |report: &flat::Report| format!("{}.\n\n{}", report.machine.sentence(), report.table().markdown());
    let cdc = |report: &cdc::Report| {
        let (table, bars) = (report.table().markdown(), report.histogram());
        format!("{}.\n\n{table}\n```text\n{bars}```\n", report.machine.sentence())
    };
    let peers = |report: &peers::Report| format!("{}.\n\n{}", report.machine.sentence(), report.markdown());
    Ok(vec![
        ("e2e", section(folder, "e2e", "e2e --json docs/benchmarks/e2e.json", e2e)?),
        (
            "e2e-native",
            section(folder, "e2e-native", "e2e --to native --json docs/benchmarks/e2e-native.json", e2e)?,
        ),
        ("flat", section(folder, "flat", "flat --json docs/benchmarks/flat.json", flat)?),
        ("cdc", section(folder, "cdc", "cdc --json docs/benchmarks/cdc.json", cdc)?),
        ("peers", section(folder, "peers", "peers", peers)?),
    ])
}

/// The text for one kind of result, or how to get it.
fn section<T: DeserializeOwned>(
    folder: &Path,
    name: &str,
    how: &str,
    write: impl FnOnce(&T) -> String,
) -> Result<String> {
    let file = folder.join(format!("{name}.json"));
    if !file.exists() {
        return Ok(format!(
            "Not measured yet: `cargo xtask bench {how}`, then `cargo xtask bench report`.\n"
        ));
    }
    Ok(write(&kept(&file)?))
}

/// Replaces what stands between `<!-- bench:MARK -->` and `<!-- /bench:MARK -->`.
fn filled(page: &str, mark: &str, section: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- bench:{mark} -->"), format!("<!-- /bench:{mark} -->"));
    let missing = || Error::Malformed(format!("the page has no {begin} … {end}"));
    let (before, rest) = page.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!("{before}{begin}\n\n{}\n\n{end}{after}", section.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let page = "# A\n<!-- bench:x -->old<!-- /bench:x -->\n<!-- bench:y -->\n<!-- /bench:y -->\nend\n";
        let once = filled(page, "x", "new\n").unwrap();
        assert_eq!(
            once,
            "# A\n<!-- bench:x -->\n\nnew\n\n<!-- /bench:x -->\n<!-- bench:y -->\n<!-- /bench:y -->\nend\n"
        );
        assert_eq!(filled(&once, "x", "new\n").unwrap(), once);
        assert!(filled(page, "z", "new").is_err());
    }

    #[test]
    fn the_page_has_all_marks() {
        let page = fs::read_to_string(results().join("README.md")).unwrap();
        for (mark, section) in sections(&results()).unwrap() {
            filled(&page, mark, &section).unwrap();
        }
    }
}
