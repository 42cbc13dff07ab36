//! How long what fails for the moment is tried again.

use std::time::{Duration, Instant};

/// The first pause; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: how late a server's return may be noticed.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a run that is to end by itself waits for a server, unless it was told.
pub(super) const ONCE: Duration = Duration::from_secs(60);
/// How long a pipeline that shares a stream waits for its target: meanwhile the stream fills up for all of them.
const TOGETHER: Duration = Duration::from_secs(5);

/// Tries of one thing.
#[derive(Debug)]
pub(super) struct RetryBudget {
    /// The first failure.
    began: Option<Instant>,
    tries: u32,
    /// After which there is none any more.
    limit: Option<Duration>,
}

impl RetryBudget {
    /// A run that follows waits for ever; one that only catches up does not.
    pub(super) fn new(limit: Option<Duration>) -> RetryBudget {
        RetryBudget { began: None, tries: 0, limit }
    }

    /// All of it again: something has succeeded.
    pub(super) fn renew(&mut self) {
        *self = RetryBudget::new(self.limit);
    }

    /// Less of it where others wait as well.
    pub(super) fn together(self, shared: bool) -> RetryBudget {
        RetryBudget { limit: self.limit.or(shared.then_some(TOGETHER)), ..self }
    }

    /// The pause before the next try; `None` if there is to be none.
    pub(super) fn next(&mut self) -> Option<Duration> {
        let began = *self.began.get_or_insert_with(Instant::now);
        if self.limit.is_some_and(|limit| began.elapsed() >= limit) {
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
        let mut retry_budget = RetryBudget::new(None);
        let pauses: Vec<_> = (0..6).filter_map(|_| retry_budget.next()).collect();
        assert_eq!(pauses.first(), Some(&PAUSE));
        assert_eq!(pauses.last(), Some(&PAUSE_MAX));
        let long_ago = Instant::now().checked_sub(ONCE);
        let since_long = |retry_budget| RetryBudget { began: long_ago, tries: 9, ..retry_budget };
        assert!(since_long(RetryBudget::new(None)).next().is_some());
        assert!(since_long(RetryBudget::new(Some(ONCE))).next().is_none());
        assert!(since_long(RetryBudget::new(None).together(false)).next().is_some());
        assert!(since_long(RetryBudget::new(None).together(true)).next().is_none());
        // A run that catches up gives up, and does not come back for the pipeline later.
        let a_while_ago = Instant::now().checked_sub(TOGETHER);
        let once = RetryBudget::new(Some(ONCE)).together(true);
        assert!(RetryBudget { began: a_while_ago, ..once }.next().is_some());
        let mut renewed = since_long(RetryBudget::new(Some(ONCE)));
        renewed.renew();
        assert_eq!(renewed.next(), Some(PAUSE));
    }
}
