//! The number of each error, under which the book explains it. A number is never given to another error.

use crate::StateError;

impl StateError {
    /// The number, from 6001 to 6999.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Locked { .. } => 6001,
            Self::Newer { .. } => 6002,
            Self::Older { .. } => 6003,
            Self::Foreign { .. } => 6004,
            Self::Absent { .. } => 6005,
            Self::Damaged { .. } => 6006,
            Self::Full { .. } => 6007,
            Self::ReadOnly { .. } => 6008,
            Self::Busy { .. } => 6009,
            Self::Io { .. } => 6010,
            Self::Sqlite { .. } => 6011,
            Self::Refused { .. } => 6012,
            Self::Unreachable { .. } => 6013,
            Self::Postgres { .. } => 6014,
            Self::Leased { .. } => 6015,
            Self::Fenced { .. } => 6016,
            Self::NotEmpty { .. } => 6017,
            Self::Backwards { .. } => 6101,
            Self::Secret { .. } => 6102,
            Self::Missing { .. } => 6103,
            Self::InUse { .. } => 6104,
            Self::UnknownIntent { .. } | Self::IntentExists { .. } => 6105,
            Self::RepeatedPartition { .. } | Self::Unfinished { .. } => 6106,
        }
    }
}
