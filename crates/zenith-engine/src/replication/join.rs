//! Pipelines that join a run under way: the others go on meanwhile.

use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::Sink;

use super::backoff::Apart;
use super::replicator::{Replicator, SyncPipeline, Underway};
use super::run::PipelineRun;
use crate::batch_transform::Added;
use crate::{EngineError, Result};

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Replicator<S, K, T> {
    /// Begins pipelines beside those that run; the ones that follow changes have a stream together, until the next run.
    /// Says whether it could: not where nothing runs, or only one pipeline, which does not share its memory.
    ///
    /// # Errors
    /// As [`Replicator::add`], and when the state cannot be written; then none of them has begun.
    pub async fn join(&self, pipelines: Vec<SyncPipeline<K>>) -> Result<bool> {
        let mode = self.underway(|underway| underway.mode).filter(|mode| mode.is_shared());
        let Some(mode) = mode else { return Ok(false) };
        let made = pipelines.into_iter().map(|pipeline| self.make(pipeline, Added::default()));
        let contexts: Vec<_> = made.collect::<Result<_>>()?;
        self.remember_conditions(&contexts).await?;
        let (mut followers, mut alone) = (Vec::new(), Vec::new());
        for context in &contexts {
            let run = match PipelineRun::start(context, mode).await {
                Ok(run) => run,
                Err(error) => {
                    give_up(followers.iter().chain(&alone)).await;
                    return Err(error);
                }
            };
            match context.settings.mode.follows_changes() {
                true => followers.push(run),
                false => alone.push(run),
            }
        }
        self.include(contexts.iter().cloned());
        let begin = |underway: &Underway<S, K, T>| {
            let together = Some(followers.clone()).filter(|followers| !followers.is_empty());
            let mut runs = together.into_iter().chain(alone.iter().map(|run| vec![run.clone()]));
            runs.all(|runs| underway.apart.try_send(Apart::Now(runs)).is_ok())
        };
        if self.underway(begin) == Some(true) {
            return Ok(true);
        }
        self.exclude(&contexts);
        give_up(followers.iter().chain(&alone)).await;
        Ok(false)
    }
}

/// Notes that runs have not begun after all.
pub(super) async fn give_up<'r, S, K, T>(runs: impl Iterator<Item = &'r PipelineRun<S, K, T>>)
where
    S: Source + ChangeSource,
    K: Sink + 'static,
    T: StateStore,
{
    for run in runs {
        run.finish(Err(EngineError::Stopped)).await;
    }
}
