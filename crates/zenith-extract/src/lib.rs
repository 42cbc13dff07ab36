//! Reading documents out of a database, as raw BSON, in batches whose memory belongs to the pool.
//!
//! | type | role |
//! | --- | --- |
//! | [`Source`] | what a full reload needs: preflight, sample, partition, open |
//! | [`DynSource`] | any source behind one type, for those chosen by configuration |
//! | [`ChangeSource`] | what following changes needs: preflight, watch, look-ups |
//! | [`MongoSource`] | MongoDB |
//! | [`FileSource`] | files of `mongodump` |
//! | [`MemorySource`] | documents in memory, for tests and examples |
//! | [`Partition`] | a part of a collection that is read on its own; can be encoded and decoded |
//! | [`DocumentReader`] | the stream of batches of one partition |
//! | [`DocumentBatch`] | one reply's documents: bytes and their framing, never objects |
//! | [`ChangeReader`] | the stream of changes of some collections |
//! | [`ChangeBatch`], [`Change`] | one reply's events, and one of them |
//! | [`ResumeToken`] | a place in the stream; can be encoded and decoded |
//! | [`ReplyBudget`] | the share of the pool that replies may occupy |
//!
//! ```text
//!  socket ──▶ reply budget buffer (pool) ──▶ DocumentBatch ──▶ the consumer decodes ──▶ dropped: memory returns
//!                 ▲ waits while the share is taken, which stops the reading and, by TCP, the server
//! ```
//!
//! This crate does not know where the documents go.

pub mod batch;
mod change;
pub mod change_test_suite;
mod error;
mod error_code;
mod file_source;
mod id;
mod memory_source;
mod mongodb;
mod namespace;
mod partition;
mod reply_budget;
pub mod source;
pub mod test_suite;
mod wire;

pub use batch::DocumentBatch;
pub use change::{Change, ChangeBatch, ChangeKind, ResumeToken, Transaction};
pub use error::{ExtractError, FailureKind};
pub use file_source::{FileReader, FileSource};
pub use id::IdTypes;
pub use memory_source::{MemoryChange, MemoryChanges, MemoryReader, MemorySource};
pub use mongodb::{MongoChanges, MongoReader, MongoSource, Transport};
pub use namespace::Namespace;
pub use partition::{IdBound, IdRange, Partition, PartitionBounds, PartitionStrategy, RecordRange};
pub use reply_budget::{BudgetPermit, ReplyBudget};
pub use source::{
    ChangePreflight, ChangeReader, ChangeSource, CollectionInfo, CollectionKind, CollectionSize,
    DocumentReader, DynChanges, DynReader, DynSource, ReadConcern, ReadOptions, Scope, Source, SourceInfo,
    StartAt, Topology, WatchOptions,
};

/// A result of this crate.
pub type Result<T, E = ExtractError> = std::result::Result<T, E>;
