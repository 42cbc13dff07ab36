//! Stopping a run from outside, or from a worker that failed.

use tokio::sync::watch;

/// Asks a run to stop. Clones ask the same run.
#[derive(Clone, Debug)]
pub struct StopHandle {
    sender: watch::Sender<bool>,
}

impl StopHandle {
    pub(crate) fn new() -> StopHandle {
        StopHandle { sender: watch::Sender::new(false) }
    }

    /// Asks the run to stop; asking twice changes nothing.
    pub fn stop(&self) {
        self.sender.send_replace(true);
    }

    /// Whether it has been asked to.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.sender.borrow()
    }

    /// Returns once it has been asked to.
    pub async fn stopped(&self) {
        // We hold a sender, so the channel cannot be closed while we wait.
        let _ = self.sender.subscribe().wait_for(|stopped| *stopped).await;
    }
}
