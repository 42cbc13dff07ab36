//! How long to wait before a scan or a stream is taken up again, and when to give up.

use std::time::{Duration, Instant};

/// The first pause; each is twice the one before, up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Without a reply in this time it fails. An election takes about 12 seconds, a restart a minute.
const TIMEOUT: Duration = Duration::from_secs(90);

/// Pauses that grow, until their time is up.
#[derive(Debug)]
pub(super) struct Backoff {
    pause: Duration,
    since: Option<Instant>,
}

impl Backoff {
    pub(super) fn new() -> Backoff {
        Backoff { pause: PAUSE_FIRST, since: None }
    }

    /// Forgets past failures: something was read since.
    pub(super) fn reset(&mut self) {
        *self = Backoff::new();
    }

    /// The pause before the next attempt; `None` if the time is up.
    pub(super) fn next(&mut self) -> Option<Duration> {
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() > TIMEOUT {
            return None;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_progress_resets_them() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..8).filter_map(|_| backoff.next()).collect();
        assert_eq!(pauses[..2], [PAUSE_FIRST, PAUSE_FIRST * 2]);
        assert_eq!(pauses[7], PAUSE_MAX);
        backoff.reset();
        assert_eq!(backoff.next(), Some(PAUSE_FIRST));
        backoff.since = Instant::now().checked_sub(TIMEOUT * 2);
        assert_eq!(backoff.next(), None);
    }
}
