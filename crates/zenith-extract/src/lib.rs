//! Reading documents out of a database, as raw BSON, in batches whose memory belongs to the pool.
//!
//! | type | role |
//! | --- | --- |
//! | [`Source`] | what a full reload needs: look, sample, partition, open |
//! | [`DynSource`] | any source behind one type, for those chosen by configuration |
//! | [`MongoSource`] | MongoDB |
//! | [`MemorySource`] | documents in memory, for tests and examples |
//! | [`Partition`] | a part of a collection that is read on its own; can be written down and read again |
//! | [`DocumentReader`] | the stream of batches of one partition |
//! | [`DocumentBatch`] | one reply's documents: bytes and their framing, never objects |
//! | [`Landing`] | the share of the pool that replies may occupy |
//!
//! ```text
//!  socket ──▶ landing buffer (pool) ──▶ DocumentBatch ──▶ the consumer decodes ──▶ dropped: memory returns
//!                 ▲ waits while the share is taken, which stops the reading and, by TCP, the server
//! ```
//!
//! Where the documents go is not known here.

pub mod batch;
mod error;
mod id;
mod landing;
mod memory_source;
mod mongodb;
mod namespace;
mod partition;
pub mod source;
pub mod test_suite;
mod wire;

pub use batch::DocumentBatch;
pub use error::ExtractError;
pub use id::IdTypes;
pub use landing::{Landing, LandingShare};
pub use memory_source::{MemoryReader, MemorySource};
pub use mongodb::{MongoReader, MongoSource, Transport};
pub use namespace::Namespace;
pub use partition::{IdBound, IdRange, Partition, PartitionBounds, PartitionStrategy};
pub use source::{
    CollectionInfo, CollectionKind, CollectionSize, DocumentReader, DynReader, DynSource, Preflight,
    ReadConcern, ReadOptions, Source, Topology,
};

/// A result of this crate.
pub type Result<T, E = ExtractError> = std::result::Result<T, E>;
