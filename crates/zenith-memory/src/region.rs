//! A part of a pool's address range: which of it is free, and which of its pages are there.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::extents::Extents;
use crate::mapping::Mapping;

/// Pages are provided in steps of this many bytes, where they are small.
const POPULATE_BYTES: usize = 256 * 1024;

/// For buffers that live about as long as one another.
#[derive(Debug)]
pub(crate) struct Region {
    /// Pages below this stay once touched. Giving back what is taken again at once costs more than it saves.
    kept: usize,
    /// Pages below this have been provided.
    populated: AtomicUsize,
    extents: Mutex<Extents>,
}

impl Region {
    /// `len` bytes of the mapping, of which the pages of the first `kept` stay.
    pub(crate) fn new(start: usize, len: usize, kept: usize) -> Region {
        Region {
            kept: start + kept,
            populated: AtomicUsize::new(start),
            extents: Mutex::new(Extents::new(start, len)),
        }
    }

    pub(crate) fn take(&self, mapping: &Mapping, len: usize) -> Option<usize> {
        let start = self.extents().take(len)?;
        self.populate(mapping, start + len);
        Some(start)
    }

    /// Takes `len` more bytes behind a range that ends at `end`, if they are free.
    pub(crate) fn extend(&self, mapping: &Mapping, end: usize, len: usize) -> bool {
        let extended = self.extents().take_at(end, len);
        if extended {
            self.populate(mapping, end + len);
        }
        extended
    }

    /// Returns a range without references. Pages well above current use go back to the system, so that fragmentation
    /// and overdrafts do not raise resident memory permanently.
    pub(crate) fn give(&self, mapping: &Mapping, start: usize, len: usize) {
        if len == 0 {
            return;
        }
        let above = start.max(self.kept);
        if start + len > above {
            // SAFETY: the range is its owner's until the next line, and the owner is done with it.
            unsafe { mapping.release(above, start + len - above) };
        }
        self.extents().give(start, len);
    }

    /// Gives the pages of what is free back to the system, and says how many bytes these are.
    pub(crate) fn give_back(&self, mapping: &Mapping) -> usize {
        let extents = self.extents();
        let populated = self.populated.load(Ordering::Relaxed);
        let mut bytes = 0;
        for (start, len) in extents.free() {
            let end = (start + len).min(populated);
            if start < end {
                // SAFETY: the range is free, and as long as the lock is held nobody takes it.
                unsafe { mapping.release(start, end - start) };
                bytes += end - start;
                if start + len > populated {
                    // What is taken behind it is provided again.
                    self.populated.store(start, Ordering::Relaxed);
                }
            }
        }
        bytes
    }

    /// Has the system provide pages up to `end`, many at a time: one by one, as they are touched, they cost several times
    /// as much. Pages that are given back are not provided ahead.
    fn populate(&self, mapping: &Mapping, end: usize) {
        if end <= self.populated.load(Ordering::Relaxed) {
            return;
        }
        let end = end.next_multiple_of(POPULATE_BYTES).min(self.kept);
        let before = self.populated.fetch_max(end, Ordering::Relaxed);
        if before < end {
            mapping.populate(before, end - before);
        }
    }

    fn extents(&self) -> MutexGuard<'_, Extents> {
        // The list is consistent after every call, so a panic elsewhere does not spoil it.
        self.extents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
