//! The book: the pages of `docs`, with those of the root that it takes in, made by mdBook.
//!
//! mdBook gets a copy in which links to pages of the root lead to their copies. A link to something that is not part of
//! the book, such as a file of the sources, becomes its text.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use zenith_testkit::services::tools;
use zenith_testkit::{Error, Result};

use super::links::{in_text, is_local, plain};
use super::pages::Page;

/// Pages outside of `docs` that are chapters, and what they are called there.
const CHAPTERS: [(&str, &str); 3] = [
    ("ARCHITECTURE.md", "docs/architecture.md"),
    ("CONTRIBUTING.md", "docs/contributing.md"),
    ("CHANGELOG.md", "docs/changelog.md"),
];

/// Makes the book; the folder of its pages.
pub fn build(pages: &[Page]) -> Result<PathBuf> {
    let root = crate::workspace_root();
    let place = root.join("target/book");
    if place.exists() {
        fs::remove_dir_all(&place).map_err(Error::path("remove", &place))?;
    }
    copy_others(&root.join("docs"), &place.join("src"))?;
    for page in pages.iter().filter(|page| page.path.starts_with("docs")) {
        write(&place, &page.path, &page.text)?;
    }
    for (from, to) in CHAPTERS {
        let text = fs::read_to_string(root.join(from)).map_err(Error::path("read", Path::new(from)))?;
        write(&place, Path::new(to), &with_links(&text, Path::new(from), Path::new(to)))?;
    }
    let settings = fs::read_to_string(root.join("docs/book.toml")).map_err(Error::path("read", &place))?;
    fs::write(place.join("book.toml"), settings.replace("src = \".\"", "src = \"src\""))
        .map_err(Error::path("write", &place))?;
    let output =
        Command::new(tools::mdbook()?).args(["build", "--dest-dir", "html"]).current_dir(&place).output();
    let output = output.map_err(Error::io("run mdbook"))?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || complaints.contains("WARN") {
        return Err(Error::Malformed(format!("mdbook is not content:\n{complaints}")));
    }
    Ok(place.join("html"))
}

fn write(place: &Path, path: &Path, text: &str) -> Result<()> {
    let file = in_book(path).unwrap_or_else(|| path.to_owned());
    let file = place.join("src").join(file);
    let folder = file.parent().unwrap_or(place);
    fs::create_dir_all(folder).map_err(Error::path("create", folder))?;
    fs::write(&file, with_links(text, path, path)).map_err(Error::path("write", &file))
}

/// The place in the book of a path of the repository; none for what is not part of it.
fn in_book(path: &Path) -> Option<PathBuf> {
    let chapter = CHAPTERS.iter().find(|(from, _)| Path::new(from) == path).map(|(_, to)| Path::new(to));
    // The page that introduces the command is about what the book's first page is about.
    let path = if path == Path::new("README.md") { Path::new("docs/README.md") } else { path };
    let inside = chapter.unwrap_or(path).strip_prefix("docs").ok()?;
    let is_page = inside.extension().is_some_and(|end| end == "md");
    let is_index = is_page && inside.file_name().is_some_and(|name| name == "README.md");
    Some(if is_index { inside.with_file_name("index.md") } else { inside.to_owned() })
}

/// A page of the path `from` with the links that it has as `to` of the book.
fn with_links(text: &str, from: &Path, to: &Path) -> String {
    let root = crate::workspace_root();
    let mut made = text.to_owned();
    for link in
        in_text(text).iter().rev().filter(|link| is_local(link.target) && !link.target.starts_with('#'))
    {
        let (path, place) =
            link.target.split_once('#').map_or((link.target, None), |(path, place)| (path, Some(place)));
        let target = plain(&from.parent().unwrap_or(Path::new("")).join(path));
        let target = if root.join(&target).is_dir() { target.join("README.md") } else { target };
        if let Some(inside) = in_book(&target).filter(|_| root.join(&target).is_file()) {
            let folder = in_book(to).and_then(|page| Some(page.parent()?.components().count())).unwrap_or(0);
            let place = place.map(|place| format!("#{place}")).unwrap_or_default();
            made.replace_range(
                link.from..link.to,
                &format!("{}{}{place}", "../".repeat(folder), inside.display()),
            );
        } else if let Some(begin) = text[..link.from].rfind('[') {
            made.replace_range(begin..link.to + 1, &text[begin + 1..link.from - 2]);
        }
    }
    made
}

/// Drawings and other files that pages show.
fn copy_others(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(Error::path("create", to))?;
    for item in fs::read_dir(from).map_err(Error::path("list", from))? {
        let path = item.map_err(Error::path("list", from))?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            copy_others(&path, &to.join(name))?;
        } else if path.extension().is_none_or(|end| end != "md") && name != "book.toml" {
            fs::copy(&path, to.join(name)).map_err(Error::path("copy", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_where_pages_are_in_the_book() {
        let links = |text: &str, page: &str| with_links(text, Path::new(page), Path::new(page));
        assert_eq!(links("[a](types.md#dates)", "docs/operations.md"), "[a](types.md#dates)");
        assert_eq!(links("[a](../ARCHITECTURE.md)", "docs/types.md"), "[a](architecture.md)");
        assert_eq!(links("[a](../../README.md)", "docs/decisions/README.md"), "[a](../index.md)");
        assert_eq!(links("[a](decisions/README.md)", "docs/types.md"), "[a](decisions/index.md)");
        assert_eq!(links("[a](../Cargo.toml), b", "docs/types.md"), "a, b");
        assert_eq!(links("[a](#b)", "docs/types.md"), "[a](#b)");
    }
}
