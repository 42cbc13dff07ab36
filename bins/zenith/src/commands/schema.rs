//! `zenith schema`: the columns of a table, and the fields they come from.

use std::process::ExitCode;

use serde::Serialize;
use zenith_engine::state::{SchemaVersion, StateStore as _};
use zenith_engine::transport::TableInfo;
use zenith_engine::{EngineError, Pipeline, ReloadOptions, ReloadPlan, Sink as _};

use super::something_applied;
use crate::args::{Schema, SchemaCommand, ShowSchema};
use crate::exit::{Ending, Failure};
use crate::terminal::{print, print_json};
use zenith_control::connect;
use zenith_control::state::Places;
use zenith_control::text::table;
use zenith_control::time;

#[derive(Serialize)]
struct SchemaJson<'a> {
    collection: String,
    table: &'a str,
    table_exists: bool,
    columns: Vec<ColumnJson>,
    versions: Vec<VersionJson>,
}

#[derive(Serialize)]
struct ColumnJson {
    name: String,
    /// What the field is in a sample of the collection; nothing for columns of ours.
    bson_type: Option<String>,
    /// The share of the sample that has the field.
    present: Option<f64>,
    /// The type in the table, or nothing if the table has no such column.
    clickhouse_type: Option<String>,
    /// The type that the sample asks for.
    inferred_type: Option<String>,
}

#[derive(Serialize)]
struct VersionJson {
    version: u32,
    created: String,
    /// Why it took the place of the one before it.
    cause: String,
    /// What changed the table, if it was there before.
    statement: String,
}

impl VersionJson {
    fn of(version: &SchemaVersion) -> VersionJson {
        VersionJson {
            version: version.version,
            created: time::rfc3339(version.created),
            cause: version.change.cause.clone(),
            statement: version.change.statement.clone(),
        }
    }
}

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
    connect::pipeline(&config, name)?;
    let versions = store.schemas(name).await?;
    let pool = connect::pool(None, &places)?;
    let single = connect::single(&config, name, store, &pool).await?;
    let existing = match single.sink.describe(&single.table).await {
        Ok(existing) => existing,
        Err(error) if error.is_unknown_database() => None,
        Err(error) => return Err(EngineError::Sink(error).into()),
    };
    // A plan that may replace the table never finds fault with it.
    let mut options = ReloadOptions {
        replace: true,
        create_database: true,
        try_table: false,
        ..single.pipeline.settings.reload_options(pool.budget())
    };
    options.table.strategy = zenith_engine::Strategy::Swap;
    let sink = connect::sink(&single.pipeline.target, &config.targets[&single.pipeline.target], &pool)?;
    let plan = Pipeline::builder()
        .source(single.source.clone())
        .sink(sink)
        .pool(pool)
        .namespace(single.namespace.clone())
        .table(&single.table)
        .options(options)
        .build()?
        .plan()
        .await?;
    let columns = columns(&plan, existing.as_ref());
    if arguments.json {
        let versions = versions.iter().map(VersionJson::of).collect();
        print_json(&SchemaJson {
            collection: single.namespace.to_string(),
            table: &single.table,
            table_exists: existing.is_some(),
            columns,
            versions,
        });
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("{} -> {}", single.namespace, single.table);
    match &existing {
        Some(existing) => text.push_str(&format!(" ({}, {} rows)\n", existing.engine, existing.rows)),
        None => text.push_str(" (which is not there yet)\n"),
    }
    text.push_str(&as_text(&columns));
    text.extend(versions.iter().map(version_text));
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

/// The columns of the table, then those that the sample has beyond them.
fn columns(plan: &ReloadPlan, existing: Option<&TableInfo>) -> Vec<ColumnJson> {
    let inferred = |name: &str| plan.columns.iter().find(|column| column.name == name);
    let there: Vec<&str> = existing
        .map_or_else(Vec::new, |table| table.columns.iter().map(|column| column.name.as_str()).collect());
    let of_table = existing.into_iter().flat_map(|table| &table.columns).map(|column| {
        let field = inferred(&column.name);
        ColumnJson {
            name: column.name.clone(),
            bson_type: field.map(|field| field.bson_type.clone()),
            present: field.map(|field| field.present),
            clickhouse_type: Some(column.data_type.clone()),
            inferred_type: field.map(|field| field.target_type.clone()),
        }
    });
    let beyond = plan.columns.iter().filter(|column| !there.contains(&column.name.as_str())).map(|column| {
        ColumnJson {
            name: column.name.clone(),
            bson_type: Some(column.bson_type.clone()),
            present: Some(column.present),
            clickhouse_type: None,
            inferred_type: Some(column.target_type.clone()),
        }
    });
    of_table.chain(beyond).collect()
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
