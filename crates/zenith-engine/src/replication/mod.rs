//! Keeping tables in step with collections.
//!
//! ```text
//! change stream ─▶ stream ─▶ batching ─▶ flush: look up ─▶ decode ─▶ intent ─▶ insert ─▶ checkpoint
//!  (one for all)   (routes)   (apply)         │                        (state)  (sink)     (state)
//!                                             └ snapshot runs at the same time, its rows older than any change
//! ```
//!
//! | part | what it does |
//! | --- | --- |
//! | `replicator` | runs the pipelines of one deployment with one stream |
//! | `recovery` | opens the stream again after a failure, reloads, or ends |
//! | `run` | the run of one pipeline |
//! | `prepare` | table, schema and position, before a pipeline follows |
//! | `snapshot` | loads the whole collection while its changes are applied |
//! | `stream`, `event` | one stream for all pipelines, and the events of each |
//! | `batching`, `apply`, `pace` | the bounds of batches, and the time of their inserts |
//! | `flush`, `rows`, `write`, `removal` | one batch from spans of replies to durable rows |
//! | `cursor` | ascending `_id`s instead of a stream |
//! | `check`, `verify`, `reset` | checks both ends, compares them, moves a pipeline |
//! | `replay` | retries dead letters |
//! | `memory_quota`, `retry` | the division of memory; the policy of retries |
//! | `position` | a place in the stream, and its encoding |

mod apply;
mod batching;
mod check;
pub(crate) mod context;
mod cursor;
mod event;
mod flush;
mod memory_quota;
mod outcome;
mod pace;
mod position;
mod prepare;
mod progress;
mod recovery;
mod removal;
pub(crate) mod replay;
mod replicator;
mod reset;
mod rows;
mod run;
mod snapshot;
mod start;
mod stream;
mod tokens;
mod version;
mod view;
mod write;

pub use check::Check;
pub use outcome::{Outcome, Until};
pub use progress::{Phase, PipelineProgress};
pub use replay::DeadLetterRetry;
pub use replicator::{Replicator, SyncPipeline};
pub use reset::ResetTo;
