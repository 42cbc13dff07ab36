//! Who writes a table: a mark in the target, by which two states that write one table see each other.
//!
//! The marks of all tables of a database are rows of one small table beside them. A run renews its own every few seconds,
//! and gives them back at its end. Of several that write one table, the one that took it last has it; it takes only what
//! nobody else holds. All times are those of the target's clock.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::{FoundOwner, OwnerMark, Sink, TransportError};

use super::context::Context;
use super::hold::{Hold, Life};
use crate::error::sentence;
use crate::{EngineError, Result};

/// The table of the marks.
pub(crate) const MARKS: &str = "zenith_owners";
/// Between two renewals.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Whose mark has not been renewed for so long, writes no more.
const SILENT: Duration = Duration::from_secs(30);
/// How old a renewal may be before it has to be certain again that nobody else has taken the table.
const CERTAIN: Duration = Duration::from_secs(20);
/// How long a renewal may take, and how long giving tables back.
const RENEW_TIMEOUT: Duration = Duration::from_secs(5);
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether whoever made a mark still writes.
fn is_live(found: &FoundOwner) -> bool {
    !found.mark.is_released && found.silent_for < SILENT
}

/// Who it is, for people.
fn shown(found: &FoundOwner) -> String {
    let OwnerMark { pipeline, process, host, .. } = &found.mark;
    format!(
        "the pipeline {pipeline} of process {process} on {host}, heard {} s ago",
        found.silent_for.as_secs()
    )
}

