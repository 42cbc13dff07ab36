//! Versions of rows: cluster times as numbers that grow.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bson::Timestamp;

/// The version of rows of this cluster time.
pub(crate) fn version_of(time: Timestamp) -> u64 {
    u64::from(time.time) << 32 | u64::from(time.increment)
}

/// A cluster time as a time of day; its increment counts operations, not time.
pub(crate) fn system_time(time: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::from(time.time))
}

/// The time of day of a version.
pub(crate) fn time_of_version(version: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(version >> 32)
}
