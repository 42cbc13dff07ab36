//! The shadow table of a load: made with what people have added to the table, and put in its place.

use zenith_extract::Source;
use zenith_transport::ddl::{Additions, LOADING_SETTINGS, identifier};
use zenith_transport::{Sink, TableDefinition};

use super::insert::repeat;
use super::load::Load;
use crate::error::sentence;
use crate::{EngineError, Pipeline, Result};

/// Creates the table, or says which of the additions is in the way.
pub(super) async fn create<S: Source, K: Sink>(
    pipeline: &Pipeline<S, K>,
    load: &Load,
    definition: &TableDefinition,
) -> Result<()> {
    let sink = &*pipeline.sink;
    let error = match repeat(load, || sink.create(definition)).await {
        Ok(()) => return Ok(()),
        Err(error) if definition.additions.is_empty() || error.is_passing() => return Err(error),
        Err(EngineError::Stopped) => return Err(EngineError::Stopped),
        Err(error) => error,
    };
    // Without any of them first: what is wrong may be something else.
    let none = [(String::new(), Additions::default())];
    for (name, additions) in none.into_iter().chain(definition.additions.steps()) {
        let attempt = TableDefinition { additions, ..definition.clone() };
        match sink.create(&attempt).await {
            Ok(()) => sink.drop_table(&attempt.name).await?,
            Err(_) if name.is_empty() => return Err(error),
            Err(reason) => {
                return Err(EngineError::CannotKeep {
                    table: pipeline.table.clone(),
                    what: name,
                    reason: sentence(&reason),
                });
            }
        }
    }
    Err(error)
}

/// Takes every TTL away for the time of the load: rows that vanish meanwhile could not be counted.
///
/// The table has been created with them, so they can be put back.
pub(super) async fn without_ttl<S: Source, K: Sink>(
    pipeline: &Pipeline<S, K>,
    load: &Load,
    definition: &TableDefinition,
) -> Result<()> {
    alter(pipeline, load, &definition.name, definition.additions.without_ttl()).await
}

/// Puts TTLs back, and the table in the place of the other one.
pub(super) async fn publish<S: Source, K: Sink>(
    pipeline: &Pipeline<S, K>,
    load: &Load,
    definition: &TableDefinition,
) -> Result<()> {
    alter(pipeline, load, &definition.name, definition.additions.with_ttl()).await?;
    repeat(load, || pipeline.sink.publish(&definition.name, &pipeline.table)).await?;
    let settings = LOADING_SETTINGS.iter().filter_map(|(name, _)| {
        definition.additions.settings.get(*name).map(|value| format!("{} = {value}", identifier(name)))
    });
    let settings: Vec<String> = settings.collect();
    let change = (!settings.is_empty()).then(|| format!("MODIFY SETTING {}", settings.join(", ")));
    alter(pipeline, load, &pipeline.table, change).await
}

async fn alter<S: Source, K: Sink>(
    pipeline: &Pipeline<S, K>,
    load: &Load,
    table: &str,
    change: Option<String>,
) -> Result<()> {
    let Some(change) = change else { return Ok(()) };
    let statement = format!("ALTER TABLE {} {change}", identifier(table));
    repeat(load, || pipeline.sink.execute(&statement)).await
}
