//! Stopping a run from outside, or from a worker that failed.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{EngineError, Result};

/// Asks a run to stop. Clones ask the same run.
#[derive(Clone, Debug)]
pub struct StopHandle {
    token: CancellationToken,
}

impl StopHandle {
    pub(crate) fn new() -> StopHandle {
        StopHandle { token: CancellationToken::new() }
    }

    /// A handle for a part of the run, which stops with the run or alone.
    pub(crate) fn child(&self) -> StopHandle {
        StopHandle { token: self.token.child_token() }
    }

    /// Asks the run to stop; asking twice changes nothing.
    pub fn stop(&self) {
        self.token.cancel();
    }

    /// Whether it has been asked to.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Returns once it has been asked to.
    pub async fn stopped(&self) {
        self.token.cancelled().await;
    }

    /// Returns so long after it has been asked to.
    pub(crate) async fn stopped_for(&self, time: Duration) {
        self.stopped().await;
        tokio::time::sleep(time).await;
    }

    /// Waits before something is tried again.
    ///
    /// # Errors
    /// [`EngineError::Stopped`] once it has been asked to stop.
    pub(crate) async fn pause(&self, pause: Duration) -> Result<()> {
        tokio::select! {
            biased;
            () = self.stopped() => Err(EngineError::Stopped),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }
}
