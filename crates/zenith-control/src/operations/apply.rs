//! A configuration becomes what is run: planned first, then put into the state.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use zenith_engine::state::{MemoryStore, PipelineRecord, StateStore};
use zenith_engine::{EngineError, names_are_free};

use crate::asking;
use crate::config::applied::{self, Applied};
use crate::config::difference::{Change, Difference, Kind, between};
use crate::config::{Config, Pipeline, file, names};
use crate::connect;
use crate::databases::Databases;
use crate::failure::{Failure, code};
use crate::members;
use crate::requests::{Asked, Record};
use crate::state::Places;

/// How long a target may take to say what has which name.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for the names of one pipeline more.
const LOOK_TIMEOUT_EACH: Duration = Duration::from_millis(20);
/// Pipelines whose names are looked at side by side.
const LOOKS: usize = 8;
/// Pipelines that a question names.
const NAMED: usize = 10;

/// What becomes of that which was applied and is not in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It stays: the text has only new sections, or some that change.
    Kept,
    /// It is removed: the text is a whole configuration.
    Removed,
}

/// A configuration that could be applied.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The configuration with the pipelines of all its templates.
    pub config: Config,
    /// As the state would have it.
    pub then: Applied,
    /// What changes.
    pub difference: Difference,
    /// One sentence for each template of which the source could not be asked what it means.
    pub warnings: Vec<String>,
}

/// A configuration out of its text; `path` names it in mistakes, and relative paths begin in its folder.
///
/// # Errors
/// All mistakes with their lines.
pub fn read(text: &str, path: &Path, now: &Applied, absent: Absent) -> Result<Config, Failure> {
    let base = match absent {
        Absent::Removed => Config::default(),
        Absent::Kept => now.config().map_err(Failure::Input)?.written(),
    };
    Ok(file::parse_over(text, path, base)?)
}

/// Finds out what applying a configuration would change. Sources are asked for the collections of templates; `text` and
/// `path` are where it was read.
///
/// # Errors
/// If a template has something wrong, with its line, or if the state would refuse it.
pub async fn plan(mut config: Config, now: &Applied, text: &str, path: &Path) -> Result<Planned, Failure> {
    let expanded = members::expand(&mut config, now).await?;
    refuse(&expanded.wrong, text, path)?;
    let warning = |(name, reason): &(String, String)| {
        format!("which collections {name} is of could not be asked, and zenith run will: {reason}")
    };
    let all = now.pipelines.iter().chain(&now.templates);
    let paused = all.map(|record| (record.name.as_str(), record.paused)).collect();
    let then = applied::records(&config, &paused);
    rehearse(&then).await?;
    let mut warnings: Vec<String> = expanded.unasked.iter().map(warning).collect();
    warnings
        .extend(then.pipelines.iter().filter_map(|record| other_rows(now.pipeline(&record.name)?, record)));
    Ok(Planned { config, difference: between(now, &then), then, warnings })
}

/// That the table of a pipeline has the rows of another collection, if it is to have those of this one.
fn other_rows(before: &PipelineRecord, then: &PipelineRecord) -> Option<String> {
    let (was, is) = (applied::pipeline(before).ok()?, applied::pipeline(then).ok()?);
    let of = |pipeline: &Pipeline| (pipeline.source.clone(), pipeline.settings.collection.clone());
    let into = |pipeline: &Pipeline| (pipeline.target.clone(), pipeline.table().to_owned());
    (of(&was) != of(&is) && into(&was) == into(&is)).then(|| {
        format!(
            "{}: the table {} has the rows of {}, and is not written over with those of {}: name another table, or drop \
             it before the pipeline runs",
            then.name,
            is.table(),
            was.settings.collection,
            is.settings.collection
        )
    })
}

/// Refuses templates with which something is wrong, each with its line.
fn refuse(wrong: &[(String, String)], text: &str, path: &Path) -> Result<(), Failure> {
    let sentence = |(name, reason): &(String, String)| {
        let line = file::line_of_collections(text, name);
        let line = line.map_or_else(String::new, |line| format!(", line {line}"));
        format!("{}{line}: collections of [pipelines.{name}]: {reason}", path.display())
    };
    match wrong {
        [] => Ok(()),
        wrong => {
            let sentences = wrong.iter().map(sentence).collect::<Vec<_>>().join("\nzenith: ");
            Err(Failure::known(code::PATTERNS, sentences))
        }
    }
}

