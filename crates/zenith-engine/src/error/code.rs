//! The number of each error, under which the book explains it. A number is never given to another error.

use super::EngineError;

impl EngineError {
    /// The number: that of the source, the target or the state if one of them failed, else one from 7001 to 7999.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Source(error) | Self::Reading(error) => error.code(),
            Self::Stream(error) => error.code(),
            Self::Sink(error) | Self::Writing(error) => error.code(),
            Self::State(error) => error.code(),
            Self::Memory(_) => 7001,
            Self::Setting { .. } => 7002,
            Self::NotPossible { .. } => 7003,
            Self::TableDiffers { .. } => 7101,
            Self::NotATable { .. } => 7102,
            Self::NameTaken { .. } => 7103,
            Self::CannotKeep { .. } => 7104,
            Self::ViewFailed { .. } => 7105,
            Self::RefusedWhole { .. } => 7106,
            Self::StillRead { .. } => 7107,
            Self::TableGone { .. } => 7108,
            Self::TableOwned { .. } => 7109,
            Self::TableEmptied { .. } => 7110,
            Self::OtherTarget { .. } => 7111,
            Self::ColumnsChanged { .. } => 7112,
            Self::Decode { .. } => 7201,
            Self::BadDocument { .. } => 7202,
            Self::Key { .. } | Self::KeyMismatch { .. } => 7203,
            Self::Surprise { .. } => 7204,
            Self::NewField { .. } => 7205,
            Self::TypeConflict { .. } => 7206,
            Self::Reconcile { .. } => 7207,
            Self::SourceGone { .. } => 7301,
            Self::SourceAwaited { .. } => 7302,
            Self::HistoryLost { .. } => 7303,
            Self::OtherSource { .. } => 7304,
            Self::Checkpoint { .. } => 7305,
            Self::Stopped | Self::StoppedLeaving { .. } => 7401,
            Self::Worker { .. } => 7901,
        }
    }
}
