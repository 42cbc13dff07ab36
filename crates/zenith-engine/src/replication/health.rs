//! Whether both ends answer, and how the pipelines stand: asked every few seconds, and noted in the state.
//!
//! An insert or a stream may wait for minutes for a server that hangs, and a pipeline to which nothing happens asks for
//! nothing. So the ends are asked apart from them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::time::{MissedTickBehavior, interval, timeout};
use zenith_extract::{ChangeSource, ExtractError, Source};
use zenith_state::{Condition, StateStore};
use zenith_transport::{FailureKind, Sink, TransportError};

use super::clock::SourceClock;
use super::context::Context;
use super::freshness::{self, Freshness};
use super::ownership::keep_renewing;
use super::progress::{Cause, Phase};
use super::run_mode::RunMode;
use crate::Result;
use crate::error::sentence;

/// Between two questions.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two looks at the oplog.
const OPLOG_EVERY: Duration = Duration::from_secs(30);
/// Between two looks at the views.
const VIEWS_EVERY: Duration = Duration::from_secs(10);
/// Pipelines of one target that are few.
const FEW: usize = 8;
/// How long the end of a run may wait for the tables that tell it.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// How soon a change of a condition is noted.
const NOTE_EVERY: Duration = Duration::from_millis(500);
/// How old a note may become.
const NOTE_AGE: Duration = Duration::from_secs(5);

/// Asks both ends of the pipelines and notes how they stand; never ends.
pub(super) async fn watch<S, K, T>(contexts: &[Arc<Context<S, K, T>>], mode: RunMode)
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let all: Vec<&Context<S, K, T>> = contexts.iter().map(|context| &**context).collect();
    let by_target = by_target(&all);
    let targets = join_all(by_target.iter().map(|contexts| watch_target(contexts)));
    // A run that ends says then how it went.
    let written = if mode.ends() { &[][..] } else { &by_target };
    let tables = join_all(written.iter().map(|contexts| write_freshness(contexts)));
    let views = join_all(by_target.iter().map(|contexts| watch_views(contexts)));
    let marks = join_all(by_target.iter().map(|contexts| keep_renewing(contexts)));
    tokio::join!(watch_source(&all), watch_oplog(&all), targets, marks, tables, views, note(&all));
    // Without pipelines there is nothing to watch.
    std::future::pending().await
}

/// Has the tables that show how pipelines stand say how they ended. A run that only caught up makes no such table.
pub(super) async fn tell_end<S, K: Sink, T: StateStore>(contexts: &[Arc<Context<S, K, T>>], mode: RunMode) {
    let all: Vec<&Context<S, K, T>> = contexts.iter().map(|context| &**context).collect();
    let by_target = by_target(&all);
    let tables = by_target.iter().flat_map(|contexts| tables_of(contexts));
    let written = join_all(tables.map(async |(mut table, contexts)| {
        if !mode.ends() || table.is_there(&contexts).await {
            table.write(&contexts).await;
        }
    }));
    // It is only for those who look.
    let _ = timeout(END_TIMEOUT, written).await;
}

/// The pipelines of each target.
fn by_target<'c, S, K, T>(all: &[&'c Context<S, K, T>]) -> Vec<Vec<&'c Context<S, K, T>>> {
    let mut by_target: Vec<Vec<&Context<S, K, T>>> = Vec::new();
    for context in all {
        let is_same = |others: &&mut Vec<&Context<S, K, T>>| {
            others.first().is_some_and(|other| Arc::ptr_eq(&other.sink, &context.sink))
        };
        match by_target.iter_mut().find(is_same) {
            Some(others) => others.push(context),
            None => by_target.push(vec![context]),
        }
    }
    by_target
}

async fn watch_source<S, K, T>(contexts: &[&Context<S, K, T>])
where
    S: Source + ChangeSource,
{
    let Some(first) = contexts.first() else { return };
    let ask = || async {
        match timeout(ANSWER_TIMEOUT, first.source.clock()).await {
            Ok(time) => first.clock.set(time?),
            Err(_) => {
                let silent = silent("source");
                return Err(ExtractError::other(zenith_extract::FailureKind::Transient, silent).into());
            }
        }
        Ok(())
    };
    watch_end(contexts, Cause::Source, ask).await;
}

async fn watch_target<S, K: Sink, T>(contexts: &[&Context<S, K, T>]) {
    let Some(first) = contexts.first() else { return };
    watch_end(contexts, Cause::Target, || answers(&*first.sink)).await;
}

/// Whether a sink answers in time.
pub(super) async fn answers<K: Sink>(sink: &K) -> Result<()> {
    match timeout(ANSWER_TIMEOUT, sink.ping()).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(silence_of_target().into()),
    }
}

/// The error of a target that does not answer.
pub(super) fn silence_of_target() -> TransportError {
    TransportError::other(FailureKind::Transient, silent("target"))
}

/// Asks one end of the pipelines again and again, and tells them of its silence.
async fn watch_end<S, K, T, F>(contexts: &[&Context<S, K, T>], cause: Cause, ask: impl Fn() -> F)
where
    F: Future<Output = Result<()>>,
{
    let mut every = ticks(ASK_EVERY);
    loop {
        every.tick().await;
        let asked = SystemTime::now();
        let failure = ask().await.err().map(|error| sentence(&error));
        for context in contexts {
            match &failure {
                Some(reason) => context.live.waits(cause, reason, asked),
                None => context.live.goes_on(cause),
            }
        }
    }
}

