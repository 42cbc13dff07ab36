//! The engine of Zenith: full reload, progress, retry policy. Everything the command does is a call here.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use zenith_engine::{ConnectionOptions, ClickHouseSink, MongoSource, Namespace, Pipeline, Pool, Target};
//!
//! let pool = Pool::new(64 << 20)?;
//! let target = Target::parse("http://127.0.0.1:8123/shop")?;
//! let summary = Pipeline::builder()
//!     .source(MongoSource::connect("mongodb://127.0.0.1:27017").await?)
//!     .sink(ClickHouseSink::new(target, Some(pool.clone()), ConnectionOptions::default())?)
//!     .pool(pool)
//!     .namespace(Namespace::new("shop", "orders"))
//!     .build()?
//!     .run()
//!     .await?;
//! println!("{} rows", summary.rows);
//! # Ok(())
//! # }
//! ```
//!
//! | type | role |
//! | --- | --- |
//! | [`Pipeline`] | one collection, one table, and how the one becomes the other |
//! | [`ReloadPlan`] | what a run would do, before it does it |
//! | [`Progress`] | counters of a run |
//! | [`Summary`] | what a run did |
//! | [`StopHandle`] | asks a run to stop |
//!
//! Any [`Source`] and any [`Sink`] will do; [`DynSource`] and [`DynSink`] are for those chosen while running.

mod dead_letters;
mod error;
mod layout;
mod load;
mod mismatches;
mod names;
mod notes;
mod options;
mod pipeline;
mod progress;
pub mod reload;
pub mod replication;
mod retry;
mod settings;
mod stop;
mod summary;
pub mod usage;
pub mod verify;

pub use dead_letters::{DeadLetters, LetterFilter, StoredLetter};
pub use error::{EngineError, sentence};
pub use layout::Layout;
pub use names::names_are_free;
pub use options::{OnBadDocument, ReloadOptions, Strategy};
pub use pipeline::{Pipeline, PipelineBuilder};
pub use progress::{Progress, ProgressSnapshot};
pub use reload::{ColumnPlan, ReloadPlan};
pub use replication::{
    Check, DeadLetterRetry, Outcome, Phase, PipelineProgress, Replicator, ResetTo, SyncPipeline, Until,
};
pub use settings::{Mode, OnDrop, OnHistoryLost, PipelineSettings, UuidLegacy};
pub use stop::StopHandle;
pub use summary::Summary;
pub use verify::{ValueDifference, Verification, VerifyOptions};

pub use zenith_arrow as arrow;
pub use zenith_extract as extract;
pub use zenith_memory as memory;
pub use zenith_state as state;
pub use zenith_transport as transport;

pub use arrow_array::RecordBatch;
pub use zenith_arrow::UuidOrder;
pub use zenith_arrow::infer::{Integers, Mixed};
pub use zenith_extract::{DynSource, FileSource, MemorySource, MongoSource, Namespace, Source};
pub use zenith_memory::Pool;
pub use zenith_transport::{
    ClickHouseSink, ConnectionOptions, DynSink, MemorySink, NullSink, Sink, Target, TlsOptions,
};

/// A result of this crate.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;
