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
//! | `shares`, `retry budget` | who may have how much memory; how long something is tried again |
//! | `position` | a place in the stream, and how it is written down |

mod apply;
mod batching;
mod check;
mod context;
mod cursor;
mod event;
mod flush;
mod memory_quota;
mod pace;
mod position;
mod prepare;
mod progress;
mod recovery;
mod removal;
mod replay;
mod replicator;
mod reset;
mod retry_budget;
mod rows;
mod run;
mod settings;
mod snapshot;
mod stream;
mod verify;
mod view;
mod write;

pub use check::Check;
pub use progress::{Phase, PipelineProgress};
pub use replay::DeadLetterRetry;
pub use replicator::{Outcome, Replicator, SyncPipeline, Until};
pub use reset::ResetTo;
pub use settings::{Mode, OnDrop, OnHistoryLost, PipelineSettings, UuidLegacy};
pub use verify::{ValueDifference, Verification, VerifyOptions};
