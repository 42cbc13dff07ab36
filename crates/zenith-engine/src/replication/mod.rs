//! Keeping tables in step with collections.
//!
//! ```text
//! change stream ─▶ stream ─▶ batching ─▶ flush: look up ─▶ decode ─▶ intent ─▶ insert ─▶ checkpoint
//!  (one for all)   (routes)   (apply)         │                        (state)  (sink)     (state)
//!                                             └ snapshot runs beside it, its rows older than any change
//! ```
//!
//! | part | what it does |
//! | --- | --- |
//! | `replicator` | runs the pipelines of one deployment with one stream |
//! | `recovery` | what is done when that stream has failed |
//! | `run` | one pipeline from its beginning to its end |
//! | `prepare` | table, schema and place in the stream, before a pipeline follows |
//! | `snapshot` | reads the collection whole, beside its changes |
//! | `stream`, `event` | one stream for all pipelines, and what of it concerns each |
//! | `batching`, `apply`, `pace` | where changes are cut into batches, and when these are written |
//! | `flush`, `rows`, `write`, `removal` | one batch from spans of replies to durable rows |
//! | `cursor` | ascending `_id`s instead of a stream |
//! | `check`, `verify`, `reset` | looks at both ends, compares them, moves a pipeline |
//! | `replay` | dead letters tried again |
//! | `memory_quota`, `retry` | who may have how much memory; how long something is tried again |
//! | `position` | a place in the stream, and how it is written down |

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
