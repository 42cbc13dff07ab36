//! Copies MongoDB collections into ClickHouse tables and keeps them in step. The command `zenith` is made of calls to this
//! crate.
//!
//! A [`Pipeline`] copies one collection into one table:
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
//! | [`Pipeline`] | one collection, one table, and the options of the copy |
//! | [`ReloadPlan`] | the steps and columns of a copy, before it writes |
//! | [`Progress`] | counters of a run |
//! | [`Summary`] | the result of a copy |
//! | [`StopHandle`] | asks a run to stop |
//! | [`BatchTransform`] | columns that a program adds to rows |
//! | [`Replicator`] | keeps the tables of many pipelines in step with their collections |
//! | [`SyncPipeline`], [`PipelineSettings`] | one of these pipelines and its settings |
//! | [`Verification`] | the result of comparing a collection with its table |
//! | [`EngineError`] | every error, with its sources; [`sentence`] joins them |
//!
//! Any [`Source`] and any [`Sink`] will do. [`DynSource`] and [`DynSink`] hold a source or sink that is chosen at run time.
//! The crates below are re-exported: [`extract`] reads, [`arrow`] decodes, [`transport`] writes, [`state`] keeps progress,
//! and [`memory`] is the pool that all of them share.

mod advice;
pub mod batch_test_suite;
mod batch_transform;
mod column_shape;
mod dead_letters;
mod error;
mod filters;
mod layout;
mod load;
mod masks;
mod mismatches;
mod names;
mod notes;
mod offload;
mod options;
mod pairs;
mod pipeline;
mod places;
mod policies;
mod progress;
mod promotion;
pub mod reload;
mod renames;
pub mod replication;
mod retry;
mod row_shape;
mod sentence;
mod settings;
#[doc(hidden)]
pub mod simulation;
mod size;
mod stop;
pub mod suggest;
mod summary;
mod table_options;
mod table_shape;
pub mod timings;
mod transforms;
mod unwind;
pub mod usage;
pub mod verify;

pub use batch_transform::{BatchTransform, TransformError};
pub use column_shape::ColumnShape;
pub use dead_letters::{DeadLetters, letter_json};
pub use error::{EngineError, sentence};
pub use layout::{Layout, hides_deletions};
pub use masks::{MaskKind, MaskSalt, MaskSetting};
pub use names::names_are_free;
pub use options::ReloadOptions;
pub use pipeline::{Pipeline, PipelineBuilder};
pub use policies::{Deletes, Mode, OnDrop, OnHistoryLost, OnNewField, OnTypeConflict, Operation};
pub use progress::{Progress, ProgressSnapshot, Retried};
pub use promotion::{PromotedField, Promotion};
pub use reload::{ColumnPlan, KeyPart, ReloadPlan};
pub use replication::{
    Check, DeadLetterRetry, Outcome, Phase, PipelineProgress, Replicator, ResetTo, Rest, SyncPipeline, Until,
    table_is_free,
};
pub use row_shape::{FlatArrays, Shape};
pub use settings::PipelineSettings;
pub use stop::StopHandle;
pub use summary::Summary;
pub use table_options::{OnBadDocument, Strategy, TableOptions, UuidLegacy};
pub use table_shape::{Nullable, Refusal, TableShape};
pub use verify::{Beside, ValueDifference, Verification, VerifyOptions};

pub use zenith_arrow as arrow;
pub use zenith_extract as extract;
pub use zenith_memory as memory;
pub use zenith_state as state;
pub use zenith_transport as transport;

pub use arrow_array::RecordBatch;
pub use zenith_arrow::UuidOrder;
pub use zenith_arrow::infer::{DecimalAs, Integers, Mixed, ObjectIdAs};
pub use zenith_extract::{DynSource, FileSource, MemorySource, MongoSource, Namespace, Source};
pub use zenith_memory::{Pool, give_back_heap};
pub use zenith_transport::{
    ClickHouseSink, ConnectionOptions, DynSink, LetterFilter, MemorySink, NullSink, Sink, StoredLetter,
    Target, TlsOptions,
};

/// A result of this crate.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// The programs of the pages compile.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../README.md")]
    struct Readme;

    #[doc = include_str!("../../../docs/embedding.md")]
    struct Embedding;
}
