//! From applied connectors to sources and sinks. The only place where secrets are looked up.

use std::sync::Arc;

use zenith_engine::state::{DynStateStore, Role, StateStore};
use zenith_engine::transport::{ClickHouseSink, ConnectionOptions};
use zenith_engine::{
    MongoSource, Namespace, PipelineSettings, Pool, ReloadOptions, SyncPipeline, TableOptions, Target,
};

use crate::config::{Config, Connector, Pipeline, expand, suggest};
use crate::failure::{Failure, code};
use crate::memory::Part;
use crate::state::Places;

/// What keeps the pipelines of one source in step.
pub type Replicator = zenith_engine::Replicator<MongoSource, ClickHouseSink, DynStateStore>;

/// A pipeline at rest.
pub type Rest = zenith_engine::Rest<MongoSource, ClickHouseSink, DynStateStore>;

/// Connects to a source.
pub async fn source(name: &str, connector: &Connector) -> Result<MongoSource, Failure> {
    let uri = expanded(name, Role::Source, connector)?;
    MongoSource::connect(&uri).await.map_err(|error| named(Role::Source, name, &error.into()))
}

/// Makes a sink for tables of one server, or of all of a cluster; it connects when it is used. It sends from the pool without
/// copying.
pub fn sink(
    name: &str,
    connector: &Connector,
    pool: &Pool,
    cluster: Option<&String>,
) -> Result<ClickHouseSink, Failure> {
    let (target, options) = target(name, connector)?;
    let sink = ClickHouseSink::new(target, Some(pool.clone()), options);
    sink.map(|sink| sink.on_cluster(cluster.cloned()))
        .map_err(|error| named(Role::Target, name, &error.into()))
}

fn target(name: &str, connector: &Connector) -> Result<(Target, ConnectionOptions), Failure> {
    let uri = expanded(name, Role::Target, connector)?;
    let target = Target::parse(&uri).map_err(|error| named(Role::Target, name, &error.into()))?;
    Ok((target, connector.options.connection()))
}

fn expanded(name: &str, role: Role, connector: &Connector) -> Result<String, Failure> {
    let what = format!("the address of the {role} {name}");
    expand::expand(&connector.uri, &what, &expand::from_environment)
        .map_err(|message| Failure::known(code::REFERENCE, message))
}

fn named(role: Role, name: &str, error: &zenith_engine::EngineError) -> Failure {
    let failure = Failure::from(error);
    Failure::known(failure.code(), format!("the {role} {name}: {}", failure.message()))
}

/// The settings of a pipeline, with the salts of its masks.
pub fn settings(name: &str, pipeline: &Pipeline) -> Result<PipelineSettings, Failure> {
    let mut settings = pipeline.settings.clone();
    look_up_salts(&mut settings.options, &format!(" of the pipeline {name}"))
        .map_err(|message| Failure::known(code::REFERENCE, message))?;
    Ok(settings)
}

/// Looks up the salts of masks; `of` says in errors what they are of.
pub fn look_up_salts(options: &mut TableOptions, of: &str) -> Result<(), String> {
    for (path, mask) in &mut options.mask {
        let what = format!("the salt of the mask of {path}{of}");
        mask.look_up(|reference| expand::expand(reference, &what, &expand::from_environment))?;
    }
    Ok(())
}

/// The collection of a pipeline; the database is that of the source's address unless it names one itself.
pub fn namespace(name: &str, pipeline: &Pipeline, source: &MongoSource) -> Result<Namespace, Failure> {
    let collection = &pipeline.settings.collection;
    if collection.contains('.') {
        return collection.parse().map_err(|error| Failure::from(zenith_engine::EngineError::Source(error)));
    }
    match source.default_database() {
        Some(database) => Ok(Namespace::new(database, collection)),
        None => Err(Failure::Input(format!(
            "the source {} of the pipeline {name} names no database: add one to its address, or write the \
             collection as database.{collection}",
            pipeline.source
        ))),
    }
}

/// The pipeline of a name, or a sentence with what there is instead.
pub fn pipeline<'c>(config: &'c Config, name: &str) -> Result<&'c Pipeline, Failure> {
    config.pipelines.get(name).ok_or_else(|| match config.templates.contains_key(name) {
        true => several(name, config.pipelines.iter().map(|(name, of)| (name.as_str(), of))),
        false => no_pipeline(name, config.pipelines.keys().map(String::as_str)),
    })
}

