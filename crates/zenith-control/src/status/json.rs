//! Reports for machines.

use serde::Serialize;

use super::Report;
use super::condition::Left;
use crate::mismatches::CountedJson;
use crate::time;

/// A report as `zenith status --json` prints it.
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
