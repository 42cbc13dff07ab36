//! A writable buffer of the pool, and its way into Arrow.
#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_buffer::Buffer;

use crate::pool::Share;
use crate::{MemoryError, Reservation, round_up};

/// A range of the pool's memory with one owner; it dereferences to its whole capacity.
///
/// The owner knows how much of it has been written: every byte is readable at any time (a
/// recycled buffer shows old contents), so there is no uninitialised memory to guard against.
///
/// What every access needs lies in front.
#[derive(Debug)]
#[repr(C)]
pub struct PoolBuf {
    base: NonNull<u8>,
    capacity: usize,
    start: usize,
    share: Share,
}

// SAFETY: the buffer is the only owner of its range of the mapping, and the mapping may be used from
// any thread.
unsafe impl Send for PoolBuf {}
// SAFETY: `&PoolBuf` gives out `&[u8]` only.
unsafe impl Sync for PoolBuf {}

impl PoolBuf {
    pub(crate) fn new(share: Share, start: usize, capacity: usize) -> PoolBuf {
        PoolBuf { base: share.pool.mapping().at(start), capacity, start, share }
    }

    /// Grows to at least `capacity` bytes with memory of `reservation`, keeping the first `used` bytes.
    ///
    /// In place where the following range is free, else by one copy (counted in
    /// [`crate::PoolStats::moves`]).
    ///
    /// # Errors
    /// [`MemoryError::ReservationUsedUp`] if less is left, or if one is of the budget and the other of an
    /// overdraft; the buffer is then as it was.
    pub fn grow(
        &mut self,
        reservation: &mut Reservation,
        capacity: usize,
        used: usize,
    ) -> Result<(), MemoryError> {
        let wanted = round_up(capacity);
        let Some(more) = wanted.checked_sub(self.capacity).filter(|&more| more > 0) else { return Ok(()) };
        if more > reservation.left() || !self.share.same_kind(&reservation.share) {
            return Err(MemoryError::ReservationUsedUp { wanted: more, left: reservation.left() });
        }
        let pool = Arc::clone(&self.share.pool);
        if self.capacity == 0 || !pool.extend_range(self.start, self.capacity, more) {
            let start = pool.take_growing(wanted).ok_or(MemoryError::AddressSpace { wanted })?;
            let base = pool.mapping().at(start);
            let used = used.min(self.capacity);
            // SAFETY: both ranges are live, owned by this buffer alone and disjoint, and `used` is
            // within either capacity.
            unsafe { std::ptr::copy_nonoverlapping(self.base.as_ptr(), base.as_ptr(), used) };
            if self.capacity > 0 {
                pool.give_range(self.start, self.capacity);
                pool.count_move();
            }
            self.start = start;
            self.base = base;
        }
        self.capacity = wanted;
        self.share.join(reservation.share.split(more));
        Ok(())
    }

    /// Grows as [`PoolBuf::grow`] to `capacity` bytes, and by half of what there is where `reservation` has that.
    ///
    /// # Errors
    /// As [`PoolBuf::grow`].
    pub fn grow_by_half(
        &mut self,
        reservation: &mut Reservation,
        capacity: usize,
        used: usize,
    ) -> Result<(), MemoryError> {
        if capacity <= self.capacity {
            return Ok(());
        }
        let generous = round_up(capacity.max(self.capacity + self.capacity / 2));
        let fits = generous - self.capacity <= reservation.left();
        self.grow(reservation, if fits { generous } else { capacity }, used)
    }

    /// Turns the first `len` bytes into an Arrow buffer; the rest returns to the pool at once.
    ///
    /// The memory is recycled when the last clone or slice of the result is dropped.
    ///
    /// # Panics
    /// If `len` exceeds the capacity.
    #[must_use]
    pub fn freeze(mut self, len: usize) -> Buffer {
        assert!(len <= self.capacity, "cannot freeze {len} of {} bytes", self.capacity);
        if len == 0 {
            return Buffer::default();
        }
        let keep = round_up(len);
        if keep < self.capacity {
            let rest = self.capacity - keep;
            self.share.pool.give_range(self.start + keep, rest);
            self.capacity = keep;
            drop(self.share.split(rest));
        }
        let base = self.base;
        // SAFETY: `base` is valid for `len` bytes for as long as the owner lives, nobody writes to the
        // range while it does, and the owner returns it on drop.
        unsafe { Buffer::from_custom_allocation(base, len, Arc::new(self)) }
    }
}

impl Deref for PoolBuf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the range is mapped, initialised by the kernel, and owned by this buffer.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.capacity) }
    }
}

impl DerefMut for PoolBuf {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes this the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), self.capacity) }
    }
}

