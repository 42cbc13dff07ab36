//! The results of a preflight, before anything is read or created.

use bson::{Timestamp, Uuid};

/// The source and its collection.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceInfo {
    /// The server's version, as in `6.0.5`; empty where there is no server.
    pub server_version: String,
    /// What kind of deployment it is.
    pub topology: Topology,
    /// The newest cluster time of the server, where it has one (replica sets and sharded clusters).
    pub cluster_time: Option<Timestamp>,
    /// The collection.
    pub collection: CollectionInfo,
}

/// How the servers work together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One server on its own: no change streams.
    Standalone,
    /// A replica set of this name.
    ReplicaSet(String),
    /// A sharded cluster, spoken to through mongos.
    Sharded,
    /// Not a server at all.
    InMemory,
    /// No server either: files of a dump.
    Files,
}

/// A collection as its server describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectionInfo {
    /// What it is.
    pub kind: CollectionKind,
    /// The size; `None` where the server does not know it (views) or this user may not read it.
    pub size: Option<CollectionSize>,
    /// The identity of the collection, which another one of the same name, made after this one was dropped, does not
    /// have; `None` where there is none, or this user may not read it.
    pub uuid: Option<Uuid>,
    /// Whether images of documents before and after changes are kept, for change streams.
    pub pre_and_post_images: bool,
}

/// Kinds of things that can be read like a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectionKind {
    /// An ordinary collection.
    Collection,
    /// A collection of fixed size that drops its oldest documents.
    Capped,
    /// The result of a pipeline: no `_id` index, no natural order, one scan only.
    View,
    /// A time series: stored in buckets, read as a view.
    TimeSeries,
}

impl CollectionKind {
    /// Whether there is an index of `_id` to divide it by.
    #[must_use]
    pub fn has_id_index(self) -> bool {
        matches!(self, CollectionKind::Collection | CollectionKind::Capped)
    }
}

/// Sizes from the server's metadata: quick to get, and right except for the writes of the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectionSize {
    /// Documents.
    pub documents: u64,
    /// Bytes of BSON, uncompressed.
    pub bytes: u64,
}

impl CollectionSize {
    /// The average size of a document in bytes; `None` if there is none.
    #[must_use]
    pub fn document_bytes_average(&self) -> Option<u64> {
        self.bytes.checked_div(self.documents)
    }
}
