//! Reports for people, for machines, and for health checks.

use std::time::SystemTime;

use indicatif::HumanCount;
use serde::Serialize;
use zenith_engine::Mode;

use super::condition::Left;
use super::{Pipeline, Report, State, rates};
use crate::mismatches::{self, CountedJson};
use crate::terminal::{Paint, table};
use crate::time;

#[derive(Serialize)]
pub struct ReportJson<'a> {
    ok: bool,
    running: bool,
    at: String,
    complaints: Vec<String>,
    pipelines: Vec<PipelineJson<'a>>,
    templates: Vec<TemplateJson<'a>>,
}

#[derive(Serialize)]
struct TemplateJson<'a> {
    name: &'a str,
    from: &'a str,
    to: &'a str,
    pipelines: usize,
    waiting_for: Option<&'a str>,
    waiting_since: Option<String>,
}

#[derive(Serialize)]
struct PipelineJson<'a> {
    name: &'a str,
    from: &'a str,
    to: &'a str,
    mode: &'a str,
    state: &'static str,
    snapshot_parts_done: Option<usize>,
    snapshot_parts: Option<usize>,
    waiting_for: Option<&'a str>,
    waiting_since: Option<String>,
    waiting_seconds: Option<f64>,
    detached_by: Option<&'a str>,
    detached_since: Option<String>,
    complete_to: Option<String>,
    lag_seconds: Option<f64>,
    lag_events_estimated: Option<f64>,
    rows_per_second: Option<f64>,
    rows: u64,
    table_parts: Option<u64>,
    oplog_headroom_seconds: Option<f64>,
    checkpoint_saved: Option<String>,
    last_error: Option<&'a str>,
    last_error_at: Option<String>,
    #[serde(flatten)]
    mismatches: CountedJson,
}

/// As one JSON object, with everything that is not well.
pub fn json(report: &Report, complaints: Vec<String>) -> ReportJson<'_> {
    ReportJson {
        ok: complaints.is_empty(),
        running: report.running,
        at: time::rfc3339(report.at),
        complaints,
        pipelines: report
            .pipelines
            .iter()
            .map(|pipeline| PipelineJson {
                name: &pipeline.name,
                from: &pipeline.from,
                to: &pipeline.to,
                mode: &pipeline.mode,
                state: pipeline.state.name(),
                snapshot_parts_done: pipeline.snapshot.map(|(done, _)| done),
                snapshot_parts: pipeline.snapshot.map(|(_, parts)| parts),
                waiting_for: pipeline.waiting.as_ref().map(|waiting| waiting.reason.as_str()),
                waiting_since: pipeline.waiting.as_ref().map(|waiting| time::rfc3339(waiting.since)),
                waiting_seconds: pipeline
                    .waiting
                    .as_ref()
                    .map(|waiting| time::ago(waiting.since, report.at).as_secs_f64()),
                detached_by: pipeline.detached.as_ref().map(|detached| detached.reason.as_str()),
                detached_since: pipeline.detached.as_ref().map(|detached| time::rfc3339(detached.since)),
                complete_to: pipeline.complete_to.map(time::rfc3339),
                lag_seconds: pipeline.lag.map(|lag| lag.as_secs_f64()),
                lag_events_estimated: pipeline.lag_events,
                rows_per_second: pipeline.rows_per_second,
                rows: pipeline.rows,
                table_parts: pipeline.parts,
                oplog_headroom_seconds: pipeline.headroom.map(|headroom| match headroom.left {
                    Left::For(left) => left.as_secs_f64(),
                    Left::Lost => 0.0,
                }),
                checkpoint_saved: pipeline.checkpoint.map(time::rfc3339),
                last_error: pipeline.last_error.as_ref().map(|error| error.message.as_str()),
                last_error_at: pipeline.last_error.as_ref().map(|error| time::rfc3339(error.at)),
                mismatches: pipeline.mismatches.json(),
            })
            .collect(),
        templates: report
            .templates
            .iter()
            .map(|template| TemplateJson {
                name: &template.name,
                from: &template.from,
                to: &template.to,
                pipelines: template.pipelines,
                waiting_for: template.waiting.as_ref().map(|waiting| waiting.reason.as_str()),
                waiting_since: template.waiting.as_ref().map(|waiting| time::rfc3339(waiting.since)),
            })
            .collect(),
    }
}

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
    let pipelines = report.pipelines.len();
    match complaints.is_empty() {
        true => (true, format!("healthy: {pipelines} pipelines\n")),
        false => (false, format!("unhealthy: {}\n", complaints.join("; ").replace('\n', " "))),
    }
}
