//! The columns of a table, and the fields they come from; columns for values that have none.

use zenith_engine::state::SchemaVersion;

use super::command::View;
use super::desk::Desk;
use super::output::Output;
use crate::failure::Failure;
use crate::mismatches::counted;
use crate::operations::schema::{self, ColumnJson};
use crate::text::table;
use crate::{connect, promotion, time};

pub async fn show(desk: &Desk, name: &str, view: View) -> Result<Output, Failure> {
    let config = desk.config().await?;
    let pool = connect::pool(None, &desk.places)?;
    let found = schema::of(&config, desk.look().await?, name, &pool).await?;
    if view.json {
        return Ok(Output::json(&found.json()));
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
    Ok(Output::text(text))
}

pub async fn promotable(desk: &Desk, name: &str, fields: &[String], view: View) -> Result<Output, Failure> {
    let config = desk.config().await?;
    let of = connect::pipeline(&config, name)?.table();
    let pool = connect::pool(None, &desk.places)?;
    let found = promotion::dry_run(&config, desk.look().await?, name, fields, &pool).await?;
    Ok(Output::text(match view.json {
        true => promotion::json(&found, of, false) + "\n",
        false => promotion::text(&found, of, false),
    }))
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