/// A pipeline of several collections is named where one is needed.
fn several<'a>(name: &str, pipelines: impl Iterator<Item = (&'a str, &'a Pipeline)>) -> Failure {
    let mut members = pipelines.filter(|(_, pipeline)| pipeline.settings.member_of == name);
    let sentence = match members.next() {
        Some((first, _)) => format!(
            "{name} is of {} collections: name the pipeline of one of them, as in {first}",
            members.count() + 1
        ),
        None => format!("{name} is of several collections, and none that matches has been found yet"),
    };
    Failure::known(code::SEVERAL, sentence)
}

/// There is no pipeline of this name.
pub fn no_pipeline<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Failure {
    let sentence = format!("there is no pipeline {name:?}{}", suggest::hint(name, known));
    Failure::known(code::NO_PIPELINE, sentence)
}

/// The memory for data on its way: what the command line says, else the configuration, else the default.
pub fn pool(asked_for: Option<bytesize::ByteSize>, places: &Places) -> Result<Pool, Failure> {
    Pool::new(budget(asked_for, places)).map_err(|error| zenith_engine::EngineError::Memory(error).into())
}

/// The same for commands that load: it is a file if pages of it may be sent to one of the targets as they are.
pub async fn loading_pool<'c>(
    asked_for: Option<bytesize::ByteSize>,
    places: &Places,
    targets: impl IntoIterator<Item = (&'c String, &'c Connector)>,
) -> Result<Pool, Failure> {
    for (name, connector) in targets {
        // What is wrong with a target is told when a sink is made of it.
        let Ok((target, options)) = target(name, connector) else { continue };
        if options.wants_pool_in_file(&target).await {
            let pool = Pool::in_file(budget(asked_for, places));
            return pool.map_err(|error| zenith_engine::EngineError::Memory(error).into());
        }
    }
    pool(asked_for, places)
}

fn budget(asked_for: Option<bytesize::ByteSize>, places: &Places) -> usize {
    match asked_for.or(places.process.memory) {
        Some(size) => usize::try_from(size.as_u64()).unwrap_or(usize::MAX),
        None => ReloadOptions::default().memory,
    }
}

/// A source and a sink with one pipeline between them.
pub struct Single {
    /// What keeps it in step.
    pub keeper: Replicator,
    /// The database it reads.
    pub source: MongoSource,
    /// The database it writes.
    pub sink: Arc<ClickHouseSink>,
    /// Its collection.
    pub namespace: Namespace,
    /// Its table.
    pub table: String,
    /// Its settings.
    pub pipeline: Pipeline,
    /// What it has of the memory.
    pub memory: Part,
}

/// Connects both ends of one pipeline, which has all of a pool.
pub async fn single(
    config: &Config,
    name: &str,
    store: impl StateStore,
    pool: &Pool,
) -> Result<Single, Failure> {
    single_within(config, name, store, Part::whole(pool.clone())).await
}

/// Connects both ends of one pipeline, which has a part of the memory of a run.
pub async fn single_within(
    config: &Config,
    name: &str,
    store: impl StateStore,
    memory: Part,
) -> Result<Single, Failure> {
    let pool = &memory.pool;
    let mut pipeline = pipeline(config, name)?.clone();
    pipeline.settings = settings(name, &pipeline)?;
    let connector = |connectors: &std::collections::BTreeMap<String, Connector>, end: &str, role: Role| {
        connectors.get(end).cloned().ok_or_else(|| {
            Failure::Input(format!("the pipeline {name} names the {role} {end:?}, which was not applied"))
        })
    };
    let source =
        source(&pipeline.source, &connector(&config.sources, &pipeline.source, Role::Source)?).await?;
    let target = connector(&config.targets, &pipeline.target, Role::Target)?;
    let cluster = pipeline.settings.shape.on_cluster.as_ref();
    let sink = Arc::new(sink(&pipeline.target, &target, pool, cluster)?);
    let namespace = namespace(name, &pipeline, &source)?;
    let table = pipeline.table().to_owned();
    let mut keeper = Replicator::new(source.clone(), Arc::new(DynStateStore::new(store)), pool.clone())
        .with_memory(memory.divisible);
    keeper.add(SyncPipeline {
        name: name.to_owned(),
        namespace: namespace.clone(),
        table: table.clone(),
        sink: Arc::clone(&sink),
        settings: pipeline.settings.clone(),
    })?;
    Ok(Single { keeper, source, sink, namespace, table, pipeline, memory })
}
