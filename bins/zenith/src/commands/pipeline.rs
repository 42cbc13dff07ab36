//! `zenith pipeline`: what was applied, and letting it stand still, go on, or go away.

use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;
use zenith_engine::state::{PipelineRecord, SqliteStore, StateStore as _};

use super::confirmed;
use crate::args::{List, Named, PipelineCommand, Pipelines, Remove};
use crate::exit::{Ending, Failure};
use crate::terminal::{print, print_json};
use zenith_control::collections::tables;
use zenith_control::config::applied::{self, Applied};
use zenith_control::connect::no_pipeline;
use zenith_control::state::Places;
use zenith_control::text::table;

pub async fn run(arguments: &Pipelines) -> Ending {
    match &arguments.command {
        PipelineCommand::List(arguments) => list(arguments).await,
        PipelineCommand::Show(arguments) => show(arguments).await,
        PipelineCommand::Pause(arguments) => set_paused(arguments, true).await,
        PipelineCommand::Resume(arguments) => set_paused(arguments, false).await,
        PipelineCommand::Remove(arguments) => remove(arguments).await,
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    source: &'a str,
    target: &'a str,
    collection: String,
    table: String,
    mode: String,
    paused: bool,
}

impl<'a> Shown<'a> {
    fn of(record: &'a PipelineRecord) -> Shown<'a> {
        let (collection, table, mode) = match applied::pipeline(record) {
            Ok(pipeline) if pipeline.is_template() => {
                let settings = pipeline.settings;
                let table = if settings.table.is_empty() { tables::DEFAULT } else { &settings.table };
                let patterns = format!("({})", settings.collections.join(", "));
                (patterns, table.to_owned(), settings.mode.name().to_owned())
            }
            Ok(pipeline) => {
                let settings = &pipeline.settings;
                (settings.collection.clone(), pipeline.table().to_owned(), settings.mode.name().to_owned())
            }
            Err(_) => ("?".to_owned(), "?".to_owned(), "?".to_owned()),
        };
        Shown {
            name: &record.name,
            source: &record.source,
            target: &record.target,
            collection,
            table,
            mode,
            paused: record.paused,
        }
    }
}

async fn list(arguments: &List) -> Ending {
    let places = Places::find(&arguments.place)?;
    let applied = Applied::read(&places.look().await?).await?;
    let mut records: Vec<&PipelineRecord> = applied.pipelines.iter().chain(&applied.templates).collect();
    records.sort_by(|one, other| one.name.cmp(&other.name));
    let shown: Vec<Shown<'_>> = records.into_iter().map(Shown::of).collect();
    if arguments.json {
        print_json(&shown);
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|pipeline| {
            vec![
                pipeline.name.to_owned(),
                format!("{}.{}", pipeline.source, pipeline.collection),
                format!("{}.{}", pipeline.target, pipeline.table),
                pipeline.mode.clone(),
                if pipeline.paused { "paused" } else { "" }.to_owned(),
            ]
        })
        .collect();
    print(&table(&["pipeline", "collection", "table", "mode", ""], &rows));
    Ok(ExitCode::SUCCESS)
}

async fn show(arguments: &Named) -> Ending {
    let places = Places::find(&arguments.place)?;
    let applied = Applied::read(&places.look().await?).await?;
    let record = find(&applied, &arguments.name)?;
    let Some(mut settings) = applied::settings(record) else {
        return Err(Failure::Input(applied::pipeline(record).err().unwrap_or_default()));
    };
    if arguments.json {
        // Keys are not renamed: those of version 0.1 stay beside those they have become.
        for (earlier, now, set) in
            [("object_id_fixed", "object_id", "fixed"), ("decimal_text", "decimal", "string")]
        {
            if let Some(value) = settings.get(now).map(|value| value == set) {
                settings.insert(earlier.to_owned(), value.into());
            }
        }
        settings.insert("name".to_owned(), record.name.clone().into());
        settings.insert("source".to_owned(), record.source.clone().into());
        settings.insert("target".to_owned(), record.target.clone().into());
        settings.insert("paused".to_owned(), record.paused.into());
        print_json(&settings);
        return Ok(ExitCode::SUCCESS);
    }
    // As it would stand in zenith.toml.
    let mut text = format!(
        "[pipelines.{}]{}\nsource = {:?}\ntarget = {:?}\n",
        record.name,
        if record.paused { "   # paused" } else { "" },
        record.source,
        record.target
    );
    let is_set = |value: &Value| !value.is_null() && value.as_str() != Some("");
    for (name, value) in settings.iter().filter(|(_, value)| is_set(value)) {
        text.push_str(&format!("{name} = {value}\n"));
    }
    print(&text);
    Ok(ExitCode::SUCCESS)
}

async fn set_paused(arguments: &Named, paused: bool) -> Ending {
    let places = Places::find(&arguments.place)?;
    // Looked at first: a state is not created by pausing something in it.
    let applied = Applied::read(&places.look().await?).await?;
    let name = &find(&applied, &arguments.name)?.name;
    let store = places.change().await?;
    if !store.set_paused(name, paused).await? {
        return Err(no_pipeline(name, []));
    }
    for member in applied.meant(name).filter(|member| member.name != *name) {
        store.set_paused(&member.name, paused).await?;
    }
    store.close().await?;
    let running = SqliteStore::is_locked(&places.state).await;
    if arguments.json {
        print_json(&serde_json::json!({ "name": name, "paused": paused, "running": running }));
        return Ok(ExitCode::SUCCESS);
    }
    let then = match (paused, running) {
        (true, true) => "is paused: the running `zenith run` stops it within seconds",
        (true, false) => "is paused",
        (false, true) => "goes on: the running `zenith run` starts it within seconds",
        (false, false) => "continues with the next `zenith run`",
    };
    print(&format!("{name} {then}\n"));
    Ok(ExitCode::SUCCESS)
}

async fn remove(arguments: &Remove) -> Ending {
    let places = Places::find(&arguments.place)?;
    let store = places.look().await?;
    let applied = Applied::read(&store).await?;
    let record = find(&applied, &arguments.name)?;
    let name = &record.name;
    for record in applied.meant(name) {
        let shown = Shown::of(record);
        let rows = store.checkpoint(shown.name).await?.map_or(0, |checkpoint| checkpoint.rows);
        print(&format!(
            "- pipeline {}  {}.{} -> {}.{}, {rows} rows so far\n",
            shown.name, shown.source, shown.collection, shown.target, shown.table
        ));
    }
    print(match (applied.template(name), applied::member_of(record).as_str()) {
        (Some(_), _) => {
            "    their progress is forgotten; the tables stay as they are, and zenith.toml would bring the pipelines back\n"
                .to_owned()
        }
        (None, "") => {
            "    its progress is forgotten; the table stays as it is, and zenith.toml would bring the pipeline back\n".to_owned()
        }
        (None, template) => format!(
            "    its progress is forgotten; the table stays as it is, and {template} brings the pipeline back unless a \
             pattern of its collections leaves this one out\n"
        ),
    }.as_str());
    if arguments.dry_run {
        print("nothing was changed (--dry-run)\n");
        return Ok(ExitCode::SUCCESS);
    }
    if !confirmed(&format!("The pipeline {name} is removed. Go on?"), arguments.yes)? {
        print("nothing was changed\n");
        return Ok(ExitCode::SUCCESS);
    }
    let store = places.change().await?;
    // The template first: a run would bring the others back.
    store.remove_pipeline(name).await?;
    for member in applied.meant(name).filter(|member| member.name != *name) {
        store.remove_pipeline(&member.name).await?;
    }
    store.close().await?;
    print("removed\n");
    Ok(ExitCode::SUCCESS)
}

fn find<'a>(applied: &'a Applied, name: &str) -> Result<&'a PipelineRecord, Failure> {
    let found = applied.pipeline(name).or_else(|| applied.template(name));
    found.ok_or_else(|| no_pipeline(name, applied.names()))
}
