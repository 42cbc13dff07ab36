//! The pool: its budget, the queue of waiting requests, and the place of its ranges.

use std::cell::Cell;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::mapping::{LARGE_PAGE, Mapping};
use crate::region::Region;
use crate::{GRANULE, MemoryError, PoolBuf, round_up};

/// The smallest budget a pool accepts, in bytes.
const BUDGET_MIN: usize = 1024 * 1024;
/// How many may exceed the budget at once: one reply that has landed, and the columns made of it.
///
/// With a single permit, decoding an overdrawn reply would wait for the permit the reply itself holds.
const OVERDRAFTS: usize = 2;
/// Eighths of the budget whose pages stay: of buffers that grow, and of those allocated whole. A load uses six for
/// columns and at most two for replies, replication up to four for each; the rest is for fragmentation.
const KEPT_GROWING: usize = 8;
const KEPT_WHOLE: usize = 5;
/// Eighths of the budget that are large pages: what a load uses in any case. Beyond that a page that is touched by chance
/// would be two megabytes for nothing.
const LARGE_GROWING: usize = 5;
const LARGE_WHOLE: usize = 1;
/// Address range of each region beyond the budget, for fragmentation and for a document in overdraft, in bytes.
const ADDRESS_SLACK: usize = 1024 * 1024 * 1024;

thread_local! {
    static WAITED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// How long this thread has waited for memory in [`Pool::reserve_blocking`], of any pool.
#[must_use]
pub fn waited() -> Duration {
    WAITED.with(Cell::get)
}

/// An off-heap memory pool with one budget; clones share it.
///
/// Waiting is first come, first served, so a large request is not starved by small ones.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    space: Arc<Space>,
    budget: usize,
    /// One permit is one granule of the budget.
    granules: Semaphore,
    /// The permits to exceed the budget.
    overdraft: Arc<Semaphore>,
    in_use: AtomicUsize,
    in_use_max: AtomicUsize,
    waits: AtomicU64,
    /// What a part has of the pool it is of.
    _lent: Option<Reservation>,
}

/// Where the buffers of a pool and of its parts lie.
#[derive(Debug)]
struct Space {
    mapping: Mapping,
    /// Buffers that grow.
    growing: Region,
    /// Buffers that are as large as they will be from the beginning. See [`Reservation::allocate`].
    whole: Region,
    /// Where in the mapping the one region ends and the other begins.
    boundary: usize,
    moves: AtomicU64,
}

/// What a pool has done so far; all sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStats {
    /// The budget.
    pub budget: usize,
    /// Bytes reserved now, whether or not a buffer has been made of them.
    pub in_use: usize,
    /// The most bytes ever reserved at once.
    pub in_use_max: usize,
    /// How often someone had to wait for memory.
    pub waits: u64,
    /// How often a growing buffer had to be copied to a new place.
    pub moves: u64,
}

impl Pool {
    /// Maps a pool of `budget` bytes. No memory is touched yet.
    ///
    /// Its pages are large ones where the system has them. Where it allows for no range of addresses so much larger than
    /// the budget (`ulimit -d`, `vm.overcommit_memory=2`), it is as [`Pool::in_file`].
    ///
    /// # Errors
    /// [`MemoryError::BudgetTooSmall`] below 1 MiB, [`MemoryError::Create`] if the system refuses.
    pub fn new(budget: usize) -> Result<Pool, MemoryError> {
        // Where ranges of addresses count as memory, only those of a file may be as large as this.
        Pool::of(budget, |len| Mapping::anonymous(len).or_else(|_| Mapping::in_file(len)))
    }

    /// As [`Pool::new`], in a memory file (memfd), from which `sendfile` and `splice` can send without copying.
    ///
    /// # Errors
    /// As [`Pool::new`].
    pub fn in_file(budget: usize) -> Result<Pool, MemoryError> {
        Pool::of(budget, Mapping::in_file)
    }

    fn of(budget: usize, map: fn(usize) -> Result<Mapping, MemoryError>) -> Result<Pool, MemoryError> {
        if budget < BUDGET_MIN {
            return Err(MemoryError::BudgetTooSmall { budget, minimum: BUDGET_MIN });
        }
        let budget = budget / GRANULE * GRANULE;
        let granules = budget / GRANULE;
        if u32::try_from(granules).is_err() || granules > Semaphore::MAX_PERMITS {
            return Err(MemoryError::Create {
                action: "sizing",
                bytes: budget,
                source: std::io::Error::from(std::io::ErrorKind::InvalidInput),
            });
        }
        let size = budget.saturating_mul(4).saturating_add(ADDRESS_SLACK).next_multiple_of(LARGE_PAGE);
        let mapping = map(size.saturating_mul(2))?;
        mapping.prefer_large_pages(0, budget / 8 * LARGE_GROWING);
        mapping.prefer_large_pages(size, budget / 8 * LARGE_WHOLE);
        let space = Space {
            mapping,
            growing: Region::new(0, size, budget / 8 * KEPT_GROWING),
            whole: Region::new(size, size, budget / 8 * KEPT_WHOLE),
            boundary: size,
            moves: AtomicU64::new(0),
        };
        Ok(Pool::over(Arc::new(space), granules, None))
    }

