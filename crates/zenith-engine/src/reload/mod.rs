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

mod columns;
mod difference;
mod execute;
mod keep;
mod plan;
mod run;
mod shadow;
mod table_types;

pub use columns::ColumnPlan;
pub(crate) use execute::{execute_once, replace_with_empty, run_name};
pub use plan::ReloadPlan;
pub(crate) use plan::plan;
