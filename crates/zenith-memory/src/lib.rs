//! The off-heap buffer pool of Zenith: one budget, pages that stay, buffers that come back.
//!
//! | type | role |
//! | --- | --- |
//! | [`Pool`] | owns one address range, mapped once, and the budget in bytes |
//! | [`Reservation`] | a share of the budget, held before memory is touched |
//! | [`PoolBuf`] | a writable part of the range, with one owner |
//! | [`ByteColumn`] | two of these as a column of strings, which checks its UTF-8 itself |
//! | [`arrow_buffer::Buffer`] | what [`PoolBuf::freeze`] turns a buffer into: shared, read-only |
//!
//! ```text
//!  Pool::reserve ──▶ Reservation ──allocate──▶ PoolBuf ──freeze──▶ arrow Buffer (clones, slices)
//!     ▲ waits            │ unused part                                     │ last clone dropped
//!     └──────────────────┴───────────────◀── range and budget return ◀─────┘
//! ```
//!
//! Exhaustion means waiting, never growing. The one exception is a single document whose columns
//! exceed every share: [`Pool::overdraft`] lets one such reply and one such set of columns through at a
//! time, so that a 16 MB document always passes and memory stays bounded by the budget plus that.
//!
//! [`Pool::in_file`] makes a pool that `sendfile` and `splice` can send from: all buffers lie in one mapping of
//! a memfd, and [`Pool::locate`] turns any slice of any frozen buffer into an offset of it. Any other has anonymous pages.
//! Large pages cost much less to provide, and most systems give them to anonymous memory only.
//!
//! This crate knows nothing of BSON, Arrow schemas or sockets. It is one of the two places in Zenith
//! where unsafe code may stand.

mod buffer;
mod byte_column;
mod error;
mod extents;
mod heap;
mod mapping;
mod pool;
mod region;
mod waiters;

pub use buffer::PoolBuf;
pub use byte_column::{BYTE_COLUMN_SLACK, ByteColumn};
pub use error::MemoryError;
pub use heap::give_back_heap;
pub use pool::{Pool, PoolStats, Reservation, waited};
pub use waiters::Waiters;

/// Budget and buffers are counted in units of this many bytes.
///
/// Small enough that a table of two thousand columns does not drown in rounding, and a multiple of
/// Arrow's 64-byte alignment.
pub const GRANULE: usize = 512;

/// Rounds `bytes` up to whole granules, at least one.
#[must_use]
pub const fn round_up(bytes: usize) -> usize {
    if bytes == 0 { GRANULE } else { bytes.div_ceil(GRANULE) * GRANULE }
}
