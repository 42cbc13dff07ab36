//! Applies the changes of one pipeline as they come, by three tasks that own their state.
//!
//! ```text
//! events ─▶ batcher ─▶ assembler ─▶ committer ─▶ table, checkpoint
//!              ▲                        │
//!              └──────── done ──────────┘
//! ```

use std::sync::Arc;

use async_channel::Receiver;
use bson::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;
use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::Sink;

use super::assembler::Assembler;
use super::batcher::{Batcher, Channels, STEPS_MAX};
use super::committer::Committer;
use super::context::Context;
use super::event::EventBatch;
use super::start::Follower;
use super::tokens::Tokens;
use crate::{EngineError, Result};

/// Applies changes until there are no more, the goal is reached, or the pipeline is stopped.
pub(super) async fn apply<S, K, T>(
    context: Arc<Context<S, K, T>>,
    follower: Follower,
    tokens: Tokens,
    goal: Option<oneshot::Receiver<Timestamp>>,
    events: Receiver<EventBatch>,
) -> Result<()>
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    let committer = Committer::new(Arc::clone(&context), &follower);
    let assembler = Assembler::new(Arc::clone(&context), &follower.schema);
    let batcher = Batcher::new(Arc::clone(&context), &follower, tokens, committer.pace().pause())?;
    let (steps, to_assemble) = mpsc::channel(STEPS_MAX);
    let (assembled, to_commit) = mpsc::channel(1);
    let (committed, done) = mpsc::channel(STEPS_MAX);
    let assembler =
        AbortOnDropHandle::new(tokio::spawn(assembler.run(to_assemble, assembled).in_current_span()));
    let committer =
        AbortOnDropHandle::new(tokio::spawn(committer.run(to_commit, committed).in_current_span()));

    let batched = batcher.run(Channels { events, goal, steps, done }).await;
    // The batcher ends when the others have, or there is nothing more to do for them.
    let committed = committer.await.map_err(|_| EngineError::Worker { worker: "committer of changes" })?;
    let assembled = if committed.is_ok() { assembler.await } else { Ok(Ok(())) };
    let assembled = assembled.map_err(|_| EngineError::Worker { worker: "assembler of changes" })?;

    // Of several failures that of the earliest changes counts.
    let mut committer = committed?;
    match assembled {
        Err(error) if !matches!(error, EngineError::Stopped) => return Err(error),
        _ => {}
    }
    if let Some(milestone) = batched? {
        committer.pass(milestone).await?;
    }
    if context.stop.is_stopped() { Err(EngineError::Stopped) } else { Ok(()) }
}