/// Puts everything into a state in memory first, so that what a state refuses is refused before anything is changed.
async fn rehearse(then: &Applied) -> Result<(), Failure> {
    let store = MemoryStore::new();
    let mut wrong: Vec<Failure> = Vec::new();
    for connector in &then.connectors {
        if let Err(error) = store.put_connector(connector).await {
            wrong.push(error.into());
        }
    }
    if let Some(first) = wrong.first() {
        let sentences: Vec<&str> = wrong.iter().map(Failure::message).collect();
        return Err(Failure::known(first.code(), sentences.join("\nzenith: ")));
    }
    for pipeline in then.pipelines.iter().chain(&then.templates) {
        store.put_pipeline(pipeline).await?;
    }
    Ok(())
}

/// Refuses names that are taken by what Zenith did not make, or would be of two pipelines by whatever addresses. A
/// ClickHouse that cannot be asked now is asked by the start of the run: then there is a sentence about that.
///
/// # Errors
/// One sentence for each name.
pub async fn look_at_names(config: &Config, places: &Places) -> Result<Vec<String>, Failure> {
    let pool = connect::pool(None, places)?;
    let databases = Databases::of(&config.targets, &pool).await;
    let pipelines = config.pipelines.iter().map(|(name, pipeline)| (name.as_str(), pipeline));
    let collisions = names::collisions(pipelines, |target| {
        config.targets.get(target).map(|connector| databases.database(target, connector))
    });
    let mut warnings = Vec::new();
    let mut taken: Vec<String> = collisions.into_iter().map(|collision| collision.sentence).collect();
    for (target, connector) in &config.targets {
        let pipelines: Vec<_> =
            config.pipelines.iter().filter(|(_, pipeline)| pipeline.target == *target).collect();
        let each = LOOK_TIMEOUT_EACH.saturating_mul(u32::try_from(pipelines.len()).unwrap_or(u32::MAX));
        let looking = async {
            let sink = &connect::sink(target, connector, &pool, None)?;
            // Made before they are streamed, as futures of closures that borrow cannot be sent between threads.
            let looks: Vec<_> = pipelines
                .into_iter()
                .map(|(name, pipeline)| async move {
                    (name, names_are_free(sink, pipeline.table(), &pipeline.settings).await)
                })
                .collect();
            let mut looked = stream::iter(looks).buffered(LOOKS);
            while let Some((name, free)) = looked.next().await {
                match free {
                    Err(error @ EngineError::NameTaken { .. }) => taken.push(format!("{name}: {error}")),
                    other => other?,
                }
            }
            Ok::<(), Failure>(())
        };
        let unasked = match tokio::time::timeout(LOOK_TIMEOUT + each, looking).await {
            Ok(Ok(())) => continue,
            Ok(Err(failure)) => failure.message().to_owned(),
            Err(_) => "it does not answer".to_owned(),
        };
        warnings.push(format!(
            "which names are taken in the target {target} could not be asked, and the start of the run will: {unasked}"
        ));
    }
    if taken.is_empty() { Ok(warnings) } else { Err(Failure::known(code::NAMES, taken.join("\nzenith: "))) }
}

