//! What each code means, as the book has it: `errors.md` beside this file is both its page and what `zenith explain` prints.

use super::Code;

/// The page.
const PAGE: &str = include_str!("errors.md");
/// What the part about a code begins with.
const HEAD: &str = "### ";

/// What a code means, why it comes and what to do, as Markdown; `None` if there is no such code.
pub fn explained(code: Code) -> Option<&'static str> {
    let (_, from) = PAGE.split_once(&format!("\n{HEAD}{code}\n"))?;
    let end = from.find("\n#").unwrap_or(from.len());
    Some(from[..end].trim())
}

/// All codes that are explained, in the order of the page.
pub fn codes() -> Vec<Code> {
    PAGE.lines().filter_map(|line| line.strip_prefix(HEAD)?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};
    use std::{env, fs};

    use super::*;

    /// Writes the page instead of comparing it.
    const WRITE: &str = "ZENITH_WRITE_DOCS";

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    #[test]
    fn the_page_of_the_book_is_that_of_the_command() {
        let path = root().join("docs/errors.md");
        if env::var_os(WRITE).is_some() {
            fs::write(&path, PAGE).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap();
        assert!(
            found == PAGE,
            "docs/errors.md is not up to date: {WRITE}=1 cargo test -p zenith-control --lib book"
        );
    }

    #[test]
    fn codes_are_explained_once_and_in_order_each_with_what_to_do() {
        let codes = codes();
        assert!(codes.is_sorted(), "{codes:?}");
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        for code in codes {
            let text = explained(code).unwrap();
            assert!(text.starts_with("**") && text.contains("\n\nWhat to do: "), "{code}: {text}");
            assert!(text.contains("\n\n> "), "{code} has no example: {text}");
        }
        assert_eq!(explained(Code::new(9999)), None);
    }

    /// Matches are exhaustive where each crate numbers its errors, so that no error is without a number.
    #[test]
    fn every_code_that_is_given_is_explained_and_no_other_is() {
        let files = [
            "zenith-extract/src/error_code.rs",
            "zenith-transport/src/error/code.rs",
            "zenith-state/src/error_code.rs",
            "zenith-engine/src/error/code.rs",
            "zenith-control/src/failure/code.rs",
            "zenith-server/src/error.rs",
        ];
        let mut given = BTreeSet::new();
        for file in files {
            let text = fs::read_to_string(root().join("crates").join(file)).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let numbers = code.flat_map(|line| line.split(|letter: char| !letter.is_ascii_digit()));
            let found: Vec<Code> = numbers.filter_map(|number| number.parse().ok()).collect();
            assert!(!found.is_empty(), "{file}");
            given.extend(found);
        }
        let explained: BTreeSet<Code> = codes().into_iter().collect();
        assert_eq!(given.difference(&explained).collect::<Vec<_>>(), Vec::<&Code>::new(), "not explained");
        assert_eq!(explained.difference(&given).collect::<Vec<_>>(), Vec::<&Code>::new(), "not given");
    }
}
