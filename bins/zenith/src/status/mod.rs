//! How far each pipeline has come, read out of the state alone, so that it can be told whoever runs.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`pipeline`] | one pipeline: what its records say of it |
//! | [`rates`] | rows a second |
//! | [`show`] | all of them, as a table, as JSON, as one line |

pub mod pipeline;
pub mod rates;
pub mod show;

use std::time::{Duration, SystemTime};

use zenith_engine::state::{SqliteStore, StateStore as _};

use crate::args::Allowed;
use crate::connect::no_pipeline;
use crate::exit::Failure;
use crate::state::Places;

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
        let mut pipelines = Vec::with_capacity(records.len());
        for record in records.iter().filter(|record| name.is_none_or(|name| record.name == name)) {
            pipelines.push(Pipeline::read(store, record, running, at).await?);
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
    pub fn complaints(&self, lag_max: Option<Duration>) -> Vec<String> {
        let mut complaints = Vec::new();
        for pipeline in &self.pipelines {
            match pipeline.state {
                State::Failed => {
                    let error = pipeline.last_error.as_ref().map_or("", |error| &error.message);
                    complaints.push(format!("{} failed: {error}", pipeline.name));
                }
                State::Interrupted => complaints.push(format!("{} was interrupted", pipeline.name)),
                _ => {}
            }
            if let (Some(lag), Some(most)) = (pipeline.lag, lag_max)
                && lag > most
                && pipeline.state != State::Paused
            {
                complaints.push(format!("{} lags {} behind", pipeline.name, crate::time::duration(lag)));
            }
        }
        complaints
    }
}