/// What has to be agreed to: progress that is lost.
pub fn question(difference: &Difference) -> Option<String> {
    let (removed, anew) = (difference.removed_pipelines(), difference.anew());
    let list = |names: &[&str], what: &str| match names {
        [] => None,
        [name] => Some(format!("the pipeline {name} {what}")),
        names => {
            let more = names.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let named: Vec<&str> = names.iter().take(NAMED).copied().collect();
            let verb =
                what.replacen("is ", "are ", 1).replacen("starts", "start", 1).replacen("its", "their", 1);
            Some(format!("the pipelines {}{more} {verb}", named.join(", ")))
        }
    };
    let parts = [list(&removed, "is removed with its progress"), list(&anew, "starts over")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("{}. Go on?", capital(&parts.join(", and "))))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// Puts a plan into the state, in an order in which nothing is ever missing that something else needs.
///
/// A pipeline that starts over must not be running: what it had read by then would be saved as its progress. If a run
/// has the state (`running`), it is asked to begin such a pipeline anew while it stands still; this waits for it.
///
/// # Errors
/// If the state cannot be written, or the run does not begin a pipeline anew: applying again does what is left.
pub async fn commit(
    store: &impl StateStore,
    planned: &Planned,
    places: &Places,
    running: bool,
) -> Result<(), Failure> {
    let (difference, then) = (&planned.difference, &planned.then);
    let changes: BTreeMap<_, _> = difference.changes.iter().collect();
    let changed = |kind, name: &str| {
        changes.get(&(kind, name.to_owned())).is_some_and(|change| !matches!(change, Change::Remove))
    };
    for name in difference.removed_pipelines() {
        store.remove_pipeline(name).await?;
    }
    for connector in &then.connectors {
        if changed(Kind::Source, &connector.name) || changed(Kind::Target, &connector.name) {
            store.put_connector(connector).await?;
        }
    }
    let anew = difference.anew();
    let pipelines = then.templates.iter().chain(&then.pipelines);
    let pipelines = pipelines.filter(|pipeline| changed(Kind::Pipeline, &pipeline.name));
    let (anew, others): (Vec<_>, Vec<_>) = pipelines.partition(|it| anew.contains(&it.name.as_str()));
    let paused = paused_now(store).await?;
    for pipeline in others {
        let pipeline = as_paused(pipeline, &paused);
        store.put_pipeline(&pipeline).await?;
    }
    match running {
        true => have_begun_anew(store, &anew, places).await?,
        false => {
            for pipeline in anew {
                begin_anew(store, pipeline).await?;
            }
        }
    }
    for ((kind, name), change) in &difference.changes {
        let is_kept = then.connectors.iter().any(|connector| connector.name == *name);
        if *kind != Kind::Pipeline && matches!(change, Change::Remove) && !is_kept {
            store.remove_connector(name).await?;
        }
    }
    Ok(())
}

/// Gives a pipeline that stands still another record, and no progress. In this order: what is interrupted in between is
/// still a difference for the next time.
pub async fn begin_anew(store: &impl StateStore, pipeline: &PipelineRecord) -> Result<(), Failure> {
    let pipeline = as_paused(pipeline, &paused_now(store).await?);
    store.reset(&pipeline.name, None).await?;
    Ok(store.put_pipeline(&pipeline).await?)
}

/// Which of the pipelines that are applied stand still: somebody may have paused or resumed one since the plan was made.
async fn paused_now(store: &impl StateStore) -> Result<BTreeMap<String, bool>, Failure> {
    let records = store.pipelines().await?;
    Ok(records.into_iter().map(|record| (record.name, record.paused)).collect())
}

fn as_paused(pipeline: &PipelineRecord, paused: &BTreeMap<String, bool>) -> PipelineRecord {
    let paused = paused.get(&pipeline.name).copied().unwrap_or(pipeline.paused);
    PipelineRecord { paused, ..pipeline.clone() }
}

/// All are asked for before any is waited for: pipelines of one source stop together.
async fn have_begun_anew(
    store: &impl StateStore,
    pipelines: &[&PipelineRecord],
    places: &Places,
) -> Result<(), Failure> {
    let mut waited = Vec::with_capacity(pipelines.len());
    for pipeline in pipelines {
        let asked = Asked::BeginAnew { record: Record::from(*pipeline) };
        waited.push((asking::ask(store, &pipeline.name, &asked).await?, &pipeline.name, asked));
    }
    for (id, name, asked) in waited {
        asking::wait(store, places, id, name, &asked).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use zenith_engine::state::{Connector, Role, StatePlace};

    use super::*;

    const TEXT: &str = "[sources.s]\nuri = \"mongodb://h/d\"\n[targets.t]\nuri = \"http://h/d\"\n";

    /// A pipeline that is paused between a plan and its commit stays so, whether it goes on or begins anew.
    #[tokio::test]
    async fn a_pause_between_plan_and_commit_is_kept() {
        for (name, settings) in [("goes_on", "flush_interval = \"2s\""), ("begins_anew", "table = \"other\"")]
        {
            let store = MemoryStore::new();
            for (end, role, uri) in [("s", Role::Source, "mongodb://h/d"), ("t", Role::Target, "http://h/d")]
            {
                let (name, uri) = (end.to_owned(), uri.to_owned());
                store.put_connector(&Connector { name, role, uri, options: String::new() }).await.unwrap();
            }
            let section = format!("[pipelines.{name}]\nsource = \"s\"\ntarget = \"t\"\ncollection = \"c\"\n");
            let (before, after) = (format!("{TEXT}{section}"), format!("{TEXT}{section}{settings}\n"));
            let path = Path::new("zenith.toml");
            let places = Places {
                state: StatePlace::File("state".into()),
                file: "zenith.toml".into(),
                file_named: false,
                process: crate::config::Process::default(),
            };
            let planned = async |text: &str| {
                let now = Applied::read(&store).await.unwrap();
                let config = read(text, path, &now, Absent::Removed).unwrap();
                plan(config, &now, text, path).await.unwrap()
            };
            commit(&store, &planned(&before).await, &places, false).await.unwrap();
            let planned = planned(&after).await;
            assert_eq!(planned.difference.anew().is_empty(), name == "goes_on");
            store.set_paused(name, true).await.unwrap();
            commit(&store, &planned, &places, false).await.unwrap();
            let record = store.pipelines().await.unwrap().remove(0);
            let is_changed = record.settings.contains("other") || record.settings.contains("flush");
            assert!(record.paused && is_changed, "{record:?}");
        }
    }
}
