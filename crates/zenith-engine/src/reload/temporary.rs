//! Names of tables that are there for the time of a load.

use std::time::{SystemTime, UNIX_EPOCH};

/// What the names of such tables of `table` begin with.
pub(crate) fn shadow_prefix(table: &str) -> String {
    format!("{table}__zenith_")
}

/// A name no other run has: the time, and the process for runs begun in the same millisecond.
pub(crate) fn run_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}_{:x}", now.as_micros(), std::process::id())
}
