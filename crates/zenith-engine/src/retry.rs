//! The policy of retries, in one place.
//!
//! | policy | what it is for |
//! | --- | --- |
//! | [`after_insert`] | one insert: the same bytes under the same token, a few times |
//! | [`after_load`] | a whole load, started over |
//! | [`RetryBudget`] | a pipeline whose source or target is away: for ever where it follows, for a while where it catches up |

use std::time::Duration;

use tokio::time::Instant;
use zenith_transport::TransportError;

use crate::EngineError;

/// Tries of one insert before a load fails.
pub(crate) const INSERT_TRIES: u32 = 8;
/// Whole loads started over before the run fails.
const LOAD_TRIES: u32 = 3;
/// The first pause; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What to do after an insert failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterInsert {
    /// Send the same bytes with the same token after a pause.
    Repeat(Duration),
    /// The rows were refused: try each half separately, if it is certain that none of them is in the table.
    Halve,
    /// Give up.
    Fail,
}

/// Decides about an insert that has been tried `tries` times, of `tries_max` it may be.
pub(crate) fn after_insert(error: &TransportError, tries: u32, tries_max: u32) -> AfterInsert {
    if error.is_transient() {
        if tries >= tries_max { AfterInsert::Fail } else { AfterInsert::Repeat(pause(tries)) }
    } else if error.is_data_rejected() && error.view().is_none() {
        AfterInsert::Halve
    } else {
        AfterInsert::Fail
    }
}

/// Whether a load that failed is started over, and after which pause. `tries` loads have failed so far.
pub(crate) fn after_load(error: &EngineError, tries: u32) -> Option<Duration> {
    let again = match error {
        // A scan in storage order cannot go on where it was cut off; everything else the reader has
        // tried itself.
        EngineError::Reading(error) => error.is_transient(),
        EngineError::Source(_)
        | EngineError::Sink(_)
        | EngineError::Writing(_)
        | EngineError::NotATable { .. }
        | EngineError::Decode { .. }
        | EngineError::Memory(_)
        | EngineError::Setting { .. }
        | EngineError::NotPossible { .. }
        | EngineError::TableDiffers { .. }
        | EngineError::NameTaken { .. }
        | EngineError::CannotKeep { .. }
        | EngineError::BadDocument { .. }
        | EngineError::Reconcile { .. }
        | EngineError::State(_)
        | EngineError::Stream(_)
        | EngineError::Checkpoint { .. }
        | EngineError::TableGone { .. }
        | EngineError::ViewFailed { .. }
        | EngineError::RefusedWhole { .. }
        | EngineError::StillRead { .. }
        | EngineError::Key { .. }
        | EngineError::Surprise { .. }
        | EngineError::KeyMismatch { .. }
        | EngineError::SourceGone { .. }
        | EngineError::NewField { .. }
        | EngineError::TypeConflict { .. }
        | EngineError::ColumnsChanged { .. }
        | EngineError::SourceAwaited { .. }
        | EngineError::HistoryLost { .. }
        | EngineError::OtherSource { .. }
        | EngineError::TableEmptied { .. }
        | EngineError::OtherTarget { .. }
        | EngineError::TableOwned { .. }
        | EngineError::Stopped
        | EngineError::StoppedLeaving { .. }
        | EngineError::Worker { .. } => false,
    };
    (again && tries < LOAD_TRIES).then(|| pause(tries))
}

fn pause(tries: u32) -> Duration {
    PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(PAUSE_MAX)
}

/// The first pause; each further one is twice as long.
const FOLLOW_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: how late a server's return may be noticed.
const FOLLOW_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a run that catches up waits for a server by default.
pub(crate) const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a pipeline that shares a stream waits for its target: meanwhile the stream fills up for all of them.
const SHARED_STREAM_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause before the one more try of a pipeline that shares a stream, if others wait for what it holds.
pub(crate) const CONTENDED_PAUSE: Duration = Duration::from_millis(100);

