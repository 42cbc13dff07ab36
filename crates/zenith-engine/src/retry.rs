//! Whether to try again: the one place that decides it.

use std::time::Duration;

use zenith_transport::TransportError;

use crate::EngineError;

/// Tries of one insert before the run fails.
const INSERT_TRIES: u32 = 8;
/// Whole loads begun anew before the run fails.
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
    /// The rows were refused: try each half by itself, if it is certain that none of them is in the table.
    Halve,
    /// Give up.
    Fail,
}

/// Decides about an insert that has been tried `tries` times.
pub(crate) fn after_insert(error: &TransportError, tries: u32) -> AfterInsert {
    if error.is_transient() {
        if tries >= INSERT_TRIES { AfterInsert::Fail } else { AfterInsert::Repeat(pause(tries)) }
    } else if error.is_data_rejected() && error.view().is_none() {
        AfterInsert::Halve
    } else {
        AfterInsert::Fail
    }
}

/// Whether a load that failed is begun anew, and after which pause. `tries` loads have failed so far.
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
        | EngineError::HistoryLost { .. }
        | EngineError::Stopped
        | EngineError::StoppedLeaving { .. }
        | EngineError::Worker { .. } => false,
    };
    (again && tries < LOAD_TRIES).then(|| pause(tries))
}

fn pause(tries: u32) -> Duration {
    PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injected(transient: bool) -> TransportError {
        TransportError::Injected { reason: "test".to_owned(), transient }
    }

    #[test]
    fn transient_failures_are_repeated_with_growing_pauses_and_an_end() {
        assert_eq!(after_insert(&injected(true), 1), AfterInsert::Repeat(PAUSE));
        assert_eq!(after_insert(&injected(true), 3), AfterInsert::Repeat(PAUSE * 4));
        assert_eq!(after_insert(&injected(true), INSERT_TRIES), AfterInsert::Fail);
        assert_eq!(pause(40), PAUSE_MAX);
    }

    #[test]
    fn refused_rows_are_halved_and_stops_are_final() {
        assert_eq!(after_insert(&injected(false), 1), AfterInsert::Halve);
        assert_eq!(after_load(&EngineError::Stopped, 1), None);
    }
}
