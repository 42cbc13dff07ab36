//! `zenith schema`: the columns of a table, and the fields they come from.

use std::process::ExitCode;

use zenith_engine::state::SchemaVersion;

use super::something_applied;
use crate::args::{Schema, SchemaCommand, ShowSchema};
use crate::exit::{Ending, Failure};
use crate::terminal::{print, print_json};
use zenith_control::connect;
use zenith_control::mismatches::counted;
use zenith_control::operations::schema::{self, ColumnJson};
use zenith_control::state::Places;
use zenith_control::text::table;
use zenith_control::time;

pub async fn run(arguments: &Schema) -> Ending {
    match &arguments.command {
        None => show(&arguments.show).await,
        Some(SchemaCommand::Promote(arguments)) => super::promote::run(arguments).await,
    }
}

async fn show(arguments: &ShowSchema) -> Ending {
    let places = Places::find(&arguments.place)?;
    let store = places.look().await?;
    let config = something_applied(&store).await?.config().map_err(Failure::Input)?;
    // Without a subcommand there is one.
    let name = arguments.name.as_deref().unwrap_or_default();
    let found = schema::of(&config, store, name, &connect::pool(None, &places)?).await?;
    if arguments.json {
        print_json(&found.json());
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("{} -> {}", found.collection, found.table);
    match &found.existing {
        Some(existing) => {
            text.push_str(&format!(" ({}, {})\n", existing.engine, counted(existing.rows, "row")));
        }
        None => text.push_str(" (which is not there yet)\n"),
    }
    text.push_str(&as_text(&found.columns));
    text.extend(found.versions.iter().map(version_text));
    print(&text);
    Ok(ExitCode::SUCCESS)
}

fn version_text(version: &SchemaVersion) -> String {
    let mut text = format!("version {} since {} (UTC)", version.version, time::shown(version.created));
    for (before, words) in [(": ", &version.change.cause), ("\n    ", &version.change.statement)] {
        if !words.is_empty() {
            text.push_str(before);
            text.push_str(words);
        }
    }
    text.push('\n');
    text
}

fn as_text(columns: &[ColumnJson]) -> String {
    let none = || "-".to_owned();
    let rows: Vec<Vec<String>> = columns
        .iter()
        .map(|column| {
            vec![
                column.name.clone(),
                column.bson_type.clone().unwrap_or_else(none),
                column.present.map_or_else(none, |share| format!("{:.0} %", share * 100.0)),
                match (&column.clickhouse_type, &column.inferred_type) {
                    (Some(there), _) => there.clone(),
                    (None, Some(wanted)) => format!("(none yet; would be {wanted})"),
                    (None, None) => none(),
                },
            ]
        })
        .collect();
    table(&["column", "BSON", "present", "ClickHouse"], &rows)
}
