//! The run of one pipeline: its beginning and end in the history, and what it does in between.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use zenith_extract::{ChangeSource, Source};
use zenith_state::{Figures, RunEnd, RunStart, StateStore};
use zenith_transport::Sink;

use super::apply::Apply;
use super::context::Context;
use super::cursor::Cursor;
use super::outcome::{Outcome, Until};
use super::progress::Phase;
use super::snapshot;
use super::start::Follower;
use super::tokens::Tokens;
use crate::error::sentence;
use crate::settings::Mode;
use crate::{EngineError, ProgressSnapshot, Result};

/// Between two notes of the figures of a run.
const TOUCH_EVERY: Duration = Duration::from_secs(2);

/// Reads the collection if it has not been read yet, and applies its changes meanwhile and afterwards.
pub(super) async fn follow_pipeline<S, K, T>(
    context: &Arc<Context<S, K, T>>,
    run: i64,
    follower: Follower,
    portions: async_channel::Receiver<super::event::EventBatch>,
    until: Until,
) -> Result<()>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    context.live.phase(Phase::Following);
    let goal = Arc::new(OnceLock::new());
    let tokens = Tokens::new(&context.name, follower.epoch, run);
    let apply = Apply::new(Arc::clone(context), &follower, tokens, Arc::clone(&goal))?;
    let ending = portions.clone();
    let snapshot = async {
        if context.settings.mode == Mode::Changes {
            context.live.phase(Phase::Snapshot);
            snapshot::snapshot(context, &follower.schema).await?;
            context.live.phase(Phase::Following);
        }
        if until == Until::CaughtUp {
            let now = context.unless_stopped(context.source.now()).await?.map_err(EngineError::Reading)?;
            let _ = goal.set(now);
        }
        Ok::<(), EngineError>(())
    };
    let touch = async {
        let mut every = tokio::time::interval(TOUCH_EVERY);
        every.tick().await;
        loop {
            every.tick().await;
            // Only figures for the history.
            let _ = context.state.touch_run(run, figures(context.live.counters.snapshot())).await;
        }
    };
    let mut apply = std::pin::pin!(apply.run(portions));
    let mut snapshot = std::pin::pin!(snapshot);
    let mut touch = std::pin::pin!(touch);
    let mut is_read = false;
    loop {
        tokio::select! {
            // Without a stream nothing is read either: the parts that are done are noted, and the oplog must not run out
            // while the rest is read.
            applied = &mut apply => return applied,
            read = &mut snapshot, if !is_read => match read {
                Ok(()) => is_read = true,
                Err(error) => {
                    // What is being written comes to its end first.
                    ending.close();
                    if let Err(other) = apply.await
                        && !matches!(other, EngineError::Stopped)
                    {
                        tracing::warn!(
                            pipeline = context.name,
                            "the changes that were being written meanwhile are not all in the table: {}",
                            sentence(&other)
                        );
                    }
                    return Err(error);
                }
            },
            () = &mut touch => {}
        }
    }
}

/// Runs a pipeline that needs no stream.
pub(super) async fn alone<S, K, T>(context: &Arc<Context<S, K, T>>, run: i64, until: Until) -> Result<()>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    context.guard_names().await?;
    if context.settings.mode == Mode::Full {
        context.live.phase(Phase::Snapshot);
        let _turn = context.unless_stopped(context.memory.snapshot()).await?;
        return context.load_whole(true).await.map(|_| ());
    }
    // What has followed its collection for long has rows that the collection may not have any more.
    let has_begun = context.state.checkpoint(&context.name).await?.is_some();
    loop {
        context.schema_to_write().await?;
        match Cursor::set_up(Arc::clone(context), run).await?.run(until).await {
            Err(error @ EngineError::Key { .. }) if has_begun => return Err(context.key_mismatch(error)),
            Err(error @ EngineError::Key { .. }) => {
                let Some(schema) = context.schema().await? else { return Err(error) };
                let mut findings = context.findings();
                findings.take(error, &schema, &context.table)?;
                context.found(findings);
                context.live.counters.restart();
                super::cursor::empty(context).await?;
            }
            ended => return ended,
        }
    }
}

fn figures(done: ProgressSnapshot) -> Figures {
    Figures {
        rows: done.rows_written,
        bytes: done.arrow_bytes,
        extra_values: done.extra_values,
        dead_letters: done.dead_letters,
    }
}

pub(super) async fn start<S, K, T: StateStore>(context: &Context<S, K, T>) -> Result<i64> {
    Ok(context
        .state
        .start_run(&RunStart {
            pipeline: context.name.clone(),
            mode: context.settings.mode.name().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: SystemTime::now(),
        })
        .await?)
}

/// Notes how a run ended.
pub(super) async fn finish<S, K, T: StateStore>(
    context: &Context<S, K, T>,
    run: i64,
    result: Result<()>,
) -> Outcome {
    let done = context.live.counters.snapshot();
    let (outcome, error) = match result {
        Ok(()) => (zenith_state::Outcome::Done, None),
        Err(EngineError::Stopped) => (zenith_state::Outcome::Stopped, None),
        Err(error) => (zenith_state::Outcome::Failed, Some(error)),
    };
    context.live.phase(if error.is_some() { Phase::Failed } else { Phase::Ended });
    if let Some(error) = &error {
        context.live.failed(error);
        tracing::debug!(pipeline = context.name, "the pipeline has failed: {}", sentence(error));
    }
    let end = RunEnd {
        ended: SystemTime::now(),
        outcome,
        figures: figures(done),
        error: error.as_ref().map(|error| sentence(error)),
    };
    let noted = context.state.finish_run(run, &end).await;
    Outcome {
        name: context.name.clone(),
        rows: done.rows_written,
        mismatches: context.live.all_mismatches(),
        error: error.or(noted.err().map(EngineError::from)),
    }
}
