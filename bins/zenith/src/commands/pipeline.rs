//! `zenith pipeline`: what was applied, and letting it stand still, go on, or go away.

use std::process::ExitCode;

use serde_json::Value;
use zenith_engine::state::{SqliteStore, StateStore as _};

use super::confirmed;
use crate::args::{List, Named, PipelineCommand, Pipelines, Remove};
use crate::exit::Ending;
use crate::terminal::{print, print_json};
use zenith_control::config::applied::{self, Applied};
use zenith_control::mismatches::counted;
use zenith_control::operations::pipelines::{self, PipelineLine, find};
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

async fn list(arguments: &List) -> Ending {
    let places = Places::find(&arguments.place)?;
    let applied = Applied::read(&places.look().await?).await?;
    let shown = pipelines::list(&applied);
    if arguments.json {
        print_json(&shown);
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|pipeline| {
            vec![
                pipeline.name.clone(),
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
    if arguments.json {
        print_json(&pipelines::shown(record)?);
        return Ok(ExitCode::SUCCESS);
    }
    let settings = pipelines::settings(record)?;
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
    pipelines::set_paused(&store, &applied, name, paused).await?;
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
        let shown = PipelineLine::of(record);
        let rows = store.checkpoint(&shown.name).await?.map_or(0, |checkpoint| checkpoint.rows);
        print(&format!(
            "- pipeline {}  {}.{} -> {}.{}, {} so far\n",
            shown.name,
            shown.source,
            shown.collection,
            shown.target,
            shown.table,
            counted(rows, "row")
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
    pipelines::remove(&store, &applied, name).await?;
    store.close().await?;
    print("removed\n");
    Ok(ExitCode::SUCCESS)
}
