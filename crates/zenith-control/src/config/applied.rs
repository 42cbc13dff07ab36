//! Configurations as the state keeps them: connectors with references, settings as JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use zenith_engine::PipelineSettings;
use zenith_engine::state::{self, PipelineRecord, Role, StateStore};

use super::{Config, Connector, Pipeline, Process};

/// What has been applied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// Sources and targets, by name.
    pub connectors: Vec<state::Connector>,
    /// Pipelines of one collection each, by name.
    pub pipelines: Vec<PipelineRecord>,
    /// Pipelines of several collections.
    pub templates: Vec<PipelineRecord>,
}

impl Applied {
    /// Reads it out of a state.
    pub async fn read(store: &impl StateStore) -> state::Result<Applied> {
        let (templates, pipelines) = store.pipelines().await?.into_iter().partition(is_template);
        Ok(Applied { connectors: store.connectors().await?, pipelines, templates })
    }

    /// Whether nothing is there to be run.
    pub fn is_idle(&self) -> bool {
        self.pipelines.is_empty() && self.templates.is_empty()
    }

    /// The names of everything that can be named.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pipelines.iter().chain(&self.templates).map(|record| record.name.as_str())
    }

    /// A pipeline of several collections by its name.
    pub fn template(&self, name: &str) -> Option<&PipelineRecord> {
        self.templates.iter().find(|template| template.name == name)
    }

    /// The pipelines of a name: that one, or those of its collections.
    pub fn meant<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a PipelineRecord> {
        let is_template = self.template(name).is_some();
        self.pipelines
            .iter()
            .filter(move |record| record.name == name || (is_template && member_of(record) == name))
    }

    /// A connector in a given role.
    pub fn connector(&self, name: &str, role: Role) -> Option<&state::Connector> {
        self.connectors.iter().find(|connector| connector.name == name && connector.role == role)
    }

    /// A pipeline by its name.
    pub fn pipeline(&self, name: &str) -> Option<&PipelineRecord> {
        self.pipelines.iter().find(|pipeline| pipeline.name == name)
    }

    /// Its targets, but for those that this version does not understand.
    pub fn targets(&self) -> BTreeMap<String, Connector> {
        let targets = self.connectors.iter().filter(|record| record.role == Role::Target);
        targets.filter_map(|record| Some((record.name.clone(), connector(record).ok()?))).collect()
    }

    /// As a configuration.
    ///
    /// # Errors
    /// One sentence about the first record that this version does not understand.
    pub fn config(&self) -> Result<Config, String> {
        let mut config = Config { process: Process::default(), ..Config::default() };
        for record in &self.connectors {
            let connectors = match record.role {
                Role::Source => &mut config.sources,
                Role::Target => &mut config.targets,
            };
            connectors.insert(record.name.clone(), connector(record)?);
        }
        for record in &self.pipelines {
            config.pipelines.insert(record.name.clone(), pipeline(record)?);
        }
        for record in &self.templates {
            config.templates.insert(record.name.clone(), pipeline(record)?);
        }
        Ok(config)
    }
}

/// Whether a record is that of several collections.
pub fn is_template(record: &PipelineRecord) -> bool {
    // Others need not be read as a whole.
    record.settings.contains("\"collections\":[") && pipeline(record).is_ok_and(|it| it.is_template())
}

/// The pipeline of several collections that a record is of; empty if it is of none.
pub fn member_of(record: &PipelineRecord) -> String {
    match record.settings.contains("\"member_of\":") {
        true => pipeline(record).map(|pipeline| pipeline.settings.member_of).unwrap_or_default(),
        false => String::new(),
    }
}

/// A connector out of its record.
pub fn connector(record: &state::Connector) -> Result<Connector, String> {
    let options = match record.options.as_str() {
        "" => Default::default(),
        text => serde_json::from_str(text).map_err(|error| unknown("connector", &record.name, &error))?,
    };
    Ok(Connector { uri: record.uri.clone(), options })
}

/// A pipeline out of its record.
pub fn pipeline(record: &PipelineRecord) -> Result<Pipeline, String> {
    let settings =
        serde_json::from_str(&record.settings).map_err(|error| unknown("pipeline", &record.name, &error))?;
    Ok(Pipeline { source: record.source.clone(), target: record.target.clone(), settings })
}

/// The settings of a pipeline by the names they have now; as they stand where this version does not understand them.
pub fn settings(record: &PipelineRecord) -> Option<Map<String, Value>> {
    let understood = serde_json::from_str::<PipelineSettings>(&record.settings)
        .and_then(|settings| serde_json::to_value(&settings));
    match understood.or_else(|_| serde_json::from_str(&record.settings)) {
        Ok(Value::Object(settings)) => Some(settings),
        Ok(_) | Err(_) => None,
    }
}

fn unknown(what: &str, name: &str, error: &serde_json::Error) -> String {
    format!(
        "the settings of the {what} {name} in the state are not understood by this version of Zenith: {error}; \
         apply the configuration again"
    )
}

/// The records of a configuration. Pipelines that are paused stay so.
pub fn records(config: &Config, paused: &BTreeMap<&str, bool>) -> Applied {
    let connectors = |role, connectors: &BTreeMap<String, Connector>| -> Vec<state::Connector> {
        connectors.iter().map(|(name, connector)| connector_record(name, role, connector)).collect()
    };
    let mut applied = Applied {
        connectors: connectors(Role::Source, &config.sources),
        pipelines: Vec::with_capacity(config.pipelines.len()),
        templates: Vec::with_capacity(config.templates.len()),
    };
    applied.connectors.extend(connectors(Role::Target, &config.targets));
    let is_paused = |name: &str| paused.get(name).copied();
    for (name, pipeline) in &config.pipelines {
        // A new one of several stands still with the others.
        let paused = is_paused(name).or_else(|| is_paused(&pipeline.settings.member_of));
        applied.pipelines.push(pipeline_record(name, pipeline, paused.unwrap_or(false)));
    }
    for (name, template) in &config.templates {
        applied.templates.push(pipeline_record(name, template, is_paused(name).unwrap_or(false)));
    }
    applied
}

/// A connector as the state keeps it.
pub fn connector_record(name: &str, role: Role, connector: &Connector) -> state::Connector {
    state::Connector {
        name: name.to_owned(),
        role,
        uri: connector.uri.clone(),
        options: json(&connector.options),
    }
}

/// A pipeline as the state keeps it.
pub fn pipeline_record(name: &str, pipeline: &Pipeline, paused: bool) -> PipelineRecord {
    PipelineRecord {
        name: name.to_owned(),
        source: pipeline.source.clone(),
        target: pipeline.target.clone(),
        settings: json(&pipeline.settings),
        paused,
    }
}

fn json(value: &impl serde::Serialize) -> String {
    // Structs of text, numbers and durations always serialise.
    serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}