/// What is left of a failure that only marks suffer from: nothing, if the target cannot have any, or not yet.
fn tolerated(error: EngineError, life: &Life, pipeline: &str) -> Result<()> {
    match &error {
        EngineError::Sink(TransportError::Unsupported { .. }) => Ok(()),
        EngineError::Sink(sink) if sink.is_unknown_database() => Ok(()),
        EngineError::Sink(sink) if !sink.is_transient() && !sink.is_authentication() => {
            if !life.is_told.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    pipeline,
                    "it goes unnoticed if another Zenith writes the same tables, as {MARKS} cannot be used: {}",
                    sentence(&error)
                );
            }
            Ok(())
        }
        _ => Err(error),
    }
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Context<S, K, T> {
    /// Takes the table for this pipeline, unless it has it.
    ///
    /// # Errors
    /// [`EngineError::TableOwned`] while somebody else writes it.
    pub(super) async fn claim(&self) -> Result<()> {
        if let Hold::Held { renewed, has_ended: false, .. } = self.ownership.hold()
            && renewed.elapsed() < CERTAIN
        {
            return Ok(());
        }
        // Deep futures are not for the stack.
        match Box::pin(self.take()).await {
            Err(error) => tolerated(error, &self.ownership.life, &self.name),
            Ok(()) => Ok(()),
        }
    }

    /// Looks for others who write the table before anything is planned, and writes nothing to the target.
    ///
    /// # Errors
    /// As [`Context::claim`].
    pub(super) async fn meet_owners(&self) -> Result<()> {
        let look = async {
            let found = self.found_owners().await?;
            let owner = self.owner().await?;
            self.refuse(&found, owner, &self.ownership.hold())
        };
        look.await.or_else(|error| tolerated(error, &self.ownership.life, &self.name))
    }

    /// The same, again and again while somebody else writes it, where the run waits for people.
    pub(super) async fn meet_owners_in_time(&self) -> Result<()> {
        let mut retry_budget = self.mode.retry_budget();
        while let Err(error) = self.unless_stopped(self.meet_owners()).await? {
            self.live.phase(super::progress::Phase::Retrying);
            self.wait_after(error, &mut retry_budget).await?;
        }
        Ok(())
    }

    /// Makes certain that the table is still that of this pipeline, before something is written.
    pub(super) async fn own(&self) -> Result<()> {
        match self.ownership.hold() {
            // Where no mark could be made, none is looked for before each insert.
            Hold::No => Ok(()),
            Hold::Held { .. } | Hold::Lost { .. } => self.claim().await,
        }
    }

    /// Refuses where another state writes the table, and takes nothing and notes nothing.
    pub(super) async fn refuse_others(&self) -> Result<()> {
        let look = async {
            let found = self.found_owners().await?;
            let owner = self.known_owner().await?;
            self.other(&found, |mark| mark.owner != owner)
        };
        look.await.or_else(|error| tolerated(error, &self.ownership.life, &self.name))
    }

    /// Whether a run follows the table at the moment, of this state or of another one.
    pub(super) async fn is_followed(&self) -> Result<bool> {
        let found = self.found_owners().await;
        let found =
            found.or_else(|error| tolerated(error, &self.ownership.life, &self.name).map(|()| Vec::new()))?;
        Ok(found.iter().any(is_live))
    }

    /// Who has marked the table.
    pub(super) async fn found_owners(&self) -> Result<Vec<FoundOwner>> {
        Ok(self.sink.admin().owners(MARKS, std::slice::from_ref(&self.table)).await?)
    }

    /// The error of a table that somebody else writes, who is told by a mark.
    fn other(&self, found: &[FoundOwner], is_other: impl Fn(&OwnerMark) -> bool) -> Result<()> {
        match found.iter().find(|found| is_live(found) && is_other(&found.mark)) {
            Some(other) => Err(EngineError::TableOwned {
                table: self.table.clone(),
                owner: shown(other),
                remedy: format!(
                    "the pipeline {} writes nothing until that one has ended, or has been silent for {} s; stop it there, or \
                     name another table here (table = \"…\")",
                    self.name,
                    SILENT.as_secs()
                ),
            }),
            None => Ok(()),
        }
    }

    /// Refuses if another one than `owner` has the table, or another life of it that has taken it from this one. An
    /// earlier life writes no more: the state lets one process write at a time.
    fn refuse(&self, found: &[FoundOwner], owner: &str, hold: &Hold) -> Result<()> {
        let has_it = |mark: &OwnerMark| match hold {
            Hold::No => false,
            Hold::Held { .. } => mark.life != self.ownership.life.id,
            Hold::Lost { life } => mark.life == *life,
        };
        self.other(found, |mark| mark.owner != owner || has_it(mark))
    }

    async fn take(&self) -> Result<()> {
        let (hold, life) = (self.ownership.hold(), &self.ownership.life.id);
        let found = self.found_owners().await?;
        let owner = self.owner().await?;
        self.refuse(&found, owner, &hold)?;
        let taken = match hold {
            Hold::Held { taken, .. } => taken,
            Hold::No | Hold::Lost { .. } => None,
        };
        let mut marks = vec![self.mark(owner, taken, false)];
        for silent in found.iter().filter(|found| found.mark.owner != owner && !found.mark.is_released) {
            tracing::warn!(
                pipeline = self.name,
                "{} is taken over from another Zenith, {}: it has ended without giving the table back",
                self.table,
                shown(silent)
            );
            marks.push(OwnerMark { is_released: true, ..silent.mark.clone() });
        }
        self.sink.admin().mark_owners(MARKS, &marks).await?;
        let found = self.found_owners().await?;
        let ours = found.iter().find(|found| found.mark.owner == owner && found.mark.life == *life);
        let taken = ours.and_then(|found| found.mark.taken);
        if let Err(error) = self.other(&found, |mark| is_later(mark, owner, taken)) {
            // Two took it at once.
            self.sink.admin().mark_owners(MARKS, &[self.mark(owner, taken, true)]).await?;
            self.ownership.with(|hold| *hold = Hold::No);
            return Err(error);
        }
        self.ownership.with(|hold| *hold = Hold::Held { taken, renewed: Instant::now(), has_ended: false });
        self.note_marked().await
    }

    /// By what marks name this pipeline of this state.
    async fn owner(&self) -> Result<&str> {
        if let Some(owner) = self.ownership.owner() {
            return Ok(owner);
        }
        let owner = self.owner_id().await?;
        Ok(self.ownership.owner.get_or_init(|| owner))
    }
}

impl<S, K, T> Context<S, K, T> {
    fn mark(&self, owner: &str, taken: Option<i64>, is_released: bool) -> OwnerMark {
        let life = &self.ownership.life;
        OwnerMark {
            table: self.table.clone(),
            owner: owner.to_owned(),
            life: life.id.clone(),
            pipeline: self.name.clone(),
            host: life.host.clone(),
            process: std::process::id(),
            taken,
            is_released,
        }
    }

    /// The mark to renew, or to give back; `None` if there is none.
    fn held(&self) -> Option<(OwnerMark, Hold)> {
        let hold = self.ownership.hold();
        let Hold::Held { taken, has_ended, .. } = hold else { return None };
        Some((self.mark(self.ownership.owner()?, taken, has_ended), hold))
    }

    /// Whether another life has the table, by what was found.
    fn lost_to<'f>(&self, ours: &OwnerMark, found: &'f [FoundOwner]) -> Option<&'f OwnerMark> {
        let of_table = || found.iter().filter(|found| found.mark.table == self.table);
        let mark = of_table().find(|found| found.mark.owner == ours.owner).map(|found| &found.mark);
        // Who took it over has given our mark back for us.
        let taken_over = || of_table().map(|found| &found.mark).max_by_key(|mark| mark.taken);
        match mark {
            Some(mark) if mark.life != ours.life => Some(mark),
            Some(mark) if mark.is_released => taken_over(),
            _ => of_table()
                .find(|found| is_live(found) && is_later(&found.mark, &ours.owner, ours.taken))
                .map(|found| &found.mark),
        }
    }
}

