//! Who changed what.

use std::time::SystemTime;

/// Entries that are kept; older ones are forgotten.
pub const AUDIT_MAX: u32 = 10_000;

/// One change that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it was asked for.
    pub at: SystemTime,
    /// The name that belongs to the token.
    pub who: String,
    /// The other end of the connection.
    pub address: String,
    /// In a word or two.
    pub action: String,
    /// The pipeline or connector; empty if it concerns more.
    pub subject: String,
    /// What else there is to say.
    pub details: String,
}
