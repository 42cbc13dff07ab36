//! `zenith verify`: a collection and its table compared.

use std::process::ExitCode;

use indicatif::HumanCount;
use serde::Serialize;
use zenith_engine::{EngineError, Verification, VerifyOptions};

use super::something_applied;
use crate::args::Verify;
use crate::connect;
use crate::exit::{self, Ending, Failure};
use crate::progress::say;
use crate::signals::Signals;
use crate::state::Places;
use crate::terminal::{Paint, print, print_json};

/// The `_id`s that are shown of each kind.
const IDS_SHOWN: usize = 20;
/// The code for "different".
const DIFFERENT: u8 = 1;

#[derive(Serialize)]
struct VerificationJson<'a> {
    equal: bool,
    collection: String,
    table: &'a str,
    source_rows: u64,
    target_rows: u64,
    ranges: u64,
    ranges_differing: u64,
    missing_count: u64,
    surplus_count: u64,
    differing_count: u64,
    missing: &'a [String],
    surplus: &'a [String],
    differing: &'a [String],
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
    let options = VerifyOptions { sample: arguments.sample, ids_shown: IDS_SHOWN };
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
        print_json(&VerificationJson {
            equal: found.is_equal(),
            collection,
            table: &single.table,
            source_rows: found.source_rows,
            target_rows: found.target_rows,
            ranges: found.ranges,
            ranges_differing: found.ranges_differing,
            missing_count: found.missing_count,
            surplus_count: found.surplus_count,
            differing_count: found.differing_count,
            missing: &found.missing,
            surplus: &found.surplus,
            differing: &found.differing,
        });
    } else {
        print(&text(&found, &collection, &single.table, Paint::for_stdout()));
    }
    Ok(if found.is_equal() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
}

fn text(found: &Verification, collection: &str, table: &str, paint: Paint) -> String {
    let compared = format!(
        "{collection} has {} documents, {table} {} rows; {} of {} ranges differ\n",
        HumanCount(found.source_rows),
        HumanCount(found.target_rows),
        HumanCount(found.ranges_differing),
        HumanCount(found.ranges),
    );
    if found.is_equal() {
        return format!("{} equal: {compared}", paint.green("✓"));
    }
    let mut text = format!("{} different: {compared}", paint.red("✗"));
    for (what, count, ids) in [
        ("missing in the table", found.missing_count, &found.missing),
        ("in the table only", found.surplus_count, &found.surplus),
        ("with other values", found.differing_count, &found.differing),
    ] {
        if count == 0 {
            continue;
        }
        text.push_str(&format!("  {} {what}:\n", HumanCount(count)));
        for id in ids {
            text.push_str(&format!("    {id}\n"));
        }
        let more = count.saturating_sub(u64::try_from(ids.len()).unwrap_or(u64::MAX));
        if more > 0 {
            text.push_str(&format!("    and {} more\n", HumanCount(more)));
        }
    }
    text
}
