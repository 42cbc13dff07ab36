//! The runs there have been.

use std::time::SystemTime;

use indicatif::{HumanBytes, HumanCount};
use zenith_engine::state::Run;

use super::command::View;
use super::desk::Desk;
use super::output::Output;
use crate::failure::Failure;
use crate::operations::history::{RunJson, runs};
use crate::text::table;
use crate::time;

pub async fn history(desk: &Desk, name: Option<&str>, limit: u32, view: View) -> Result<Output, Failure> {
    let runs = runs(&desk.look().await?, name, desk.at_most(limit), desk.is_running().await?).await?;
    let now = SystemTime::now();
    Ok(if view.json {
        Output::json(&runs.iter().map(|run| RunJson::of(run, now)).collect::<Vec<_>>())
    } else if runs.is_empty() {
        Output::text("nothing has been run yet\n")
    } else {
        Output::text(text(&runs, now))
    })
}

fn text(runs: &[Run], now: SystemTime) -> String {
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            vec![
                run.id.to_string(),
                run.pipeline.clone(),
                run.mode.clone(),
                time::shown(run.started),
                time::duration(time::ago(run.started, run.ended.unwrap_or(now))),
                run.outcome.map_or("running", |outcome| outcome.as_str()).to_owned(),
                HumanCount(run.figures.rows).to_string(),
                HumanBytes(run.figures.bytes).to_string(),
                HumanCount(run.figures.extra_values).to_string(),
                HumanCount(run.figures.dead_letters).to_string(),
                run.error.clone().unwrap_or_default().replace('\n', " "),
            ]
        })
        .collect();
    let header = [
        "run",
        "pipeline",
        "mode",
        "started (UTC)",
        "took",
        "outcome",
        "rows",
        "sent",
        "in extra",
        "dead letters",
        "error",
    ];
    table(&header, &rows)
}
