//! What both ends have. Nothing is written.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use zenith_engine::extract::source::SourceInfo;
use zenith_engine::extract::{CollectionKind, Topology};
use zenith_engine::transport::{ClickHouseSink, ConnectionOptions, PreflightRequest};
use zenith_engine::{EngineError, MongoSource, Namespace, Pipeline, Pool, ReloadOptions, Sink as _, Target};

use super::{Collection, Found, Planned};
use crate::collections::listing::{Catalogue as _, Meant};
use crate::collections::patterns::{Patterns, Plain};
use crate::collections::tables;
use crate::failure::Failure;

/// Collections that are looked at side by side.
const PARALLEL: usize = 4;

/// Looks at both ends. The addresses have their secrets.
pub async fn look(from: &str, to: &str, patterns: &[String]) -> Result<Found, Failure> {
    let target = Target::parse(to).map_err(EngineError::from)?;
    let source = MongoSource::connect(from).await.map_err(EngineError::from)?;
    let patterns = Patterns::of(patterns, source.default_database(), Plain::Qualified);
    let patterns = patterns.map_err(|message| Failure::Input(message.replace("the source", "--from")))?;
    let pool = Pool::new(ReloadOptions::default().memory).map_err(EngineError::from)?;
    let sink = ClickHouseSink::new(target, Some(pool.clone()), ConnectionOptions::default());
    let sink = Arc::new(sink.map_err(EngineError::from)?);
    // What is wrong with the target as a whole is told once, and not of each table.
    sink.preflight(&PreflightRequest::default()).await.map_err(EngineError::from)?;
    let meant = Meant::of(source.list(&patterns).await?, &patterns, None);
    if let Some(message) = meant.idle {
        return Err(Failure::Input(format!("{message}; nothing was written")));
    }
    let named = named(meant.collections);
    let looked = stream::iter(named).map(|(namespace, table)| {
        let (source, sink, pool) = (source.clone(), Arc::clone(&sink), pool.clone());
        async move {
            let plan = plan(source, sink, pool, &namespace, &table).await;
            Collection { namespace, table, plan }
        }
    });
    let database = source.default_database().map(str::to_owned);
    let collections = looked.buffered(PARALLEL).collect().await;
    Ok(Found { database, collections, left_out: meant.left_out })
}

/// Each collection with its table, which has the name of the database in it where two would be one.
fn named(collections: Vec<Namespace>) -> Vec<(Namespace, String)> {
    let collide = tables::collision(collections.iter().map(|of| (of, of.collection.as_str()))).is_some();
    let template = if collide { "{db}_{collection}" } else { tables::DEFAULT };
    collections.into_iter().map(|of| (of.clone(), tables::name(template, &of))).collect()
}

async fn plan(
    source: MongoSource,
    sink: Arc<ClickHouseSink>,
    pool: Pool,
    namespace: &Namespace,
    table: &str,
) -> Result<Planned, EngineError> {
    // Whatever is there already is none of the concern of a draft.
    let options = ReloadOptions { replace: true, ..ReloadOptions::default() };
    let pipeline = Pipeline::builder().source(source).sink(sink).pool(pool).namespace(namespace.clone());
    let plan = Box::pin(pipeline.table(table).options(options).build()?.plan()).await?;
    Ok(Planned::from(&plan))
}

/// A server, in words.
pub fn server(source: &SourceInfo) -> String {
    let version = &source.server_version;
    match &source.topology {
        Topology::ReplicaSet(name) => format!("MongoDB {version}, the replica set {name}"),
        Topology::Sharded => format!("MongoDB {version}, a sharded cluster"),
        Topology::Standalone | Topology::InMemory | Topology::Files => {
            format!("MongoDB {version}, a server on its own")
        }
    }
}

/// Whether a collection tells of its changes, or why it does not.
pub fn changes(source: &SourceInfo) -> Result<(), &'static str> {
    match (&source.topology, source.collection.kind) {
        (_, CollectionKind::View) => Err("a view tells of no changes"),
        (_, CollectionKind::TimeSeries) => Err("a time series tells of no changes"),
        (Topology::ReplicaSet(_) | Topology::Sharded, _) => Ok(()),
        (Topology::Standalone | Topology::InMemory | Topology::Files, _) => {
            Err("only a replica set tells of changes")
        }
    }
}
