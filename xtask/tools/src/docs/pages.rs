//! The pages of the project and the blocks of code in them.
//!
//! A mark before a block says what a test does with it: `<!-- test: run -->`. Without one, the language decides.

use std::fs;
use std::path::{Path, PathBuf};

use zenith_testkit::{Error, Result};

/// A page of the project.
pub struct Page {
    /// Its path from the root of the workspace.
    pub path: PathBuf,
    pub text: String,
}

/// What a mark asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Bash runs the block, on real servers.
    Run,
    /// The same, until the end of the page.
    Background,
    /// The same, until its output is the one that follows.
    Retry,
    /// The lines are part of what the block before has printed.
    Output,
    /// The block is the content of this file.
    File(String),
    /// Nothing, for this reason.
    Skip(String),
}

/// A block of code between two fences.
#[derive(Clone, Debug)]
pub struct Block {
    /// The line of its first fence, counted from 1.
    pub line: usize,
    pub language: String,
    pub mark: Option<Mark>,
    pub text: String,
}

/// README.md, README.uz.md and everything in `docs`, in order.
pub fn all() -> Result<Vec<Page>> {
    let root = crate::workspace_root();
    let mut paths = Vec::new();
    collect(&root, Path::new("docs"), &mut paths)?;
    paths.sort();
    let readmes = ["README.md", "README.uz.md"].map(PathBuf::from);
    let paths = readmes.into_iter().chain(paths);
    paths
        .map(|path| {
            let text = fs::read_to_string(root.join(&path)).map_err(Error::path("read", &path))?;
            Ok(Page { path, text })
        })
        .collect()
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let place = root.join(folder);
    for item in fs::read_dir(&place).map_err(Error::path("list", &place))? {
        let path = folder.join(item.map_err(Error::path("list", &place))?.file_name());
        if root.join(&path).is_dir() {
            collect(root, &path, found)?;
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
    Ok(())
}

/// The blocks of a page, in order; a mark that means nothing is an error.
pub fn blocks(page: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut mark = None;
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let text = line.trim_start();
        if let Some(said) = text.strip_prefix("<!-- test: ") {
            mark = Some(read_mark(said.trim_end().trim_end_matches("-->").trim())?);
        } else if let Some(info) = text.strip_prefix("```") {
            let indent = line.len() - text.len();
            let body = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
            let body: String =
                body.map(|line| line.get(indent..).unwrap_or_default().to_owned() + "\n").collect();
            let language = info.split([' ', ',']).next().unwrap_or_default().to_owned();
            blocks.push(Block { line: number + 1, language, mark: mark.take(), text: body });
        } else if !text.is_empty() {
            mark = None;
        }
    }
    Ok(blocks)
}

fn read_mark(said: &str) -> Result<Mark> {
    Ok(match said.split_once(' ').map_or((said, ""), |(word, rest)| (word, rest.trim())) {
        ("run", "") => Mark::Run,
        ("run", "background") => Mark::Background,
        ("run", "retry") => Mark::Retry,
        ("output", "") => Mark::Output,
        ("file", name) if !name.is_empty() => Mark::File(name.to_owned()),
        ("skip", reason) if !reason.is_empty() => Mark::Skip(reason.to_owned()),
        _ => return Err(Error::Malformed(format!("no mark of a block: test: {said}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_their_language_place_and_mark() {
        let page = "# A\n\n<!-- test: run retry -->\n```sh\nzenith status\n```\n\n- b\n\n  ```toml\n  [a]\n    b = 1\n  ```\n<!-- test: skip no server -->\nwords\n```sql\n```\n";
        let blocks = blocks(page).unwrap();
        let told: Vec<_> = blocks
            .iter()
            .map(|block| (block.line, block.language.as_str(), block.mark.clone(), block.text.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (4, "sh", Some(Mark::Retry), "zenith status\n"),
                (10, "toml", None, "[a]\n  b = 1\n"),
                (16, "sql", None, ""),
            ]
        );
    }

    #[test]
    fn a_mark_that_means_nothing_is_told() {
        assert!(blocks("<!-- test: runs -->\n```sh\n```\n").is_err());
        assert!(blocks("<!-- test: skip -->\n```sh\n```\n").is_err());
    }
}
