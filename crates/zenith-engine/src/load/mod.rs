//! From partitions of a source to rows of a table: what a reload, a snapshot and batches of changes have in common.
//!
//! ```text
//! partitions ─▶ read ─▶ decode ─▶ insert ─▶ table
//!                          └────────┴─▶ dead letters
//! ```
//!
//! `run` alone knows the workers; they know the `context` of their load.

mod complete;
pub(crate) mod context;
pub(crate) mod dead_letters;
mod decode;
mod delivery;
pub(crate) mod findings;
pub(crate) mod insert;
pub(crate) mod key;
pub(crate) mod keys;
pub(crate) mod left;
mod read;
pub(crate) mod refusal;
pub(crate) mod run;
mod sizes;
