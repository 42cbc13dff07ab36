//! Keeps the server session of a scan alive while the consumer is slow.
//!
//! A cursor idle for 10 minutes is closed unless it has `noCursorTimeout`, and any cursor dies with its session,
//! which the server forgets 30 minutes after its last command. So scans have both, and a running scan refreshes its
//! session. If this process dies, the session expires, and the cursor with it.

use std::time::Duration;

use bson::{Document, doc};
use mongodb::Client;
use tokio::task::JoinHandle;

/// Between refreshes; a few may fail before the 30 minutes are over.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Refreshes a session until dropped.
#[derive(Debug)]
pub(super) struct KeepAlive {
    task: JoinHandle<()>,
}

impl KeepAlive {
    /// `session` is the logical session id, as in `{id: UUID}`.
    pub(super) fn start(client: Client, session: Document) -> KeepAlive {
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(REFRESH_INTERVAL).await;
                let command = doc! { "refreshSessions": [session.clone()] };
                if let Err(error) = client.database("admin").run_command(command).await {
                    tracing::debug!(%error, "refreshing the session of a scan failed");
                }
            }
        });
        KeepAlive { task }
    }
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        self.task.abort();
    }
}
