//! How a partition is to be read.

use bson::Timestamp;

use crate::Landing;

/// The aim for one reply, in bytes of documents.
///
/// Measured with documents of 288 bytes: from 1 MB to 8 MB makes no difference to either side's processor time, below
/// that the server's share of each request shows; 4 MB leaves room for several readers in the default pool.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// How a partition is read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Where replies land. Readers of one run share it, so they have to be consumed side by side: what one has read
    /// ahead would keep another from reading at all.
    pub landing: Landing,
    /// The aim for one batch, in bytes; the server decides in whole documents, and 16 MB is its most.
    pub batch_bytes: usize,
    /// Batches that are read before they are asked for.
    pub read_ahead: usize,
    /// Which state of the data is read.
    pub read_concern: ReadConcern,
}

impl ReadOptions {
    /// Batches of about 4 MB, one read ahead, the read concern of the connection string.
    #[must_use]
    pub fn new(landing: Landing) -> ReadOptions {
        ReadOptions { landing, batch_bytes: BATCH_BYTES, read_ahead: 1, read_concern: ReadConcern::default() }
    }
}

/// Which state of the data a scan reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReadConcern {
    /// What the connection string says, or the server's default.
    #[default]
    Configured,
    /// Only what a majority of the replica set has.
    Majority,
    /// As `Majority`, and at least as new as this cluster time.
    MajorityAfter(Timestamp),
    /// Exactly the state at this cluster time. The server keeps it for minutes only
    /// (`minSnapshotHistoryWindowInSeconds`, 300 by default).
    SnapshotAt(Timestamp),
}
