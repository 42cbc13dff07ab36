//! SIGINT and SIGTERM: the first asks the run to stop, the second ends the process at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use zenith_engine::StopHandle;

use crate::{exit, progress};

/// The signals that stop a run. From when they are made, none of them ends the process by itself.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to catch them.
    pub fn catch() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Returns at the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Stops a run at the next one, and ends the process at the one after it.
    pub fn stop(mut self, run: StopHandle) {
        tokio::spawn(async move {
            self.next().await;
            progress::say("zenith: stopping; press again to stop at once");
            run.stop();
            self.end_at_next();
        });
    }

    /// Ends the process at the next one.
    pub fn end_at_next(mut self) {
        tokio::spawn(async move {
            self.next().await;
            // Nothing is cleaned up: that is what the second signal asks for.
            #[expect(clippy::disallowed_methods)]
            std::process::exit(i32::from(exit::STOPPED));
        });
    }
}
