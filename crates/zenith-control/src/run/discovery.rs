//! Looks for collections while `zenith run` is running: those of templates, and of a whole database without any
//! configuration. Each new one gets a pipeline in the state, which is started as any other that is applied.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use futures_util::future::join_all;
use zenith_engine::state::{Condition, DynStateStore, Role, Since, StateStore as _};
use zenith_engine::{MongoSource, Namespace};

use super::environment::Environment;
use crate::collections::listing::Meant;
use crate::config::applied::{self, Applied, pipeline_record};
use crate::config::{Connector, Pipeline, names};
use crate::connect;
use crate::failure::Failure;
use crate::members::{self, member};
use crate::notices::Notices;

/// Looks for collections.
pub struct Discovery {
    notices: Notices,
    environment: Option<Environment>,
    /// Connections, by the sources they were made for.
    sources: BTreeMap<String, (Connector, MongoSource)>,
    /// What of each template stands in the way, and since when.
    troubles: BTreeMap<String, (Failure, SystemTime)>,
    /// What has been told, so that each is told once.
    told: BTreeSet<String>,
    has_templates: bool,
}

/// A template, and whether new members of it stand still.
struct Template {
    name: String,
    pipeline: Pipeline,
    paused: bool,
}

/// What a template means at the moment, with the database of its source's address.
type Looked = Result<(Meant, Option<String>), Failure>;

impl Discovery {
    /// Of the templates that are applied, or of the database that the environment names.
    pub fn new(environment: Option<Environment>, notices: Notices) -> Discovery {
        Discovery {
            notices,
            environment,
            sources: BTreeMap::new(),
            troubles: BTreeMap::new(),
            told: BTreeSet::new(),
            has_templates: false,
        }
    }

    /// Whether there may be pipelines later that are not there yet.
    pub fn may_find(&self) -> bool {
        self.environment.is_some() || self.has_templates
    }

