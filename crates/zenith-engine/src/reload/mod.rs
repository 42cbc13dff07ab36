//! Full reload: a whole collection becomes a table, published in one step.
//!
//! ```text
//! preflight ─▶ sample ─▶ schema ─▶ create shadow ─▶ load ─▶ reconcile ─▶ publish
//!                                                    │
//!   readers (tasks) ──replies──▶ decoders (threads) ──batches──▶ inserters (tasks) ──acknowledged──▶ counted
//! ```
//!
//! The pool bounds memory: replies and batches are made from it, and a full pool stops the readers. The channel of
//! replies is short, and a batch goes only to an inserter that waits for one. A worker that fails stops the others;
//! the shadow table is dropped in any case.

mod choose;
mod columns;
mod confine;
mod difference;
mod execute;
mod given;
pub(crate) mod keep;
mod kept_columns;
mod plan;
mod rare;
mod run;
mod shadow;
mod shape;
mod sorting;
mod table_types;
mod target;
mod temporary;
mod typed_place;

pub use columns::ColumnPlan;
pub(crate) use confine::confine;
pub(crate) use execute::{execute_once, replace_with_empty};
pub(crate) use given::text_type;
pub(crate) use kept_columns::KeptColumns;
pub use plan::ReloadPlan;
pub(crate) use plan::{SAMPLE_BYTES, plan};
pub use sorting::KeyPart;
pub(crate) use table_types::{is_column_of, scalars};
pub(crate) use temporary::{run_name, shadow_prefix};
