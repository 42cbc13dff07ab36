//! What was applied, and letting it stand still, go on, or go away.

use serde_json::Value;
use zenith_engine::state::StateStore as _;

use super::command::View;
use super::desk::Desk;
use super::output::{Next, Output};
use crate::config::applied;
use crate::failure::Failure;
use crate::mismatches::counted;
use crate::operations::pipelines::{self, PipelineLine, find};
use crate::text::table;

pub async fn list(desk: &Desk, view: View) -> Result<Output, Failure> {
    let shown = pipelines::list(&desk.applied().await?);
    if view.json {
        return Ok(Output::json(&shown));
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
    Ok(Output::text(table(&["pipeline", "collection", "table", "mode", ""], &rows)))
}

pub async fn show(desk: &Desk, name: &str, view: View) -> Result<Output, Failure> {
    let applied = desk.applied().await?;
    let record = find(&applied, name)?;
    if view.json {
        return Ok(Output::json(&pipelines::shown(record)?));
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
    Ok(Output::text(text))
}

pub async fn set_paused(desk: &Desk, name: &str, paused: bool, view: View) -> Result<Output, Failure> {
    // Looked at first: a state is not created by pausing something in it.
    let applied = desk.applied().await?;
    let name = &find(&applied, name)?.name;
    pipelines::set_paused(&desk.change().await?, &applied, name, paused).await?;
    let running = desk.is_running().await?;
    if view.json {
        return Ok(Output::json(&serde_json::json!({ "name": name, "paused": paused, "running": running })));
    }
    let then = match (paused, running) {
        (true, true) => "is paused: the running `zenith run` stops it within seconds",
        (true, false) => "is paused",
        (false, true) => "goes on: the running `zenith run` starts it within seconds",
        (false, false) => "continues with the next `zenith run`",
    };
    Ok(Output::text(format!("{name} {then}\n")))
}

pub async fn remove(desk: &Desk, name: &str, dry_run: bool) -> Result<Output, Failure> {
    let applied = desk.applied().await?;
    let name = &find(&applied, name)?.name;
    if !dry_run {
        pipelines::remove(&desk.change().await?, &applied, name).await?;
        return Ok(Output::text("removed\n"));
    }
    let store = desk.look().await?;
    let mut text = String::new();
    for record in applied.meant(name) {
        let shown = PipelineLine::of(record);
        let rows = store.checkpoint(&shown.name).await?.map_or(0, |checkpoint| checkpoint.rows);
        text.push_str(&format!(
            "- pipeline {}  {}.{} -> {}.{}, {} so far\n",
            shown.name,
            shown.source,
            shown.collection,
            shown.target,
            shown.table,
            counted(rows, "row")
        ));
    }
    text.push_str(&match (applied.template(name), applied::member_of(find(&applied, name)?).as_str()) {
        (Some(_), _) => "    their progress is forgotten; the tables stay as they are, and zenith.toml would bring the pipelines \
                         back\n"
            .to_owned(),
        (None, "") => "    its progress is forgotten; the table stays as it is, and zenith.toml would bring the pipeline back\n"
            .to_owned(),
        (None, template) => format!(
            "    its progress is forgotten; the table stays as it is, and {template} brings the pipeline back unless a \
             pattern of its collections leaves this one out\n"
        ),
    });
    Ok(Output::text(text).next(Next::Agree(format!("The pipeline {name} is removed. Go on?"))))
}
