//! How a partition is to be read.

use bson::{RawDocumentBuf, Timestamp};

use crate::ReplyBudget;

/// The aim for one reply, in bytes of documents.
///
/// Measured with documents of 288 bytes on processors with 512 KiB of second-level cache: a million of them cost the
/// client 0.12 s of processor time in replies of 256 KiB, 0.11 s of 512 KiB and of 1 MiB, and 0.15 s of 4 MiB, whose
/// bytes have left the cache before they are decoded. The server's share is the same. See `examples/scan_cost.rs`.
const BATCH_BYTES: usize = 512 * 1024;
/// The aim for one reply where the next is asked for only after it: the driver. There each costs a round trip, and the
/// million 0.21 s in replies of 512 KiB, 0.18 s of 4 MiB.
const ROUND_TRIP_BYTES: usize = 4 * 1024 * 1024;
/// Batches that are read before they are asked for.
const READ_AHEAD: usize = 4;

/// How a partition is read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// The reply budget. Readers of one run share it, so they must be consumed concurrently: the replies that one
    /// reader has read ahead would otherwise block the others.
    pub reply_budget: ReplyBudget,
    /// The aim for one batch, in bytes; the server decides in whole documents, and 16 MB is its most.
    pub batch_bytes: usize,
    /// The same where every batch costs a round trip to the server.
    pub round_trip_bytes: usize,
    /// Batches that are read before they are asked for.
    pub read_ahead: usize,
    /// Which state of the data is read.
    pub read_concern: ReadConcern,
    /// What may be left out of documents, as a projection of MongoDB has it. A source that cannot leave it out reads it.
    pub projection: Option<RawDocumentBuf>,
}

impl ReadOptions {
    /// Batches of about 512 KiB (4 MiB where each costs a round trip), four of them read ahead, the read concern of the
    /// connection string.
    #[must_use]
    pub fn new(reply_budget: ReplyBudget) -> ReadOptions {
        ReadOptions {
            reply_budget,
            batch_bytes: BATCH_BYTES,
            round_trip_bytes: ROUND_TRIP_BYTES,
            read_ahead: READ_AHEAD,
            read_concern: ReadConcern::default(),
            projection: None,
        }
    }

    /// Batches of about `bytes`, however they come.
    #[must_use]
    pub fn with_batch_bytes(self, bytes: usize) -> ReadOptions {
        ReadOptions { batch_bytes: bytes, round_trip_bytes: bytes, ..self }
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
