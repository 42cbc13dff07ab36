//! Full reload: the whole collection into a table, in one step for those who read the table.
//!
//! ```text
//! preflight ─▶ sample ─▶ schema ─▶ create shadow ─▶ load ─▶ reconcile ─▶ publish
//!                                                    │
//!   readers (tasks) ──replies──▶ decoders (threads) ──batches──▶ inserters (tasks) ──acknowledged──▶ counted
//! ```
//!
//! What bounds memory is the pool, from which replies and batches are made: a full pool stops the readers. The channel
//! of replies is short, and a batch goes only to an inserter that waits for one. A worker that fails stops the others;
//! the shadow table is dropped whatever happens.

pub(crate) mod dead_letters;
mod decode;
mod difference;
mod execute;
pub(crate) mod findings;
mod handover;
pub(crate) mod insert;
mod keep;
pub(crate) mod literal;
pub(crate) mod load;
mod plan;
mod read;
pub(crate) mod refusal;
mod shadow;
mod sizes;
mod table_types;

pub(crate) use difference::same_values;
pub(crate) use execute::{execute, execute_once, replace_with_empty, run_name};
pub(crate) use plan::plan;
pub use plan::{ColumnPlan, ReloadPlan};
