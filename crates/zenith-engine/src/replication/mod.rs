//! Keeping tables in step with collections.
//!
//! ```text
//! Replicator (one deployment)
//!   └─ Group: one change stream ─▶ fan_out ─▶ events of each pipeline
//!        PipelineRun { mode: Follow or CatchUp }
//!          batcher ─▶ assembler ─▶ committer      intent, insert, checkpoint
//!          snapshot beside them, its rows older than any change
//! ```
//!
//! | part | what it does |
//! | --- | --- |
//! | `replicator` | runs the pipelines of one deployment |
//! | `group`, `recovery` | one stream for several pipelines; what is done when it fails |
//! | `backoff` | what a pipeline does that cannot write while others wait for it |
//! | `run`, `run_mode` | one run of one pipeline; whether it follows or catches up |
//! | `prepare`, `start` | table, schema and position, before a pipeline follows |
//! | `snapshot` | loads the whole collection while its changes are applied |
//! | `fan_out`, `event` | the events of each pipeline out of one stream |
//! | `apply`, `steps` | the three tasks of a pipeline, and what goes between them |
//! | `batcher`, `pending`, `pace` | the bounds of batches, and the time of their inserts |
//! | `assembler`, `rows` | one batch from spans of replies to rows |
//! | `evolution` | columns for fields that the table has none for |
//! | `schema`, `by_hand` | the schema of a table; columns that somebody changed by hand |
//! | `committer`, `write`, `removal` | one batch from rows to durable rows and a checkpoint |
//! | `id_cursor` | ascending `_id`s instead of a stream |
//! | `learned` | what the runs of a pipeline leave to the runs after them |
//! | `check`, `reset`, `view` | checks both ends, moves a pipeline, keeps its view |
//! | `identity` | whether both ends are those that were followed and written |
//! | `place` | whether the source knows the last change |
//! | `hold`, `ownership` | whether another Zenith writes the table |
//! | `health`, `clock` | whether both ends answer, and how the pipelines stand; the source's clock |
//! | `freshness` | the same, written where the tables are |
//! | `join` | pipelines that join a run under way |
//! | `rest`, `turns` | what is done with one pipeline while its run rests |
//! | `replay` | retries dead letters |
//! | `promote`, `growth`, `backfill` | columns for what gathered in the extra column, and the rows that it is moved in |
//! | `pager`, `pieces` | rows of a table page by page; single documents decoded to rows |
//! | `memory_quota` | the division of memory |
//! | `position`, `tokens`, `version` | a place in the stream; the names of inserts; the order of rows |

mod again;
mod announced;
mod apply;
mod assembler;
mod backoff;
mod batcher;
mod by_hand;
mod check;
mod clock;
mod column_place;
mod committer;
pub(crate) mod context;
mod event;
mod evolution;
mod fan_out;
mod freshness;
mod group;
mod health;
mod hold;
mod id_cursor;
mod identity;
mod join;
mod learned;
mod marks;
mod memory_quota;
mod moves;
mod other_columns;
mod outcome;
mod ownership;
mod pace;
mod pending;
mod place;
mod position;
mod prepare;
mod progress;
mod promote;
mod purge;
mod recovery;
mod removal;
pub(crate) mod replay;
mod replicator;
mod reset;
mod rest;
mod rows;
mod run;
mod run_mode;
mod schema;
mod snapshot;
mod start;
mod steps;
mod tokens;
mod turns;
mod values;
mod version;
mod view;
mod widening;
mod write;

pub use check::Check;
pub use outcome::{Outcome, Until};
pub use ownership::table_is_free;
pub use progress::{Phase, PipelineProgress};

pub use replay::DeadLetterRetry;
pub use replicator::{Replicator, SyncPipeline};
pub use reset::ResetTo;
pub use rest::Rest;
