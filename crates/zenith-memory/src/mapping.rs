//! One memfd, mapped once for the life of the pool.
//!
//! The file is sparse: its size is address range, not memory. Pages exist once touched and are given
//! back to the system only by [`Mapping::release`].
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};

use crate::MemoryError;

const PAGE: usize = 4096;

#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    file: OwnedFd,
}

// SAFETY: the mapping is plain shared memory without thread affinity; which part of it may be read or
// written by whom is decided by `PoolBuf`, which hands out disjoint ranges.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` itself gives out addresses only.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn new(len: usize) -> Result<Mapping, MemoryError> {
        let fail = |action| {
            move |errno: nix::Error| MemoryError::Create {
                action,
                bytes: len,
                source: io::Error::from(errno),
            }
        };
        let file = memfd_create(c"zenith-pool", MFdFlags::MFD_CLOEXEC).map_err(fail("memfd_create"))?;
        let size = nix::libc::off_t::try_from(len).map_err(|_| fail("ftruncate")(nix::Error::EFBIG))?;
        nix::unistd::ftruncate(&file, size).map_err(fail("ftruncate"))?;
        let length = NonZeroUsize::new(len).ok_or_else(|| fail("mmap")(nix::Error::EINVAL))?;
        // SAFETY: a fresh shared mapping of a file this process alone holds, at an address the kernel
        // chooses, aliases no Rust object.
        let base = unsafe {
            mmap(
                None,
                length,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED | MapFlags::MAP_NORESERVE,
                &file,
                0,
            )
        }
        .map_err(fail("mmap"))?;
        Ok(Mapping { base: base.cast(), len, file })
    }

    /// Address of byte `offset`; the caller keeps within [`Mapping::len`].
    pub(crate) fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset <= self.len, "offset {offset} lies outside the pool");
        // SAFETY: `offset` is at most the length of the mapping, so the result is in it or one past it.
        unsafe { self.base.add(offset) }
    }

    /// Offset in the file of the `len` bytes at `address`, if they lie in this mapping.
    pub(crate) fn offset_of(&self, address: *const u8, len: usize) -> Option<u64> {
        let offset = (address as usize).checked_sub(self.base.as_ptr() as usize)?;
        if offset.checked_add(len)? > self.len {
            return None;
        }
        u64::try_from(offset).ok()
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
    pub(crate) fn release(&self, start: usize, len: usize) {
        let first = start.div_ceil(PAGE) * PAGE;
        let end = (start + len) / PAGE * PAGE;
        let (Ok(offset), Ok(bytes)) = (i64::try_from(first), i64::try_from(end.saturating_sub(first))) else {
            return;
        };
        if bytes > 0 {
            // A refusal costs memory, not correctness, so there is nothing to report.
            let _ = fallocate(
                &self.file,
                FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE,
                offset,
                bytes,
            );
        }
    }
}

impl AsFd for Mapping {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and length are those `mmap` gave; every buffer holds the pool alive through an
        // `Arc`, so nothing refers to the range any more.
        let _ = unsafe { munmap(self.base.cast::<c_void>(), self.len) };
    }
}
