//! What kind of failure an error is: whether it passes, whether somebody may mend it, whether the user has to.

use zenith_extract::ExtractError;
use zenith_memory::MemoryError;
use zenith_transport::TransportError;

use super::EngineError;

impl EngineError {
    /// The same failure, once loading has begun.
    pub(crate) fn while_loading(self) -> EngineError {
        match self {
            EngineError::Source(error) => EngineError::Reading(error),
            EngineError::Sink(error) => EngineError::Writing(error),
            other => other,
        }
    }

    /// Whether the cause is transient: a server that does not answer.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            EngineError::Source(error) | EngineError::Reading(error) => error.is_transient(),
            EngineError::Stream(error) => error.is_transient(),
            EngineError::Sink(error) | EngineError::Writing(error) => error.is_transient(),
            EngineError::State(error) => error.is_transient(),
            // Somebody mends the view or the table.
            EngineError::ViewFailed { .. } | EngineError::RefusedWhole { .. } => true,
            // Whoever rebuilds the collection is about to make it.
            EngineError::SourceAwaited { .. } => true,
            _ => false,
        }
    }

    /// Whether the collection is not there, or did not stay while it was read.
    pub(crate) fn is_of_lost_collection(&self) -> bool {
        let (EngineError::Source(error) | EngineError::Reading(error)) = self else { return false };
        match error {
            ExtractError::NoSuchDatabase { .. }
            | ExtractError::NoSuchCollection { .. }
            | ExtractError::Replaced { .. } => true,
            // NamespaceNotFound, QueryPlanKilled.
            ExtractError::Server { code, .. } => matches!(code, 26 | 175),
            _ => false,
        }
    }

    /// Whether somebody may mend it at one of the servers, so that the pipeline then goes on: passwords, privileges,
    /// certificates, servers that only read for now.
    pub(crate) fn is_mendable(&self) -> bool {
        let source = |error: &ExtractError| {
            matches!(
                error,
                ExtractError::Authentication { .. }
                    | ExtractError::Unauthorized { .. }
                    | ExtractError::Tls { .. }
            )
        };
        match self {
            EngineError::Source(error) | EngineError::Reading(error) => source(error),
            EngineError::Stream(error) => source(error),
            EngineError::Sink(error) | EngineError::Writing(error) => {
                error.is_authentication()
                    || error.is_access_denied()
                    || matches!(error, TransportError::Tls { .. })
            }
            // Whoever writes the table may end.
            EngineError::TableOwned { .. } => true,
            _ => false,
        }
    }

    /// Whether the user has to mend something before another try can succeed. Nothing has been created then.
    #[must_use]
    pub fn is_input(&self) -> bool {
        match self {
            EngineError::Source(error) => error.is_input(),
            EngineError::Sink(error) => error.is_input(),
            EngineError::State(error) => error.is_input(),
            EngineError::Stream(error) => error.is_input(),
            EngineError::Setting { .. }
            | EngineError::TableDiffers { .. }
            | EngineError::NameTaken { .. }
            | EngineError::CannotKeep { .. }
            | EngineError::NotPossible { .. }
            | EngineError::NotATable { .. }
            | EngineError::TableOwned { .. } => true,
            EngineError::Memory(error) => matches!(error, MemoryError::BudgetTooSmall { .. }),
            // Something was created by then.
            EngineError::Reading(_)
            | EngineError::Writing(_)
            | EngineError::Decode { .. }
            | EngineError::BadDocument { .. }
            | EngineError::Reconcile { .. }
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
            | EngineError::Stopped
            | EngineError::StoppedLeaving { .. }
            | EngineError::Worker { .. } => false,
        }
    }
}