    fn over(space: Arc<Space>, granules: usize, lent: Option<Reservation>) -> Pool {
        Pool {
            inner: Arc::new(Inner {
                space,
                budget: granules * GRANULE,
                granules: Semaphore::new(granules),
                overdraft: Arc::new(Semaphore::new(OVERDRAFTS)),
                in_use: AtomicUsize::new(0),
                in_use_max: AtomicUsize::new(0),
                waits: AtomicU64::new(0),
                _lent: lent,
            }),
        }
    }

    /// A part of this pool with a budget of its own, if so much is free now and no earlier request waits: who has all of it
    /// needs nothing of the others. It returns once the last clone, and the last buffer of it, is dropped.
    #[must_use]
    pub fn try_part(&self, bytes: usize) -> Option<Pool> {
        let lent = self.try_reserve(bytes)?;
        let granules = lent.left() / GRANULE;
        Some(Pool::over(Arc::clone(&self.inner.space), granules, Some(lent)))
    }

    /// The budget in bytes.
    #[must_use]
    pub fn budget(&self) -> usize {
        self.inner.budget
    }

    /// Counters for progress displays and tests.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        PoolStats {
            budget: self.inner.budget,
            in_use: self.inner.in_use.load(Ordering::Relaxed),
            in_use_max: self.inner.in_use_max.load(Ordering::Relaxed),
            waits: self.inner.waits.load(Ordering::Relaxed),
            moves: self.inner.space.moves.load(Ordering::Relaxed),
        }
    }

    /// Waits until `bytes` of the budget are free and takes them.
    ///
    /// # Errors
    /// [`MemoryError::LargerThanBudget`] for a request that could never be met.
    pub async fn reserve(&self, bytes: usize) -> Result<Reservation, MemoryError> {
        let granules = self.granules_for(bytes)?;
        if let Some(reservation) = self.try_reserve(bytes) {
            return Ok(reservation);
        }
        self.inner.waits.fetch_add(1, Ordering::Relaxed);
        // The semaphore is never closed, so acquiring cannot fail.
        if let Ok(permit) = self.inner.granules.acquire_many(granules).await {
            permit.forget();
        }
        Ok(self.granted(round_up(bytes), None))
    }

    /// As [`Pool::reserve`], for threads outside an async runtime. The time it waits counts for [`waited`].
    ///
    /// # Errors
    /// As [`Pool::reserve`].
    pub fn reserve_blocking(&self, bytes: usize) -> Result<Reservation, MemoryError> {
        if let Some(reservation) = self.try_reserve(bytes) {
            return Ok(reservation);
        }
        let begun = Instant::now();
        let reservation = futures_executor::block_on(self.reserve(bytes));
        WAITED.with(|waited| waited.set(waited.get() + begun.elapsed()));
        reservation
    }

    /// Takes `bytes` of the budget if they are free now and no earlier request waits.
    #[must_use]
    pub fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        let granules = self.granules_for(bytes).ok()?;
        self.inner.granules.try_acquire_many(granules).ok()?.forget();
        Some(self.granted(round_up(bytes), None))
    }

    /// Reserves `bytes` beyond the budget, for one document that fits no share of it.
    ///
    /// Waits while two overdrafts are open: a reply that holds one and the columns made of it.
    pub async fn overdraft(&self, bytes: usize) -> Reservation {
        // The semaphore is never closed, so acquiring cannot fail.
        let permit = Arc::clone(&self.inner.overdraft).acquire_owned().await.ok();
        self.granted(round_up(bytes), permit.map(Arc::new))
    }

    /// As [`Pool::overdraft`], for threads outside an async runtime.
    #[must_use]
    pub fn overdraft_blocking(&self, bytes: usize) -> Reservation {
        futures_executor::block_on(self.overdraft(bytes))
    }

    /// A buffer of no capacity: what a column holds between two batches. It can [`PoolBuf::grow`].
    #[must_use]
    pub fn empty_buf(&self) -> PoolBuf {
        PoolBuf::new(Share { pool: Arc::clone(&self.inner), bytes: 0, overdraft: None }, 0, 0)
    }

    /// Gives memory that nobody has reserved back to the system, and says how many bytes these are at most. What is taken
    /// again has to be provided again: this is for pools that were in use and are not now.
    pub fn give_back(&self) -> usize {
        let Space { growing, whole, mapping, .. } = &*self.inner.space;
        growing.give_back(mapping) + whole.give_back(mapping)
    }

    /// Where in the pool, and in its file if it has one, the bytes of `slice` lie; `None` if they are not of this pool.
    #[must_use]
    pub fn locate(&self, slice: &[u8]) -> Option<u64> {
        self.inner.space.mapping.offset_of(slice.as_ptr(), slice.len())
    }

    /// The memory file behind every buffer, if this pool has one (see [`Pool::in_file`]), for reading only: a write
    /// to it would change arrays that are supposed to be immutable and valid text.
    #[must_use]
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.inner.space.mapping.file()
    }

    fn granules_for(&self, bytes: usize) -> Result<u32, MemoryError> {
        let rounded = round_up(bytes);
        if rounded > self.inner.budget {
            return Err(MemoryError::LargerThanBudget { wanted: bytes, budget: self.inner.budget });
        }
        u32::try_from(rounded / GRANULE)
            .map_err(|_| MemoryError::LargerThanBudget { wanted: bytes, budget: self.inner.budget })
    }

    fn granted(&self, bytes: usize, overdraft: Option<Arc<OwnedSemaphorePermit>>) -> Reservation {
        let now = self.inner.in_use.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.inner.in_use_max.fetch_max(now, Ordering::Relaxed);
        Reservation { share: Share { pool: Arc::clone(&self.inner), bytes, overdraft } }
    }
}

