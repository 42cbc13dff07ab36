//! The number of each error, under which the book explains it. A number is never given to another error.

use crate::ExtractError;

impl ExtractError {
    /// The number, from 2001 to 2999.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::InvalidUri { .. } => 2001,
            Self::Tls { .. } => 2002,
            Self::Unreachable { .. } => 2003,
            Self::Authentication { .. } => 2004,
            Self::Unauthorized { .. } => 2005,
            Self::Connection { .. } => 2006,
            Self::Protocol { .. } => 2007,
            Self::Driver { .. } => 2008,
            Self::Server { .. } => 2009,
            Self::InvalidNamespace { .. } => 2101,
            Self::NoSuchDatabase { .. } => 2102,
            Self::NoSuchCollection { .. } => 2103,
            Self::Replaced { .. } => 2104,
            Self::Filter { .. } => 2105,
            Self::Interrupted { .. } => 2106,
            Self::InvalidPartition { .. } => 2107,
            Self::ReaderStopped { .. } | Self::ChangesStopped => 2108,
            Self::Memory(_) => 7001,
            Self::NoChangeStreams { .. } => 2201,
            Self::HistoryLost { .. } => 2202,
            Self::EventTooLarge { .. } => 2203,
            Self::LookupTooLarge { .. } => 2204,
            Self::InvalidResumeToken { .. } => 2205,
            Self::File { .. } => 2301,
            Self::Dump { .. } => 2302,
            Self::Other { .. } => 2901,
        }
    }
}
