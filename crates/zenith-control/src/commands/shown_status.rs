//! Reports of the status, for people and for health checks.

use std::time::SystemTime;

use indicatif::HumanCount;
use zenith_engine::Mode;

use crate::mismatches;
use crate::status::{Pipeline, Report, State, rates};
use crate::text::{Paint, table};
use crate::time;

/// As a table, with what did not fit below it, field by field if that is wished, and the errors of pipelines that do
/// not run.
pub fn text(report: &Report, by_field: bool, paint: Paint) -> String {
    let mut text =
        if report.running { "zenith run is running\n" } else { "zenith run is not running\n" }.to_owned();
    if report.pipelines.is_empty() && report.templates.is_empty() {
        text.push_str("no pipelines were applied: zenith apply\n");
        return text;
    }
    let none = || "-".to_owned();
    let rows: Vec<Vec<String>> = report
        .pipelines
        .iter()
        .map(|pipeline| {
            vec![
                pipeline.name.clone(),
                state(pipeline),
                pipeline.lag.map_or_else(none, time::duration),
                pipeline.lag_events.map_or_else(none, |events| format!("≈ {events}")),
                pipeline.rows_per_second.map_or_else(none, rates::shown),
                HumanCount(pipeline.rows).to_string(),
                pipeline.checkpoint.map_or_else(none, |saved| {
                    format!("{} ago", time::duration(time::ago(saved, report.at)))
                }),
            ]
        })
        .collect();
    let header = ["pipeline", "state", "lag", "lag in events", "rows/s", "rows", "checkpoint"];
    text.push_str(&table(&header, &rows));
    for pipeline in &report.pipelines {
        let Some(line) = pipeline.mismatches.line() else { continue };
        text.push_str(&format!("{}: {line}\n", pipeline.name));
        if by_field {
            text.push_str(&mismatches::list(&pipeline.mismatches.all));
            if pipeline.mismatches.lacks_columns() && pipeline.mode != Mode::Full.name() {
                text.push_str(&format!(
                    "  zenith schema promote {} proposes columns for them\n",
                    pipeline.name
                ));
            }
        }
    }
    for (name, at) in report.pipelines.iter().filter_map(|of| Some((&of.name, of.next_run?))) {
        text.push_str(&format!("{name}: next run at {} (UTC)\n", time::shown(at)));
    }
    for template in &report.templates {
        template.line().iter().for_each(|line| text.push_str(&format!("{line}\n")));
        let complaint = template.complaint(report.at);
        complaint.iter().for_each(|line| text.push_str(&format!("{}\n", paint.red(&format!("✗ {line}")))));
    }
    report.pipelines.iter().for_each(|pipeline| text.push_str(&troubles(pipeline, report.at, paint)));
    text
}

/// What is not well about a pipeline, and the error that it had last.
fn troubles(pipeline: &Pipeline, at: SystemTime, paint: Paint) -> String {
    let name = &pipeline.name;
    let mut alarms = Vec::new();
    let mut text = String::new();
    if let Some(waiting) = &pipeline.waiting {
        let lasts = time::duration(time::ago(waiting.since, at));
        alarms.push(format!("{name}: waiting for {lasts}: {}", waiting.reason));
    } else if let Some(error) = &pipeline.last_error {
        let line = format!("{name}: {} ({} ago)", error.message, time::duration(time::ago(error.at, at)));
        match pipeline.state {
            State::Failed | State::Interrupted => alarms.push(line),
            // An error that has passed is told, but is no alarm.
            _ => text = format!("last error of {line}\n"),
        }
    }
    alarms.extend(pipeline.detachment(at));
    alarms.extend(pipeline.headroom.and_then(|headroom| headroom.complaint(name)));
    for alarm in alarms {
        text.push_str(&format!("{}\n", paint.red(&format!("✗ {alarm}"))));
    }
    text
}

fn state(pipeline: &Pipeline) -> String {
    match (pipeline.state, pipeline.snapshot) {
        (State::Snapshot, Some((done, parts))) => format!("snapshot {done}/{parts}"),
        (state, _) => state.name().to_owned(),
    }
}

/// In one line, and whether all is well: something runs, and nothing is wrong with it.
pub fn health(report: &Report, mut complaints: Vec<String>) -> (bool, String) {
    if !report.running {
        complaints.insert(0, "zenith run is not running".to_owned());
    }
    let pipelines = u64::try_from(report.pipelines.len()).unwrap_or(u64::MAX);
    match complaints.is_empty() {
        true => (true, format!("healthy: {}\n", mismatches::counted(pipelines, "pipeline"))),
        false => (false, format!("unhealthy: {}\n", complaints.join("; ").replace('\n', " "))),
    }
}
