//! How far each pipeline has come, read out of the state alone, so that it can be told whoever runs.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`condition`] | what the run under way noted of it: what it waits for, the oplog |
//! | [`pipeline`] | one pipeline: what its records say of it |
//! | [`template`] | one of several collections |
//! | [`rates`] | rows a second |
//! | [`json`] | all of them, for machines |

pub mod condition;
pub mod json;
pub mod pipeline;
pub mod rates;
pub mod template;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use zenith_engine::state::{AnyStore, PipelineRecord};

use crate::allowed::Allowed;
use crate::config::applied::Applied;
use crate::connect::no_pipeline;
use crate::failure::Failure;
use crate::state::Places;
use crate::time::{ago, duration};

use condition::Conditions;

pub use pipeline::{Pipeline, State};
pub use template::Template;

/// Everything at one moment.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whether a `zenith run` holds the state.
    pub running: bool,
    /// The moment.
    pub at: SystemTime,
    /// The pipelines, by name.
    pub pipelines: Vec<Pipeline>,
    /// Those of several collections, whose pipelines are among the others.
    pub templates: Vec<Template>,
    /// How far back each source knows changes.
    pub oplog_windows: BTreeMap<String, Duration>,
}

impl Report {
    /// Reads it.
    pub async fn read(places: &Places, store: &AnyStore, name: Option<&str>) -> Result<Report, Failure> {
        let running = places.is_held().await?;
        let at = SystemTime::now();
        let applied = Applied::read(store).await?;
        if let Some(name) = name.filter(|name| applied.names().all(|known| known != *name)) {
            return Err(no_pipeline(name, applied.names()));
        }
        let conditions = Conditions::read(store, &applied.pipelines).await?;
        let records: Vec<&PipelineRecord> = match name {
            None => applied.pipelines.iter().collect(),
            Some(name) => applied.meant(name).collect(),
        };
        let mut pipelines = Vec::with_capacity(records.len());
        for record in records {
            pipelines.push(Pipeline::read(store, record, &conditions, running, at).await?);
        }
        let templates = applied.templates.iter().filter(|record| name.is_none_or(|name| record.name == name));
        let templates = templates.map(|record| Template::read(record, &applied, &conditions, running, at));
        let oplog_windows = conditions.windows(at);
        Ok(Report { running, at, pipelines, templates: templates.collect(), oplog_windows })
    }

    /// What did not fit more than is allowed, in words.
    pub fn exceeded(&self, allowed: &Allowed) -> Vec<String> {
        let of = |pipeline: &Pipeline| {
            let all = &pipeline.mismatches.all;
            allowed.exceeded(&pipeline.name, all.values_total(), all.documents_total())
        };
        self.pipelines.iter().flat_map(of).collect()
    }

    /// What is not well, in words; empty if all is.
    pub fn complaints(&self, lag_max: Option<Duration>, grace: Duration) -> Vec<String> {
        let of_pipelines =
            self.pipelines.iter().flat_map(|pipeline| self.complaints_of(pipeline, lag_max, grace));
        self.templates.iter().filter_map(|template| template.complaint(self.at)).chain(of_pipelines).collect()
    }

    fn complaints_of(&self, pipeline: &Pipeline, lag_max: Option<Duration>, grace: Duration) -> Vec<String> {
        let name = &pipeline.name;
        let mut complaints = Vec::new();
        match pipeline.state {
            State::Failed => {
                let error = pipeline.last_error.as_ref().map_or("", |error| &error.message);
                complaints.push(format!("{name} failed: {error}"));
            }
            State::Interrupted => {
                complaints.push(format!("{name} was interrupted: zenith run continues with it"));
            }
            _ => {}
        }
        if let Some(waiting) = &pipeline.waiting {
            let lasts = duration(ago(waiting.since, self.at));
            complaints.push(format!("{name} has been waiting for {lasts}: {}", waiting.reason));
        }
        complaints.extend(pipeline.detachment(self.at));
        complaints.extend(pipeline.headroom.and_then(|headroom| headroom.complaint(name)));
        // A run that has just begun catches up first, if both ends answer.
        let is_young = pipeline.begun.is_some_and(|begun| ago(begun, self.at) < grace);
        let may_lag = pipeline.state == State::Paused || (is_young && pipeline.waiting.is_none());
        match (lag_max, pipeline.lag) {
            (Some(most), Some(lag)) if lag > most && !may_lag => {
                complaints.push(format!("{name} lags {} behind", duration(lag)));
            }
            (Some(_), None) if pipeline.is_kept_in_step && !may_lag => {
                complaints.push(format!(
                    "the lag of {name} is unknown, as its table is complete up to no time yet"
                ));
            }
            _ => {}
        }
        complaints
    }
}