impl Inner {
    pub(crate) fn mapping(&self) -> &Mapping {
        &self.space.mapping
    }

    /// A range for a buffer that grows.
    pub(crate) fn take_growing(&self, len: usize) -> Option<usize> {
        self.space.growing.take(&self.space.mapping, len)
    }

    /// A range for a buffer that does not.
    fn take_whole(&self, len: usize) -> Option<usize> {
        self.space.whole.take(&self.space.mapping, len)
    }

    /// Adds `more` bytes to a range of `len`, if those behind it are free.
    pub(crate) fn extend_range(&self, start: usize, len: usize, more: usize) -> bool {
        self.region_of(start).extend(&self.space.mapping, start + len, more)
    }

    pub(crate) fn give_range(&self, start: usize, len: usize) {
        self.region_of(start).give(&self.space.mapping, start, len);
    }

    fn region_of(&self, start: usize) -> &Region {
        if start < self.space.boundary { &self.space.growing } else { &self.space.whole }
    }

    pub(crate) fn count_move(&self) {
        self.space.moves.fetch_add(1, Ordering::Relaxed);
    }
}

/// A part of the budget that returns when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) pool: Arc<Inner>,
    bytes: usize,
    overdraft: Option<Arc<OwnedSemaphorePermit>>,
}

impl Share {
    /// Splits off `bytes`, which the caller knows to be there.
    pub(crate) fn split(&mut self, bytes: usize) -> Share {
        assert!(bytes <= self.bytes, "{bytes} of {} bytes cannot be split off", self.bytes);
        self.bytes -= bytes;
        Share { pool: Arc::clone(&self.pool), bytes, overdraft: self.overdraft.clone() }
    }

    /// Whether the two may be one: both of the budget, or both of an overdraft.
    pub(crate) fn same_kind(&self, other: &Share) -> bool {
        self.bytes == 0 || self.overdraft.is_some() == other.overdraft.is_some()
    }

    /// Takes in another share of the same kind.
    pub(crate) fn join(&mut self, mut other: Share) {
        assert!(self.same_kind(&other), "a buffer is of the budget or of an overdraft, not of both");
        if self.bytes == 0 {
            std::mem::swap(self, &mut other);
        } else {
            self.bytes += std::mem::take(&mut other.bytes);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pool.in_use.fetch_sub(self.bytes, Ordering::Relaxed);
        if self.overdraft.is_none() {
            self.pool.granules.add_permits(self.bytes / GRANULE);
        }
    }
}

/// A share of the budget that buffers are made of; what is unused returns when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    pub(crate) share: Share,
}

impl Reservation {
    /// Bytes not yet turned into buffers.
    #[must_use]
    pub fn left(&self) -> usize {
        self.share.bytes
    }

    /// Splits off a reservation of `bytes`, rounded up to whole granules.
    ///
    /// # Errors
    /// [`MemoryError::ReservationUsedUp`] if less is left.
    pub fn split(&mut self, bytes: usize) -> Result<Reservation, MemoryError> {
        let rounded = round_up(bytes);
        if rounded > self.share.bytes {
            return Err(MemoryError::ReservationUsedUp { wanted: bytes, left: self.share.bytes });
        }
        Ok(Reservation { share: self.share.split(rounded) })
    }

    /// Makes a buffer of at least `capacity` bytes, all of them readable, with contents unspecified.
    ///
    /// It lies apart from buffers that grow out of [`Pool::empty_buf`]. What is allocated whole is input, which comes and
    /// goes while columns grow and stay: among them it would leave holes, and have no memory of its own that is used
    /// again before it has left the processor's cache.
    ///
    /// # Errors
    /// [`MemoryError::ReservationUsedUp`] if less is left, [`MemoryError::AddressSpace`] if the
    /// address range is fragmented beyond use.
    pub fn allocate(&mut self, capacity: usize) -> Result<PoolBuf, MemoryError> {
        let wanted = round_up(capacity);
        if wanted > self.share.bytes {
            return Err(MemoryError::ReservationUsedUp { wanted, left: self.share.bytes });
        }
        let start = self.share.pool.take_whole(wanted).ok_or(MemoryError::AddressSpace { wanted })?;
        Ok(PoolBuf::new(self.share.split(wanted), start, wanted))
    }
}
