//! The number of each error, under which the book explains it. A number is never given to another error.

use super::TransportError;

impl TransportError {
    /// The number, from 3001 to 3999.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Target { .. } => 3001,
            Self::Tls { .. } => 3002,
            Self::Connect { .. } => 3003,
            Self::Lost { .. } => 3006,
            Self::Silent { .. } => 3007,
            Self::Status { .. } => 3008,
            Self::Answer { .. } => 3009,
            Self::NoDatabase { .. } => 3101,
            Self::Privileges { .. } => 3005,
            Self::NoTable { .. } => 3102,
            Self::Column { .. } => 3103,
            Self::Publish { .. } => 3104,
            Self::Arrow { .. } => 3105,
            Self::Unsupported { .. } => 3106,
            Self::Server(_) => self.code_of_exception(),
            Self::Other { .. } | Self::Injected { .. } => 3901,
        }
    }

    /// By what the exception means to a writer, as ClickHouse has several for each.
    fn code_of_exception(&self) -> u16 {
        match self {
            error if error.is_authentication() => 3004,
            error if error.is_access_denied() => 3005,
            error if error.is_unknown_database() => 3101,
            error if error.is_unknown_table() => 3102,
            error if error.is_schema_mismatch() => 3107,
            error if error.is_data_rejected() => 3108,
            error if error.is_transient() => 3010,
            _ => 3011,
        }
    }
}
