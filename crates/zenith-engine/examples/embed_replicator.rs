//! A table kept in step from within a program, until Ctrl-C:
//! `ZENITH_SOURCE=mongodb://…/DB ZENITH_TARGET=http://…/DB cargo run -p zenith-engine --example embed_replicator
//! COLLECTION`.
//!
//! The state is a file: the next run goes on where this one has stopped.
#![allow(clippy::print_stdout)]

use std::env;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use zenith_engine::state::SqliteStore;
use zenith_engine::{
    ClickHouseSink, ConnectionOptions, MongoSource, Namespace, PipelineSettings, Pool, Replicator,
    SyncPipeline, Target, Until,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let collection = env::args().nth(1).ok_or("usage: embed_replicator COLLECTION")?;
    let source = MongoSource::connect(&env::var("ZENITH_SOURCE")?).await?;
    let database = source.default_database().ok_or("ZENITH_SOURCE names no database")?.to_owned();
    let pool = Pool::new(64 << 20)?;
    let target = Target::parse(&env::var("ZENITH_TARGET")?)?;
    let sink = ClickHouseSink::new(target, Some(pool.clone()), ConnectionOptions::default())?;
    let state = SqliteStore::open(Path::new("embedded.sqlite")).await?;
    let mut replicator = Replicator::new(source, Arc::new(state), pool);
    replicator.add(SyncPipeline {
        name: collection.clone(),
        namespace: Namespace::new(database, collection.clone()),
        table: collection,
        sink: Arc::new(sink),
        settings: PipelineSettings::default(),
    })?;
    let stop = replicator.stop_handle();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.stop();
        }
    });
    for outcome in replicator.run(Until::Stopped).await? {
        match outcome.error {
            None => println!("{}: {} rows", outcome.name, outcome.rows),
            Some(error) => println!("{}: {} rows, then {error}", outcome.name, outcome.rows),
        }
    }
    Ok(())
}
