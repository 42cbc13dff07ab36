//! How long what fails for the moment is tried again.

use std::time::{Duration, Instant};

/// The first pause; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: how late a server's return may be noticed.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a run that is to end by itself waits for a server.
const ONCE: Duration = Duration::from_secs(60);

/// Tries of one thing.
#[derive(Debug)]
pub(super) struct Patience {
    began: Instant,
    tries: u32,
    once: bool,
}

impl Patience {
    /// A run that follows waits for ever; one that only catches up does not.
    pub(super) fn new(once: bool) -> Patience {
        Patience { began: Instant::now(), tries: 0, once }
    }

    /// The pause before the next try; `None` if there is to be none.
    pub(super) fn next(&mut self) -> Option<Duration> {
        if self.once && self.began.elapsed() >= ONCE {
            return None;
        }
        let pause = PAUSE.saturating_mul(1 << self.tries.min(10)).min(PAUSE_MAX);
        self.tries += 1;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_have_an_end_only_where_a_run_has_one() {
        let mut patience = Patience::new(false);
        let pauses: Vec<_> = (0..6).filter_map(|_| patience.next()).collect();
        assert_eq!(pauses.first(), Some(&PAUSE));
        assert_eq!(pauses.last(), Some(&PAUSE_MAX));
        let long_ago = Instant::now().checked_sub(ONCE).unwrap();
        assert!(Patience { began: long_ago, tries: 9, once: false }.next().is_some());
        assert!(Patience { began: long_ago, tries: 9, once: true }.next().is_none());
    }
}
