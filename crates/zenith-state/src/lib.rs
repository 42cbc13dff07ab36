//! The state that Zenith keeps between runs: the `StateStore` trait, in SQLite, in PostgreSQL and in memory.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`StateStore`], [`DynStateStore`] | a store of the state: the static trait and its object-safe twin |
//! | [`SqliteStore`] | one file, written by one `zenith run` and by short commands beside it |
//! | `PostgresStore` | a database that several machines share; who moves data has its lease (feature `postgres`) |
//! | `StatePlace`, `AnyStore` | either of them, as an address says (feature `postgres`) |
//! | [`MemoryStore`] | forgets everything with the process; for tests and examples |
//! | [`Connector`], [`PipelineRecord`] | what was applied |
//! | [`Checkpoint`], [`Intent`], [`Snapshot`] | how far a pipeline has come |
//! | [`Mismatches`] | what of documents did not fit, counted |
//! | [`Condition`], [`Request`], [`Identity`] | how pipelines stand; what commands ask of a run; which databases it knows |
//! | [`RunStart`], [`RunEnd`], [`Run`] | the history |
//! | [`StateError`] | what went wrong, and whether the user can correct it |
//!
//! ```text
//!   begin_intent ──▶ insert with the token ──▶ acknowledged ──▶ commit_intent
//!     durable            may land twice,                          checkpoint forward, mismatches counted
//!                        counts once                              and intent closed, in one step
//! ```
//!
//! The crate knows neither end of a pipeline: positions are bytes to it, and it compares nothing but
//! [`Checkpoint::order`]. It holds no secrets: it refuses addresses that have a password.

#![forbid(unsafe_code)]

mod audit;
mod dynamic;
mod error;
mod error_code;
pub mod memory;
mod mismatches;
mod operation;
#[cfg(feature = "postgres")]
mod place;
#[cfg(feature = "postgres")]
pub mod postgres;
mod records;
mod secret;
mod sql;
pub mod sqlite;
mod store;
pub mod test_suite;

pub use audit::{AUDIT_MAX, AuditEntry};
pub use dynamic::DynStateStore;
pub use error::{Cause, Result, StateError};
pub use memory::MemoryStore;
pub use mismatches::{
    FIELDS_MAX, Mismatches, NO_COLUMN, OTHER_FIELDS, OTHER_REASONS, REASONS_MAX, SHOWN_REASONS, SLOT,
    is_shown,
};
pub use operation::{Condition, Identity, Request, RequestEnd, Since, ahead};
#[cfg(feature = "postgres")]
pub use place::{AnyStore, StatePlace};
#[cfg(feature = "postgres")]
pub use postgres::{HeldLease, PostgresAddress, PostgresStore};
pub use records::{
    Checkpoint, Connector, Figures, Intent, Outcome, PipelineRecord, Role, Run, RunEnd, RunStart,
    SchemaChange, SchemaVersion, Snapshot, SnapshotPartition,
};
pub use secret::is_literal;
pub use sqlite::SqliteStore;
pub use store::StateStore;

/// The error of runs in the history that ended without saying so.
pub const INTERRUPTED: &str = "interrupted";

/// Runs that are kept of each pipeline; older ones are forgotten.
pub const RUNS_MAX: u32 = 1_000;
