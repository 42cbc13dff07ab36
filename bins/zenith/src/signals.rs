//! SIGINT and SIGTERM: the first asks the run to stop, the second ends the process at once.

use std::io;
use std::sync::OnceLock;
#[cfg(feature = "otel")]
use std::time::Duration;
use std::time::Instant;

use tokio::signal::unix::{Signal, SignalKind, signal};
use zenith_engine::StopHandle;

use crate::{exit, progress};

/// When a stop was first asked for.
static ASKED: OnceLock<Instant> = OnceLock::new();
/// How long a stop may take in all: what is still there after 10 s is killed by many who stop it.
#[cfg(feature = "otel")]
const STOP_WITHIN: Duration = Duration::from_millis(9_500);
/// What comes last has at least this.
#[cfg(feature = "otel")]
const LEFT_MIN: Duration = Duration::from_millis(200);

/// What is left of the time of a stop, at most `most`; `most` itself if none was asked for.
#[cfg(feature = "otel")]
pub fn left(most: Duration) -> Duration {
    let left = ASKED.get().map_or(most, |asked| STOP_WITHIN.saturating_sub(asked.elapsed()));
    left.clamp(LEFT_MIN, most)
}

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
        ASKED.get_or_init(Instant::now);
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
