//! Every block of every page, run or read, and a line of how many there were.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use zenith_testkit::{Error, Result};

use super::pages::{self, Block, Mark, Page};
use super::parsed::Reader;
use super::session::Session;
use crate::Outcome;

/// How many blocks went which way.
#[derive(Default)]
struct Counts {
    run: usize,
    read: usize,
    text: usize,
    skipped: Vec<String>,
    failed: Vec<String>,
}

/// Tests the pages whose path has `only` in it, or all; the outcome is a failure if one block fails.
pub async fn run(only: Option<String>) -> Outcome {
    let zenith =
        std::env::var_os("ZENITH_BINARY").map_or_else(|| super::built("zenith"), |path| Ok(path.into()))?;
    let reader = Reader::start(&zenith).await?;
    let mut counts = Counts::default();
    for page in pages::all()? {
        if only.as_ref().is_none_or(|part| page.path.to_string_lossy().contains(part.as_str())) {
            test_page(&page, &reader, &zenith, &mut counts).await?;
        }
    }
    for (place, text) in configurations()? {
        counts.read += 1;
        if let Err(error) = reader.configuration(&text).await {
            counts.failed.push(format!("{place}: {error}"));
        }
    }
    for reason in &counts.skipped {
        println!("left out: {reason}");
    }
    for failure in &counts.failed {
        eprintln!("\n{failure}");
    }
    println!("{} blocks run on servers, {} read, {} only text", counts.run, counts.read, counts.text);
    println!(
        "{} passed, {} failed, {} skipped",
        counts.run + counts.read - counts.failed.len(),
        counts.failed.len(),
        counts.skipped.len()
    );
    Ok(if counts.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Configurations that are no blocks of pages: that of the chart, and that of the package for Debian.
fn configurations() -> Result<[(&'static str, String); 2]> {
    const CHART: &str = "docker/helm/zenith/values.yaml";
    const PACKAGE: &str = "packaging/debian/zenith.toml";
    let root = crate::workspace_root();
    let read = |path: &str| fs::read_to_string(root.join(path)).map_err(Error::path("read", Path::new(path)));
    let values = read(CHART)?;
    let indented = values.lines().skip_while(|&line| line != "config: |").skip(1);
    let config = indented.take_while(|line| line.is_empty() || line.starts_with("  ")).map(str::trim_start);
    Ok([(CHART, config.collect::<Vec<_>>().join("\n")), (PACKAGE, read(PACKAGE)?)])
}

async fn test_page(page: &Page, reader: &Reader, zenith: &Path, counts: &mut Counts) -> Result<()> {
    let blocks = pages::blocks(&page.text)?;
    let runs = |block: &Block| matches!(block.mark, Some(Mark::Run | Mark::Background | Mark::Retry));
    let mut session = if blocks.iter().any(runs) { Some(Session::start(zenith).await?) } else { None };
    let mut is_broken = false;
    for (number, block) in blocks.iter().enumerate() {
        let place = format!("{}:{}", page.path.display(), block.line);
        let next = blocks.get(number + 1).filter(|block| block.mark == Some(Mark::Output));
        let outcome = match (&block.mark, &mut session) {
            (Some(Mark::Skip(reason)), _) => {
                counts.skipped.push(format!("{place}: {reason}"));
                continue;
            }
            // What comes after a block that failed cannot be judged.
            (Some(mark), _) if is_broken && !matches!(mark, Mark::File(_)) => continue,
            (Some(Mark::Run), Some(session)) => session.run(&block.text).await,
            (Some(Mark::Background), Some(session)) => session.run_in_background(&block.text).await,
            (Some(Mark::Retry), Some(session)) => {
                session.run_until(&block.text, next.map_or("", |next| &next.text)).await
            }
            (Some(Mark::Output), Some(session)) => session.expect(&block.text),
            (Some(Mark::File(name)), Some(session)) => session.keep(name, &block.text),
            (Some(mark), None) => Err(Error::Malformed(format!("{mark:?} without a block that is run"))),
            (None, _) => match reader.read(block).await {
                Some(outcome) => {
                    counts.read += 1;
                    outcome
                }
                None => {
                    counts.text += 1;
                    continue;
                }
            },
        };
        counts.run += usize::from(block.mark.is_some());
        if let Err(error) = outcome {
            is_broken |= block.mark.is_some();
            counts.failed.push(format!("{place}: {error}\n{}", block.text));
        }
    }
    Ok(())
}