    /// What stands in the way of finding collections, or of following those that were found.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.troubles.values().map(|(failure, _)| failure)
    }

    /// Adds a pipeline for each collection that is meant and has none.
    ///
    /// # Errors
    /// When the state cannot be read or written. What is wrong with one template is noted of that one.
    pub async fn look(&mut self, store: &DynStateStore) -> Result<(), Failure> {
        let now = Applied::read(store).await?;
        let templates = self.templates(&now);
        self.has_templates = !templates.is_empty();
        self.troubles.retain(|name, _| templates.iter().any(|template| template.name == *name));
        if templates.is_empty() {
            return Ok(());
        }
        let looked = self.ask(&templates, &now).await;
        let mut found = Finding::of(&now);
        for (template, looked) in templates.iter().zip(looked) {
            match looked {
                Ok((meant, own)) => {
                    self.tell_left_out(&template.name, &meant.left_out);
                    for namespace in &meant.collections {
                        if let Some(sentence) = found.add(template, own.as_deref(), namespace) {
                            self.tell(sentence);
                        }
                    }
                }
                // Without its collections nothing is known of what is to be run.
                Err(failure) if template.name.is_empty() => return Err(failure),
                Err(failure) => {
                    self.tell(format!("{}: {}", template.name, failure.message()));
                    found.troubles.insert(template.name.clone(), failure);
                }
            }
        }
        found.refuse().into_iter().for_each(|sentence| self.tell(sentence));
        found.save(store).await?;
        self.note(store, &templates, found.troubles).await
    }

    fn templates(&self, now: &Applied) -> Vec<Template> {
        if let Some(environment) = &self.environment {
            let pipeline = environment.template();
            return vec![Template { name: String::new(), pipeline, paused: false }];
        }
        let understood = |record: &zenith_engine::state::PipelineRecord| {
            let pipeline = applied::pipeline(record).ok()?;
            Some(Template { name: record.name.clone(), pipeline, paused: record.paused })
        };
        now.templates.iter().filter_map(understood).collect()
    }

    /// Asks the sources of the templates, side by side.
    async fn ask(&mut self, templates: &[Template], now: &Applied) -> Vec<Looked> {
        let mut unusable: BTreeMap<&str, Failure> = BTreeMap::new();
        for template in templates {
            let name = &template.pipeline.source;
            if let Err(failure) = self.connect(name, now).await {
                unusable.insert(name, failure);
            }
        }
        let asked = templates.iter().map(async |template| {
            let name = template.pipeline.source.as_str();
            match (self.sources.get(name), unusable.get(name)) {
                (Some((_, source)), None) => {
                    let meant = members::meant(&template.pipeline, source).await?;
                    Ok((meant, source.default_database().map(str::to_owned)))
                }
                (_, Some(failure)) => Err(failure.clone()),
                (None, None) => Err(Failure::Input(format!("the source {name} was not applied"))),
            }
        });
        join_all(asked).await
    }

    /// Makes a connection to a source, unless there is one to the same address.
    async fn connect(&mut self, name: &str, now: &Applied) -> Result<(), Failure> {
        let Some(record) = now.connector(name, Role::Source) else { return Ok(()) };
        let connector = applied::connector(record).map_err(Failure::Input)?;
        if self.sources.get(name).is_none_or(|(known, _)| *known != connector) {
            let source = connect::source(name, &connector).await?;
            self.sources.insert(name.to_owned(), (connector, source));
        }
        Ok(())
    }

    /// Tells of views and time series, once.
    fn tell_left_out(&mut self, template: &str, left_out: &[(Namespace, &'static str)]) {
        for (namespace, reason) in left_out {
            if self.told.insert(format!("{template} {namespace}")) {
                tracing::warn!(collection = %namespace, "left out: {reason}");
            }
        }
    }

    fn tell(&mut self, sentence: String) {
        if !self.told.contains(&sentence) {
            self.notices.tell(None, &sentence);
            self.told.insert(sentence);
        }
    }

    /// Notes what stands in the way of templates, for the status.
    async fn note(
        &mut self,
        store: &DynStateStore,
        templates: &[Template],
        mut troubles: BTreeMap<String, Failure>,
    ) -> Result<(), Failure> {
        let now = SystemTime::now();
        let mut conditions = Vec::new();
        for Template { name, .. } in templates {
            let waiting = match troubles.remove(name) {
                None => {
                    self.troubles.remove(name);
                    None
                }
                Some(failure) => {
                    let reason = failure.message().to_owned();
                    let since = self.troubles.get(name).map_or(now, |(_, since)| *since);
                    self.troubles.insert(name.clone(), (failure, since));
                    Some(Since { reason, since })
                }
            };
            if !name.is_empty() {
                conditions.push((name.clone(), Condition { waiting, ..Condition::new(now) }));
            }
        }
        Ok(store.note_conditions(&conditions).await?)
    }
}

/// What one look finds.
struct Finding {
    /// All pipelines, those that are new as well.
    pipelines: BTreeMap<String, Pipeline>,
    /// Templates and collections that have a pipeline already.
    known: BTreeSet<(String, String)>,
    /// The names of new pipelines, and whether they stand still.
    new: BTreeMap<String, bool>,
    /// What stands in the way of each template.
    troubles: BTreeMap<String, Failure>,
}

impl Finding {
    /// Nothing but what is applied.
    fn of(now: &Applied) -> Finding {
        // What this version does not understand is told where it is to be run.
        let understood = now.pipelines.iter().filter_map(|record| {
            let pipeline = applied::pipeline(record).ok()?;
            Some((record.name.clone(), pipeline))
        });
        let pipelines: BTreeMap<String, Pipeline> = understood.collect();
        let key =
            |pipeline: &Pipeline| (pipeline.settings.member_of.clone(), pipeline.settings.collection.clone());
        let known = pipelines.values().map(key).collect();
        Finding { pipelines, known, new: BTreeMap::new(), troubles: BTreeMap::new() }
    }

    /// Adds a pipeline for a collection that has none, or says why there cannot be one.
    fn add(&mut self, template: &Template, own: Option<&str>, namespace: &Namespace) -> Option<String> {
        if self.known.contains(&(template.name.clone(), namespace.to_string())) {
            return None;
        }
        let (name, pipeline) = member(&template.name, &template.pipeline, own, namespace);
        match self.pipelines.entry(name.clone()) {
            Entry::Vacant(free) => {
                free.insert(pipeline);
                self.new.insert(name, template.paused);
                None
            }
            Entry::Occupied(taken) if taken.get().settings.member_of == template.name => {
                let other = &taken.get().settings.collection;
                let sentence = format!(
                    "{namespace} is left out: its pipeline would be {name}, which is that of {other}"
                );
                self.troubles.insert(template.name.clone(), Failure::Input(sentence.clone()));
                Some(sentence)
            }
            // One that is written out takes its place.
            Entry::Occupied(_) => None,
        }
    }

    /// Gives up the new pipelines whose names in the target are those of others, and says why. One that is followed already
    /// goes on.
    fn refuse(&mut self) -> Vec<String> {
        let mut sentences = Vec::new();
        if self.new.is_empty() {
            return sentences;
        }
        let all = self.pipelines.iter().map(|(name, pipeline)| (name.as_str(), pipeline));
        for collision in names::collisions(all, |_| None) {
            for name in collision.pipelines {
                if self.new.remove(&name).is_none() {
                    continue;
                }
                let of = self.pipelines.get(&name).map(|pipeline| pipeline.settings.member_of.clone());
                let sentence = format!("{name} is left out: {}", collision.sentence);
                let of = of.unwrap_or_default();
                let advice = if of.is_empty() { " (in a zenith.toml)" } else { "" };
                sentences.push(format!("{sentence}{advice}"));
                self.troubles.entry(of).or_insert(Failure::Input(sentence));
            }
        }
        sentences
    }

    /// Puts the new pipelines into the state, but for those of templates that were removed meanwhile.
    async fn save(&self, store: &DynStateStore) -> Result<(), Failure> {
        if self.new.is_empty() {
            return Ok(());
        }
        let now = Applied::read(store).await?;
        for (name, paused) in &self.new {
            let Some(pipeline) = self.pipelines.get(name) else { continue };
            let of = &pipeline.settings.member_of;
            if of.is_empty() || now.template(of).is_some() {
                store.put_pipeline(&pipeline_record(name, pipeline, *paused)).await?;
                tracing::info!(pipeline = name, "a pipeline was added");
            }
        }
        Ok(())
    }
}