async fn watch_oplog<S, K, T>(contexts: &[&Context<S, K, T>])
where
    S: Source + ChangeSource,
{
    let Some(first) = contexts.first() else { return };
    let mut every = ticks(OPLOG_EVERY);
    loop {
        every.tick().await;
        // Whoever may not know it is told by `check`.
        if let Ok(Ok(oldest)) = timeout(ANSWER_TIMEOUT, first.source.oldest_change()).await {
            contexts.iter().for_each(|context| context.live.oplog_from(oldest));
        }
    }
}

/// A table that shows how pipelines stand, with its pipelines.
type Shown<'c, S, K, T> = (Freshness, Vec<&'c Context<S, K, T>>);

/// The tables that the pipelines of one target name.
fn tables_of<'c, S, K, T>(contexts: &[&'c Context<S, K, T>]) -> Vec<Shown<'c, S, K, T>> {
    let mut tables: BTreeMap<&str, Vec<&Context<S, K, T>>> = BTreeMap::new();
    for context in contexts.iter().filter(|context| !context.settings.status_table.is_empty()) {
        tables.entry(&context.settings.status_table).or_default().push(context);
    }
    tables.into_iter().map(|(name, contexts)| (Freshness::new(name), contexts)).collect()
}

/// Writes how the pipelines of one target stand, to the tables that they name.
async fn write_freshness<S, K: Sink, T: StateStore>(contexts: &[&Context<S, K, T>]) {
    let mut tables = tables_of(contexts);
    let mut every = ticks(freshness::LOOK_EVERY);
    // The tables of the pipelines come first.
    every.tick().await;
    while !tables.is_empty() {
        every.tick().await;
        let mut left = Vec::with_capacity(tables.len());
        for (mut table, contexts) in tables {
            if table.write(&contexts).await {
                left.push((table, contexts));
            }
        }
        tables = left;
    }
}

/// Makes views anew that somebody dropped.
async fn watch_views<S, K, T>(contexts: &[&Context<S, K, T>])
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let mut told = HashSet::new();
    let mut every = ticks(VIEWS_EVERY);
    loop {
        every.tick().await;
        let there = names_there(contexts).await;
        let is_looked_at = |context: &&&Context<S, K, T>| {
            let view = context.settings.view_of(&context.table);
            context.live.current() == Phase::Following && !view.is_some_and(|view| there.contains(&view))
        };
        for context in contexts.iter().filter(is_looked_at) {
            match timeout(ANSWER_TIMEOUT, context.renew_view()).await {
                Ok(Ok(_)) => drop(told.remove(&context.name)),
                Ok(Err(error)) if !error.is_passing() && told.insert(&context.name) => {
                    tracing::warn!(
                        pipeline = context.name,
                        "the dropped view cannot be created again: {}",
                        sentence(&error)
                    );
                }
                // Whether the target answers is asked elsewhere.
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }
}

/// The names there are in the target of many pipelines, by one question, so that only views that are missing are looked for
/// one by one. Of few pipelines each view is looked at.
async fn names_there<S, K: Sink, T>(contexts: &[&Context<S, K, T>]) -> HashSet<String> {
    match contexts {
        [first, ..] if contexts.len() > FEW => {
            let names = timeout(ANSWER_TIMEOUT, first.sink.tables("")).await;
            names.ok().and_then(std::result::Result::ok).unwrap_or_default().into_iter().collect()
        }
        _ => HashSet::new(),
    }
}

fn silent(end: &str) -> String {
    format!("the {end} has not answered within {} s", ANSWER_TIMEOUT.as_secs())
}

/// Notes conditions that have changed, and all of them now and then.
async fn note<S, K, T: StateStore>(contexts: &[&Context<S, K, T>]) {
    let Some(first) = contexts.first() else { return };
    let mut noted: Vec<Option<Condition>> = contexts.iter().map(|_| None).collect();
    let mut every = ticks(NOTE_EVERY);
    loop {
        every.tick().await;
        let now = SystemTime::now();
        let mut changed = Vec::new();
        for (context, noted) in contexts.iter().zip(&mut noted) {
            let condition = context.condition(now);
            if noted.as_ref().is_none_or(|noted| is_due(noted, &condition)) {
                changed.push((context.name.clone(), condition.clone()));
                *noted = Some(condition);
            }
        }
        // Only for the status. Whether the state can be written is found out by the pipelines.
        if !changed.is_empty() {
            let _ = first.state.note_conditions(&changed).await;
        }
    }
}

/// Whether a condition is to be noted after another one.
fn is_due(noted: &Condition, now: &Condition) -> bool {
    let age = now.noted.duration_since(noted.noted).unwrap_or_default();
    let same = Condition { noted: noted.noted, source_ahead: noted.source_ahead, ..now.clone() };
    age >= NOTE_AGE || same != *noted
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

impl<S, K, T> Context<S, K, T> {
    /// How the pipeline stands.
    pub(super) fn condition(&self, noted: SystemTime) -> Condition {
        Condition { source_ahead: SourceClock::ahead(&self.clock), ..self.live.condition(noted) }
    }
}
