//! Which ranges of the mapping are free: first fit from the bottom, neighbours merged on return.
//!
//! First fit keeps live buffers low, so the pages touched stay near the budget although the address
//! range is several times larger. No memory is touched here; these are numbers only.

use std::collections::BTreeMap;

/// The free ranges of an address range of fixed size, in bytes.
#[derive(Debug)]
pub(crate) struct Extents {
    /// Start of each free range → its length; ranges never touch one another.
    free: BTreeMap<usize, usize>,
}

impl Extents {
    /// One free range of `len` bytes from `start` on.
    pub(crate) fn new(start: usize, len: usize) -> Extents {
        Extents { free: BTreeMap::from([(start, len)]) }
    }

    /// The free ranges: where each begins, and its length.
    pub(crate) fn free(&self) -> impl Iterator<Item = (usize, usize)> {
        self.free.iter().map(|(start, len)| (*start, *len))
    }

    /// Takes the lowest free range of at least `len` bytes and returns its start.
    pub(crate) fn take(&mut self, len: usize) -> Option<usize> {
        let (&start, &size) = self.free.iter().find(|&(_, &size)| size >= len)?;
        self.free.remove(&start);
        if size > len {
            self.free.insert(start + len, size - len);
        }
        Some(start)
    }

    /// Takes exactly `start..start + len` if all of it is free: growing a buffer in place.
    pub(crate) fn take_at(&mut self, start: usize, len: usize) -> bool {
        match self.free.get(&start) {
            Some(&size) if size >= len => {
                self.free.remove(&start);
                if size > len {
                    self.free.insert(start + len, size - len);
                }
                true
            }
            _ => false,
        }
    }

    /// Returns a range, merging it with free neighbours.
    pub(crate) fn give(&mut self, start: usize, len: usize) {
        let (mut start, mut len) = (start, len);
        if let Some((&before, &before_len)) = self.free.range(..start).next_back()
            && before + before_len == start
        {
            self.free.remove(&before);
            start = before;
            len += before_len;
        }
        if let Some(after_len) = self.free.remove(&(start + len)) {
            len += after_len;
        }
        self.free.insert(start, len);
    }
}

#[cfg(test)]
mod tests {
    use super::Extents;
    use proptest::prelude::*;

    #[test]
    fn neighbours_merge_in_any_order_of_return() {
        let mut extents = Extents::new(0, 1000);
        let (a, b, c) = (extents.take(100).unwrap(), extents.take(100).unwrap(), extents.take(100).unwrap());
        extents.give(a, 100);
        extents.give(c, 100);
        extents.give(b, 100);
        assert_eq!(extents.take(1000), Some(0));
    }

    #[test]
    fn growing_in_place_needs_the_very_next_bytes() {
        let mut extents = Extents::new(0, 300);
        let a = extents.take(100).unwrap();
        let b = extents.take(100).unwrap();
        assert!(!extents.take_at(a + 100, 50));
        extents.give(b, 100);
        assert!(extents.take_at(a + 100, 50));
        assert_eq!(extents.take(150), Some(150));
    }

    proptest! {
        /// However ranges are taken and returned, live ones never overlap and nothing leaks.
        #[test]
        fn live_ranges_never_overlap(steps in prop::collection::vec((any::<bool>(), 1usize..5000), 1..200)) {
            const SIZE: usize = 65_536;
            let mut extents = Extents::new(0, SIZE);
            let mut live: Vec<(usize, usize)> = Vec::new();
            for (take, n) in steps {
                if take {
                    if let Some(start) = extents.take(n) {
                        prop_assert!(start + n <= SIZE);
                        prop_assert!(live.iter().all(|&(s, l)| start + n <= s || s + l <= start));
                        live.push((start, n));
                    }
                } else if !live.is_empty() {
                    let (start, len) = live.swap_remove(n % live.len());
                    extents.give(start, len);
                }
            }
            for (start, len) in live {
                extents.give(start, len);
            }
            prop_assert_eq!(extents.take(SIZE), Some(0));
        }
    }
}
