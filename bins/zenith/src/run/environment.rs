//! A whole database without any configuration: `ZENITH_SOURCE`, `ZENITH_TARGET`, and a pipeline for each collection.
//!
//! The state keeps references to the two variables, and a pipeline for every collection there has ever been, so that
//! a later run goes on where this one ends.

use std::collections::BTreeSet;

use zenith_engine::state::{Role, StateStore};
use zenith_engine::{MongoSource, PipelineSettings};

use super::collections;
use crate::config::applied::{Applied, connector_record, pipeline_record};
use crate::config::{Connector, Pipeline, expand};
use crate::connect;
use crate::exit::Failure;

/// The connectors and the variables they refer to.
const SOURCE: (&str, &str) = ("source", "ZENITH_SOURCE");
const TARGET: (&str, &str) = ("target", "ZENITH_TARGET");

/// The database that the environment names.
pub struct Environment {
    source: MongoSource,
    database: String,
    /// Views and time series that have been told about.
    left_out: BTreeSet<String>,
}

/// Whether both variables are set, and nothing else was applied.
pub fn decides(applied: &Applied) -> bool {
    let is_set = |name: &str| expand::from_environment(name).is_some_and(|value| !value.trim().is_empty());
    let is_ours = |connector: &zenith_engine::state::Connector| {
        [(SOURCE, Role::Source), (TARGET, Role::Target)].iter().any(|((name, variable), role)| {
            connector.name == *name && connector.role == *role && connector.uri == reference(variable)
        })
    };
    is_set(SOURCE.1) && is_set(TARGET.1) && applied.connectors.iter().all(is_ours)
}

fn reference(variable: &str) -> String {
    format!("${{{variable}}}")
}

impl Environment {
    /// Connects, and notes both connectors.
    pub async fn open(store: &impl StateStore) -> Result<Environment, Failure> {
        let connector = |variable: &str| Connector { uri: reference(variable), ..Connector::default() };
        let source = connect::source(SOURCE.0, &connector(SOURCE.1)).await?;
        let Some(database) = source.default_database().map(str::to_owned) else {
            return Err(Failure::Input(format!(
                "{} names no database: write ZENITH_SOURCE as mongodb://HOST:PORT/DATABASE",
                source.address()
            )));
        };
        let applied = Applied::read(store).await?;
        for record in &applied.pipelines {
            let pipeline = crate::config::applied::pipeline(record).map_err(Failure::Input)?;
            let collection = pipeline.settings.collection;
            match collection.split_once('.') {
                Some((of, _)) if of == database => {}
                _ => {
                    return Err(Failure::Input(format!(
                        "the state belongs to another database ({collection}), and ZENITH_SOURCE names {database}: \
                         use another state, or put that database back"
                    )));
                }
            };
        }
        store.put_connector(&connector_record(SOURCE.0, Role::Source, &connector(SOURCE.1))).await?;
        store.put_connector(&connector_record(TARGET.0, Role::Target, &connector(TARGET.1))).await?;
        Ok(Environment { source, database, left_out: BTreeSet::new() })
    }

    /// Adds a pipeline for each collection that has none.
    pub async fn look(&mut self, store: &impl StateStore) -> Result<(), Failure> {
        // Each time, as pipelines are removed as well: the next collection of the name is a new one.
        let known: BTreeSet<String> =
            store.pipelines().await?.into_iter().map(|record| record.name).collect();
        for (collection, tells_changes) in collections::names(&self.source, &self.database).await? {
            if known.contains(&collection) {
                continue;
            }
            if !tells_changes {
                if self.left_out.insert(collection.clone()) {
                    tracing::warn!(collection, "is a view or a time series, and is left out");
                }
                continue;
            }
            let settings = PipelineSettings {
                collection: format!("{}.{collection}", self.database),
                ..PipelineSettings::default()
            };
            let (source, target) = (SOURCE.0.to_owned(), TARGET.0.to_owned());
            let record = pipeline_record(&collection, &Pipeline { source, target, settings }, false);
            store.put_pipeline(&record).await?;
            tracing::info!(collection, "a pipeline was added");
        }
        Ok(())
    }
}
