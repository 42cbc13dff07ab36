//! A whole database without any configuration: `ZENITH_SOURCE`, `ZENITH_TARGET`, and a pipeline for each collection.
//!
//! The state keeps references to the two variables, and a pipeline for every collection there has ever been, so that
//! a later run goes on where this one ends.

use std::collections::{BTreeMap, BTreeSet};

use zenith_engine::state::{Role, StateStore};
use zenith_engine::{MongoSource, PipelineSettings};

use crate::collections::listing;
use crate::config::applied::{self, Applied, connector_record, pipeline_record};
use crate::config::{Connector, Pipeline, expand, names};
use crate::connect;
use crate::exit::Failure;
use crate::progress::say;

/// The connectors and the variables they refer to.
const SOURCE: (&str, &str) = ("source", "ZENITH_SOURCE");
const TARGET: (&str, &str) = ("target", "ZENITH_TARGET");

/// The database that the environment names.
pub struct Environment {
    source: MongoSource,
    database: String,
    /// Views and time series that have been told about.
    left_out: BTreeSet<String>,
    /// Collections whose names would be those of others, with the reason.
    refused: BTreeMap<String, String>,
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
        Ok(Environment { source, database, left_out: BTreeSet::new(), refused: BTreeMap::new() })
    }

    /// Adds a pipeline for each collection that has none, unless a name it needs is that of another one's table or view.
    pub async fn look(&mut self, store: &impl StateStore) -> Result<(), Failure> {
        // Each time, as pipelines are removed as well: the next collection of the name is a new one.
        let mut pipelines: BTreeMap<String, Pipeline> = BTreeMap::new();
        for record in store.pipelines().await? {
            pipelines.insert(record.name.clone(), applied::pipeline(&record).map_err(Failure::Input)?);
        }
        let mut new = BTreeSet::new();
        for (collection, tells_changes) in listing::names(&self.source, &self.database).await? {
            if pipelines.contains_key(&collection) {
                continue;
            }
            if !tells_changes {
                if self.left_out.insert(collection.clone()) {
                    tracing::warn!(collection, "left out: it is a view or a time series");
                }
                continue;
            }
            let settings = PipelineSettings {
                collection: format!("{}.{collection}", self.database),
                ..PipelineSettings::default()
            };
            let (source, target) = (SOURCE.0.to_owned(), TARGET.0.to_owned());
            pipelines.insert(collection.clone(), Pipeline { source, target, settings });
            new.insert(collection);
        }
        let refused = refused(&pipelines, &new);
        for (collection, sentence) in &refused {
            new.remove(collection);
            if self.refused.get(collection) != Some(sentence) {
                say(&format!("zenith: {collection} is left out: {sentence} (in a zenith.toml)"));
            }
        }
        self.refused = refused;
        for collection in new {
            if let Some(pipeline) = pipelines.get(&collection) {
                store.put_pipeline(&pipeline_record(&collection, pipeline, false)).await?;
                tracing::info!(collection, "a pipeline was added");
            }
        }
        Ok(())
    }

    /// Whether there are collections that are not followed because of their names.
    pub fn leaves_collections_out(&self) -> bool {
        !self.refused.is_empty()
    }
}

/// Those of the new collections that cannot be followed, each with the reason. One that is followed already goes on.
fn refused(pipelines: &BTreeMap<String, Pipeline>, new: &BTreeSet<String>) -> BTreeMap<String, String> {
    let all = pipelines.iter().map(|(name, pipeline)| (name.as_str(), pipeline));
    let mut refused = BTreeMap::new();
    for collision in names::collisions(all, |_| None) {
        for name in collision.pipelines.into_iter().filter(|name| new.contains(name)) {
            refused.entry(name).or_insert_with(|| collision.sentence.clone());
        }
    }
    refused
}
