//! The shadow table of a load: made with what people have added to the table, and put in its place.

use std::time::Duration;

use zenith_extract::Source;
use zenith_transport::ddl::{Additions, LOADING_SETTINGS, identifier};
use zenith_transport::{Sink, TableDefinition};

use super::shape;
use crate::error::sentence;
use crate::load::context::LoadContext;
use crate::{EngineError, Pipeline, Result};

/// Creates the table, or says which of the additions is in the way. No other load has its name, so one that is there
/// already was made by a try whose answer was lost.
pub(super) async fn create<S: Source, K: Sink>(
    pipeline: &Pipeline<S, K>,
    load: &LoadContext,
    definition: &TableDefinition,
) -> Result<()> {
    let sink = &*pipeline.sink;
    let definition = &definition.clone().if_not_exists();
    let error = match load.repeat(|| sink.create(definition)).await {
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
                if let Some(wrong) = shape::wrong(&pipeline.options.shape, &name, &reason) {
                    return Err(wrong);
                }
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
    load: &LoadContext,
    definition: &TableDefinition,
) -> Result<()> {
    set_ttl(pipeline, load, definition, false).await
}

/// How long dropping the shadow table of a failed load may take: a server that hangs must not keep us.
const DROP_TIMEOUT: Duration = Duration::from_secs(4);

/// Drops what a failed load leaves behind, and says whether nothing is left. Should publication have taken place after all,
/// the old table bears this name: it goes too.
pub(super) async fn drop<S, K: Sink>(pipeline: &Pipeline<S, K>, shadow: &str) -> bool {
    let dropped = tokio::time::timeout(DROP_TIMEOUT, pipeline.sink.drop_table(shadow)).await;
    let is_dropped = matches!(dropped, Ok(Ok(())));
    if !is_dropped {
        tracing::warn!(%shadow, "the shadow table could not be dropped");
    }
    is_dropped
}

/// Puts TTLs back, and the table in the place of the other one.
pub(super) async fn publish<S: Source, K: Sink>(
    pipeline: &Pipeline<S, K>,
    load: &LoadContext,
    definition: &TableDefinition,
) -> Result<()> {
    set_ttl(pipeline, load, definition, true).await?;
    load.repeat(|| pipeline.sink.publish(&definition.name, &pipeline.table)).await?;
    let mut settings = definition.additions.settings.clone();
    settings.retain(|name, _| LOADING_SETTINGS.iter().any(|(loading, _)| name == loading));
    if settings.is_empty() {
        return Ok(());
    }
    let sink = &*pipeline.sink;
    if let Err(error) = load.repeat(|| sink.admin().set_settings(&pipeline.table, &settings)).await {
        let settings: Vec<String> =
            settings.iter().map(|(name, value)| format!("{} = {value}", identifier(name))).collect();
        let settings = settings.join(", ");
        // The new table is in its place by now, with all its rows.
        tracing::warn!(
            table = pipeline.table,
            "the table is loaded, but its settings {settings} could not be put back ({}): run ALTER TABLE {} \
             MODIFY SETTING {settings}",
            sentence(&error),
            identifier(&pipeline.table),
        );
    }
    Ok(())
}

async fn set_ttl<S: Source, K: Sink>(
    pipeline: &Pipeline<S, K>,
    load: &LoadContext,
    definition: &TableDefinition,
    present: bool,
) -> Result<()> {
    let (table, additions) = (&definition.name, &definition.additions);
    if !additions.has_ttl() {
        return Ok(());
    }
    load.repeat(|| pipeline.sink.admin().set_ttl(table, additions, present)).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::{DataType, Field, Schema};
    use zenith_extract::{MemorySource, Namespace};
    use zenith_memory::Pool;
    use zenith_transport::MemorySink;

    use super::super::temporary::run_name;
    use super::*;
    use crate::ReloadOptions;

    /// A sink without settings takes the table, and not the settings.
    #[tokio::test]
    async fn a_table_whose_settings_cannot_be_put_back_is_loaded() {
        let pool = Pool::new(64 << 20).unwrap();
        let pipeline = Pipeline::builder()
            .source(MemorySource::new())
            .sink(MemorySink::new())
            .pool(pool)
            .namespace(Namespace::new("d", "c"))
            .table("t")
            .options(ReloadOptions { memory: 64 << 20, ..ReloadOptions::default() })
            .build()
            .unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new("_id", DataType::Int64, false)]));
        let mut definition = TableDefinition::new("t__zenith_1", schema).order_by(["_id"]).loading();
        let (name, _) = LOADING_SETTINGS[0];
        definition.additions.settings.insert(name.to_owned(), "7".to_owned());
        let load = LoadContext::of(&pipeline, run_name());
        create(&pipeline, &load, &definition).await.unwrap();
        publish(&pipeline, &load, &definition).await.unwrap();
        assert!(pipeline.sink.describe("t").await.unwrap().is_some());
    }
}
