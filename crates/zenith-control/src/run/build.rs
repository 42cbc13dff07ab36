//! From the records of a group to something that runs. A pipeline that cannot be built fails alone.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tokio::sync::Mutex;
use zenith_engine::extract::ExtractError;
use zenith_engine::state;
use zenith_engine::transport::{ClickHouseSink, PreflightRequest};
use zenith_engine::{EngineError, MongoSource, Namespace, Sink as _, Source as _, SyncPipeline, Until};

use super::desired::{Group, Member};
use super::shared::{Ended, Shared};
use crate::config::applied;
use crate::connect::{self, Replicator};
use crate::failure::Failure;

/// What runs the pipelines of a group, with the connections that others of the group will use as well.
pub struct Built {
    /// What keeps the pipelines in step.
    pub keeper: Arc<Replicator>,
    source: MongoSource,
    sinks: Mutex<Sinks>,
}

impl Built {
    /// Lets further pipelines join those that run. Says which of them failed before they could begin; `None` if they cannot
    /// join, and the group has to begin anew with them.
    pub async fn join(&self, members: &[&Member], shared: &Shared) -> Option<Vec<Ended>> {
        let mut sinks = self.sinks.lock().await;
        let (mut joining, mut failed) = (Vec::new(), Vec::new());
        for member in members {
            match prepare(member, &self.source, &mut sinks, shared).await {
                Ok(pipeline) => joining.push(pipeline),
                Err(failure) => failed.push(Ended::failed(&member.pipeline.name, failure)),
            }
        }
        match self.keeper.join(joining).await {
            Ok(true) => Some(failed),
            Ok(false) => None,
            Err(error) => {
                tracing::warn!(%error, "pipelines cannot join those that run, which begin anew with them");
                None
            }
        }
    }
}

/// Connects to the source and to all targets, and tells which pipelines failed at that.
///
/// A run that only catches up looks whether somebody answers: it would wait for servers that are away otherwise, and
/// so would whoever started it.
pub async fn build(
    group: &Group,
    done: &HashSet<String>,
    shared: &Shared,
) -> Result<(Built, Vec<Ended>), Failure> {
    let record = group.source.as_ref().ok_or_else(|| missing("the source"))?;
    let connector = applied::connector(record).map_err(Failure::Input)?;
    let source = connect::source(&record.name, &connector).await?;
    let share = shared.memory.of_source(group.sharing);
    let mut keeper = Replicator::new(source.clone(), Arc::new(shared.store.clone()), shared.pool.clone())
        .with_memory(share);
    let mut sinks = Sinks::default();
    let mut failed = Vec::new();
    let mut source_answers = shared.until != Until::CaughtUp;
    for member in group.members.iter().filter(|member| !done.contains(&member.pipeline.name)) {
        let pipeline = match prepare(member, &source, &mut sinks, shared).await {
            Ok(pipeline) => pipeline,
            Err(failure) => {
                failed.push(Ended::failed(&member.pipeline.name, failure));
                continue;
            }
        };
        if !source_answers {
            answers(&source, &pipeline.namespace).await?;
            source_answers = true;
        }
        let name = pipeline.name.clone();
        if let Err(error) = keeper.add(pipeline) {
            failed.push(Ended::failed(&name, error.into()));
        }
    }
    Ok((Built { keeper: Arc::new(keeper), source, sinks: Mutex::new(sinks) }, failed))
}

/// The sinks of a group, by the names of their targets and clusters: pipelines share them, with their connections.
type Sinks = BTreeMap<(String, Option<String>), Arc<ClickHouseSink>>;

async fn prepare(
    member: &Member,
    source: &MongoSource,
    sinks: &mut Sinks,
    shared: &Shared,
) -> Result<SyncPipeline<ClickHouseSink>, Failure> {
    let pipeline = applied::pipeline(&member.pipeline).map_err(Failure::Input)?;
    let target = member.target.as_ref().ok_or_else(|| missing("its target"))?;
    let end = (target.name.clone(), pipeline.settings.shape.on_cluster.clone());
    // One that could not be made may be made the next time.
    let sink = match sinks.get(&end) {
        Some(sink) => Arc::clone(sink),
        None => sink(target, end.1.as_ref(), shared).await?,
    };
    sinks.insert(end, Arc::clone(&sink));
    Ok(SyncPipeline {
        name: member.pipeline.name.clone(),
        namespace: connect::namespace(&member.pipeline.name, &pipeline, source)?,
        table: pipeline.table().to_owned(),
        sink,
        settings: connect::settings(&member.pipeline.name, &pipeline)?,
    })
}

async fn sink(
    target: &state::Connector,
    cluster: Option<&String>,
    shared: &Shared,
) -> Result<Arc<ClickHouseSink>, Failure> {
    let connector = applied::connector(target).map_err(Failure::Input)?;
    let sink = connect::sink(&target.name, &connector, &shared.pool, cluster)?;
    if shared.until == Until::CaughtUp {
        let look = PreflightRequest { missing_database: true, ..PreflightRequest::default() };
        sink.preflight(&look).await.map_err(|error| Failure::from(EngineError::Sink(error)))?;
    }
    Ok(Arc::new(sink))
}

/// Whether the source can be used at all; whether it has the collection is for the pipeline to find out.
async fn answers(source: &MongoSource, namespace: &Namespace) -> Result<(), Failure> {
    match source.preflight(namespace).await {
        Ok(_) | Err(ExtractError::NoSuchCollection { .. } | ExtractError::NoSuchDatabase { .. }) => Ok(()),
        Err(error) => Err(EngineError::Source(error).into()),
    }
}

fn missing(what: &str) -> Failure {
    Failure::Input(format!("{what} was not applied: apply the configuration again"))
}
