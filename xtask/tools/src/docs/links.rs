//! Links of pages and of the book: each has to lead to a file and, behind `#`, to a place in it.
//!
//! Links to other hosts are left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use zenith_testkit::{Error, Result};

use super::pages::Page;

/// A link of a page.
pub struct Link<'a> {
    /// Where the target begins in the text, and where it ends.
    pub from: usize,
    pub to: usize,
    pub target: &'a str,
}

/// The links `[…](target)` of a text, apart from those in code.
pub fn in_text(text: &str) -> Vec<Link<'_>> {
    let mut links = Vec::new();
    let mut fenced = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let is_fence = line.trim_start().starts_with("```");
        if !fenced && !is_fence {
            let mut at = 0;
            while let Some(found) = line[at..].find("](") {
                let from = at + found + 2;
                let to = line[from..].find(')').map_or(line.len(), |end| from + end);
                if line[..from].matches('`').count() % 2 == 0 {
                    links.push(Link { from: start + from, to: start + to, target: &line[from..to] });
                }
                at = to;
            }
        }
        fenced ^= is_fence;
        start += line.len();
    }
    links
}

/// Whether a target is of this project.
pub fn is_local(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:")
}

/// A path without `.` and `..`.
pub fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Broken links of the pages as they lie in the repository.
pub fn of_pages(pages: &[Page]) -> Result<Vec<String>> {
    let root = crate::workspace_root();
    let mut headings: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    let mut broken = Vec::new();
    let more = ["ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from);
    let more = more.into_iter().map(|path| {
        let text = fs::read_to_string(root.join(&path)).map_err(Error::path("read", &path))?;
        Ok(Page { path, text })
    });
    let more = more.collect::<Result<Vec<_>>>()?;
    for page in pages.iter().chain(&more) {
        headings.insert(page.path.clone(), anchors(&page.text));
    }
    for page in pages.iter().chain(&more) {
        for link in in_text(&page.text).iter().filter(|link| is_local(link.target)) {
            let (path, place) = link.target.split_once('#').unwrap_or((link.target, ""));
            let folder = page.path.parent().unwrap_or(Path::new(""));
            let file = if path.is_empty() { page.path.clone() } else { plain(&folder.join(path)) };
            let place_is_there =
                place.is_empty() || headings.get(&file).is_none_or(|places| places.contains(place));
            if !root.join(&file).exists() || !place_is_there {
                broken.push(format!("{}: {}", page.path.display(), link.target));
            }
        }
    }
    Ok(broken)
}

/// The places of a page that a link can name.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if let Some(title) = line.strip_prefix('#').filter(|_| !fenced) {
            let name = slug(title.trim_start_matches('#').trim());
            let free =
                (0..).map(|number| if number == 0 { name.clone() } else { format!("{name}-{number}") });
            anchors.extend(free.into_iter().find(|name| !anchors.contains(name)));
        }
        if let Some((_, id)) = line.split_once("<a id=\"") {
            anchors.extend(id.split('"').next().map(str::to_owned));
        }
    }
    anchors
}

/// The name that a heading gets.
fn slug(title: &str) -> String {
    let kept = title.chars().filter(|&letter| letter.is_alphanumeric() || " -_".contains(letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect::<String>().to_lowercase()
}

/// Broken links of the book's pages.
pub fn of_book(html: &Path) -> Result<Vec<String>> {
    let mut texts = BTreeMap::new();
    read(html, Path::new(""), &mut texts)?;
    let mut broken = Vec::new();
    for (page, text) in &texts {
        // It shows the page that comes first, from wherever it is asked for.
        if page == Path::new("404.html") {
            continue;
        }
        for target in ["href=\"", "src=\""].iter().flat_map(|mark| values(text, mark)) {
            let target = target.replace("&amp;", "&");
            if !is_local(&target) || target.starts_with("javascript:") || target.starts_with("data:") {
                continue;
            }
            let (path, place) = target.split_once('#').unwrap_or((&target, ""));
            let folder = page.parent().unwrap_or(Path::new(""));
            let file = if path.is_empty() { page.clone() } else { plain(&folder.join(path)) };
            let is_there = match texts.get(&file) {
                Some(other) => place.is_empty() || values(other, "id=\"").any(|id| id == place),
                None => html.join(&file).is_file(),
            };
            if !is_there {
                broken.push(format!("{} of the book: {target}", page.display()));
            }
        }
    }
    Ok(broken)
}

/// What stands between a mark and the next quotation mark.
fn values<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(mark).skip(1).filter_map(|rest| rest.split('"').next())
}

fn read(root: &Path, folder: &Path, texts: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    let place = root.join(folder);
    for item in fs::read_dir(&place).map_err(Error::path("list", &place))? {
        let path = folder.join(item.map_err(Error::path("list", &place))?.file_name());
        if root.join(&path).is_dir() {
            read(root, &path, texts)?;
        } else if path.extension().is_some_and(|end| end == "html") {
            let text = fs::read_to_string(root.join(&path)).map_err(Error::path("read", &path))?;
            texts.insert(path, text);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_those_outside_of_code() {
        let text = "a [b](c.md#d), `[x](y)`\n```\n[e](f)\n```\n[g](https://h)\n";
        let targets: Vec<_> = in_text(text).iter().map(|link| &text[link.from..link.to]).collect();
        assert_eq!(targets, ["c.md#d", "https://h"]);
        assert!(is_local("c.md#d") && !is_local("https://h"));
    }

    #[test]
    fn headings_have_the_names_that_links_use() {
        let page =
            "# `[pipelines.NAME]`\n## What you see\n<a id=\"old\"></a>\n## What you see\n```\n# no\n```\n";
        let expected = ["old", "pipelinesname", "what-you-see", "what-you-see-1"];
        assert_eq!(anchors(page).iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn paths_are_followed_upwards() {
        assert_eq!(plain(Path::new("docs/guides/../types.md")), Path::new("docs/types.md"));
    }
}
