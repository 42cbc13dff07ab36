//! The address range of a pool, mapped once for its life.
//!
//! It is a range of addresses, not memory: pages exist once touched, and are given back to the system only by
//! [`Mapping::release`]. They are anonymous, and then as large as the system has them, or those of a memfd, which can be
//! sent without copying.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

use crate::MemoryError;

const PAGE: usize = 4096;
const WRITABLE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    /// The memfd, unless the pages are anonymous.
    file: Option<OwnedFd>,
}

// SAFETY: the mapping is plain memory without thread affinity; which part of it may be read or
// written by whom is decided by `PoolBuf`, which hands out disjoint ranges.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` itself gives out addresses only.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Anonymous pages.
    pub(crate) fn anonymous(len: usize) -> Result<Mapping, MemoryError> {
        let length = NonZeroUsize::new(len).ok_or_else(|| refused("mmap", len)(nix::Error::EINVAL))?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: a fresh private mapping at an address the kernel chooses aliases no Rust object.
        let base = unsafe { mmap_anonymous(None, length, WRITABLE, flags) };
        Ok(Mapping { base: base.map_err(refused("mmap", len))?.cast(), len, file: None })
    }

    /// The pages of a memfd.
    pub(crate) fn in_file(len: usize) -> Result<Mapping, MemoryError> {
        let file = memfd_create(c"zenith-pool", MFdFlags::MFD_CLOEXEC);
        let file = file.map_err(refused("memfd_create", len))?;
        let size =
            nix::libc::off_t::try_from(len).map_err(|_| refused("ftruncate", len)(nix::Error::EFBIG))?;
        nix::unistd::ftruncate(&file, size).map_err(refused("ftruncate", len))?;
        let length = NonZeroUsize::new(len).ok_or_else(|| refused("mmap", len)(nix::Error::EINVAL))?;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE;
        // SAFETY: a fresh shared mapping of a file this process alone holds, at an address the kernel
        // chooses, aliases no Rust object.
        let base = unsafe { mmap(None, length, WRITABLE, flags, &file, 0) };
        Ok(Mapping { base: base.map_err(refused("mmap", len))?.cast(), len, file: Some(file) })
    }

    /// The memfd, unless the pages are anonymous.
    pub(crate) fn file(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    /// Address of byte `offset`; the caller keeps within [`Mapping::len`].
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
        let (first, end) = (start.next_multiple_of(PAGE), (start + len).min(self.len));
        if end > first {
            // SAFETY: the range lies in the mapping and begins at a page. The size of pages changes no byte of them.
            let advised = unsafe { madvise(self.at(first).cast(), end - first, MmapAdvise::MADV_HUGEPAGE) };
            // Where the system has none, small ones will do. It has none for a memfd unless it is told to.
            let _ = advised;
        }
    }

    /// Has the system provide the pages that `start..start + len` touches.
    pub(crate) fn populate(&self, start: usize, len: usize) {
        let first = start / PAGE * PAGE;
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
    /// Nothing may refer to any byte of the range.
    pub(crate) fn release(&self, start: usize, len: usize) {
        let (first, end) = (start.next_multiple_of(PAGE), (start + len).min(self.len) / PAGE * PAGE);
        if end <= first {
            return;
        }
        // A refusal costs memory, not correctness, so there is nothing to report.
        match (&self.file, i64::try_from(first), i64::try_from(end - first)) {
            (Some(file), Ok(offset), Ok(bytes)) => {
                let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
                let _ = fallocate(file, hole, offset, bytes);
            }
            (Some(_), ..) => {}
            (None, ..) => {
                // SAFETY: the range lies in the mapping, begins at a page, and is in nobody's hands.
                let _ = unsafe { madvise(self.at(first).cast(), end - first, MmapAdvise::MADV_DONTNEED) };
            }
        }
    }
}

/// What the system refused, for a pool of `bytes`.
fn refused(action: &'static str, bytes: usize) -> impl Fn(nix::Error) -> MemoryError {
    move |errno| MemoryError::Create { action, bytes, source: io::Error::from(errno) }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and length are those `mmap` gave; every buffer holds the pool alive through an
        // `Arc`, so nothing refers to the range any more.
        let _ = unsafe { munmap(self.base.cast::<c_void>(), self.len) };
    }
}
