//! The runs there have been.

use std::time::SystemTime;

use serde::Serialize;
use utoipa::ToSchema;
use zenith_engine::state::{INTERRUPTED, Outcome, Run, StateStore};

use crate::connect::no_pipeline;
use crate::failure::Failure;
use crate::time;

/// A run for machines.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunJson {
    id: i64,
    pipeline: String,
    mode: String,
    /// The version of Zenith.
    version: String,
    started: String,
    ended: Option<String>,
    seconds: f64,
    outcome: Option<&'static str>,
    rows: u64,
    bytes: u64,
    extra_values_total: u64,
    dead_letters: u64,
    error: Option<String>,
}

impl RunJson {
    /// A run as it is at a moment.
    pub fn of(run: &Run, now: SystemTime) -> RunJson {
        RunJson {
            id: run.id,
            pipeline: run.pipeline.clone(),
            mode: run.mode.clone(),
            version: run.version.clone(),
            started: time::rfc3339(run.started),
            ended: run.ended.map(time::rfc3339),
            seconds: time::ago(run.started, run.ended.unwrap_or(now)).as_secs_f64(),
            outcome: run.outcome.map(|outcome| outcome.as_str()),
            rows: run.figures.rows,
            bytes: run.figures.bytes,
            extra_values_total: run.figures.extra_values,
            dead_letters: run.figures.dead_letters,
            error: run.error.clone(),
        }
    }
}

/// The newest runs, of all pipelines or of one. `running` says whether a process has the state: of those that have not
/// ended, none is under way otherwise.
///
/// # Errors
/// If neither a pipeline nor a run has this name.
pub async fn runs(
    store: &impl StateStore,
    name: Option<&str>,
    limit: u32,
    running: bool,
) -> Result<Vec<Run>, Failure> {
    let mut runs = store.runs(name, limit).await?;
    if let Some(name) = name.filter(|_| runs.is_empty()) {
        let pipelines = store.pipelines().await?;
        // A pipeline that was removed has runs all the same, so only a name nobody knows is an error.
        if pipelines.iter().all(|record| record.name != name) {
            return Err(no_pipeline(name, pipelines.iter().map(|record| record.name.as_str())));
        }
    }
    // Killed, it could not say how it ended; the next run notes it so.
    for run in runs.iter_mut().filter(|run| !running && run.outcome.is_none()) {
        run.outcome = Some(Outcome::Failed);
        run.error.get_or_insert_with(|| INTERRUPTED.to_owned());
    }
    Ok(runs)
}
