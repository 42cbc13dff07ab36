//! What was applied, and letting it stand still, go on, or go away.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use zenith_engine::state::{PipelineRecord, StateStore};

use crate::collections::tables;
use crate::config::applied::{self, Applied};
use crate::config::export;
use crate::connect::no_pipeline;
use crate::failure::Failure;

/// A pipeline in a line.
#[derive(Debug, Serialize, ToSchema)]
pub struct PipelineLine {
    /// Its name.
    pub name: String,
    /// The connector it reads.
    pub source: String,
    /// The connector it writes.
    pub target: String,
    /// Its collection; the patterns of one of several.
    pub collection: String,
    /// Its table.
    pub table: String,
    /// Its mode.
    pub mode: String,
    /// Whether it stands still.
    pub paused: bool,
}

impl PipelineLine {
    /// Of a record; what this version does not understand is `?`.
    pub fn of(record: &PipelineRecord) -> PipelineLine {
        let (collection, table, mode) = match applied::pipeline(record) {
            Ok(pipeline) if pipeline.is_template() => {
                let settings = pipeline.settings;
                let table = if settings.table.is_empty() { tables::DEFAULT } else { &settings.table };
                let patterns = format!("({})", settings.collections.join(", "));
                (patterns, table.to_owned(), settings.mode.name().to_owned())
            }
            Ok(pipeline) => {
                let settings = &pipeline.settings;
                (settings.collection.clone(), pipeline.table().to_owned(), settings.mode.name().to_owned())
            }
            Err(_) => ("?".to_owned(), "?".to_owned(), "?".to_owned()),
        };
        PipelineLine {
            name: record.name.clone(),
            source: record.source.clone(),
            target: record.target.clone(),
            collection,
            table,
            mode,
            paused: record.paused,
        }
    }
}

/// All of them by name, those of several collections among them.
pub fn list(applied: &Applied) -> Vec<PipelineLine> {
    let mut records: Vec<&PipelineRecord> = applied.pipelines.iter().chain(&applied.templates).collect();
    records.sort_by(|one, other| one.name.cmp(&other.name));
    records.into_iter().map(PipelineLine::of).collect()
}

/// A pipeline by its name, of one collection or of several.
///
/// # Errors
/// If there is none: with the name that was meant.
pub fn find<'a>(applied: &'a Applied, name: &str) -> Result<&'a PipelineRecord, Failure> {
    let found = applied.pipeline(name).or_else(|| applied.template(name));
    found.ok_or_else(|| no_pipeline(name, applied.names()))
}

/// The settings of a pipeline, as they are applied.
///
/// # Errors
/// If this version does not understand them.
pub fn settings(record: &PipelineRecord) -> Result<Map<String, Value>, Failure> {
    applied::settings(record)
        .ok_or_else(|| Failure::Input(applied::pipeline(record).err().unwrap_or_default()))
}

/// The same with its name and its ends, for machines.
///
/// # Errors
/// As [`settings`].
pub fn shown(record: &PipelineRecord) -> Result<Map<String, Value>, Failure> {
    let mut settings = settings(record)?;
    // Keys are not renamed: those of version 0.1 stay beside those they have become.
    for (earlier, now, set) in
        [("object_id_fixed", "object_id", "fixed"), ("decimal_text", "decimal", "string")]
    {
        if let Some(value) = settings.get(now).map(|value| value == set) {
            settings.insert(earlier.to_owned(), value.into());
        }
    }
    settings.insert("name".to_owned(), record.name.clone().into());
    settings.insert("source".to_owned(), record.source.clone().into());
    settings.insert("target".to_owned(), record.target.clone().into());
    settings.insert("paused".to_owned(), record.paused.into());
    Ok(settings)
}

/// Its section of a `zenith.toml`, with what is not as it would be anyway.
///
/// # Errors
/// If this version does not understand it.
pub fn toml(record: &PipelineRecord) -> Result<String, Failure> {
    let pipeline = applied::pipeline(record).map_err(Failure::Input)?;
    Ok(export::pipeline(&record.name, &pipeline).trim_start().to_owned())
}

/// Lets a pipeline stand still or go on, with those of its collections; a run under way follows within seconds.
///
/// # Errors
/// If there is none of this name.
pub async fn set_paused(
    store: &impl StateStore,
    applied: &Applied,
    name: &str,
    paused: bool,
) -> Result<(), Failure> {
    let name = &find(applied, name)?.name;
    if !store.set_paused(name, paused).await? {
        return Err(no_pipeline(name, []));
    }
    for member in applied.meant(name).filter(|member| member.name != *name) {
        store.set_paused(&member.name, paused).await?;
    }
    Ok(())
}

/// Removes a pipeline with its progress, and those of its collections; tables stay.
///
/// # Errors
/// If there is none of this name.
pub async fn remove(store: &impl StateStore, applied: &Applied, name: &str) -> Result<(), Failure> {
    let name = &find(applied, name)?.name;
    // The template first: a run would bring the others back.
    store.remove_pipeline(name).await?;
    for member in applied.meant(name).filter(|member| member.name != *name) {
        store.remove_pipeline(&member.name).await?;
    }
    Ok(())
}