impl Drop for PoolBuf {
    fn drop(&mut self) {
        self.share.pool.give_range(self.start, self.capacity);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::mapping::LARGE_PAGE;
    use crate::{GRANULE, MemoryError, Pool, PoolBuf};

    const MIB: usize = 1024 * 1024;

    #[test]
    fn a_frozen_buffer_returns_its_memory_with_its_last_clone() {
        let pool = Pool::new(MIB).unwrap();
        let mut reservation = pool.try_reserve(10_000).unwrap();
        let mut buf = reservation.allocate(5_000).unwrap();
        buf[..5].copy_from_slice(b"hello");
        let frozen = buf.freeze(5);
        drop(reservation);
        assert_eq!(pool.stats().in_use, GRANULE);
        let slice = frozen.slice(1);
        drop(frozen);
        assert_eq!(slice.as_slice(), b"ello");
        assert_eq!(pool.stats().in_use, GRANULE);
        drop(slice);
        assert_eq!(pool.stats().in_use, 0);
        assert!(pool.try_reserve(MIB).is_some());
    }

    #[test]
    fn locate_finds_slices_of_the_pool_and_nothing_else() {
        let pool = Pool::new(MIB).unwrap();
        let mut reservation = pool.try_reserve(4096).unwrap();
        let frozen = reservation.allocate(2048).unwrap().freeze(2048);
        let start = pool.locate(&frozen).unwrap();
        assert_eq!(pool.locate(&frozen[100..200]), Some(start + 100));
        assert_eq!(pool.locate(&[1, 2, 3]), None);
    }

    #[test]
    fn memory_that_is_given_back_can_be_used_again() {
        for pool in [Pool::new(8 * MIB).unwrap(), Pool::in_file(8 * MIB).unwrap()] {
            let mut kept = pool.try_reserve(MIB).unwrap().allocate(MIB).unwrap();
            kept.fill(7);
            let mut large = pool.try_reserve(6 * MIB).unwrap().allocate(6 * MIB).unwrap();
            large.fill(9);
            drop(large);
            assert!(pool.give_back() >= 3 * MIB);
            assert_eq!(pool.give_back(), 0, "once");
            let mut again = pool.try_reserve(6 * MIB).unwrap().allocate(6 * MIB).unwrap();
            assert!(again[..MIB].iter().all(|byte| *byte == 0), "its pages were gone");
            again.fill(1);
            assert!(kept.iter().all(|byte| *byte == 7), "what is in use stays");
        }
    }

    #[test]
    fn a_part_has_its_own_budget_out_of_that_of_the_pool() {
        let pool = Pool::new(2 * MIB).unwrap();
        let part = pool.try_part(MIB).unwrap();
        assert_eq!((part.budget(), pool.stats().in_use), (MIB, MIB));
        let buf = part.try_reserve(MIB).unwrap().allocate(MIB).unwrap();
        assert!(part.try_reserve(1).is_none() && pool.try_reserve(MIB).is_some());
        assert!(pool.try_part(2 * MIB).is_none());
        let frozen = buf.freeze(MIB);
        assert!(pool.locate(&frozen).is_some(), "it can be sent from where it lies");
        drop(part);
        assert_eq!(pool.stats().in_use, MIB, "a buffer of it is left");
        drop(frozen);
        assert!(pool.try_reserve(2 * MIB).is_some());
    }

    #[test]
    fn growing_keeps_contents_and_counts_moves() {
        let pool = Pool::new(MIB).unwrap();
        let mut reservation = pool.try_reserve(MIB).unwrap();
        let mut first = reservation.allocate(GRANULE).unwrap();
        let blocker = reservation.allocate(GRANULE).unwrap();
        first[..3].copy_from_slice(b"abc");
        first.grow(&mut reservation, 4 * GRANULE, 3).unwrap();
        assert_eq!((&first[..3], first.len(), pool.stats().moves), (&b"abc"[..], 4 * GRANULE, 1));
        first.grow(&mut reservation, 5 * GRANULE, 3).unwrap();
        assert_eq!(pool.stats().moves, 1, "the following range was free");
        drop((first, blocker, reservation));
        assert_eq!(pool.stats().in_use, 0);
    }

    #[test]
    fn what_is_allocated_whole_lies_apart_from_what_grows() {
        let pool = Pool::new(MIB).unwrap();
        let mut reservation = pool.try_reserve(MIB).unwrap();
        let place = |buf: &PoolBuf| pool.locate(&buf[..1]).unwrap();
        let mut first = reservation.allocate(10_000).unwrap();
        let mut grown = pool.empty_buf();
        grown.grow(&mut reservation, 10_000, 0).unwrap();
        let second = reservation.allocate(10_000).unwrap();
        assert_eq!(place(&grown), 0, "nothing is below what grows");
        assert_eq!(place(&second) - place(&first), 10_240, "nothing is between what is allocated whole");
        // What is allocated and grows all the same moves to the others, and its place is free again.
        let place_of_first = place(&first);
        first.grow(&mut reservation, 20_000, 10_000).unwrap();
        assert_eq!((place(&first), pool.stats().moves), (10_240, 1));
        assert_eq!(place(&reservation.allocate(10_000).unwrap()), place_of_first);
    }

    /// Pages that are not expected to be used again soon are given back, and read as zero when they are mapped again.
    #[test]
    fn pages_stay_up_to_a_bound_in_either_region() {
        const KEPT: usize = MIB / 8 * 5;
        for pool in [Pool::new(MIB).unwrap(), Pool::in_file(MIB).unwrap()] {
            let write = |mut buf: PoolBuf| buf.fill(7);
            let mut reservation = pool.overdraft_blocking(8 * MIB);
            write(reservation.allocate(MIB).unwrap());
            let whole = reservation.allocate(MIB).unwrap();
            let stayed = whole.iter().position(|&byte| byte != 7);
            assert_eq!((stayed, whole[KEPT..].iter().max()), (Some(KEPT), Some(&0)));
            for _ in 0..2 {
                let mut grown = pool.empty_buf();
                grown.grow(&mut reservation, 2 * MIB, 0).unwrap();
                assert!(grown[MIB..].iter().all(|&byte| byte == 0));
                write(grown);
            }
        }
    }

    /// Each of the two regions begins with large pages, if the system has any.
    #[test]
    fn large_pages_are_asked_for() {
        if !std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            return;
        }
        for pool in [Pool::new(16 * MIB).unwrap(), Pool::in_file(16 * MIB).unwrap()] {
            let mut reservation = pool.try_reserve(2 * GRANULE).unwrap();
            let mut grown = pool.empty_buf();
            grown.grow(&mut reservation, GRANULE, 0).unwrap();
            for buffer in [grown, reservation.allocate(GRANULE).unwrap()] {
                assert_eq!(buffer.as_ptr().addr() % LARGE_PAGE, 0);
                assert!(flags_of(buffer.as_ptr().addr()).split(' ').any(|flag| flag == "hg"));
            }
        }
    }

