//! What is done when the stream of a group of pipelines has failed: wait and open it again, load anew what cannot go on, or
//! end.

use std::sync::Arc;

use zenith_extract::{ChangeReader as _, ChangeSource, ExtractError, Source, StartAt, WatchOptions};
use zenith_state::StateStore;
use zenith_transport::Sink;

use super::context::Context;
use super::group::{Group, Halted};
use super::position::Position;
use super::progress::Phase;
use super::run::PipelineRun;
use crate::policies::{Mode, OnHistoryLost};
use crate::retry::RetryBudget;
use crate::{EngineError, Result};

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Group<S, K, T> {
    /// Sorts pipelines whose stream failed.
    pub(super) async fn after_failure(
        &self,
        error: ExtractError,
        left: Vec<PipelineRun<S, K, T>>,
        retry_budget: &mut RetryBudget,
    ) -> Halted<S, K, T> {
        let mut halted = Halted::default();
        if error.is_history_lost() {
            for run in left {
                match self.recover_history(&run.context).await {
                    Ok(()) => {
                        retry_budget.renew();
                        halted.again.push(run);
                    }
                    Err(error) if run.rests_after(&error) => halted.again.push(run),
                    Err(error) => match retry_budget.next() {
                        Some(pause) if run.context.is_worth_waiting(&error) => {
                            run.context.failing(&error, pause);
                            // A stop ends what comes next.
                            let _ = run.context.live.pause(&self.stop, pause).await;
                            halted.again.push(run);
                        }
                        _ => halted.outcomes.push(run.finish(Err(error)).await),
                    },
                }
            }
            return halted;
        }
        let error = Arc::new(error);
        let is_worth_waiting = |run: &PipelineRun<S, K, T>| {
            run.context.is_worth_waiting(&EngineError::Stream(Arc::clone(&error)))
        };
        if let Some(first) = left.iter().find(|run| is_worth_waiting(run))
            && let Some(pause) = retry_budget.next()
        {
            tracing::warn!(%error, ?pause, "opening the change stream again");
            let failed = EngineError::Stream(Arc::clone(&error));
            left.iter().for_each(|run| run.retrying(&failed));
            // A stop ends what comes next.
            let _ = first.context.live.pause(&self.stop, pause).await;
            halted.again = left;
            return halted;
        }
        // One error, told for each.
        for run in left {
            let error = EngineError::Stream(Arc::clone(&error));
            halted.outcomes.push(run.finish(Err(error)).await);
        }
        halted
    }

    /// Loads a pipeline anew whose changes are lost, if that is wished; leaves alone one whose changes are not.
    async fn recover_history(&self, context: &Arc<Context<S, K, T>>) -> Result<()> {
        let Some(checkpoint) = context.state.checkpoint(&context.name).await? else { return Ok(()) };
        let position = Position::decode(&checkpoint.position)?;
        let namespaces = vec![context.namespace.clone()];
        let found = self.source.change_preflight(&namespaces).await?;
        let mut options = WatchOptions::new(found.scope, namespaces, self.memory.lookups().clone());
        options.from = StartAt::Token(position.token.clone());
        // The server may look only when it is asked for the first changes.
        let known = async { self.source.watch(options).await?.next().await };
        match context.unless_stopped(known).await? {
            Ok(_) => return Ok(()),
            Err(error) if error.is_place_unknown() => {
                // It may be that of a change that this user sees no more.
                let is_known = match &position.last {
                    Some(last) if *last != position.token => context.knows(last).await? == Some(true),
                    _ => false,
                };
                if !is_known {
                    return Err(context.other_place());
                }
            }
            Err(error) if error.is_history_lost() => {}
            Err(error) => return Err(error.into()),
        }
        if context.settings.on_history_lost == OnHistoryLost::Reload && context.settings.mode == Mode::Changes
        {
            tracing::warn!(
                pipeline = context.name,
                "the changes since the checkpoint are lost: loading the table again"
            );
            context.live.phase(Phase::Snapshot);
            context.reload_now().await?;
            return Ok(());
        }
        if context.is_other_collection().await? {
            return Err(context.other_collection());
        }
        Err(EngineError::HistoryLost {
            pipeline: context.name.clone(),
            namespace: context.namespace.to_string(),
        })
    }
}
