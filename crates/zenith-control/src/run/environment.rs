//! A whole database without any configuration: `ZENITH_SOURCE`, `ZENITH_TARGET`, and a pipeline for each collection.
//!
//! The state keeps references to the two variables, and a pipeline for every collection there has ever been, so that
//! a later run goes on where this one ends.

use zenith_engine::PipelineSettings;
use zenith_engine::state::{Role, StateStore};

use crate::config::applied::{Applied, connector_record};
use crate::config::{Connector, Pipeline, expand};
use crate::connect;
use crate::failure::Failure;

/// The connectors and the variables they refer to.
const SOURCE: (&str, &str) = ("source", "ZENITH_SOURCE");
const TARGET: (&str, &str) = ("target", "ZENITH_TARGET");

/// The database that the environment names.
pub struct Environment {
    database: String,
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

fn connector(variable: &str) -> Connector {
    Connector { uri: reference(variable), ..Connector::default() }
}

/// The target of the whole database, and what it is called.
pub fn target() -> (String, Connector) {
    (TARGET.0.to_owned(), connector(TARGET.1))
}

impl Environment {
    /// Connects, and notes both connectors.
    pub async fn open(store: &impl StateStore) -> Result<Environment, Failure> {
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
        Ok(Environment { database })
    }

    /// What stands for the pipelines of all its collections.
    pub fn template(&self) -> Pipeline {
        let settings = PipelineSettings {
            collections: vec![format!("{}.*", self.database)],
            ..PipelineSettings::default()
        };
        Pipeline { source: SOURCE.0.to_owned(), target: TARGET.0.to_owned(), settings }
    }
}
