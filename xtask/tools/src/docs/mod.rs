//! `cargo xtask book` and `cargo xtask test-docs`: the pages, as a book, and held to what is true.
//!
//! [`pages`] finds them and the blocks in them, [`links`] follows their links, [`book`] has mdBook make a book of them.
//! [`tested`] runs or reads every block: [`session`] runs those that are marked, [`parsed`] has the others read by the
//! program they are for.

mod book;
mod links;
mod pages;
mod parsed;
mod session;
mod tested;

use std::path::PathBuf;
use std::process::ExitCode;

use zenith_testkit::{Error, Result};

use crate::Outcome;

/// Makes the book in `target/book/html` and follows every link of the pages and of the book.
pub fn run_book() -> Outcome {
    let pages = pages::all()?;
    let mut broken = links::of_pages(&pages)?;
    let html = book::build(&pages)?;
    broken.extend(links::of_book(&html)?);
    for link in &broken {
        eprintln!("{link}");
    }
    if !broken.is_empty() {
        return Err(format!("{} links lead nowhere", broken.len()).into());
    }
    println!("The book is in {}; every link of it leads somewhere", html.display());
    Ok(ExitCode::SUCCESS)
}

/// Runs or reads every block of the pages; `only` is a part of the names of the pages that are wanted.
pub async fn run_tests(only: Option<String>) -> Outcome {
    tested::run(only).await
}

/// A program that was built beside this one.
fn built(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().map_err(Error::io("find this program"))?;
    Ok(own.with_file_name(name))
}
