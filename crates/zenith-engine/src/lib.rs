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

mod error;
pub mod incremental;
mod layout;
mod letters;
mod mismatches;
mod names;
mod notes;
mod options;
mod pipeline;
mod progress;
pub mod reload;
mod retry;
mod stop;
mod summary;
pub mod usage;

pub use error::{EngineError, sentence};
pub use incremental::{
    Check, DeadLetterRetry, Mode, OnDrop, OnHistoryLost, Outcome, Phase, PipelineProgress, PipelineSettings,
    Replicator, ResetTo, SyncPipeline, Until, UuidLegacy, ValueDifference, Verification, VerifyOptions,
};
pub use layout::Layout;
pub use letters::{DeadLetters, LetterFilter, StoredLetter};
pub use names::names_are_free;
pub use options::{OnBadDocument, ReloadOptions, Strategy};
pub use pipeline::{Pipeline, PipelineBuilder};
pub use progress::{Progress, ProgressSnapshot};
pub use reload::{ColumnPlan, ReloadPlan};
pub use stop::StopHandle;
pub use summary::Summary;

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
