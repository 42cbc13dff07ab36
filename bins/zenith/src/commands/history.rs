//! `zenith history`: the runs there have been.

use std::process::ExitCode;
use std::time::SystemTime;

use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;
use zenith_engine::state::{INTERRUPTED, Outcome, Run, SqliteStore, StateStore as _};

use crate::args::History;
use crate::exit::Ending;
use crate::terminal::{print, print_json};
use zenith_control::connect::no_pipeline;
use zenith_control::state::Places;
use zenith_control::text::table;
use zenith_control::time;

#[derive(Serialize)]
struct Shown<'a> {
    id: i64,
    pipeline: &'a str,
    mode: &'a str,
    version: &'a str,
    started: String,
    ended: Option<String>,
    seconds: f64,
    outcome: Option<&'a str>,
    rows: u64,
    bytes: u64,
    extra_values_total: u64,
    dead_letters: u64,
    error: Option<&'a str>,
}

pub async fn run(arguments: &History) -> Ending {
    let places = Places::find(&arguments.place)?;
    let store = places.look().await?;
    let mut runs = store.runs(arguments.name.as_deref(), arguments.limit).await?;
    if let Some(name) = arguments.name.as_deref().filter(|_| runs.is_empty()) {
        let pipelines = store.pipelines().await?;
        // A pipeline that was removed has runs all the same, so only a name nobody knows is an error.
        if pipelines.iter().all(|record| record.name != name) {
            return Err(no_pipeline(name, pipelines.iter().map(|record| record.name.as_str())));
        }
    }
    // Killed, it could not say how it ended; the next run notes it so.
    if !SqliteStore::is_locked(&places.state).await {
        for run in runs.iter_mut().filter(|run| run.outcome.is_none()) {
            run.outcome = Some(Outcome::Failed);
            run.error.get_or_insert_with(|| INTERRUPTED.to_owned());
        }
    }
    let now = SystemTime::now();
    if arguments.json {
        let shown: Vec<Shown<'_>> = runs.iter().map(|run| shown(run, now)).collect();
        print_json(&shown);
    } else if runs.is_empty() {
        print("nothing has been run yet\n");
    } else {
        print(&text(&runs, now));
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(run: &Run, now: SystemTime) -> Shown<'_> {
    Shown {
        id: run.id,
        pipeline: &run.pipeline,
        mode: &run.mode,
        version: &run.version,
        started: time::rfc3339(run.started),
        ended: run.ended.map(time::rfc3339),
        seconds: time::ago(run.started, run.ended.unwrap_or(now)).as_secs_f64(),
        outcome: run.outcome.map(|outcome| outcome.as_str()),
        rows: run.figures.rows,
        bytes: run.figures.bytes,
        extra_values_total: run.figures.extra_values,
        dead_letters: run.figures.dead_letters,
        error: run.error.as_deref(),
    }
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