/// Tries of one thing; for ever by default.
#[derive(Debug, Default)]
pub(crate) struct RetryBudget {
    /// The first failure.
    began: Option<Instant>,
    tries: u32,
    /// After which there is none any more.
    limit: Option<Duration>,
}

impl RetryBudget {
    /// A run that follows waits for ever; one that only catches up does not.
    pub(crate) fn new(limit: Option<Duration>) -> RetryBudget {
        RetryBudget { began: None, tries: 0, limit }
    }

    /// All of it again: something has succeeded.
    pub(crate) fn renew(&mut self) {
        *self = RetryBudget::new(self.limit);
    }

    /// Whether it is the first pause that was given last.
    pub(crate) fn is_first(&self) -> bool {
        self.tries <= 1
    }

    /// Less of it where others wait as well.
    pub(crate) fn together(self, shared: bool) -> RetryBudget {
        RetryBudget { limit: self.limit.or(shared.then_some(SHARED_STREAM_TIMEOUT)), ..self }
    }

    /// The pause before the next try; `None` if there is to be none.
    pub(crate) fn next(&mut self) -> Option<Duration> {
        let elapsed = self.began.get_or_insert_with(Instant::now).elapsed();
        let mut pause = FOLLOW_PAUSE.saturating_mul(1 << self.tries.min(10)).min(FOLLOW_PAUSE_MAX);
        if let Some(limit) = self.limit {
            // The last try is made when the time is up, not after it.
            pause = pause.min(limit.checked_sub(elapsed).filter(|left| !left.is_zero())?);
        }
        self.tries += 1;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injected(transient: bool) -> TransportError {
        TransportError::Injected { reason: "test".to_owned(), transient }
    }

    #[test]
    fn transient_failures_are_repeated_with_growing_pauses_and_an_end() {
        assert_eq!(after_insert(&injected(true), 1, INSERT_TRIES), AfterInsert::Repeat(PAUSE));
        assert_eq!(after_insert(&injected(true), 3, INSERT_TRIES), AfterInsert::Repeat(PAUSE * 4));
        assert_eq!(after_insert(&injected(true), INSERT_TRIES, INSERT_TRIES), AfterInsert::Fail);
        assert_eq!(pause(40), PAUSE_MAX);
    }

    #[test]
    fn refused_rows_are_halved_and_stops_are_final() {
        assert_eq!(after_insert(&injected(false), 1, INSERT_TRIES), AfterInsert::Halve);
        assert_eq!(after_load(&EngineError::Stopped, 1), None);
    }

    #[test]
    fn pauses_grow_and_have_an_end_only_where_a_run_has_one() {
        let mut retry_budget = RetryBudget::new(None);
        let pauses: Vec<_> = (0..6).filter_map(|_| retry_budget.next()).collect();
        assert_eq!(pauses.first(), Some(&FOLLOW_PAUSE));
        assert_eq!(pauses.last(), Some(&FOLLOW_PAUSE_MAX));
        let long_ago = Instant::now().checked_sub(CATCH_UP_TIMEOUT);
        let since_long = |retry_budget| RetryBudget { began: long_ago, tries: 9, ..retry_budget };
        assert!(since_long(RetryBudget::new(None)).next().is_some());
        assert!(since_long(RetryBudget::new(Some(CATCH_UP_TIMEOUT))).next().is_none());
        assert!(since_long(RetryBudget::new(None).together(false)).next().is_some());
        assert!(since_long(RetryBudget::new(None).together(true)).next().is_none());
        // A run that catches up gives up, and does not come back for the pipeline later.
        let a_while_ago = Instant::now().checked_sub(SHARED_STREAM_TIMEOUT);
        let once = RetryBudget::new(Some(CATCH_UP_TIMEOUT)).together(true);
        assert!(RetryBudget { began: a_while_ago, ..once }.next().is_some());
        let mut renewed = since_long(RetryBudget::new(Some(CATCH_UP_TIMEOUT)));
        renewed.renew();
        assert_eq!(renewed.next(), Some(FOLLOW_PAUSE));
    }
}
