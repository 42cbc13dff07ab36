//! `zenith apply`: what `zenith.toml` says becomes what is run.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use zenith_engine::state::{MemoryStore, SqliteStore, StateError, StateStore};
use zenith_engine::{EngineError, names_are_free};

use super::confirmed;
use crate::args::Apply;
use crate::exit::{Ending, Failure};
use crate::progress::say;
use crate::terminal::print;
use zenith_control::config::applied::{self, Applied};
use zenith_control::config::difference::{Change, Difference, Kind, between};
use zenith_control::config::{Config, file, names};
use zenith_control::connect;
use zenith_control::databases::Databases;
use zenith_control::members;
use zenith_control::state::Places;
use zenith_control::text::Paint;

/// How long a target may take to say what has which name.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for the names of one pipeline more.
const LOOK_TIMEOUT_EACH: Duration = Duration::from_millis(20);
/// Pipelines whose names are looked at side by side.
const LOOKS: usize = 8;
/// Pipelines that a question names.
const NAMED: usize = 10;

pub async fn run(arguments: &Apply) -> Ending {
    let places = Places::find(&arguments.place)?;
    let mut config = file::read(&places.file)?;
    let now = match places.look().await {
        Ok(store) => Applied::read(&store).await?,
        // A dry run creates nothing, and there may be nothing yet.
        Err(_) if arguments.dry_run && !places.state.exists() => Applied::default(),
        Err(_) => Applied::read(&places.change().await?).await?,
    };
    let expanded = members::expand(&mut config, &now).await?;
    refuse(&expanded.wrong, &places)?;
    for (name, reason) in &expanded.unasked {
        say(&format!(
            "zenith: which collections {name} is of could not be asked, and zenith run will: {reason}"
        ));
    }
    let all = now.pipelines.iter().chain(&now.templates);
    let paused = all.map(|record| (record.name.as_str(), record.paused)).collect();
    let then = applied::records(&config, &paused);
    rehearse(&then).await?;
    let difference = between(&now, &then);
    if difference.is_empty() {
        print("nothing changes\n");
        return Ok(ExitCode::SUCCESS);
    }
    print(&difference.text(Paint::for_stdout()));
    print(&format!("{}\n", difference.counts()));
    look_at_names(&config, &places).await?;
    if arguments.dry_run {
        print("nothing was changed (--dry-run)\n");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(question) = question(&difference)
        && !confirmed(&question, arguments.yes)?
    {
        print("nothing was changed\n");
        return Ok(ExitCode::SUCCESS);
    }
    let store = open(&places, &difference).await?;
    apply(&store, &difference, &then).await?;
    store.close().await?;
    let next = if SqliteStore::is_locked(&places.state).await {
        "applied; the running `zenith run` continues with it"
    } else {
        "applied; start it with `zenith run`"
    };
    print(&format!("{next}\n"));
    Ok(ExitCode::SUCCESS)
}

/// Refuses templates with which something is wrong, each with its line.
fn refuse(wrong: &[(String, String)], places: &Places) -> Result<(), Failure> {
    let sentence = |(name, reason): &(String, String)| {
        let line = file::line_of_collections(&places.file, name);
        let line = line.map_or_else(String::new, |line| format!(", line {line}"));
        format!("{}{line}: collections of [pipelines.{name}]: {reason}", places.file.display())
    };
    match wrong {
        [] => Ok(()),
        wrong => Err(Failure::Input(wrong.iter().map(sentence).collect::<Vec<_>>().join("\nzenith: "))),
    }
}

/// Refuses names that are taken by what Zenith did not make, or would be of two pipelines by whatever addresses. A ClickHouse that cannot be asked now is asked by the start of
/// the run.
async fn look_at_names(config: &Config, places: &Places) -> Result<(), Failure> {
    let pool = connect::pool(None, places)?;
    let databases = Databases::of(&config.targets, &pool).await;
    let pipelines = config.pipelines.iter().map(|(name, pipeline)| (name.as_str(), pipeline));
    let collisions = names::collisions(pipelines, |target| {
        config.targets.get(target).map(|connector| databases.database(target, connector))
    });
    let mut taken: Vec<String> = collisions.into_iter().map(|collision| collision.sentence).collect();
    for (target, connector) in &config.targets {
        let pipelines: Vec<_> =
            config.pipelines.iter().filter(|(_, pipeline)| pipeline.target == *target).collect();
        let each = LOOK_TIMEOUT_EACH.saturating_mul(u32::try_from(pipelines.len()).unwrap_or(u32::MAX));
        let looking = async {
            let sink = &connect::sink(target, connector, &pool)?;
            let mut looked = stream::iter(pipelines)
                .map(async |(name, pipeline)| {
                    (name, names_are_free(sink, pipeline.table(), &pipeline.settings).await)
                })
                .buffered(LOOKS);
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
            Ok(Err(Failure::Input(reason) | Failure::Failed(reason))) => reason,
            Err(_) => "it does not answer".to_owned(),
        };
        say(&format!(
            "zenith: which names are taken in the target {target} could not be asked, and the start of the run will: \
             {unasked}"
        ));
    }
    if taken.is_empty() { Ok(()) } else { Err(Failure::Input(taken.join("\nzenith: "))) }
}

/// What has to be agreed to: progress that is lost.
fn question(difference: &Difference) -> Option<String> {
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

/// Puts everything into a state in memory first, so that what a state refuses is refused before anything is changed.
async fn rehearse(then: &Applied) -> Result<(), Failure> {
    let store = MemoryStore::new();
    for connector in &then.connectors {
        store.put_connector(connector).await?;
    }
    for pipeline in then.pipelines.iter().chain(&then.templates) {
        store.put_pipeline(pipeline).await?;
    }
    Ok(())
}

/// A pipeline that starts over must not be running: what it had read by then would be saved as its progress.
async fn open(places: &Places, difference: &Difference) -> Result<SqliteStore, Failure> {
    let anew = difference.anew();
    if anew.is_empty() {
        return places.change().await;
    }
    match SqliteStore::open(&places.state).await {
        Err(error @ StateError::Locked { .. }) => Err(Failure::Input(format!(
            "{} starts over, which cannot be done while it runs, and nothing was changed: {error}; or give the \
             pipeline another name",
            anew.join(", ")
        ))),
        other => Ok(other?),
    }
}

/// In an order in which nothing is ever missing that something else needs.
async fn apply(store: &SqliteStore, difference: &Difference, then: &Applied) -> Result<(), Failure> {
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
    let pipelines = then.templates.iter().chain(&then.pipelines);
    for pipeline in pipelines.filter(|pipeline| changed(Kind::Pipeline, &pipeline.name)) {
        store.put_pipeline(pipeline).await?;
    }
    for name in difference.anew() {
        store.reset(name, None).await?;
    }
    for ((kind, name), change) in &difference.changes {
        let is_kept = then.connectors.iter().any(|connector| connector.name == *name);
        if *kind != Kind::Pipeline && matches!(change, Change::Remove) && !is_kept {
            store.remove_connector(name).await?;
        }
    }
    Ok(())
}
