//! `zenith verify`: a collection and its table compared.

use std::collections::BTreeMap;
use std::process::ExitCode;

use indicatif::HumanCount;
use serde::Serialize;
use zenith_engine::{EngineError, Sink as _, ValueDifference, Verification, VerifyOptions};

use super::something_applied;
use crate::args::Verify;
use crate::exit::{self, Ending, Failure};
use crate::progress::say;
use crate::signals::Signals;
use crate::terminal::{print, print_json};
use zenith_control::connect;
use zenith_control::mismatches::{self, counted, totals};
use zenith_control::state::Places;
use zenith_control::text::Paint;

/// The code for "different".
const DIFFERENT: u8 = 1;

#[derive(Serialize)]
struct VerificationJson<'a> {
    equal: bool,
    collection: String,
    table: &'a str,
    source_rows: u64,
    target_rows: u64,
    missing_count: u64,
    surplus_count: u64,
    differing_count: u64,
    missing: &'a [String],
    surplus: &'a [String],
    differing: Vec<&'a str>,
    differences: Vec<DifferenceJson<'a>>,
    extra_values: &'a BTreeMap<String, BTreeMap<String, u64>>,
    dead_letters: u64,
    dead_letters_by_reason: &'a BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct DifferenceJson<'a> {
    id: &'a str,
    path: &'a str,
    source: &'a str,
    target: &'a str,
}

pub async fn run(arguments: &Verify) -> Ending {
    let places = Places::find(&arguments.place)?;
    let store = places.look().await?;
    let config = something_applied(&store).await?.config().map_err(Failure::Input)?;
    let name = &arguments.name;
    connect::pipeline(&config, name)?;
    let signals =
        Signals::catch().map_err(|error| Failure::Failed(format!("cannot catch signals: {error}")))?;
    let single = connect::single(&config, name, store, &connect::pool(None, &places)?).await?;
    signals.stop(single.keeper.stop_handle());
    let options = VerifyOptions { sample: arguments.sample, ids_shown: arguments.ids };
    let found = match single.keeper.verify(name, options).await {
        Ok(found) => found,
        Err(EngineError::Stopped) => {
            say("zenith: stopped");
            return Ok(ExitCode::from(exit::STOPPED));
        }
        Err(error) => return Err(error.into()),
    };
    let collection = single.namespace.to_string();
    if arguments.json {
        print_json(&json(&found, collection, &single.table));
    } else {
        print(&text(&found, &collection, &single.table, Paint::for_stdout()));
        if found.missing_count > 0
            && let Ok(Some(table)) = single.sink.describe(&single.table).await
            && let Some(ttl) = table.additions.and_then(|additions| additions.ttl)
        {
            print(&format!("  the table has a TTL, which removes rows: {ttl}\n"));
        }
    }
    Ok(if found.is_equal() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
}

fn json<'a>(found: &'a Verification, collection: String, table: &'a str) -> VerificationJson<'a> {
    let difference = |of: &'a ValueDifference| DifferenceJson {
        id: &of.id,
        path: &of.path,
        source: &of.source,
        target: &of.target,
    };
    VerificationJson {
        equal: found.is_equal(),
        collection,
        table,
        source_rows: found.source_rows,
        target_rows: found.target_rows,
        missing_count: found.missing_count,
        surplus_count: found.surplus_count,
        differing_count: found.differing_count,
        missing: &found.missing,
        surplus: &found.surplus,
        differing: found.differing.iter().map(|of| of.id.as_str()).collect(),
        differences: found.differing.iter().map(difference).collect(),
        extra_values: &found.mismatches.values,
        dead_letters: found.mismatches.documents_total(),
        dead_letters_by_reason: &found.mismatches.documents,
    }
}

fn text(found: &Verification, collection: &str, table: &str, paint: Paint) -> String {
    let rows = format!(
        "{collection} has {}, {table} {}",
        counted(found.source_rows, "document"),
        counted(found.target_rows, "row")
    );
    let mismatches = totals(found.mismatches.values_total(), found.mismatches.documents_total());
    let told = mismatches.map_or_else(String::new, |mismatches| format!("; {mismatches}"));
    let mut text = match found.is_equal() {
        true => format!("{} equal: {rows}{told}\n", paint.green("✓")),
        false => format!("{} different: {rows}{told}\n", paint.red("✗")),
    };
    for (what, count, ids) in [
        ("missing in the table", found.missing_count, &found.missing),
        ("in the table only", found.surplus_count, &found.surplus),
    ] {
        list(&mut text, what, count, ids.iter().map(String::clone));
    }
    let differing = found.differing.iter().map(|of| {
        let place = if of.path.is_empty() { String::new() } else { format!(" at {}", of.path) };
        format!("{}{place}: {} in the collection, and the table has {}", of.id, of.source, of.target)
    });
    list(&mut text, "with other values", found.differing_count, differing);
    text.push_str(&mismatches::list(&found.mismatches));
    text
}

fn list(text: &mut String, what: &str, count: u64, lines: impl ExactSizeIterator<Item = String>) {
    if count == 0 {
        return;
    }
    text.push_str(&format!("  {} {what}:\n", HumanCount(count)));
    let more = count.saturating_sub(u64::try_from(lines.len()).unwrap_or(u64::MAX));
    for line in lines {
        text.push_str(&format!("    {line}\n"));
    }
    if more > 0 {
        text.push_str(&format!("    and {} more\n", HumanCount(more)));
    }
}
