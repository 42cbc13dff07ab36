//! How far each pipeline has come, read out of the state alone, so that it can be told whoever runs.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`condition`] | what the run under way noted of it: what it waits for, the oplog |
//! | [`pipeline`] | one pipeline: what its records say of it |
//! | [`rates`] | rows a second |
//! | [`show`] | all of them, as a table, as JSON, as one line |

pub mod condition;
pub mod pipeline;
pub mod rates;
pub mod show;

use std::time::{Duration, SystemTime};

use zenith_engine::state::{SqliteStore, StateStore as _};

use crate::args::Allowed;
use crate::connect::no_pipeline;
use crate::exit::Failure;
use crate::state::Places;
use crate::time::{ago, duration};

use condition::Conditions;

pub use pipeline::{Pipeline, State};

/// Everything at one moment.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whether a `zenith run` holds the state.
    pub running: bool,
    pub at: SystemTime,
    pub pipelines: Vec<Pipeline>,
}

impl Report {
    /// Reads it.
    pub async fn read(places: &Places, store: &SqliteStore, name: Option<&str>) -> Result<Report, Failure> {
        let running = SqliteStore::is_locked(&places.state).await;
        let at = SystemTime::now();
        let records = store.pipelines().await?;
        if let Some(name) = name.filter(|name| records.iter().all(|record| record.name != *name)) {
            return Err(no_pipeline(name, records.iter().map(|record| record.name.as_str())));
        }
        let conditions = Conditions::read(store, &records).await?;
        let mut pipelines = Vec::with_capacity(records.len());
        for record in records.iter().filter(|record| name.is_none_or(|name| record.name == name)) {
            pipelines.push(Pipeline::read(store, record, &conditions, running, at).await?);
        }
        Ok(Report { running, at, pipelines })
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
        self.pipelines.iter().flat_map(|pipeline| self.complaints_of(pipeline, lag_max, grace)).collect()
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