    /// `VmFlags` of the mapping that holds `address`.
    fn flags_of(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines = maps.lines();
        let hex = |digits: &str| usize::from_str_radix(digits, 16).ok();
        lines.by_ref().find(|line| {
            let range = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
            let range = range.and_then(|(start, end)| Some(hex(start)?..hex(end)?));
            range.is_some_and(|range| range.contains(&address))
        });
        lines.find_map(|line| line.strip_prefix("VmFlags: ")).unwrap().to_owned()
    }

    #[test]
    fn an_empty_buffer_grows_like_any_other() {
        let pool = Pool::new(MIB).unwrap();
        let mut reservation = pool.try_reserve(MIB).unwrap();
        let mut buf = pool.empty_buf();
        assert_eq!(buf.len(), 0);
        buf.grow(&mut reservation, 1000, 0).unwrap();
        buf[..2].copy_from_slice(b"ok");
        assert_eq!((pool.stats().moves, buf.freeze(2).as_slice()), (0, &b"ok"[..]));
    }

    #[test]
    fn requests_beyond_the_budget_are_refused_not_awaited() {
        let pool = Pool::new(MIB).unwrap();
        let error = pool.reserve_blocking(MIB + 1).unwrap_err();
        assert!(matches!(error, MemoryError::LargerThanBudget { .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn exhaustion_waits_until_memory_returns() {
        let pool = Pool::new(MIB).unwrap();
        let held = pool.reserve(MIB).await.unwrap();
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.reserve(GRANULE).await.map(|r| r.left()) }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        drop(held);
        assert_eq!(waiting.await.unwrap().unwrap(), GRANULE);
        assert_eq!(pool.stats().waits, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn overdrafts_are_few() {
        let pool = Pool::new(MIB).unwrap();
        let _all = pool.reserve(MIB).await.unwrap();
        let mut first = pool.overdraft(20 * MIB).await;
        let buf = first.allocate(20 * MIB).unwrap();
        drop(first);
        let _reply = pool.overdraft(GRANULE).await;
        let second = tokio::spawn({
            let pool = pool.clone();
            async move { pool.overdraft(GRANULE).await.left() }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!second.is_finished());
        drop(buf);
        assert_eq!(second.await.unwrap(), GRANULE);
    }

    /// What is sent from the file is what was written through the mapping.
    #[test]
    fn the_file_shows_what_the_buffers_hold() {
        use std::io::{Read, Seek, SeekFrom};
        assert!(Pool::new(MIB).unwrap().file().is_none());
        let pool = Pool::in_file(MIB).unwrap();
        let mut reservation = pool.try_reserve(MIB).unwrap();
        let mut buf = reservation.allocate(10_000).unwrap();
        for (i, byte) in buf.iter_mut().enumerate() {
            *byte = u8::try_from(i % 251).unwrap();
        }
        let frozen = buf.freeze(10_000);
        let mut file = std::fs::File::from(pool.file().unwrap().try_clone_to_owned().unwrap());
        file.seek(SeekFrom::Start(pool.locate(&frozen).unwrap())).unwrap();
        let mut read = vec![0; 10_000];
        file.read_exact(&mut read).unwrap();
        assert_eq!(read, frozen.as_slice());
    }
}
