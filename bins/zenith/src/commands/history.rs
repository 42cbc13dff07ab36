//! `zenith history`: the runs there have been.

use std::process::ExitCode;
use std::time::SystemTime;

use indicatif::{HumanBytes, HumanCount};
use zenith_engine::state::{Run, SqliteStore};

use crate::args::History;
use crate::exit::Ending;
use crate::terminal::{print, print_json};
use zenith_control::operations::history::{RunJson, runs};
use zenith_control::state::Places;
use zenith_control::text::table;
use zenith_control::time;

pub async fn run(arguments: &History) -> Ending {
    let places = Places::find(&arguments.place)?;
    let store = places.look().await?;
    let running = SqliteStore::is_locked(&places.state).await;
    let runs = runs(&store, arguments.name.as_deref(), arguments.limit, running).await?;
    let now = SystemTime::now();
    if arguments.json {
        print_json(&runs.iter().map(|run| RunJson::of(run, now)).collect::<Vec<_>>());
    } else if runs.is_empty() {
        print("nothing has been run yet\n");
    } else {
        print(&text(&runs, now));
    }
    Ok(ExitCode::SUCCESS)
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
