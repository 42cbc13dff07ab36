//! What is done with one pipeline while its run rests: the others go on, and so does it afterwards, by a stream of its own.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use zenith_extract::{ChangeSource, Source};
use zenith_state::StateStore;
use zenith_transport::Sink;

use super::Replicator;
use super::backoff::Apart;
use super::context::Context;
use super::join::give_up;
use super::ownership::owning;
use super::progress::{Live, Phase, PipelineProgress};
use super::replicator::Underway;
use super::reset::ResetTo;
use super::run::PipelineRun;
use crate::policies::Mode;
use crate::promotion::Promotion;
use crate::{EngineError, Result, StopHandle, Summary};

/// A pipeline that rests until this is dropped.
pub struct Rest<S, K, T> {
    /// As its run has it.
    context: Arc<Context<S, K, T>>,
    /// With what is shown and stopped of the work alone.
    work: Arc<Context<S, K, T>>,
    was_running: bool,
    _turn: OwnedSemaphorePermit,
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Replicator<S, K, T> {
    /// Brings a pipeline to rest: what it is writing comes to its end. One that does not run rests already.
    ///
    /// # Errors
    /// [`EngineError::Setting`] if there is none of that name, [`EngineError::Stopped`] if the replicator is stopped first.
    pub async fn rest(&self, name: &str) -> Result<Rest<S, K, T>> {
        let context = self.context(name)?;
        let turn = context.turns.of_another().await?;
        let was_running = context.turns.is_running();
        let work = context.aside(Arc::new(Live::default()), context.turns.all().child());
        Ok(Rest { context, work, was_running, _turn: turn })
    }

    /// Reloads the table of one pipeline; following continues from there without a gap.
    ///
    /// # Errors
    /// As a reload; the table is then as it was.
    pub async fn reload(&self, name: &str) -> Result<Summary> {
        self.rest(name).await?.reload().await
    }

    /// Moves the checkpoint of a pipeline, backwards too. The table does not change: rows that it already has are replaced by
    /// equal rows, and a change log has them twice.
    ///
    /// # Errors
    /// [`EngineError::Setting`] for an impossible position; the source's error, if it no longer knows the position.
    pub async fn reset(&self, name: &str, to: ResetTo) -> Result<()> {
        self.rest(name).await?.reset(to).await
    }

    /// Starts a pipeline that has ended beside those that run, and says whether it could: not where none is left.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn start_again(&self, name: &str) -> Result<bool> {
        self.start_all_again(&[name]).await
    }

    /// The same for several pipelines: those that follow changes have one stream.
    ///
    /// # Errors
    /// When the state cannot be written; then none of them has begun.
    pub async fn start_all_again(&self, names: &[&str]) -> Result<bool> {
        let Some(mode) = self.underway(|underway| underway.mode) else { return Ok(false) };
        let (mut together, mut alone) = (Vec::new(), Vec::new());
        for name in names {
            let context = self.context(name)?;
            if context.turns.is_running() {
                continue;
            }
            let run = match PipelineRun::start(&context, mode).await {
                Ok(run) => run,
                Err(error) => {
                    give_up(together.iter().chain(&alone)).await;
                    return Err(error);
                }
            };
            match context.settings.mode.follows_changes() {
                true => together.push(run),
                false => alone.push(run),
            }
        }
        let begin = |underway: &Underway<S, K, T>| {
            let together = Some(together.clone()).filter(|runs| !runs.is_empty());
            let mut all = together.into_iter().chain(alone.iter().map(|run| vec![run.clone()]));
            all.all(|runs| underway.apart.try_send(Apart::Now(runs)).is_ok())
        };
        let has_begun = self.underway(begin) == Some(true);
        if !has_begun {
            give_up(together.iter().chain(&alone)).await;
        }
        Ok(has_begun)
    }
}

impl<S: Source + ChangeSource, K: Sink + 'static, T: StateStore> Rest<S, K, T> {
    /// Whether the pipeline continues by itself afterwards.
    #[must_use]
    pub fn was_running(&self) -> bool {
        self.was_running
    }

    /// Its mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.context.settings.mode
    }

    /// The sink that has its table.
    #[must_use]
    pub fn sink(&self) -> &K {
        &self.context.sink
    }

    /// The name of its table.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.context.table
    }

    /// A handle that stops what is done meanwhile, and not the pipeline.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.work.stop.clone()
    }

    /// The progress of what is done meanwhile.
    #[must_use]
    pub fn progress(&self) -> PipelineProgress {
        self.work.live.snapshot(&self.work.name)
    }

    /// Reloads the table; following continues from there without a gap.
    ///
    /// # Errors
    /// As a reload; the table is then as it was.
    pub async fn reload(&self) -> Result<Summary> {
        let work = &self.work;
        // The history has it as a run of its own, unless it is part of one.
        let run = if self.was_running { None } else { Some(PipelineRun::aside(work).await?) };
        work.live.phase(Phase::Snapshot);
        self.context.turns.show(Some(Arc::clone(&work.live)));
        self.context.turns.know_epoch(None);
        let reload = async {
            match work.settings.mode {
                Mode::IdCursor => Box::pin(super::id_cursor::empty(work)).await,
                _ => Box::pin(work.reload_now()).await,
            }
        };
        // Its run holds the table, if there is one.
        let result = if self.was_running { reload.await } else { Box::pin(owning(work, reload)).await };
        self.context.turns.show(None);
        self.know_epoch().await;
        if result.is_ok() {
            self.context.live.detached(None);
        }
        let Some(run) = run else { return result };
        let (summary, result) = match result {
            Ok(summary) => (Some(summary), Ok(())),
            Err(error) => (None, Err(error)),
        };
        match (summary, run.note_end(result).await.error) {
            (Some(summary), None) => Ok(summary),
            (_, Some(error)) => Err(error),
            (None, None) => Err(EngineError::Stopped),
        }
    }

    /// Moves the checkpoint, backwards too; the table does not change.
    ///
    /// # Errors
    /// As [`Replicator::reset`].
    pub async fn reset(&self, to: ResetTo) -> Result<()> {
        self.context.turns.know_epoch(None);
        let result = self.work.unless_stopped(self.work.reset(to)).await;
        self.context.live.set_back();
        self.know_epoch().await;
        result?
    }

    /// Moves values from the extra column into columns of their own: of these paths alone, if there are any. Returns once the
    /// rows that have them show them.
    ///
    /// # Errors
    /// [`EngineError::NotPossible`] for a path that can get no column; those of the target. A table of current documents may
    /// have its new columns then, and fewer rows that show them: the same again goes on from there. Another table is as it was.
    pub async fn promote(&self, paths: &[String]) -> Result<Promotion> {
        let work = &self.work;
        work.live.phase(Phase::Snapshot);
        self.context.turns.show(Some(Arc::clone(&work.live)));
        // Its run holds the table, if there is one.
        let result = match self.was_running {
            true => Box::pin(work.promote(paths)).await,
            false => Box::pin(owning(work, work.promote(paths))).await,
        };
        self.context.turns.show(None);
        result
    }

    async fn know_epoch(&self) {
        // Unknown, it is taken for what it is.
        let epoch = self.context.state.epoch(&self.context.name).await.ok();
        self.context.turns.know_epoch(epoch);
    }
}