/// Whether a mark of another owner is later than one.
fn is_later(mark: &OwnerMark, owner: &str, taken: Option<i64>) -> bool {
    mark.owner != owner && (mark.taken, mark.owner.as_str()) > (taken, owner)
}

/// Renews the marks of pipelines with one sink, as long as this is polled.
pub(super) async fn keep_renewing<S, K: Sink, T>(contexts: &[&Context<S, K, T>]) {
    let mut every = interval(RENEW_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        // Whether the target answers is asked elsewhere; before an insert it has to be certain.
        if let Ok(Err(error)) = timeout(RENEW_TIMEOUT, renew(contexts)).await {
            tracing::debug!("marks of tables cannot be renewed: {}", sentence(&error));
        }
    }
}

async fn renew<S, K: Sink, T>(contexts: &[&Context<S, K, T>]) -> Result<()> {
    let held: Vec<_> =
        contexts.iter().filter_map(|context| context.held().map(|held| (*context, held))).collect();
    let Some((first, _)) = held.first() else { return Ok(()) };
    let admin = first.sink.admin();
    let tables: Vec<String> = held.iter().map(|(context, _)| context.table.clone()).collect();
    let asked = Instant::now();
    let found = admin.owners(MARKS, &tables).await?;
    let (mut kept, mut marks) = (Vec::new(), Vec::new());
    for (context, (mark, before)) in held {
        match context.lost_to(&mark, &found) {
            Some(other) => {
                let OwnerMark { table, pipeline, process, host, life, .. } = other;
                tracing::warn!(
                    pipeline = context.name,
                    "{table} has been taken over by the pipeline {pipeline} of process {process} on {host}"
                );
                context.ownership.with(|hold| *hold = Hold::Lost { life: life.clone() });
            }
            None => {
                marks.push(mark);
                kept.push((context, before));
            }
        }
    }
    if marks.is_empty() {
        return Ok(());
    }
    admin.mark_owners(MARKS, &marks).await?;
    for (context, before) in kept {
        context.ownership.with(|hold| {
            // It may have been taken or given back meanwhile.
            if *hold == before {
                *hold = match before {
                    Hold::Held { has_ended: false, taken, .. } => {
                        Hold::Held { taken, renewed: asked, has_ended: false }
                    }
                    _ => Hold::No,
                };
            }
        });
    }
    Ok(())
}

/// Gives back all tables that pipelines hold, whatever their sinks.
pub(super) async fn release<S, K: Sink, T>(contexts: &[Arc<Context<S, K, T>>]) {
    contexts.iter().for_each(|context| context.ownership.end());
    let mut left: Vec<&Context<S, K, T>> = contexts.iter().map(|context| &**context).collect();
    let mut given_back = Vec::new();
    while let Some(first) = left.first().map(|context| Arc::clone(&context.sink)) {
        let (of_sink, others): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|context| Arc::ptr_eq(&context.sink, &first));
        given_back.push(async move { renew(&of_sink).await });
        left = others;
    }
    // One that is away finds out by itself.
    let _ = timeout(RELEASE_TIMEOUT, futures_util::future::join_all(given_back)).await;
}

/// Does something with the table of a pipeline, which is its own from when it is claimed.
pub(super) async fn owning<S, K, T, V>(
    context: &Arc<Context<S, K, T>>,
    work: impl Future<Output = Result<V>>,
) -> Result<V>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    context.unless_stopped(context.meet_owners()).await??;
    let contexts = [&**context];
    let result = tokio::select! {
        biased;
        result = work => result,
        () = keep_renewing(&contexts) => Err(EngineError::Worker { worker: "renewal of marks" }),
    };
    release(std::slice::from_ref(context)).await;
    result
}

/// Refuses where a pipeline writes a table, for whoever writes it without a state.
///
/// # Errors
/// [`EngineError::TableOwned`]; whatever the sink fails with, other than that it has no marks.
pub async fn table_is_free<K: Sink>(sink: &K, table: &str) -> Result<()> {
    let found = match sink.admin().owners(MARKS, &[table.to_owned()]).await {
        Ok(found) => found,
        Err(error) if error.is_transient() || error.is_authentication() => return Err(error.into()),
        // Who may not look, or has no marks to look at.
        Err(_) => return Ok(()),
    };
    match found.iter().find(|found| is_live(found)) {
        Some(other) => Err(EngineError::TableOwned {
            table: table.to_owned(),
            owner: shown(other),
            remedy: "nothing was written; load the table again with zenith reload there, or stop it there, or name another \
                     table here"
                .to_owned(),
        }),
        None => Ok(()),
    }
}
