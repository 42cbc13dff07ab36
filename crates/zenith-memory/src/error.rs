//! What can go wrong with the pool.

use std::io;

/// An error of the buffer pool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The operating system refused the mapping, or the memory file.
    #[error("cannot create the off-heap buffer pool of {bytes} bytes: {action} failed")]
    Create {
        /// The system call that failed.
        action: &'static str,
        /// Bytes of address space that were asked for.
        bytes: usize,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The budget is below what one pipeline needs.
    #[error("a memory budget of {budget} bytes is too small: at least {minimum} bytes are needed")]
    BudgetTooSmall {
        /// The budget asked for, in bytes.
        budget: usize,
        /// The smallest budget accepted, in bytes.
        minimum: usize,
    },
    /// A reservation larger than the whole budget would wait forever.
    #[error("{wanted} bytes were asked of a pool of {budget} bytes")]
    LargerThanBudget {
        /// Bytes asked for.
        wanted: usize,
        /// The pool's budget in bytes.
        budget: usize,
    },
    /// The address range of the pool has no gap of this size left.
    #[error("the buffer pool has no contiguous range of {wanted} bytes left")]
    AddressSpace {
        /// Bytes asked for.
        wanted: usize,
    },
    /// The reservation an allocation was to come out of is used up.
    #[error("{wanted} bytes were asked of a reservation that has {left} bytes left")]
    ReservationUsedUp {
        /// Bytes asked for.
        wanted: usize,
        /// Bytes the reservation still holds.
        left: usize,
    },
}
