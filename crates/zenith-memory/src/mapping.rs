//! The address range of a pool, mapped once for its life.
//!
//! It is a range of addresses, not memory: pages exist once touched, and are given back to the system only by
//! [`Mapping::release`]. They are anonymous, or those of a memfd, which can be sent without copying. Either are as large as
//! the system has them: `/sys/kernel/mm/transparent_hugepage` has `enabled` for the former and `shmem_enabled` for the
//! latter.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use nix::unistd::{SysconfVar, ftruncate, sysconf};

use crate::MemoryError;

/// The size of a large page on most machines. Where the size is another one, large pages are not used.
pub(crate) const LARGE_PAGE: usize = 2 * 1024 * 1024;
const WRITABLE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

#[derive(Debug)]
pub(crate) struct Mapping {
    /// At the beginning of a large page.
    base: NonNull<u8>,
    len: usize,
    /// The mapping: the range and the space before and behind it.
    whole: NonNull<c_void>,
    whole_len: usize,
    /// Bytes of a page of the system, a power of two.
    page: usize,
    /// The memfd, unless the pages are anonymous.
    file: Option<OwnedFd>,
}

// SAFETY: the mapping is plain memory without thread affinity; which part of it may be read or
// written by whom is decided by `PoolBuf`, which hands out disjoint ranges.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` itself gives out addresses only.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Anonymous pages, small ones except where [`Mapping::prefer_large_pages`] asks for others.
    pub(crate) fn anonymous(len: usize) -> Result<Mapping, MemoryError> {
        Ok(Mapping::aligned(len, WRITABLE)?.with_small_pages())
    }

    /// The pages of a memfd, of the same sizes.
    pub(crate) fn in_file(len: usize) -> Result<Mapping, MemoryError> {
        let file = memfd_create(c"zenith-pool", MFdFlags::MFD_CLOEXEC);
        let file = file.map_err(refused("memfd_create", len))?;
        let size =
            nix::libc::off_t::try_from(len).map_err(|_| refused("ftruncate", len)(nix::Error::EFBIG))?;
        ftruncate(&file, size).map_err(refused("ftruncate", len))?;
        // Large pages need a file that begins where a large page does; addresses that cannot be used are no memory.
        let mut mapping = Mapping::aligned(len, ProtFlags::PROT_NONE)?;
        let length = NonZeroUsize::new(len).ok_or_else(|| refused("mmap", len)(nix::Error::EINVAL))?;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE | MapFlags::MAP_FIXED;
        // SAFETY: the file is mapped over a part of the range that was mapped just now and is known to nobody else.
        let mapped = unsafe { mmap(Some(mapping.base.addr()), length, WRITABLE, flags, &file, 0) };
        mapped.map_err(refused("mmap", len))?;
        mapping.file = Some(file);
        Ok(mapping.with_small_pages())
    }

    /// A range of addresses without a file, which begins where a large page does.
    fn aligned(len: usize, protection: ProtFlags) -> Result<Mapping, MemoryError> {
        let page = page_size(len)?;
        let whole_len = len.saturating_add(LARGE_PAGE);
        let length = NonZeroUsize::new(whole_len).ok_or_else(|| refused("mmap", len)(nix::Error::EINVAL))?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: a fresh private mapping at an address the kernel chooses aliases no Rust object.
        let whole = unsafe { mmap_anonymous(None, length, protection, flags) };
        let whole = whole.map_err(refused("mmap", len))?;
        let before = whole.addr().get().next_multiple_of(LARGE_PAGE) - whole.addr().get();
        // SAFETY: `before` is less than a large page, by which the mapping is longer than `len`.
        let base = unsafe { whole.cast::<u8>().add(before) };
        Ok(Mapping { base, len, whole, whole_len, page, file: None })
    }

    /// Has small pages everywhere, until some of the range is asked to have large ones.
    fn with_small_pages(self) -> Mapping {
        // SAFETY: the range is the mapping. The size of pages changes no byte of them.
        let advised = unsafe { madvise(self.base.cast(), self.len, MmapAdvise::MADV_NOHUGEPAGE) };
        // A system without large pages need not be told.
        let _ = advised;
        self
    }

    /// The memfd, unless the pages are anonymous.
    pub(crate) fn file(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    /// Address of byte `offset`, which is not beyond the range.
    pub(crate) fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset <= self.len, "offset {offset} lies outside the pool");
        // SAFETY: `offset` is at most the length of the mapping, so the result is in it or one past it.
        unsafe { self.base.add(offset) }
    }

    /// Offset of the `len` bytes at `address`, if they lie in this mapping.
    pub(crate) fn offset_of(&self, address: *const u8, len: usize) -> Option<u64> {
        let offset = (address as usize).checked_sub(self.base.as_ptr() as usize)?;
        if offset.checked_add(len)? > self.len {
            return None;
        }
        u64::try_from(offset).ok()
    }

    /// Asks for large pages in `start..start + len`, which cost much less to provide and to give back.
    pub(crate) fn prefer_large_pages(&self, start: usize, len: usize) {
        let pages = self.whole_pages(start, len);
        if !pages.is_empty() {
            let address = self.at(pages.start).cast();
            // SAFETY: the range consists of whole pages of the mapping. Their size changes no byte of them.
            let advised = unsafe { madvise(address, pages.len(), MmapAdvise::MADV_HUGEPAGE) };
            // Where the system has none, small ones will do.
            let _ = advised;
        }
    }

    /// Has the system provide the pages that `start..start + len` touches.
    pub(crate) fn populate(&self, start: usize, len: usize) {
        let first = start / self.page * self.page;
        let end = (start + len).min(self.len);
        if end <= first {
            return;
        }
        // SAFETY: the range lies in the mapping and begins at a page. Providing pages changes no byte of them.
        let provided =
            unsafe { madvise(self.at(first).cast(), end - first, MmapAdvise::MADV_POPULATE_WRITE) };
        // Kernels before 5.14 do not know it; then pages come as they are touched.
        let _ = provided;
    }

    /// Gives whole pages inside `start..start + len` back to the system; they read as zero afterwards.
    ///
    /// # Safety
    /// There are no references to the range, and there will be none before it is taken again.
    pub(crate) unsafe fn release(&self, start: usize, len: usize) {
        let pages = self.whole_pages(start, len);
        if pages.is_empty() {
            return;
        }
        // A refusal costs memory, not correctness, so there is nothing to report.
        let Some(file) = &self.file else {
            let address = self.at(pages.start).cast();
            // SAFETY: the range consists of whole pages of the mapping, of which nobody needs a byte.
            let _ = unsafe { madvise(address, pages.len(), MmapAdvise::MADV_DONTNEED) };
            return;
        };
        if let (Ok(offset), Ok(bytes)) = (i64::try_from(pages.start), i64::try_from(pages.len())) {
            let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            let _ = fallocate(file, hole, offset, bytes);
        }
    }

    /// The whole pages inside `start..start + len`.
    fn whole_pages(&self, start: usize, len: usize) -> Range<usize> {
        start.next_multiple_of(self.page)..(start + len).min(self.len) / self.page * self.page
    }
}

/// Bytes of a page of the system, for a pool of `bytes`.
fn page_size(bytes: usize) -> Result<usize, MemoryError> {
    let size = sysconf(SysconfVar::PAGE_SIZE).map_err(refused("sysconf", bytes))?;
    let size = size.and_then(|size| usize::try_from(size).ok()).filter(|size| size.is_power_of_two());
    size.ok_or_else(|| refused("sysconf", bytes)(nix::Error::EINVAL))
}

/// What the system refused, for a pool of `bytes`.
fn refused(action: &'static str, bytes: usize) -> impl Fn(nix::Error) -> MemoryError {
    move |errno| MemoryError::Create { action, bytes, source: io::Error::from(errno) }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: address and length are those `mmap` gave; every buffer holds the pool alive through an
        // `Arc`, so nothing refers to the range any more.
        let _ = unsafe { munmap(self.whole, self.whole_len) };
    }
}
