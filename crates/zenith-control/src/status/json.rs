//! Reports for machines.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::condition::Left;
use super::{Pipeline, Report, Template};
use crate::mismatches::CountedJson;
use crate::time;

/// A report as `zenith status --json` prints it.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct ReportJson {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// Whether a run holds the state.
    pub running: bool,
    /// The moment, in RFC 3339.
    pub at: String,
    /// What is not well, a sentence each.
    pub complaints: Vec<String>,
    /// The pipelines, by name.
    pub pipelines: Vec<PipelineJson>,
    /// Pipelines of several collections.
    pub templates: Vec<TemplateJson>,
    /// How far back each source knows changes.
    pub oplog_window_seconds: BTreeMap<String, f64>,
}

/// A pipeline of several collections.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TemplateJson {
    /// Its name.
    pub name: String,
    /// Its source, and the patterns.
    pub from: String,
    /// Its target.
    pub to: String,
    /// How many pipelines it has.
    pub pipelines: usize,
    /// Why it is not complete.
    pub waiting_for: Option<String>,
    /// Since when.
    pub waiting_since: Option<String>,
}

/// A pipeline at one moment. Times are in RFC 3339.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct PipelineJson {
    /// Its name.
    pub name: String,
    /// `source.collection`.
    pub from: String,
    /// `target.table`.
    pub to: String,
    /// `changes`, `change-log`, `id-cursor` or `full`.
    pub mode: String,
    /// What it is doing: `new`, `waiting`, `snapshot`, `following`, `paused`, `stopped`, `done`, `failed` or `interrupted`.
    pub state: &'static str,
    /// The pipeline of several collections that it belongs to.
    pub template: Option<String>,
    /// Whether it is to stand still.
    pub paused: bool,
    /// Parts of the snapshot that are done, while there is one.
    pub snapshot_parts_done: Option<usize>,
    /// Parts of the snapshot.
    pub snapshot_parts: Option<usize>,
    /// What it waits for, if it cannot continue at the moment.
    pub waiting_for: Option<String>,
    /// Since when.
    pub waiting_since: Option<String>,
    /// For how long, in seconds.
    pub waiting_seconds: Option<f64>,
    /// Why its table follows its collection no more.
    pub detached_by: Option<String>,
    /// Since when.
    pub detached_since: Option<String>,
    /// The source's time up to which the table is complete.
    pub complete_to: Option<String>,
    /// The source's clock minus that.
    pub lag_seconds: Option<f64>,
    /// The recent rate for as long as the lag.
    pub lag_events_estimated: Option<f64>,
    /// On average since the run began.
    pub rows_per_second: Option<f64>,
    /// Rows written since the pipeline was begun.
    pub rows: u64,
    /// Active parts of the table.
    pub table_parts: Option<u64>,
    /// Time until MongoDB forgets the changes since the checkpoint.
    pub oplog_headroom_seconds: Option<f64>,
    /// When the checkpoint was saved.
    pub checkpoint_saved: Option<String>,
    /// When it begins again, if it does so by itself (RFC 3339).
    pub next_run: Option<String>,
    /// The last error, in a sentence.
    pub last_error: Option<String>,
    /// When it happened.
    pub last_error_at: Option<String>,
    /// Since when it fails, or waits, without a break.
    pub failing_since: Option<String>,
    /// What did not fit.
    #[serde(flatten)]
    pub mismatches: CountedJson,
}

/// As one JSON object, with everything that is not well.
pub fn json(report: &Report, complaints: Vec<String>) -> ReportJson {
    ReportJson {
        ok: complaints.is_empty(),
        running: report.running,
        at: time::rfc3339(report.at),
        complaints,
        pipelines: report.pipelines.iter().map(|pipeline| of_pipeline(pipeline, report)).collect(),
        templates: report.templates.iter().map(of_template).collect(),
        oplog_window_seconds: report
            .oplog_windows
            .iter()
            .map(|(source, window)| (source.clone(), window.as_secs_f64()))
            .collect(),
    }
}

fn of_pipeline(pipeline: &Pipeline, report: &Report) -> PipelineJson {
    let waiting = pipeline.waiting.as_ref();
    let detached = pipeline.detached.as_ref();
    let error = pipeline.last_error.as_ref();
    PipelineJson {
        name: pipeline.name.clone(),
        from: pipeline.from.clone(),
        to: pipeline.to.clone(),
        mode: pipeline.mode.clone(),
        state: pipeline.state.name(),
        template: pipeline.template.clone(),
        paused: pipeline.paused,
        snapshot_parts_done: pipeline.snapshot.map(|(done, _)| done),
        snapshot_parts: pipeline.snapshot.map(|(_, parts)| parts),
        waiting_for: waiting.map(|waiting| waiting.reason.clone()),
        waiting_since: waiting.map(|waiting| time::rfc3339(waiting.since)),
        waiting_seconds: waiting.map(|waiting| time::ago(waiting.since, report.at).as_secs_f64()),
        detached_by: detached.map(|detached| detached.reason.clone()),
        detached_since: detached.map(|detached| time::rfc3339(detached.since)),
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
        next_run: pipeline.next_run.map(time::rfc3339),
        last_error: error.map(|error| error.message.clone()),
        last_error_at: error.map(|error| time::rfc3339(error.at)),
        failing_since: pipeline.failing_since.map(time::rfc3339),
        mismatches: pipeline.mismatches.json(),
    }
}

fn of_template(template: &Template) -> TemplateJson {
    let waiting = template.waiting.as_ref();
    TemplateJson {
        name: template.name.clone(),
        from: template.from.clone(),
        to: template.to.clone(),
        pipelines: template.pipelines,
        waiting_for: waiting.map(|waiting| waiting.reason.clone()),
        waiting_since: waiting.map(|waiting| time::rfc3339(waiting.since)),
    }
}
